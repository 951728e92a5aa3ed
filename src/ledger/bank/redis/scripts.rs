//! The scripts, each with a name and a version, and how they are called: by their hash, and once with their text
//! where a server does not know them.

use std::sync::LazyLock;

use redis::{Cmd, Script, ToRedisArgs};

/// A script's text and hash.
pub(super) struct Text {
    text: String,
    hash: String,
}

impl Text {
    /// The first line makes Redis refuse the whole script where it must not or cannot write (a replica, no memory,
    /// no disk), rather than fail in its middle.
    fn new(name: &str, parts: &[&str]) -> Text {
        let text = format!("#!lua\n-- {name}\n{}", parts.join("\n"));
        let hash = Script::new(&text).get_hash().to_owned();
        Text { text, hash }
    }
}

const ACCOUNT: &str = include_str!("lua/account.lua");
const COMMITS: &str = include_str!("lua/commit.lua");

macro_rules! scripts {
    ($($static:ident = $name:literal, $($part:expr),+;)+) => {
        $(pub(super) static $static: LazyLock<Text> = LazyLock::new(|| Text::new($name, &[$($part),+]));)+

        #[cfg(test)]
        fn all() -> Vec<(&'static str, &'static Text)> {
            vec![$(($name, &*$static)),+]
        }
    };
}

// A script that changes gets a new number: programs of both versions may be running.
scripts! {
    EXCHANGE = "tollgate:exchange:1", ACCOUNT, include_str!("lua/exchange.lua");
    GRANT = "tollgate:grant:1", ACCOUNT, include_str!("lua/grant.lua");
    BOOKS = "tollgate:books:1", ACCOUNT, include_str!("lua/books.lua");
    ROLLUPS = "tollgate:rollups:1", include_str!("lua/rollups.lua");
    MEET = "tollgate:meet:1", include_str!("lua/meet.lua");
    PUBLISH = "tollgate:publish:1", include_str!("lua/publish.lua");
    COOLING = "tollgate:cooling:1", include_str!("lua/cooling.lua");
    CLEAR = "tollgate:clear:1", include_str!("lua/clear.lua");
    COMMIT = "tollgate:commit:1", COMMITS;
    SINCE = "tollgate:since:1", include_str!("lua/since.lua");
    MARK_USED = "tollgate:mark-used:1", include_str!("lua/mark-used.lua");
}

/// One call of a script.
pub(super) struct Call {
    script: &'static Text,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub fn new(script: &'static Text, keys: Vec<String>) -> Call {
        Call {
            script,
            keys,
            arguments: Vec::new(),
        }
    }

    /// Adds an argument.
    pub fn push(&mut self, argument: impl ToRedisArgs) {
        self.arguments.extend(argument.to_redis_args());
    }

    /// With an argument more.
    pub fn with(mut self, argument: impl ToRedisArgs) -> Call {
        self.push(argument);
        self
    }

    /// The key that says to which node the call goes.
    pub fn key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }

    /// By its hash.
    pub fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    /// With its text, which the server remembers.
    pub fn by_text(&self) -> Cmd {
        self.command("EVAL", &self.script.text)
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(argument);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_says_its_name_and_refuses_as_a_whole() {
        for (name, script) in all() {
            let mut lines = script.text.lines();
            assert_eq!(lines.next(), Some("#!lua"), "{name}");
            assert_eq!(lines.next(), Some(&*format!("-- {name}")), "{name}");
        }
    }

    #[test]
    fn constants_are_those_of_the_reference() {
        use crate::ledger::bank::account::{RECALL, REMEMBERED, SHARE};
        use crate::ledger::bank::store::{REMEMBERED_COMMITS, REMEMBERED_DELETIONS};
        for (name, value) in [
            ("RECALL", RECALL.as_millis()),
            ("SHARE", u128::from(SHARE.unsigned_abs())),
        ] {
            assert!(
                ACCOUNT.contains(&format!("local {name} = {value}\n")),
                "{name}"
            );
        }
        for (name, value) in [
            ("REMEMBERED_COMMITS", REMEMBERED_COMMITS),
            ("REMEMBERED_DELETIONS", REMEMBERED_DELETIONS),
        ] {
            let line = format!("local {name} = {value}\n");
            assert!(COMMITS.contains(&line), "{name}");
        }
        assert_eq!(
            REMEMBERED.as_secs(),
            400 * 24 * 60 * 60,
            "as account.lua says"
        );
    }
}
