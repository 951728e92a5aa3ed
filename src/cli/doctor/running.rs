//! A gateway that runs, by what its admin listener says: health, readiness, metrics, the books.

use std::time::Duration;

use tollgate_base::clock;

use super::Findings;
use super::machine::rough;
use crate::cli::resources::call::{Answer, Client, Gateway};
use crate::cli::samples::{Sample, samples};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The age of what is known of the store, which is read every 400 ms.
const BEHIND: Duration = Duration::from_secs(10);

/// The age of a price feed that is no longer fetched.
const OLD: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Looks at a gateway by its admin listener.
pub fn look(gateway: &Gateway, findings: &mut Findings) {
    let client = match gateway.client(PATIENCE, None) {
        Ok(client) => client,
        Err(error) => return findings.error("health", error, "give files that can be read"),
    };
    let url = client.url();
    match client.text("/healthz") {
        Ok((status, _)) if status.is_success() => findings.ok("health", format!("{url} lives")),
        Ok((status, _)) => {
            let advice = "give the address of a gateway's admin listener (`admin.listen`)";
            return findings.error(
                "health",
                format!("{url} answers {status} to /healthz"),
                advice,
            );
        }
        Err(error) => {
            let advice = "start it, or give the address of its admin listener (`admin.listen`)";
            return findings.error("health", error, advice);
        }
    }
    match client.text("/readyz") {
        Ok((status, _)) if status.is_success() => findings.ok("health", "it wants requests"),
        Ok((_, why)) => findings.error(
            "health",
            format!("it wants no requests: {}", why.trim()),
            "if it is neither starting nor stopping, look at its store (`ledger.bank`)",
        ),
        Err(error) => findings.error("health", error, "try again"),
    }
    metrics(&client, findings);
    books(&client, findings);
}

fn metrics(client: &Client, findings: &mut Findings) {
    let text = match client.text("/metrics") {
        Ok((status, text)) if status.is_success() => text,
        Ok((status, _)) => {
            return findings.warning(
                "metrics",
                format!("/metrics answers {status}"),
                "give an API key with --key, of any role for all accounts",
            );
        }
        Err(error) => return findings.error("metrics", error, "try again"),
    };
    judge(&samples(&text), findings);
}

/// A metric that is 0 if all is well: what it means, and what to do.
const ZERO: [(&str, bool, &str, &str, &str); 8] = [
    (
        "tollgate_ledger_accounts_unbalanced",
        true,
        "books",
        "accounts whose books do not balance",
        "run `tollgate ledger verify`, keep its output, and report it: this is a bug",
    ),
    (
        "tollgate_ledger_lost_usd",
        true,
        "books",
        "USD that the bank has forgotten and no journal has any more",
        "the log names the accounts; give Redis `appendonly yes`",
    ),
    (
        "tollgate_ledger_accounts_away",
        true,
        "bank",
        "accounts whose last message the bank did not answer",
        "look at Redis, or at the SQLite file's disk",
    ),
    (
        "tollgate_ledger_usage_events_dropped",
        false,
        "bank",
        "usage events dropped while the bank was away",
        "charges and totals are whole; bring the bank back",
    ),
    (
        "tollgate_clock_disagreement_seconds",
        true,
        "clock",
        "seconds that a clock is off",
        "set the wrong clock right (NTP)",
    ),
    (
        "tollgate_catalog_feed_held_back",
        false,
        "prices",
        "models whose new prices wait for somebody",
        "see `tollgate catalog diff`, then `tollgate catalog accept`",
    ),
    (
        "tollgate_keys_cooling",
        false,
        "providers",
        "provider keys that cool down",
        "`tollgate cool-downs list` says which, until when and why",
    ),
    (
        "tollgate_access_log_dropped_total",
        false,
        "log",
        "lines of the access log that were dropped",
        "write it somewhere faster, or to a file (`log.access`)",
    ),
];

/// A metric that is 1 if all is well.
const ONE: [(&str, &str, &str, &str); 2] = [
    (
        "tollgate_config_last_reload_successful",
        "config",
        "its last configuration was refused, and the one before holds",
        "`tollgate check` says why; a restart would fail",
    ),
    (
        "tollgate_ledger_journal_ready",
        "journal",
        "its journal cannot be written, and requests are refused",
        "make room on the journal's disk, or mend its permissions",
    ),
];

fn judge(samples: &[Sample<'_>], findings: &mut Findings) {
    let samples = Samples(samples);
    zero(&samples, findings);
    for (name, area, what, advice) in ONE {
        if samples.first(name).is_some_and(|value| value != 1.0) {
            findings.error(area, what, advice);
        }
    }
    breakers(&samples, findings);
    files(&samples, findings);
    feeds(&samples, findings);
    ages(&samples, findings);
    let mut builds = samples.of("tollgate_build_info");
    if let Some(version) = builds.find_map(|sample| sample.labels.get("version")) {
        let own = env!("CARGO_PKG_VERSION");
        findings.ok("version", format!("it is {version}, this command {own}"));
    }
}

struct Samples<'s>(&'s [Sample<'s>]);

impl<'s> Samples<'s> {
    fn of(&self, name: &'static str) -> impl Iterator<Item = &'s Sample<'s>> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    fn first(&self, name: &'static str) -> Option<f64> {
        self.of(name).next().map(|sample| sample.value)
    }
}

fn zero(samples: &Samples<'_>, findings: &mut Findings) {
    for (name, is_error, area, what, advice) in ZERO {
        for sample in samples.of(name).filter(|sample| sample.value != 0.0) {
            let labels = sample.labels.iter();
            let labels: Vec<String> = labels
                .map(|(label, value)| format!("{label} {value}"))
                .collect();
            let whose = match labels.is_empty() {
                true => String::new(),
                false => format!(" ({})", labels.join(", ")),
            };
            let what = format!("{} {what}{whose}", sample.value);
            if is_error {
                findings.error(area, what, advice);
            } else {
                findings.warning(area, what, advice);
            }
        }
    }
}

fn breakers(samples: &Samples<'_>, findings: &mut Findings) {
    let states = samples.of("tollgate_breaker_state");
    let open = states.filter(|sample| sample.value == 1.0 && sample.label("state") == "open");
    for provider in open.map(|sample| sample.label("provider")) {
        findings.warning(
            "providers",
            format!("{provider} is not called: it could not be reached"),
            "look at its `base_url`, `ca` and the network; it is tried again by itself",
        );
    }
}

fn files(samples: &Samples<'_>, findings: &mut Findings) {
    let figures = (
        samples.first("process_open_fds"),
        samples.first("process_max_fds"),
    );
    if let (Some(open), Some(most)) = figures {
        let what = format!("it has opened {open} of {most} files");
        match open > most * 0.8 {
            true => findings.error(
                "files",
                what,
                "raise LimitNOFILE or ulimits.nofile; `proxy.max_connections` bounds clients",
            ),
            false => findings.ok("files", what),
        }
    }
}

fn feeds(samples: &Samples<'_>, findings: &mut Findings) {
    for sample in samples.of("tollgate_catalog_feed_last_success_timestamp_seconds") {
        let feed = sample.label("feed");
        let advice = "the log says why";
        if sample.value <= 0.0 {
            let what = format!("the price feed {feed} was not read since the start");
            findings.warning("prices", what, advice);
            continue;
        }
        let age = since(sample.value);
        match age > OLD {
            true => findings.warning(
                "prices",
                format!("the price feed {feed} was last read {} ago", rough(age)),
                advice,
            ),
            false => findings.ok(
                "prices",
                format!("the price feed {feed} was read {} ago", rough(age)),
            ),
        }
    }
}

/// How old what it serves by is: resources of the store, and the configuration.
fn ages(samples: &Samples<'_>, findings: &mut Findings) {
    let read = samples.first("tollgate_store_last_read_timestamp_seconds");
    if let Some(age) = read.filter(|at| *at > 0.0).map(since) {
        let what = format!("it has read keys and other resources {} ago", rough(age));
        match age > BEHIND {
            true => findings.error(
                "snapshot",
                what,
                "look at its store (`ledger.bank`): it serves on by what it knew",
            ),
            false => findings.ok("snapshot", what),
        }
    }
    let loaded = samples.first("tollgate_config_last_reload_success_timestamp_seconds");
    if let Some(age) = loaded.map(since) {
        let what = format!("its configuration was loaded {} ago", rough(age));
        findings.ok("config", what);
    }
}

/// The time since a moment in Unix seconds; zero if it is to come.
fn since(at: f64) -> Duration {
    Duration::try_from_secs_f64(clock::unix().as_secs_f64() - at).unwrap_or_default()
}

/// Whether the books balance, as the gateway itself verifies them.
fn books(client: &Client, findings: &mut Findings) {
    if !client.has_key() {
        let advice = "set TOLLGATE_ADMIN_KEY, or give --key";
        return findings.warning(
            "books",
            "without an API key they cannot be verified",
            advice,
        );
    }
    match client.call("GET", "/ledger/verification", None, &[], None) {
        Ok(Answer::Value(answer)) if answer["balanced"] == true => {
            let count = answer["accounts"].as_array().map_or(0, Vec::len);
            findings.ok("books", format!("the books of {count} accounts balance"));
        }
        Ok(Answer::Value(_)) => {
            findings.error("books", "the books do not balance", "keep the output of `tollgate ledger verify` and the journals, and report it: this is a bug");
        }
        // Without a ledger there are none.
        Ok(Answer::Refused(words)) if words.contains("(501") => {
            findings.ok("books", "there is no ledger")
        }
        Ok(Answer::Refused(words)) => {
            findings.error("books", words, "give an API key for all accounts")
        }
        Ok(Answer::Nothing) => findings.error("books", "no answer", "try again"),
        Err(error) => findings.error("books", error, "try again"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_the_metrics_say_is_judged() {
        let text = "# HELP x y
tollgate_ledger_accounts_unbalanced 2
tollgate_ledger_journal_ready 0
tollgate_config_last_reload_successful 1
tollgate_breaker_state{provider=\"p, q\",state=\"open\"} 1
tollgate_breaker_state{provider=\"r\",state=\"closed\"} 1
tollgate_keys_cooling{provider=\"p\"} 1
process_open_fds 90
process_max_fds 100
tollgate_build_info{version=\"9.9.9\"} 1
tollgate_store_last_read_timestamp_seconds 1
";
        let mut findings = Findings::default();
        judge(&samples(text), &mut findings);
        let bad: Vec<(Level, &str)> = findings
            .0
            .iter()
            .filter(|finding| finding.level != Level::Ok && finding.area != "snapshot")
            .map(|finding| (finding.level, finding.what.as_str()))
            .collect();
        assert_eq!(
            bad,
            [
                (Level::Error, "2 accounts whose books do not balance"),
                (
                    Level::Warning,
                    "1 provider keys that cool down (provider p)"
                ),
                (
                    Level::Error,
                    "its journal cannot be written, and requests are refused"
                ),
                (
                    Level::Warning,
                    "p, q is not called: it could not be reached"
                ),
                (Level::Error, "it has opened 90 of 100 files"),
            ]
        );
        let stale = findings.0.iter().find(|finding| finding.area == "snapshot");
        assert_eq!(stale.map(|finding| finding.level), Some(Level::Error));
    }
}
