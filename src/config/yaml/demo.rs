//! The demo provider as configuration knows it.

use std::net::SocketAddr;

use crate::catalog::Auth;
use crate::yaml::types;
use crate::yaml::types::{Prices, Provider, UnitPrices};
use tollgate_wire::Surface;
use tollgate_wire::report::Unit;

/// The built-in demo provider's id.
pub const DEMO_PROVIDER: &str = "demo";
/// Tokens of prompt and answer together: few, so that limits can be met by hand.
const CONTEXT_WINDOW: u64 = 8_192;
/// Tokens of the longest answer.
const MAX_OUTPUT: u64 = 2_048;

/// Its models, and what each does; the crate that plays them has the same.
pub const MODELS: [(&str, &str); 20] = [
    ("echo", "Says what you said"),
    ("thinking", "Reasons first"),
    ("long", "Streams 2,000 events"),
    ("no-usage", "Reports no usage"),
    ("no-done", "Ends without an end marker"),
    ("slow", "First token after 2 s"),
    ("429", "Rate limited, Retry-After: 1"),
    ("429-bare", "Rate limited, no Retry-After"),
    ("401", "Refuses the credential"),
    ("400-context", "Context length exceeded"),
    ("500", "Server error"),
    ("503", "Unavailable"),
    ("529", "Overloaded"),
    ("silent", "Never answers"),
    ("stall", "Headers, then silence"),
    ("cut-early", "Drops the connection before content"),
    ("cut", "Drops the connection amid content"),
    ("error-event", "An error as the first event"),
    ("overloaded", "An overload error before content"),
    ("malformed", "A broken event amid content"),
];

/// The provider `demo` served at `base`: every surface, no credential, small context windows, and prices
/// (USD 1 per million prompt tokens, 0.10 cached, 4 for the answer) so that cost can be seen.
pub(super) fn provider(base: SocketAddr) -> Provider {
    let model = |(id, what): &(&str, &str)| types::Model {
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
        models: MODELS.iter().map(model).collect(),
        ..Provider::default()
    }
}

fn prices() -> Prices {
    let prices = [
        (Unit::Input, "1"),
        (Unit::CachedRead, "0.10"),
        (Unit::CacheWrite, "1.25"),
        (Unit::Output, "4"),
    ];
    let known = prices
        .into_iter()
        .filter_map(|(unit, price)| Some((unit, price.parse().ok()?)));
    Prices {
        units: UnitPrices(known.collect()),
        ..Prices::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_prices_parse() {
        let provider = provider(([127, 0, 0, 1], 1).into());
        let mut prices = provider
            .models
            .iter()
            .filter_map(|model| model.prices.as_ref());
        assert!(prices.all(|prices| prices.units.0.len() == 4));
    }
}
