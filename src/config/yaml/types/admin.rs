//! The listener for operators, and who may call its API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdminTls, Oidc};
use crate::secrets::Role;
use crate::yaml::units::{ByteSize, Span};

/// The listener for operators.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address to listen on. Default `127.0.0.1:9090`.
    pub listen: Option<String>,
    /// TLS there (HTTP/1.1 and HTTP/2 by ALPN); absent is plain HTTP.
    pub tls: Option<AdminTls>,
    /// Who may call the admin API, besides whoever has the key in the environment variable `TOLLGATE_ADMIN_KEY`
    /// (at least 16 characters, role `full`, all accounts).
    pub api_keys: Vec<ApiKey>,
    /// Sign-in to the console by an identity provider, besides API keys.
    pub oidc: Option<Oidc>,
    /// Where clients reach the admin API, as in `https://tollgate.example.com`; what `uri` fields begin with.
    /// Absent: they are relative.
    pub public_url: Option<String>,
    /// Whether `/metrics` asks for an API key that is for all accounts, of any role. Default false.
    pub metrics_need_key: Option<bool>,
    /// How long the audit log of changes is kept. Default 400d.
    pub audit_retention: Option<Span>,
    /// How much an API key of one account may make of it.
    pub quotas: Quotas,
}

/// How much one account may have that an API key of its own makes something more. What the configuration file declares does
/// not count, and API keys for all accounts are not held to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Access keys. Default 10000.
    pub access_keys: Option<u64>,
    /// Access key configurations. Default 1000.
    pub configurations: Option<u64>,
    /// Providers. Default 50.
    pub providers: Option<u64>,
    /// Provider keys. Default 1000.
    pub provider_keys: Option<u64>,
    /// API keys. Default 100.
    pub api_keys: Option<u64>,
    /// Budgets that access keys share. Default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budgets: Option<u64>,
    /// Models of all its providers. Default 5000.
    pub models: Option<u64>,
    /// Names, descriptions and metadata of all of these. Default 8MiB.
    pub metadata: Option<ByteSize>,
}

impl Quotas {
    /// How many there are.
    pub const MEASURES: usize = 8;

    /// Their names, and how much of each there may be.
    pub fn all(&self) -> [(&'static str, u64); Self::MEASURES] {
        [
            ("access_keys", self.access_keys.unwrap_or(10_000)),
            ("configurations", self.configurations.unwrap_or(1_000)),
            ("providers", self.providers.unwrap_or(50)),
            ("provider_keys", self.provider_keys.unwrap_or(1_000)),
            ("api_keys", self.api_keys.unwrap_or(100)),
            ("budgets", self.budgets.unwrap_or(1_000)),
            ("models", self.models.unwrap_or(5_000)),
            ("metadata", self.metadata.map_or(8 << 20, |size| size.0)),
        ]
    }
}

/// Who may call the admin API. Make one with `tollgate key new --admin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKey {
    /// The part of the token between `tga-` and `-g1-`. Default: `name`.
    pub id: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// SHA-256 of the whole token, as 64 hexadecimal digits.
    pub sha256: String,
    /// What its holder may do. Default `full`.
    pub role: Option<Role>,
    /// The one account that it is for; absent is all accounts.
    pub account: Option<String>,
}
