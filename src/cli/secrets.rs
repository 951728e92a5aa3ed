//! `tollgate secrets`: the master keys, under which credentials are stored.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use tollgate_config::secrets::MasterKey;
use tollgate_control::{Actor, Control, Resealed};

use crate::boot::control::was_sealed;

use super::failed;
use super::ledger::{Failure, with_store};

#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Make a master key: 64 hexadecimal digits on standard output.
    #[command(
        after_help = "Every gateway of a fleet needs the same one. Who has it can read every credential in the store; who
loses it has to set them all again.

Examples:
  export TOLLGATE_MASTER_KEY=$(tollgate secrets generate)
  tollgate secrets generate > /etc/tollgate/master.key
and in the configuration:
  secrets: { master_key: file:/etc/tollgate/master.key }"
    )]
    Generate,
    /// Encrypt everything in the store anew, under the current master key.
    #[command(
        after_help = "The way to a new master key, without a moment in which a gateway cannot read the store:
  1. make one: tollgate secrets generate
  2. on every gateway, set TOLLGATE_MASTER_KEY to it and TOLLGATE_MASTER_KEY_PREVIOUS to the old one, and restart
     (or, with secrets.master_key and secrets.previous_keys in the configuration, reload)
  3. tollgate secrets rotate-master
  4. remove the old one everywhere

It works beside running gateways, and may be broken off and repeated. Exit codes: 0 all is under the current master
key, 1 something is not."
    )]
    RotateMaster(super::From),
    /// Seal the store: from then on documents count only if one with the master key wrote them.
    #[command(
        after_help = "A store that was made by this version is sealed from its first document on. For one that an earlier version
made, once every gateway is of this version:
  tollgate secrets seal

It believes what the store holds at that moment, signs it under the current master key, and binds each provider key to
its account, its provider and the provider's host. It works beside running gateways, and may be broken off and
repeated. There is no way back: gateways of earlier versions cannot use the provider keys any more, and what they write
is refused. Exit codes: 0 the store is sealed, 1 it is not."
    )]
    Seal(super::From),
}

/// Runs one of them.
pub fn run(command: &SecretsCommand) -> io::Result<ExitCode> {
    match command {
        SecretsCommand::Generate => generate(),
        SecretsCommand::RotateMaster(from) => reseal(&from.config, false),
        SecretsCommand::Seal(from) => reseal(&from.config, true),
    }
}

fn reseal(path: &Path, whole: bool) -> io::Result<ExitCode> {
    with_store(path, async |opened, config| {
        let Some(id) = config.secrets.current_id() else {
            return Err(Failure::Words(format!(
                "{} has no master key: set TOLLGATE_MASTER_KEY or `secrets.master_key`",
                path.display()
            )));
        };
        let control = Control::new(config.clone().into(), Some(opened.store.clone()));
        if was_sealed(config) {
            control.remember_sealed();
        }
        let actor = Actor {
            id: "command-line".to_owned(),
            name: None,
            address: None,
            request_id: None,
        };
        let resealed = control
            .reseal(&actor, whole, |done, all| {
                // Who hears of it is not what it is done for.
                writeln!(io::stderr(), "{done} of {all}").ok();
            })
            .await
            .map_err(|error| Failure::Words(error.to_string()))?;
        let Resealed {
            done,
            current,
            signed,
            failed,
        } = resealed;
        writeln!(
            io::stdout(),
            "{done} encrypted anew under master key `{id}`; {current} were already"
        )?;
        if control.is_sealed() {
            writeln!(
                io::stdout(),
                "the store is sealed; {signed} other documents were signed"
            )?;
        }
        for (key, error) in &failed {
            writeln!(io::stderr(), "tollgate: {key} is not: {error}")?;
        }
        Ok(if failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

fn generate() -> io::Result<ExitCode> {
    let key = match MasterKey::generate() {
        Ok(key) => key,
        Err(error) => return failed(error, ExitCode::FAILURE),
    };
    writeln!(io::stdout(), "{}", *key.expose_hex())?;
    writeln!(
        io::stderr(),
        "This is master key `{}`, shown only now: keep it safe, and set TOLLGATE_MASTER_KEY (or `secrets.master_key`) to it.",
        key.id()
    )?;
    Ok(ExitCode::SUCCESS)
}
