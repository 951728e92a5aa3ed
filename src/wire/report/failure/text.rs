//! Errors that are no JSON: a plain text, the page of a proxy, an event.

/// The longest page that is looked at, in bytes.
const LONGEST: usize = 64 << 10;

/// The words of an error's body that is no JSON; `None` if it has none, or is no text.
pub(super) fn words(body: &[u8]) -> Option<String> {
    let body = &body[..body.len().min(LONGEST)];
    let text = String::from_utf8_lossy(body);
    let binary = |c: char| c.is_control() && !c.is_whitespace();
    if text.contains(binary) {
        return None;
    }
    let text = match text.trim() {
        event if event.starts_with("data:") || event.starts_with("event:") => data(event),
        page if is_page(page) => plain(page),
        text => text.to_owned(),
    };
    (!text.is_empty()).then_some(text)
}

/// The data of the first event.
fn data(events: &str) -> String {
    let lines = events.lines().skip_while(|line| !line.starts_with("data:"));
    let data = lines.map_while(|line| line.strip_prefix("data:"));
    data.map(str::trim).collect::<Vec<_>>().join("\n")
}

fn is_page(text: &str) -> bool {
    let start: String = text.chars().take(64).collect();
    let start = start.to_ascii_lowercase();
    let tags = [
        "<!doctype",
        "<html",
        "<head",
        "<body",
        "<center",
        "<h1",
        "<title",
        "<p>",
        "<?xml",
    ];
    tags.iter().any(|tag| start.starts_with(tag))
}

/// The title of a page, or else what it shows.
fn plain(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let find = |what: &str, from: usize| lower[from..].find(what).map(|at| from + at);
    let inside = |tag: &str, start: usize| {
        let open = find(">", start)? + 1;
        Some((open, find(&format!("</{tag}"), open)?))
    };
    let title = find("<title", 0).and_then(|start| inside("title", start));
    if let Some((open, end)) = title {
        let title = shown(&page[open..end]);
        if !title.is_empty() {
            return title;
        }
    }
    let mut kept = String::new();
    let mut from = 0;
    // Where each begins next. It is looked for again behind that only, so that nothing is read once for every tag.
    let mut tags = ["script", "style"].map(|tag| (tag, find(&format!("<{tag}"), 0)));
    while let Some((start, tag)) = (tags.iter())
        .filter_map(|&(tag, next)| Some((next?, tag)))
        .min()
    {
        let ends = inside(tag, start);
        if let Some((_, end)) = ends {
            kept.push_str(&page[from..start]);
            from = end;
        }
        for (name, next) in &mut tags {
            if next.is_some_and(|next| next < from) {
                *next = find(&format!("<{name}"), from);
            } else if ends.is_none() && *name == tag {
                *next = None;
            }
        }
    }
    kept.push_str(&page[from..]);
    shown(&kept)
}

/// A piece of a page without its tags.
fn shown(piece: &str) -> String {
    let mut text = String::new();
    for (at, part) in piece.split('<').enumerate() {
        // What stands before the first `<` is in no tag.
        let after = if at == 0 {
            Some(part)
        } else {
            part.split_once('>').map(|(_, after)| after)
        };
        text.push(' ');
        text.push_str(after.unwrap_or_default());
    }
    for (name, means) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(name, means);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pages_say_their_titles_and_texts_themselves() {
        let nginx = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>";
        let untitled = "<!DOCTYPE html><style>p { color: red }</style><p>No <b>healthy</b>&nbsp;upstream &amp; no cache</p>";
        for (body, said) in [
            (nginx, Some("502 Bad Gateway")),
            (untitled, Some("No healthy upstream & no cache")),
            ("model is overloaded\n", Some("model is overloaded")),
            ("a < b", Some("a < b")),
            ("event: error\ndata: {\"a\":1}\n\n", Some("{\"a\":1}")),
            (" \n", None),
            ("\u{1f}\u{8b}\u{8}", None),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), said, "{body}");
        }
    }

    /// Read once for every tag, such a page would take minutes.
    #[test]
    fn a_page_is_read_once_however_many_tags_it_has() {
        for (tags, end) in [
            ("<script></script", ">the end"),
            ("<script></script", "><style></style>the end"),
            ("<script><style></script", "></style>the end"),
            ("<style><script></style", "></script>the end"),
        ] {
            let page = tags.repeat((1 << 20) / tags.len()) + end;
            assert_eq!(plain(&page), "the end", "{tags}");
        }
        let unclosed = "<p>a</p><script>b<style>c</style>d<script>e";
        assert_eq!(plain(unclosed), "a b d e");
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "(<[a-z/!é]{0,7}>?|[a-zé ]|İ){0,24}") {
            drop(words(page.as_bytes()));
            drop(plain(&page));
        }
    }
}
