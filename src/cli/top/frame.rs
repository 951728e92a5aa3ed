//! A frame: lines for a terminal of some size, made of what [`super::look::compare`] says.

use serde_json::Value;
use tollgate_base::clock;

use super::Away;
use crate::cli::table::{plain, table};

/// The longest name that is shown whole.
const NAME: usize = 20;

/// A line, which fits.
pub struct Line {
    /// Without control characters.
    pub text: String,
    /// Whether it stands out.
    pub bold: bool,
}

/// Lines for a terminal with so many columns and rows. Without a view there was no second reading yet.
pub fn lines(
    url: &str,
    view: Option<&Value>,
    away: Option<&Away>,
    (columns, rows): (usize, usize),
) -> Vec<Line> {
    let mut lines = vec![(head(url, view, away), true)];
    if let Some(away) = away {
        lines.push((format!("  {}; it is asked on", away.words), false));
    }
    match view {
        Some(view) => {
            lines.push((String::new(), false));
            lines.extend(figures(view).into_iter().map(|line| (line, false)));
            let left = rows.saturating_sub(lines.len());
            lines.extend(tables(view, left));
        }
        None if away.is_none() => lines.push(("  looking".to_owned(), false)),
        None => {}
    }
    lines.truncate(rows);
    lines
        .into_iter()
        .map(|(text, bold)| Line {
            text: plain(&text)
                .chars()
                .take(columns)
                .collect::<String>()
                .trim_end()
                .to_owned(),
            bold,
        })
        .collect()
}

fn head(url: &str, view: Option<&Value>, away: Option<&Away>) -> String {
    let said = |name: &str| view.map_or("", |view| view[name].as_str().unwrap_or_default());
    let state = match (away, said("unready")) {
        (Some(away), _) => format!("AWAY for {} s", (clock::now() - away.since).as_secs()),
        (None, "") if view.is_some() => "ready".to_owned(),
        (None, "") => String::new(),
        (None, _) => "NOT READY".to_owned(),
    };
    format!(
        "tollgate {}  {url}  {state}  {}  q quits",
        said("version"),
        said("time")
    )
}

fn figures(view: &Value) -> Vec<String> {
    let (requests, latency, first) = (&view["requests"], &view["latency"], &view["firstToken"]);
    let (tokens, money) = (&view["tokens"], &view["money"]);
    let mut lines = vec![
        format!(
            "requests  {}/s  4xx {}/s  5xx {}/s  under way {}  WebSockets {}",
            number(&requests["perSecond"]),
            number(&requests["clientErrorsPerSecond"]),
            number(&requests["serverErrorsPerSecond"]),
            number(&requests["underWay"]),
            number(&requests["websockets"]),
        ),
        format!(
            "latency   median {}  95 % {}  first token {}  95 % {}",
            millis(&latency["medianMs"]),
            millis(&latency["p95Ms"]),
            millis(&first["medianMs"]),
            millis(&first["p95Ms"]),
        ),
        format!(
            "tokens    in {}/s  out {}/s",
            number(&tokens["inputPerSecond"]),
            number(&tokens["outputPerSecond"]),
        ),
        format!(
            "USD       {}/min  today {}  free {}  lent {}  held {} in {} holds",
            dollars(&money["usdPerMinute"]),
            money["usdToday"].as_str().unwrap_or("-"),
            dollars(&money["freeUsd"]),
            dollars(&money["lentUsd"]),
            dollars(&money["heldUsd"]),
            number(&money["holds"]),
        ),
    ];
    let notes: Vec<&str> = list(&view["notes"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if !notes.is_empty() {
        lines.push(format!(
            "look at   {}: see `tollgate doctor`",
            notes.join(", ")
        ));
    }
    lines
}

/// Both tables, in so many rows: that of access keys gets half of them, and what the other does not need.
fn tables(view: &Value, rows: usize) -> Vec<(String, bool)> {
    let providers = list(&view["providers"]).iter().map(|row| {
        vec![
            name(&row["provider"]),
            row["breaker"].as_str().unwrap_or("-").to_owned(),
            number(&row["attemptsPerSecond"]),
            number(&row["failedPerSecond"]),
            millis(&row["latency"]["medianMs"]),
            millis(&row["latency"]["p95Ms"]),
            number(&row["keysCooling"]),
            number(&row["outputTokensPerSecond"]),
            dollars(&row["usdPerMinute"]),
        ]
    });
    let heading = [
        "PROVIDER", "BREAKER", "TRIES/S", "FAILED/S", "MEDIAN", "95 %", "COOLING", "OUT/S",
        "USD/MIN",
    ];
    let providers = titled(&heading, 2, &providers.collect::<Vec<_>>());
    let keys = list(&view["accessKeys"]).iter().map(|row| {
        vec![
            name(&row["accessKey"]),
            number(&row["requestsPerSecond"]),
            number(&row["requests"]),
            number(&row["errors"]),
            number(&row["inputTokens"]),
            number(&row["outputTokens"]),
            row["usd"].as_str().unwrap_or("-").to_owned(),
        ]
    });
    let heading = [
        "ACCESS KEY",
        "REQUESTS/S",
        "TODAY",
        "ERRORS",
        "IN",
        "OUT",
        "USD",
    ];
    let keys = match view["withoutAccessKeys"].as_str() {
        Some(why) => vec![(why.to_owned(), false)],
        None => titled(&heading, 1, &keys.collect::<Vec<_>>()),
    };
    // A blank line in front of each.
    let left = rows.saturating_sub(2);
    let most = (left / 2).max(left.saturating_sub(keys.len()));
    let blank = || (String::new(), false);
    let mut lines = vec![blank()];
    lines.extend(providers.into_iter().take(most));
    lines.push(blank());
    lines.extend(keys);
    lines
}

/// A table whose heading stands out; its first `words` columns are words, the others figures.
fn titled(heading: &[&str], words: usize, rows: &[Vec<String>]) -> Vec<(String, bool)> {
    let figures: Vec<usize> = (words..heading.len()).collect();
    table(heading, rows, &figures)
        .lines()
        .enumerate()
        .map(|(at, line)| (line.to_owned(), at == 0))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// As much of a name as leaves room for figures.
fn name(value: &Value) -> String {
    // What moves the cursor must not count as a column.
    plain(value.as_str().unwrap_or_default())
        .chars()
        .take(NAME)
        .collect()
}

/// As few digits as tell it; `-` of nothing.
fn number(value: &Value) -> String {
    let Some(number) = value.as_f64() else {
        return "-".to_owned();
    };
    match number {
        _ if number.fract() == 0.0 && number.abs() < 10_000.0 => format!("{number:.0}"),
        _ if number.abs() < 10.0 => format!("{number:.2}"),
        _ if number.abs() < 10_000.0 => format!("{number:.0}"),
        _ if number.abs() < 1e6 => format!("{:.0}k", number / 1e3),
        _ if number.abs() < 1e9 => format!("{:.1}M", number / 1e6),
        _ => format!("{:.1}G", number / 1e9),
    }
}

fn millis(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.0} s", ms / 1e3),
    }
}

fn dollars(value: &Value) -> String {
    match value.as_f64() {
        None => "-".to_owned(),
        Some(usd) if usd != 0.0 && usd.abs() < 1.0 => format!("{usd:.4}"),
        Some(usd) => format!("{usd:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(providers: usize, keys: usize) -> Value {
        let provider = |number: usize| json!({"provider": format!("provider-{number}\u{1b}[2J"), "attemptsPerSecond": 1});
        let key = |number: usize| json!({"accessKey": format!("key-{number}"), "usd": "0.00012"});
        json!({
            "version": "0.2.0", "time": "2026-11-30T00:00:00Z",
            "requests": {"perSecond": 1234.5}, "money": {"usdPerMinute": 0.0123},
            "providers": (0..providers).map(provider).collect::<Vec<_>>(),
            "accessKeys": (0..keys).map(key).collect::<Vec<_>>(),
            "notes": ["the bank is away"],
        })
    }

    #[test]
    fn whatever_there_is_fits_the_terminal() {
        for size in [(80, 24), (20, 5), (1, 1), (300, 100)] {
            for (providers, keys) in [(0, 0), (3, 100), (100, 3), (100, 100)] {
                let away = Away {
                    since: clock::now(),
                    words: "gone\r\n".to_owned(),
                };
                for away in [None, Some(&away)] {
                    let lines = lines(
                        "http://127.0.0.1:9090",
                        Some(&view(providers, keys)),
                        away,
                        size,
                    );
                    assert!(lines.len() <= size.1, "{size:?}");
                    for line in lines {
                        assert!(
                            line.text.chars().count() <= size.0,
                            "{size:?}: {}",
                            line.text
                        );
                        assert!(!line.text.chars().any(char::is_control), "{}", line.text);
                    }
                }
            }
        }
    }

    #[test]
    fn both_tables_are_in_sight() {
        let lines = lines("u", Some(&view(100, 100)), None, (80, 24));
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let all = text.join("\n");
        for part in [
            "provider-0",
            "provider-5",
            "key-0",
            "key-4",
            "look at   the bank is away",
        ] {
            assert!(all.contains(part), "{part}:\n{all}");
        }
    }
}
