//! A body that shows whether anything of it was changed.

use bytes::Bytes;
use serde_json::{Value, json};

/// A request body of about this size, in two parts: the gateway may change the first, and nothing else.
pub struct Payload {
    rest: Bytes,
}

impl Payload {
    /// Of a chat, streamed or not.
    pub fn new(size: usize, stream: bool) -> Payload {
        // Text that any re-encoding would change, with characters of one to four bytes.
        let text = r#"caf\u00e9 \/ é ☃ 𝄞 \ud834\udd1e end "#;
        let head =
            r#""temperature": 1.0e0 ,"stream":STREAM,"stream_options":{"include_usage":true},"#;
        let head = head.replace("STREAM", if stream { "true" } else { "false" });
        let head = if stream {
            head
        } else {
            head.replace(r#""stream_options":{"include_usage":true},"#, "")
        };
        let mut rest = head + r#""messages":[{"role":"user","content":""#;
        while rest.len() + text.len() + 70 < size {
            rest += text;
        }
        rest += r#""}],"x-unknown":{"b":1,"a":[1,2.50,3E1]}}"#;
        Payload { rest: rest.into() }
    }

    /// As it is sent, for these models.
    pub fn sent(&self, models: [&str; 2]) -> Bytes {
        let start = format!(r#"{{"model":"{}","models":["{}"],"#, models[0], models[1]);
        [start.as_bytes(), &self.rest].concat().into()
    }

    /// Whether `body` is this payload for the provider's model `m`.
    pub fn check(&self, body: &[u8]) -> Result<(), String> {
        let Some(start) = body.strip_suffix(self.rest.as_ref()) else {
            return Err(format!(
                "{} bytes do not end in the {} that were sent",
                body.len(),
                self.rest.len()
            ));
        };
        let start = String::from_utf8_lossy(start)
            .trim_end()
            .trim_end_matches(',')
            .to_owned();
        let fields: Value = serde_json::from_str(&format!("{start}}}"))
            .map_err(|error| format!("{error}: {start}"))?;
        if fields == json!({"model": "m"}) {
            Ok(())
        } else {
            Err(format!("starts with {fields}"))
        }
    }
}

#[test]
fn a_payload_knows_itself() {
    for size in [300, 2 << 20, 20 << 20] {
        let payload = Payload::new(size, true);
        let sent = payload.sent(["a:m", "b:m"]);
        assert!(sent.len().abs_diff(size) < 150, "{} for {size}", sent.len());
        let parsed: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(parsed["models"], json!(["b:m"]));
        let stripped = [br#"{"model":"m","#.as_ref(), &payload.rest].concat();
        payload.check(&stripped).unwrap();
        assert!(payload.check(&sent).is_err(), "gateway fields must go");
        assert!(
            payload.check(&stripped[..stripped.len() - 1]).is_err(),
            "every byte counts"
        );
    }
}
