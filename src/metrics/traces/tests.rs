//! What a receiver gets, whatever it does; what is kept.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;

use super::*;
use crate::metrics::Metrics;
use tollgate_base::{Secret, clock};

const SOON: Duration = Duration::from_secs(20);

/// A receiver that gives these answers, one a connection, the last one again and again, and hands on what it was sent.
fn receiver(answers: Vec<Vec<u8>>) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, sent) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let Some(body) = body(&mut stream) else {
                continue;
            };
            let answer = &answers[number.min(answers.len() - 1)];
            // It may have been given up.
            stream.write_all(answer).ok();
            if seen.send(body).is_err() {
                return;
            }
        }
    });
    (address, sent)
}

fn body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut got = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let head = memchr::memmem::find(&got, b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&got[..head]).to_ascii_lowercase();
            let (_, length) = text.split_once("content-length: ")?;
            let length: usize = length.split("\r\n").next()?.parse().ok()?;
            if got.len() >= head + length {
                return Some(got[head..].to_vec());
            }
        }
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => got.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}

fn answer(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn settings(address: SocketAddr) -> Settings {
    Settings {
        receiver: tollgate_config::Receiver {
            protocol: tollgate_config::OtlpProtocol::Http,
            endpoint: Secret::new(format!("http://{address}/v1/traces")),
            shown: format!("http://{address}"),
            headers: Vec::new(),
            service_name: "edge".to_owned(),
            resource: vec![("a".to_owned(), "1".to_owned())],
        },
        sample: 1.0,
        keep: Keep {
            errors: true,
            failed_over: true,
            slow: Some(Duration::from_secs(10)),
        },
        baggage: vec!["tenant".to_owned()],
    }
}

fn start(address: SocketAddr, patience: Duration) -> (Traces, Metrics) {
    let metrics = Metrics::new().unwrap();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(patience))
        .build();
    let traces = Traces::start(
        &settings(address),
        Client::Http(agent.into()),
        &metrics.trace_spans(),
    )
    .unwrap();
    (traces, metrics)
}

/// Writes a request without attempts: one span.
fn write(traces: &Traces) {
    let headers = HeaderMap::new();
    let trace = traces.begin(&headers);
    traces.write(&Request {
        trace: &trace,
        headers: &headers,
        ended: clock::wall(),
        took: Duration::from_millis(5),
        method: "SECRETS",
        path: "/v1/tg-app-g1-0000000000TestsOnly",
        is_route: false,
        tls: false,
        endpoint: None,
        request_id: "req-1",
        caller: None,
        model: None,
        streams: false,
        status: 404,
        error: Some("ERR_TOLLGATE_3820"),
        client_gone: false,
        idempotency: None,
        overhead: Duration::ZERO,
        to_commit: None,
        attempts: Vec::new(),
    });
}

/// Waits until a counter is this.
fn counted(metrics: &Metrics, series: &str, expected: u64) {
    let line = format!("tollgate_trace_spans_{series} {expected}");
    let end = clock::now() + SOON;
    while !metrics.render().lines().any(|known| known == line) {
        assert!(clock::now() < end, "{line} in\n{}", metrics.render());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_receiver_gets_what_is_to_be_told() {
    let ok = answer("200 OK", "application/x-protobuf", b"");
    let (address, sent) = receiver(vec![ok]);
    let (traces, metrics) = start(address, SOON);
    write(&traces);
    let body = sent.recv_timeout(SOON).unwrap();
    let request = ExportTraceServiceRequest::decode(&*body).unwrap();
    let all = &request.resource_spans[0];
    let resource: Vec<&str> = all.resource.as_ref().unwrap().attributes[..]
        .iter()
        .map(|attribute| &*attribute.key)
        .collect();
    let expected = [
        "service.name",
        "service.version",
        "service.instance.id",
        "a",
    ];
    assert_eq!(resource, expected);
    let span = &all.scope_spans[0].spans[0];
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    // The method and the path are the client's own words.
    assert_eq!(span.name, "HTTP");
    let took = span.end_time_unix_nano - span.start_time_unix_nano;
    assert_eq!(took, 5_000_000);
    assert!(span.status.is_none(), "a wrong path is no failure of ours");
    assert!(memchr::memmem::find(&body, b"TestsOnly").is_none());
    counted(&metrics, "sent_total", 1);
}

#[test]
fn what_a_receiver_does_not_take_is_counted_by_the_reason() {
    let rejects = |rejected_spans| {
        let said = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans,
                error_message: "no".to_owned(),
            }),
        };
        answer("200 OK", "application/x-protobuf", &said.encode_to_vec())
    };
    let large = vec![b'x'; 4 << 20];
    for (answers, series, losses) in [
        (
            vec![answer("500 No", "text/plain", b"no")],
            "dropped_total{reason=\"refused\"}",
            1,
        ),
        (
            vec![answer("401 No", "text/plain", b"no")],
            "dropped_total{reason=\"refused\"}",
            1,
        ),
        (
            vec![b"HTTP/1.1 302 Found\r\nconnection: close\r\ncontent-length: 0\r\nlocation: http://127.0.0.1:1/\r\n\r\n".to_vec()],
            "dropped_total{reason=\"refused\"}",
            1,
        ),
        (vec![rejects(1)], "dropped_total{reason=\"rejected\"}", 1),
        // It lies.
        (
            vec![rejects(i64::MAX)],
            "dropped_total{reason=\"rejected\"}",
            1,
        ),
        (vec![rejects(-5)], "sent_total", 1),
        (
            vec![answer("200 OK", "application/x-protobuf", b"\xff\xff\xff")],
            "sent_total",
            1,
        ),
        (
            vec![answer("200 OK", "application/x-protobuf", &large)],
            "sent_total",
            1,
        ),
        // Those that may be tried again.
        (
            vec![
                b"HTTP/1.1 429 No\r\nretry-after: 0\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec(),
                b"garbage\r\n\r\n".to_vec(),
                answer("200 OK", "text/plain", b"fine"),
            ],
            "sent_total",
            1,
        ),
    ] {
        let (address, _sent) = receiver(answers);
        let (traces, metrics) = start(address, SOON);
        write(&traces);
        counted(&metrics, series, losses);
    }
}

#[test]
fn a_receiver_that_is_silent_or_away_costs_no_more_than_the_queue() {
    // It accepts and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (traces, metrics) = start(address, Duration::from_secs(60));
    let began = clock::now();
    for _ in 0..10_000 {
        write(&traces);
    }
    assert!(
        clock::now().duration_since(began) < SOON,
        "nobody waits for it"
    );
    let text = metrics.render();
    let dropped = text.lines().find_map(|line| {
        line.strip_prefix("tollgate_trace_spans_dropped_total{reason=\"queue_full\"} ")
    });
    let dropped: usize = dropped.unwrap().parse().unwrap();
    // What waits, and a batch under way.
    assert!((10_000 - 4_096 - 512..=10_000 - 4_096).contains(&dropped));
    let began = clock::now();
    traces.flush(Duration::from_millis(200));
    let waited = clock::now().duration_since(began);
    assert!(
        waited < SOON,
        "the end of the process waits as long as it says"
    );
    drop(listener);

    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let (traces, metrics) = start(address, SOON);
    write(&traces);
    traces.flush(SOON);
    counted(&metrics, "dropped_total{reason=\"unreachable\"}", 1);
}

#[test]
fn what_failed_moved_on_or_was_slow_is_kept() {
    let (address, _sent) = receiver(vec![answer("200 OK", "text/plain", b"")]);
    let (mut traces, _metrics) = start(address, SOON);
    traces.share = 0.0;
    let trace = traces.begin(&HeaderMap::new());
    let usual = || Fate {
        is_error: false,
        attempts: 1,
        waited: Duration::from_secs(9),
    };
    assert!(!traces.wants(&trace, &usual()));
    for fate in [
        Fate {
            is_error: true,
            ..usual()
        },
        Fate {
            attempts: 2,
            ..usual()
        },
        Fate {
            waited: Duration::from_secs(10),
            ..usual()
        },
    ] {
        assert!(traces.wants(&trace, &fate));
    }
    traces.keep = Keep {
        errors: false,
        failed_over: false,
        slow: None,
    };
    let worst = Fate {
        is_error: true,
        attempts: 9,
        waited: SOON * 10,
    };
    assert!(!traces.wants(&trace, &worst));
}
