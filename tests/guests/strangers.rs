//! Who has no key at all.

use std::time::Duration;

use super::house::{BANKS, House, repeatedly};
use crate::common::client::Client;
use crate::common::requests::{Request, from};

/// Nothing is looked up for them: neither bank nor store is asked about a key that is not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_with_wrong_keys_slow_nobody() {
    for bank in BANKS {
        let house = House::open(bank, |builder| builder).await;
        let gateway = house.gateway.address;
        let wrong = from("nobody", Request::chat(&["f:m"], false));
        let attack = repeatedly(8, Duration::from_millis(1500), |_| async {
            let mut client = Client::try_connect(gateway).await.unwrap();
            let answer = client.try_ask(&wrong).await.unwrap();
            assert_eq!(answer.status(), 401, "{}", answer.text());
        });
        house.withstands(attack).await;
    }
}
