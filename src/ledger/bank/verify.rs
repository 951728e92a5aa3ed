//! Whether the books balance, shown: both sides of every equation.

use super::{Bank, Books, Law};
use tollgate_store::StoreError;

/// An account's equations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose.
    pub account: String,
    /// Every equation, with both sides.
    pub laws: [Law; 5],
}

impl Verified {
    /// What an account's books come to.
    pub fn of(account: String, books: &Books) -> Verified {
        Verified {
            account,
            laws: books.laws(),
        }
    }

    /// Whether both sides of all are equal.
    pub fn balanced(&self) -> bool {
        self.laws.iter().all(Law::holds)
    }
}

/// Reads the books of these accounts, and compares.
///
/// # Errors
/// Those of [`Bank::books`].
pub async fn verify(bank: &dyn Bank, accounts: Vec<String>) -> Result<Vec<Verified>, StoreError> {
    let mut all = Vec::with_capacity(accounts.len());
    for account in accounts {
        let books = bank.books(&account).await?;
        all.push(Verified::of(account, &books));
    }
    Ok(all)
}
