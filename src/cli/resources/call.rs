//! Calls of the admin API.

use std::time::Duration;

use clap::ArgMatches;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, StatusCode};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the gateway answered.
pub enum Answer {
    /// Done, and this is what there is now.
    Value(Value),
    /// Done.
    Nothing,
    /// Not done, and why.
    Refused(String),
}

/// A gateway's admin API.
pub struct Client {
    agent: Agent,
    url: String,
    key: String,
    account: Option<String>,
}

impl Client {
    /// The gateway that the command line names.
    ///
    /// # Errors
    /// When there is no API key.
    pub fn of(matches: &ArgMatches) -> Result<Client, String> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let key = match text("api-key-file") {
            Some(path) => std::fs::read_to_string(&path)
                .map_err(|error| format!("the API key cannot be read from {path}: {error}"))?,
            None => std::env::var("TOLLGATE_ADMIN_KEY").unwrap_or_default(),
        };
        let key = key.trim().to_owned();
        if key.is_empty() {
            return Err("an API key is needed: set TOLLGATE_ADMIN_KEY to the one that the gateway was started with, or \
                        to one that `tollgate api-keys create` made"
                .to_owned());
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .proxy(None);
        Ok(Client {
            agent: config.build().into(),
            url: text("url")
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned(),
            key,
            account: text("account"),
        })
    }

    /// One call.
    ///
    /// # Errors
    /// When the gateway cannot be reached, or answers what no gateway answers.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        id: Option<&String>,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let path = path.replace("{id}", &escaped(id.map_or("", String::as_str)));
        let mut url = format!("{}{path}", self.url);
        for (place, (name, value)) in query.iter().enumerate() {
            url.push(if place == 0 { '?' } else { '&' });
            url.push_str(&format!("{}={}", escaped(name), escaped(value)));
        }
        self.send(method, &url, body)
    }

    /// A list with what its next pages hold, until there are `most` items.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn rest_of(&self, mut list: Value, most: Option<u64>) -> Result<Value, String> {
        let most = most.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        loop {
            let next = list["nextPageUri"].as_str().map(str::to_owned);
            let Some((name, count)) = items(&list) else {
                return Ok(list);
            };
            let Some(next) = next.filter(|_| count < most) else {
                if let Some(items) = list[&name].as_array_mut() {
                    items.truncate(most);
                }
                return Ok(list);
            };
            // Only the path is followed: the key goes to nobody else.
            let path = next
                .find("://")
                .and_then(|at| next[at + 3..].find('/').map(|slash| at + 3 + slash));
            let path = path.map_or("", |at| &next[at..]);
            let page = match self.send("GET", &format!("{}{path}", self.url), None)? {
                Answer::Value(page) => page,
                Answer::Refused(words) => return Err(words),
                Answer::Nothing => return Ok(list),
            };
            list["nextPageUri"] = page["nextPageUri"].clone();
            let more = page[&name].as_array().cloned().unwrap_or_default();
            if let Some(items) = list[&name].as_array_mut() {
                items.extend(more);
            }
        }
    }

    fn send(&self, method: &str, url: &str, body: Option<&Value>) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {}", self.key))
            .header("accept", "application/json");
        if let Some(account) = &self.account {
            request = request.header("x-tollgate-account", account);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let wrong = |error: &dyn std::fmt::Display| format!("{url} cannot be called: {error}");
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(text).map_err(|error| wrong(&error))?;
        let answer = self.agent.run(request).map_err(|error| {
            format!(
                "the gateway cannot be reached at {}: {error}; is its admin listener there?",
                self.url
            )
        })?;
        let status = answer.status();
        let text = answer
            .into_body()
            .read_to_string()
            .map_err(|error| wrong(&error))?;
        if status == StatusCode::NO_CONTENT {
            return Ok(Answer::Nothing);
        }
        let value: Value = serde_json::from_str(&text).map_err(|_| {
            format!(
                "{} answers {status} and no JSON: is it a gateway's admin listener?",
                self.url
            )
        })?;
        Ok(if status.is_success() {
            Answer::Value(value)
        } else {
            Answer::Refused(refusal(status, &value))
        })
    }
}

/// The name of the one array of a list, and how many it holds.
pub fn items(list: &Value) -> Option<(String, usize)> {
    let fields = list.as_object()?.iter();
    fields
        .into_iter()
        .find_map(|(name, value)| Some((name.clone(), value.as_array()?.len())))
}

fn refusal(status: StatusCode, error: &Value) -> String {
    let msg = error["msg"].as_str().unwrap_or("refused");
    let mut words = format!("{msg} ({}", status.as_u16());
    if let Some(code) = error["errorCode"].as_str() {
        words.push_str(&format!(", {code}"));
    }
    words.push(')');
    for (field, what) in error["details"].as_object().into_iter().flatten() {
        words.push_str(&format!(
            "\n  {field} {}",
            what.as_str().unwrap_or_default()
        ));
    }
    words
}

/// For a path's segment or a query.
fn escaped(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(text, PLAIN).to_string()
}
