//! Whether the books balance, shown: both sides of every equation.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Bank, Books, Law};
use tollgate_store::StoreError;

/// Accounts that are read at once.
const AT_ONCE: usize = 8;
/// How often an account is read that is charged meanwhile.
const READINGS: usize = 5;

/// An account's equations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose.
    pub account: String,
    /// Every equation, with both sides.
    pub laws: [Law; 5],
}

impl Verified {
    /// Returns what an account's books come to.
    pub fn of(account: String, books: &Books) -> Verified {
        Verified {
            account,
            laws: books.laws(),
        }
    }

    /// Returns whether both sides of all are equal.
    pub fn balanced(&self) -> bool {
        self.laws.iter().all(Law::holds)
    }
}

/// Reads the books of these accounts, and compares.
///
/// # Errors
/// Those of [`CreditStore::books`](super::CreditStore::books).
pub async fn verify(bank: &dyn Bank, accounts: Vec<String>) -> Result<Vec<Verified>, StoreError> {
    let verified = |account: String| async move {
        let books = recounted(bank, &account).await?;
        Ok(Verified::of(account, &books))
    };
    let all = stream::iter(accounts).map(verified).buffered(AT_ONCE);
    all.try_collect().await
}

/// An account's books with its daily totals added up anew. What is charged meanwhile makes both differ, so that
/// they are read again; of an account that is charged all the while they are as the bank has them.
async fn recounted(bank: &dyn Bank, account: &str) -> Result<Books, StoreError> {
    let mut books = bank.books(account).await?;
    for _ in 0..READINGS {
        let sum = bank.recounted(account).await?;
        let now = bank.books(account).await?;
        if now.spent == books.spent {
            if sum != now.spent {
                books.rolled_up = sum;
            }
            break;
        }
        books = now;
    }
    Ok(books)
}
