//! Pictures and documents: data URLs and their parts.

use super::neutral::Source;

/// A URL as a source: `data:image/png;base64,...` is bytes that are here.
pub(super) fn source(url: String) -> Source {
    let parts = url.strip_prefix("data:").and_then(|rest| {
        let (head, data) = rest.split_once(',')?;
        let media_type = head.strip_suffix(";base64")?;
        let media_type = media_type.split(';').next().unwrap_or_default();
        Some((media_type.to_owned(), data.to_owned()))
    });
    match parts {
        Some((media_type, data)) => Source::Base64 { media_type, data },
        None => Source::Url(url),
    }
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
        let plain = "data:text/plain,hello";
        assert_eq!(source(plain.to_owned()), Source::Url(plain.to_owned()));
    }
}
