//! How a kind of resource is called.

/// The words of a kind; the lists are of listing, creating, getting, updating and deleting.
pub(super) struct Words {
    /// As in `access key`.
    pub(super) what: &'static str,
    /// As in `AIGatewayAccessKey`.
    pub(super) name: &'static str,
    /// As in `access-keys`.
    pub(super) segment: &'static str,
    /// As in `/access-keys` and `/access-keys/{id}`.
    pub(super) paths: [&'static str; 2],
    /// As in `ListAIGatewayAccessKeys`.
    pub(super) ids: [&'static str; 5],
    /// As in `List AI Gateway access keys`.
    pub(super) summaries: [&'static str; 5],
    /// Markdown.
    pub(super) descriptions: [&'static str; 5],
}

/// The words of a kind: its path, its name in ids, an article, its title, what it is called in errors, and descriptions.
macro_rules! words {
    ($segment:literal, $name:literal, $article:literal $title:literal, $what:literal, $descriptions:expr) => {
        &$crate::admin::api::words::Words {
            what: $what,
            name: $name,
            segment: $segment,
            paths: [concat!("/", $segment), concat!("/", $segment, "/{id}")],
            ids: [
                concat!("List", $name, "s"),
                concat!("Create", $name),
                concat!("Get", $name),
                concat!("Update", $name),
                concat!("Delete", $name),
            ],
            summaries: [
                concat!("List ", $title, "s"),
                concat!("Create ", $article, " ", $title),
                concat!("Get ", $article, " ", $title),
                concat!("Update ", $article, " ", $title),
                concat!("Delete ", $article, " ", $title),
            ],
            descriptions: $descriptions,
        }
    };
}
pub(super) use words;
