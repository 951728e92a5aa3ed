//! `tollgate key`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use tollgate_config::secrets::token::{Token, to_hex};
use tollgate_config::secrets::{Role, UnknownRole};

use super::failed;

/// A new access key, or an admin API key.
#[derive(Debug, Args)]
pub struct NewKey {
    /// Its id: lowercase letters, digits, `-` and `_`. It is part of the token, and not secret. Default with
    /// `--admin`: `root`.
    #[arg(long, required_unless_present = "admin")]
    pub id: Option<String>,
    /// A name for people.
    #[arg(long)]
    pub name: Option<String>,
    /// The account it belongs to, if not `default`; with `--admin` the only account it is for, if not all.
    #[arg(long)]
    pub account: Option<String>,
    /// The configuration it is held to; without one it may call everything.
    #[arg(long, conflicts_with = "admin")]
    pub configuration: Option<String>,
    /// A key of the admin API, for operators, instead of one for applications.
    #[arg(long)]
    pub admin: bool,
    /// What its holder may do: full (the default), read-only or usage-only.
    #[arg(long, requires = "admin", value_parser = role)]
    pub role: Option<Role>,
}

fn role(text: &str) -> Result<Role, UnknownRole> {
    text.parse()
}

/// Prints a new token and the entry of the configuration for it.
pub fn new(key: &NewKey) -> io::Result<ExitCode> {
    let token = match key.admin {
        true => Token::generate_admin(id(key)),
        false => Token::generate(id(key)),
    };
    let token = match token {
        Ok(token) => token,
        Err(error) => return failed(error, ExitCode::from(2)),
    };
    let whose = match key.admin {
        true => "Give it to the operator",
        false => "Give it to the application",
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}\n", token.expose())?;
    writeln!(
        out,
        "This is the only time the token is shown. {whose}, and add its entry to the"
    )?;
    writeln!(out, "configuration:\n")?;
    writeln!(out, "{}", entry(key, &token))?;
    Ok(ExitCode::SUCCESS)
}

fn id(key: &NewKey) -> &str {
    key.id.as_deref().unwrap_or("root")
}

fn entry(key: &NewKey, token: &Token) -> String {
    let (list, indent) = match key.admin {
        true => ("admin:\n  api_keys:\n", "    "),
        false => ("access_keys:\n", "  "),
    };
    let mut entry = format!("{list}{indent}- id: {}\n", quoted(id(key)));
    let role = key.role.map(|role| role.to_string());
    let fields = [
        ("name", &key.name),
        ("account", &key.account),
        ("configuration", &key.configuration),
        ("role", &role),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            entry += &format!("{indent}  {field}: {}\n", quoted(value));
        }
    }
    entry + &format!("{indent}  sha256: \"{}\"", to_hex(&token.digest()))
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_config::types::File;

    fn key(id: Option<&str>, admin: bool) -> NewKey {
        NewKey {
            id: id.map(str::to_owned),
            name: Some("Web: \"app\" #1".into()),
            account: None,
            configuration: None,
            admin,
            role: None,
        }
    }

    #[test]
    fn the_entry_is_yaml_that_says_what_was_asked_for() {
        let token = Token::generate("no").unwrap();
        let key = NewKey {
            configuration: Some("team-a".into()),
            ..key(Some("no"), false)
        };
        let yaml = format!("{}\n", entry(&key, &token));
        let file: File = tollgate_config::from_yaml(&yaml).unwrap();
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

    #[test]
    fn an_admin_keys_entry_says_what_it_may_do() {
        let token = Token::generate_admin("root").unwrap();
        let key = NewKey {
            account: Some("sales".into()),
            role: Some(Role::UsageOnly),
            ..key(None, true)
        };
        let yaml = format!("{}\n", entry(&key, &token));
        let file: File = tollgate_config::from_yaml(&yaml).unwrap();
        let entry = &file.admin.api_keys[0];
        assert_eq!(entry.id.as_deref(), Some("root"), "the default");
        assert_eq!(entry.name.as_deref(), Some("Web: \"app\" #1"));
        assert_eq!(entry.account.as_deref(), Some("sales"));
        assert_eq!(entry.role, Some(Role::UsageOnly));
        assert_eq!(entry.sha256, to_hex(&token.digest()));
        assert!(!yaml.contains(token.expose()));
    }
}
