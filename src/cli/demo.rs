//! `tollgate demo`: an hour's worth of requests in seconds, for a gateway that runs `conf/demo.yaml`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use ureq::Agent;

use super::ended;
use super::progress::Progress;
use tollgate_base::clock;

/// The access keys of `conf/demo.yaml`, which are public; those that ask more often stand more often.
const TOKENS: [&str; 4] = [
    "tg-demo-g1-DemoDemoDemoDemoDemoDemoDemoDemo",
    "tg-search-g1-DemoDemoDemoDemoDemoDemoDemoDemo",
    "tg-search-g1-DemoDemoDemoDemoDemoDemoDemoDemo",
    "tg-batch-g1-DemoDemoDemoDemoDemoDemoDemoDemo",
];

/// What is asked for in turn, the first of each first: what answers, what fails over, what fails. Their number has no
/// divisor in common with those of keys and surfaces, so that all come together.
const MODELS: [&[&str]; 17] = [
    &["north:echo"],
    &["north:429", "south:echo"],
    &["south:echo"],
    &["north:thinking"],
    &["demo:echo"],
    &["north:503", "north:overloaded", "south:echo"],
    &["north:echo", "south:echo"],
    &["south:error-event", "north:echo"],
    &["south:echo"],
    &["demo:400-context"],
    &["demo:no-usage"],
    &["north:cut-early", "south:echo"],
    &["north:echo"],
    &["south:cut"],
    &["south:long"],
    &["demo:unknown"],
    &["north:thinking", "south:echo"],
];

/// What is asked, in turn.
const PROMPTS: [&str; 4] = [
    "Say in three sentences what a gateway in front of several model providers is good for, and what it costs.",
    "List the cities of the delivery addresses below, each once, in the order in which they come.",
    "Hello",
    "Translate into German what the customer wrote, keep its tone, and leave the names of products as they are.",
];

/// Requests under way at once.
const AT_ONCE: u32 = 8;

/// The longest that a request may take, and the most that is read of an answer.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST: u64 = 16 << 20;

#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// Send an hour's worth of mixed requests to a gateway that runs conf/demo.yaml.
    #[command(
        after_help = "Chat completions, completions, responses, messages and embeddings, streamed or not, of three access keys: \
most are answered, some after a failover, some fail, and some are refused for a budget that is used up. Nothing \
leaves this machine.

Exit codes: 0 all were sent, 1 the gateway is not there or refuses the keys.

Examples:
  tollgate run --config conf/demo.yaml &
  tollgate demo traffic
  tollgate demo traffic --requests 5000 --url http://127.0.0.1:8080"
    )]
    Traffic(Traffic),
}

/// What is sent, and where.
#[derive(Debug, Args)]
pub struct Traffic {
    /// Where the gateway is.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// How many requests.
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub requests: u32,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Answered,
    FailedOver,
    Broken,
    Refused(u16),
}

impl End {
    fn words(&self) -> String {
        match self {
            End::Answered => "answered by the first candidate".to_owned(),
            End::FailedOver => "answered after a failover".to_owned(),
            End::Broken => "broken off".to_owned(),
            End::Refused(status) => format!("answered {status}"),
        }
    }
}

/// Runs the command.
pub fn run(command: &DemoCommand) -> io::Result<ExitCode> {
    let DemoCommand::Traffic(traffic) = command;
    let sender = Sender::new(&traffic.url);
    let sent = sender
        .look()
        .and_then(|()| sender.send_all(traffic.requests));
    match sent {
        Ok(ends) => tell(&ends),
        Err(words) => {
            let written = writeln!(io::stderr(), "tollgate: {words}");
            ended(written, ExitCode::FAILURE)
        }
    }
}

fn tell(ends: &BTreeMap<End, u32>) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for (end, count) in ends {
        writeln!(out, "{count:>6} {}", end.words())?;
    }
    writeln!(
        out,
        "The console shows them (with conf/demo.yaml at http://127.0.0.1:9090/), and alerts within a minute."
    )?;
    Ok(ExitCode::SUCCESS)
}

struct Sender {
    agent: Agent,
    url: String,
}

impl Sender {
    fn new(url: &str) -> Sender {
        // The keys go to nobody but the gateway.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .proxy(None);
        Sender {
            agent: config.build().into(),
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    /// Looks whether the gateway is there, knows the keys, and has what is asked for.
    fn look(&self) -> Result<(), String> {
        for token in TOKENS {
            let request = self.agent.get(format!("{}/v1/models", self.url));
            let request = request.header("authorization", format!("Bearer {token}"));
            let not_there = |error| {
                format!(
                    "no gateway answers at {}: {error}; start one with `tollgate run --config conf/demo.yaml`, or name \
                     it with --url",
                    self.url
                )
            };
            let answer = request.call().map_err(not_there)?;
            let status = answer.status().as_u16();
            let mut body = String::new();
            let mut read = answer.into_body().into_reader().take(LONGEST);
            let read = read.read_to_string(&mut body);
            let has_models = read.is_ok() && body.contains("north");
            let id = token.split('-').nth(1).unwrap_or_default();
            match status {
                200 if has_models => {}
                401 => {
                    return Err(format!(
                        "the gateway at {} does not know the access key `{id}` of conf/demo.yaml: run it with that \
                         configuration",
                        self.url
                    ));
                }
                200 => {
                    return Err(format!(
                        "the gateway at {} has no provider `north`: run it with this version's conf/demo.yaml",
                        self.url
                    ));
                }
                status => return Err(format!("the gateway at {} answers {status}", self.url)),
            }
        }
        Ok(())
    }

    /// Sends that many, several at once, and returns how they ended.
    fn send_all(&self, requests: u32) -> Result<BTreeMap<End, u32>, String> {
        let (next, begun) = (AtomicU32::new(0), clock::now());
        let (ends, ended) = mpsc::channel();
        let mut counted = BTreeMap::new();
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                let (next, ends) = (&next, ends.clone());
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= requests || ends.send(self.send(number)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(ends);
            let mut progress = Progress::begin();
            let mut lost = None;
            for (done, end) in (1_u32..).zip(ended) {
                progress.say(|| format!("{done} of {requests} requests"));
                match end {
                    Ok(end) => *counted.entry(end).or_insert(0) += 1,
                    // The others end by themselves, soon.
                    Err(words) => {
                        next.fetch_max(requests, Ordering::Relaxed);
                        lost = Some(words);
                    }
                }
            }
            let took = begun.elapsed().as_secs_f64();
            match lost {
                Some(words) => Err(words),
                None => {
                    // Nobody needs to read it.
                    drop(writeln!(
                        io::stderr(),
                        "tollgate: {requests} requests in {took:.1} s"
                    ));
                    Ok(counted)
                }
            }
        })
    }

    fn send(&self, number: u32) -> Result<End, String> {
        let at = |length: usize| usize::try_from(number).unwrap_or(0) % length;
        let token = TOKENS[at(TOKENS.len())];
        let models = MODELS[at(MODELS.len())];
        let (path, body) = body(at(5), at(3) == 0, models, PROMPTS[at(PROMPTS.len())]);
        let anthropic = path == "/v1/messages";
        let mut request = self.agent.post(format!("{}{path}", self.url));
        request = request.header("content-type", "application/json");
        request = match anthropic {
            true => request
                .header("x-api-key", token)
                .header("anthropic-version", "2023-06-01"),
            false => request.header("authorization", format!("Bearer {token}")),
        };
        let answer = match request.send(body.to_string()) {
            Ok(answer) => answer,
            Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(format!("the gateway at {} is gone", self.url));
            }
            Err(_) => return Ok(End::Broken),
        };
        let status = answer.status().as_u16();
        let attempts = answer.headers().get("x-tollgate-attempts");
        let again = attempts.is_some_and(|attempts| attempts != "1");
        let mut read = answer.into_body().into_reader().take(LONGEST);
        if io::copy(&mut read, &mut io::sink()).is_err() {
            return Ok(End::Broken);
        }
        Ok(match status {
            200 if again => End::FailedOver,
            200 => End::Answered,
            status => End::Refused(status),
        })
    }
}

/// The path and the body of a request on one of five surfaces.
fn body(surface: usize, stream: bool, models: &[&str], prompt: &str) -> (&'static str, Value) {
    let mut body = json!({"model": models.first(), "stream": stream});
    if models.len() > 1 {
        body["models"] = json!(models[1..]);
    }
    let messages = json!([{"role": "user", "content": prompt}]);
    let path = match surface {
        0 => {
            body["messages"] = messages;
            "/v1/chat/completions"
        }
        1 => {
            body["messages"] = messages;
            body["max_tokens"] = json!(1_000);
            "/v1/messages"
        }
        2 => {
            body["input"] = json!(prompt);
            "/v1/responses"
        }
        3 => {
            body["prompt"] = json!(prompt);
            "/v1/completions"
        }
        _ => {
            body = json!({"model": models.first(), "input": prompt});
            if models.len() > 1 {
                body["models"] = json!(models[1..]);
            }
            "/v1/embeddings"
        }
    };
    (path, body)
}
