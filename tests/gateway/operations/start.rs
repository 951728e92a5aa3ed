//! What keeps the process from starting, and how it says so.

use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::common::free_port;

/// Runs the gateway with a configuration until it gives up.
fn run(config: &Value) -> Output {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tollgate.yaml"), config.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .args(["run", "--config", "tollgate.yaml"])
        .current_dir(dir.path());
    command.output().unwrap()
}

#[test]
fn an_address_that_is_taken_ends_the_start_with_a_word_about_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = || format!("127.0.0.1:{}", free_port());
    for (setting, config) in [
        (
            "proxy.listen",
            json!({"proxy": {"listen": [taken]}, "admin": {"listen": free()}}),
        ),
        (
            "admin.listen",
            json!({"proxy": {"listen": [free()]}, "admin": {"listen": taken}}),
        ),
    ] {
        let output = run(&config);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&taken) && said.contains(setting), "{said}");
    }
}

#[test]
fn a_faulty_configuration_ends_the_start_with_every_fault() {
    let config = json!({"proxy": {"lissten": []}, "timeouts": {"total": "soon"}});
    let output = run(&config);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "tollgate.yaml:1",
        "lissten",
        "did you mean",
        "timeouts.total",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(output.stdout.is_empty());
}
