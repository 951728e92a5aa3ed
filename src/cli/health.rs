//! `tollgate health`: whether the gateway beside this command lives, for whoever starts it anew if it does not.
//!
//! The listener says so without a key, and nothing is told to it. So the one of the configuration is not asked who it is, and
//! one that lets nobody in without a certificate has answered by refusing.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::resources::call::Gateway;
use super::{From, check, ended, failed};
use crate::boot::admin::reachable;

/// Longest wait for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which gateway, and what is asked.
#[derive(Debug, Args)]
pub struct Health {
    #[command(flatten)]
    pub from: From,
    #[command(flatten)]
    pub gateway: Gateway,
    /// Ask whether it wants requests (/readyz), and not whether it lives (/healthz).
    #[arg(long)]
    pub ready: bool,
}

pub fn run(health: &Health) -> io::Result<ExitCode> {
    let path = &health.from.config;
    let url = match health.gateway.named() {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => match tollgate_config::admin_listener(path, &tollgate_config::environment) {
            Ok((listen, true)) => format!("https://{}", reachable(listen)),
            Ok((listen, false)) => format!("http://{}", reachable(listen)),
            Err(faults) => return check::report(path, &faults),
        },
    };
    match asked(health, &url) {
        Ok(said) => ended(writeln!(io::stdout(), "{said}"), ExitCode::SUCCESS),
        Err(why) => failed(why, ExitCode::FAILURE),
    }
}

fn asked(health: &Health, url: &str) -> Result<String, String> {
    let agent = health.gateway.agent(PATIENCE)?;
    let page = if health.ready { "/readyz" } else { "/healthz" };
    let mut answer = match agent.get(format!("{url}{page}")).call() {
        Ok(answer) => answer,
        Err(error) if !health.ready && was_refused(&error) => {
            return Ok(format!(
                "{url} lives, and lets nobody in without a certificate"
            ));
        }
        Err(error) => return Err(format!("{url}{page}: {error}")),
    };
    let said = answer.body_mut().read_to_string().unwrap_or_default();
    let said = super::table::plain(said.trim());
    match answer.status().is_success() {
        true => Ok(said),
        false => Err(format!("{url}{page}: {} {said}", answer.status())),
    }
}

/// Whether a listener that speaks TLS answered that it wants another certificate of its client, or one at all.
fn was_refused(error: &ureq::Error) -> bool {
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|error| error.downcast_ref()),
        _ => None,
    };
    matches!(tls, Some(rustls::Error::AlertReceived(_)))
}
