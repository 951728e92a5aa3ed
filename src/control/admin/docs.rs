//! The page at `/docs`: the OpenAPI document as people read it. One file, no script, nothing from elsewhere.
//!
//! Invariant: all text of the document is escaped, and the page's policy allows nothing but its own style.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::Code;
use super::schema::DEFINITIONS;

const STYLE: &str = include_str!("docs.css");

/// The page's `Content-Security-Policy`.
pub(super) fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page that shows `document`.
pub(super) fn page(document: &Value) -> String {
    let info = &document["info"];
    let mut page = Page(String::with_capacity(256 * 1_024));
    page.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
    page.text(word(&info["title"]));
    page.raw("</title><style>");
    page.raw(STYLE);
    page.raw("</style></head><body><header><h1>");
    page.text(word(&info["title"]));
    page.raw(" <small>");
    page.text(word(&info["version"]));
    page.raw("</small></h1>");
    page.prose(word(&info["description"]));
    page.raw("<p>For programs: <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI ");
    page.text(word(&document["openapi"]));
    page.raw(").</p></header>");
    page.contents(document);
    page.raw("<main>");
    for tag in list(&document["tags"]) {
        page.tag(tag, document);
    }
    page.errors();
    page.raw("<section><h2 id=\"schemas\">Schemas</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        page.schema(name, schema);
    }
    page.raw("</section></main></body></html>");
    page.0
}

struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '&' => self.raw("&amp;"),
                '"' => self.raw("&quot;"),
                '\'' => self.raw("&#39;"),
                char => self.0.push(char),
            }
        }
    }

    /// Text with `code` in it, as one line.
    fn line(&mut self, text: &str) {
        for (position, part) in text.split('`').enumerate() {
            if position % 2 == 1 {
                self.raw("<code>");
                self.text(part);
                self.raw("</code>");
            } else {
                self.text(part);
            }
        }
    }

    /// Paragraphs.
    fn prose(&mut self, text: &str) {
        for paragraph in text
            .split("\n\n")
            .filter(|paragraph| !paragraph.trim().is_empty())
        {
            self.raw("<p>");
            self.line(paragraph);
            self.raw("</p>");
        }
    }

    fn contents(&mut self, document: &Value) {
        self.raw("<nav><ul>");
        for tag in list(&document["tags"]) {
            let name = word(&tag["name"]);
            // Writing to a String cannot fail.
            write!(self.0, "<li><a href=\"#tag-{}\">", slug(name)).ok();
            self.text(name);
            self.raw("</a></li>");
        }
        self.raw("<li><a href=\"#errors\">Errors</a></li><li><a href=\"#schemas\">Schemas</a></li></ul></nav>");
    }

    fn tag(&mut self, tag: &Value, document: &Value) {
        let name = word(&tag["name"]);
        write!(self.0, "<section><h2 id=\"tag-{}\">", slug(name)).ok();
        self.text(name);
        self.raw("</h2>");
        self.prose(word(&tag["description"]));
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(methods) {
                // HEAD is GET without its body.
                if method != "head" && operation["tags"][0] == tag["name"] {
                    self.operation(path, method, operation, document);
                }
            }
        }
        self.raw("</section>");
    }

    fn operation(&mut self, path: &str, method: &str, operation: &Value, document: &Value) {
        let id = word(&operation["operationId"]);
        write!(
            self.0,
            "<article id=\"{}\"><h3><b class=\"{method}\">",
            slug(id)
        )
        .ok();
        self.text(&method.to_ascii_uppercase());
        self.raw("</b> <code>");
        self.text(path);
        self.raw("</code></h3><p><strong>");
        self.text(word(&operation["summary"]));
        self.raw("</strong> <small>");
        self.text(id);
        self.raw("</small></p>");
        self.prose(word(&operation["description"]));
        let parameters = list(&operation["parameters"]);
        if !parameters.is_empty() {
            self.raw("<h4>Parameters</h4><table>");
            for parameter in parameters {
                let parameter = resolved(parameter, document);
                self.raw("<tr><td><code>");
                self.text(word(&parameter["name"]));
                self.raw("</code></td><td>");
                self.text(word(&parameter["in"]));
                self.raw(if parameter["required"] == true {
                    ", required"
                } else {
                    ""
                });
                self.raw("</td><td>");
                self.kind(&parameter["schema"]);
                self.raw("</td><td>");
                self.line(word(&parameter["description"]));
                self.raw("</td></tr>");
            }
            self.raw("</table>");
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        if !body.is_null() {
            self.raw("<p>Body: ");
            self.kind(body);
            self.raw("</p>");
        }
        self.raw("<p>Answers: ");
        for (position, (status, response)) in members(&operation["responses"]).enumerate() {
            self.raw(if position == 0 { "" } else { ", " });
            self.text(status);
            let schema = &response["content"]["application/json"]["schema"];
            if status.starts_with('2') && !schema.is_null() {
                self.raw(" ");
                self.kind(schema);
            }
        }
        self.raw("</p></article>");
    }

    fn errors(&mut self) {
        self.raw("<section><h2 id=\"errors\">Errors</h2><table>");
        for code in Code::ALL {
            let (status, name) = (code.status().as_u16(), code.code());
            write!(
                self.0,
                "<tr><td>{status}</td><td><code>{name}</code></td><td>"
            )
            .ok();
            self.line(code.meaning());
            self.raw("</td></tr>");
        }
        self.raw("</table></section>");
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        write!(self.0, "<article id=\"schema-{}\"><h3>", slug(name)).ok();
        self.text(name);
        self.raw("</h3>");
        self.prose(word(&schema["description"]));
        if schema["properties"].is_null() {
            self.raw("<p>");
            self.kind(schema);
            self.raw("</p>");
        }
        self.fields(schema);
        self.raw("</article>");
    }

    fn fields(&mut self, schema: &Value) {
        let required = list(&schema["required"]);
        self.raw("<table>");
        for (name, field) in members(&schema["properties"]) {
            self.raw("<tr><td><code>");
            self.text(name);
            self.raw("</code></td><td>");
            self.raw(if required.iter().any(|other| other == name) {
                "required"
            } else {
                ""
            });
            self.raw("</td><td>");
            self.kind(field);
            self.raw("</td><td>");
            self.line(word(&field["description"]));
            self.raw("</td></tr>");
        }
        self.raw("</table>");
    }

    /// A schema in a few words.
    fn kind(&mut self, schema: &Value) {
        if let Some(name) = schema["$ref"]
            .as_str()
            .and_then(|name| name.strip_prefix(DEFINITIONS))
        {
            write!(self.0, "<a href=\"#schema-{}\">", slug(name)).ok();
            self.text(name);
            self.raw("</a>");
            return;
        }
        for list_of in ["oneOf", "anyOf", "allOf"] {
            for (position, choice) in list(&schema[list_of]).iter().enumerate() {
                self.raw(if position == 0 { "" } else { " or " });
                self.kind(choice);
            }
        }
        if !schema["items"].is_null() {
            self.raw("array of ");
            self.kind(&schema["items"]);
        } else if let Some(kinds) = schema["type"].as_array() {
            let kinds: Vec<&str> = kinds.iter().map(word).collect();
            self.text(&kinds.join(" or "));
        } else {
            self.text(word(&schema["type"]));
        }
        let constants = list(&schema["enum"]).iter().chain(schema.get("const"));
        for (position, constant) in constants.enumerate() {
            self.raw(if position == 0 {
                ": <code>"
            } else {
                ", <code>"
            });
            self.text(
                constant
                    .as_str()
                    .map_or(&*constant.to_string(), |text| text),
            );
            self.raw("</code>");
        }
        for (bound, words) in BOUNDS {
            if let Some(value) = schema.get(bound) {
                write!(self.0, ", {words} ").ok();
                self.text(value.as_str().map_or(&*value.to_string(), |text| text));
            }
        }
        if !schema["oneOf"].is_null() || schema["properties"].is_null() {
            return;
        }
        if schema["type"] == "object" && schema["description"].is_null() {
            self.fields(schema);
        }
    }
}

/// Bounds that are shown beside a type.
const BOUNDS: [(&str, &str); 8] = [
    ("format", "format"),
    ("minimum", "at least"),
    ("maximum", "at most"),
    ("minLength", "characters at least"),
    ("maxLength", "characters at most"),
    ("minItems", "items at least"),
    ("maxItems", "items at most"),
    ("default", "default"),
];

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn resolved<'a>(value: &'a Value, document: &'a Value) -> &'a Value {
    let target = value["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix('#'));
    target
        .and_then(|path| document.pointer(path))
        .unwrap_or(value)
}

/// A name as part of an anchor.
fn slug(name: &str) -> String {
    let plain = |char: char| {
        if char.is_ascii_alphanumeric() {
            char
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_documents_text_cannot_become_markup() {
        let evil = "<script>alert('\"&')</script>`<b>`";
        let document = json!({
            "info": {"title": evil, "description": evil},
            "tags": [{"name": evil, "description": evil}],
            "paths": {evil: {"get": {"tags": [evil], "operationId": evil, "summary": evil, "parameters": [
                {"name": evil, "in": evil, "schema": {"type": evil, "enum": [evil], "default": evil}, "description": evil},
            ]}}},
            "components": {"schemas": {evil: {"properties": {evil: {"const": evil}}}}},
        });
        let page = page(&document);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }
}
