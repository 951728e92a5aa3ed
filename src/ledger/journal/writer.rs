//! A preallocated file, and how bytes get into it: by stores into its mapping where that is safe, else by `pwrite`.
//!
//! Either way they are in the kernel's page cache when [`Writer::put`] returns, and outlive the process. A store needs
//! no system call; the two `pwrite`s of a request were half of what the ledger cost it.
//!
//! A store that the file system cannot take kills the process (`SIGBUS`), where `pwrite` returns an error. So a file
//! is mapped only on file systems that write in place, and a page is stored to only after `pwrite` has given it its
//! room: a full disk is an error here too. What is left is a disk that breaks under a page that it had taken. That
//! ends the process, and costs no more than the `pwrite` that the kernel could not write out would have.
//!
//! Invariant: nothing but zeros lies behind [`Mapped::backed`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::mapping::Mapping;

/// This many bytes are given their room at once: a system call for some hundred records.
const WINDOW: u64 = 64 * 1024;

/// Writes to a file of fixed length.
pub(super) struct Writer {
    file: Arc<File>,
    /// Bytes.
    length: u64,
    mapped: Option<Mapped>,
}

struct Mapped {
    bytes: Mapping,
    /// What lies before this offset may be stored to.
    backed: u64,
}

impl Writer {
    /// Makes a file of zeros, whose room on the disk is taken. What was there under this name is gone.
    pub(super) fn create(path: &Path, length: u64) -> io::Result<Writer> {
        let file = OpenOptions::new()
            .read(true) // which mapping it demands
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mapped = if preallocate(&file, length)? && writes_in_place(&file) {
            Mapped::new(&file, length)
                .inspect_err(|error| log::debug!("journal: written without a mapping: {error}"))
                .ok()
        } else {
            None
        };
        Ok(Writer {
            file: Arc::new(file),
            length,
            mapped,
        })
    }

    /// The file.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Writes bytes at an offset, before which everything is written.
    ///
    /// # Errors
    /// What the file system says. Nothing is known then of what lies at the offset and behind it.
    pub(super) fn put(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        let Some(mapped) = &mut self.mapped else {
            return self.file.write_all_at(bytes, at);
        };
        let end = at + bytes.len() as u64;
        if end > mapped.backed {
            let window = self.length.min(end + WINDOW);
            let backed = mapped.back(&self.file, window);
            // Where there is no room for a window, there may be some for this.
            backed.or_else(|_| mapped.back(&self.file, end))?;
        }
        mapped.bytes.store(bytes, offset(at)?)
    }

    /// Writes zeros at an offset, behind which nothing is: whether writing works.
    pub(super) fn probe(&self, length: usize, at: u64) -> io::Result<()> {
        zeros(&self.file, at, at + length as u64)
    }
}

impl Mapped {
    fn new(file: &File, length: u64) -> io::Result<Mapped> {
        Ok(Mapped {
            bytes: Mapping::new(file, offset(length)?)?,
            backed: 0,
        })
    }

    /// Has the file system take its room up to an offset.
    fn back(&mut self, file: &File, upto: u64) -> io::Result<()> {
        zeros(file, self.backed, upto)?;
        self.backed = upto;
        Ok(())
    }
}

/// As memory counts.
fn offset(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Gives a file its length, in zeros, and the room on disk for it. Whether the file system promised that room.
fn preallocate(file: &File, length: u64) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        loop {
            match fallocate(file, FallocateFlags::empty(), 0, length) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                // A file system that cannot: zeros do it as well.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    zeros(file, 0, length)?;
    Ok(false)
}

/// Whether what is written over stays where it is, and so needs no room again: ext4, XFS and tmpfs. Others copy, or
/// live elsewhere.
fn writes_in_place(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        /// `include/uapi/linux/magic.h` of Linux.
        const IN_PLACE: [u32; 3] = [0xef53, 0x5846_5342, 0x0102_1994];
        let kind = rustix::fs::fstatfs(file).map(|stat| u32::try_from(stat.f_type));
        matches!(kind, Ok(Ok(kind)) if IN_PLACE.contains(&kind))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

fn zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    const CHUNK: [u8; 16 * 1024] = [0; 16 * 1024];
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at).map_or(CHUNK.len(), |left| left.min(CHUNK.len()));
        file.write_all_at(&CHUNK[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const LENGTH: u64 = 3 * WINDOW;

    fn written(path: &Path, pieces: &[Vec<u8>], mapped: bool) -> (bool, Vec<u8>) {
        let mut writer = Writer::create(path, LENGTH).unwrap();
        let was_mapped = writer.mapped.is_some();
        if !mapped {
            writer.mapped = None;
        }
        let mut at = 0;
        for piece in pieces {
            // As when the first try failed half way.
            writer.put(&piece[..piece.len() / 2], at).unwrap();
            writer.put(piece, at).unwrap();
            at += piece.len() as u64;
            let read = fs::read(path).unwrap();
            let end = usize::try_from(at).unwrap();
            assert!(read[..end].ends_with(piece), "others see it at once");
            assert!(read[end..].iter().all(|byte| *byte == 0), "zeros behind it");
        }
        writer.probe(8, at).unwrap();
        (was_mapped, fs::read(path).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn a_mapping_and_system_calls_write_the_same(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20_000), 0..9)
        ) {
            let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
            let (_, called) = written(&dir.path().join("called"), &pieces, false);
            let (_, stored) = written(&dir.path().join("stored"), &pieces, true);
            prop_assert_eq!(called.len() as u64, LENGTH);
            prop_assert!(called == stored);
            prop_assert!(called.starts_with(&pieces.concat()));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_in_memory_is_mapped() {
        let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
            return; // this machine has none
        };
        let (mapped, _) = written(&dir.path().join("file"), &[vec![1; 100]], true);
        assert!(mapped, "tmpfs writes in place");
    }

    #[test]
    fn what_is_written_does_not_stay_resident() {
        let dir = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let path = dir.path().join("file");
        let length = 40 * WINDOW;
        let mut writer = Writer::create(&path, length).unwrap();
        let pieces = length / 100_000;
        for piece in 0..pieces {
            let bytes = [u8::try_from(piece + 1).unwrap(); 100_000];
            // As when the first try failed half way.
            writer.put(&bytes[..9], piece * 100_000).unwrap();
            writer.put(&bytes, piece * 100_000).unwrap();
        }
        let read = fs::read(&path).unwrap();
        for (place, byte) in read.iter().enumerate() {
            let piece = place as u64 / 100_000 + 1;
            let want = if piece > pieces {
                0
            } else {
                u8::try_from(piece).unwrap()
            };
            assert_eq!(*byte, want, "at {place}");
        }
        if let Some(mapped) = &mut writer.mapped {
            let resident = resident_kib(&path);
            assert!(resident <= 1024, "{resident} KiB are resident");
            mapped.bytes.store(&[9], 0).unwrap();
            assert_eq!(fs::read(&path).unwrap()[..2], [9, 1], "it is still there");
        }
    }

    /// What a mapped file counts in this process's memory.
    fn resident_kib(path: &Path) -> u64 {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let of_file = maps
            .lines()
            .skip_while(|line| !line.ends_with(path.to_str().unwrap()));
        let rss = of_file.map(str::split_whitespace).find_map(|mut words| {
            (words.next() == Some("Rss:")).then(|| words.next().unwrap().parse().unwrap())
        });
        rss.expect("the file is mapped")
    }

    #[test]
    fn it_ends_where_the_file_does() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(&dir.path().join("file"), LENGTH).unwrap();
        let whole = vec![7; usize::try_from(LENGTH).unwrap()];
        writer.put(&whole, 0).unwrap();
        if writer.mapped.is_some() {
            let beyond = writer.put(&[1], LENGTH);
            assert!(beyond.is_err(), "a mapping does not grow");
        }
    }
}
