//! How a credential is shown: its ends, so that its owner recognises it.

/// Characters of the beginning that are shown, at most.
const FIRST: usize = 10;
/// Characters of the end that are shown, at most.
const LAST: usize = 4;
/// Below this nothing is shown: what is short is often made by people, and easily completed.
const SHORTEST: usize = 16;

/// `first10***last4` of a credential. A quarter and an eighth of it, if that is less, so that never more than half
/// of it is shown; `***` alone of one with fewer than 16 characters.
pub fn redact(value: &str) -> String {
    let length = value.chars().count();
    if length < SHORTEST {
        return "***".to_owned();
    }
    let (first, last) = match length {
        // From here on both ends together are no more than half.
        length if length >= 2 * (FIRST + LAST) => (FIRST, LAST),
        length => (length / 4, length / 8),
    };
    let head = value.chars().take(first);
    let tail = value.chars().skip(length - last);
    head.chain("***".chars()).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shorter_a_value_the_less_of_it_is_shown() {
        for (value, shown) in [
            ("", "***"),
            ("hunter2", "***"),
            ("123456789012345", "***"),
            ("1234567890123456", "1234***56"),
            ("12345678901234567890", "12345***90"),
            ("123456789012345678901234567", "123456***567"),
            ("1234567890123456789012345678", "1234567890***5678"),
            (
                "sk-proj-abcdefghijklmnopqrstuvwxyz0123",
                "sk-proj-ab***0123",
            ),
            ("ääääääääääääääääääääääääääääöö", "ääääääääää***ääöö"),
        ] {
            assert_eq!(redact(value), shown, "{value}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_half_is_shown(value in "\\PC{0,80}") {
            // Its own stars would make it unclear where ours are.
            let value = value.replace('*', "x");
            let shown = redact(&value);
            let (first, last) = shown.rsplit_once("***").unwrap();
            let [first_count, last_count] = [first, last].map(|part| part.chars().count());
            prop_assert!(2 * (first_count + last_count) <= value.chars().count(), "{shown}");
            prop_assert!(first_count <= FIRST && last_count <= LAST);
            prop_assert!(value.starts_with(first) && value.ends_with(last));
        }
    }
}
