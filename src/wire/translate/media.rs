//! Pictures and documents: data URLs, their parts, and what they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::neutral::Source;

/// A URL as a source: `data:image/png;base64,...` is bytes that are here, and so is `data:image/svg+xml,...`.
pub(super) fn source(url: String) -> Source {
    let parts = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','));
    let Some((head, data)) = parts else {
        return Source::Url(url);
    };
    let media_type = head.split(';').next().unwrap_or_default().to_owned();
    let data = match head.ends_with(";base64") {
        true => data.to_owned(),
        false => BASE64.encode(unescaped(data)),
    };
    Source::Base64 { media_type, data }
}

/// The bytes of a text in which some are written as `%20`.
fn unescaped(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        match (byte, escaped) {
            (b'%', (Some(high), Some(low))) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(0));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A picture of a type that every provider reads.
    Picture(&'static str),
    /// A PDF.
    Pdf,
    /// Text of some kind.
    Text,
    /// Anything else.
    Other,
}

/// Types of text whose names do not begin with `text/`.
const TEXTS: [&str; 8] = [
    "json",
    "xml",
    "yaml",
    "yml",
    "javascript",
    "typescript",
    "csv",
    "sql",
];

/// What base64 of a media type is. What the bytes begin with is believed more than the type: it is often wrong, and then
/// Anthropic refuses the picture.
pub(super) fn kind(media_type: &str, data: &str) -> Kind {
    // The first bytes of each format, in base64.
    for (start, kind) in [
        ("/9j/", Kind::Picture("image/jpeg")),
        ("iVBORw0KGg", Kind::Picture("image/png")),
        ("R0lGOD", Kind::Picture("image/gif")),
        ("UklGR", Kind::Picture("image/webp")),
        ("JVBERi", Kind::Pdf),
    ] {
        if data.starts_with(start) {
            return kind;
        }
    }
    let media_type = media_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    let is_text = |name: &str| {
        let mut words = name.split(['/', '+', '-', '.']).skip(1);
        words.any(|word| TEXTS.contains(&word))
    };
    match media_type.as_str() {
        "image/jpeg" | "image/jpg" | "image/pjpeg" => Kind::Picture("image/jpeg"),
        "image/png" => Kind::Picture("image/png"),
        "image/gif" => Kind::Picture("image/gif"),
        "image/webp" => Kind::Picture("image/webp"),
        "application/pdf" => Kind::Pdf,
        name if name.starts_with("text/") || is_text(name) => Kind::Text,
        _ => Kind::Other,
    }
}

/// The text that base64 is of; `None` if it is of none.
pub(super) fn text(data: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(data).ok()?).ok()
}

/// The data URL of bytes that are here.
pub(super) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// The name of a document, which OpenAI wants with an extension.
pub(super) fn file_name(name: Option<&str>, media_type: &str) -> String {
    let extension = if media_type.starts_with("text/") {
        "txt"
    } else {
        "pdf"
    };
    match name {
        None => format!("document.{extension}"),
        Some(name) if name.contains('.') => name.to_owned(),
        Some(name) => format!("{name}.{extension}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_are_bytes_and_others_are_urls() {
        let bytes = source("data:image/png;base64,AAAA".to_owned());
        let expected = Source::Base64 {
            media_type: "image/png".to_owned(),
            data: "AAAA".to_owned(),
        };
        assert_eq!(bytes, expected);
        let url = "https://example.com/a,b.png";
        assert_eq!(source(url.to_owned()), Source::Url(url.to_owned()));
        let plain = source("data:text/plain,a%20b%".to_owned());
        let expected = Source::Base64 {
            media_type: "text/plain".to_owned(),
            data: BASE64.encode("a b%"),
        };
        assert_eq!(plain, expected);
    }

    #[test]
    fn bytes_are_what_they_begin_with_and_else_what_they_are_called() {
        for (media_type, data, expected) in [
            ("image/png", "iVBORw0KGgo=", Kind::Picture("image/png")),
            ("image/jpeg", "iVBORw0KGgo=", Kind::Picture("image/png")),
            ("image/JPG", "AAAA", Kind::Picture("image/jpeg")),
            ("application/octet-stream", "JVBERi0=", Kind::Pdf),
            ("application/ld+json; charset=utf-8", "e30=", Kind::Text),
            ("image/svg+xml", "PHN2Zz4=", Kind::Text),
            ("text/markdown", "IyBh", Kind::Text),
            ("image/tiff", "SUkqAA==", Kind::Other),
            ("", "AAAA", Kind::Other),
        ] {
            assert_eq!(kind(media_type, data), expected, "{media_type}");
        }
    }
}
