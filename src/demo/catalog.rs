//! The demo provider as configuration knows it.

use std::net::SocketAddr;

use super::model::Model;
use crate::config::DEMO_PROVIDER;
use crate::config::types::{self, Auth, Prices, Provider};
use tollgate_wire::Surface;

/// Tokens of prompt and answer together: few, so that limits can be met by hand.
const CONTEXT_WINDOW: u64 = 8_192;
/// Tokens of the longest answer.
const MAX_OUTPUT: u64 = 2_048;

/// The provider `demo` served at `base`: every surface, no credential, small context windows, and prices
/// (USD 1 per million prompt tokens, 0.10 cached, 4 for the answer) so that cost can be seen.
pub fn provider(base: SocketAddr) -> Provider {
    let model = |(_, id, what): &(Model, &str, &str)| types::Model {
        id: (*id).to_owned(),
        display_name: Some((*what).to_owned()),
        context_window: Some(CONTEXT_WINDOW),
        max_output_tokens: Some(MAX_OUTPUT),
        prices: Some(prices()),
        ..types::Model::default()
    };
    Provider {
        id: DEMO_PROVIDER.to_owned(),
        display_name: Some("Demo".to_owned()),
        base_url: Some(format!("http://{base}/v1")),
        auth: Some(Auth::None),
        surfaces: Some(Surface::ALL.to_vec()),
        passthrough: Some(true),
        models: Model::ALL.iter().map(model).collect(),
        ..Provider::default()
    }
}

fn prices() -> Prices {
    Prices {
        input: "1".parse().ok(),
        cached_read: "0.10".parse().ok(),
        cache_write: "1.25".parse().ok(),
        output: "4".parse().ok(),
        ..Prices::default()
    }
}
