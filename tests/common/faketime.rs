//! Clocks that can be set, by libfaketime: of one process and its children, while they run.

use std::path::PathBuf;

use tempfile::TempDir;

/// A wall clock of its own; the clocks that measure durations stay as they are.
pub struct Clock {
    library: PathBuf,
    dir: TempDir,
}

impl Clock {
    /// One that is right; `None`, and a word about it, where the library is not installed.
    pub fn new() -> Option<Clock> {
        let Some(library) = library() else {
            eprintln!("SKIPPED: libfaketime is not installed (Debian: faketime; see .ci/tools)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock { library, dir };
        clock.set("+0");
        Some(clock)
    }

    /// Sets it to be ahead of the true time, as in `+400d`, or behind it.
    pub fn set(&self, ahead: &str) {
        // Whole at any moment: it is read again and again.
        let new = self.dir.path().join("new");
        std::fs::write(&new, format!("{ahead}\n")).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    /// What a process needs in its environment.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        // An allocator of its own, as redis-server's, asks for the time before the library is ready: the system's one
        // stands before it.
        let preload = format!("{} libc.so.6", text(self.library.clone()));
        vec![
            ("LD_PRELOAD", preload),
            ("FAKETIME_TIMESTAMP_FILE", text(self.file())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("time")
    }
}

/// Where distributions put it.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let folders = folders.map(|folder| folder.path().join("faketime"));
    let others = [
        "/usr/lib64/faketime",
        "/usr/local/lib/faketime",
        "/usr/lib/faketime",
    ];
    let all = folders.chain(others.map(PathBuf::from));
    all.map(|folder| folder.join("libfaketimeMT.so.1"))
        .find(|library| library.exists())
}
