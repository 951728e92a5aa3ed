//! A provider's error as its caller may read it: without the credential that was sent, which some providers repeat.
//!
//! A masked credential is as long as before, so that announced lengths hold.

use bytes::Bytes;
use memchr::memmem::Finder;

use tollgate_base::Secret;

/// Shorter credentials are no secrets, and would be found in any text.
const SHORTEST: usize = 8;

/// Takes a credential out of what passes.
pub struct Masked {
    /// `None`: there is nothing to look for.
    finder: Option<Finder<'static>>,
    /// What may be the beginning of the credential.
    rest: Vec<u8>,
}

impl Masked {
    /// Takes this credential out.
    pub fn new(credential: &Secret) -> Masked {
        let credential = credential.expose().as_bytes();
        let finder = (credential.len() >= SHORTEST).then(|| Finder::new(credential).into_owned());
        Masked {
            finder,
            rest: Vec::new(),
        }
    }

    /// A piece; its end may be kept until the next one.
    pub(super) fn push(&mut self, data: Bytes) -> Bytes {
        let Some(finder) = &self.finder else {
            return data;
        };
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(&data);
        mask(finder, &mut all);
        let passes = all.len().saturating_sub(finder.needle().len() - 1);
        self.rest = all.split_off(passes);
        all.into()
    }

    /// What was kept.
    pub(super) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.rest).into()
    }

    /// A whole document.
    pub(super) fn whole(&self, document: &mut [u8]) {
        if let Some(finder) = &self.finder {
            mask(finder, document);
        }
    }
}

fn mask(finder: &Finder<'_>, text: &mut [u8]) {
    let mut from = 0;
    while let Some(found) = finder.find(&text[from..]) {
        let start = from + found;
        let end = start + finder.needle().len();
        text[start..end].fill(b'*');
        from = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_it_is_cut_the_credential_is_gone_and_nothing_else(
            parts in proptest::collection::vec(prop_oneof![Just("sk-secret-1".to_owned()), "[a-z -]{0,6}"], 0..12),
            cuts in proptest::collection::vec(1..9_usize, 0..40),
        ) {
            let text = parts.concat();
            let mut masked = Masked::new(&Secret::new("sk-secret-1"));
            let (mut out, mut rest, mut cuts) = (Vec::new(), text.as_bytes(), cuts.into_iter());
            while !rest.is_empty() {
                let (piece, others) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
                out.extend_from_slice(&masked.push(Bytes::copy_from_slice(piece)));
                rest = others;
            }
            out.extend_from_slice(&masked.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), text.replace("sk-secret-1", "***********"));
        }
    }

    #[test]
    fn what_is_no_secret_is_left() {
        let mut masked = Masked::new(&Secret::new("key"));
        assert_eq!(masked.push(Bytes::from_static(b"a key")), "a key");
        assert!(masked.finish().is_empty());
    }
}
