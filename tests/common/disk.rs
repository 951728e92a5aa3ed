//! A disk that is slow, or stands still, for the journal of one process.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// See the module. Each `fdatasync` takes 20 ms, or until it may go on.
pub struct Disk(TempDir);

impl Disk {
    /// Needs the C compiler that building Tollgate needs.
    pub fn new() -> Disk {
        let disk = Disk(tempfile::tempdir().unwrap());
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(disk.file("disk.so"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/disk.c"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        disk
    }

    /// What a process needs in its environment.
    pub fn env(&self) -> [(&'static str, String); 2] {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        [
            ("LD_PRELOAD", text(self.file("disk.so"))),
            ("SLOW_DISK", text(self.0.path().to_owned())),
        ]
    }

    /// From now on nothing is written.
    pub fn stop(&self) {
        std::fs::write(self.file("stopped"), "").unwrap();
    }

    /// All goes on.
    pub fn go_on(&self) {
        std::fs::remove_file(self.file("stopped")).unwrap();
    }

    /// How often the journal was written out.
    pub fn calls(&self) -> u64 {
        std::fs::metadata(self.file("calls")).map_or(0, |calls| calls.len())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
