//! Whatever form a credential has and however it is cut, it is gone, and nothing else is.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "sk-proj-A/b+c_0123456789";

/// Ways to write a text; `choose` picks for each character.
fn written(form: u8, text: &str, choose: &[u8]) -> String {
    let mut choose = choose.iter().copied().cycle();
    let mut each = |escape: &dyn Fn(u8) -> String, always: bool| -> String {
        let picks = text.bytes().map(|byte| {
            let escapes = always || choose.next().unwrap_or(0) % 2 == 1;
            if escapes {
                escape(byte)
            } else {
                char::from(byte).to_string()
            }
        });
        picks.collect()
    };
    match form % 10 {
        0 => text.to_owned(),
        1 => each(&|byte| format!("\\u{byte:04x}"), false),
        2 => each(&|byte| format!("\\u{byte:04X}"), true),
        3 => each(&|byte| format!("\\\\u{byte:04x}"), false),
        4 => each(&|byte| format!("%{byte:02X}"), false),
        5 => each(&|byte| format!("%25{byte:02x}"), true),
        6 => text.replace('/', "\\/"),
        7 => STANDARD_NO_PAD.encode(text),
        8 => URL_SAFE_NO_PAD.encode(format!("user:{text}")),
        _ => each(&|byte| format!("%25252525{byte:02x}"), true),
    }
}

fn in_pieces(mask: &Arc<Mask>, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut masking = Masking::new(mask.clone());
    let (mut out, mut rest, mut cuts) = (Vec::new(), text, cuts.iter());
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(*cuts.next().unwrap_or(&rest.len()).min(&rest.len()));
        out.extend_from_slice(&masking.push(Bytes::copy_from_slice(piece)));
        rest = others;
    }
    out.extend_from_slice(&masking.finish());
    out
}

/// Whether the credential can be read out of it.
fn leaks(text: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(text, SECRET.as_bytes()).is_some();
    let words = text.split(|byte| !(byte.is_ascii_alphanumeric() || b"+/-_".contains(byte)));
    let decodes = |word: &[u8]| {
        [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD]
            .iter()
            .any(|engine| engine.decode(word).is_ok_and(|text| has(&text)))
    };
    has(text) || has(&decode(text).text) || words.into_iter().any(decodes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_form_and_no_cut_lets_it_through(
        parts in prop::collection::vec(
            (prop_oneof![Just(String::new()), "[a-z%\\\\u0-9\"{}: \n-]{0,8}"], any::<u8>(), prop::collection::vec(any::<u8>(), 1..8)), 1..4,
        ),
        cuts in prop::collection::vec(1..40_usize, 0..60),
    ) {
        let text: String = parts.iter().map(|(before, form, choose)| {
            format!("{before} {} ", written(*form, SECRET, choose))
        }).collect();
        let mask = Arc::new(Mask::new(SECRET));
        let mut whole = text.clone().into_bytes();
        mask.whole(&mut whole);
        prop_assert!(!leaks(&whole), "{} became {}", text, String::from_utf8_lossy(&whole));
        prop_assert_eq!(whole.len(), text.len());
        let pieces = in_pieces(&mask, text.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn what_does_not_hold_it_passes_as_it_came(text in "[a-z%\\\\u0-9\"{}: \n/s-]{0,64}", cuts in prop::collection::vec(1..9_usize, 0..40)) {
        let mask = Arc::new(Mask::new(SECRET));
        prop_assert_eq!(in_pieces(&mask, text.as_bytes(), &cuts), text.as_bytes());
    }
}

#[test]
fn each_form_is_found_at_every_place_inside_something_longer() {
    let mask = Mask::new(SECRET);
    for before in 0..7 {
        for form in 0..10 {
            let inside = format!("{}{SECRET}tail", "x".repeat(before));
            let mut text = written(form, &inside, &[1, 0, 1]).into_bytes();
            mask.whole(&mut text);
            assert!(
                !leaks(&text),
                "form {form}: {}",
                String::from_utf8_lossy(&text)
            );
            assert!(text.contains(&b'*'), "form {form}");
        }
    }
}

/// Of all forms this one has the most bytes a character.
#[test]
fn the_longest_escapes_are_held_back_wherever_they_are_cut() {
    let mask = Arc::new(Mask::new(SECRET));
    let text = format!("key {} key", written(9, SECRET, &[1]));
    let mut whole = text.clone().into_bytes();
    mask.whole(&mut whole);
    for cut in 1..text.len() {
        let pieces = in_pieces(&mask, text.as_bytes(), &[cut]);
        assert!(pieces == whole, "cut at {cut}");
    }
}

#[test]
fn events_and_plain_words_do_not_wait() {
    let mut masking = Masking::new(Arc::new(Mask::new(SECRET)));
    for piece in ["data: {\"text\":\"sk\"}\n\n", "caf\\u00e9 100%\n", "hello "] {
        let piece = Bytes::from_static(piece.as_bytes());
        let out = masking.push(piece.clone());
        assert_eq!(out, piece);
        assert_eq!(out.as_ptr(), piece.as_ptr(), "not copied");
    }
}

#[test]
fn what_is_no_secret_is_left() {
    let mut masking = Masking::new(Arc::new(Mask::new("key")));
    assert_eq!(masking.push(Bytes::from_static(b"a key")), "a key");
    assert!(masking.finish().is_empty());
    assert_eq!(format!("{:?}", Mask::new(SECRET)), "Mask");
}

/// The end of such a credential is its beginning as well.
#[test]
fn what_was_found_whole_begins_nothing_else() {
    let mask = Arc::new(Mask::new("sk-abc-123-sk-abc"));
    let text = b"key: sk-abc-123-sk-abc-123-sk-abc, sk-abc-123-sk-abc";
    let mut whole = text.to_vec();
    mask.whole(&mut whole);
    for cut in 0..=text.len() {
        let mut masking = Masking::new(mask.clone());
        let mut masked = masking.push(Bytes::copy_from_slice(&text[..cut])).to_vec();
        masked.extend(masking.push(Bytes::copy_from_slice(&text[cut..])));
        masked.extend(masking.finish());
        assert_eq!(masked, whole, "cut at {cut}");
    }
}
