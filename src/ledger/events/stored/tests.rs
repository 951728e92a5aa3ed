use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::NanoUsd;
use crate::events::event::tests::sample;
use crate::events::{
    Attempt, EventIds, Flag, Flags, Latency, Named, OwnedEvent, Request, UsageEvent,
};
use tollgate_wire::Surface;
use tollgate_wire::report::{Context, Usage};

const ALL: [Flag; 10] = [
    Flag::TimedOut,
    Flag::Error,
    Flag::Streaming,
    Flag::Estimated,
    Flag::Assumed,
    Flag::Held,
    Flag::Managed,
    Flag::Final,
    Flag::Unlisted,
    Flag::Orphaned,
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["", "gpt-4o", "openai", "default", "größe 日本 🦀", "\"\\\n\0"])
            .prop_map(str::to_owned),
        1 => ".{0,20}",
    ]
}

prop_compose! {
    fn event()(
        texts in [text(), text(), text(), text(), text(), text(), text(), text(), text(), text()],
        flags in any::<[bool; 10]>(),
        numbers in any::<(u64, u64, u32, u16, i64)>(),
        tokens in any::<[u64; 5]>(),
        ms in 0..253_402_300_800_000u64,
        surface in 0..Surface::ALL.len(),
        named_id in text(),
        outcome in prop::sample::select(vec!["ok", "timeout", "client_gone"]),
        latencies in any::<(Option<u64>, u64)>(),
        priced in any::<[bool; 2]>(),
        rates in prop::collection::vec((0..19usize, any::<u64>()), 0..4),
    ) -> OwnedEvent {
        let context = Context::default().with(
            tollgate_wire::report::Dimension::ServiceTier,
            if priced[1] { "priority" } else { "default" },
        );
        let sheet = Sheet {
            source: texts[3].as_str().into(),
            since: numbers.0,
            served: context.clone(),
            fee: numbers.1,
            rates: rates.iter().map(|(unit, pico)| (tollgate_wire::report::Unit::ALL[*unit], *pico)).collect(),
        };
        let [request_id, key, account, provider, provider_name, model, model_name, stop, key_id, key_name] =
            texts.map(Arc::from);
        let named = |id, name| Named { id, name };
        let mut attempt = Attempt {
            id: EventId::made_up(numbers.0 % 3, numbers.1),
            provider: named(provider, provider_name),
            model: named(model, model_name),
            key: named(key_id, key_name),
            number: numbers.2,
            flags: ALL.iter().zip(flags).fold(Flags::default(), |all, (flag, is_true)| all.with(*flag, is_true)),
            status: numbers.3,
            outcome: outcome.into(),
            stop_reason: stop,
            usage: Usage::of(tokens[0], tokens[1], tokens[2], tokens[3], tokens[4]),
            served: context,
            cost: NanoUsd(numbers.4),
            sheet: priced[0].then(|| Arc::new(sheet)),
            tags: priced[1].then(|| "customer=42,feature=search".into()),
            ..Attempt::default()
        };
        attempt.latency = Latency { to_commit_ms: latencies.0, total_ms: latencies.1 };
        Event {
            at_ms: ms,
            request: Request {
                account,
                access_key: key,
                id: request_id,
                surface: Surface::ALL[surface].name().into(),
            },
            provider_request_id: named_id.into(),
            attempt,
        }
    }
}

fn json<S: Borrow<str>, R>(events: &[Event<S, R>]) -> String {
    let shown: Vec<_> = events.iter().map(Event::shown).collect();
    serde_json::to_string(&shown).unwrap()
}

proptest! {
    #[test]
    fn what_is_read_back_is_what_was_written(
        events in prop::collection::vec(event(), 1..8),
    ) {
        let batch = encode(&events).unwrap();
        prop_assert_eq!(usize::try_from(batch.count).unwrap(), events.len());
        let times: Vec<u64> = events.iter().map(|event| event.at_ms).collect();
        prop_assert_eq!(Some(batch.from_ms), times.iter().copied().min());
        prop_assert_eq!(Some(batch.to_ms), times.iter().copied().max());
        let read = decode(&batch).unwrap();
        prop_assert_eq!(json(&read), json(&events));
        for (read, event) in read.iter().zip(&events) {
            prop_assert_eq!(&read.owned(), event, "costs to the nano-dollar, too");
        }
    }

    /// Rows of a version before a field was added end without it.
    #[test]
    fn what_a_row_ends_without_is_zero(event in event()) {
        type Longer<'a> = (Event<&'a str, Sheet>, u64, Option<u64>, &'a str);
        let before = postcard::to_stdvec(&event.borrowed()).unwrap();
        let (read, number, option, text): Longer<'_> = padded::read(&before).unwrap();
        prop_assert_eq!(read.owned(), event);
        prop_assert_eq!((number, option, text), (0, None, ""));
    }

    #[test]
    fn the_oldest_are_forgotten_and_the_others_stay_as_they_were(
        events in prop::collection::vec(event(), 1..8),
        oldest in 0..9_usize,
        later in event(),
    ) {
        let mut batch = Writer::default();
        events.iter().for_each(|event| batch.push(&event.borrowed()));
        batch.forget(oldest);
        let kept: Vec<_> = events.iter().skip(oldest).chain([&later]).cloned().collect();
        prop_assert_eq!(batch.len(), kept.len() - 1);
        batch.push(&later.borrowed());
        let written = batch.finish().unwrap();
        prop_assert_eq!(Some(written.from_ms), kept.iter().map(|event| event.at_ms).min());
        prop_assert_eq!(Some(written.to_ms), kept.iter().map(|event| event.at_ms).max());
        prop_assert_eq!(json(&decode(&written).unwrap()), json(&kept));
    }

    #[test]
    fn damage_is_an_error_or_other_events_and_never_a_panic(
        events in prop::collection::vec(event(), 1..4),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut batch = encode(&events).unwrap();
        let mut bytes = batch.bytes.to_vec();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = to;
        }
        batch.bytes = bytes.into();
        if let Ok(read) = decode(&batch) {
            prop_assert!(!cut, "a cut is noticed");
            json(&read);
        }
    }
}

#[test]
fn no_events_are_no_batch() {
    assert_eq!(encode::<&str, &Sheet>(&[]), None);
}

#[test]
fn a_newer_form_is_told_from_damage() {
    let ids = EventIds::new(1);
    let mut batch = encode(&[sample(&ids, "r")]).unwrap();
    let mut bytes = batch.bytes.to_vec();
    bytes[0] = VERSION + 1;
    batch.bytes = bytes.into();
    let error = decode(&batch).unwrap_err();
    assert_eq!(error, StoredError::Newer(VERSION + 1));
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn a_batch_is_compact() {
    let ids = EventIds::new(u64::MAX);
    let request = "0198f0a2-7f4b-7000-8000-0123456789ab";
    let events: Vec<_> = (0..100).map(|_| sample(&ids, request)).collect();
    let size = encode(&events).unwrap().bytes.len() / events.len();
    assert!(
        size <= 77,
        "{size} bytes an event, 36 of them the request's id"
    );
}

fn bytes(hex: &str) -> bytes::Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect::<Vec<u8>>().into()
}

/// What databases of earlier versions have: these bytes were written by form 1.
#[test]
fn form_1_is_read_for_ever() {
    let ids = EventIds::new(7);
    let event = sample(&ids, "r1");
    let batch = Events {
        count: 1,
        from_ms: event.at_ms,
        to_ms: event.at_ms,
        bytes: bytes(
            "0101070b036170700764656661756c74176f70656e61692f636861742d636f6d706c6574696f6e73066f70656e616906\
             4f70656e4149066770742d346f064750542d346f026f6b0473746f700b6f70656e61692d6d61696e11736b2d70726f6a2d\
             61622a2a2a7778797a01000000027231000102030405060109c80107080a040107030001090a0178d00f",
        ),
        ids: bytes::Bytes::new(),
    };
    assert_eq!(json(&decode(&batch).unwrap()), json(&[event]));
}

/// A charge with every member set.
fn charge(ids: &EventIds, sheet: &'static Sheet) -> UsageEvent<'static> {
    let mut event = sample(ids, "r1");
    event.provider_request_id = "req_7";
    let attempt = &mut event.attempt;
    attempt.mark(Flag::Managed, true);
    attempt.mark(Flag::Assumed, true);
    attempt.served = sheet.served.clone();
    attempt.cost = NanoUsd(12_345);
    attempt.sheet = Some(sheet);
    event
}

static SHEET: LazyLock<Sheet> = LazyLock::new(|| Sheet {
    source: "catalog".into(),
    since: 1_760_227_200,
    served: Context::default().with(tollgate_wire::report::Dimension::ServiceTier, "priority"),
    fee: 50_000,
    rates: vec![(tollgate_wire::report::Unit::Input, 5_000_000)],
});

/// What databases of versions before 0.2 have: these bytes were written by form 3.
#[test]
fn form_3_is_read_for_ever() {
    let event = charge(&EventIds::new(7), &SHEET);
    let batch = Events {
        count: 1,
        from_ms: event.at_ms,
        to_ms: event.at_ms,
        bytes: bytes(
            "0301070b036170700764656661756c74176f70656e61692f636861742d636f6d706c6574696f6e73066f70656e6169064f\
             70656e4149066770742d346f064750542d346f026f6b0473746f700b6f70656e61692d6d61696e000107636174616c6f67\
             80dfabc70615736572766963655f746965723d7072696f72697479d086030100c096b10201000000027231000102030405\
             060149c80107080500050104020109040a0315736572766963655f746965723d7072696f72697479f2c0010100090a0178\
             d00f057265715f37",
        ),
        ids: bytes::Bytes::new(),
    };
    let read = decode(&batch).unwrap();
    assert_eq!(json(&read), json(std::slice::from_ref(&event)));
    let flags = Flags::default()
        .with(Flag::Final, true)
        .with(Flag::Streaming, true)
        .with(Flag::Managed, true)
        .with(Flag::Assumed, true);
    let [read] = &read[..] else {
        panic!("one event")
    };
    assert_eq!(read.attempt.flags, flags);
    assert_eq!(read.attempt.key.id, event.attempt.key.id);
    assert_eq!(read.attempt.sheet.as_deref(), event.attempt.sheet);
}

/// The form on disk must not change by accident: these bytes were written by form 4, and later ones add to them.
#[test]
fn form_4_is_read_for_ever_and_its_rows_are_written() {
    let event = charge(&EventIds::new(7), &SHEET);
    let form_4 = bytes(
        "0401070b0764656661756c7403617070176f70656e61692f636861742d636f6d706c6574696f6e73066f70656e6169064f70656e\
         4149066770742d346f064750542d346f0b6f70656e61692d6d61696e11736b2d70726f6a2d61622a2a2a7778797a026f6b0473746f\
         700107636174616c6f6780dfabc70615736572766963655f746965723d7072696f72697479d086030100c096b10201450000010272\
         3102057265715f3700000304050607080154c801090a0500050104020109040a0315736572766963655f746965723d7072696f7269\
         7479f2c00101000178d00f",
    );
    let mut batch = encode(std::slice::from_ref(&event)).unwrap();
    assert_eq!(batch.bytes[0], VERSION);
    // The last row is longer by a zero: there are no tags.
    let mut form_5 = form_4.to_vec();
    let length = form_5.len() - 1 - 0x45;
    assert_eq!(form_5[length], 0x45);
    form_5[length] += 1;
    form_5.push(0);
    assert_eq!(batch.bytes[1..], form_5[1..]);
    batch.bytes = form_4;
    assert_eq!(decode(&batch).unwrap()[0].borrowed(), event);
}
