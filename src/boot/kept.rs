//! Keeps the last good prices of feeds on disk, for one process at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tollgate_base::clock;
use tollgate_config::PriceFeeds;
use tollgate_config::catalog::Kept;
use tollgate_config::sources::{LONGEST, read_regular};

/// The directory with the prices that are kept, locked: a gateway and a command may run side by side.
pub struct KeptPrices<'a> {
    feeds: &'a PriceFeeds,
    _lock: File,
}

impl KeptPrices<'_> {
    /// Makes the directory if it is missing, and waits for its lock.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn open(feeds: &PriceFeeds) -> Result<KeptPrices<'_>, String> {
        let cannot = |error: io::Error| {
            format!(
                "prices cannot be kept in {}: {error}",
                feeds.directory.display()
            )
        };
        make_directory(&feeds.directory).map_err(cannot)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(feeds.directory.join("lock"))
            .map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        Ok(KeptPrices { feeds, _lock: lock })
    }

    /// Returns what is kept of a feed; `None` if nothing is.
    ///
    /// # Errors
    /// When there is something that cannot be read, with its file and line.
    pub fn read(&self, feed: &str) -> Result<Option<Kept>, String> {
        read(self.feeds, feed)
    }

    /// Keeps this of a feed instead of what was kept: all of it is on disk, or nothing changes.
    ///
    /// # Errors
    /// When it cannot be written, or is more than is ever read.
    pub fn write(&self, feed: &str, kept: &Kept) -> Result<(), String> {
        let path = self.feeds.kept(feed);
        let text = kept.to_string();
        let written = match text.len() > LONGEST {
            true => Err(io::Error::other("it would be larger than 16 MiB")),
            false => replace(&path, text.as_bytes()),
        };
        written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
    }

    /// Notes that the feed still says what is kept: its file's time is that of the last reading.
    pub fn touch(&self, feed: &str) {
        let file = File::options().append(true).open(self.feeds.kept(feed));
        if let Err(error) = file.and_then(|file| file.set_modified(clock::wall())) {
            log::debug!("when the price feed `{feed}` was read is not kept: {error}");
        }
    }
}

/// Makes the directory for what is kept, if it is missing.
///
/// # Errors
/// When the system refuses it.
pub fn make_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Returns what is kept of a feed at this moment; `None` if nothing is.
///
/// # Errors
/// When there is something that cannot be read, with its file and line.
pub fn read(feeds: &PriceFeeds, feed: &str) -> Result<Option<Kept>, String> {
    let path = feeds.kept(feed);
    let said = |fault: String| format!("{}: {fault}", path.display());
    let bytes = match read_regular(&path, LONGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| said(error.to_string()))?,
    };
    let text = String::from_utf8(bytes).map_err(|_| said("it is not UTF-8".to_owned()))?;
    Kept::parse(&text).map(Some).map_err(said)
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    // What a process that died left there, or somebody put there: it is not written through.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let directory = path.parent().map(Path::to_path_buf);
    File::open(directory.unwrap_or_else(|| PathBuf::from(".")))?.sync_all()
}
