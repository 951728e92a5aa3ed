//! Who calls the admin API, and whether they may do what they ask for.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};

use super::error::{ApiError, Code};
use super::operation::Needs;
use super::state::AdminState;
use crate::resource::Account;
use crate::{Caller, DEFAULT_ACCOUNT};
use tollgate_config::secrets::Role;
use tollgate_ledger::HOUSE;

/// Names the acting account, as the query parameter `accountId` does.
pub(super) const ACCOUNT_HEADER: &str = "x-tollgate-account";

/// The caller of a request.
pub(super) fn caller(
    state: &AdminState,
    address: IpAddr,
    headers: &HeaderMap,
    now: Instant,
) -> Result<Caller, ApiError> {
    caller_with(state, address, bearer(headers), now)
}

/// The caller who has this key.
pub(super) fn caller_with(
    state: &AdminState,
    address: IpAddr,
    key: Option<&str>,
    now: Instant,
) -> Result<Caller, ApiError> {
    if let Some(caller) = key.and_then(|key| state.login(key)) {
        return Ok(caller);
    }
    if let Some(error) = slow_down(state, address, now) {
        return Err(error);
    }
    if key.is_some() && !state.control().is_complete() {
        // The store may know it: this is no failed login.
        return Err(ApiError::store_away("API keys are still being read"));
    }
    let why = if !state.has_keys() {
        "no API key is configured: set TOLLGATE_ADMIN_KEY, or declare one under `admin.api_keys`"
    } else if key.is_none() {
        "an API key is needed: send `Authorization: Bearer <API key>`"
    } else {
        guessed(state, address, now);
        log::warn!("admin: an unknown API key from {address}");
        "this API key is unknown; it may have been deleted"
    };
    Err(ApiError::new(Code::Unauthorized, why))
}

/// Why an address has to wait before it presents anything more; `None` if it need not.
pub(super) fn slow_down(state: &AdminState, address: IpAddr, now: Instant) -> Option<ApiError> {
    let wait = state.guesses().wait(&client(address), now)?;
    let why = "too many unknown API keys, or sign-ins in vain, came from this address; wait before you try again";
    Some(too_often(why, wait))
}

/// Counts what an address presented in vain.
pub(super) fn guessed(state: &AdminState, address: IpAddr, now: Instant) {
    state.guesses().count(&client(address), now);
}

/// One client: an IPv4 address, or the /64 that one IPv6 host can choose its addresses from.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

fn too_often(why: &'static str, wait: Duration) -> ApiError {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    ApiError::new(Code::Throttled, why).retry_after(seconds)
}

/// Bounds how fast an account changes what it has: each change is kept in the audit log of all.
pub(super) fn pace(
    state: &AdminState,
    (caller, needs): (&Caller, Needs),
    now: Instant,
) -> Result<(), ApiError> {
    let Some(own) = caller.account.as_ref().filter(|_| needs == Needs::Write) else {
        return Ok(());
    };
    let taken = state.changes().take(own, now);
    taken.map_err(|wait| {
        too_often(
            "this account has changed too much at once; wait before you try again",
            wait,
        )
    })
}

/// The one bearer key, if the request has exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// Whether the caller's role allows it.
pub(super) fn allow(caller: &Caller, needs: Needs) -> Result<(), ApiError> {
    let allowed = match caller.role {
        Some(Role::Full) => true,
        Some(Role::ReadOnly) => needs != Needs::Write,
        Some(Role::UsageOnly) => needs == Needs::Usage,
        None => false,
    };
    if allowed {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Forbidden,
        match caller.role {
            Some(Role::UsageOnly) => "this API key may only read usage and the balance of credits",
            None => {
                "this API key has a role that only a newer gateway knows: it may do nothing here"
            }
            _ => "this API key may only read",
        },
    ))
}

/// The account that a request is about. `named`: by `accountId` or the header.
pub(super) fn account(caller: &Caller, named: Option<&str>) -> Result<Arc<str>, ApiError> {
    match (&caller.account, named) {
        (Some(own), Some(named)) if **own != *named => Err(other_account()),
        (Some(own), _) => Ok(own.clone()),
        (None, Some(named)) => Ok(named.into()),
        (None, None) => Ok(DEFAULT_ACCOUNT.into()),
    }
}

/// Sees that there is such an account. What the gateway itself pays for can be looked at by whoever acts for all
/// accounts, and by nobody changed.
pub(super) async fn exists(
    state: &AdminState,
    (caller, needs): (&Caller, Needs),
    account: &str,
) -> Result<(), ApiError> {
    if account == HOUSE && caller.account.is_none() && needs != Needs::Write {
        return Ok(());
    }
    let control = state.control();
    let known = || control.look(|view| view.get::<Account>(account).is_some());
    if known() {
        return Ok(());
    }
    // Another replica may have created it just now.
    control.catch_up().await.map_err(ApiError::store_away)?;
    if known() {
        return Ok(());
    }
    Err(ApiError::new(
        Code::NotFound,
        "there is no such account: declare it under `accounts` in the configuration file, or create it at /accounts",
    ))
}

/// Whether the caller may act for all accounts.
pub(super) fn all_accounts(caller: &Caller) -> Result<(), ApiError> {
    match caller.account {
        None => Ok(()),
        Some(_) => Err(other_account()),
    }
}

fn other_account() -> ApiError {
    ApiError::new(
        Code::OtherAccount,
        "this API key may act for its own account only",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(role: Option<Role>, account: Option<&str>) -> Caller {
        Caller {
            id: "api_1".to_owned(),
            name: None,
            role,
            account: account.map(Into::into),
        }
    }

    #[test]
    fn a_role_allows_what_it_says() {
        for (role, allowed) in [
            (Some(Role::Full), [true, true, true]),
            (Some(Role::ReadOnly), [true, true, false]),
            (Some(Role::UsageOnly), [true, false, false]),
            (None, [false, false, false]),
        ] {
            let got = [Needs::Usage, Needs::Read, Needs::Write]
                .map(|needs| allow(&with(role, None), needs).is_ok());
            assert_eq!(got, allowed, "{role:?}");
        }
    }

    #[test]
    fn a_scoped_caller_acts_for_its_own_account_only() {
        for (own, named, acting) in [
            (None, None, Some("default")),
            (None, Some("acme"), Some("acme")),
            (Some("acme"), None, Some("acme")),
            (Some("acme"), Some("acme"), Some("acme")),
            (Some("acme"), Some("default"), None),
        ] {
            let got = account(&with(Some(Role::Full), own), named).ok();
            assert_eq!(got.as_deref(), acting, "{own:?} names {named:?}");
        }
    }

    #[test]
    fn addresses_of_one_host_are_one_client() {
        let host = |host| client(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 9, 0, 0, host).into());
        assert_eq!(host(1), host(2), "the same /64");
        let other = client(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 0, 0, 1).into());
        assert_ne!(host(1), other);
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(client(mapped), IpAddr::from([10, 0, 0, 1]));
    }
}
