//! What went wrong with a server, in words for people, and what may help.
//!
//! Invariant: no message contains a password or anything that was sent.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::settings::Address;
use crate::StoreError;

/// A failed try.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub remedy: Remedy,
    pub error: StoreError,
}

/// What may help, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing.
    None,
    /// The script's text.
    Text,
    /// A new connection: this one is broken, or leads to a server that is not the primary any more.
    Reconnect,
    /// Another server, if one has taken over; this one cannot be reached.
    Elsewhere,
    /// The slot's new node.
    Moved(Address),
    /// The slot's next node, with `ASKING`.
    Ask(Address),
    /// A moment.
    Wait,
}

impl Trouble {
    /// Redis is away: the ledger may ask again later.
    pub(super) fn away(remedy: Remedy, message: String) -> Trouble {
        Trouble {
            remedy,
            error: StoreError::Away(message),
        }
    }

    /// Judges what the library or the server said.
    pub(super) fn of(error: &RedisError, server: &Address) -> Trouble {
        let detail = error.detail().unwrap_or_default();
        let away = |remedy, what: &str| Trouble::away(remedy, format!("Redis at {server} {what}"));
        match error.kind() {
            ErrorKind::Server(kind) => of_kind(kind, error, server),
            ErrorKind::Extension => of_code(error.code().unwrap_or_default(), detail, server),
            ErrorKind::AuthenticationFailed => away(Remedy::None, WRONG_LOGIN),
            // Whatever the library thinks of it: nothing more comes of this connection.
            ErrorKind::Io | ErrorKind::Parse => {
                away(Remedy::Reconnect, &format!("cannot be reached: {error}"))
            }
            _ => away(Remedy::None, &format!("gave an unexpected answer: {error}")),
        }
    }
}

const WRONG_LOGIN: &str = "does not accept this user and password: correct `username` and `password` in the ledger's \
                           settings (or in the URL)";

const TOO_OLD: &str = "cannot run the ledger's scripts: it must be Redis 7 or newer, or Valkey";

fn of_kind(kind: ServerErrorKind, error: &RedisError, server: &Address) -> Trouble {
    let detail = error.detail().unwrap_or_default();
    let away = |remedy, what: &str| Trouble::away(remedy, format!("Redis at {server} {what}"));
    match kind {
        ServerErrorKind::NoScript => away(Remedy::Text, "does not know a script"),
        ServerErrorKind::Moved | ServerErrorKind::Ask => {
            let Some(to) = redirect(error, server) else {
                return away(
                    Remedy::None,
                    "is a node of a Cluster and names no other node",
                );
            };
            let what = format!(
                "is a node of a Cluster, and another ({to}) has these keys: the ledger's settings must say that it is \
                 a Cluster"
            );
            let moved = kind == ServerErrorKind::Moved;
            let remedy = if moved {
                Remedy::Moved(to)
            } else {
                Remedy::Ask(to)
            };
            away(remedy, &what)
        }
        ServerErrorKind::TryAgain => away(Remedy::Wait, "is moving these keys to another node"),
        ServerErrorKind::ReadOnly => {
            let what =
                "is a read-only replica: connect to the primary (after a fail-over this passes)";
            away(Remedy::Reconnect, what)
        }
        ServerErrorKind::BusyLoading => away(Remedy::None, "is loading its data after a start"),
        ServerErrorKind::ClusterDown => away(
            Remedy::Elsewhere,
            &format!("is in a Cluster that is down ({detail})"),
        ),
        ServerErrorKind::MasterDown => away(Remedy::Elsewhere, "is a replica without its primary"),
        ServerErrorKind::NoPerm => {
            let what = "does not permit this user what the ledger needs: give it +@all on the ledger's keys, or at \
                        least +@scripting +@read +@write +@connection";
            away(Remedy::None, &format!("{what} ({detail})"))
        }
        ServerErrorKind::ResponseError if detail.contains("compiling script") => {
            away(Remedy::None, TOO_OLD)
        }
        ServerErrorKind::ResponseError if detail.contains("cluster support disabled") => away(
            Remedy::None,
            "is not a node of a Cluster: the ledger's settings must say what it is",
        ),
        _ => of_code(error.code().unwrap_or("ERR"), detail, server),
    }
}

/// Errors that the library has no name for.
fn of_code(code: &str, detail: &str, server: &Address) -> Trouble {
    let away = |remedy, what: &str| Trouble::away(remedy, format!("Redis at {server} {what}"));
    let corrupt = |message: String| Trouble {
        remedy: Remedy::None,
        error: StoreError::Corrupt(message),
    };
    match code {
        "TGNEWER" => corrupt(format!(
            "Redis at {server} has the books of a newer version of this program ({detail}): run that version, or \
             one newer"
        )),
        "TGREFUSED" => Trouble {
            remedy: Remedy::None,
            error: StoreError::Refused(detail.to_owned()),
        },
        "NOAUTH" => away(
            Remedy::Reconnect,
            "wants a password: write `password` (and `username`) in the ledger's settings",
        ),
        "WRONGPASS" => away(Remedy::Reconnect, WRONG_LOGIN),
        "OOM" => away(
            Remedy::None,
            "has no memory left for the ledger: raise its maxmemory (and see that its maxmemory-policy is noeviction)",
        ),
        "MISCONF" => away(
            Remedy::None,
            "cannot write to its disk and so takes no changes: see its log",
        ),
        "NOREPLICAS" => away(Remedy::None, "has too few replicas to take changes"),
        "BUSY" => away(Remedy::None, "is busy with a script that takes long"),
        "DENIED" => away(
            Remedy::None,
            "is in protected mode and lets in its own machine only: set a password on it",
        ),
        // An error inside a script means that its keys are not what it left there.
        "WRONGTYPE" => corrupt(format!(
            "Redis at {server} has strange data under the ledger's keys: {detail}"
        )),
        _ if detail.contains("user_script") => corrupt(format!(
            "Redis at {server} has strange data under the ledger's keys, or a script of the ledger is wrong: {detail}"
        )),
        _ => away(Remedy::None, &format!("answered {code} {detail}")),
    }
}

/// The node that an answer points to; one without a host means the host that answered.
fn redirect(error: &RedisError, server: &Address) -> Option<Address> {
    let (place, _) = error.redirect_node()?;
    let mut address = Address::parse(place)?;
    if address.host.is_empty() {
        address.host = server.host.clone();
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(line: &str) -> Trouble {
        let error = redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .and_then(redis::Value::extract_error)
            .unwrap_err();
        Trouble::of(&error, &Address::new("h", 1))
    }

    #[test]
    fn what_servers_say_is_judged() {
        let to = |place: &str| Address::parse(place).unwrap();
        for (line, remedy, word) in [
            ("NOSCRIPT No matching script.", Remedy::Text, "script"),
            (
                "MOVED 3999 10.0.0.2:7001",
                Remedy::Moved(to("10.0.0.2:7001")),
                "Cluster",
            ),
            ("MOVED 3999 :7001", Remedy::Moved(to("h:7001")), "Cluster"),
            (
                "ASK 3999 10.0.0.2:7001",
                Remedy::Ask(to("10.0.0.2:7001")),
                "Cluster",
            ),
            ("READONLY You can't write", Remedy::Reconnect, "replica"),
            ("LOADING Redis is loading", Remedy::None, "loading"),
            (
                "CLUSTERDOWN Hash slot not served",
                Remedy::Elsewhere,
                "down",
            ),
            ("TRYAGAIN Multiple keys", Remedy::Wait, "moving"),
            ("OOM command not allowed", Remedy::None, "maxmemory"),
            ("MISCONF Redis is configured", Remedy::None, "disk"),
            (
                "NOAUTH Authentication required.",
                Remedy::Reconnect,
                "password",
            ),
            ("NOPERM this user", Remedy::None, "permit"),
            (
                "ERR Error compiling script (new function)",
                Remedy::None,
                "Redis 7",
            ),
            (
                "ERR max number of clients reached",
                Remedy::None,
                "max number",
            ),
        ] {
            let trouble = trouble(line);
            assert_eq!(trouble.remedy, remedy, "{line}");
            let StoreError::Away(message) = trouble.error else {
                panic!("{line}: {:?}", trouble.error);
            };
            assert!(
                message.contains(word) && message.contains("h:1"),
                "{message}"
            );
        }
        for line in [
            "TGNEWER this account is of schema 2",
            "WRONGTYPE Operation against a key",
            "ERR hash value is not an integer script: 0, on @user_script:3.",
        ] {
            assert!(
                matches!(trouble(line).error, StoreError::Corrupt(_)),
                "{line}"
            );
        }
        assert!(matches!(
            trouble("TGREFUSED no").error,
            StoreError::Refused(_)
        ));
    }
}
