//! Work that keeps a core busy, away from the proxy's threads: counting tokens, translating what is large.

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// A body longer than this, in bytes, is translated aside: it would keep every other request of its thread waiting,
/// for some milliseconds a megabyte. Handing a shorter one over would cost more than the translation.
pub const LARGE: usize = 256 * 1024;

/// Turns at such work, so that it never has all the cores.
pub struct Aside(Semaphore);

impl Aside {
    /// This many pieces of work at a time.
    pub fn new(turns: usize) -> Aside {
        Aside(Semaphore::new(turns))
    }

    /// Does a piece of work when its turn comes.
    ///
    /// # Errors
    /// If it panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let _turn = self.0.acquire().await;
        tokio::task::spawn_blocking(work).await
    }
}
