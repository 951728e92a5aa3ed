//! Calls a gateway's admin API.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, StatusCode};

use crate::boot::fetch::{self, Believed};
use crate::cli::escaped;

/// Most items of a page.
pub const PAGE: u64 = 100;

/// Most bytes of an answer: a page of resources with all their models and metadata.
const LONGEST: u64 = 64 << 20;

/// Which running gateway, and who asks it.
#[derive(Debug, Args)]
pub struct Gateway {
    /// A running gateway's admin listener; http://127.0.0.1:9090 where a command needs one.
    #[arg(
        long,
        value_name = "URL",
        env = "TOLLGATE_ADMIN_URL",
        hide_env_values = true
    )]
    url: Option<String>,
    /// An API key of its, which a file or the environment shows to fewer.
    #[arg(
        long,
        value_name = "KEY",
        env = "TOLLGATE_ADMIN_KEY",
        hide_env_values = true
    )]
    key: Option<String>,
    /// A file with the API key, instead.
    #[arg(long, value_name = "PATH")]
    api_key_file: Option<PathBuf>,
    /// The authorities to trust for it (PEM), instead of the system's.
    #[arg(long, value_name = "PATH", env = "TOLLGATE_ADMIN_CA")]
    ca: Option<PathBuf>,
    /// The client certificate that it asks for (PEM).
    #[arg(
        long,
        value_name = "PATH",
        env = "TOLLGATE_ADMIN_CLIENT_CERT",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,
    /// The key of `--client-cert` (PEM).
    #[arg(
        long,
        value_name = "PATH",
        env = "TOLLGATE_ADMIN_CLIENT_KEY",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
}

/// What the gateway answered.
pub enum Answer {
    /// Done, with what the gateway sent back.
    Value(Value),
    /// Done, with nothing sent back.
    Nothing,
    /// Not done, and why.
    Refused(String),
}

/// A client of a gateway's admin API.
pub struct Client {
    agent: Agent,
    /// Without a `/` at its end.
    url: String,
    /// Empty without one.
    key: String,
    /// The account to act for; `None`: the API key's own, or `default`.
    account: Option<String>,
}

impl Gateway {
    /// Returns where its admin listener is, if that is said.
    pub fn named(&self) -> Option<&str> {
        self.url.as_deref().filter(|url| !url.is_empty())
    }

    /// Returns a client of it, for an account, which waits no longer than `patience` for each answer.
    ///
    /// # Errors
    /// When a file cannot be read, or does not hold what it should.
    pub fn client(&self, patience: Duration, account: Option<String>) -> Result<Client, String> {
        let key = match &self.api_key_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                format!(
                    "the API key cannot be read from {}: {error}",
                    path.display()
                )
            })?,
            None => self.key.clone().unwrap_or_default(),
        };
        let url = self.named().unwrap_or("http://127.0.0.1:9090");
        Ok(Client {
            agent: self.agent(patience)?,
            url: url.trim_end_matches('/').to_owned(),
            key: key.trim().to_owned(),
            account,
        })
    }

    /// Returns what calls it without an API key; where its address is not said, whoever answers is believed.
    ///
    /// # Errors
    /// As [`Gateway::client`].
    pub fn agent(&self, patience: Duration) -> Result<Agent, String> {
        let own = self.client_cert.as_deref().zip(self.client_key.as_deref());
        let believed = match self.named() {
            Some(_) => Believed::Vouched(self.ca.as_deref()),
            None => Believed::Anybody,
        };
        fetch::gateway(believed, own, patience)
    }
}

impl Client {
    /// Where the gateway is, without a `/` at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it has an API key.
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Gets what is no JSON: health, metrics.
    ///
    /// # Errors
    /// When the gateway cannot be reached.
    pub fn text(&self, path: &str) -> Result<(StatusCode, String), String> {
        self.exchange("GET", &format!("{}{path}", self.url), None)
    }

    /// Makes one call. `id` stands for `{id}` in `path`.
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
        let mut url = self.address(path, id);
        for (position, (name, value)) in query.iter().enumerate() {
            url.push(if position == 0 { '?' } else { '&' });
            url.push_str(&format!("{}={}", escaped(name), escaped(value)));
        }
        self.send(method, &url, body)
    }

    /// Adds the items of the next pages to the first page of the list at `path`, until there are `most`; `None`: all of
    /// them. `nextPageUri` then leads to what comes after the last item.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn rest_of(
        &self,
        path: &str,
        id: Option<&String>,
        mut list: Value,
        most: Option<u64>,
    ) -> Result<Value, String> {
        loop {
            let Some(next) = list["nextPageUri"].as_str() else {
                return Ok(list);
            };
            let Some((name, count)) = items(&list) else {
                return Ok(list);
            };
            let missing = most.map(|most| most.saturating_sub(count as u64));
            if missing == Some(0) {
                return Ok(list);
            }
            // Only its query is used, at our own URL: the key goes to nobody else, and the gateway may be known under
            // another address elsewhere.
            let query = next.split_once('?').map_or("", |(_, query)| query);
            let mut query: Vec<&str> = query.split('&').collect();
            let limit = missing.map(|missing| format!("limit={}", missing.min(PAGE)));
            if let Some(limit) = &limit {
                query.retain(|pair| !pair.starts_with("limit="));
                query.push(limit);
            }
            let url = format!("{}?{}", self.address(path, id), query.join("&"));
            let page = match self.send("GET", &url, None)? {
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

    /// The URL of a path in which `id` stands for `{id}`.
    fn address(&self, path: &str, id: Option<&String>) -> String {
        let path = path.replace("{id}", &escaped(id.map_or("", String::as_str)));
        format!("{}{path}", self.url)
    }

    fn send(&self, method: &str, url: &str, body: Option<&Value>) -> Result<Answer, String> {
        let (status, text) = self.exchange(method, url, body)?;
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

    fn exchange(
        &self,
        method: &str,
        url: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, String), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("accept", "application/json");
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
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
            .into_with_config()
            .limit(LONGEST)
            .read_to_string()
            .map_err(|error| wrong(&error))?;
        Ok((status, text))
    }
}

/// Returns the name of a list's first array, which holds its items, and how many there are.
pub fn items(list: &Value) -> Option<(String, usize)> {
    let fields = list.as_object()?.iter();
    fields
        .into_iter()
        .find_map(|(name, value)| Some((name.clone(), value.as_array()?.len())))
}

/// Returns the words of an error: what is wrong, its status and code, and a line for each field at fault.
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
