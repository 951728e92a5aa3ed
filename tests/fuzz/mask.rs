//! What must hold for whatever leaves: the credential's mask.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_wire::mask::{Mask, Masking};

/// What is looked for; the corpus has it in all its forms.
const SECRET: &str = "sk-proj-A/b+c_0123456789";

/// The first byte is the chunk size, the rest is what leaves.
pub fn mask(data: &[u8]) {
    let Some((size, text)) = data.split_first() else {
        return;
    };
    let mask = Arc::new(Mask::new(SECRET));
    let mut whole = text.to_vec();
    mask.whole(&mut whole);
    let changed = text
        .iter()
        .zip(&whole)
        .filter(|(before, after)| before != after);
    assert!(
        changed.into_iter().all(|(_, after)| *after == b'*'),
        "nothing else changes"
    );
    assert_eq!(text.len(), whole.len(), "lengths hold");
    let has = |text: &[u8]| {
        text.windows(SECRET.len())
            .any(|found| found == SECRET.as_bytes())
    };
    assert!(!has(&whole), "it is gone");
    let mut masking = Masking::new(mask);
    let mut pieces = Vec::new();
    for piece in text.chunks(usize::from(*size).max(1)) {
        pieces.extend_from_slice(&masking.push(Bytes::copy_from_slice(piece)));
    }
    pieces.extend_from_slice(&masking.finish());
    assert!(!has(&pieces), "it is gone, however it is cut");
    assert_eq!(pieces.len(), text.len(), "nothing is kept back at the end");
}
