//! The words of alerts: what has happened, and what can be done. Pure.

use std::time::{Duration, UNIX_EPOCH};

use crate::Alert;
use tollgate_base::Timestamp;
use tollgate_config::units::Span;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Measure, Meter, Per, TAG};

/// `2026-12-03 14:05 UTC`
pub(crate) fn date(at_ms: u64) -> String {
    let text = UNIX_EPOCH
        .checked_add(Duration::from_millis(at_ms))
        .map(|time| Timestamp(time).to_string())
        .unwrap_or_default();
    let minute: String = text.chars().take(16).collect();
    format!("{} UTC", minute.replace('T', " "))
}

/// `access key `app``
fn whose(meter: &Meter, name: Option<&str>) -> String {
    // A tag's name has no colon.
    let of_tag = meter.subject.strip_prefix(TAG).and_then(|id| {
        let (left, value) = id.split_once('=')?;
        let (configuration, name) = left.rsplit_once(':')?;
        Some(format!(
            "`{name}={value}` (configuration `{configuration}`)"
        ))
    });
    if let Some(of_tag) = of_tag {
        return of_tag;
    }
    match meter.subject.split_once(':') {
        Some(("key", id)) => format!("access key `{id}`"),
        Some(("budget", id)) => format!("`{}`", name.unwrap_or(id)),
        Some((kind, id)) => format!("{kind} `{id}`"),
        None => meter.subject.to_string(),
    }
}

fn time_of(measure: Measure) -> String {
    match measure {
        Measure::Budget(period) if period.per() != Per::Total => {
            format!(" a {}", period.per().name())
        }
        _ => String::new(),
    }
}

/// A budget, and what is used of it.
pub(crate) struct Used<'a> {
    pub(crate) account: &'a str,
    pub(crate) meter: &'a Meter,
    /// How it is called, if it is a shared one.
    pub(crate) name: Option<&'a str>,
    pub(crate) used: NanoUsd,
    pub(crate) most: NanoUsd,
    /// When it begins anew (Unix time, ms); `None` is never.
    pub(crate) anew_ms: Option<u64>,
}

impl Used<'_> {
    fn alert(&self, title: String, text: String) -> Alert {
        Alert::new("budget", &self.meter.to_string(), title, text)
            .of(self.account)
            .fact("used_usd", plain(self.used))
            .fact("budget_usd", plain(self.most))
    }

    /// A share of it is used.
    pub(crate) fn reached(&self, percent: u8) -> Alert {
        let (whose, per) = (whose(self.meter, self.name), time_of(self.meter.measure));
        let (used, most) = (self.used, self.most);
        let title = format!("Budget of {whose}: {percent}% of {most}{per} is used");
        let then = match self.anew_ms {
            Some(end) => format!("It begins anew at {}", date(end)),
            None => "It does not begin anew".to_owned(),
        };
        let what = if percent >= 100 {
            "Its requests are refused now"
        } else {
            "At 100% its requests are refused"
        };
        let text = format!(
            "{used} of {most} is used, in the account `{}`. {what}. {then}; more can be allowed with its limits.",
            self.account
        );
        self.alert(title, text).fact("percent", percent)
    }

    /// It will be used up.
    pub(crate) fn forecast(&self, at_ms: u64) -> Alert {
        let (whose, per) = (whose(self.meter, self.name), time_of(self.meter.measure));
        let (used, most, at) = (self.used, self.most, date(at_ms));
        let title = format!("Budget of {whose}: {most}{per} will be reached on {at}");
        let text = format!(
            "{used} of {most} is used, in the account `{}`. At the pace of the last days the rest is used up on {at}; \
             its requests are refused then.",
            self.account
        );
        self.alert(title, text).fact("reached_on", at)
    }
}

/// What an account has left of the grants that it may spend.
pub(crate) struct Left<'a> {
    pub(crate) account: &'a str,
    pub(crate) left: NanoUsd,
    pub(crate) granted: NanoUsd,
}

impl Left<'_> {
    fn alert(&self, title: String, text: String) -> Alert {
        Alert::new("credits", self.account, title, text)
            .of(self.account)
            .fact("left_usd", plain(self.left))
            .fact("granted_usd", plain(self.granted))
    }

    /// A share of them is used.
    pub(crate) fn reached(&self, percent: u8) -> Alert {
        let (account, left, granted) = (self.account, self.left, self.granted);
        let title = format!("Credits of account `{account}`: {percent}% is used, {left} is left");
        let text = format!(
            "{left} is left of the grants of {granted} that it may still spend. Where credits are enforced, its requests are \
             refused once nothing is left. `tollgate credits grant --account {account} --usd AMOUNT` gives more."
        );
        self.alert(title, text).fact("percent", percent)
    }

    /// They will be used up.
    pub(crate) fn forecast(&self, at_ms: u64) -> Alert {
        let (account, left, at) = (self.account, self.left, date(at_ms));
        let title = format!("Credits of account `{account}` will be used up on {at}");
        let text = format!(
            "{left} is left, which at the pace of the last days is used up on {at}. \
             `tollgate credits grant --account {account} --usd AMOUNT` gives more."
        );
        self.alert(title, text).fact("reached_on", at)
    }
}

/// An access key spends far more than usual.
pub(crate) fn unusual(account: &str, key: &str, (today, average): (NanoUsd, NanoUsd)) -> Alert {
    let title = format!("Access key `{key}` has spent {today} today, usually {average} a day");
    let text = format!(
        "Today (UTC) it has spent {today}; on an average day of the last two weeks {average}. It is a key of the account \
         `{account}`. If that is not meant, revoke it or give it a budget."
    );
    Alert::new("spend", &format!("key:{key}"), title, text)
        .of(account)
        .fact("today_usd", plain(today))
        .fact("average_usd", plain(average))
}

/// An account's books do not balance.
pub(crate) fn unbalanced(account: &str, faults: &[String]) -> Alert {
    let title = format!("The books of account `{account}` do not balance");
    let text = format!(
        "{}. See `tollgate ledger verify`, and the gateways' logs for what was lost.",
        faults.join("; ")
    );
    Alert::new("books", account, title, text).of(account)
}

/// A provider's breaker is open.
pub(crate) fn open_breaker(provider: &str) -> Alert {
    let title = format!("The breaker of provider `{provider}` is open");
    let text = "It could not be reached several times in a row. Requests try it last until one reaches it again; those \
                that nobody else can serve may fail.";
    Alert::new(
        "breaker",
        &format!("provider:{provider}"),
        title,
        text.to_owned(),
    )
}

/// The bank is away since a time (Unix time, ms), or was until another.
pub(crate) fn away(since_ms: u64, until_ms: Option<u64>) -> Alert {
    let since = date(since_ms);
    let (title, text) = match until_ms {
        None => (
            format!("The bank is away since {since}"),
            "Requests are served from what was borrowed before; beyond that `ledger.when_unreachable` decides. The \
             gateway's log says why it cannot be reached. Each gateway that cannot reach it says so by itself.",
        ),
        Some(until_ms) => (
            format!("The bank was away from {since} to {}", date(until_ms)),
            "It is there again. What was charged meanwhile is told to it now.",
        ),
    };
    Alert::new("bank", "bank", title, text.to_owned()).fact("since", since)
}

/// Prices are older than they may be.
pub(crate) fn old_prices(feed: Option<&str>, from_ms: u64, most: Duration) -> Alert {
    let (from, most) = (date(from_ms), Span(most));
    let subject = feed.map_or("prices:built-in".to_owned(), |id| format!("prices:{id}"));
    let (title, text) = match feed {
        Some(id) => (
            format!("The price feed `{id}` was last read on {from}"),
            format!(
                "Its prices are older than {most} (`alerts.prices_older_than`). The gateway's log and `tollgate catalog \
                 diff` say why it cannot be read."
            ),
        ),
        None => (
            format!("The built-in prices are of {from}"),
            format!(
                "They are older than {most} (`alerts.prices_older_than`), and there is no price feed. A newer version has \
                 newer ones; `catalog.feeds` names feeds."
            ),
        ),
    };
    Alert::new("prices", &subject, title, text).fact("from", from)
}

/// US dollars as decimal text, for programs.
fn plain(amount: NanoUsd) -> String {
    amount.to_string().replacen('$', "", 1)
}
