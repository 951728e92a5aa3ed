//! Resources of a running gateway, over its admin API: `tollgate access-keys create --name app`.
//!
//! The commands are made from the API's own OpenAPI document: the first word of a path is the noun, what is done to
//! it the verb, and the fields of what is sent are the options. A new operation of the API is a command at once.

pub mod call;
mod options;
mod show;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Args as _, Command, FromArgMatches as _};
use serde_json::Value;

use self::call::{Answer, Gateway};
use super::failed;

/// Paths whose commands are made by hand.
const BY_HAND: [&str; 6] = ["alerts", "catalog", "credits", "ledger", "upgrade", "usage"];

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is said below the help of every such command.
const HELP: &str = "\
The gateway is the one at --url (TOLLGATE_ADMIN_URL), and the API key the one in TOLLGATE_ADMIN_KEY or in the file of
--api-key-file. An option's value that begins with `@` is read from that file (`@-`: standard input; `@@` is one `@`),
so that secrets need not be on the command line. Exit codes: 0 done, 1 refused or not reached, 2 the command line is wrong.";

/// One thing that can be done.
struct Verb {
    name: &'static str,
    method: String,
    path: String,
    operation: Value,
}

/// A kind of resource.
struct Noun {
    name: String,
    about: String,
    verbs: Vec<Verb>,
}

/// The API's document: a fault of this program if there is none.
fn document() -> Value {
    tollgate_control::admin::openapi().unwrap_or_default()
}

fn nouns(document: &Value) -> Vec<Noun> {
    let mut nouns: Vec<Noun> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        let mut words = path.split('/').skip(1);
        let name = words.next().unwrap_or_default();
        if BY_HAND.contains(&name) {
            continue;
        }
        let rest: Vec<&str> = words.collect();
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let Some(verb) = verb(method, &rest, operation) else {
                continue;
            };
            let verb = Verb {
                name: verb,
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                operation: operation.clone(),
            };
            match nouns.iter_mut().find(|noun| noun.name == name) {
                Some(noun) => noun.verbs.push(verb),
                None => nouns.push(Noun {
                    name: name.to_owned(),
                    about: about(document, operation),
                    verbs: vec![verb],
                }),
            }
        }
    }
    nouns
}

/// What a method on a path is called; `rest` is the path after the noun.
fn verb(method: &str, rest: &[&str], operation: &Value) -> Option<&'static str> {
    let lists = operation["operationId"]
        .as_str()
        .is_some_and(|id| id.starts_with("List"));
    Some(match (method, rest) {
        ("get", []) if lists => "list",
        ("get", []) | ("get", ["{id}"]) => "get",
        ("post", []) => "create",
        ("patch", []) | ("patch", ["{id}"]) => "update",
        ("delete", ["{id}"]) => "delete",
        ("delete", []) => "clear",
        ("post", ["{id}", "rotate"]) => "rotate",
        ("post", ["{id}", "test"]) => "test",
        _ => return None,
    })
}

fn about(document: &Value, operation: &Value) -> String {
    let name = &operation["tags"][0];
    let tags = document["tags"].as_array().into_iter().flatten();
    let tag = tags.into_iter().find(|tag| tag["name"] == *name);
    let about = tag.and_then(|tag| tag["description"].as_str());
    about.unwrap_or_default().to_owned()
}

/// Returns the command line with a command for every kind of resource.
pub fn with_resources(command: Command) -> Command {
    let document = document();
    let nouns = nouns(&document);
    nouns.iter().fold(command, |command, noun| {
        command.subcommand(noun_command(&document, noun))
    })
}

fn noun_command(document: &Value, noun: &Noun) -> Command {
    let command = Command::new(noun.name.clone())
        .about(noun.about.clone())
        .after_help(HELP)
        .subcommand_required(true)
        .arg_required_else_help(true);
    noun.verbs.iter().fold(command, |command, verb| {
        command.subcommand(verb_command(document, verb))
    })
}

fn verb_command(document: &Value, verb: &Verb) -> Command {
    let text = |field: &str| {
        let text = verb.operation[field].as_str();
        text.unwrap_or_default().to_owned()
    };
    let (summary, description) = (text("summary"), text("description"));
    let long = if description.is_empty() {
        summary.clone()
    } else {
        format!("{summary}\n\n{description}")
    };
    let command = Command::new(verb.name)
        .about(summary)
        .long_about(long)
        .after_help(HELP)
        .args(common());
    let mut command = Gateway::augment_args(command);
    if verb.path.contains("{id}") {
        let id = Arg::new("id").value_name("ID").required(true);
        command = command.arg(id.help("The resource's id"));
    }
    command.args(options::of(document, &verb.operation))
}

/// What every command takes.
fn common() -> [Arg; 2] {
    [
        Arg::new("account")
            .long("account")
            .value_name("ID")
            .help("The account to act for, if not the API key's own or `default`"),
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .help("As JSON, as the API answers"),
    ]
}

/// Runs a command of a kind of resource; `None` if there is no such kind.
pub fn run(noun: &str, matches: &ArgMatches) -> Option<io::Result<ExitCode>> {
    let document = document();
    let nouns = nouns(&document);
    let noun = nouns.iter().find(|known| known.name == noun)?;
    let (name, matches) = matches.subcommand()?;
    let verb = noun.verbs.iter().find(|verb| verb.name == name)?;
    Some(done(&document, verb, matches))
}

fn done(document: &Value, verb: &Verb, matches: &ArgMatches) -> io::Result<ExitCode> {
    match carry_out(document, verb, matches) {
        Ok(code) => code,
        Err(words) => failed(words, ExitCode::FAILURE),
    }
}

fn carry_out(
    document: &Value,
    verb: &Verb,
    matches: &ArgMatches,
) -> Result<io::Result<ExitCode>, String> {
    let gateway = Gateway::from_arg_matches(matches).map_err(|error| error.to_string())?;
    let account = matches.get_one::<String>("account").cloned();
    let client = gateway.client(PATIENCE, account)?;
    if !client.has_key() {
        return Err("an API key is needed: set TOLLGATE_ADMIN_KEY to the one that the gateway was started with, or \
                    to one that `tollgate api-keys create` made"
            .to_owned());
    }
    let body = options::body(document, &verb.operation, matches)?;
    let query = options::query(document, &verb.operation, matches)?;
    let id = matches.try_get_one::<String>("id").ok().flatten();
    let first = client.call(&verb.method, &verb.path, id, &query, body.as_ref())?;
    let answer = match first {
        Answer::Value(first) if verb.name == "list" => {
            let most = matches.try_get_one::<u64>("limit").ok().flatten().copied();
            Answer::Value(client.rest_of(&verb.path, id, first, most)?)
        }
        answer => answer,
    };
    let json = matches.get_flag("json");
    Ok(match answer {
        Answer::Refused(words) => failed(words, ExitCode::FAILURE),
        Answer::Nothing => Ok(ExitCode::SUCCESS),
        Answer::Value(value) if json => {
            writeln!(io::stdout(), "{value:#}").map(|()| ExitCode::SUCCESS)
        }
        Answer::Value(value) => show::value(&value).map(|()| ExitCode::SUCCESS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_but_those_by_hand_is_a_command() {
        let document = document();
        let nouns = nouns(&document);
        let has = |noun: &str, verb: &str| {
            nouns
                .iter()
                .any(|known| known.name == noun && known.verbs.iter().any(|v| v.name == verb))
        };
        for verb in ["list", "create", "get", "update", "delete"] {
            assert!(has("access-keys", verb), "access-keys {verb}");
        }
        for (path, methods) in document["paths"].as_object().unwrap() {
            let noun = path.split('/').nth(1).unwrap();
            let known = nouns.iter().find(|known| known.name == noun);
            for method in methods.as_object().unwrap().keys() {
                let made = known.is_some_and(|known| {
                    known
                        .verbs
                        .iter()
                        .any(|verb| verb.path == *path && verb.method.eq_ignore_ascii_case(method))
                });
                assert!(
                    made || method == "head" || BY_HAND.contains(&noun),
                    "no command for {method} {path}"
                );
            }
        }
    }
}
