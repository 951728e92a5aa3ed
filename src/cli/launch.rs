//! `tollgate claude`, `tollgate codex`, `tollgate exec`: tools that call the gateway instead of their provider.
//!
//! The tool takes this process's place, so that its exit code and the signals that it gets are its own. It is told where
//! the gateway is, and the key, in its environment: never in a file, and never on a command line, which anybody may read.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;
use tollgate_base::{Secret, random};

use super::failed;
use crate::boot::admin::reachable;

/// Longest wait for the gateway's word on the key.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the gateway is, and who calls it. The tool's own arguments come behind these.
#[derive(Debug, Args)]
pub struct Access {
    /// The gateway's address for applications. Default: the configuration's `proxy.listen`.
    #[arg(long, value_name = "URL", env = "TOLLGATE_URL")]
    pub url: Option<String>,
    /// A file with the access key. Without it: TOLLGATE_KEY, else the terminal is asked.
    #[arg(long, value_name = "PATH")]
    pub key_file: Option<PathBuf>,
    /// What to call the conversation, so that its turns meet their prompt cache. Default: a new name.
    #[arg(long, value_name = "NAME", value_parser = session)]
    pub session: Option<String>,
    /// The configuration file that says where the gateway listens.
    #[arg(long, value_name = "PATH", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
}

/// A tool with a name of its own.
#[derive(Debug, Args)]
pub struct Tool {
    #[command(flatten)]
    pub access: Access,
    /// Its arguments.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub args: Vec<OsString>,
}

/// Any command.
#[derive(Debug, Args)]
pub struct Exec {
    #[command(flatten)]
    pub access: Access,
    /// The command and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<OsString>,
}

/// What a header may carry.
fn session(text: &str) -> Result<String, &'static str> {
    let fits = !text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
        .ok_or("give 1 to 128 visible ASCII characters")
}

/// Where a tool calls, and with which key.
struct Gateway {
    /// Without a path.
    url: String,
    key: Secret,
    session: String,
}

/// Starts Claude Code.
pub fn claude(tool: &Tool) -> io::Result<ExitCode> {
    launch(&tool.access, |gateway| {
        let mut command = Command::new("claude");
        command.args(&tool.args);
        gateway.anthropic(&mut command);
        // It asks whether a key of this name may be used, and warns where there are both.
        command.env("ANTHROPIC_AUTH_TOKEN", gateway.key.expose());
        command.env_remove("ANTHROPIC_API_KEY");
        (command, "npm install -g @anthropic-ai/claude-code")
    })
}

/// Starts Codex, with the gateway as its provider.
pub fn codex(tool: &Tool) -> io::Result<ExitCode> {
    launch(&tool.access, |gateway| {
        // Its settings are TOML, in which texts are written as in JSON.
        let base_url = json!(format!("{}/v1", gateway.url));
        let provider = format!(
            "model_providers.tollgate={{name=\"Tollgate\",base_url={base_url},env_key=\"TOLLGATE_KEY\",wire_api=\"responses\",\
             env_http_headers={{\"x-tollgate-session\"=\"TOLLGATE_SESSION\"}}}}"
        );
        let mut command = Command::new("codex");
        command.args(["-c", "model_provider=\"tollgate\"", "-c", &provider]);
        command.args(&tool.args);
        (command, "npm install -g @openai/codex")
    })
}

/// Starts any command whose tools find their address and key in the environment, as the SDKs do.
pub fn exec(exec: &Exec) -> io::Result<ExitCode> {
    let Some((program, args)) = exec.command.split_first() else {
        return Ok(ExitCode::from(2));
    };
    launch(&exec.access, |gateway| {
        let mut command = Command::new(program);
        command.args(args);
        gateway.anthropic(&mut command);
        command.env("ANTHROPIC_API_KEY", gateway.key.expose());
        command.env_remove("ANTHROPIC_AUTH_TOKEN");
        command.env("OPENAI_BASE_URL", format!("{}/v1", gateway.url));
        command.env("OPENAI_API_KEY", gateway.key.expose());
        (command, "give its path, or install it")
    })
}

impl Gateway {
    /// Where Anthropic's tools call, and what they say of the conversation besides their own headers.
    fn anthropic(&self, command: &mut Command) {
        command.env("ANTHROPIC_BASE_URL", &self.url);
        let own = std::env::var("ANTHROPIC_CUSTOM_HEADERS").unwrap_or_default();
        let session = format!("x-tollgate-session: {}", self.session);
        let lines = own.lines().chain([&*session]);
        let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
        command.env("ANTHROPIC_CUSTOM_HEADERS", lines.join("\n"));
    }
}

/// Puts a tool in this process's place; `of` makes its command, and says how to come by the tool.
fn launch<'t>(
    access: &Access,
    of: impl FnOnce(&Gateway) -> (Command, &'t str),
) -> io::Result<ExitCode> {
    let gateway = match gateway(access) {
        Ok(gateway) => gateway,
        Err(why) => return failed(why, ExitCode::FAILURE),
    };
    let (mut command, remedy) = of(&gateway);
    command.env("TOLLGATE_URL", &gateway.url);
    command.env("TOLLGATE_KEY", gateway.key.expose());
    command.env("TOLLGATE_SESSION", &gateway.session);
    // Returns only if it did not come to it.
    let error = command.exec();
    let name = command.get_program().to_string_lossy().into_owned();
    let why = match error.kind() {
        io::ErrorKind::NotFound => format!("`{name}` is not on the PATH: {remedy}"),
        _ => format!("`{name}` cannot be started: {error}"),
    };
    // As shells have it.
    let code = match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    };
    failed(why, ExitCode::from(code))
}

/// The gateway, which has said that it knows the key.
fn gateway(access: &Access) -> Result<Gateway, String> {
    let url = match &access.url {
        Some(url) => base(url)?,
        None => listener(access.config.as_deref())?,
    };
    let key = key(access.key_file.as_deref())?;
    answers(&url, &key)?;
    let session = access.session.clone().unwrap_or_else(|| {
        let mut name = String::new();
        random::push_hex96(&mut name);
        name
    });
    Ok(Gateway { url, key, session })
}

/// A base URL as SDKs of either dialect have it, without its path.
fn base(url: &str) -> Result<String, String> {
    let bare = url.trim().trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").unwrap_or(bare);
    match bare.starts_with("http://") || bare.starts_with("https://") {
        true => Ok(bare.to_owned()),
        false => Err(format!(
            "`{url}` is no address of a gateway: give one like http://127.0.0.1:8080"
        )),
    }
}

/// Where the gateway of a configuration listens, as seen from this machine.
fn listener(config: Option<&Path>) -> Result<String, String> {
    let path = config.unwrap_or(Path::new("conf/tollgate.yaml"));
    if config.is_none() && !path.exists() {
        return Ok("http://127.0.0.1:8080".to_owned());
    }
    let name = path.display();
    let config = tollgate_config::load(path, &tollgate_config::environment)
        .map_err(|faults| format!("{faults}\n{name} says no address: correct it, or give --url"))?;
    let listen = config.proxy.listen.first();
    let address = listen.ok_or_else(|| {
        format!("{name} has listeners with TLS only: give the name of its certificate with --url")
    })?;
    Ok(format!("http://{}", reachable(*address)))
}

/// The access key: out of a file, else of the environment, else of whoever sits at the terminal.
fn key(file: Option<&Path>) -> Result<Secret, String> {
    let text = match file {
        Some(path) => fs::read_to_string(path).map_err(|error| {
            format!(
                "the access key cannot be read from {}: {error}",
                path.display()
            )
        })?,
        None => match std::env::var("TOLLGATE_KEY") {
            Ok(key) if !key.trim().is_empty() => key,
            _ => asked().map_err(|error| {
                format!("an access key is needed: set TOLLGATE_KEY, or give --key-file ({error})")
            })?,
        },
    };
    let key = text.trim();
    match !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Secret::new(key)),
        false => Err("that is no access key: `tollgate key new` makes one".to_owned()),
    }
}

/// Asks at the terminal, which shows nothing of what is typed.
fn asked() -> io::Result<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    write!(terminal, "Access key: ")?;
    tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
    let mut line = String::new();
    let read = BufReader::new(&terminal).read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Flush, &shown)?;
    writeln!(terminal)?;
    read.map(|_| line)
}

/// Asks the gateway which models the key may call.
fn answers(url: &str, key: &Secret) -> Result<(), String> {
    // No redirects and no proxy: the key goes to nobody but the gateway.
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .proxy(None);
    let agent: ureq::Agent = config.build().into();
    let request = agent
        .get(format!("{url}/v1/models"))
        .header("authorization", format!("Bearer {}", key.expose()));
    match request.call().map(|answer| answer.status().as_u16()) {
        Ok(200) => Ok(()),
        Ok(401) => Err(format!(
            "the gateway at {url} does not know the access key: `tollgate key new` makes one"
        )),
        Ok(status) => Err(format!(
            "{url} answers {status} to /v1/models: is it the address for applications (`proxy.listen`)?"
        )),
        Err(error) => Err(format!(
            "no gateway answers at {url} ({error}): start one with `tollgate run`, or say with --url or TOLLGATE_URL where it is"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_whichever_sdk_it_was_written_for() {
        for url in [
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/v1",
            " http://127.0.0.1:8080/v1/ ",
        ] {
            assert_eq!(base(url).unwrap(), "http://127.0.0.1:8080", "{url}");
        }
        assert!(base("127.0.0.1:8080").is_err());
    }

    #[test]
    fn a_session_is_what_a_header_may_carry() {
        assert!(session("0199-a").is_ok());
        for text in ["", "a b", "a\nb", "é", &"x".repeat(129)] {
            assert!(session(text).is_err(), "{text}");
        }
    }
}
