//! A file's bytes, mapped for writing. One of two files with `unsafe` code.
//!
//! Why it is sound: the kernel picks the address, so a new mapping replaces nothing; the memory is the mapping's own
//! until [`Drop`] gives it back; a store is bounded by its length; and no reference into it ever exists, so that other
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

/// A shared mapping of a whole file; only stored to.
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
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
        Ok(Mapping { start, length })
    }

    /// Stores bytes at an offset; an error if they do not lie in the file.
    pub(super) fn store(&mut self, bytes: &[u8], at: usize) -> io::Result<()> {
        let end = at.checked_add(bytes.len());
        if end.is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the range lies in the mapping, which no Rust reference points into, so `bytes` is elsewhere.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len())
        };
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and nothing uses it after this. It cannot fail for a whole mapping.
        unsafe { munmap(self.start.as_ptr().cast(), self.length) }.ok();
    }
}
