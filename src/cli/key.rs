//! `tollgate key`.

use std::io::{self, Write};
use std::process::ExitCode;

use tollgate::access::token::{Token, to_hex};

use super::NewKey;

/// Prints a new token and the entry of `access_keys` for it.
pub fn new(key: &NewKey) -> io::Result<ExitCode> {
    let token = match Token::generate(&key.id) {
        Ok(token) => token,
        Err(error) => {
            writeln!(io::stderr(), "tollgate: {error}")?;
            return Ok(ExitCode::from(2));
        }
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}\n", token.expose())?;
    writeln!(
        out,
        "This is the only time the token is shown. Give it to the application, and add its entry to the"
    )?;
    writeln!(out, "configuration:\n")?;
    writeln!(out, "access_keys:\n{}", entry(key, &token))?;
    Ok(ExitCode::SUCCESS)
}

fn entry(key: &NewKey, token: &Token) -> String {
    let mut entry = format!("  - id: {}\n", quoted(&key.id));
    let fields = [
        ("name", &key.name),
        ("account", &key.account),
        ("configuration", &key.configuration),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            entry += &format!("    {field}: {}\n", quoted(value));
        }
    }
    entry + &format!("    sha256: \"{}\"", to_hex(&token.digest()))
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate::config::types::File;

    #[test]
    fn the_entry_is_yaml_that_says_what_was_asked_for() {
        let token = Token::generate("no").unwrap();
        let key = NewKey {
            id: "no".into(),
            name: Some("Web: \"app\" #1".into()),
            account: None,
            configuration: Some("team-a".into()),
        };
        let yaml = format!("access_keys:\n{}\n", entry(&key, &token));
        let file: File = serde_yaml::from_str(&yaml).unwrap();
        let entry = &file.access_keys[0];
        assert_eq!(
            (entry.id.as_str(), entry.name.as_deref()),
            ("no", Some("Web: \"app\" #1"))
        );
        assert_eq!(
            (entry.account.as_deref(), entry.configuration.as_deref()),
            (None, Some("team-a"))
        );
        assert_eq!(entry.sha256, to_hex(&token.digest()));
        assert!(!yaml.contains(token.expose()));
    }
}
