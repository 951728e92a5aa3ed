//! All operations, with their schemas ready to check with and to show.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::error::Error;
use super::input::Checks;
use super::operation::Operation;
use super::schema::{Schemas, shape};
use super::validate::Checker;

/// An operation with its schemas.
pub(super) struct Entry {
    pub(super) operation: Operation,
    /// An object; its properties are the parameters.
    pub(super) query: Value,
    pub(super) body: Option<Value>,
    pub(super) answer: Option<Value>,
    pub(super) checks: Arc<Checks>,
}

/// All operations.
pub(super) struct Table {
    pub(super) entries: Vec<Arc<Entry>>,
    /// What the schemas reference.
    pub(super) definitions: Arc<Map<String, Value>>,
}

impl Table {
    /// # Errors
    ///
    /// What is wrong with the operations; a fault of this program.
    pub(super) fn new(operations: Vec<Operation>) -> Result<Table, String> {
        let mut schemas = Schemas::new();
        schemas.answered(shape::<Error>());
        let drafts: Vec<_> = operations
            .into_iter()
            .map(|operation| {
                let takes = operation.takes;
                let none = || json!({"type": "object", "additionalProperties": false});
                let query = takes.query.map_or_else(none, |shape| schemas.sent(shape));
                let body = takes.body.map(|shape| schemas.sent(shape));
                let answer =
                    (operation.status.as_u16() != 204).then(|| schemas.answered(operation.answer));
                (operation, query, body, answer)
            })
            .collect();
        let (definitions, clashes) = schemas.definitions();
        let definitions = Arc::new(definitions);
        if !clashes.is_empty() {
            let names = clashes.join(", ");
            return Err(format!(
                "one name, two schemas (in requests and in answers): {names}"
            ));
        }
        let mut entries = Vec::with_capacity(drafts.len());
        let mut ids = HashMap::new();
        for (operation, query, body, answer) in drafts {
            if let Some(path) = ids.insert(operation.id, operation.path) {
                return Err(format!(
                    "{} is both {path} and {}",
                    operation.id, operation.path
                ));
            }
            if operation.takes.id != operation.path.contains("{id}") {
                return Err(format!("{}: `{{id}}` and Id go together", operation.id));
            }
            let any = Value::Bool(true);
            let checker =
                |schema: Option<&Value>| Checker::new(schema.unwrap_or(&any), &definitions);
            let checks = Checks {
                query: checker(Some(&query)),
                body: checker(body.as_ref()),
                answer: checker(answer.as_ref()),
            };
            entries.push(Arc::new(Entry {
                operation,
                query,
                body,
                answer,
                checks: Arc::new(checks),
            }));
        }
        Ok(Table {
            entries,
            definitions,
        })
    }

    /// The operations by path, in the order of the table.
    pub(super) fn by_path(&self) -> Vec<(&'static str, Vec<&Arc<Entry>>)> {
        let mut paths: Vec<(&'static str, Vec<&Arc<Entry>>)> = Vec::new();
        for entry in &self.entries {
            let path = entry.operation.path;
            match paths.iter_mut().find(|(known, _)| *known == path) {
                Some((_, entries)) => entries.push(entry),
                None => paths.push((path, vec![entry])),
            }
        }
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api;

    #[test]
    fn every_schema_of_every_operation_can_be_checked_with() {
        for entry in Table::new(api::operations()).unwrap().entries {
            for checker in [
                &entry.checks.query,
                &entry.checks.body,
                &entry.checks.answer,
            ] {
                checker.validator().expect(entry.operation.id);
            }
        }
    }
}
