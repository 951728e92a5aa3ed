//! Whether bytes that come in pieces are UTF-8.

/// The character that the last piece ended in.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    begun: [u8; 4],
    len: usize,
}

/// The bytes are no UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Utf8 {
    /// Whether no character has begun that has not ended.
    pub(super) fn is_whole(&self) -> bool {
        self.len == 0
    }

    /// Hands on `piece` in whole characters; what it ends in waits for the next one. Of bytes that are none, those before
    /// them are handed on.
    pub(super) fn feed(
        &mut self,
        mut piece: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), NotUtf8> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.begun[self.len] = byte;
            self.len += 1;
            match std::str::from_utf8(&self.begun[..self.len]) {
                Ok(character) => {
                    each(character.as_bytes());
                    self.len = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(NotUtf8),
            }
        }
        let (whole, tail) = piece.split_at(piece.len() - begun(piece));
        match simdutf8::compat::from_utf8(whole) {
            Ok(_) => {
                self.len = tail.len();
                self.begun[..tail.len()].copy_from_slice(tail);
                each(whole);
                Ok(())
            }
            Err(error) => {
                each(&whole[..error.valid_up_to()]);
                Err(NotUtf8)
            }
        }
    }
}

/// How many bytes at the end are the beginning of a character that may go on.
fn begun(bytes: &[u8]) -> usize {
    if bytes.last().is_none_or(u8::is_ascii) {
        return 0;
    }
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let lead = tail.iter().rposition(|byte| *byte & 0xC0 != 0x80);
    let last = &tail[lead.unwrap_or(tail.len())..];
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_hands_on_the_same() {
        for (bytes, whole, verdict) in [
            ("aé漢🙂z".as_bytes(), 11, Ok(())),
            (b"ab\xC3", 2, Ok(())),
            (b"ab\xF0\x9F\x99", 2, Ok(())),
            (b"ab\xC3(", 2, Err(NotUtf8)),
            (b"a\x80b", 1, Err(NotUtf8)),
            (b"a\xED\xA0\x80", 1, Err(NotUtf8)),
            (b"\xC0\xAF", 0, Err(NotUtf8)),
            (b"\xF0\x9F\xC3\xA9", 0, Err(NotUtf8)),
            (b"", 0, Ok(())),
        ] {
            for size in 1..=bytes.len().max(1) {
                let (mut utf8, mut handed) = (Utf8::default(), Vec::new());
                let mut pieces = bytes.chunks(size);
                let seen = pieces
                    .try_for_each(|piece| utf8.feed(piece, |part| handed.extend_from_slice(part)));
                assert_eq!((&*handed, &seen), (&bytes[..whole], &verdict), "in {size}");
            }
        }
    }
}
