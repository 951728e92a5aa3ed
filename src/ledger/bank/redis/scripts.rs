//! The scripts about accounts, each with its number: another one for each change of what it does.

const ACCOUNT: &str = include_str!("lua/account.lua");

tollgate_store::scripts! {
    EXCHANGE = "tollgate:exchange:6", ACCOUNT, include_str!("lua/exchange.lua");
    GRANT = "tollgate:grant:3", ACCOUNT, include_str!("lua/grant.lua");
    BOOKS = "tollgate:books:3", ACCOUNT, include_str!("lua/books.lua");
    ROLLUPS = "tollgate:rollups:3", include_str!("lua/rollups.lua");
    DAYS = "tollgate:days:1", include_str!("lua/days.lua");
    SEAL = "tollgate:seal:1", include_str!("lua/seal.lua");
    EVENTS = "tollgate:events:2", include_str!("lua/events.lua");
    FORGET = "tollgate:forget:1", include_str!("lua/forget.lua");
    MEET = "tollgate:meet:1", include_str!("lua/meet.lua");
}

#[cfg(test)]
mod tests {
    use tollgate_base::clock::SLACK;

    use super::super::super::account::{LONGEST, RECALL, REMEMBERED, SHARE};
    use super::*;
    use crate::bank::MOST_VALUES;

    #[test]
    fn constants_are_those_of_the_reference() {
        for (name, value) in [
            ("RECALL", RECALL.as_millis()),
            ("SHARE", u128::from(SHARE.unsigned_abs())),
        ] {
            assert!(
                ACCOUNT.contains(&format!("local {name} = {value}\n")),
                "{name}"
            );
        }
        let values = format!("local VALUES = {MOST_VALUES}\n");
        assert!(include_str!("lua/exchange.lua").contains(&values));
        let said = [REMEMBERED, LONGEST, SLACK].map(|value| value.as_secs());
        assert_eq!(
            said,
            [400 * 24 * 60 * 60, 24 * 60 * 60, 60],
            "as account.lua says"
        );
    }
}
