//! Other proxies beside bare Pingora, in one run with the gateway, as far as they are on the path: nginx and HAProxy, which pass
//! requests through and know nothing of them, and two gateways, LiteLLM (`litellm`, with its extra `proxy`) and Portkey (`gateway`,
//! as npm calls it), which check no keys, count no money and log nothing here. And the same requests by another load generator
//! (`wrk`), which shows whether the ratios are of this one's making.
//!
//! By name only. Every repetition asks all of them, each time beginning with another.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::lab::{Credits, Kind, Lab, Proxy};
use crate::load::{self, Conn};
use crate::measures::{BURST, check_events, per};
use crate::procfs::Cpu;
use crate::prompts;
use crate::provider::{EVENTS, PACE};
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// The name of this measure.
pub const NAME: &str = "peers";
/// The sides of its table.
pub const SIDES: [&str; 2] = ["bare Pingora", "the other"];

/// As in the measure of 300 B prompts.
const CONNECTIONS: usize = 16;

/// What is asked.
#[derive(Clone, Copy)]
enum Ask {
    /// Plain answers to prompts of so many bytes, over so many connections.
    Prompts(usize, usize),
    /// The shortest of them, by `wrk`.
    Wrk,
    /// Streams whose provider writes event after event.
    Events,
}

const ASKS: [(&str, Ask); 5] = [
    ("300 B: CPU per request", Ask::Prompts(300, CONNECTIONS)),
    ("300 B, asked by wrk: CPU per request", Ask::Wrk),
    ("128 KiB: CPU per request", Ask::Prompts(128 * 1024, 8)),
    ("1 MiB: CPU per request", Ask::Prompts(1024 * 1024, 4)),
    ("unpaced streams: CPU per event", Ask::Events),
];

/// Another proxy.
struct Peer {
    name: &'static str,
    program: &'static str,
    /// What starts it, if it is not started by itself.
    by: &'static [&'static str],
    /// What it is started with: its directory, where it listens, where the provider does, and the model's name.
    configure: fn(&Path, SocketAddr, SocketAddr, &str) -> Outcome<Vec<String>>,
    /// What its requests have besides, given where the provider listens.
    headers: fn(SocketAddr) -> String,
}

const PEERS: [Peer; 4] = [
    Peer {
        name: "nginx",
        program: "nginx",
        by: &[],
        configure: nginx,
        headers: |_| String::new(),
    },
    Peer {
        name: "HAProxy",
        program: "haproxy",
        by: &[],
        configure: haproxy,
        headers: |_| String::new(),
    },
    Peer {
        name: "LiteLLM",
        program: "litellm",
        // It would ask for prices elsewhere, and take so many equal events for a model that has lost its way.
        by: &[
            "env",
            "LITELLM_LOCAL_MODEL_COST_MAP=True",
            "REPEATED_STREAMING_CHUNK_LIMIT=1000000",
        ],
        configure: litellm,
        headers: |_| String::new(),
    },
    Peer {
        name: "Portkey",
        program: "gateway",
        by: &[],
        configure: portkey,
        headers: |provider| {
            format!(
                "x-portkey-provider: openai\r\nx-portkey-custom-host: http://{provider}/v1\r\nx-portkey-forward-headers: {EVENTS},{PACE}\r\n"
            )
        },
    },
];

/// One that runs.
struct Other {
    name: &'static str,
    proxy: Proxy,
    headers: String,
}

/// Rows of every other proxy beside bare Pingora.
pub async fn measure(lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    let ours = |name, proxy| Other {
        name,
        proxy,
        headers: String::new(),
    };
    let bare = ours("bare Pingora", lab.start(Kind::Bare).await?);
    let mut others = Vec::new();
    for Peer {
        name,
        program,
        by,
        configure,
        headers,
    } in PEERS
    {
        if !crate::child::is_installed(program) {
            eprintln!("{NAME}: {name} ({program}) is not installed: its rows are left out");
            continue;
        }
        let (provider, headers) = (lab.provider(), headers(lab.provider()));
        let configure = |dir: &Path, listen| configure(dir, listen, provider, lab.model());
        let proxy = lab.start_program(by, program, &headers, configure).await?;
        others.push(Other {
            name,
            proxy,
            headers,
        });
    }
    let off = lab.start_beside(Kind::Gateway(Credits::Off)).await?;
    others.push(ours("the gateway, credits off", off));
    let on = lab.start_beside(Kind::Limited).await?;
    others.push(ours("the gateway, everything on", on));

    let mut rows = Vec::new();
    for (label, ask) in ASKS {
        if matches!(ask, Ask::Wrk) && !crate::child::is_installed("wrk") {
            eprintln!("{NAME}: wrk is not installed: its rows are left out");
            continue;
        }
        let named = |other: &Other| format!("{label}, {}", other.name);
        let row = |label| Row::new(Metric::ratio(label, "µs", None));
        let mut these: Vec<Row> = others.iter().map(named).map(row).collect();
        for repetition in 0..options.repetitions() as usize {
            let all: Vec<&Other> = [&bare].into_iter().chain(&others).collect();
            let mut figures = vec![f64::NAN; all.len()];
            for turn in 0..all.len() {
                let which = (turn + repetition) % all.len();
                figures[which] = match sample(lab, ask, all[which], options.window() / 2).await {
                    Ok(figure) => figure,
                    Err(error) => {
                        eprintln!("{NAME}: {label}: {}: {error}", all[which].name);
                        f64::NAN
                    }
                };
            }
            let mut line = format!("{NAME}: {label}: {:.2} µs", figures[0]);
            for ((row, other), figure) in these.iter_mut().zip(&others).zip(&figures[1..]) {
                if (figures[0] + figure).is_finite() {
                    row.pairs.push((figures[0], *figure));
                    write!(line, ", × {:.2} {}", figure / figures[0], other.name)?;
                }
            }
            eprintln!("{line}");
        }
        // One that cannot do it has none.
        rows.extend(these.into_iter().filter(|row| !row.pairs.is_empty()));
    }
    Ok(rows)
}

/// CPU time of one proxy, µs each.
async fn sample(lab: &Lab, ask: Ask, other: &Other, window: Duration) -> Outcome<f64> {
    let proxy = &other.proxy;
    let (request, connections) = match ask {
        Ask::Prompts(length, connections) => (lab.request(length, None), connections),
        Ask::Wrk => (lab.request(300, None), CONNECTIONS),
        Ask::Events => (lab.request(300, Some(BURST)), 8),
    };
    let request: Rc<[u8]> = prompts::with_headers(&request, &other.headers).into();
    let mut conns = Conn::open_warm(proxy.address, connections, &request).await?;
    load::closed_loop(&mut conns, &request, window / 10).await?;
    let before = Cpu::read(proxy.child.pid())?;
    let count = match ask {
        Ask::Prompts(..) => {
            let tally = load::closed_loop(&mut conns, &request, window).await?;
            tally.answers
        }
        Ask::Wrk => wrk(lab, &request, proxy.address, window)?,
        Ask::Events => {
            let tally = load::closed_loop(&mut conns, &request, window).await?;
            check_events(tally.events, tally.answers, BURST)?;
            tally.answers * BURST.count
        }
    };
    let used = Cpu::read(proxy.child.pid())?.since(&before);
    Ok(per(used.total, count))
}

/// Has `wrk` ask, on the load's CPU, which this program runs on; returns how often it was answered.
fn wrk(lab: &Lab, request: &[u8], address: SocketAddr, window: Duration) -> Outcome<u64> {
    let script = lab.state()?.join("ask.lua");
    // As it is: a long string would have its line ends changed.
    let mut text = String::new();
    for byte in request {
        write!(text, "\\{byte:03}")?;
    }
    std::fs::write(
        &script,
        format!("local asked = \"{text}\"\nrequest = function() return asked end\n"),
    )?;
    let seconds = window.as_secs().max(1).to_string();
    let connections = CONNECTIONS.to_string();
    let mut child = Command::new("wrk")
        .args(["-t", "1", "-c", &connections, "-d", &seconds, "-s"])
        .arg(script)
        .arg(format!("http://{address}/"))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    child
        .stdout
        .take()
        .ok_or("no standard output")?
        .read_to_string(&mut said)?;
    child.wait()?;
    let bad = said.contains("Non-2xx") || said.contains("Socket errors");
    let count = said
        .lines()
        .find_map(|line| line.trim().split_once(" requests in"));
    match count {
        Some((count, _)) if !bad => Ok(count.trim().parse()?),
        _ => Err(format!("wrk says:\n{said}").into()),
    }
}

/// One process that keeps its connections, buffers no answer and writes no log.
fn nginx(dir: &Path, listen: SocketAddr, provider: SocketAddr, _: &str) -> Outcome<Vec<String>> {
    let file = dir.join("nginx.conf");
    let dir = dir.display();
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        write!(temporary, "{kind}_temp_path {dir}/{kind}; ")?;
    }
    let config = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 0; client_body_buffer_size 2m; keepalive_requests 10000000; {temporary}
  upstream provider {{ server {provider}; keepalive 64; keepalive_requests 10000000; }}
  server {{ listen {listen}; location / {{
    proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off;
  }} }}
}}
"
    );
    std::fs::write(&file, config)?;
    Ok(vec!["-c".into(), file.display().to_string()])
}

/// One thread that keeps its connections and writes no log.
fn haproxy(dir: &Path, listen: SocketAddr, provider: SocketAddr, _: &str) -> Outcome<Vec<String>> {
    let file = dir.join("haproxy.cfg");
    let config = format!(
        "global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend clients
  bind {listen}
  default_backend provider
backend provider
  server provider {provider}
"
    );
    std::fs::write(&file, config)?;
    Ok(vec!["-db".into(), "-f".into(), file.display().to_string()])
}

/// One worker that knows one model.
fn litellm(
    dir: &Path,
    listen: SocketAddr,
    provider: SocketAddr,
    model: &str,
) -> Outcome<Vec<String>> {
    let file = dir.join("litellm.yaml");
    let config = format!(
        "model_list:
  - model_name: \"{model}\"
    litellm_params: {{ model: \"openai/{model}\", api_base: \"http://{provider}/v1\", api_key: none }}
general_settings: {{ forward_client_headers_to_llm_api: true }}
litellm_settings: {{ set_verbose: false, telemetry: false }}
"
    );
    std::fs::write(&file, config)?;
    let port = listen.port().to_string();
    let file = file.display().to_string();
    let flags = ["--config", &file, "--host", "127.0.0.1", "--port", &port];
    Ok(flags.map(str::to_owned).into())
}

/// Requests say where the provider is.
fn portkey(_: &Path, listen: SocketAddr, _: SocketAddr, _: &str) -> Outcome<Vec<String>> {
    Ok(vec![
        "--headless".into(),
        format!("--port={}", listen.port()),
    ])
}
