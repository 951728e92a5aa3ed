use super::*;

/// What a head comes to when it arrives in pieces: its length, how long its body is (`None` in chunks); or the error.
fn judged(all: &[u8], piece: usize) -> Result<Option<(usize, Option<u64>)>, GatewayError> {
    let mut head = Head::default();
    let mut end = 0;
    while end < all.len() {
        end = all.len().min(end + piece);
        if let Some((length, body)) = head.look(&all[..end])? {
            let body = match body {
                Body::Length(length) => Some(length),
                Body::Chunks(_) => None,
            };
            return Ok(Some((length, body)));
        }
    }
    Ok(None)
}

#[test]
fn heads_are_whole_however_they_are_split() {
    for (rest, body) in [
        ("GET / HTTP/1.1\r\nhost: x\r\n", Some(0)),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost:\tx:80 \r\n", Some(0)),
        ("GET / HTTP/1.0\r\n", Some(0)),
        (
            "GET /v1/models?limit=1&after=a%20b HTTP/1.1\r\nhost: [::1]:8080\r\n",
            Some(0),
        ),
        (
            "GET http://x:80/v1/models HTTP/1.1\r\nhost: x:80\r\n",
            Some(0),
        ),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n", Some(0)),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\nx: \u{e9}\t~\r\nempty:\r\n",
            Some(12),
        ),
        (
            "POST / HTTP/1.1\r\nhost: a_b.example\r\nTransfer-Encoding: Chunked\r\n",
            None,
        ),
    ] {
        let head = format!("{rest}\r\n");
        let all = format!("{head}GET / HTTP/1.1\r\n");
        for piece in 1..all.len() {
            let found = judged(all.as_bytes(), piece);
            assert_eq!(found, Ok(Some((head.len(), body))), "{rest:?} by {piece}");
        }
        for end in 0..head.len() {
            assert_eq!(
                judged(&head.as_bytes()[..end], 1),
                Ok(None),
                "{rest:?} up to {end}"
            );
        }
    }
}

#[test]
fn heads_that_can_be_read_in_two_ways_are_refused() {
    let with = |line: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{line}\r\n\r\n");
    let first = |line: &str| format!("{line}\r\nhost: x\r\n\r\n");
    let bad = [
        "content-length : 1",
        "content-length: +1",
        "content-length: -1",
        "content-length: 0x1",
        "content-length: 1_0",
        "content-length: 01",
        "content-length: 1 1",
        "content-length: 1, 1",
        "content-length:",
        "content-length: 99999999999999999999999",
        "content-length: 1\r\ncontent-length: 1",
        "content-length: 1\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity",
        "transfer-encoding:",
        "transfer-encoding: \u{b}chunked",
        "transfer-encoding:\r\n chunked",
        "transfer-encoding: chunked;a=b",
        "host: x",
        "x: a\r\n b",
        "x: a\0b",
        "x: a\rb",
        "x: a\nb: c",
        "x\0: a",
        "x y: a",
        "x\t: a",
        "x[]: a",
        "\u{e9}: a",
        ": a",
        "x",
    ]
    .map(with);
    let lines = [
        "GET /",
        "GET",
        "GET HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / HTTP/1",
        "GET / HTTP/01.1",
        "GET / HTTP/ 1.1",
        "GET / http/1.1",
        "PRI * HTTP/2.0",
        "G(T / HTTP/1.1",
        "GET * HTTP/1.1",
        "GET x HTTP/1.1",
        "GET /#a HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /\" HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET ftp://x/ HTTP/1.1",
        "GET http:/x HTTP/1.1",
        "GET http://y/ HTTP/1.1",
        "GET http://a@x/ HTTP/1.1",
        "CONNECT x:443 HTTP/1.1",
        "   ",
        "\u{16}\u{3}\u{1}",
    ]
    .map(first);
    let hosts = ["", "a b", "a,b", "a/b", "a@b", "a:b", "[::1", "[::1]x", "é"]
        .map(|host| format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    let others = [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\nhost: x\n\n".to_owned(),
        "GET / HTTP/1.1\rhost: x\r\r".to_owned(),
        "GET / HTTP/1.1\r\n host: x\r\n\r\n".to_owned(),
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        "X".repeat(40),
        format!(
            "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
            "a: b\r\n".repeat(256)
        ),
    ];
    for head in bad.iter().chain(&lines).chain(&hosts).chain(&others) {
        for piece in [1, 7, head.len()] {
            let refused = judged(head.as_bytes(), piece);
            assert!(refused.is_err(), "{head:?} by {piece}: {refused:?}");
        }
    }
}
