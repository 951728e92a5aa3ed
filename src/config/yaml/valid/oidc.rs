//! Sign-in by OpenID Connect, resolved and checked.

use crate::yaml::types::OidcRole;
use tollgate_base::Secret;

/// The identity provider, and what its groups may do here. Its `Debug` redacts the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// As it calls itself; `https`, or `http` at a loopback or private address.
    pub issuer: String,
    /// Host, and the port if it is not the scheme's own: what is shown of the issuer.
    pub shown: String,
    /// This gateway's client id; not empty.
    pub client_id: String,
    /// The client's secret; `None`: it is a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists groups, or the path to it.
    pub groups_claim: String,
    /// At least one.
    pub roles: Vec<OidcRole>,
    /// PEM text of the authorities to trust; `None`: the system's.
    pub ca: Option<String>,
}
