//! A disk that is full while a new process takes over.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::*;

/// Lets no file of a process grow beyond this, nor those of the processes that it starts: to them, a full disk.
fn limit_files(pid: u32, most: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: most.or(maximum),
        maximum,
    };
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

/// The gateway's binary, which the first write beyond the limit does not kill.
fn ignoring_the_signal(dir: &Path) -> PathBuf {
    let program = dir.join("tollgate");
    let script = format!(
        "#!/bin/sh\ntrap '' XFSZ\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_tollgate")
    );
    std::fs::write(&program, script).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_an_upgrade_and_loses_no_charge() {
    let fake = provider().await;
    let dir = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(1_000_000_000_000))
        .env("TOLLGATE_ADMIN_KEY", KEY)
        .binary(ignoring_the_signal(dir.path()))
        .start()
        .await;
    let load = Load {
        address: gateway.address,
        over: Arc::default(),
        served: Arc::default(),
    };
    let streaming = || {
        let (load, before) = (load.clone(), fake.count());
        let stream = tokio::spawn(async move { load.stream().await });
        (stream, before + 1)
    };

    // There is no room for the new one's journal.
    let (stream, begun) = streaming();
    assert!(eventually(SOON, || fake.count() >= begun).await);
    let old = gateway.pid();
    limit_files(old, Some(1 << 20));
    let said = refusal(&upgraded(gateway.admin).await);
    assert!(said.contains("did not come up"), "{said}");
    load.ask_once().await;
    stream.await.unwrap();
    limit_files(old, None);

    // There is none any more once the new one serves: what the old one ends can be told to nobody.
    let (stream, begun) = streaming();
    assert!(eventually(SOON, || fake.count() >= begun).await);
    let output = upgraded(gateway.admin).await;
    assert!(output.status.success(), "{}", refusal(&output));
    gateway.succeeded().await;
    for pid in [old, gateway.pid()] {
        limit_files(pid, Some(4_096));
    }
    stream.await.unwrap();
    assert!(eventually(SOON, || !is_alive(old)).await);
    limit_files(gateway.pid(), None);
    load.ask_once().await;

    // What the old one could not tell, the new one finds in its journal.
    let served = load.served.lock().clone();
    let end = tollgate_base::clock::now() + SOON;
    while charged(&gateway).await.len() < served.len() && tollgate_base::clock::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.stop().await;
    let charged = charged(&gateway).await;
    for id in &served {
        assert_eq!(charged.get(id), Some(&(1, false)), "{id}: {charged:?}");
    }
    assert_eq!(charged.len(), served.len(), "{charged:?}");
    verified(&gateway);
}
