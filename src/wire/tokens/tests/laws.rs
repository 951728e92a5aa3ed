//! However an answer is cut into chunks, an observer finds the same; whatever the bytes, it does not panic.

use proptest::prelude::*;

use super::*;
use crate::tokens::extract::tests::damaged;
use crate::tokens::extract::{Extract, Kept, walked};
use crate::tokens::facts::Facts;
use crate::tokens::whole::judge;

/// What a document says, by what was kept of it.
fn judged(endpoint: Endpoint, kept: &Kept) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut facts = Facts::default();
    let failure = judge(endpoint, kept, &mut facts);
    let reported = facts.reported();
    let text = (
        facts.text.as_str().to_owned(),
        facts.text.len(),
        facts.unread,
    );
    let said = (
        facts.served.clone(),
        facts.model.clone(),
        facts.finish_reason.clone(),
    );
    (
        failure,
        reported,
        text,
        said,
        facts.content,
        facts.complete,
        facts.passes(),
    )
}

pub(super) fn pieces<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #[test]
    fn any_split_tells_the_same(
        which in 0..ALL.len(), strip: bool, crlf: bool, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        broken in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let fixture = ALL[which];
        let text = if crlf { fixture.stream.replace("\r\n", "\n").replace('\n', "\r\n") } else { fixture.stream.to_owned() };
        let stream = text.as_bytes();
        let stream = &stream[..broken.map_or(stream.len(), |at| at.index(stream.len()))];
        let observer = || Observer::stream(fixture.surface, strip);
        let whole = account(&mut observer(), &[stream]);
        prop_assert_eq!(&whole, &account(&mut observer(), &pieces(stream, &cuts)), "cut in pieces");
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&whole, &account(&mut observer(), &bytes), "byte by byte");
        if !strip {
            prop_assert_eq!(whole.out.as_slice(), stream, "bytes pass");
        }
    }

    #[test]
    fn the_commit_comes_with_the_same_byte(which in 0..ALL.len(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let Fixture { surface, stream, .. } = ALL[which];
        let first = |chunks: &[&[u8]]| {
            let (mut observer, mut fed) = (Observer::stream(surface, false), 0);
            for chunk in chunks {
                let before = fed;
                fed += chunk.len();
                if observer.feed(Bytes::copy_from_slice(chunk)).content {
                    return before..fed;
                }
            }
            0..0
        };
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        let exact = first(&bytes).end;
        let within = first(&pieces(stream.as_bytes(), &cuts));
        prop_assert!(within.start < exact && exact <= within.end, "byte {} in {:?}", exact, within);
    }

    #[test]
    fn a_whole_answer_split_tells_the_same(which in 0..ALL.len(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let fixture = ALL[which];
        let body = fixture.whole.as_bytes();
        let split = account(&mut Observer::whole(fixture.endpoint()), &pieces(body, &cuts));
        prop_assert_eq!(split, whole(fixture.endpoint(), fixture.whole));
    }

    #[test]
    fn a_short_document_says_what_it_says_as_it_passes(
        damaged in damaged(), which in 0..ALL.len(), at: prop::sample::Index, given: bool, surface in 0..Surface::ALL.len(),
    ) {
        let endpoint = Endpoint::Generate(Surface::ALL[surface]);
        let mut fixture = ALL[which].whole.as_bytes().to_vec();
        if given {
            let from = at.index(fixture.len());
            fixture.splice(from..from, damaged.iter().copied());
        }
        for bytes in [damaged, fixture] {
            let mut short = Extract::default();
            short.push(&bytes);
            let said = String::from_utf8_lossy(&bytes);
            prop_assert_eq!(judged(endpoint, &short.finish()), judged(endpoint, &walked(&bytes)), "{}", said);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0..Surface::ALL.len(), strip: bool, at: prop::sample::Index,
        fixture in 0..ALL.len(),
    ) {
        let surface = Surface::ALL[which];
        let mut stream = ALL[fixture].stream.as_bytes().to_vec();
        let from = at.index(stream.len());
        let to = (from + bytes.len()).min(stream.len());
        stream.splice(from..to, bytes.iter().copied());
        for input in [&bytes, &stream] {
            let mut observers = [Observer::stream(surface, strip), Observer::whole(Endpoint::Generate(surface)), Observer::whole(Endpoint::CountTokens)];
            for observer in &mut observers {
                let chunks: Vec<&[u8]> = input.chunks(7).collect();
                let seen = account(observer, &chunks);
                prop_assert!(seen.out.len() <= input.len(), "nothing is invented");
            }
        }
    }
}
