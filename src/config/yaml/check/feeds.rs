//! Price feeds, and what is kept of them.

use std::sync::Arc;
use std::time::Duration;

use super::{Checker, is_private_name};
use crate::catalog::{BaseUrl, Kept, Layer, forbidden_address, plain_http_allowed};
use crate::yaml::document::beside;
use crate::yaml::fault::Fault;
use crate::yaml::overlay::is_provider_id;
use crate::yaml::place::Place;
use crate::yaml::sources;
use crate::yaml::types::{self, PriceFormat};
use crate::yaml::units::Span;
use crate::yaml::valid::{Origin, PriceFeed, PriceFeeds};
use tollgate_base::Secret;

/// The most feeds.
const MOST: usize = 16;

const SHORTEST: Duration = Duration::from_secs(60);
const USUAL: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Checker<'_> {
    /// `providers` are the ids of all that there are.
    pub(super) fn feeds(
        &mut self,
        written: &types::PriceFeeds,
        providers: &[String],
    ) -> PriceFeeds {
        let section = Place::top("catalog");
        let place = section.key("feeds");
        let default = PriceFeeds::default();
        let directory = written.directory.clone().unwrap_or(default.directory);
        if directory.as_os_str().is_empty() {
            let hint = Some("leave it out for data/feeds".to_owned());
            self.fault(&section.key("directory"), "the path is empty", hint);
        }
        if written.feeds.len() > MOST {
            self.fault(&place, format!("more than {MOST} feeds"), None);
        }
        let mut feeds: Vec<PriceFeed> = Vec::new();
        for (i, feed) in written.feeds.iter().enumerate().take(MOST) {
            let place = place.index(i);
            let Some(feed) = self.feed(&place, feed, providers) else {
                continue;
            };
            if feeds.iter().any(|other| other.id == feed.id) {
                let hint = Some("give it an `id` of its own".to_owned());
                self.fault(&place, format!("a second feed `{}`", feed.id), hint);
            }
            feeds.push(feed);
        }
        PriceFeeds {
            feeds,
            directory,
            unread: Vec::new(),
        }
    }

    fn feed(
        &mut self,
        place: &Place,
        feed: &types::PriceFeed,
        all: &[String],
    ) -> Option<PriceFeed> {
        let Some(format) = feed.format else {
            let known = PriceFormat::ALL.map(PriceFormat::name).join(", ");
            self.fault(
                place,
                "`format` is missing",
                Some(format!("there are {known}")),
            );
            return None;
        };
        let id = feed.id.as_deref().unwrap_or(format.name());
        if !is_provider_id(id) {
            let hint = Some("use lowercase letters, digits, `-`, `_` and `.`".to_owned());
            let message = format!("`{id}` cannot be a feed's id");
            self.fault(&place.key("id"), message, hint);
        }
        let refresh = feed.refresh.map_or(USUAL, Span::duration);
        if !(SHORTEST..=LONGEST).contains(&refresh) {
            let message = format!("is not between {} and {}", Span(SHORTEST), Span(LONGEST));
            self.fault(&place.key("refresh"), message, None);
        }
        for (i, provider) in feed.providers.iter().flatten().enumerate() {
            let at = place.key("providers").index(i);
            self.known(&at, "provider", provider, all.iter().map(String::as_str));
        }
        if feed.providers.as_ref().is_some_and(Vec::is_empty) {
            let hint = Some("leave it out for all".to_owned());
            self.fault(
                &place.key("providers"),
                "a feed of no provider has no price",
                hint,
            );
        }
        let origin = match (&feed.file, &feed.url) {
            (Some(file), None) => {
                let at = place.key("file");
                if file.as_os_str().is_empty() {
                    self.fault(&at, "the path is empty", None);
                }
                Origin::File(beside(self.merged.file_of(&at), file))
            }
            (None, Some(url)) => self.feed_url(&place.key("url"), url)?,
            _ => {
                let hint = Some("write one of `file` and `url`".to_owned());
                self.fault(place, "it does not say where the feed is", hint);
                return None;
            }
        };
        Some(PriceFeed {
            id: Arc::from(id),
            origin,
            format,
            refresh,
            providers: feed.providers.clone(),
        })
    }

    fn feed_url(&mut self, place: &Place, written: &Secret) -> Option<Origin> {
        let url = self.called(place, written)?;
        let scheme = if url.tls { "https" } else { "http" };
        let path = written.expose().split_once("://");
        let path = path.map_or("", |(_, rest)| rest);
        let path = path.split('?').next().unwrap_or_default();
        let path = path.find('/').map_or("", |slash| &path[slash..]);
        Some(Origin::Url {
            url: written.clone(),
            shown: format!("{scheme}://{}{path}", url.authority),
        })
    }

    /// Somebody else's address that the gateway calls by itself. What is wrong is said without repeating it, which may
    /// hold a credential.
    pub(super) fn called(&mut self, place: &Place, written: &Secret) -> Option<BaseUrl> {
        let text = written.expose();
        if text.contains(['@', '#']) {
            let message = "an address has no user, password or fragment here";
            let hint = Some("write `%40` for an `@`; a token may stand in the query".to_owned());
            self.fault(place, message, hint);
            return None;
        }
        let url = match BaseUrl::parse(text) {
            Ok(url) => url,
            Err(message) => {
                self.fault(place, message, None);
                return None;
            }
        };
        // A name is judged whenever it is resolved.
        if let Some(address) = url.address() {
            if let Some(reason) = forbidden_address(address) {
                self.fault(
                    place,
                    format!("{address} must not be called: {reason}"),
                    None,
                );
            } else if !url.tls && !plain_http_allowed(address) {
                let message =
                    format!("{address} is neither loopback nor private, so it needs https");
                self.fault(place, message, None);
            }
        } else if !url.tls && !is_private_name(&url.host) {
            self.warn(
                place,
                "plain http is only spoken if this name stands for a loopback or private address",
                Some("write https:// if it does not".to_owned()),
            );
        }
        Some(url)
    }

    /// What is kept of the feeds, for the catalog. What cannot be read is no fault: a gateway starts all the same.
    pub(super) fn kept(&mut self, feeds: &mut PriceFeeds) -> Vec<Layer> {
        let mut layers = Vec::new();
        for feed in &feeds.feeds {
            let path = feeds.kept(&feed.id);
            self.sources.kept.insert(path.clone());
            let read = match sources::read_regular(&path, sources::LONGEST) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => Err(error.to_string()),
                Ok(bytes) => match str::from_utf8(&bytes) {
                    Ok(text) => Kept::parse(text),
                    Err(_) => Err("it is not UTF-8".to_owned()),
                },
            };
            match read {
                Ok(kept) => layers.push(Layer {
                    feed: feed.id.clone(),
                    kept: Arc::new(kept.of(feed.providers.as_deref())),
                }),
                Err(message) => {
                    feeds.unread.push(feed.id.clone());
                    self.warnings.push(Fault {
                        file: path,
                        line: None,
                        path: String::new(),
                        message: format!("what is kept of the price feed `{}`: {message}", feed.id),
                        hint: Some("it is written anew when the feed is read".to_owned()),
                    });
                }
            }
        }
        layers
    }
}
