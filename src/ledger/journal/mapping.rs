//! A file's bytes, mapped for writing. One of two files with `unsafe` code.
//!
//! Why it is sound: the kernel picks the address, so a new mapping replaces nothing; the memory is the mapping's own
//! until it is given back; a store is bounded by what is left; and no reference into it ever exists, so that other
//! processes may read or write the same file without breaking Rust's rules. What can still happen is a `SIGBUS`: if the
//! file is cut short under the mapping (it is private to its owner, and the journal's folder is locked), or a disk
//! breaks; `writer.rs` says how a full disk is kept from being one.
#![expect(
    unsafe_code,
    reason = "a record without a system call; `mmap` has no safe form"
)]

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Of what is written, this much stays mapped at most (a multiple of the page): it counts as memory of the process.
const KEPT: usize = 1 << 20;

/// A shared mapping of a file from an offset to its end; only stored to.
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
    offset: usize,
}

// SAFETY: it owns its memory, and every access is through `&mut self`.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps a file of `length` bytes, which is open for reading and writing.
    pub(super) fn new(file: &File, length: usize) -> io::Result<Mapping> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: without `MAP_FIXED` the kernel takes addresses that nothing has.
        let start = unsafe { mmap(ptr::null_mut(), length, access, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Mapping {
            start,
            length,
            offset: 0,
        })
    }

    /// Stores bytes at an offset, before which nothing is stored any more; an error if they do not lie in what is mapped.
    pub(super) fn store(&mut self, bytes: &[u8], at: usize) -> io::Result<()> {
        let within = |at: usize| {
            Some((at, at.checked_add(bytes.len())?)).filter(|(_, end)| *end <= self.length)
        };
        let place = at.checked_sub(self.offset).and_then(within);
        let (mut at, _) = place.ok_or(io::ErrorKind::InvalidInput)?;
        let behind = at / KEPT * KEPT;
        if behind > 0 {
            self.give_back(behind)?;
            at -= behind;
        }
        // SAFETY: the range lies in the mapping, which no Rust reference points into, so `bytes` is elsewhere.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len())
        };
        Ok(())
    }

    /// Gives back its first bytes, which are whole pages of it, or all of them.
    fn give_back(&mut self, bytes: usize) -> io::Result<()> {
        // SAFETY: what `new` mapped, and what nothing uses after this; the rest begins behind it, at most at its end.
        unsafe {
            munmap(self.start.as_ptr().cast(), bytes)?;
            self.start = self.start.add(bytes);
        }
        (self.length, self.offset) = (self.length - bytes, self.offset + bytes);
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // It cannot fail for all that there is.
        self.give_back(self.length).ok();
    }
}
