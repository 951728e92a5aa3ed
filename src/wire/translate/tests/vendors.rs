//! What providers refuse is never sent to them, however messy a client's request is.

mod rules;

use proptest::prelude::*;

use self::rules::{anthropic_takes, chat_takes};
use super::*;
use crate::capabilities::Capabilities;
use crate::reasoning::Effort;
use crate::translate::neutral::{
    Block, CacheMark, CallResult, Content, Conversation, Format, Role, Source, Tool, ToolKind,
};
use crate::vendor::Vendor;

/// Texts, half of them of white space.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ \n\t]{0,3}", "[a-z]{1,5}[ \n]{0,2}"]
}

fn block() -> impl Strategy<Value = Block> {
    let data = |start: &'static str| Just(start.to_owned());
    let media_type = prop_oneof![
        data("image/png"),
        data("image/jpg"),
        data("text/plain"),
        data("application/pdf"),
        data("IMAGE/JPEG")
    ];
    let bytes = prop_oneof![
        data("/9j/4AAQ"),
        data("iVBORw0KGgo="),
        data("JVBERi0="),
        data("aGk=")
    ];
    let source =
        (media_type, bytes).prop_map(|(media_type, data)| Source::Base64 { media_type, data });
    let content = prop_oneof![
        4 => text().prop_map(Content::Text),
        1 => source.clone().prop_map(|source| Content::Image { source, detail: None }),
        1 => source.prop_map(|source| Content::File { source, name: None }),
    ];
    let mark = prop_oneof![
        Just(None),
        Just(Some("5m")),
        Just(Some("1h")),
        Just(Some("30m"))
    ];
    (content, prop::option::of(mark)).prop_map(|(content, mark)| Block {
        content,
        cache: mark.map(|ttl| CacheMark {
            ttl: ttl.map(str::to_owned),
        }),
    })
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    prop::collection::vec(block(), 0..4)
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", "call[.:]1"]
}

fn call() -> impl Strategy<Value = Block> {
    (id(), "[a-z]{1,4}").prop_map(|(id, name)| {
        Content::Call(Call {
            id,
            name,
            namespace: None,
            arguments: "{\"a\":1".to_owned(),
            custom: false,
        })
        .into()
    })
}

fn thought() -> impl Strategy<Value = Block> {
    let proof = prop_oneof![
        Just(Proof::None),
        Just(Proof::Signature("EqoB".to_owned())),
        Just(Proof::Details(
            "[{\"text\":\"t\",\"signature\":\"s\"}]".to_owned()
        )),
        prop::option::of(id()).prop_map(|call| Proof::Extra {
            call,
            content: "{\"google\":{\"thought_signature\":\"s\"}}".to_owned()
        }),
    ];
    proof.prop_map(|proof| {
        Content::Thinking(Thinking {
            text: "t".to_owned(),
            proof,
        })
        .into()
    })
}

fn turn() -> impl Strategy<Value = (Role, Vec<Block>)> {
    let result = (id(), blocks(), any::<bool>())
        .prop_map(|(id, blocks, error)| Content::Result(CallResult { id, blocks, error }).into());
    let said = text().prop_map(Block::text);
    prop_oneof![
        1 => text().prop_map(|text| (Role::System, vec![Block::text(text)])),
        3 => (prop::collection::vec(result, 0..3), blocks()).prop_map(|(results, blocks)| (Role::User, [results, blocks].concat())),
        3 => (prop::collection::vec(thought(), 0..2), said, prop::collection::vec(call(), 0..3)).prop_map(|(thoughts, said, calls)| {
            (Role::Assistant, [thoughts, vec![said], calls].concat())
        }),
    ]
}

/// What a client may send, however odd.
fn messy() -> impl Strategy<Value = Conversation> {
    let schema = prop_oneof![
        Just(json!({})),
        Just(
            json!({"oneOf": [{"required": ["a"]}, {"type": "object", "properties": {"b": {"type": "array"}}}]})
        ),
        Just(
            json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "additionalProperties": false})
        ),
        Just(
            json!({"type": "object", "properties": {"a": {"oneOf": [{"const": 1}]}}, "required": ["a"], "additionalProperties": false})
        ),
        Just(json!({"type": "object", "additionalProperties": {"type": "string"}})),
    ];
    let tools = prop::collection::vec(
        (
            "[a-c.]{1,2}",
            schema.clone(),
            prop::option::of(any::<bool>()),
        ),
        0..4,
    );
    let effort = prop::option::of(prop::sample::select(&Effort::ALL[..]));
    (
        prop::collection::vec(turn(), 1..8),
        tools,
        prop::option::of(schema),
        (
            effort,
            prop::option::of(any::<bool>()),
            prop::option::of(1..40_000u64),
        ),
    )
        .prop_map(|(turns, tools, format, (effort, enabled, budget))| {
            let mut c = Conversation::new(MESSAGES);
            c.push(Role::User, vec![Block::text("hi")]);
            for (role, blocks) in turns {
                c.push(role, blocks);
            }
            for (name, schema, strict) in tools {
                c.tools.push(Tool {
                    name,
                    namespace: None,
                    description: None,
                    kind: ToolKind::Function {
                        schema: Some(schema),
                        strict,
                    },
                    cache: Some(CacheMark { ttl: None }),
                });
            }
            c.format = format.map(|schema| Format::Schema {
                name: None,
                description: None,
                schema,
                strict: Some(true),
            });
            (c.reasoning.effort, c.reasoning.enabled, c.reasoning.budget) =
                (effort, enabled, budget);
            c.user = Some("a@example.com".to_owned());
            c.pair();
            c
        })
}

proptest! {
    #[test]
    fn anthropic_is_sent_nothing_that_it_refuses(c in messy()) {
        for model in ["claude-sonnet-4-5", "claude-opus-4-8", "claude-sonnet-5"] {
            let target = Target::of_model(model, Some(64_000));
            let Ok(written) = write(&c, MESSAGES, &target) else { continue };
            anthropic_takes(&parsed(&written.body));
        }
    }

    #[test]
    fn chat_providers_are_sent_nothing_that_they_refuse(c in messy()) {
        for vendor in Vendor::ALL.map(Some).into_iter().chain([None]) {
            let target = Target::of_model("m", Some(64_000)).knowing(Capabilities::default(), vendor);
            let Ok(written) = write(&c, CHAT, &target) else { continue };
            chat_takes(&parsed(&written.body), vendor);
        }
    }

    #[test]
    fn a_history_is_brought_into_order_once(c in messy()) {
        prop_assert!(c.calls_are_answered(), "{:?}", c.turns);
        let mut again = c.clone();
        again.pair();
        prop_assert_eq!(again, c);
    }
}
