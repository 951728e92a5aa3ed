//! The files that pages refer to, built into the program. Their addresses change with what is in them.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const MARK: &str = include_str!("assets/icon.svg");

/// Where the icon is.
pub(super) const ICON: &str = "/console/assets/icon.svg";

/// Where the style is.
pub(super) fn style() -> String {
    address("console.css", STYLE)
}

/// Where the script is.
pub(super) fn script() -> String {
    address("console.js", SCRIPT)
}

fn address(name: &str, content: &str) -> String {
    let digest = Sha256::digest(content);
    let (version, _) = digest.split_at(4);
    let version: String = version.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("/console/assets/{name}?v={version}")
}

/// The file with this name.
pub(super) fn file(name: &str) -> Option<Response> {
    let (kind, content) = match name {
        "console.css" => ("text/css; charset=utf-8", STYLE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", MARK),
        _ => return None,
    };
    let kept = HeaderValue::from_static("public, max-age=86400");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, kept),
    ];
    Some((headers, content).into_response())
}
