//! A gateway that is to be started.

use super::*;

/// Tries to start before giving up: a port that was free a moment ago may be taken.
const TRIES: usize = 3;

/// Runs a program whose standard input is a socket with that as descriptor 3.
const ACTIVATED: &str = r#"exec 3<&0 </dev/null; export LISTEN_PID=$$; exec "$0" "$@""#;

/// A configuration under construction. JSON is YAML, so that is what is written.
pub struct Builder {
    binary: PathBuf,
    config: Value,
    tls: bool,
    linked: bool,
    activated: bool,
    env: Vec<(String, String)>,
}

impl Builder {
    /// One account with credits, one access key, and no provider.
    pub(super) fn new() -> Builder {
        let config = json!({
            "proxy": {"threads": 2},
            "timeouts": {"per_request": "700ms", "total": "60s", "stream_idle": "700ms", "keepalive": "0s"},
            "providers": [],
            "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}],
            "access_keys": [{"id": "test", "sha256": sha256(TOKEN)}],
        });
        Builder {
            binary: env!("CARGO_BIN_EXE_tollgate").into(),
            config,
            tls: false,
            linked: false,
            activated: false,
            env: Vec::new(),
        }
    }

    /// Adds a provider, as the YAML has it.
    pub fn provider(mut self, provider: Value) -> Builder {
        self.config["providers"]
            .as_array_mut()
            .unwrap()
            .push(provider);
        self
    }

    /// Adds a custom provider with one key and the model `m`, served by `fake`.
    pub fn fake(self, id: &str, fake: &Fake) -> Builder {
        self.provider(provider(id, fake))
    }

    /// Sets top-level sections: objects are merged, anything else replaces.
    pub fn config(mut self, more: Value) -> Builder {
        merge(&mut self.config, more);
        self
    }

    /// Another binary than this build's.
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Builder {
        self.binary = binary.into();
        self
    }

    /// Runs the binary through the link `tollgate` in the gateway's directory.
    pub fn linked(mut self) -> Builder {
        self.linked = true;
        self
    }

    /// Hands the process the socket that it listens on, as systemd does.
    pub fn activated(mut self) -> Builder {
        self.activated = true;
        self
    }

    /// Adds a TLS listener.
    pub fn tls(mut self) -> Builder {
        self.tls = true;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Builder {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Goes by this clock.
    pub fn clock(mut self, clock: &Clock) -> Builder {
        for (name, value) in clock.env() {
            self = self.env(name, &value);
        }
        self
    }

    /// Starts the gateway and waits until it is ready.
    pub async fn start(self) -> Gateway {
        self.started(ready).await
    }

    /// Starts the gateway and waits until it listens, ready or not.
    pub async fn listen(self) -> Gateway {
        self.started(listening).await
    }

    /// Another program may take a port that was free: it is started again then.
    async fn started(self, is_up: impl AsyncFn(&mut Gateway) -> Result<(), String>) -> Gateway {
        let mut last = String::new();
        for _ in 0..TRIES {
            let mut gateway = self.spawn();
            match is_up(&mut gateway).await {
                Ok(()) => return gateway,
                Err(why) => last = format!("{why}\n{}", gateway.output()),
            }
        }
        panic!("the gateway did not start: {last}");
    }

    fn spawn(&self) -> Gateway {
        let dir = tempfile::tempdir().unwrap();
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (address, admin) = (at(free_port()), at(free_port()));
        let tls = self.tls.then(|| at(free_port()));
        let file = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| {
            File::create(file(name))
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap()
        };
        let (certificate, key) = certs::leaf_pem();
        write("ca.pem", &certs::ca_pem());
        write("tls.crt", &certificate);
        write("tls.key", &key);
        let mut config = self.config.clone();
        if self.binary == Path::new(env!("CARGO_BIN_EXE_tollgate")) {
            // Tests are as impatient with whole answers as with streams, unless they say otherwise.
            whole_as_stream(&mut config["timeouts"]);
            for section in ["providers", "configurations"] {
                let entries = config.get_mut(section).and_then(Value::as_array_mut);
                for entry in entries.into_iter().flatten() {
                    entry.get_mut("timeouts").map(whole_as_stream);
                }
            }
        } else {
            // An earlier version does not know them, and forwards all.
            for provider in config["providers"].as_array_mut().unwrap() {
                provider.as_object_mut().unwrap().remove("forward_headers");
            }
        }
        config["proxy"]["listen"] = json!([address.to_string()]);
        config["admin"]["listen"] = json!(admin.to_string());
        merge(&mut config, json!({"log": {"access": file("access.log")}}));
        if let Some(tls) = tls {
            let own = json!({"listen": [tls.to_string()], "cert": file("tls.crt"), "key": file("tls.key")});
            merge(&mut config["proxy"]["tls"], own);
        }
        let text = serde_json::to_string_pretty(&config).unwrap();
        write(
            "tollgate.yaml",
            &text.replace("{dir}", dir.path().to_str().unwrap()),
        );
        let mut binary = self.binary.clone();
        if self.linked {
            std::os::unix::fs::symlink(&binary, file("tollgate")).unwrap();
            binary = file("tollgate");
        }
        let socket = self.activated.then(|| TcpListener::bind(address).unwrap());
        let child = launch(&binary, &dir, &self.env, socket);
        Gateway {
            address,
            tls,
            admin,
            admin_tls: config["admin"]["tls"].is_object(),
            child,
            successors: Vec::new(),
            binary,
            dir,
            env: self.env.clone(),
            credentials: credentials(&self.config),
        }
    }
}

/// The tests' access key and the providers' keys.
fn credentials(config: &Value) -> Vec<String> {
    let providers = config["providers"].as_array().into_iter().flatten();
    let keys = providers.flat_map(|provider| {
        let lists = ["keys", "managed_keys"].map(|list| provider[list].as_array());
        lists.into_iter().flatten().flatten()
    });
    let values = keys.filter_map(|key| key["value"].as_str());
    let values = values.filter(|value| value.len() >= 5 && !value.contains('$'));
    values.chain([TOKEN]).map(str::to_owned).collect()
}

/// Starts the binary in its directory; what it writes is added to what is there.
pub(super) fn launch(
    binary: &Path,
    dir: &TempDir,
    env: &[(String, String)],
    socket: Option<TcpListener>,
) -> Child {
    let output = |name: &str| {
        let file = File::options()
            .create(true)
            .append(true)
            .open(dir.path().join(name));
        file.unwrap()
    };
    let mut command = match socket {
        None => Command::new(binary),
        Some(_) => Command::new("sh"),
    };
    let input = match socket {
        None => Stdio::null(),
        Some(socket) => {
            command.args(["-c", ACTIVATED]).arg(binary);
            command.env("LISTEN_FDS", "1");
            OwnedFd::from(socket).into()
        }
    };
    command
        .arg("run")
        .arg("--config")
        .arg(dir.path().join("tollgate.yaml"))
        .current_dir(dir.path())
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(input)
        .stdout(output("stdout"))
        .stderr(output("stderr"))
        .spawn()
        .unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Gives whole answers the time that a stream has for its first sign of life.
fn whole_as_stream(timeouts: &mut Value) {
    if let Some(timeouts) = timeouts.as_object_mut()
        && let Some(patience) = timeouts.get("per_request").cloned()
    {
        timeouts.entry("whole_answer").or_insert(patience);
    }
}
