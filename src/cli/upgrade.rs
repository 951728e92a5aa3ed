//! `tollgate upgrade`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::ended;
use super::resources::call::{Answer, Client, Tls};
use crate::boot::upgrade::PATIENCE;

/// What the answer may take beyond what the new process may.
const SLACK: Duration = Duration::from_secs(10);

/// Which gateway is upgraded.
#[derive(Debug, Args)]
pub struct Upgrade {
    /// The gateway's admin listener.
    #[arg(
        long,
        value_name = "URL",
        env = "TOLLGATE_ADMIN_URL",
        default_value = "http://127.0.0.1:9090"
    )]
    pub url: String,
    /// An API key of the role `full`, for all accounts.
    #[arg(
        long,
        value_name = "KEY",
        env = "TOLLGATE_ADMIN_KEY",
        hide_env_values = true
    )]
    pub key: Option<String>,
    /// TLS to it.
    #[command(flatten)]
    pub tls: Tls,
}

/// Has a new process take over, and says which.
pub fn run(upgrade: &Upgrade) -> io::Result<ExitCode> {
    let key = upgrade.key.as_deref().unwrap_or_default();
    let client = Client::within(PATIENCE + SLACK, &upgrade.url, key, None, &upgrade.tls);
    let answer = client.and_then(|client| client.call("POST", "/upgrade", None, &[], None));
    match answer {
        Ok(Answer::Value(answer)) => {
            let said = writeln!(
                io::stdout(),
                "process {} has taken over",
                answer["processId"]
            );
            ended(said, ExitCode::SUCCESS)
        }
        Ok(Answer::Nothing) => Ok(ExitCode::SUCCESS),
        Ok(Answer::Refused(words)) | Err(words) => {
            let said = writeln!(io::stderr(), "tollgate: {words}");
            ended(said, ExitCode::FAILURE)
        }
    }
}
