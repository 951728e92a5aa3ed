//! `tollgate usage export`: writes usage events as a file for other programs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tollgate_ledger::bank::Day;
use tollgate_ledger::events::stored::StoredEvent;
use tollgate_reconcile::export::Format;
use tollgate_reconcile::{Period, parse_day, show_count, show_day};

use super::From;
use super::events::{Read, every};
use super::ledger::{Failure, accounts, with_bank};
use super::progress::Progress;
use super::table::date;

/// What to export.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub config: From,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = As::Csv)]
    pub format: As,
    /// The first day, UTC.
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub from: Day,
    /// The last day, UTC.
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub to: Day,
    /// Only this account.
    #[arg(long, short)]
    pub account: Option<String>,
    /// Where to write it; standard output unless this says otherwise. The file is there when all of it is written.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// A format, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum As {
    /// FOCUS 1.2, the FinOps Open Cost and Usage Specification: a row a charge.
    Focus,
    /// Comma-separated values: a row an attempt.
    Csv,
    /// JSON lines: an object an attempt.
    Jsonl,
}

impl As {
    fn format(self) -> Format {
        match self {
            As::Focus => Format::Focus,
            As::Csv => Format::Csv,
            As::Jsonl => Format::Jsonl,
        }
    }
}

/// Writes the attempts of a period, account after account, the newest first.
pub fn run(export: &Export) -> io::Result<ExitCode> {
    with_bank(
        &export.config.config,
        ExitCode::FAILURE,
        async |opened, config| {
            let period = period(export.from, export.to).map_err(Failure::Words)?;
            let accounts = accounts(opened, config, export.account.as_deref()).await?;
            let (format, fee) = (export.format.format(), config.ledger.processing_fee);
            let mut sink = Sink::open(export.output.as_deref())?;
            format.head(&mut sink.out)?;
            let (mut events, mut rows) = (0u64, 0u64);
            let mut progress = Progress::begin();
            let (from, to) = period.seconds();
            // Unix time (ms); both ends are included.
            let time = (from * 1_000, to * 1_000 - 1);
            for account in &accounts {
                let show = |event: &StoredEvent<'_>| {
                    let mut bytes = Vec::new();
                    let id = event.attempt.id.to_string();
                    let written = format.write(&mut bytes, &Read::of(event, fee).entry(&id));
                    written.map(|rows| (rows, bytes))
                };
                every(&*opened.bank, account, time, show, |page, oldest| {
                    for written in page {
                        let (more, bytes) = written?;
                        sink.out.write_all(&bytes)?;
                        rows += more;
                        events += 1;
                    }
                    progress.say(|| {
                        let back = date(oldest / 1_000);
                        format!("{} events written, back to {back}", show_count(events))
                    });
                    Ok(())
                })
                .await?;
            }
            sink.keep()?;
            if let Some(path) = &export.output {
                let (events, rows) = (show_count(events), show_count(rows));
                writeln!(
                    io::stderr(),
                    "tollgate: {events} events in {rows} rows are in {}",
                    path.display()
                )?;
            }
            Ok(ExitCode::SUCCESS)
        },
    )
}

/// Returns the period from one day to another, both included.
///
/// # Errors
/// When `to` is before `from`.
pub fn period(from: Day, to: Day) -> Result<Period, String> {
    if from <= to {
        return Ok(Period { from, to });
    }
    Err(format!(
        "--from {} is after --to {}",
        show_day(from),
        show_day(to)
    ))
}

/// Where rows go. A regular file gets its name when all of it is written; dropped before that, it is removed.
struct Sink {
    out: Box<dyn Write>,
    /// The path that it is written at, and the one that it gets in the end; `None` for standard output, and for
    /// what is no regular file.
    file: Option<(PathBuf, PathBuf)>,
}

impl Sink {
    fn open(path: Option<&Path>) -> Result<Sink, Failure> {
        let Some(path) = path else {
            let out = Box::new(BufWriter::new(io::stdout()));
            return Ok(Sink { out, file: None });
        };
        let wrong = |error: io::Error| {
            Failure::Words(format!("{} cannot be written: {error}", path.display()))
        };
        // A device or a pipe is written to, and nothing is put in its place; nor in that of a link, but in its target's.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let file = File::options().write(true).open(path).map_err(wrong)?;
            let out = Box::new(BufWriter::new(file));
            return Ok(Sink { out, file: None });
        }
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(wrong)?;
        Ok(Sink {
            out: Box::new(BufWriter::new(file)),
            file: Some((partial, path)),
        })
    }

    /// Ends the output: all of it is written, and a file gets its name.
    fn keep(mut self) -> io::Result<()> {
        self.out.flush()?;
        if let Some((partial, path)) = &self.file {
            std::fs::rename(partial, path)?;
        }
        // A file that could not be renamed is removed instead.
        self.file = None;
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some((partial, _)) = &self.file {
            drop(std::fs::remove_file(partial));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn rows_go_where_a_path_leads_and_put_nothing_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("rows"), "old").unwrap();
        symlink(at("rows"), at("link")).unwrap();
        symlink("/dev/null", at("device")).unwrap();
        for link in ["link", "device"] {
            let mut sink = Sink::open(Some(&at(link))).unwrap();
            sink.out.write_all(b"new").unwrap();
            sink.keep().unwrap();
            let left = std::fs::symlink_metadata(at(link)).unwrap();
            assert!(left.is_symlink(), "{link}");
        }
        assert_eq!(std::fs::read(at("rows")).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
