//! `${NAME}`, `${NAME:-default}` and `$$` inside text. Pure but for the lookup it is given.

/// What became of a text.
pub(super) struct Expanded {
    /// The text with every reference resolved.
    pub text: String,
    /// Whether there was one.
    pub referred: bool,
    /// Whether the whole text is one `${NAME:-}`: what it stands for may be left out.
    pub optional: bool,
}

/// Why a reference could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReferenceError {
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    #[error("`${{` is not closed by `}}`")]
    Unclosed,
    #[error("`${{{0}}}` is not a reference to an environment variable")]
    Name(String),
}

impl ReferenceError {
    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        match self {
            ReferenceError::Unset(name) => {
                format!("set it, or give a default: `${{{name}:-default}}`")
            }
            ReferenceError::Unclosed | ReferenceError::Name(_) => {
                "write `${NAME}`, `${NAME:-default}`, or `$$` for a dollar sign".to_owned()
            }
        }
    }
}

/// Resolves every reference in `text`. As in a shell, a default also stands in for an empty variable.
pub(super) fn expand(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Expanded, ReferenceError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut referred = false;
    let mut optional = false;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let (reference, after) = inside.split_once('}').ok_or(ReferenceError::Unclosed)?;
            let (name, default) = match reference.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (reference, None),
            };
            if !is_name(name) {
                return Err(ReferenceError::Name(reference.to_owned()));
            }
            let value = match (env(name), default) {
                (Some(value), None) => value,
                (Some(value), Some(_)) if !value.is_empty() => value,
                (_, Some(default)) => default.to_owned(),
                (None, None) => return Err(ReferenceError::Unset(name.to_owned())),
            };
            out.push_str(&value);
            referred = true;
            optional = default == Some("") && text.len() == reference.len() + 3;
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(Expanded {
        text: out,
        referred,
        optional,
    })
}

fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, ReferenceError> {
        let env = |name: &str| match name {
            "A" => Some("alpha".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("${A}".to_owned()),
            _ => None,
        };
        expand(text, &env).map(|expanded| expanded.text)
    }

    #[test]
    fn references_resolve_as_in_a_shell() {
        for (text, want) in [
            ("plain", "plain"),
            ("${A}", "alpha"),
            ("x-${A}-${A}-y", "x-alpha-alpha-y"),
            ("${B:-beta}", "beta"),
            ("${A:-beta}", "alpha"),
            ("${EMPTY:-beta}", "beta"),
            ("${EMPTY}", ""),
            ("${B:-}", ""),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("$A costs 5$", "$A costs 5$"),
            ("${DOLLAR}", "${A}"),
        ] {
            assert_eq!(run(text).as_deref(), Ok(want), "{text}");
        }
        assert_eq!(run("${B}"), Err(ReferenceError::Unset("B".into())));
        assert_eq!(run("${A"), Err(ReferenceError::Unclosed));
        for text in ["${}", "${1A}", "${A B}", "${A-x}"] {
            assert!(matches!(run(text), Err(ReferenceError::Name(_))), "{text}");
        }
    }

    #[test]
    fn only_a_whole_empty_default_is_optional() {
        let optional = |text| expand(text, &|_| None).unwrap().optional;
        assert!(optional("${B:-}"));
        assert!(
            !optional("${B:-x}")
                && !optional("x${B:-}")
                && !optional("${B:-}${B:-}")
                && !optional("")
        );
    }
}
