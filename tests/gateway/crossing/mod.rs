//! Any client to any model: the real binary between clients and providers of different APIs.

pub mod api;
mod broken;
mod connections;
mod counting;
mod failover;
mod faults;
mod field;
mod forms;
mod heads;
mod large;
mod money;
mod pairs;
mod refused;
mod waiting;

use serde_json::{Value, json};

use self::api::Api;
use crate::common::ask;
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::Script;

/// A provider's entry that offers these APIs only.
fn offering(id: &str, fake: &Fake, apis: &[Api]) -> Value {
    let mut entry = provider(id, fake);
    let surfaces: Vec<&str> = apis.iter().map(|api| api.surface()).collect();
    entry["surfaces"] = json!(surfaces);
    entry
}

/// A name for what happens between these two.
fn pair(client: Api, provider: Api) -> String {
    format!("{}-{}", client.name(), provider.name())
}

/// What a good provider answers on whichever API it is called.
fn well(seen: &Seen) -> Script {
    let stream = seen.json()["stream"] == json!(true);
    Api::of_path(&seen.path).answer(stream)
}

/// A gateway in front of one good provider for each API, which are named after them.
async fn good(wire: Wire) -> (Gateway, Vec<(Api, Fake)>) {
    let mut fakes = Vec::new();
    let mut builder = Gateway::builder().tls();
    for api in Api::ALL {
        let fake = Fake::answering(wire, well).await;
        builder = builder.provider(offering(api.name(), &fake, &[api]));
        fakes.push((api, fake));
    }
    (builder.start().await, fakes)
}

async fn ask_over(version: Version, gateway: &Gateway, request: &Request) -> Answer {
    Client::connect(version, gateway.at(version))
        .await
        .ask(request)
        .await
}
