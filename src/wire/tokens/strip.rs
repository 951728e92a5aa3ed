//! Cuts whole events out of a stream that is forwarded.

use bytes::{Bytes, BytesMut};

/// The unfinished block, held back until it is known whether it is cut out.
#[derive(Debug, Default)]
pub(super) struct Strip {
    held: BytesMut,
}

impl Strip {
    /// What may be forwarded: everything up to the boundary, less the cuts.
    pub(super) fn pass(
        &mut self,
        chunk: Bytes,
        boundary: Option<usize>,
        cuts: &[(Option<usize>, usize)],
    ) -> Bytes {
        let Some(boundary) = boundary else {
            self.held.extend_from_slice(&chunk);
            return Bytes::new();
        };
        let out = if self.held.is_empty() && cuts.is_empty() {
            chunk.slice(..boundary)
        } else {
            let mut out = std::mem::take(&mut self.held);
            let mut from = 0;
            for &(start, end) in cuts {
                match start {
                    Some(start) => out.extend_from_slice(&chunk[from..start]),
                    // It began in what was held, which is nothing but this block.
                    None => out.clear(),
                }
                from = end;
            }
            out.extend_from_slice(&chunk[from..boundary]);
            out.freeze()
        };
        self.held.extend_from_slice(&chunk[boundary..]);
        out
    }

    /// What is still held back.
    pub(super) fn rest(self) -> Bytes {
        self.held.freeze()
    }
}
