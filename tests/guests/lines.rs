//! What anybody can have written to the logs.

use std::time::Duration;

use super::house::{Bank, House, repeatedly};
use crate::common::client::Client;
use crate::common::requests::{Request, from};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_the_access_log_are_bounded() {
    let house = House::open(Bank::Sqlite, |builder| builder).await;
    let address = house.gateway.address;
    let long = "%22".repeat(18_000);
    let name = "x\"é".repeat(1_000);
    let attack = repeatedly(2, Duration::from_millis(1200), |_| async {
        let mut client = Client::try_connect(address).await.unwrap();
        let request = from("nobody", Request::get(&format!("/v1/models/{long}")));
        let answer = client.try_ask(&request).await.unwrap();
        assert!(answer.status() >= 400, "{}", answer.status());
        let mut client = Client::try_connect(address).await.unwrap();
        let line = format!("GET /{long} HTTP/1.1\r\nhost: a b\r\n\r\n");
        assert_eq!(client.raw(line.as_bytes()).await.unwrap().status, 400);
        let mut client = Client::try_connect(address).await.unwrap();
        let request = from(super::house::ATTACKER, Request::chat(&[&name], false));
        let answer = client.try_ask(&request).await.unwrap();
        assert!(answer.status() >= 400, "{}", answer.status());
    });
    house.withstands(attack).await;
    let log = std::fs::read_to_string(house.gateway.path("access.log")).unwrap();
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 8 << 10, "{longest} bytes");
    let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    assert!(log.lines().all(is_json), "each line is JSON");
}
