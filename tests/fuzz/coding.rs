//! What must hold for whatever compressed bytes arrive.

use tollgate_wire::coding::{Coding, Undoing};

const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli];

/// Most that a piece of an answer becomes, bytes.
const PIECE: usize = 2 << 20;

/// Beyond that an answer becomes at most so many times as long as what came of it.
const TIMES: usize = 100;

/// The first byte is the coding and how long the pieces are, the rest what arrives.
pub fn coding(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let coding = CODINGS[usize::from(first & 3)];
    let size = usize::from(first >> 2).pow(2).max(1);
    let pieces = undone(coding, bytes.chunks(size));
    let at_once = undone(coding, bytes.chunks(bytes.len().max(1)));
    let same = pieces.starts_with(&at_once) || at_once.starts_with(&pieces);
    assert!(same, "however it is cut, it becomes the same");
    for most in [0, 100, PIECE] {
        if let Ok(body) = coding.undo(bytes, most) {
            assert!(body.len() <= most);
            assert!(body.starts_with(&pieces), "a body is what an answer is");
        }
    }
}

/// What an answer becomes, as far as it can be decoded.
fn undone<'a>(coding: Coding, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut undoing = Undoing::new(coding);
    let (mut all, mut came) = (Vec::new(), 0);
    for piece in pieces {
        let Ok(becomes) = undoing.push(piece) else {
            break;
        };
        came += piece.len();
        assert!(becomes.len() <= PIECE);
        all.extend_from_slice(&becomes);
        assert!(all.len() <= PIECE + TIMES * came);
    }
    all
}
