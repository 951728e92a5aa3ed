//! `tollgate import`: another gateway's configuration as one of ours.
//!
//! A [`reader`], by what one gateway's room knows of its file, makes chains of [`plan::Route`]s and [`Settings`]; [`plan`]
//! makes providers of them, and [`mod@write`] the YAML. No text of the file is repeated that may be a credential: keys become references to the environment.

mod agentgateway;
mod bifrost;
mod litellm;
mod plan;
mod portkey;
mod reader;
mod target;
mod values;
mod vendors;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tollgate_config::foreign::Foreign;
use tollgate_config::{Fault, Faults};

use super::table::{many, plain};
use super::{check, ended};
use plan::Route;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Write a LiteLLM proxy's configuration as one of Tollgate's, to standard output.
    #[command(
        after_help = "Models become providers with models and aliases, fallbacks further providers of the same name, and keys
references to the environment. What has no counterpart is a comment, with the file's line;
standard error counts them. Keys and budgets that LiteLLM keeps in its database are not in the
file. deploy/MOVING.md says what to change in clients.

Exit codes: 0 done, 1 the file is not such a configuration; each fault has its line.

Examples:
  tollgate import litellm config.yaml > tollgate.yaml && tollgate check --config tollgate.yaml
  tollgate key new --id app --configuration litellm"
    )]
    Litellm(File),
    /// Write Bifrost's config.json as a configuration of Tollgate's, to standard output.
    #[command(
        after_help = "Providers keep their names, so that `provider/model` means what it did. What has no counterpart is a
comment, with the file's line; virtual keys must be made anew.

Exit codes: 0 done, 1 the file is not such a configuration; each fault has its line.

Examples:
  tollgate import bifrost config.json > tollgate.yaml && tollgate check --config tollgate.yaml
  tollgate key new --id app --configuration bifrost"
    )]
    Bifrost(File),
    /// Write a Portkey config, or several by their names, as a configuration of Tollgate's, to standard output.
    #[command(
        after_help = "A target that overrides the model becomes that model's name, and its config's; one that does not, all
models of its provider. Virtual keys are in Portkey: their providers' keys become references to the
environment. What has no counterpart is a comment, with the file's line.

Exit codes: 0 done, 1 the file is not such a configuration; each fault has its line.

Examples:
  tollgate import portkey config.json > tollgate.yaml && tollgate check --config tollgate.yaml
  tollgate key new --id app --configuration portkey"
    )]
    Portkey(File),
    /// Write agentgateway's file (not Kubernetes resources) as a configuration of Tollgate's, to standard output.
    #[command(
        after_help = "Models of `llm` keep their names, virtual ones too; routes to AI backends become models, and paths
are no longer what chooses. What has no counterpart is a comment, with the file's line.

Exit codes: 0 done, 1 the file is not such a configuration; each fault has its line.

Examples:
  tollgate import agentgateway config.yaml > tollgate.yaml && tollgate check --config tollgate.yaml
  tollgate key new --id app --configuration agentgateway"
    )]
    Agentgateway(File),
}

/// Which file.
#[derive(Debug, Args)]
pub struct File {
    /// The other gateway's configuration.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Something to know about what was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line of the file that it is about.
    pub line: Option<usize>,
    /// One sentence.
    pub words: String,
}

impl Note {
    fn at(line: usize, words: impl Into<String>) -> Note {
        Note {
            line: Some(line),
            words: words.into(),
        }
    }

    fn general(words: impl Into<String>) -> Note {
        Note {
            line: None,
            words: words.into(),
        }
    }
}

/// What holds for all models.
#[derive(Debug, Default)]
pub struct Settings {
    /// Members of `proxy`.
    pub proxy: BTreeMap<&'static str, String>,
    /// Members of `timeouts`.
    pub timeouts: BTreeMap<&'static str, String>,
    /// `retry.same`.
    pub retries: Option<u64>,
    /// USD, and the time it is for.
    pub budget: Option<(String, &'static str)>,
    /// What is remarked about settings.
    pub notes: Vec<Note>,
}

/// What was read of another gateway's configuration.
pub struct Import {
    /// Whose it was, as it is called.
    pub gateway: &'static str,
    /// The id of the access keys' configuration.
    pub configuration: &'static str,
    /// Each public name with what serves it, in order.
    pub chains: Vec<(String, Vec<Route>)>,
    /// What holds for all.
    pub settings: Settings,
}

pub fn run(command: &ImportCommand) -> io::Result<ExitCode> {
    let (ImportCommand::Litellm(File { file })
    | ImportCommand::Bifrost(File { file })
    | ImportCommand::Portkey(File { file })
    | ImportCommand::Agentgateway(File { file })) = command;
    let read = Foreign::read(file).and_then(|foreign| match command {
        ImportCommand::Litellm(_) => litellm::read(&foreign),
        ImportCommand::Bifrost(_) => bifrost::read(&foreign),
        ImportCommand::Portkey(_) => portkey::read(&foreign),
        ImportCommand::Agentgateway(_) => agentgateway::read(&foreign),
    });
    let import = match read {
        Ok(import) => import,
        Err(faults) => return check::report(file, &faults),
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let providers = plan::providers(&import.chains);
    let written = write::yaml(&import, &providers, &name);
    // Any variable that it names, set to what may stand wherever one may, and to nothing twice.
    let any = |name: &str| {
        let named = written.variables.iter().any(|variable| variable == name);
        named.then(|| format!("https://gateway.example.com/{name}"))
    };
    if let Err(faults) = tollgate_config::parse(&written.text, &any) {
        return refused(file, &faults);
    }
    write!(io::stdout(), "{}", written.text)?;
    let said = writeln!(io::stderr(), "{}", summary(&import, &providers, &written));
    ended(said, ExitCode::SUCCESS)
}

/// What the file says cannot be said by us: the faults, where they are in the result.
fn refused(file: &std::path::Path, faults: &Faults) -> io::Result<ExitCode> {
    let told = |fault: &Fault| Fault {
        file: file.to_path_buf(),
        line: None,
        path: format!("(imported) {}", fault.path),
        ..fault.clone()
    };
    let faults = Faults {
        faults: faults.faults.iter().map(told).collect(),
        sources: faults.sources.clone(),
    };
    check::report(file, &faults)
}

fn summary(import: &Import, providers: &[plan::Provider], written: &write::Written) -> String {
    let (served, empty): (Vec<_>, Vec<_>) = import
        .chains
        .iter()
        .partition(|(_, routes)| !routes.is_empty());
    let variables: BTreeSet<&String> = written.variables.iter().collect();
    let mut lines = vec![format!(
        "imported {} of {}, by {}; the comments say in {} what has no counterpart or was read otherwise",
        served.len(),
        many(import.chains.len(), "model name"),
        many(providers.len(), "provider"),
        many(written.notes, "remark"),
    )];
    let list = |names: Vec<&str>| names.join(", ");
    if !empty.is_empty() {
        let names = empty.iter().map(|(name, _)| plain(name));
        lines.push(format!(
            "left out: {}",
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    if !variables.is_empty() {
        let names = variables.iter().map(|name| name.as_str()).collect();
        lines.push(format!("set in the environment: {}", list(names)));
    }
    lines.push(format!(
        "make a key for each application: tollgate key new --id app --configuration {}",
        import.configuration
    ));
    lines.join("\n")
}
