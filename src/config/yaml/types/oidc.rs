//! Sign-in to the console by OpenID Connect.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secrets::Role;
use tollgate_base::Secret;

/// Sign-in to the console by an identity provider: OpenID Connect, the authorization code flow with PKCE. Register
/// `<where browsers reach the admin listener>/console/sign-in/callback` there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider's issuer, exactly as it calls itself: `https://login.example.com/realms/staff`.
    pub issuer: String,
    /// This gateway's client id there.
    pub client_id: String,
    /// The client's secret: `${ENVIRONMENT_VARIABLE}` or `file:/path` (relative to this file); absent: it is a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for besides `openid`. Default `[profile, email]`.
    pub scopes: Option<Vec<String>>,
    /// The claim that lists a person's groups, in the ID token or else at the provider's userinfo endpoint: its name, or a
    /// path of names with dots between them, as in `realm_access.roles`. Default `groups`.
    pub groups_claim: Option<String>,
    /// What the members of which groups may do. Whoever is in none of them is refused.
    pub roles: Vec<OidcRole>,
    /// PEM file with the certificate authorities to trust for the provider instead of the system's, relative to this file.
    pub ca: Option<PathBuf>,
}

/// What the members of a group may do. The widest role of all groups of a person holds, for each account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcRole {
    /// The group, as the provider calls it.
    pub group: String,
    /// What its members may do.
    pub role: Role,
    /// The one account that it is for; absent is all accounts.
    pub account: Option<String>,
}
