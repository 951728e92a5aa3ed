use proptest::prelude::*;

use super::*;

const CONTEXT: &str = "provider-key/pk_1";

fn key(digit: char) -> MasterKey {
    MasterKey::parse(&digit.to_string().repeat(64)).unwrap()
}

fn ring(current: char, previous: &str) -> Keyring {
    Keyring::new(Some(key(current)), previous.chars().map(key).collect())
}

fn open(ring: &Keyring, sealed: &Sealed) -> Result<String, OpenError> {
    ring.open(sealed, CONTEXT)
        .map(|secret| secret.expose().to_owned())
}

#[test]
fn a_rotation_finds_what_is_to_be_sealed_again() {
    let secret = Secret::new("sk-1");
    let old = ring('a', "").seal(&secret, CONTEXT).unwrap();
    let rotated = ring('b', "a");
    assert_eq!(open(&rotated, &old), Ok("sk-1".to_owned()));
    assert!(!rotated.is_current(&old) && ring('a', "b").is_current(&old));
    let new = rotated.seal(&secret, CONTEXT).unwrap();
    assert!(rotated.is_current(&new), "what is current seals");
    assert!(rotated.is_same(&ring('b', "a")) && !rotated.is_same(&ring('a', "b")));
    assert_eq!(rotated.current_id(), Some(new.key_id()));
    assert_eq!(rotated.previous_ids().collect::<Vec<_>>(), [old.key_id()]);
    assert_eq!(open(&ring('b', ""), &new), Ok("sk-1".to_owned()));
    let twice = ring('b', "baa");
    assert_eq!(twice.previous_ids().collect::<Vec<_>>(), [old.key_id()]);
}

#[test]
fn without_a_master_key_it_is_said_how_to_set_one() {
    let none = Keyring::default();
    let error = none.seal(&Secret::new("x"), CONTEXT).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no master key is configured: set TOLLGATE_MASTER_KEY (make one with `tollgate secrets generate`)"
    );
    assert_eq!(none.current_id(), None);
    let only_previous = Keyring::new(None, vec![key('a')]);
    assert!(only_previous.seal(&Secret::new("x"), CONTEXT).is_err());
    let sealed = ring('a', "").seal(&Secret::new("x"), CONTEXT).unwrap();
    assert_eq!(open(&only_previous, &sealed), Ok("x".to_owned()));
}

#[test]
fn an_error_says_which_key_is_missing_and_what_to_do() {
    let sealed = ring('a', "").seal(&Secret::new("x"), CONTEXT).unwrap();
    let said = |ring: &Keyring, sealed: &Sealed| open(ring, sealed).unwrap_err().to_string();
    let (a, b, c) = (key('a'), key('b'), key('c'));
    let (a, b, c) = (a.id(), b.id(), c.id());
    assert_eq!(
        said(&Keyring::default(), &sealed),
        format!(
            "`{CONTEXT}` is sealed with master key `{a}`, and no master key is configured: set TOLLGATE_MASTER_KEY to that key"
        )
    );
    assert_eq!(
        said(&ring('b', "c"), &sealed),
        format!(
            "`{CONTEXT}` is sealed with master key `{a}`, which is not configured (there are: `{b}`, `{c}`): add that key to TOLLGATE_MASTER_KEY_PREVIOUS or `secrets.previous_keys`"
        )
    );
    let future: Sealed = sealed.as_str().replacen("v1", "v3", 1).parse().unwrap();
    assert!(said(&ring('a', ""), &future).contains("form `v3`"));
    assert!(!ring('a', "").is_current(&future));
    let other = ring('a', "").open(&sealed, "provider-key/pk_2");
    assert!(matches!(other, Err(OpenError::Damaged { .. })), "moved");
}

/// What is stored today must open tomorrow. This was made by another implementation (Python's `cryptography`, and
/// HChaCha20 by hand), so the form is the one that the documentation describes.
#[test]
fn what_another_implementation_sealed_opens() {
    let sealed: Sealed =
        "v1.08b49681.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXE046VkSh0qpC6bcVzKyxXwL5X26hmmJO"
            .parse()
            .unwrap();
    assert_eq!(open(&ring('a', ""), &sealed), Ok("sk-first".to_owned()));
}

#[test]
fn nothing_secret_is_shown() {
    let ring = ring('a', "b");
    let sealed = ring.seal(&Secret::new("sk-hunter2"), CONTEXT).unwrap();
    let shown = format!("{ring:?} {sealed:?} {:?}", key('a'));
    for secret in ["hunter2", "aaaa", "bbbb", sealed.payload()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_context_only(secret in "\\PC{0,200}", context in "\\PC{0,40}", other in "\\PC{0,40}") {
        let ring = ring('a', "");
        let sealed = ring.seal(&Secret::new(&*secret), &context).unwrap();
        let opened = ring.open(&sealed, &context).unwrap();
        prop_assert_eq!(opened.expose(), &secret);
        prop_assert_eq!(ring.open(&sealed, &other).is_ok(), other == context);
        let again = ring.seal(&Secret::new(&*secret), &context).unwrap();
        prop_assert_ne!(&again, &sealed, "each has a nonce of its own");
        let stored = serde_json::to_string(&sealed).unwrap();
        prop_assert_eq!(serde_json::from_str::<Sealed>(&stored).unwrap(), sealed);
    }

    #[test]
    fn what_was_changed_does_not_open(at: prop::sample::Index, byte in b'!'..=b'~') {
        let ring = ring('a', "b");
        let sealed = ring.seal(&Secret::new("sk-0123456789"), CONTEXT).unwrap();
        let mut text = sealed.as_str().to_owned().into_bytes();
        let at = at.index(text.len());
        prop_assume!(text[at] != byte);
        text[at] = byte;
        if let Ok(changed) = String::from_utf8(text).unwrap().parse::<Sealed>() {
            prop_assert!(ring.open(&changed, CONTEXT).is_err(), "{:?}", changed);
        }
    }

    #[test]
    fn no_payload_makes_opening_panic(payload in "[A-Za-z0-9_-]{1,60}") {
        let sealed = Sealed::join(NAMED, key('a').id(), &payload);
        prop_assert!(ring('a', "").open(&sealed, CONTEXT).is_err());
    }
}
