//! What a scalar stands for: YAML 1.2's core schema, and numbers after `0b`.

use serde_json::{Number, Value};

/// Resolves a scalar by its tag, or by its text where it is `plain`; what is quoted is text.
///
/// # Errors
///
/// When it is not what its tag says, or an integer that no 64 bits hold.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Value, String> {
    let string = Value::String(text.to_owned());
    let (found, wanted) = match tag {
        Some("tag:yaml.org,2002:null") => (word(text).filter(Value::is_null), "null"),
        Some("tag:yaml.org,2002:bool") => (word(text).filter(Value::is_boolean), "a boolean"),
        Some("tag:yaml.org,2002:int") => (integer(text)?, "an integer"),
        Some("tag:yaml.org,2002:float") => (float(text), "a float"),
        None if plain && text.is_empty() => return Ok(Value::Null),
        None if plain && !leading_zero(text) => {
            let found = word(text).or(integer(text)?).or_else(|| float(text));
            return Ok(found.unwrap_or(string));
        }
        _ => return Ok(string),
    };
    found.ok_or_else(|| format!("invalid value: string {text:?}, expected {wanted}"))
}

fn word(text: &str) -> Option<Value> {
    match text {
        "null" | "Null" | "NULL" | "~" => Some(Value::Null),
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn integer(text: &str) -> Result<Option<Value>, String> {
    let sign = if text.starts_with('-') { '-' } else { '+' };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, radix) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, radix)))
        .unwrap_or((digits, 10));
    let integer = i128::from_str_radix(&format!("{sign}{digits}"), radix);
    let Some(integer) = integer.ok().filter(|_| !leading_zero(text)) else {
        return Ok(None);
    };
    let number = Number::from_i128(integer).map(Value::Number);
    let kind = if integer < 0 { "i128" } else { "u128" };
    let why = || format!("invalid type: integer `{integer}` as {kind}, expected any YAML value");
    number.map(Some).ok_or_else(why)
}

/// JSON knows no infinity; as a text it is refused wherever a number belongs.
fn float(text: &str) -> Option<Value> {
    let beyond = match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => ".inf",
        "-.inf" | "-.Inf" | "-.INF" => "-.inf",
        ".nan" | ".NaN" | ".NAN" => ".nan",
        _ => return Some(Value::Number(Number::from_f64(text.parse().ok()?)?)),
    };
    Some(Value::String(beyond.to_owned()))
}

/// Whether digits begin with a zero that is not all of them: `0123` is text.
fn leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}
