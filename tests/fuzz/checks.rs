//! What must hold for any input. Shared by the fuzz targets and the test that replays their corpora, so a
//! finding put into `corpus/<target>/` is a regression test.

mod coding;
mod config;
mod head;
mod mask;
mod sse;
mod translate;

use bytes::Bytes;
use tollgate_wire::request::{Edit, RequestBody};
use tollgate_wire::{Endpoint, Surface};

/// A check and the directory of its corpus.
pub type Check = (&'static str, fn(&[u8]));

/// Every check.
pub const CHECKS: &[Check] = &[
    ("coding", coding::coding),
    ("config", config::config),
    ("head", head::head),
    ("mask", mask::mask),
    ("request", request),
    ("sse", sse::sse),
    ("translate_answer", translate::answer),
    ("translate_request", translate::request),
];

/// A body is refused, or it can be edited for a candidate and says what the edit says.
pub fn request(data: &[u8]) {
    for endpoint in Surface::ALL
        .map(Endpoint::Generate)
        .into_iter()
        .chain([Endpoint::CountTokens])
    {
        let Ok(body) = RequestBody::parse(endpoint, Bytes::copy_from_slice(data)) else {
            continue;
        };
        let mut bytes = 0;
        let ids = body.prompt_text(&mut |text| bytes += text.len() as u64);
        assert!(
            bytes + ids <= body.prompt_bound(),
            "the bound holds: {bytes} + {ids}"
        );

        let same = Edit {
            model: body.model(),
            strip: &[],
            max_output_tokens: None,
            include_usage: false,
            limit: None,
        };
        let out = body.render(&same);
        let again = RequestBody::parse(endpoint, out.clone()).expect("a rendered body parses");
        assert_eq!(again.model(), body.model());
        assert_eq!(again.stream(), body.stream());
        assert_eq!(again.max_output_tokens(), body.max_output_tokens());
        assert!(again.fallbacks().is_empty(), "`models` is ours");
        assert_eq!(again.render(&same), out, "rendering again changes nothing");

        let edit = Edit {
            model: "other\"model",
            strip: &["messages", "temperature"],
            max_output_tokens: Some(16),
            include_usage: true,
            limit: None,
        };
        let out = body.render(&edit);
        let again = RequestBody::parse(endpoint, out.clone()).expect("an edited body parses");
        assert_eq!(again.model(), edit.model);
        assert!(again.max_output_tokens() <= Some(16));
        let value: serde_json::Value = match serde_json::from_slice(&out) {
            Ok(value) => value,
            // Strings that are no Unicode (lone surrogates) and numbers beyond allotments are skipped by us
            // and refused by a reader that builds them.
            Err(_) => continue,
        };
        assert_eq!(value["model"], edit.model, "what serde_json reads");
        assert!(value.get("temperature").is_none() && value.get("models").is_none());
    }
}
