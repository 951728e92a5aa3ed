//! Which files a configuration was read from.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

/// The longest file that is read; `/dev/zero` is longer.
pub const LONGEST: usize = 16 << 20;

/// The files that a configuration depends on, and the directories whose listing it depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// YAML files, credentials by `file:`, certificates; some may not exist.
    pub files: BTreeSet<PathBuf>,
    /// Directories that an include pattern was matched in.
    pub directories: BTreeSet<PathBuf>,
    /// What is kept of price feeds; some may not exist.
    pub kept: BTreeSet<PathBuf>,
}

impl Sources {
    /// Returns every directory in which a change may change the configuration.
    pub fn watched(&self) -> BTreeSet<PathBuf> {
        let files = self.files.iter().chain(&self.kept);
        let parents = files.map(|file| match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => Path::new(".").to_path_buf(),
        });
        parents.chain(self.directories.iter().cloned()).collect()
    }
}

/// A file's content.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    File::open(file)?.take(limit).read_to_end(&mut content)?;
    if content.len() > LONGEST {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok(content)
}

/// Returns the content of a regular file: no link is followed, and nothing waits for a pipe or a device.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger than `most` bytes.
pub fn read_regular(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_bounded(file, most, OFlags::NOFOLLOW)
}

/// Returns the same, of a file that may be a link to a regular one, as files are that Kubernetes mounts.
///
/// # Errors
/// When it cannot be read, does not lead to a regular file, or is larger than `most` bytes.
pub fn read_linked(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_bounded(file, most, OFlags::empty())
}

fn read_bounded(file: &Path, most: usize, flags: OFlags) -> io::Result<Vec<u8>> {
    let follows = !flags.contains(OFlags::NOFOLLOW);
    let flags = (flags | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    let opened = File::options().read(true).custom_flags(flags).open(file);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) if follows => io::Error::other("it is a symbolic link to itself"),
        Some(Errno::LOOP) => io::Error::other("it is a symbolic link, which is not followed"),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut content)?;
    if content.len() > most {
        return Err(io::Error::other(format!(
            "it is larger than {} MiB",
            most >> 20
        )));
    }
    Ok(content)
}

/// A file's content as text.
pub(super) fn read_text(file: &Path) -> io::Result<String> {
    String::from_utf8(read(file)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_followed_to_a_regular_file_only() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "text").unwrap();
        for (name, to) in [
            ("link", at("file")),
            ("twice", at("link")),
            ("folder", dir.path().to_path_buf()),
            ("device", "/dev/zero".into()),
            ("dangling", at("nothing")),
            ("loop", at("loop")),
        ] {
            symlink(to, at(name)).unwrap();
        }
        let said = |read: io::Result<Vec<u8>>| match read {
            Ok(content) => String::from_utf8(content).unwrap(),
            Err(error) => error.to_string(),
        };
        for (name, want) in [
            ("file", "text"),
            ("link", "text"),
            ("twice", "text"),
            ("folder", "it is not a regular file"),
            ("device", "it is not a regular file"),
            ("dangling", "No such file"),
            ("loop", "it is a symbolic link to itself"),
        ] {
            let linked = said(read_linked(&at(name), 4));
            assert!(linked.starts_with(want), "{name}: {linked}");
            let plain = said(read_regular(&at(name), 4));
            let want = match name {
                "file" => "text",
                _ => "it is a symbolic link, which is not followed",
            };
            assert_eq!(plain, want, "{name}");
        }
        assert!(read_linked(&at("link"), 3).is_err());
    }
}
