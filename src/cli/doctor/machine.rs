//! This machine, as far as a configuration names it: files, disks, certificates, what is kept of prices.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tollgate_base::{clock, random};
use tollgate_config::{Config, Origin};
use x509_parser::pem::Pem;

use super::{Findings, Level};

/// Fewer files than this are used up by a few hundred clients and their upstream connections.
const FEW_FILES: u64 = 4_096;

/// Room on the journal's disk below which there is a warning, and an error: sixteen segments, and hardly one.
const LITTLE: u64 = 1 << 30;
const NONE: u64 = 64 << 20;

/// Days before a certificate ends.
const SOON: u64 = 21;

const DAY: u64 = 24 * 60 * 60;

/// How many files a process of this shell may open.
pub fn files(findings: &mut Findings) {
    match getrlimit(Resource::Nofile).current {
        Some(most) if most < FEW_FILES => findings.warning(
            "files",
            format!("a process may open {most} files"),
            "raise it (`ulimit -n 65536`; LimitNOFILE, ulimits.nofile): each client takes one, and each upstream connection",
        ),
        Some(most) => findings.ok("files", format!("a process may open {most} files")),
        None => findings.ok("files", "a process may open any number of files"),
    }
}

/// Whether a directory can be written, or made, and how much room it has.
pub fn disk(area: &'static str, directory: &Path, findings: &mut Findings) {
    let shown = directory.display();
    // What is missing is made at the start.
    let there = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    let existing = there
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    if let Err(error) = written(existing) {
        let advice =
            "give the gateway's user a directory that it may write, on a disk that survives it";
        findings.error(area, format!("{shown} cannot be written: {error}"), advice);
        return;
    }
    let room = match rustix::fs::statvfs(existing) {
        Ok(room) => room.f_bavail.saturating_mul(room.f_frsize),
        Err(error) => {
            findings.warning(
                area,
                format!("the room in {shown} is not known: {error}"),
                "look at its disk",
            );
            return;
        }
    };
    let what = format!("{shown} can be written; {} MiB are free", room >> 20);
    let advice = "make room: requests are refused while the journal cannot be written";
    match room {
        room if room < NONE => findings.error(area, what, advice),
        room if room < LITTLE => findings.warning(area, what, advice),
        _ => findings.ok(area, what),
    }
}

/// Writes a file, and removes it.
fn written(directory: &Path) -> std::io::Result<()> {
    let path = directory.join(format!(".tollgate-doctor-{:016x}", random::bits64()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let done = file.write_all(&[0; 4096]).and_then(|()| file.sync_data());
    fs::remove_file(&path)?;
    done
}

/// When the certificates that the configuration names end: our own, and the authorities of clients and of providers.
pub fn certificates(config: &Config, findings: &mut Findings) {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let proxy = config.proxy.tls.as_ref().map(|tls| &tls.identity);
    for (whose, identity) in [
        ("the proxy", proxy),
        ("the admin listener", config.admin.tls.as_ref()),
    ] {
        let own = identity.map(|identity| (format!("of {whose}"), identity.cert.clone()));
        let clients = identity.and_then(|identity| identity.client_ca.clone());
        files.extend(own);
        files.extend(clients.map(|ca| (format!("of clients of {whose}"), ca)));
    }
    for provider in &config.providers {
        files.extend(
            provider
                .ca
                .iter()
                .map(|ca| (format!("for {}", provider.id), ca.clone())),
        );
    }
    for (whose, path) in files {
        let pem = match fs::read(&path) {
            Ok(pem) => pem,
            Err(error) => {
                findings.error(
                    "certificate",
                    format!("{} cannot be read: {error}", path.display()),
                    "give the path of a PEM file",
                );
                continue;
            }
        };
        let ends = Pem::iter_from_buffer(&pem).filter_map(|pem| {
            let pem = pem.ok()?;
            Some(pem.parse_x509().ok()?.validity().not_after.timestamp())
        });
        match ends.min() {
            Some(end) => ends_at(
                &whose,
                &path,
                u64::try_from(end).unwrap_or_default(),
                findings,
            ),
            None => findings.warning(
                "certificate",
                format!("{} has no certificate that can be read", path.display()),
                "look at it with `openssl x509 -text`",
            ),
        }
    }
}

fn ends_at(whose: &str, path: &Path, end: u64, findings: &mut Findings) {
    let days = end.saturating_sub(clock::unix().as_secs()) / DAY;
    let what = format!(
        "the certificate {whose} ({}) ends in {days} days",
        path.display()
    );
    let advice = "get a new one; the proxy's own is read at the start only";
    let level = match days {
        0 => Level::Error,
        days if days < SOON => Level::Warning,
        _ => return findings.ok("certificate", what),
    };
    findings.add("certificate", level, what, advice);
}

/// How old what is kept of each price feed is.
pub fn prices(config: &Config, findings: &mut Findings) {
    for feed in &config.feeds.feeds {
        if config.feeds.unread.contains(&feed.id) {
            let what = format!("what is kept of the price feed {} cannot be read", feed.id);
            findings.error(
                "prices",
                what,
                "remove its file in `catalog.directory`; a running gateway fetches it anew",
            );
            continue;
        }
        let kept = fs::metadata(config.feeds.kept(&feed.id)).and_then(|file| file.modified());
        let age = kept
            .ok()
            .and_then(|at| clock::wall().duration_since(at).ok());
        let Some(age) = age else {
            let what = format!("the price feed {} was never read here", feed.id);
            findings.warning(
                "prices",
                what,
                "run the gateway, or `tollgate catalog diff`, where it can reach it",
            );
            continue;
        };
        let what = format!(
            "the prices of the feed {} changed here {} ago",
            feed.id,
            rough(age)
        );
        // A file is read when it changes.
        let late = feed
            .refresh
            .saturating_mul(30)
            .max(Duration::from_secs(30 * DAY));
        if matches!(feed.origin, Origin::Url { .. }) && age > late {
            findings.warning(
                "prices",
                what,
                "look in the log whether it can still be fetched",
            );
        } else {
            findings.ok("prices", what);
        }
    }
}

/// Returns a time in its largest unit.
pub fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds / 60),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / DAY),
    }
}
