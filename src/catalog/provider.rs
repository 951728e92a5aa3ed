//! A provider: where its API is and how to speak to it.

use std::sync::Arc;
use std::time::Duration;

use super::base_url::BaseUrl;
use super::model::Model;
use crate::config::types::Auth;
use tollgate_wire::{Dialect, Surface};

/// A provider that the gateway can call.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Exact id, as in `provider:model`.
    pub id: Arc<str>,
    /// For people.
    pub display_name: Arc<str>,
    /// Where its API is.
    pub base_url: BaseUrl,
    /// How a key travels; `None` follows the surface's dialect.
    pub auth: Option<Auth>,
    /// The API shapes it offers.
    pub surfaces: Vec<Surface>,
    /// Headers added to every upstream request; the names are lower-case.
    pub headers: Vec<(String, String)>,
    /// PEM text of the certificate authorities to trust instead of the system's.
    pub ca: Option<Arc<str>>,
    /// Whether models outside the catalog may be called as `provider:model`.
    pub passthrough: bool,
    /// Whether its chat completions take `thinking_blocks` and `cache_control`.
    pub chat_extensions: bool,
    /// Top-level request fields to remove.
    pub unsupported_parameters: Vec<String>,
    /// The only top-level request fields to send to a surface, besides [`Surface::essential_fields`]; a surface that
    /// is not here takes all.
    pub supported_parameters: Vec<(Surface, Vec<String>)>,
    /// Whether it is never called at a loopback or private address.
    pub public_only: bool,
    /// The account that made it at run time, which alone may name it without a managed key; `None`: everybody may.
    pub owner: Option<Arc<str>>,
    /// Overrides of the global timeouts.
    pub timeouts: TimeoutOverrides,
    /// Whether the catalog brought it, rather than the YAML.
    pub built_in: bool,
    /// Whether an operator may resell its models (the reference facts say which).
    pub managed_keys_possible: bool,
    /// Its models, in the catalog's order.
    pub models: Vec<Arc<Model>>,
}

impl Provider {
    /// How a key travels on `surface`: the provider's own way, or else the dialect's.
    pub fn auth_on(&self, surface: Surface) -> Auth {
        match (&self.auth, surface.dialect()) {
            (Some(auth), _) => auth.clone(),
            (None, Dialect::OpenAi) => Auth::Bearer,
            (None, Dialect::Anthropic) => Auth::XApiKey,
        }
    }

    /// Whether a top-level request field goes to `surface`, as far as the list of supported ones says.
    pub fn takes(&self, surface: Surface, field: &str) -> bool {
        let list = self.supported_parameters.iter();
        let mut list = list.filter(|(listed, _)| *listed == surface);
        list.next().is_none_or(|(_, fields)| {
            surface.essential_fields().contains(&field) || fields.iter().any(|known| known == field)
        })
    }

    /// Whether calls need one of the provider's keys.
    pub fn needs_key(&self) -> bool {
        self.auth != Some(Auth::None)
    }

    /// The model with this id or alias, compared without regard to ASCII case. Ids win over aliases.
    /// Scans the provider's models: for setup; requests go through [`super::Catalog::resolve`].
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        let by_id = self
            .models
            .iter()
            .find(|model| model.id.eq_ignore_ascii_case(name));
        by_id.or_else(|| self.models.iter().find(|model| model.has_alias(name)))
    }
}

/// Timeouts that differ from the next wider scope's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// From the start of an attempt to its commit.
    pub per_request: Option<Duration>,
    /// From the request to the commit, over all attempts.
    pub total: Option<Duration>,
    /// Silence inside a committed stream.
    pub stream_idle: Option<Duration>,
    /// How long a streaming client waits for a status.
    pub hold: Option<Duration>,
    /// Silence before a keep-alive comment; zero is never.
    pub keepalive: Option<Duration>,
}

impl TimeoutOverrides {
    /// These, and where they are silent the `wider` scope's.
    #[must_use]
    pub fn over(self, wider: TimeoutOverrides) -> TimeoutOverrides {
        TimeoutOverrides {
            per_request: self.per_request.or(wider.per_request),
            total: self.total.or(wider.total),
            stream_idle: self.stream_idle.or(wider.stream_idle),
            hold: self.hold.or(wider.hold),
            keepalive: self.keepalive.or(wider.keepalive),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrower_timeouts_win_where_they_speak() {
        let second = |n| Some(Duration::from_secs(n));
        let model = TimeoutOverrides {
            total: second(1),
            ..Default::default()
        };
        let provider = TimeoutOverrides {
            total: second(2),
            hold: second(3),
            ..Default::default()
        };
        let both = model.over(provider);
        assert_eq!(
            (both.total, both.hold, both.keepalive),
            (second(1), second(3), None)
        );
    }
}
