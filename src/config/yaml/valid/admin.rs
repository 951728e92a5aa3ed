//! The admin listener, resolved and checked.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::yaml::types::{self, Quotas};
use crate::yaml::valid::{Identity, Oidc};

/// The listener for operators, and who may call its API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Its address; changes with a restart only.
    pub listen: SocketAddr,
    /// What it shows to clients by TLS; `None`: it speaks plain HTTP, which changes with a restart only.
    pub tls: Option<Identity>,
    /// Who may call: what the YAML declares, and then the environment's key (id [`ApiKey::ENVIRONMENT`]), if there
    /// is one. Ids and digests are unique.
    pub api_keys: Vec<ApiKey>,
    /// Who signs people in to the console besides API keys; `None`: nobody.
    pub oidc: Option<Oidc>,
    /// What absolute `uri` fields begin with: `http` or `https`, a host, no slash at the end. `None`: they are
    /// relative.
    pub public_url: Option<String>,
    /// Whether `/metrics` asks for an API key for all accounts.
    pub metrics_need_key: bool,
    /// How long the audit log is kept; more than zero.
    pub audit_retention: Duration,
    /// How much one account may have of what the API makes.
    pub quotas: Quotas,
}

/// Who may call the admin API, by the digest of the token. `Debug` leaves the digest out: people make up the
/// environment's key themselves, and what is made up can be guessed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// `[a-z0-9][a-z0-9_-]{0,62}`; unique.
    pub id: String,
    /// As it is written; the account that it names exists.
    pub spec: types::ApiKey,
    /// SHA-256 of the whole token, whatever its form.
    pub digest: [u8; 32],
}

impl ApiKey {
    /// The id of the key in the environment variable `TOLLGATE_ADMIN_KEY`; no other key has it.
    pub const ENVIRONMENT: &str = "environment";
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("name", &self.spec.name)
            .field("role", &self.spec.role)
            .field("account", &self.spec.account)
            .finish_non_exhaustive()
    }
}
