//! A file's bytes, mapped for writing. One of two files with `unsafe` code.
//!
//! Why it is sound: the kernel picks the address, so a new mapping replaces nothing; it keeps that address and length
//! until [`Drop`] gives it back; a store is bounded by its length; and no reference into it ever exists, so that other
//! processes may read or write the same file without breaking Rust's rules. What can still happen is a `SIGBUS`: if the
//! file is cut short under the mapping (it is private to its owner, and the journal's folder is locked), or a disk
//! breaks; `writer.rs` says how a full disk is kept from being one.
#![expect(unsafe_code, reason = "`mmap` has no safe form")]

use std::{ffi::c_void, fs::File, io, ptr};

use rustix::mm::{self, MapFlags, ProtFlags};

/// Of what was written, about this much is resident, whole pages: it counts as memory of the process.
const RESIDENT: usize = 1 << 20;

/// A shared mapping of a whole file; only stored to.
pub(super) struct Mapping {
    start: *mut c_void,
    length: usize,
}

// SAFETY: it owns its memory, and every access is through `&mut self`.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps a file of `length` bytes, which is open for reading and writing.
    pub(super) fn new(file: &File, length: usize) -> io::Result<Mapping> {
        let (any, access) = (ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: without `MAP_FIXED` the kernel takes addresses that nothing has.
        let start = unsafe { mm::mmap(any, length, access, MapFlags::SHARED, file, 0) }?;
        Ok(Mapping { start, length })
    }

    /// Stores bytes at an offset; an error if they do not lie in the file.
    pub(super) fn store(&mut self, bytes: &[u8], at: usize) -> io::Result<()> {
        let end = at
            .checked_add(bytes.len())
            .filter(|end| *end <= self.length);
        let end = end.ok_or(io::ErrorKind::InvalidInput)?;
        let place = self.start.cast::<u8>().wrapping_add(at);
        // SAFETY: the range lies in the mapping, which no Rust reference points into, so `bytes` is elsewhere.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        #[cfg(target_os = "linux")] // where alone it is used, and `DONTNEED` means this
        if let full @ 1.. = (end / RESIDENT - at / RESIDENT) * RESIDENT {
            let from = self.start.wrapping_byte_add(at / RESIDENT * RESIDENT);
            // SAFETY: whole pages of it. They are shared: the page cache has what was stored, for the next access too.
            // A kernel that does not do it costs memory only.
            unsafe { mm::madvise(from, full, mm::Advice::LinuxDontNeed) }.ok();
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and nothing uses it after this. It cannot fail for a whole mapping.
        unsafe { mm::munmap(self.start, self.length) }.ok();
    }
}
