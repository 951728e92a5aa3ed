//! What a prompt of Anthropic's API costs beside its texts: pictures, documents, and being allowed to call tools.
//!
//! Sources: Anthropic's "Vision" (a token for 750 pixels, after a picture was made to fit), "PDF support" (a page is its
//! text, 1,500 to 3,000 tokens, and a picture of it) and "Tool use" (the system prompt that tools bring along); OpenAI's
//! "Images and vision" (tiles of 512 pixels). What cannot be looked at counts as the largest picture, or as one page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The longest edge of a picture that Claude looks at, in pixels, and the most tokens that one has.
const LONGEST_EDGE: f64 = 1568.0;
const MOST: u64 = 1_600;

/// Pixels a token.
const PIXELS: f64 = 750.0;

/// A page of a document: its text, in the middle of the documented range, and its picture.
const PAGE: u64 = 2_250 + MOST;

/// What tools bring along, where they may and where they must be called.
const MAY_CALL: u64 = 346;
const MUST_CALL: u64 = 313;

/// Base64 that is decoded to find how large a picture is, in bytes: some begin with long notes.
const BEGINNING: usize = 512 << 10;

/// Values inside each other that are looked into.
const DEPTH: usize = 16;

/// Returns the tokens of a messages body for this model that no text of it shows.
pub fn beside_text(model: &str, body: &[u8]) -> u64 {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return 0;
    };
    let tiles = is_openais(model);
    let mut tokens = 0;
    for part in ["system", "messages"] {
        tokens += media(&body[part], tiles, 0);
    }
    let tools = body["tools"]
        .as_array()
        .is_some_and(|tools| !tools.is_empty());
    if tools && model.contains("claude") {
        tokens += match body["tool_choice"]["type"].as_str() {
            Some("any" | "tool") => MUST_CALL,
            _ => MAY_CALL,
        };
    }
    tokens
}

fn is_openais(model: &str) -> bool {
    let name = model.rsplit(['/', ':']).next().unwrap_or(model);
    ["gpt-", "o1", "o3", "o4", "chatgpt-"]
        .iter()
        .any(|family| name.starts_with(family))
}

/// Of a content, and of what is in it.
fn media(value: &Value, tiles: bool, depth: usize) -> u64 {
    match value {
        Value::Array(list) if depth < DEPTH => list
            .iter()
            .map(|value| media(value, tiles, depth + 1))
            .sum(),
        Value::Object(map) if depth < DEPTH => {
            let data = || value["source"]["data"].as_str();
            match map.get("type").and_then(Value::as_str) {
                Some("image") => picture(data(), tiles),
                Some("document") if value["source"]["type"] == "text" => 0,
                Some("document") if value["source"]["type"] == "content" => {
                    media(&value["source"]["content"], tiles, depth + 1)
                }
                Some("document") => pages(data()) * PAGE,
                _ => map
                    .get("content")
                    .map_or(0, |content| media(content, tiles, depth + 1)),
            }
        }
        _ => 0,
    }
}

fn picture(data: Option<&str>, tiles: bool) -> u64 {
    let size = data.and_then(|data| {
        let whole = data.len().min(BEGINNING) / 4 * 4;
        size(&STANDARD.decode(data.get(..whole)?).ok()?)
    });
    let (width, height) = size.unwrap_or((LONGEST_EDGE, LONGEST_EDGE));
    if tiles {
        // Made to fit 2,048 pixels, and then 768 at its shorter edge.
        let scale = (2048.0 / width.max(height)).min(1.0);
        let scale = scale * (768.0 / (width.min(height) * scale)).min(1.0);
        let along = |edge: f64| (edge * scale / 512.0).ceil();
        return 85 + 170 * whole(along(width) * along(height));
    }
    let scale = (LONGEST_EDGE / width.max(height)).min(1.0);
    whole((width * scale * height * scale / PIXELS).ceil()).min(MOST)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "of what is no count, the nearest is taken"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Width and height of a picture of the types that Anthropic takes.
fn size(bytes: &[u8]) -> Option<(f64, f64)> {
    let big = |at: usize| {
        Some(f64::from(u16::from_be_bytes(
            bytes.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    let little = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let size = if bytes.starts_with(b"\x89PNG") {
        // Each edge has four bytes, of which sensible pictures need two.
        (big(18)?, big(22)?)
    } else if bytes.starts_with(b"GIF8") {
        (little(6)?.into(), little(8)?.into())
    } else if bytes.starts_with(b"\xff\xd8") {
        jpeg(bytes)?
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        match bytes.get(12..16)? {
            b"VP8X" => (f64::from(little(24)?) + 1.0, f64::from(little(27)?) + 1.0),
            b"VP8 " => ((little(26)? & 0x3fff).into(), (little(28)? & 0x3fff).into()),
            b"VP8L" => {
                let bits = u32::from_le_bytes(bytes.get(21..25)?.try_into().ok()?);
                (
                    f64::from(bits & 0x3fff) + 1.0,
                    f64::from(bits >> 14 & 0x3fff) + 1.0,
                )
            }
            _ => return None,
        }
    } else {
        return None;
    };
    (size.0 >= 1.0 && size.1 >= 1.0).then_some(size)
}

/// The segment that begins a frame has the size.
fn jpeg(bytes: &[u8]) -> Option<(f64, f64)> {
    let mut at = 2;
    loop {
        let segment = bytes.get(at..)?;
        let [0xff, marker, high, low, rest @ ..] = segment else {
            return None;
        };
        match marker {
            0xff => at += 1,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let edge = |at: usize| {
                    Some(f64::from(u16::from_be_bytes(
                        rest.get(at..at + 2)?.try_into().ok()?,
                    )))
                };
                return Some((edge(3)?, edge(1)?));
            }
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
}

/// Pages of a PDF, as far as it says so in the open; at least one.
fn pages(data: Option<&str>) -> u64 {
    let Some(Ok(document)) = data.map(|data| STANDARD.decode(data)) else {
        return 1;
    };
    let page = memchr::memmem::Finder::new(b"/Page");
    let is_page = |at: &usize| {
        let before = document[..*at].trim_ascii_end();
        let after = document.get(at + 5);
        before.ends_with(b"/Type") && !after.is_some_and(u8::is_ascii_alphabetic)
    };
    let pages = page.find_iter(&document).filter(is_page).count();
    u64::try_from(pages).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn png(width: u16, height: u16) -> Vec<u8> {
        let edge = |edge: u16| u32::from(edge).to_be_bytes();
        [
            &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..],
            &edge(width),
            &edge(height),
            &[8, 6, 0, 0, 0],
        ]
        .concat()
    }

    fn counted(model: &str, block: &Value) -> u64 {
        let body = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, block]}]});
        beside_text(model, body.to_string().as_bytes())
    }

    fn image(bytes: &[u8]) -> Value {
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": STANDARD.encode(bytes)}})
    }

    /// The examples of Anthropic's "Vision".
    #[test]
    fn pictures_count_by_their_pixels() {
        for (width, height, tokens) in [
            (200, 200, 54),
            (1000, 1000, 1_334),
            (1092, 1092, 1_590),
            (8_000, 6_000, MOST),
        ] {
            assert_eq!(
                counted("claude-opus-4-8", &image(&png(width, height))),
                tokens,
                "{width} x {height}"
            );
        }
        assert_eq!(counted("gpt-5.6-luna", &image(&png(1024, 1024))), 765);
        let result =
            json!({"type": "tool_result", "tool_use_id": "t", "content": [image(&png(200, 200))]});
        assert_eq!(counted("claude", &result), 54, "inside a result");
        let url =
            json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
        assert_eq!(counted("claude", &url), MOST, "nobody knows");
    }

    #[test]
    fn every_kind_of_picture_says_its_size() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08\x00\xc8\x01\x2c\x03";
        let gif = b"GIF89a\x2c\x01\xc8\0";
        let vp8x = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x2b\x01\0\xc7\0\0";
        let vp8l = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x2b\xc1\x31\0";
        for bytes in [&jpeg[..], gif, vp8x, vp8l] {
            assert_eq!(
                size(bytes),
                Some((300.0, 200.0)),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn documents_count_by_their_pages_and_tools_by_their_choice() {
        let pdf =
            b"%PDF-1.4 <</Type /Pages /Count 2>> <</Type/Page>> <</Type /Page /Parent 1 0 R>>";
        let source = json!({"type": "base64", "media_type": "application/pdf", "data": STANDARD.encode(pdf)});
        assert_eq!(
            counted("claude", &json!({"type": "document", "source": source})),
            2 * PAGE
        );
        let text = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}});
        assert_eq!(counted("claude", &text), 0, "its text is counted");
        for (choice, tokens) in [(json!(null), MAY_CALL), (json!({"type": "any"}), MUST_CALL)] {
            let body = json!({"tools": [{"name": "f"}], "tool_choice": choice, "messages": []});
            assert_eq!(beside_text("claude", body.to_string().as_bytes()), tokens);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(start in 0..5_usize, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let starts: [&[u8]; 5] = [b"", b"\x89PNG", b"\xff\xd8", b"RIFF\0\0\0\0WEBPVP8X", b"GIF8"];
            prop_assert!(counted("claude", &image(&[starts[start], &bytes].concat())) <= MOST);
            prop_assert!(pages(Some(&STANDARD.encode(&bytes))) >= 1);
        }
    }
}
