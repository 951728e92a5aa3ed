//! `tollgate secrets`: the master keys, under which credentials are stored.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Subcommand;
use tollgate::secrets::MasterKey;

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
}

/// Runs one of them.
pub fn run(command: &SecretsCommand) -> io::Result<ExitCode> {
    match command {
        SecretsCommand::Generate => generate(),
    }
}

fn generate() -> io::Result<ExitCode> {
    let key = match MasterKey::generate() {
        Ok(key) => key,
        Err(error) => {
            writeln!(io::stderr(), "tollgate: {error}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    writeln!(io::stdout(), "{}", *key.expose_hex())?;
    writeln!(
        io::stderr(),
        "This is master key `{}`, shown only now: keep it safe, and set TOLLGATE_MASTER_KEY (or `secrets.master_key`) to it.",
        key.id()
    )?;
    Ok(ExitCode::SUCCESS)
}
