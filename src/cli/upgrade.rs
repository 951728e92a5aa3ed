//! `tollgate upgrade`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::ended;
use super::resources::call::{Answer, Gateway};
use crate::boot::upgrade::PATIENCE;

/// What the answer may take beyond what the new process may.
const SLACK: Duration = Duration::from_secs(10);

/// Which gateway is upgraded, by an API key of the role `full`, for all accounts.
#[derive(Debug, Args)]
pub struct Upgrade {
    /// Where it is, and who asks.
    #[command(flatten)]
    pub gateway: Gateway,
}

/// Has a new process take over, and says which.
pub fn run(upgrade: &Upgrade) -> io::Result<ExitCode> {
    let client = upgrade.gateway.client(PATIENCE + SLACK, None);
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
