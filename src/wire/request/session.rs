//! What a conversation is known by from turn to turn, as far as its requests say.

use super::RequestBody;
use super::text::texts;
use crate::Surface;
use crate::skip::{self, Fault, What};

/// Bytes of a member that are looked at: two conversations that differ later only are taken for one, which harms none.
const LONGEST: usize = 64 << 10;

impl RequestBody {
    /// Returns what the client itself calls the conversation: `prompt_cache_key`, or on messages the `metadata.user_id`
    /// of an agent that puts its session there. As it is written, quotes included; never empty.
    pub fn session_name(&self) -> Option<&[u8]> {
        let named = match self.endpoint.surface() {
            Surface::ChatCompletions | Surface::Responses => self.member("prompt_cache_key")?,
            Surface::Messages => {
                let mut id = None;
                skip::members(self.member("metadata")?, |key, value| {
                    if key == b"user_id" {
                        id = Some(value);
                    }
                })
                .ok()?;
                // Claude Code: `user_…_session_…`, or JSON with a `session_id`. Others' are of a user, not of a session.
                id.filter(|id| memchr::memmem::find(id, b"session_").is_some())?
            }
            Surface::Completions | Surface::Embeddings => return None,
        };
        (named.len() > 2 && named.starts_with(b"\"")).then_some(named)
    }

    /// Hands over what every turn of the conversation begins with: the tools as they are written, the texts of the system
    /// prompt, and those of the messages up to the user's first. Cache marks and ids, which move from turn to turn, are
    /// left out, and of each part what is beyond 64 KiB. False if the API has no turns.
    pub fn stable_prefix(&self, sink: &mut dyn FnMut(&[u8])) -> bool {
        let turns = match self.endpoint.surface() {
            Surface::ChatCompletions | Surface::Messages => "messages",
            Surface::Responses => "input",
            Surface::Completions | Surface::Embeddings => return false,
        };
        for name in ["tools", "functions"] {
            self.member(name).into_iter().for_each(&mut *sink);
        }
        for name in ["system", "instructions"] {
            let system = self.member(name).unwrap_or_default();
            texts(system, &mut |text| sink(text.as_bytes()));
        }
        let turns = self.member(turns).unwrap_or_default();
        let first = &turns[..first_of_user(turns)];
        texts(first, &mut |text| sink(text.as_bytes()));
        true
    }

    /// The value of a top-level member that routing does not read, the last one of the name, as far as it is looked at.
    fn member(&self, name: &str) -> Option<&[u8]> {
        let mut members = self.members.iter().rev();
        let found = members.find(|member| member.key(&self.bytes) == name)?;
        let value = self.bytes.get(found.value.clone())?;
        Some(&value[..value.len().min(LONGEST)])
    }
}

/// Where the user's first turn ends in a list of turns; of anything else, its end.
fn first_of_user(turns: &[u8]) -> usize {
    if !turns.starts_with(b"[") {
        return turns.len();
    }
    let walked = skip::array(turns, 0, |at| {
        if turns.get(at) != Some(&b'{') {
            return skip::value(turns, at);
        }
        let mut is_user = false;
        let after = skip::object(turns, at, |key, at| {
            let after = skip::value(turns, at)?;
            is_user |= key == b"role" && turns.get(at..after) == Some(br#""user""#);
            Ok(after)
        })?;
        // Nothing behind it is looked at.
        let what = What::Values;
        if is_user {
            Err(Fault { what, at: after })
        } else {
            Ok(after)
        }
    });
    match walked {
        Ok(end) => end,
        Err(stop) => stop.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;
    use bytes::Bytes;

    fn body(surface: Surface, json: &str) -> RequestBody {
        let bytes = Bytes::copy_from_slice(json.as_bytes());
        RequestBody::parse(Endpoint::Generate(surface), bytes).unwrap()
    }

    fn name(surface: Surface, json: &str) -> Option<String> {
        let body = body(surface, json);
        let name = body.session_name()?;
        Some(String::from_utf8(name.to_vec()).unwrap())
    }

    fn prefix(surface: Surface, json: &str) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut text = |piece: &[u8]| pieces.push(String::from_utf8(piece.to_vec()).unwrap());
        assert!(body(surface, json).stable_prefix(&mut text));
        pieces
    }

    #[test]
    fn clients_name_their_sessions() {
        let (chat, messages) = (Surface::ChatCompletions, Surface::Messages);
        let keyed = r#"{"model":"m","prompt_cache_key":"0199"}"#;
        assert_eq!(name(chat, keyed).unwrap(), r#""0199""#);
        assert_eq!(name(Surface::Responses, keyed).unwrap(), r#""0199""#);
        assert_eq!(name(messages, keyed), None);
        for none in [r#""""#, "null", "7"] {
            let json = format!(r#"{{"model":"m","prompt_cache_key":{none}}}"#);
            assert_eq!(name(chat, &json), None, "{none}");
        }
        for (id, named) in [
            ("user_ab_account__session_0199", true),
            (r#"{\"device_id\":\"ab\",\"session_id\":\"0199\"}"#, true),
            ("someone", false),
        ] {
            let json = format!(r#"{{"model":"m","metadata":{{"user_id":"{id}"}}}}"#);
            let expected = named.then(|| format!("\"{id}\""));
            assert_eq!(name(messages, &json), expected);
        }
    }

    #[test]
    fn a_prefix_is_the_same_in_every_turn_and_ends_with_the_user_s_first() {
        let first = r#"{"model":"m","system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],
            "tools":[{"name":"ls"}],"messages":[{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral"}}]}]}"#;
        let later = r#"{"model":"other","stream":true,"messages":[{"content":"Hi","role":"user"},{"role":"assistant","content":"Hello"},
            {"role":"user","content":"Again"}],"system":"Be brief.","tools":[{"name":"ls"}]}"#;
        let expected = [r#"[{"name":"ls"}]"#, "Be brief.", "Hi"];
        assert_eq!(prefix(Surface::Messages, first), expected);
        assert_eq!(prefix(Surface::Messages, later), expected);

        let text = r#"{"model":"m","instructions":"Be brief.","input":"Hi"}"#;
        let items = r#"{"model":"m","instructions":"Be brief.","input":[{"type":"message","role":"developer","content":"Now."},
            {"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]},{"type":"reasoning","encrypted_content":"x"}]}"#;
        assert_eq!(prefix(Surface::Responses, text), ["Be brief.", "Hi"]);
        assert_eq!(
            prefix(Surface::Responses, items),
            ["Be brief.", "Now.", "Hi"]
        );
        let nobody = r#"{"model":"m","messages":[{"role":"system","content":"S"},7]}"#;
        assert_eq!(prefix(Surface::ChatCompletions, nobody), ["S"]);
        // What is very long is not looked at to its end, in no turn.
        let long = "word ".repeat(1 << 20);
        let turn = |more: &str| {
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{long}"}}{more}]}}"#)
        };
        let [one, other] = ["", r#",{"role":"assistant","content":"Hello"}"#]
            .map(|more| prefix(Surface::Messages, &turn(more)));
        assert!(one == other && one.concat().len() <= LONGEST);
        let embeddings = body(Surface::Embeddings, r#"{"model":"m","input":"x"}"#);
        assert!(!embeddings.stable_prefix(&mut |_| {}));
    }
}
