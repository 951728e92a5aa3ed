//! The law of the parser: any split gives the same events and boundaries.

use proptest::prelude::*;

use super::*;

/// Events as (name, data), where each ended, and all boundaries, in offsets of the whole stream.
type Seen = (Vec<(String, String)>, Vec<usize>, Vec<usize>);

fn parse(chunks: &[&[u8]]) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (mut parser, mut fed) = (Parser::new(), 0);
    let (mut all, mut ends, mut boundaries) = (vec![], vec![], vec![]);
    for chunk in chunks {
        let mut events = parser.feed(chunk);
        while let Some(event) = events.next() {
            let event = event.expect("no event is too long");
            all.push((text(event.name), text(event.data)));
            ends.push(fed + event.end);
        }
        drop(events);
        boundaries.extend(parser.boundary().map(|at| fed + at));
        assert_eq!(
            parser.at_boundary(),
            parser
                .boundary()
                .map_or(parser.carry.is_empty(), |at| at == chunk.len()),
            "at a boundary exactly when the last one is the chunk's end"
        );
        fed += chunk.len();
    }
    if let Some(event) = parser.finish() {
        all.push((text(event.name), text(event.data)));
    }
    (all, ends, boundaries)
}

fn data(stream: &str) -> Vec<String> {
    parse(&[stream.as_bytes()])
        .0
        .into_iter()
        .map(|(_, data)| data)
        .collect()
}

#[test]
fn the_format() {
    for (stream, want) in [
        ("data: a\n\ndata: b\n\n", &["a", "b"][..]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
        ("data: a\r\rdata: b\r\r", &["a", "b"]),
        ("data: a\n\r\ndata: b\r\n\ndata: c\n\r", &["a", "b", "c"]),
        ("\u{feff}data: a\n\n", &["a"]),
        ("\u{feff}\n\u{feff}data: not a field\n\ndata: b\n\n", &["b"]),
        (": comment\ndata: a\n\n", &["a"]),
        ("data: a\n: comment inside\ndata: b\n\n", &["a\nb"]),
        ("data\ndata\n\n", &["\n"]),
        ("data:\n\n", &[""]),
        ("data:  two spaces\n\n", &[" two spaces"]),
        ("data:none\n\n", &["none"]),
        ("database: x\nid: 3\nretry: 10\n\n", &[]),
        ("event: named\n\ndata: a\n\n", &["a"]),
        ("data: no blank line\n", &["no blank line"]),
        ("data: no line end", &["no line end"]),
        ("\n\n\n\r\n\r\r", &[]),
        ("", &[]),
    ] {
        assert_eq!(data(stream), want, "{stream:?}");
    }
    let named = parse(&[b"event: x\nevent: y\ndata: 1\n\n"]).0;
    assert_eq!(
        named,
        [("y".to_owned(), "1".to_owned())],
        "the last name wins"
    );
}

#[test]
fn events_lie_in_the_chunk_and_say_where() {
    let mut parser = Parser::new();
    let chunk = b": hi\ndata: a\n\ndata: b\n\ndata: c";
    let mut events = parser.feed(chunk);
    let first = events.next().expect("an event").expect("short");
    assert_eq!(
        (first.start, first.end),
        (Some(5), 14),
        "the comment line is a block of its own"
    );
    let second = events.next().expect("an event").expect("short");
    assert_eq!(
        (second.start, second.end, second.data),
        (Some(14), 23, &b"b"[..]),
        "second event"
    );
    assert!(events.next().is_none(), "the third is unfinished");
    drop(events);
    assert_eq!(
        (parser.boundary(), parser.at_boundary()),
        (Some(23), false),
        "before the third"
    );
    let mut events = parser.feed(b"\n\n");
    let third = events.next().expect("an event").expect("short");
    assert_eq!(
        (third.start, third.end, third.data),
        (None, 2, &b"c"[..]),
        "it began earlier"
    );
}

#[test]
fn a_keep_alive_comment_is_a_boundary_at_once() {
    let mut parser = Parser::new();
    drop(parser.feed(b": OPENROUTER PROCESSING\n"));
    assert!(
        parser.at_boundary(),
        "a lone comment line leaves nothing unfinished"
    );
    drop(parser.feed(b"data: x\n"));
    assert!(!parser.at_boundary(), "an event has begun");
    drop(parser.feed(b": comment\n"));
    assert!(
        !parser.at_boundary(),
        "a comment inside an event does not end it"
    );
}

#[test]
fn a_stream_of_bare_crs_does_not_wait_for_an_lf() {
    let mut parser = Parser::new();
    assert!(
        parser.feed(b"data: a\r\r").next().is_some(),
        "the blank line has ended"
    );
    assert!(
        parser.feed(b"\ndata: b\r\n\r").next().is_none(),
        "an LF may follow this CR"
    );
    assert!(parser.feed(b"\n").next().is_some(), "there it is");
}

/// Blocks too long to be gathered, each with whether it ended.
type Long = Vec<(Vec<u8>, bool)>;

/// Those, and the data of the others.
fn parts(parser: &mut Parser, chunks: &[&[u8]]) -> (Long, Vec<Vec<u8>>) {
    let (mut long, mut short) = (Long::new(), Vec::new());
    for chunk in chunks {
        let mut events = parser.feed(chunk);
        while let Some(event) = events.next() {
            match event {
                Ok(event) => short.push(event.data.to_vec()),
                Err(part) => {
                    if long.last().is_none_or(|(_, ended)| *ended) {
                        long.push((vec![], false));
                    }
                    let (bytes, ended) = long.last_mut().expect("one");
                    bytes.extend_from_slice(part.bytes);
                    *ended = part.last;
                }
            }
        }
    }
    (long, short)
}

#[test]
fn an_event_that_is_too_long_is_handed_on_in_parts_and_nothing_of_it_is_kept() {
    let mut parser = Parser::new();
    let chunk = vec![b'x'; 1 << 20];
    drop(parser.feed(b"data: "));
    for _ in 0..20 {
        drop(parser.feed(&chunk));
        assert!(!parser.at_boundary(), "nowhere to write a comment");
    }
    assert!(parser.in_long(), "too long");
    assert_eq!(parser.carry.len(), 0, "nothing of it is kept");
    let (long, short) = parts(&mut parser, &[b"yy\n\ndata: a\n\n"]);
    assert_eq!(long, [(b"yy\n\n".to_vec(), true)], "its end");
    assert_eq!(short, [b"a"], "what follows");
    assert!(parser.at_boundary() && !parser.in_long(), "as ever");
}

#[test]
fn an_event_that_is_too_long_and_without_end_is_none_at_the_end() {
    let mut parser = Parser::up_to(10);
    let (long, _) = parts(&mut parser, &[b"data: too ", b"long"]);
    assert_eq!(long, [(b"data: too long".to_vec(), false)]);
    assert!(parser.finish().is_none(), "all of it was handed on");
}

/// Streams made of what matters to the parser.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "data: ",
        "data:",
        "data",
        ":",
        ": c",
        "event: e",
        "é",
        "漢",
        "🙂",
        "{\"a\":1}",
        " ",
        "x",
        "id: 1",
        "\u{feff}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        let (whole, split, single) = (parse(&[&stream]), parse(&chunks), parse(&bytes));
        prop_assert_eq!(&whole.0, &single.0, "one chunk, and byte by byte");
        prop_assert_eq!(&whole.0, &split.0, "one chunk, and split");
        prop_assert_eq!(&whole.1, &single.1, "ends, byte by byte");
        prop_assert_eq!(&whole.1, &split.1, "ends, split");
        // A boundary is reported when its last byte comes, or with the next byte if an LF could follow.
        for boundary in whole.2.iter().chain(&split.2) {
            prop_assert!(single.2.contains(boundary), "boundary {} is one, byte by byte: {:?}", boundary, single.2);
        }
    }

    #[test]
    fn any_split_finds_the_same_events_too_long(
        stream in stream(), most in 3usize..40, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        let whole = parts(&mut Parser::up_to(most), &[&stream]);
        prop_assert_eq!(&whole, &parts(&mut Parser::up_to(most), &chunks), "split");
        prop_assert_eq!(&whole, &parts(&mut Parser::up_to(most), &bytes), "byte by byte");
        let gathered = parts(&mut Parser::new(), &[&stream]).1;
        prop_assert!(whole.1.iter().all(|event| gathered.contains(event)), "events are events");
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
        let chunks: Vec<&[u8]> = stream.chunks(size).collect();
        prop_assert_eq!(parse(&chunks).0, parse(&[&stream]).0);
    }
}
