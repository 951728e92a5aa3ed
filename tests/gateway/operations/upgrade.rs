//! A new process takes over: nobody is refused or cut, and all is charged once.

mod full_disk;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_base::random::bits64;

use super::help::{SOON, signal, status};
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::process::{Process, is_alive};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_role, chat_stop, chat_usage, chat_word};
use crate::common::{eventually, sse};
use crate::ledger::{bank, charged, money, verified};

const KEY: &str = "tests-only-root-key-of-the-admin-api";

/// What a stream says, over two seconds.
const WORDS: &str = "w0 w1 w2 w3 w4 w5 w6 w7 ";

/// Streams slowly, and answers at once what does not stream.
async fn provider() -> Fake {
    Fake::answering(Wire::H1, |seen| {
        if seen.json()["stream"].as_bool() != Some(true) {
            return Script::chat(false, "hello");
        }
        let words = WORDS.split_inclusive(' ');
        let words = words.fold(Script::sse().data(chat_role()), |script, word| {
            script.data(chat_word(word)).wait(250)
        });
        words
            .data(chat_stop())
            .data(chat_usage())
            .data("data: [DONE]\n\n")
    })
    .await
}

/// `tollgate upgrade` of this gateway.
fn upgrade(admin: SocketAddr) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["upgrade", "--url", &format!("http://{admin}")])
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .output()
        .unwrap()
}

async fn upgraded(admin: SocketAddr) -> Output {
    let output = tokio::task::spawn_blocking(move || upgrade(admin));
    output.await.unwrap()
}

/// Why an upgrade did not come to anything.
fn refusal(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// What clients do while the gateway is upgraded, and what became of it.
#[derive(Clone)]
struct Load {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    served: Arc<Mutex<HashSet<String>>>,
}

impl Load {
    fn request(stream: bool) -> (String, Request) {
        let id = format!("up-{:x}", bits64());
        let request = Request::chat(&["m"], stream).header("x-request-id", &id);
        (id, request)
    }

    fn note(&self, id: String, answer: &Answer) {
        assert_eq!(
            (answer.status(), answer.clean),
            (200, true),
            "{}",
            answer.text()
        );
        assert!(self.served.lock().insert(id));
    }

    /// Asks again and again on one connection, as long as it may stay.
    async fn keep_asking(self, version: Version) {
        while !self.over.load(Ordering::Relaxed) {
            let mut client = Client::connect(version, self.address).await;
            while !self.over.load(Ordering::Relaxed) {
                let (id, request) = Load::request(false);
                let answer = match client.try_ask(&request).await {
                    Ok(answer) => answer,
                    // What is not begun when the connection says goodbye is not served there.
                    Err(_) if version == Version::H2 => break,
                    Err(why) => panic!("{id}: {why}"),
                };
                self.note(id, &answer);
                if answer.header("connection") == Some("close") {
                    break;
                }
            }
        }
    }

    /// Streams, on a connection for each.
    async fn keep_streaming(self) {
        while !self.over.load(Ordering::Relaxed) {
            self.stream().await;
        }
    }

    async fn ask_once(&self) {
        let (id, request) = Load::request(false);
        let mut client = Client::connect(Version::H1, self.address).await;
        self.note(id, &client.ask(&request).await);
    }

    async fn stream(&self) {
        let (id, request) = Load::request(true);
        let answer = Client::connect(Version::H1, self.address)
            .await
            .ask(&request)
            .await;
        self.note(id, &answer);
        assert_eq!(sse::chat_text(&answer.body), WORDS);
    }
}

/// How many descriptors of a process are the socket that listens here.
fn listening(pid: u32, address: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{:04X}", address.port());
    let sockets: Vec<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|parts| parts.len() > 9 && parts[1].ends_with(&local) && parts[3] == "0A")
        .map(|parts| format!("socket:[{}]", parts[9]))
        .collect();
    assert_eq!(sockets.len(), 1, "one socket listens: {table}");
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = links.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_str() == Some(&sockets[0]))
        .count()
}

async fn several_upgrades(store: Value) -> (Gateway, Fake) {
    let fake = provider().await;
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(1_000_000_000_000))
        .config(store)
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .start()
        .await;
    let load = Load {
        address: gateway.address,
        over: Arc::default(),
        served: Arc::default(),
    };
    let descriptors = listening(gateway.pid(), gateway.address);
    let mut clients = Vec::new();
    for version in [Version::H1, Version::H1, Version::H2] {
        clients.push(tokio::spawn(load.clone().keep_asking(version)));
    }
    for _ in 0..2 {
        clients.push(tokio::spawn(load.clone().keep_streaming()));
    }
    let mut old = Vec::new();
    for round in 0..3 {
        // Connections that do nothing all the while: one that has asked, one that has not yet.
        let mut idle = Client::connect(Version::H1, gateway.address).await;
        let mut silent = Client::connect(Version::H1, gateway.address).await;
        let (id, request) = Load::request(false);
        load.note(id, &idle.ask(&request).await);
        tokio::time::sleep(Duration::from_millis(bits64() % 200)).await;
        if round == 0 {
            signal(&gateway, "USR2");
        } else {
            let output = upgraded(gateway.admin).await;
            assert!(output.status.success(), "{}", refusal(&output));
        }
        old.push(gateway.succeeded().await);
        for client in [&mut idle, &mut silent] {
            let (id, request) = Load::request(false);
            let answer = client.ask(&request).await;
            assert_eq!(answer.header("connection"), Some("close"), "{round}");
            load.note(id, &answer);
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    load.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(
        eventually(SOON, || !old.iter().any(|pid| is_alive(*pid))).await,
        "{old:?} do not end: {}",
        gateway.output()
    );
    // Its threads end after it.
    assert!(eventually(SOON, || gateway.exit_code() == Some(0)).await);
    assert_eq!(listening(gateway.pid(), gateway.address), descriptors);
    gateway.stop().await;

    let served = load.served.lock().clone();
    let charged = charged(&gateway).await;
    let missing: Vec<_> = served
        .iter()
        .filter(|id| !charged.contains_key(*id))
        .collect();
    assert!(missing.is_empty(), "not charged: {missing:?}");
    let odd: Vec<_> = charged
        .iter()
        .filter(|(_, how)| **how != (1, false))
        .collect();
    assert!(odd.is_empty(), "charged twice, or as orphans: {odd:?}");
    assert_eq!(charged.len(), served.len(), "nothing else is charged");
    let refused: Vec<_> = gateway
        .access_log()
        .into_iter()
        .filter(|line| line["status"] != 200)
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
    let books = bank(&gateway).books("default").await.unwrap();
    assert_eq!(books.faults(), Vec::<String>::new());
    verified(&gateway);
    (gateway, fake)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_upgrades_in_a_row_cut_nothing_on_sqlite() {
    several_upgrades(json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_upgrades_in_a_row_cut_nothing_on_redis() {
    let mut redis = Process::start(&[]);
    let store = json!({"ledger": {"bank": "redis", "redis": {"url": redis.url()}}});
    let (mut gateway, _fake) = several_upgrades(store).await;
    // One that does not reach the bank leaves the old one, which knows the keys.
    gateway.restart().await;
    redis.kill();
    let said = refusal(&upgraded(gateway.admin).await);
    assert!(
        said.contains("the bank does not answer") || said.contains("store of keys"),
        "{said}"
    );
    let models = Request::get("/v1/models");
    assert_eq!(status(gateway.address, &models).await, Some(200));
}

#[tokio::test]
async fn one_that_does_not_come_up_leaves_the_old_one_serving() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .linked()
        .start()
        .await;
    let (program, request) = (gateway.path("tollgate"), Request::chat(&["m"], false));
    let replace = |script: &str| {
        std::fs::remove_file(&program).unwrap();
        std::fs::write(&program, script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, executable).unwrap();
    };
    replace("#!/bin/sh\nexit 3\n");
    let said = refusal(&upgraded(gateway.admin).await);
    assert!(
        said.contains("did not come up") && said.contains("status: 3"),
        "{said}"
    );

    replace("#!/bin/sh\ntouch begun\nsleep 1\nexit 3\n");
    let begun = gateway.path("begun");
    let (first, second) = tokio::join!(upgraded(gateway.admin), async {
        assert!(eventually(SOON, || begun.exists()).await);
        upgraded(gateway.admin).await
    });
    let said = refusal(&second);
    assert!(said.contains("under way"), "{said}");
    refusal(&first);

    std::fs::remove_file(&program).unwrap();
    let said = refusal(&upgraded(gateway.admin).await);
    assert!(said.contains("cannot be started"), "{said}");

    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tollgate"), &program).unwrap();
    let file = gateway.path("tollgate.yaml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("\"proxy\"", "\"prozy\"")).unwrap();
    let said = refusal(&upgraded(gateway.admin).await);
    assert!(said.contains("prozy"), "{said}");
    assert_eq!(status(gateway.address, &request).await, Some(200));
    assert!(gateway.is_running());

    std::fs::write(&file, config).unwrap();
    let output = upgraded(gateway.admin).await;
    assert!(output.status.success(), "{}", refusal(&output));
    gateway.succeeded().await;
    assert_eq!(status(gateway.address, &request).await, Some(200));
    assert!(eventually(SOON, || !gateway.is_running()).await);
}

#[tokio::test]
async fn one_that_is_killed_while_it_drains_is_charged_by_the_next() {
    let often = Act::Forever(chat_word("x").into(), Duration::from_millis(50));
    let fake = Fake::start(Wire::H1, Script::sse().data(chat_role()).then(often)).await;
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(1_000_000_000_000))
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .start()
        .await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let (id, request) = Load::request(true);
    client.begin(&request).await.unwrap();
    signal(&gateway, "USR2");
    gateway.succeeded().await;
    assert!(gateway.is_running(), "a stream is running");
    gateway.kill();
    let mut orphans = charged(&gateway).await;
    for _ in 0..500 {
        if orphans.contains_key(&id) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        orphans = charged(&gateway).await;
    }
    assert_eq!(orphans.get(&id), Some(&(1, true)), "{orphans:?}");
    // What it left is told again a lease later, and at the next start.
    gateway.stop().await;
    gateway.restart().await;
    gateway.stop().await;
    assert_eq!(charged(&gateway).await.get(&id), Some(&(1, true)));
    let books = bank(&gateway).books("default").await.unwrap();
    assert_eq!(books.lent(), tollgate_ledger::NanoUsd::ZERO, "{books:?}");
    verified(&gateway);
}

/// A socket is listened on before the process is there, and datagrams say how it does.
#[tokio::test]
async fn systemd_hands_over_sockets_and_is_told_who_is_the_main_process() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let notices = UnixDatagram::bind(&path).unwrap();
    notices.set_read_timeout(Some(SOON)).unwrap();
    let notice = || {
        let mut said = [0; 256];
        let length = notices.recv(&mut said).unwrap();
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .activated()
        .start()
        .await;
    assert_eq!(notice(), "READY=1");
    let (address, request) = (gateway.address, Request::chat(&["m"], false));
    assert_eq!(listening(gateway.pid(), address), 2);
    assert_eq!(status(address, &request).await, Some(200));
    let output = upgraded(gateway.admin).await;
    assert!(output.status.success(), "{}", refusal(&output));
    gateway.succeeded().await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, format!("process {} has taken over\n", gateway.pid()));
    assert_eq!(notice(), format!("MAINPID={}", gateway.pid()));
    assert!(eventually(SOON, || !gateway.is_running()).await);
    assert_eq!(status(address, &request).await, Some(200));
    gateway.stop().await;
    assert_eq!(notice(), "STOPPING=1");
    let said = gateway.output();
    assert!(!said.contains("which was handed over"), "{said}");
}
