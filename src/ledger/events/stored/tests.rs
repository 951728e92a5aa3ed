use proptest::prelude::*;

use super::*;
use crate::events::event::tests::sample;
use crate::events::{EventIds, UsageEvent};
use tollgate_wire::Surface;

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
        flags in any::<[bool; 7]>(),
        numbers in any::<(u64, u64, u32, u16, i64)>(),
        tokens in any::<[u64; 5]>(),
        ms in 0..253_402_300_800_000u64,
        surface in 0..Surface::ALL.len(),
        named in text(),
        outcome in prop::sample::select(vec!["ok", "timeout", "client_gone"]),
        latencies in any::<(Option<Duration>, Duration)>(),
        priced in any::<[bool; 3]>(),
        rates in prop::collection::vec((0..19usize, any::<u64>()), 0..4),
    ) -> UsageEvent {
        let context = Context::default().with(
            tollgate_wire::report::Dimension::ServiceTier,
            if priced[2] { "priority" } else { "default" },
        );
        let sheet = Sheet {
            source: texts[3].as_str().into(),
            since: numbers.0,
            served: context.clone(),
            fee: numbers.1,
            rates: rates.iter().map(|(unit, pico)| (tollgate_wire::report::Unit::ALL[*unit], *pico)).collect(),
        };
        let [request_id, key, account, provider, provider_name, model, model_name, stop, key_id, key_name] =
            texts;
        let [is_final_attempt, timed_out, is_error, is_streaming, estimated, orphaned, user] = flags;
        UsageEvent {
            id: EventId::made_up(numbers.0 % 3, numbers.1),
            event_time: Timestamp(UNIX_EPOCH + Duration::from_millis(ms)),
            request_id: request_id.into(),
            access_key_id: key.into(),
            account: account.into(),
            surface: Surface::ALL[surface],
            provider: provider.into(),
            provider_display_name: provider_name.into(),
            model: model.into(),
            model_display_name: model_name.into(),
            unlisted: false,
            attempt_number: numbers.2,
            is_final_attempt,
            status_code: numbers.3,
            outcome: outcome.into(),
            timed_out,
            is_error,
            is_streaming,
            stop_reason: stop,
            provider_request_id: named.into(),
            tokens: Usage::of(tokens[0], tokens[1], tokens[2], tokens[3], tokens[4]),
            estimated,
            orphaned,
            total_cost: numbers.4,
            sheet: priced[0].then(|| Arc::new(sheet)),
            assumed: priced[1],
            held: priced[2],
            served: context,
            key_source: if user { KeyKind::User } else { KeyKind::Managed },
            provider_key_id: key_id.into(),
            provider_key_display_name: key_name.into(),
            latency_to_commit: latencies.0,
            latency: latencies.1,
        }
    }
}

fn json(events: &[impl Serialize]) -> String {
    serde_json::to_string(events).unwrap()
}

proptest! {
    #[test]
    fn what_is_read_back_is_what_was_written(
        events in prop::collection::vec(event().prop_map(Arc::new), 1..8),
    ) {
        let batch = encode(&events).unwrap();
        prop_assert_eq!(usize::try_from(batch.count).unwrap(), events.len());
        let times: Vec<u64> = events.iter().map(|event| event.at_ms()).collect();
        prop_assert_eq!(Some(batch.from_ms), times.iter().copied().min());
        prop_assert_eq!(Some(batch.to_ms), times.iter().copied().max());
        let read = decode(&batch).unwrap();
        prop_assert_eq!(json(&read), json(&events));
        for (read, event) in read.iter().zip(&events) {
            prop_assert_eq!(read.clone(), StoredEvent::from(&**event), "costs to the nano-dollar, too");
        }
    }

    /// Rows of the form before end where the provider's id of the request follows now.
    #[test]
    fn the_form_before_is_read(event in event()) {
        let event = UsageEvent { provider_request_id: "".into(), ..event };
        let mut batch = encode(&[Arc::new(event.clone())]).unwrap();
        let (last, before) = batch.bytes.split_last().unwrap();
        prop_assert_eq!(*last, 0, "an empty text");
        let mut before = before.to_vec();
        before[0] = SECOND;
        batch.bytes = before.into();
        prop_assert_eq!(json(&decode(&batch).unwrap()), json(&[event]));
    }

    #[test]
    fn the_oldest_are_forgotten_and_the_others_stay_as_they_were(
        events in prop::collection::vec(event(), 1..8),
        oldest in 0..9_usize,
        later in event(),
    ) {
        let mut batch = Writer::default();
        events.iter().for_each(|event| batch.push(&event.into()));
        batch.forget(oldest);
        let kept: Vec<_> = events.iter().skip(oldest).chain([&later]).collect();
        prop_assert_eq!(batch.len(), kept.len() - 1);
        batch.push(&(&later).into());
        let written = batch.finish().unwrap();
        prop_assert_eq!(Some(written.from_ms), kept.iter().map(|event| event.at_ms()).min());
        prop_assert_eq!(Some(written.to_ms), kept.iter().map(|event| event.at_ms()).max());
        prop_assert_eq!(json(&decode(&written).unwrap()), json(&kept));
    }

    #[test]
    fn damage_is_an_error_or_other_events_and_never_a_panic(
        events in prop::collection::vec(event().prop_map(Arc::new), 1..4),
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
    assert_eq!(encode(&[]), None);
}

#[test]
fn a_newer_form_is_told_from_damage() {
    let ids = EventIds::new(1);
    let mut batch = encode(&[sample(&ids, "r").into()]).unwrap();
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
    let events: Vec<_> = (0..100).map(|_| Arc::new(sample(&ids, request))).collect();
    let size = encode(&events).unwrap().bytes.len() / events.len();
    assert!(
        size <= 76,
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
        from_ms: event.at_ms(),
        to_ms: event.at_ms(),
        bytes: bytes(
            "0101070b036170700764656661756c74176f70656e61692f636861742d636f6d706c6574696f6e73066f70656e616906\
             4f70656e4149066770742d346f064750542d346f026f6b0473746f700b6f70656e61692d6d61696e11736b2d70726f6a2d\
             61622a2a2a7778797a01000000027231000102030405060109c80107080a040107030001090a0178d00f",
        ),
    };
    assert_eq!(json(&decode(&batch).unwrap()), json(&[event]));
}

/// The form on disk must not change by accident: these bytes were written by form 2, and form 3 adds to them.
#[test]
fn form_2_is_read_for_ever_and_form_3_is_written() {
    let ids = EventIds::new(7);
    let mut event = sample(&ids, "r1");
    event.key_source = KeyKind::Managed;
    event.assumed = true;
    event.served =
        Context::default().with(tollgate_wire::report::Dimension::ServiceTier, "priority");
    event.total_cost = 12_345;
    event.sheet = Some(Arc::new(Sheet {
        source: "catalog".into(),
        since: 1_760_227_200,
        served: event.served.clone(),
        fee: 50_000,
        rates: vec![(tollgate_wire::report::Unit::Input, 5_000_000)],
    }));
    let form_2 = "0201070b036170700764656661756c74176f70656e61692f636861742d636f6d706c6574696f6e73066f70656e6169064f\
                  70656e4149066770742d346f064750542d346f026f6b0473746f700b6f70656e61692d6d61696e000107636174616c6f67\
                  80dfabc70615736572766963655f746965723d7072696f72697479d086030100c096b10201000000027231000102030405\
                  060149c80107080500050104020109040a0315736572766963655f746965723d7072696f72697479f2c0010100090a0178\
                  d00f";
    let mut batch = encode(&[Arc::new(event.clone())]).unwrap();
    batch.bytes = bytes(form_2);
    assert_eq!(json(&decode(&batch).unwrap()), json(&[event.clone()]));
    event.provider_request_id = "req_7".into();
    let batch = encode(&[Arc::new(event)]).unwrap();
    let all = batch.bytes.iter();
    let hex: String = all.map(|byte| format!("{byte:02x}")).collect();
    let form_3 = form_2.replacen("02", "03", 1) + "057265715f37";
    assert_eq!(hex, form_3, "form 3 names the request after each row");
}
