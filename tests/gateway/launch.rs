//! Tools that are started with the gateway's address and key: what they get, and what becomes of their end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::{TOKEN, free_port};

/// Tells its arguments and what it finds in its environment.
const TOOL: &str = "#!/bin/sh
for argument in \"$@\"; do echo \"argument: $argument\"; done
env | grep -E '^(ANTHROPIC|OPENAI|TOLLGATE|x-)' | sort
exit 7
";

fn tool(dir: &Path, name: &str) {
    let path = dir.join(name);
    fs::write(&path, TOOL).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn launch(dir: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let path = format!("{}:/usr/bin:/bin", dir.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    for name in [
        "TOLLGATE_URL",
        "TOLLGATE_KEY",
        "TOLLGATE_CONFIG",
        "ANTHROPIC_CUSTOM_HEADERS",
    ] {
        command.env_remove(name);
    }
    let command = command.args(arguments).env("PATH", path).current_dir(dir);
    command
        .env("ANTHROPIC_API_KEY", "of-someone-else")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn tools_call_the_gateway_and_end_as_they_end() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    let url = format!("http://{}", gateway.address);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    tool(dir, "claude");
    tool(dir, "codex");
    let key = dir.join("key");
    fs::write(&key, format!("{TOKEN}\n")).unwrap();

    // The key of a file, the address of the configuration, and whatever else the tool is given.
    let config = gateway.path("tollgate.yaml");
    let from = [
        "--key-file",
        key.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ];
    let claude = [&["claude"][..], &from, &["-p", "hi there", "--model", "m"]].concat();
    let done = launch(dir, &claude, &[("ANTHROPIC_CUSTOM_HEADERS", "x-own: 1")]);
    let said = text(&done.stdout);
    assert_eq!(done.status.code(), Some(7), "{said}{}", text(&done.stderr));
    let arguments = ["-p", "hi there", "--model", "m"].map(|one| format!("argument: {one}\n"));
    assert!(said.starts_with(&arguments.concat()), "{said}");
    for line in [
        &format!("ANTHROPIC_BASE_URL={url}\n"),
        &format!("ANTHROPIC_AUTH_TOKEN={TOKEN}\n"),
        "ANTHROPIC_CUSTOM_HEADERS=x-own: 1\n",
        "x-tollgate-session: ",
    ] {
        assert!(said.contains(line), "{line} is missing in {said}");
    }
    assert!(!said.contains("of-someone-else"), "{said}");

    let with = [
        ("TOLLGATE_KEY", TOKEN),
        ("TOLLGATE_URL", &*format!("{url}/v1")),
    ];
    let codex = launch(
        dir,
        &["codex", "--session", "mine", "-c", "model=\"m\""],
        &with,
    );
    let said = text(&codex.stdout);
    assert_eq!(
        codex.status.code(),
        Some(7),
        "{said}{}",
        text(&codex.stderr)
    );
    let arguments: String = said
        .lines()
        .filter(|line| line.starts_with("argument: "))
        .collect();
    assert!(
        arguments.contains(&format!("base_url=\"{url}/v1\"")),
        "{arguments}"
    );
    assert!(
        arguments.ends_with("argument: -cargument: model=\"m\""),
        "{arguments}"
    );
    assert!(
        !arguments.contains(TOKEN),
        "a command line can be read by anybody"
    );
    assert!(
        said.contains("TOLLGATE_SESSION=mine\n")
            && said.contains(&format!("TOLLGATE_KEY={TOKEN}\n")),
        "{said}"
    );

    let shell = "env | grep -c -E '^(OPENAI|ANTHROPIC)_(API_KEY|BASE_URL)='; kill -TERM $$";
    let done = launch(dir, &["exec", "--", "sh", "-c", shell], &with);
    assert_eq!(
        (text(&done.stdout).trim(), done.status.signal()),
        ("4", Some(15))
    );
    let kept = fs::read_dir(dir).unwrap().count();
    assert_eq!(kept, 3, "nothing is written");

    // What is in the way is told.
    let wrong = "tg-other-g1-0000000000TestsOnlyTestsOnlyTestsOnly00000000";
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    for (arguments, env, code, words) in [
        (
            &["exec", "--", "no-such-tool"][..],
            &with[..],
            127,
            "`no-such-tool` is not on the PATH",
        ),
        (
            &["claude"],
            &[("TOLLGATE_KEY", wrong), with[1]],
            1,
            "does not know the access key",
        ),
        (
            &["claude", "--url", &nowhere],
            &with,
            1,
            "no gateway answers at",
        ),
        (
            &["claude", "--url", "somewhere"],
            &with,
            1,
            "is no address of a gateway",
        ),
        (
            &["exec", "--key-file", "none", "--", "true"],
            &with,
            1,
            "the access key cannot be read from none",
        ),
    ] {
        let done = launch(dir, arguments, env);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(
            said.contains(words) && !said.contains(wrong),
            "{arguments:?}: {said}"
        );
    }
}
