//! The harness of the integration tests: a real gateway process, scripted providers, exact clients.
//!
//! - [`gateway::Gateway`] runs the binary with a configuration of its own and ends it when dropped.
//! - [`fake::Fake`] is a provider that follows a [`script::Script`], over HTTP/1.1, or over TLS with
//!   HTTP/1.1 or HTTP/2, and remembers what it was asked.
//! - [`client::Client`] speaks HTTP/1.1 or HTTP/2 and shows what others hide: how an answer ends.
//! - [`process::Process`] is a `redis-server`, [`faketime::Clock`] a clock that can be set.
//!
//! Ports are free ones ([`process::ports`]), and nothing outlives its test.

pub mod certs;
pub mod client;
pub mod disk;
pub mod fake;
pub mod faketime;
pub mod gateway;
#[allow(dead_code, reason = "shared with the tests of the banks")]
pub mod process;
pub mod requests;
pub mod script;
pub mod sse;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use client::{Answer, Client, Version};
use gateway::Gateway;
pub use process::ports::free_port;
use requests::Request;

/// How long anything may take before a test gives up, rather than hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The access key that every test gateway knows.
pub const TOKEN: &str = "tg-test-g1-0000000000TestsOnlyTestsOnlyTestsOnly00000000";

/// Asks a gateway over HTTP/1.1, on a connection of its own.
pub async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    let mut client = Client::connect(Version::H1, gateway.address).await;
    client.ask(request).await
}

/// Runs the program by itself, with neither a configuration nor an input.
pub fn tollgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .env_remove("TOLLGATE_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Waits until `condition` holds, for at most `time`; whether it does. It asks less often the longer it waits: asking takes
/// the processor that what it waits for needs.
pub async fn eventually(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = tollgate_base::clock::now();
    while !condition() {
        let waited = tollgate_base::clock::now() - start;
        if waited > time {
            return false;
        }
        let pause = waited / 4;
        tokio::time::sleep(pause.clamp(Duration::from_millis(5), Duration::from_millis(50))).await;
    }
    true
}
