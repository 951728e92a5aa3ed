//! Fetches a provider's own figures.
//!
//! Over https only, without following redirects, so that the admin key goes to nobody else; it is never written down.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;
use tollgate_base::{Secret, clock};
use tollgate_reconcile::{Period, show_day};
use ureq::Agent;
use ureq::http::{Request, StatusCode};

use super::{Api, REPORT, Reconcile};
use crate::boot::fetch::agent;
use crate::cli::escaped;
use crate::cli::progress::Progress;
use crate::cli::table::plain;

/// Longest wait for a page.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest time for all pages.
const ALL: Duration = Duration::from_secs(600);

/// Most bytes of a page.
const PAGE: u64 = 64 << 20;

/// Most pages of a report.
const PAGES: usize = 1_000;

/// How often a page is asked for, if the provider says that it was too often or that it failed.
const TRIES: u32 = 5;

/// Longest pause between them.
const PAUSE: Duration = Duration::from_secs(30);

/// A report: its path, and what to ask.
struct Report {
    path: &'static str,
    query: Vec<(&'static str, String)>,
}

/// The pages of all reports of a period, by where they are from.
pub(super) fn files(asked: &Reconcile, period: Period) -> Result<Vec<(String, String)>, String> {
    let api = api(asked)?;
    let key = key(asked, api)?;
    let url = asked.url.as_deref().unwrap_or(match api {
        Api::Openai => "https://api.openai.com",
        Api::Anthropic => "https://api.anthropic.com",
    });
    let url = url.trim_end_matches('/').trim_end_matches("/v1");
    if !url.starts_with("https://") {
        return Err(format!(
            "{} is not https: an admin key is sent over TLS only",
            plain(url)
        ));
    }
    let mut client = Client {
        agent: agent(asked.ca.as_deref(), PATIENCE)?,
        api,
        key,
        progress: Progress::begin(),
        end: clock::now() + ALL,
        left: REPORT,
    };
    let mut files = Vec::new();
    for report in reports(api, period) {
        client.fetch(url, &report, &mut files)?;
    }
    Ok(files)
}

fn api(asked: &Reconcile) -> Result<Api, String> {
    match (asked.api, asked.provider.as_str()) {
        (Some(api), _) => Ok(api),
        (None, "openai") => Ok(Api::Openai),
        (None, "anthropic") => Ok(Api::Anthropic),
        (None, other) => Err(format!(
            "whose API has the figures of `{}`? Say --api openai or --api anthropic",
            plain(other)
        )),
    }
}

fn key(asked: &Reconcile, api: Api) -> Result<Secret, String> {
    let text = match &asked.key_file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            format!(
                "the admin key cannot be read from {}: {error}",
                path.display()
            )
        })?,
        None => {
            let name = asked.key_env.as_deref().unwrap_or(match api {
                Api::Openai => "OPENAI_ADMIN_KEY",
                Api::Anthropic => "ANTHROPIC_ADMIN_KEY",
            });
            std::env::var(name).map_err(|_| {
                format!(
                    "an admin key is needed: set {}, name another variable with --key-env, or a file with --key-file",
                    plain(name)
                )
            })?
        }
    };
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the admin key is empty, or has characters that no key has".to_owned());
    }
    Ok(Secret::new(text))
}

fn reports(api: Api, period: Period) -> Vec<Report> {
    match api {
        Api::Openai => openai_reports(period),
        Api::Anthropic => anthropic_reports(period),
    }
}

fn openai_reports(period: Period) -> Vec<Report> {
    let (from, to) = period.seconds();
    let report = |path, limit: u32, groups: &[&str]| Report {
        path,
        query: [
            ("start_time", from.to_string()),
            ("end_time", to.to_string()),
            ("bucket_width", "1d".to_owned()),
            ("limit", limit.to_string()),
        ]
        .into_iter()
        .chain(groups.iter().map(|group| ("group_by", (*group).to_owned())))
        .collect(),
    };
    vec![
        report(
            "/v1/organization/costs",
            180,
            &["line_item", "project_id", "api_key_id"],
        ),
        report(
            "/v1/organization/usage/completions",
            31,
            &["model", "project_id", "api_key_id", "service_tier", "batch"],
        ),
        report(
            "/v1/organization/usage/embeddings",
            31,
            &["model", "project_id", "api_key_id"],
        ),
    ]
}

fn anthropic_reports(period: Period) -> Vec<Report> {
    let next = tollgate_ledger::bank::Day(period.to.0.saturating_add(1));
    let midnight = |day| format!("{}T00:00:00Z", show_day(day));
    let report = |path, groups: &[&str]| Report {
        path,
        query: [
            ("starting_at", midnight(period.from)),
            ("ending_at", midnight(next)),
            ("bucket_width", "1d".to_owned()),
            ("limit", "31".to_owned()),
        ]
        .into_iter()
        .chain(
            groups
                .iter()
                .map(|group| ("group_by[]", (*group).to_owned())),
        )
        .collect(),
    };
    vec![
        report(
            "/v1/organizations/cost_report",
            &["workspace_id", "description"],
        ),
        report(
            "/v1/organizations/usage_report/messages",
            &[
                "model",
                "workspace_id",
                "api_key_id",
                "service_tier",
                "inference_geo",
            ],
        ),
    ]
}

struct Client {
    agent: Agent,
    api: Api,
    key: Secret,
    progress: Progress,
    end: std::time::Instant,
    /// How many bytes of all reports may still come.
    left: u64,
}

impl Client {
    fn fetch(
        &mut self,
        base: &str,
        report: &Report,
        files: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let mut page = None;
        for number in 1..=PAGES {
            let url = address(base, report, page.as_deref());
            let name = format!("{base}{} (page {number})", report.path);
            let text = self.get(&url, &name)?;
            self.take(&text)?;
            let answer: Value = serde_json::from_str(&text)
                .map_err(|error| format!("{name}: the answer is no page of a report: {error}"))?;
            files.push((name.clone(), text));
            self.progress
                .say(|| format!("{number} pages of {} read", report.path));
            if answer["has_more"] != Value::Bool(true) {
                return Ok(());
            }
            let next = answer["next_page"].as_str().map(str::to_owned);
            if next.is_none() || next == page {
                return Err(format!(
                    "{name}: it has a next page, but does not say which"
                ));
            }
            page = next;
        }
        Err(format!(
            "{base}{} has more than {PAGES} pages: compare fewer days",
            report.path
        ))
    }

    /// Counts a page, which is kept in memory until all of them are compared.
    fn take(&mut self, page: &str) -> Result<(), String> {
        let size = u64::try_from(page.len()).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(size).ok_or_else(|| {
            format!(
                "the report is longer than {} MiB: compare fewer days",
                REPORT >> 20
            )
        })?;
        self.left = left;
        Ok(())
    }

    fn get(&self, url: &str, name: &str) -> Result<String, String> {
        let mut pause = Duration::from_secs(1);
        let mut tries = 1;
        loop {
            if clock::now() > self.end {
                return Err(format!(
                    "{name}: the report takes longer than {} minutes: compare fewer days",
                    ALL.as_secs() / 60
                ));
            }
            let request = Request::builder()
                .uri(url)
                .header("accept", "application/json");
            let request = match self.api {
                Api::Openai => {
                    request.header("authorization", format!("Bearer {}", self.key.expose()))
                }
                Api::Anthropic => request
                    .header("x-api-key", self.key.expose())
                    .header("anthropic-version", "2023-06-01"),
            };
            let request = request
                .body(())
                .map_err(|_| format!("{name}: this is no address"))?;
            let answer = self
                .agent
                .run(request)
                .map_err(|error| format!("{name}: it cannot be fetched: {error}"))?;
            let status = answer.status();
            let asked = answer.headers().get("retry-after");
            let asked = asked.and_then(|value| value.to_str().ok()?.parse().ok());
            let text = answer
                .into_body()
                .into_with_config()
                .limit(PAGE)
                .read_to_string();
            if status.is_success() {
                return text.map_err(|error| format!("{name}: it cannot be read: {error}"));
            }
            let again = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            pause = asked.map_or(pause * 2, Duration::from_secs).min(PAUSE);
            if !again || tries >= TRIES || clock::now() + pause > self.end {
                return Err(self.refused(name, status, &text.unwrap_or_default()));
            }
            tries += 1;
            let seconds = pause.as_secs();
            drop(writeln!(
                io::stderr(),
                "tollgate: {name} answers {}; again in {seconds} s",
                status.as_u16()
            ));
            std::thread::sleep(pause);
        }
    }

    /// What the provider says, without the key.
    fn refused(&self, name: &str, status: StatusCode, text: &str) -> String {
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        let said = said.replace(self.key.expose(), "***");
        let said: String = plain(&said).chars().take(300).collect();
        let hint = match status.as_u16() {
            401 | 403 => "; an admin key is needed, not one that applications send",
            _ => "",
        };
        format!(
            "{name}: the provider answers {}: {said}{hint}",
            status.as_u16()
        )
    }
}

fn address(base: &str, report: &Report, page: Option<&str>) -> String {
    let mut url = format!("{base}{}", report.path);
    let page = page.map(|page| ("page", page.to_owned()));
    let all = report.query.iter().cloned().chain(page);
    for (place, (name, value)) in all.enumerate() {
        url.push(if place == 0 { '?' } else { '&' });
        url.push_str(&format!("{name}={}", escaped(&value)));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_ledger::bank::Day;

    #[test]
    fn a_report_has_an_end() {
        let mut client = Client {
            agent: agent(None, PATIENCE).unwrap(),
            api: Api::Openai,
            key: Secret::new("sk-admin"),
            progress: Progress::begin(),
            end: clock::now(),
            left: 3,
        };
        std::thread::sleep(Duration::from_millis(5));
        let late = client.get("https://127.0.0.1:1", "page").unwrap_err();
        assert!(late.contains("10 minutes"), "{late}");
        assert_eq!(client.take("abc"), Ok(()));
        assert!(client.take("d").unwrap_err().contains("512 MiB"));
    }

    #[test]
    fn addresses_ask_for_whole_days_in_groups() {
        let period = Period {
            from: Day(20_758),
            to: Day(20_759),
        };
        let openai = &reports(Api::Openai, period)[0];
        assert_eq!(
            address("https://x", openai, Some("a b+/=")),
            "https://x/v1/organization/costs?start_time=1793491200&end_time=1793664000&bucket_width=1d&limit=180\
             &group_by=line_item&group_by=project_id&group_by=api_key_id&page=a%20b%2B%2F%3D"
        );
        let anthropic = &reports(Api::Anthropic, period)[0];
        let url = address("https://x", anthropic, None);
        assert!(
            url.starts_with(
                "https://x/v1/organizations/cost_report?starting_at=2026-11-01T00%3A00%3A00Z&ending_at=2026-11-03T"
            ),
            "{url}"
        );
        assert!(
            url.ends_with("&group_by[]=workspace_id&group_by[]=description"),
            "{url}"
        );
    }
}
