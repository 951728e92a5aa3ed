//! Who may call the admin API.

use super::house::{Bank, House, ROOT, TENANT};
use crate::common::client::{Client, Version};
use crate::common::requests::Request;

#[tokio::test]
async fn wrong_keys_lock_out_no_right_one_of_the_same_address() {
    let house = House::open(Bank::Sqlite, |builder| builder).await;
    let admin = house.gateway.admin;
    let status = async |key: &str| {
        let request = Request::get("/access-keys")
            .without("authorization")
            .header("authorization", &format!("Bearer {key}"));
        let mut client = Client::connect(Version::H1, admin).await;
        client.ask(&request).await.status()
    };
    for wrong in 0..40 {
        let wrong = status(&format!("tga-wrong-g1-{wrong:043}")).await;
        assert!(matches!(wrong, 401 | 429), "{wrong}");
    }
    assert_eq!(status("tga-wrong-g1-0").await, 429, "it waits");
    for right in [ROOT, TENANT] {
        assert_eq!(status(right).await, 200, "a right key does not");
    }
}
