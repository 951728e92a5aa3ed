//! The process log: what the operator should know about the process itself, one line each on
//! standard error. Requests are not logged here; they have [`super::access_log`].

use std::io::Write;

use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Record};

use tollgate_base::Timestamp;
use tollgate_base::clock;

/// The environment variable that sets levels; `RUST_LOG` does too where this one is not set.
pub const VARIABLE: &str = "TOLLGATE_LOG";

/// The prefix of the libraries that log everyday business of a gateway (a client that hangs up, a
/// provider that refuses) as warnings; the failover machine and the access log report those better.
/// `TOLLGATE_LOG=info,pingora=info` hears them all the same.
const QUIET: &str = "pingora";

/// The prefixes of the libraries that below `info` tell whole heads and bodies, with every key and prompt: that is never
/// written.
const TELL_ALL: [&str; 3] = [QUIET, "tungstenite", "tokio_tungstenite"];

/// Whose level decides whether Pingora's messages about one connection are logged.
const QUIET_AS: &str = "tollgate::proxy";

/// The library that watches the configuration's directory: where the log is in the same one, each of its lines would
/// be an event to log.
const WATCHER: &str = "notify";

/// Starts the process log. Levels come from `TOLLGATE_LOG`, else `RUST_LOG`, in `env_logger`'s syntax
/// (`debug`, `info,tollgate::failover=trace`); the default is `info`, and `error` for Pingora.
///
/// # Errors
///
/// If the process has a logger already.
pub fn init() -> Result<(), log::SetLoggerError> {
    let directives = [VARIABLE, "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    levels(&directives)
        .target(Target::Stderr)
        .format(|line, record| {
            if tells_all(record) {
                return Ok(());
            }
            let level = match is_about_a_connection(record) {
                true => Level::Info,
                false => record.level(),
            };
            if level > record.level() && !log::log_enabled!(target: QUIET_AS, level) {
                return Ok(());
            }
            writeln!(
                line,
                "{} {:<5} {} {}",
                Timestamp(clock::wall()),
                level,
                record.target(),
                OneLine(record.args()),
            )
        })
        .try_init()
}

/// Whether a library tells what nobody may read.
fn tells_all(record: &Record<'_>) -> bool {
    let mut libraries = TELL_ALL.iter();
    record.level() > LevelFilter::Info
        && libraries.any(|library| record.target().starts_with(library))
}

/// Whether Pingora complains of one connection, a client's (a TLS handshake that fails, one that breaks) or a provider's
/// (one to use again whose watcher still holds it, so that another is made): nothing of the gateway's is wrong, and
/// anybody could fill the log with alarms.
fn is_about_a_connection(record: &Record<'_>) -> bool {
    let said = || record.args().to_string();
    match record.target() {
        "pingora_core::services::listening" => said().starts_with("Downstream "),
        "pingora_core::apps" | "pingora_core::connectors" => true,
        target => target.starts_with("pingora_proxy"),
    }
}

/// The default levels, changed by `directives`.
fn levels(directives: &str) -> Builder {
    let mut builder = Builder::new();
    builder
        .filter_level(LevelFilter::Info)
        .filter_module(QUIET, LevelFilter::Error)
        .filter_module(WATCHER, LevelFilter::Warn)
        .parse_filters(directives);
    builder
}

/// Prints a message on one line, whatever is in it: control characters are escaped, so that text
/// from outside cannot forge a line.
struct OneLine<'a>(&'a std::fmt::Arguments<'a>);

impl std::fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        struct Escape<'a, 'b>(&'a mut std::fmt::Formatter<'b>);
        impl std::fmt::Write for Escape<'_, '_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                let mut rest = text;
                while let Some(at) = rest.find(char::is_control) {
                    let (plain, tail) = rest.split_at(at);
                    self.0.write_str(plain)?;
                    let mut chars = tail.chars();
                    if let Some(control) = chars.next() {
                        write!(self.0, "{}", control.escape_default())?;
                    }
                    rest = chars.as_str();
                }
                self.0.write_str(rest)
            }
        }
        std::fmt::Write::write_fmt(&mut Escape(f), *self.0)
    }
}

#[cfg(test)]
mod tests {
    use log::{Level, Log, Metadata, Record};

    use super::{OneLine, is_about_a_connection, levels, tells_all};

    #[test]
    fn what_libraries_say_of_bodies_is_never_written() {
        for (target, level, expected) in [
            ("pingora_proxy::proxy_h1", Level::Debug, true),
            ("tungstenite::protocol::frame", Level::Trace, true),
            ("tokio_tungstenite", Level::Debug, true),
            ("pingora_core::server", Level::Info, false),
            ("tollgate::proxy", Level::Trace, false),
        ] {
            let record = Record::builder().target(target).level(level).build();
            assert_eq!(tells_all(&record), expected, "{level} of {target}");
        }
    }

    #[test]
    fn one_connections_trouble_is_no_alarm() {
        let listening = "pingora_core::services::listening";
        for (target, said, expected) in [
            (
                listening,
                "Downstream handshake error from 127.0.0.1:1: eof",
                true,
            ),
            (listening, "Accept() failed: too many open files", false),
            ("pingora_core::apps", "H2 handshake error", true),
            (
                "pingora_core::connectors",
                "failed to acquire reusable stream",
                true,
            ),
            ("pingora_proxy", "Fail to proxy: reading", true),
            ("pingora_core::server", "Failed to shutdown", false),
            ("tollgate::boot", "Downstream handshake error", false),
        ] {
            let said = format_args!("{said}");
            let record = Record::builder()
                .target(target)
                .level(Level::Error)
                .args(said)
                .build();
            assert_eq!(
                is_about_a_connection(&record),
                expected,
                "{target}: {:?}",
                record.args()
            );
        }
    }

    #[test]
    fn levels_have_defaults_and_can_be_changed() {
        for (directives, target, level, expected) in [
            ("", "tollgate::boot", Level::Info, true),
            ("", "tollgate::boot", Level::Debug, false),
            ("", "pingora_proxy", Level::Warn, false),
            ("", "pingora_core::server", Level::Error, true),
            ("debug", "tollgate::boot", Level::Debug, true),
            ("debug", "pingora_proxy", Level::Debug, false),
            ("pingora=debug", "pingora_proxy", Level::Debug, true),
            (
                "tollgate::failover=trace",
                "tollgate::boot",
                Level::Info,
                true,
            ),
            (
                "tollgate::failover=trace",
                "tollgate::failover::plan",
                Level::Trace,
                true,
            ),
            ("error", "tollgate::boot", Level::Info, false),
        ] {
            let metadata = Metadata::builder().target(target).level(level).build();
            assert_eq!(
                levels(directives).build().enabled(&metadata),
                expected,
                "`{directives}`: {level} of {target}"
            );
        }
    }

    #[test]
    fn a_message_stays_on_its_line() {
        let outside = "x\n2026-01-01T00:00:00.000Z INFO forged\r\u{1b}[31m";
        assert_eq!(
            OneLine(&format_args!("bad header: {outside} é")).to_string(),
            "bad header: x\\n2026-01-01T00:00:00.000Z INFO forged\\r\\u{1b}[31m é"
        );
    }
}
