//! The listener for operators, and who may call its API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secrets::Role;
use crate::yaml::units::Span;

/// The listener for operators.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address to listen on. Default `127.0.0.1:9090`.
    pub listen: Option<String>,
    /// Who may call the admin API, besides whoever has the key in the environment variable `TOLLGATE_ADMIN_KEY`
    /// (at least 16 characters, role `full`, all accounts).
    pub api_keys: Vec<ApiKey>,
    /// Where clients reach the admin API, as in `https://tollgate.example.com`; what `uri` fields begin with.
    /// Absent: they are relative.
    pub public_url: Option<String>,
    /// How long the audit log of changes is kept. Default 400d.
    pub audit_retention: Option<Span>,
}

/// Who may call the admin API. Make one with `tollgate key new --admin`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
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
