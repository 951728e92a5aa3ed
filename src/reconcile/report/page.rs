//! Pages of a report, and whether they are all there.
//!
//! Both providers answer pages of time buckets, the oldest first, one for every interval, also for those in which
//! nothing was used; `has_more` says that another page follows, and `next_page` is what to ask for it with. So the next
//! page begins where this one ends, a day without a bucket was not asked for, and a bucket is on one page only.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_ledger::bank::Day;

use super::fault::{Fault, shown};
use super::json::{Fields, Node};
use crate::billed::{Billed, Vendor};
use crate::day::{DAY, Period, day_of, show_day};

/// What a page is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Money.
    Costs,
    /// Quantities, of this kind of request.
    Usage(String),
}

impl Kind {
    fn words(&self) -> String {
        match self {
            Kind::Costs => "the cost report".to_owned(),
            Kind::Usage(of) => format!("the usage report of {of}"),
        }
    }
}

/// What a report says of one thing in one interval.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What it is about; another page that says something of the same in the same interval repeats it.
    pub(super) identity: String,
    pub(super) rows: Vec<Billed>,
}

/// An interval.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Unix time (s).
    pub(super) start: u64,
    /// Unix time (s), itself not included.
    pub(super) end: u64,
    pub(super) entries: Vec<Entry>,
}

/// A page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) vendor: Vendor,
    /// `None` if nothing on it says so.
    pub(super) kind: Option<Kind>,
    pub(super) buckets: Vec<Bucket>,
    /// What to ask for the next page with, if there is one.
    pub(super) more: Option<String>,
    /// Whether it has a bucket for an interval in which nothing was used.
    pub(super) lists_empty: bool,
}

impl Page {
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault {
            line: Some(self.line),
            ..Fault::of(&self.file, what)
        }
    }

    fn begins(&self) -> Option<u64> {
        self.buckets.iter().map(|bucket| bucket.start).min()
    }

    fn ends(&self) -> Option<u64> {
        self.buckets.iter().map(|bucket| bucket.end).max()
    }

    /// Whether it may be a page of this kind.
    fn may_be(&self, kind: &Kind) -> bool {
        self.kind.as_ref().is_none_or(|own| own == kind)
    }
}

/// Reads a result, which is of a day, and notes what is worth knowing about it.
type ReadEntry = fn(&Node<'_>, Day, &mut Vec<String>) -> Result<(Kind, Entry), Fault>;

/// How one provider's API writes a page.
pub(super) struct Api {
    pub(super) vendor: Vendor,
    /// The field of a bucket that says when it begins, and the one that says when it ends: after a day if it is missing.
    pub(super) span: [&'static str; 2],
    /// The fields that may have a bucket's results.
    pub(super) results: &'static [&'static str],
    /// Reads a time as Unix time (s).
    pub(super) unix: fn(&Node<'_>) -> Result<u64, Fault>,
    /// Reads a result.
    pub(super) entry: ReadEntry,
}

impl Api {
    /// Reads a page.
    pub(super) fn page(
        &self,
        document: &Fields<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Page, Fault> {
        let mut kind = None;
        let mut buckets = Vec::new();
        for node in document.required("data")?.items()? {
            let bucket = node.fields()?;
            let [start, end] = self.span;
            let start = bucket.required(start)?;
            let seconds = (self.unix)(&start)?;
            let end = match bucket.get(end) {
                Some(end) => (self.unix)(&end)?,
                None => seconds.saturating_add(DAY),
            };
            let day = day(seconds, end).map_err(|what| start.fault(what))?;
            let results = self.results.iter().find_map(|name| bucket.get(name));
            let results = results.ok_or_else(|| node.fault("`results` is missing"))?;
            let mut entries = Vec::new();
            for result in results.items()? {
                let (own, entry) = (self.entry)(&result, day, notes)?;
                if kind.get_or_insert_with(|| own.clone()) != &own {
                    let what = "costs and usage are in one page: save each by itself";
                    return Err(result.fault(what));
                }
                entries.push(entry);
            }
            buckets.push(Bucket {
                start: seconds,
                end,
                entries,
            });
        }
        Ok(Page {
            file: document.node.source.name.to_owned(),
            line: document.node.line(),
            vendor: self.vendor,
            kind,
            buckets,
            more: more(document)?,
            lists_empty: true,
        })
    }
}

/// What to ask for the next page with.
fn more(document: &Fields<'_>) -> Result<Option<String>, Fault> {
    if document.flag("has_more")? != Some(true) {
        return Ok(None);
    }
    match document.text("next_page")? {
        Some(token) => Ok(Some(token)),
        None => Err(document
            .node
            .fault("`has_more` is true, but there is no `next_page` to continue with")),
    }
}

/// The day of an interval, which may not be longer than one.
pub(super) fn day(start: u64, end: u64) -> Result<Day, String> {
    if end <= start {
        return Err("the interval ends before it begins".to_owned());
    }
    if end - start > DAY {
        return Err("the interval is longer than a day: fetch it with bucket_width=1d".to_owned());
    }
    Ok(day_of(start))
}

/// Refuses pages of which some are missing or there twice, or that do not have every day of the period.
pub(super) fn check(pages: &[Page], period: Period) -> Result<(), Fault> {
    for page in pages {
        follows(page, pages)?;
    }
    repeated(pages)?;
    let kinds: BTreeSet<&Kind> = pages.iter().filter_map(|page| page.kind.as_ref()).collect();
    for kind in kinds {
        covers(pages, kind, period)?;
    }
    Ok(())
}

/// A page that is not the last one is followed.
fn follows(page: &Page, pages: &[Page]) -> Result<(), Fault> {
    let Some(token) = &page.more else {
        return Ok(());
    };
    let end = page.ends();
    let next = pages.iter().any(|other| {
        let related = match (&page.kind, &other.kind) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        related && end.is_some() && other.begins() == end
    });
    if next {
        return Ok(());
    }
    let kind = page
        .kind
        .as_ref()
        .map_or("the report".to_owned(), Kind::words);
    let at = end.map_or(String::new(), |end| format!(" at {}", moment(end)));
    Err(page.fault(format!(
        "has_more is true, and no file has the page that continues {kind}{at}: save what page={} answers, and give \
         that file as well",
        shown(token)
    )))
}

/// Nothing is reported by two pages.
fn repeated(pages: &[Page]) -> Result<(), Fault> {
    let mut seen: BTreeMap<(&Option<Kind>, u64, &str), usize> = BTreeMap::new();
    for (number, page) in pages.iter().enumerate() {
        for bucket in &page.buckets {
            for entry in &bucket.entries {
                let what = (&page.kind, bucket.start, entry.identity.as_str());
                let first = *seen.entry(what).or_insert(number);
                if first != number {
                    let other = &pages[first];
                    return Err(page.fault(format!(
                        "it repeats what {}:{} tells of {}: give each page once",
                        other.file,
                        other.line,
                        moment(bucket.start)
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Every day of the period has a bucket.
fn covers(pages: &[Page], kind: &Kind, period: Period) -> Result<(), Fault> {
    let own: Vec<&Page> = pages.iter().filter(|page| page.may_be(kind)).collect();
    if own.iter().any(|page| !page.lists_empty) {
        return Ok(());
    }
    let buckets = own.iter().flat_map(|page| &page.buckets);
    let there: BTreeSet<Day> = buckets.map(|bucket| day_of(bucket.start)).collect();
    let missing: Vec<Day> = period.days().filter(|day| !there.contains(day)).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let files: BTreeSet<&str> = own.iter().map(|page| page.file.as_str()).collect();
    let files: Vec<&str> = files.into_iter().collect();
    let more = match missing.len() {
        1 => String::new(),
        many => format!(" and {} more of its days", many - 1),
    };
    Err(Fault::of(
        &files.join(", "),
        format!(
            "{} has nothing of {}{more}: fetch all of {} to {}, or compare fewer days",
            kind.words(),
            show_day(*first),
            show_day(period.from),
            show_day(period.to)
        ),
    ))
}

/// `2026-11-29`, or with a time if it is not midnight.
fn moment(seconds: u64) -> String {
    let day = show_day(day_of(seconds));
    match seconds % DAY {
        0 => day,
        rest => format!("{day}T{:02}:{:02}Z", rest / 3_600, rest / 60 % 60),
    }
}
