//! Options from schemas: a field `accessKeyConfigurationId` is `--access-key-configuration-id`.

use std::io::Read;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::{Map, Value};

use super::call::PAGE;

/// Options that all commands have; a field of the same name is left out.
const COMMON: [&str; 6] = [
    "url",
    "key",
    "api-key-file",
    "account",
    "json",
    "account-id",
];

/// A field that is sent.
struct Field {
    name: String,
    option: String,
    schema: Value,
    required: bool,
    nullable: bool,
}

/// Returns the options of an operation: the fields of its body, and its query parameters.
pub fn of(document: &Value, operation: &Value) -> Vec<Arg> {
    let body = fields(document, operation);
    let mut args: Vec<Arg> = body.iter().map(arg).collect();
    if body.iter().any(|field| field.nullable) {
        let names: Vec<String> = body
            .iter()
            .filter(|field| field.nullable)
            .map(|field| field.option.clone())
            .collect();
        args.push(
            Arg::new("clear")
                .long("clear")
                .value_name("OPTION")
                .action(ArgAction::Append)
                .value_parser(PossibleValuesParser::new(names))
                .help("Clear this field; may be repeated"),
        );
    }
    args.extend(parameters(document, operation).iter().map(arg));
    args
}

fn arg(field: &Field) -> Arg {
    let help = field.schema["description"].as_str().unwrap_or_default();
    let arg = Arg::new(field.option.clone())
        .long(field.option.clone())
        .required(field.required)
        .help(help.to_owned());
    match kind(&field.schema) {
        "integer" => arg.value_name("N").value_parser(value_parser!(u64)),
        "boolean" => arg
            .value_name("true|false")
            .value_parser(value_parser!(bool)),
        "string" => match choices(&field.schema) {
            Some(choices) => arg.value_parser(PossibleValuesParser::new(choices)),
            None => arg.value_name("TEXT"),
        },
        _ => arg.value_name("JSON"),
    }
}

/// Returns the body that the options make; `None` if the operation takes none.
///
/// # Errors
/// When a file cannot be read, or JSON is none.
pub fn body(
    document: &Value,
    operation: &Value,
    matches: &ArgMatches,
) -> Result<Option<Value>, String> {
    if operation["requestBody"].is_null() {
        return Ok(None);
    }
    let mut body = Map::new();
    for field in fields(document, operation) {
        if let Some(value) = sent(&field, matches)? {
            body.insert(field.name, value);
        }
    }
    let cleared = matches.try_get_many::<String>("clear").ok().flatten();
    for option in cleared.into_iter().flatten() {
        let all = fields(document, operation);
        let field = all.into_iter().find(|field| field.option == *option);
        body.extend(field.map(|field| (field.name, Value::Null)));
    }
    Ok(Some(Value::Object(body)))
}

/// Returns the query that the options make.
///
/// # Errors
/// When a file cannot be read.
pub fn query(
    document: &Value,
    operation: &Value,
    matches: &ArgMatches,
) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for field in parameters(document, operation) {
        match sent(&field, matches)? {
            Some(Value::String(text)) => pairs.push((field.name, text)),
            // A page has no more; further pages are asked for until there are enough.
            Some(Value::Number(most)) if field.name == "limit" => {
                let most = most.as_u64().unwrap_or(PAGE).clamp(1, PAGE);
                pairs.push((field.name, most.to_string()));
            }
            // Of a list each is a parameter.
            Some(Value::Array(all)) => pairs.extend(all.into_iter().map(|one| {
                let text = one.as_str().map_or_else(|| one.to_string(), str::to_owned);
                (field.name.clone(), text)
            })),
            Some(value) => pairs.push((field.name, value.to_string())),
            None => {}
        }
    }
    Ok(pairs)
}

fn sent(field: &Field, matches: &ArgMatches) -> Result<Option<Value>, String> {
    let option = field.option.as_str();
    Ok(match kind(&field.schema) {
        "integer" => matches
            .get_one::<u64>(option)
            .map(|number| Value::from(*number)),
        "boolean" => matches
            .get_one::<bool>(option)
            .map(|truth| Value::from(*truth)),
        kind => {
            let Some(text) = matches.get_one::<String>(option) else {
                return Ok(None);
            };
            let text = read(text).map_err(|error| format!("--{option}: {error}"))?;
            if kind == "string" {
                Some(Value::String(text))
            } else {
                let value = serde_json::from_str(&text);
                // The text may hold a secret, so only the place of the fault is shown.
                Some(value.map_err(|error| {
                    format!(
                        "--{option} must be JSON: line {}, column {}",
                        error.line(),
                        error.column()
                    )
                })?)
            }
        }
    })
}

/// A value, or what the file that it names holds.
fn read(text: &str) -> std::io::Result<String> {
    let content = match text.strip_prefix('@') {
        None => return Ok(text.to_owned()),
        Some(rest) if rest.starts_with('@') => return Ok(rest.to_owned()),
        Some("-") => {
            let mut content = String::new();
            std::io::stdin().read_to_string(&mut content)?;
            content
        }
        Some(path) => std::fs::read_to_string(path)?,
    };
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

/// `integer`, `boolean`, `string`, or `json` for everything else.
fn kind(schema: &Value) -> &'static str {
    let is = |kind: &str| match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(kinds) => kinds.iter().all(|one| one == kind || one == "null"),
        _ => false,
    };
    ["integer", "boolean", "string"]
        .into_iter()
        .find(|kind| is(kind))
        .unwrap_or(
            if schema["const"].is_string() || choices(schema).is_some() {
                "string"
            } else {
                "json"
            },
        )
}

/// The texts that a schema allows, if there are only some: an `enum`, or constants with a description each.
fn choices(schema: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(values) = schema["enum"].as_array() {
        return Some(values.iter().filter_map(text).collect());
    }
    let forms = schema["oneOf"].as_array()?;
    let choices = forms.iter().map(|form| match form["enum"].as_array() {
        Some(values) => values.iter().map(text).collect(),
        None => text(&form["const"]).map(|one| vec![one]),
    });
    let choices: Option<Vec<Vec<String>>> = choices.collect();
    choices.map(|choices| choices.concat())
}

fn fields(document: &Value, operation: &Value) -> Vec<Field> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let schema = resolved(document, schema);
    let required = schema["required"].as_array();
    let properties = schema["properties"].as_object();
    let fields = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| Field {
            option: kebab(name),
            required: required.is_some_and(|names| names.iter().any(|one| one == name)),
            nullable: is_nullable(schema),
            schema: described(document, schema),
            name: name.clone(),
        });
    fields
        .filter(|field| !COMMON.contains(&&*field.option))
        .collect()
}

fn parameters(document: &Value, operation: &Value) -> Vec<Field> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let query = all.map(|one| resolved(document, one));
    let query = query.filter(|one| one["in"] == "query");
    let fields = query.filter_map(|one| {
        let name = one["name"].as_str()?.to_owned();
        let mut schema = described(document, &one["schema"]);
        if let (Some(schema), Some(words)) = (schema.as_object_mut(), one["description"].as_str()) {
            schema.insert("description".to_owned(), words.into());
        }
        Some(Field {
            option: kebab(&name),
            required: one["required"] == true,
            nullable: false,
            schema,
            name,
        })
    });
    fields
        .filter(|field| !COMMON.contains(&&*field.option))
        .collect()
}

/// What a schema refers to, with its own description.
fn described(document: &Value, schema: &Value) -> Value {
    let mut found = resolved(document, schema).clone();
    if let (Some(found), Some(words)) = (found.as_object_mut(), schema["description"].as_str()) {
        found.insert("description".to_owned(), words.into());
    }
    found
}

/// What a reference refers to, or the schema itself; of `T or null`, `T`.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = reference
            .strip_prefix('#')
            .and_then(|pointer| document.pointer(pointer));
        return found.unwrap_or(schema);
    }
    let choices = schema["anyOf"].as_array();
    let only = choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"));
    only.map_or(schema, |only| resolved(document, only))
}

fn is_nullable(schema: &Value) -> bool {
    let null = |list: &Value| {
        let list = list.as_array();
        list.is_some_and(|list| {
            list.iter()
                .any(|one| one == "null" || one["type"] == "null")
        })
    };
    null(&schema["type"]) || null(&schema["anyOf"])
}

/// `providerId` is `provider-id`.
fn kebab(name: &str) -> String {
    let mut option = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_ascii_uppercase() {
            option.push('-');
        }
        option.push(char.to_ascii_lowercase());
    }
    option
}
