//! The scripts, each with a name and a version, and how they are called: by their hash, and once with their text
//! where a server does not know them.

use redis::{Cmd, ToRedisArgs};

/// A script's text and hash.
pub struct Script {
    text: String,
    hash: String,
}

impl Script {
    /// Returns a script of these parts, named for its readers. The first line makes Redis refuse the whole script where
    /// it must not or cannot write (a replica, no memory, no disk), rather than fail in its middle.
    pub fn new(name: &str, parts: &[&str]) -> Script {
        let text = format!("#!lua\n-- {name}\n{}", parts.join("\n"));
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Script { text, hash }
    }

    /// Returns what the server is given.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Declares scripts: `NAME = "tollgate:name:version", "text", …;`. One that changes gets a new number: programs of
/// both versions may be running.
#[macro_export]
macro_rules! scripts {
    ($($static:ident = $name:literal, $($part:expr),+;)+) => {
        $(pub(super) static $static: std::sync::LazyLock<$crate::redis::Script> =
            std::sync::LazyLock::new(|| $crate::redis::Script::new($name, &[$($part),+]));)+

        #[cfg(test)]
        #[test]
        fn every_script_says_its_name_and_refuses_as_a_whole() {
            for (name, script) in [$(($name, &*$static)),+] {
                let mut lines = script.text().lines();
                assert_eq!(lines.next(), Some("#!lua"), "{name}");
                assert_eq!(lines.next(), Some(&*format!("-- {name}")), "{name}");
            }
        }
    };
}

/// One call of a script.
pub struct Call {
    script: &'static Script,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    /// Returns a call without arguments about these keys.
    pub fn new(script: &'static Script, keys: Vec<String>) -> Call {
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

    /// Returns the key that says to which node the call goes.
    pub fn key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }

    /// By its hash.
    pub(crate) fn by_hash(&self) -> Cmd {
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
