//! Pictures and documents: data URLs, their parts, and what they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::neutral::Source;

/// Makes a source of a URL: a data URL is bytes, whether in base64 or not (`data:image/svg+xml,...`).
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

/// Decodes percent-encoded text; a `%` that encodes nothing stays.
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

/// What a picture or a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A picture, of this media type, which every provider reads.
    Picture(&'static str),
    /// A PDF.
    Pdf,
    /// Text of some kind.
    Text,
    /// Anything else.
    Other,
}

/// Words in the names of media types that are text, though they do not begin with `text/`.
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

/// Says what base64 of a media type is. What the bytes begin with counts more than the type, which is often wrong:
/// Anthropic then refuses the picture.
pub(super) fn kind(media_type: &str, data: &str) -> Kind {
    // The first bytes of each format, in base64.
    for (start, kind) in [
        ("/9j/", Kind::Picture("image/jpeg")),
        ("iVBORw0KGg", Kind::Picture("image/png")),
        ("R0lGOD", Kind::Picture("image/gif")),
        ("JVBERi", Kind::Pdf),
    ] {
        if data.starts_with(start) {
            return kind;
        }
    }
    if is_webp(data) {
        return Kind::Picture("image/webp");
    }
    let media_type = media_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    // The first word is the top-level type, such as `application`.
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

/// Says whether base64 is of a WebP: `RIFF`, a length, and `WEBP`. Sound and video come in RIFF as well.
fn is_webp(data: &str) -> bool {
    let head = data.get(..16).and_then(|head| BASE64.decode(head).ok());
    head.is_some_and(|head| head.starts_with(b"RIFF") && head.ends_with(b"WEBP"))
}

/// Decodes base64 of text; `None` if it is not base64, or not of UTF-8.
pub(super) fn text(data: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(data).ok()?).ok()
}

/// Returns the data URL of base64.
pub(super) fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// Returns a document's name with an extension, which OpenAI wants.
pub(super) fn file_name(name: Option<&str>, media_type: &str) -> String {
    let extension = match kind(media_type, "") {
        Kind::Text => "txt",
        _ => "pdf",
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
            ("", "UklGRiQAAABXRUJQVlA4IA==", Kind::Picture("image/webp")),
            ("audio/wav", "UklGRiQAAABXQVZFZm10IA==", Kind::Other),
            ("", "UklGRg==", Kind::Other),
            ("image/tiff", "SUkqAA==", Kind::Other),
            ("", "AAAA", Kind::Other),
        ] {
            assert_eq!(kind(media_type, data), expected, "{media_type}");
        }
    }
}
