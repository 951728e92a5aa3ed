//! `tollgate doctor`: looks at a gateway as support would.
//!
//! What is found is a list of [`Finding`]s, each with what to do. Nothing is changed, but for a file that is written beside
//! the journal and removed at once. One room a subject: [`machine`], [`bank`], [`probe`] of a configuration, and [`running`]
//! of a gateway that answers.

mod bank;
mod machine;
mod probe;
mod running;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tollgate_config::types::Credits;

use super::ended;
use super::resources::call::Gateway;
use super::table::{many, plain};

/// What to look at.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The configuration file of the gateway.
    #[arg(long, short, value_name = "PATH", env = "TOLLGATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// A running one, which is asked if its address is said.
    #[command(flatten)]
    pub gateway: Gateway,
    /// Call each provider once with each key (GET /models, which costs nothing).
    #[arg(long)]
    pub probe: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and may not go on to.
    Warning,
    /// It does not work, or money may be lost.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// Its subject, in one word.
    pub area: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found. Never a credential.
    pub what: String,
    /// What to do; empty if all is well.
    pub advice: String,
}

/// Collects findings.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, area: &'static str, what: impl Into<String>) {
        self.add(area, Level::Ok, what, "");
    }

    fn warning(&mut self, area: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        self.add(area, Level::Warning, what, advice);
    }

    fn error(&mut self, area: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        self.add(area, Level::Error, what, advice);
    }

    fn add(
        &mut self,
        area: &'static str,
        level: Level,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (what, advice) = (what.into(), advice.into());
        self.0.push(Finding {
            area,
            level,
            what,
            advice,
        });
    }

    fn worst(&self) -> Level {
        self.0
            .iter()
            .map(|finding| finding.level)
            .max()
            .unwrap_or(Level::Ok)
    }

    fn count(&self, level: Level) -> usize {
        self.0
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    }
}

/// Looks, and prints what was found; exit code 1 if anything is an error.
pub fn run(doctor: &Doctor) -> io::Result<ExitCode> {
    let mut findings = Findings::default();
    let default = PathBuf::from("conf/tollgate.yaml");
    // A gateway that runs may be far from its file.
    let running = doctor.gateway.named();
    let path = match (&doctor.config, running) {
        (Some(path), _) => Some(path),
        (None, Some(_)) => None,
        (None, None) => Some(&default),
    };
    if let Some(path) = path {
        configured(path, doctor.probe, &mut findings)?;
    }
    if running.is_some() {
        running::look(&doctor.gateway, &mut findings);
    }
    let code = match findings.worst() {
        Level::Error => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    };
    let text = match doctor.json {
        true => format!("{:#}", as_json(&findings)),
        false => as_text(&findings),
    };
    ended(writeln!(io::stdout(), "{text}"), code)
}

/// What a configuration says, and what it names on this machine and elsewhere.
fn configured(path: &Path, probes: bool, findings: &mut Findings) -> io::Result<()> {
    machine::files(findings);
    let config = match tollgate_config::load(path, &tollgate_config::environment) {
        Ok(config) => config,
        Err(faults) => {
            for fault in &faults.faults {
                findings.error(
                    "config",
                    fault.to_string(),
                    "correct it; the gateway would not start with it",
                );
            }
            return Ok(());
        }
    };
    findings.ok("config", format!("{} is valid", path.display()));
    for warning in &config.warnings {
        findings.warning("config", warning.to_string(), "look whether it is meant");
    }
    machine::certificates(&config, findings);
    machine::prices(&config, findings);
    if config.ledger.credits == Credits::Off {
        findings.ok("ledger", "there is none (`ledger.credits` is off)");
    } else {
        machine::disk("journal", &config.ledger.journal, findings);
    }
    if config.needs_store() {
        bank::look(&config, findings)?;
    }
    if probes {
        probe::look(&config, findings);
    }
    Ok(())
}

fn as_text(findings: &Findings) -> String {
    let mut lines = Vec::new();
    for finding in &findings.0 {
        lines.push(format!(
            "{:<9}{:<13}{}",
            finding.level.name(),
            finding.area,
            plain(&finding.what)
        ));
        if !finding.advice.is_empty() {
            lines.push(format!("{:22}→ {}", "", plain(&finding.advice)));
        }
    }
    let (errors, warnings) = (findings.count(Level::Error), findings.count(Level::Warning));
    lines.push(format!(
        "{}, {}",
        many(errors, "error"),
        many(warnings, "warning")
    ));
    lines.join("\n")
}

fn as_json(findings: &Findings) -> Value {
    let all = findings.0.iter().map(|finding| {
        let mut one =
            json!({ "area": finding.area, "level": finding.level.name(), "what": finding.what });
        if !finding.advice.is_empty() {
            one["advice"] = Value::from(finding.advice.as_str());
        }
        one
    });
    json!({
        "level": findings.worst().name(),
        "errors": findings.count(Level::Error),
        "warnings": findings.count(Level::Warning),
        "findings": all.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_shown_with_what_to_do() {
        let mut findings = Findings::default();
        findings.ok("config", "a.yaml is valid");
        findings.warning("files", "few\u{1b}[2J", "more");
        assert_eq!(findings.worst(), Level::Warning);
        let text = as_text(&findings);
        let wanted = "ok       config       a.yaml is valid\nwarning  files        few?[2J\n                      → more\n0 errors, 1 warning";
        assert_eq!(text, wanted);
        let json = as_json(&findings);
        assert_eq!(
            (&json["level"], &json["errors"]),
            (&json!("warning"), &json!(0))
        );
        assert_eq!(json["findings"][1]["advice"], "more");
        assert_eq!(json["findings"][0].get("advice"), None);
    }
}
