//! What a client says a request is for, so that its cost can be told apart: `feature=search,customer=42`. Pure.

use std::fmt;
use std::sync::Arc;

/// How many tags a request may have.
pub const MOST: usize = 8;

/// The tag whose value, where it has a budget and the client says none, is what tells the request's session.
pub const SESSION: &str = "session";

/// Longest name, in bytes.
pub const LONGEST_NAME: usize = 64;

/// Longest value, in bytes.
pub const LONGEST_VALUE: usize = 128;

/// The tags of a request, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<str>>);

impl Tags {
    /// Reads tags as a client writes them.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn parse(written: &str) -> Result<Tags, BadTags> {
        let mut all: Vec<(&str, &str)> = Vec::new();
        for tag in written.split(',').map(str::trim) {
            if tag.is_empty() {
                continue;
            }
            let (name, value) = tag.split_once('=').ok_or(BadTags::NoValue)?;
            if !is_name(name) {
                return Err(BadTags::Name);
            }
            if !is_value(value) {
                return Err(BadTags::Value);
            }
            if all.iter().any(|(known, _)| *known == name) {
                return Err(BadTags::Twice);
            }
            if all.len() == MOST {
                return Err(BadTags::TooMany);
            }
            all.push((name, value));
        }
        all.sort_unstable();
        let all: Vec<String> = all
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(Tags((!all.is_empty()).then(|| all.join(",").into())))
    }

    /// Returns them in one form, the same for all ways to write them; `None` if there are none.
    pub fn text(&self) -> Option<&Arc<str>> {
        self.0.as_ref()
    }

    /// Returns these and one more, whose name and value must be such as tags have.
    pub fn with(&self, name: &str, value: &str) -> Tags {
        let mut all: Vec<(&str, &str)> = self.iter().chain([(name, value)]).collect();
        all.sort_unstable();
        let all: Vec<String> = (all.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Tags(Some(all.join(",").into()))
    }

    /// Returns each name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(self.0.as_deref().unwrap_or_default())
    }

    /// Returns the value of the tag with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value)
    }
}

/// Returns the names and values of a text that [`Tags::text`] gave.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|tag| tag.split_once('='))
}

/// Returns whether a tag may have this name.
pub fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fits)
}

/// Returns whether a tag may have this value.
pub fn is_value(value: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.:@/+".contains(&b);
    (1..=LONGEST_VALUE).contains(&value.len()) && value.bytes().all(fits)
}

/// Why tags are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTags {
    /// One is no pair.
    NoValue,
    /// A name is none.
    Name,
    /// A value is none.
    Value,
    /// One is there twice.
    Twice,
    /// There are more than [`MOST`].
    TooMany,
}

impl fmt::Display for BadTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadTags::NoValue => f.write_str("write each as `name=value`, with commas between them"),
            BadTags::Name => write!(
                f,
                "a name is of lowercase letters, digits, `_`, `-` and `.`, at most {LONGEST_NAME}"
            ),
            BadTags::Value => write!(
                f,
                "a value is of letters, digits and `_-.:@/+`, 1 to {LONGEST_VALUE}"
            ),
            BadTags::Twice => f.write_str("name each once"),
            BadTags::TooMany => write!(f, "send at most {MOST}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_one_form() {
        for (written, text) in [
            ("", None),
            (" , ", None),
            ("feature=search", Some("feature=search")),
            (
                " feature=search , customer=a@b/4+2:x,",
                Some("customer=a@b/4+2:x,feature=search"),
            ),
        ] {
            let tags = Tags::parse(written).unwrap();
            assert_eq!(tags.text().map(|text| &**text), text, "{written}");
        }
        let tags = Tags::parse("b=2,a=1").unwrap();
        assert_eq!((tags.get("b"), tags.get("c")), (Some("2"), None));
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        let (long, many) = ("n".repeat(LONGEST_NAME + 1), "v".repeat(LONGEST_VALUE + 1));
        let nine: Vec<String> = (0..9).map(|n| format!("t{n}=1")).collect();
        for (written, why) in [
            ("search".to_owned(), BadTags::NoValue),
            ("=1".to_owned(), BadTags::Name),
            ("Feature=1".to_owned(), BadTags::Name),
            (format!("{long}=1"), BadTags::Name),
            ("a=".to_owned(), BadTags::Value),
            ("a=b c".to_owned(), BadTags::Value),
            ("a=b=c".to_owned(), BadTags::Value),
            (format!("a={many}"), BadTags::Value),
            ("a=1,a=2".to_owned(), BadTags::Twice),
            (nine.join(","), BadTags::TooMany),
        ] {
            assert_eq!(Tags::parse(&written), Err(why), "{written}");
        }
    }
}
