use std::io::Write;
use std::net::{Shutdown, TcpListener};

use super::*;

/// What becomes of a feed whose server says this, and then goes on with `more` for as long as it is listened to.
fn fetched(says: &str, more: &'static [u8], pause: Duration) -> Result<usize, String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/feed?token=secret",
        listener.local_addr().unwrap()
    );
    let says = says.to_owned();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        drop(stream.read(&mut head));
        if stream.write_all(says.as_bytes()).is_ok() && !more.is_empty() {
            while stream.write_all(more).is_ok() {
                std::thread::sleep(pause);
            }
        }
        drop(stream.shutdown(Shutdown::Both));
    });
    let fetched = feed_within(&url, Duration::from_secs(2)).map(|bytes| bytes.len());
    server.join().unwrap();
    if let Err(fault) = &fetched {
        assert!(
            !fault.contains("secret") && !fault.contains('\n'),
            "{fault}"
        );
    }
    fetched
}

#[test]
fn what_does_not_end_or_is_elsewhere_is_given_up() {
    const NONE: Duration = Duration::ZERO;
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    let slow = Duration::from_millis(50);
    static MUCH: [u8; 1 << 20] = [b' '; 1 << 20];
    let good = fetched(&format!("{OK}content-length: 2\r\n\r\n{{}}"), b"", NONE);
    assert_eq!(good, Ok(2));
    for (says, more, pause, fault) in [
        (format!("{OK}\r\n"), &b" "[..], slow, "within 2 s"),
        (OK.to_owned(), b"x: y\r\n", slow, "within 2 s"),
        (format!("{OK}\r\n"), &MUCH, NONE, "larger than 64 MiB"),
        (
            format!("{OK}content-length: 200000000\r\n\r\n"),
            b"",
            NONE,
            "larger than 64 MiB",
        ),
        (
            format!("{OK}content-encoding: gzip\r\n\r\nx"),
            b"",
            NONE,
            "compressed",
        ),
        (
            format!("{OK}content-length: 9\r\n\r\nx"),
            b"",
            NONE,
            "breaks off",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n\r\n".to_owned(),
            b"",
            NONE,
            "it answers 302: redirects are not followed",
        ),
        (
            "HTTP/1.1 503 No\r\n\r\n".to_owned(),
            b"",
            NONE,
            "it answers 503",
        ),
        ("garbage\r\n\r\n".to_owned(), b"", NONE, "cannot be fetched"),
    ] {
        let told = fetched(&says, more, pause).expect_err(&says);
        assert!(told.contains(fault), "{says:?}: {told}");
    }
}

#[test]
fn what_a_tenant_names_is_called_on_the_public_internet_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let answered = |public_only| {
        call(&Call {
            url: &url,
            headers: &[("x-test-a".to_owned(), "b".to_owned())],
            body: Some("{}"),
            ca: None,
            public_only,
            patience: Duration::from_secs(2),
            most: 1,
        })
    };
    let told = answered(true).err().expect("it is refused");
    assert!(told.contains("no address that may be called"), "{told}");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        drop(stream.read(&mut head));
        drop(stream.write_all(b"HTTP/1.1 418 No\r\ncontent-length: 2\r\n\r\nab"));
    });
    let answer = answered(false).expect("it answers");
    assert_eq!((answer.status, &*answer.body), (418, &b"a"[..]));
    server.join().unwrap();
}

#[test]
fn nothing_is_called_that_may_not_be() {
    for url in [
        "http://169.254.169.254/latest",
        "https://[fe80::1]/",
        "http://8.8.8.8/",
    ] {
        let told = feed_within(url, Duration::from_secs(2)).expect_err(url);
        assert!(
            told.contains("no address that may be called"),
            "{url}: {told}"
        );
    }
}
