//! How a journal is kept, as who opens it says.

use std::time::Duration;

/// How a journal is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The length of a segment in bytes, from about 64 KiB to 1 GiB; what is outside of that is brought inside.
    ///
    /// It is also the reserve: when the disk is full, and new requests are refused, about as much is left for the
    /// settlements of those under way.
    pub segment_bytes: u64,
    /// When a record is on disk.
    pub fsync: Fsync,
    /// The epoch of this life is at least this. Pass the time (Unix time, s): a directory that comes back from an
    /// old backup then does not repeat epochs, whose messages the bank would take for repeats.
    pub least_epoch: u64,
    /// How long a segment is kept after the last of its records was released, in case the bank forgets what they
    /// reported; of such segments no more than 16, and fewer where the disk is full.
    pub keep: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_bytes: 16 << 20,
            fsync: Fsync::Never,
            least_epoch: 0,
            keep: Duration::ZERO,
        }
    }
}

/// When a record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// When the kernel pleases: the death of the process loses nothing. A power cut may lose the last seconds; and as
    /// the kernel writes pages in any order, it may leave a gap in them, which [`super::Journal::open`] refuses as damage.
    Never,
    /// When [`super::Journal::on_disk`] returns; all who wait at the same time share one `fdatasync`.
    Always,
}
