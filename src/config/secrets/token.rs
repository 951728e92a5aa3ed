//! Tokens: `tg-<id>-g1-<secret>` of access keys, `tga-<id>-g1-<secret>` of admin API keys.
//!
//! The id is public and finds the key; the secret proves it. `g1` is the generation of the form. Invariant: a
//! token exists only where it is generated and where it arrives; what is kept is its SHA-256, which is enough
//! because the secret is 256 random bits, not a password.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const ACCESS_PREFIX: &str = "tg-";
const ADMIN_PREFIX: &str = "tga-";
const GENERATION: &str = "-g1";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 digits of base 62 carry 256 bits.
const SECRET_LENGTH: usize = 43;
/// Fewest digits of a secret; 190 bits.
const SECRET_MIN: usize = 32;
/// Longest token that is looked at at all.
const TOKEN_MAX: usize = 256;
/// Longest id.
const ID_MAX: usize = 63;

/// A token that was just made. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A token taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenParts<'a> {
    /// The part that finds the key.
    pub id: &'a str,
    /// The part that proves it.
    pub secret: &'a str,
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The id has the wrong form.
    #[error(
        "`{0}` is not an id: use lowercase letters, digits, `-` and `_`, at most 63, starting with a letter or digit"
    )]
    Id(String),
    /// The system has no random numbers.
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Returns whether `id` is `[a-z0-9][a-z0-9_-]{0,62}`.
pub fn is_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    id.len() <= ID_MAX
        && id.bytes().next().is_some_and(plain)
        && id.bytes().all(|b| plain(b) || b == b'_' || b == b'-')
}

/// Takes an access key's token apart; `None` if it does not have the form.
pub fn parse(token: &str) -> Option<TokenParts<'_>> {
    take_apart(ACCESS_PREFIX, token)
}

/// Takes an admin API key's token apart; `None` if it does not have the form.
pub fn parse_admin(token: &str) -> Option<TokenParts<'_>> {
    take_apart(ADMIN_PREFIX, token)
}

fn take_apart<'t>(prefix: &str, token: &'t str) -> Option<TokenParts<'t>> {
    if token.len() > TOKEN_MAX {
        return None;
    }
    // The last `-` separates: an id may contain even a `-g1-`, a secret has no `-`.
    let (id, secret) = token.strip_prefix(prefix)?.rsplit_once('-')?;
    let id = id.strip_suffix(GENERATION)?;
    let good_secret =
        secret.len() >= SECRET_MIN && secret.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_id(id) && good_secret).then_some(TokenParts { id, secret })
}

/// SHA-256 of a whole token.
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Returns whether two digests are equal, in time that does not depend on where they differ.
pub fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
}

/// 64 lowercase hexadecimal digits.
pub fn to_hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 hexadecimal digits of either case.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (i, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(digest)
}

impl Token {
    /// Returns a new token of an access key, with 256 bits from the system's random numbers.
    ///
    /// # Errors
    ///
    /// When the id has the wrong form, or the system has no random numbers.
    pub fn generate(id: &str) -> Result<Token, GenerateError> {
        Token::make(ACCESS_PREFIX, id)
    }

    /// Returns the same of an admin API key.
    ///
    /// # Errors
    ///
    /// When the id has the wrong form, or the system has no random numbers.
    pub fn generate_admin(id: &str) -> Result<Token, GenerateError> {
        Token::make(ADMIN_PREFIX, id)
    }

    fn make(prefix: &str, id: &str) -> Result<Token, GenerateError> {
        if !is_id(id) {
            return Err(GenerateError::Id(id.to_owned()));
        }
        let mut secret = String::with_capacity(SECRET_LENGTH);
        let mut bytes = [0; 64];
        while secret.len() < SECRET_LENGTH {
            getrandom::fill(&mut bytes).map_err(GenerateError::Random)?;
            // 248 = 4 × 62: bytes beyond would make the first digits more likely than the others.
            let digits = bytes
                .iter()
                .filter(|&&byte| byte < 248)
                .map(|&byte| char::from(BASE62[usize::from(byte) % 62]));
            secret.extend(digits.take(SECRET_LENGTH - secret.len()));
        }
        Ok(Token(format!("{prefix}{id}{GENERATION}-{secret}")))
    }

    /// Returns the token itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the whole token.
    pub fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl fmt::Debug for TokenParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenParts")
            .field("id", &self.id)
            .field("secret", &"***")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn generated_tokens_parse_and_differ() {
        let token = Token::generate("web-app_2").unwrap();
        let parts = parse(token.expose()).unwrap();
        assert_eq!(parts.id, "web-app_2");
        assert_eq!(parts.secret.len(), SECRET_LENGTH);
        assert_ne!(token, Token::generate("web-app_2").unwrap());
        assert_eq!(
            format!("{token:?} {parts:?}"),
            r#"Token(***) TokenParts { id: "web-app_2", secret: "***" }"#
        );
        assert!(
            Token::generate("Web App")
                .unwrap_err()
                .to_string()
                .contains("lowercase")
        );
    }

    #[test]
    fn neither_kind_of_token_is_taken_for_the_other() {
        let (access, admin) = (
            Token::generate("a").unwrap(),
            Token::generate_admin("a").unwrap(),
        );
        assert_eq!(parse_admin(admin.expose()).unwrap().id, "a");
        assert!(admin.expose().starts_with("tga-a-g1-"));
        assert!(parse(admin.expose()).is_none() && parse_admin(access.expose()).is_none());
        assert!(Token::generate_admin("Not An Id").is_err());
    }

    #[test]
    fn malformed_tokens_do_not_parse() {
        let secret = "A".repeat(32);
        assert_eq!(
            parse(&format!("tg-a-g1-b-g1-{secret}")).unwrap().id,
            "a-g1-b",
            "the last separator counts"
        );
        assert!(
            parse(&format!("tg-{}-g1-{secret}", "a".repeat(63))).is_some(),
            "longest id"
        );
        for token in [
            String::new(),
            "tg-".into(),
            "sk-proj-whatever".into(),
            format!("tg-app-g2-{secret}"),
            format!("TG-app-g1-{secret}"),
            format!("tg--g1-{secret}"),
            format!("tg-App-g1-{secret}"),
            format!("tg--app-g1-{secret}"),
            format!("tg-ä-g1-{secret}"),
            format!("tg-{}-g1-{secret}", "a".repeat(64)),
            format!("tg-app-g1-{}", &secret[1..]),
            format!("tg-app-g1-{secret}_"),
            format!("tg-app-g1-{secret} "),
            format!("tg-app-g1-{}", "A".repeat(300)),
        ] {
            assert!(parse(&token).is_none(), "{token}");
        }
    }

    #[test]
    fn digests_are_plain_sha256() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(to_hex(&digest("abc")), hex);
        assert_eq!(from_hex(hex), Some(digest("abc")));
        assert_eq!(from_hex(&hex.to_uppercase()), Some(digest("abc")));
        assert_eq!(from_hex(&hex[1..]), None);
        assert_eq!(from_hex(&hex.replace('b', "g")), None);
        assert!(same(&digest("abc"), &digest("abc")) && !same(&digest("abc"), &digest("abd")));
    }

    proptest! {
        #[test]
        fn what_has_the_form_comes_apart_into_what_it_was_made_of(id in "[a-z0-9][a-z0-9_-]{0,62}", secret in "[A-Za-z0-9]{32,64}") {
            let token = format!("tg-{id}-g1-{secret}");
            prop_assert_eq!(parse(&token), Some(TokenParts { id: &id, secret: &secret }));
        }

        #[test]
        fn no_text_makes_parsing_panic(token in ".{0,80}") {
            prop_assert_eq!(parse(&token).is_some(), parse(&token).is_some());
        }
    }
}
