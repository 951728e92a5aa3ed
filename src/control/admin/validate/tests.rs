use super::*;
use crate::admin::schema::{Schemas, shape};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only read")]
struct Sent {
    #[schemars(length(min = 1, max = 5))]
    name: String,
    #[schemars(range(max = 9))]
    count: Option<u8>,
    #[serde(default)]
    inner: Vec<Kind>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
#[expect(dead_code, reason = "only read")]
enum Kind {
    User { keys: Vec<String> },
    Managed { limit: u64 },
}

fn checker() -> Checker {
    let mut schemas = Schemas::new();
    let schema = schemas.sent(shape::<Sent>());
    Checker::new(&schema, &Arc::new(schemas.definitions().0))
}

#[test]
fn all_faults_are_told_by_field_and_no_value_is_shown() {
    let secret = "sk-proj-planted-secret";
    let value = json!({
        "name": secret,
        "count": 12,
        "extra": secret,
        secret.repeat(3): 1,
        "inner": [{"type": "user", "keys": secret}, {"type": secret}, {"type": "managed", "limit": 1, "x": 2}, {"type": "user"}],
    });
    let faults = checker().faults(&value);
    let expected = [
        (
            "(unnamed)",
            "is not a field here; the fields are name, count, inner",
        ),
        ("count", "must be at most 9"),
        (
            "extra",
            "is not a field here; the fields are name, count, inner",
        ),
        ("inner.0.keys", "must be an array"),
        ("inner.1.type", "must be one of user, managed"),
        (
            "inner.2.x",
            "is not a field here; the fields are type, limit",
        ),
        ("inner.3.keys", "is required"),
        ("name", "must have at most 5 characters"),
    ];
    let expected: Details = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!(faults, expected);
    let whole: Sent = checker().read(json!({"name": "a", "count": 5.0})).unwrap();
    assert_eq!(whole.count, Some(5), "an integer to its schema");
    let empty = checker().faults(&json!({"name": ""}));
    assert_eq!(empty["name"], "must not be empty");
    assert_eq!(
        checker().faults(&json!([])),
        [("body".to_owned(), "must be an object".to_owned())].into()
    );
}

proptest! {
    #[test]
    fn no_value_is_ever_echoed(text in "[a-zA-Z0-9]{12,30}", place in 0..4_usize) {
        let value = match place {
            0 => json!({"name": text}),
            1 => json!({"name": "a", "count": text}),
            2 => json!({"name": "a", "inner": [{"type": text}]}),
            _ => json!({"name": "a", "inner": [text]}),
        };
        let error = checker().read::<Sent>(value).unwrap_err();
        prop_assert!(!format!("{error:?}").contains(&text), "{error:?}");
    }
}
