//! What the gateway does when providers fail: every fault, over every wire, against the real binary.

mod after_commit;
mod alive;
mod answered;
mod bench;
mod causes;
mod client_gone;
mod exhausted;
mod matrix;
mod order;
mod payload;
mod planted;
mod resent;
mod soft_commit;
mod tolerated;

use std::time::Duration;

use serde_json::Value;

use crate::common::ask;
use crate::common::client::Answer;
use crate::common::gateway::Gateway;
use crate::common::requests::Request;

/// Asks for a chat of the first of these models that serves it.
async fn chat(gateway: &Gateway, models: &[&str]) -> Answer {
    ask(gateway, &Request::chat(models, false)).await
}

/// The usage events, once there are so many.
async fn events(gateway: &Gateway, count: usize) -> Vec<Value> {
    let end = tollgate_base::clock::now() + Duration::from_secs(10);
    loop {
        let shown = gateway.command(&["usage", "--events", "--json"]);
        let all: Vec<Value> = serde_json::from_slice(&shown.stdout).unwrap_or_default();
        if all.len() >= count || tollgate_base::clock::now() > end {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
