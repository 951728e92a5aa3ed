//! That replicas of any two versions choose alike.

use super::*;

/// These values are a promise: were they others in another version, a fleet of two versions would move sessions to and
/// fro.
#[test]
fn sessions_and_orders_are_the_same_in_every_version() {
    let session = Session::named("default", b"0199a213-81c0-7800-8aa1-bbab2a035a53");
    assert_eq!(session.to_string(), "tg-d7b94ceec5289148");
    let mut keys = ["a", "b", "c", "d", "e"];
    session.sort(&mut keys, |key| (*key, 1));
    assert_eq!(keys, ["a", "d", "c", "b", "e"]);
}

#[test]
fn pieces_do_not_run_into_each_other() {
    let of = |pieces: &[&str]| {
        let mut hasher = SessionHasher::of("default");
        for piece in pieces {
            hasher.add(piece.as_bytes());
        }
        hasher.session()
    };
    assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    assert_ne!(of(&["abc"]), of(&["abc", ""]));
}
