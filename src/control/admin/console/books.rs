//! Whether the books balance: the ledger's equations, both sides.

use maud::html;
use serde_json::Value;

use super::format::{exact, list, text};
use super::view::{self, badge};
use super::visit::{Answered, Visit};

/// Accounts on a page.
const ON_A_PAGE: &str = "50";

pub(super) async fn show(visit: &Visit) -> Answered {
    let pairs = [("cursor", visit.asked("cursor")), ("limit", ON_A_PAGE)];
    let answer = visit.own("/ledger/verification", &pairs).await?;
    let mut accounts: Vec<&Value> = list(&answer, "accounts").iter().collect();
    // What is wrong comes first.
    accounts.sort_by_key(|account| account["balanced"] == true);
    let columns = [
        ("Account", ""),
        ("Must be equal", ""),
        ("Left", "n"),
        ("Right", "n"),
        ("Holds", ""),
    ];
    let main = html! {
        @if answer["balanced"] == true {
            p.notice role="status" { strong { "The books balance." } " Every equation of " (accounts.len()) " accounts holds to the nano-dollar." }
        } @else {
            p.fault role="alert" {
                strong { "The books do not balance." } " The equations that do not hold come first; "
                code { "tollgate ledger verify" } " says the same. See the gateways' logs for what was lost or told twice."
            }
        }
        @if accounts.is_empty() {
            (view::empty("No books yet", &html! { p { "An account has books from its first grant or request on." } }))
        } @else {
            (view::table("Equations, in US dollars", &columns, &html! {
                @for account in &accounts {
                    @for equation in list(account, "equations") {
                        tr {
                            th scope="row" { (text(account, "accountId")) }
                            td { (text(equation, "equation")) }
                            td.n { (exact(text(equation, "left"))) }
                            td.n { (exact(text(equation, "right"))) }
                            td { @if equation["balanced"] == true { (badge("good", "equal")) } @else { (badge("bad", "not equal")) } }
                        }
                    }
                }
            }))
        }
        (view::paging(visit, &answer))
    };
    Ok(view::shown(visit, "Books", main).await)
}
