//! Writes to the client. Comments are written from a future that Pingora may drop at any time.

use bytes::Bytes;
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType, Result};

use super::HeldSession;

/// A comment that no client shows; it keeps idle connections alive.
const COMMENT: &[u8] = b": keep-alive\n\n";

impl HeldSession {
    /// Writes that may be dropped half-way and are then continued by [`Self::settle_writes`].
    async fn write_interruptibly(&mut self, task: HttpTask) -> Result<()> {
        if self.real.supports_proxy_task_api() {
            self.real.send_downstream_proxy_task(task);
            self.real.write_downstream_proxy_tasks().await?;
            return Ok(());
        }
        match task {
            HttpTask::Header(header, _) => self.real.write_response_header(header).await,
            HttpTask::Body(Some(data), _) => {
                self.comment_cut = true;
                self.real.write_response_body(data, false).await?;
                self.comment_cut = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Finishes what an interrupted write began.
    pub(super) async fn settle_writes(&mut self) -> Result<()> {
        if self.real.supports_proxy_task_api() {
            while self.real.has_pending_downstream_proxy_tasks() {
                self.real.write_downstream_proxy_tasks().await?;
            }
        } else if std::mem::take(&mut self.comment_cut) {
            // Whatever part of the comment left, this makes it a whole one.
            self.real
                .write_response_body(Bytes::from_static(b"\n\n"), false)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn comment(&mut self) -> Result<()> {
        let comment = HttpTask::Body(Some(Bytes::from_static(COMMENT)), false);
        self.write_interruptibly(comment).await
    }

    pub(super) async fn open(&mut self) -> Result<()> {
        let opening = Box::new(self.opening.head()?);
        self.write_interruptibly(HttpTask::Header(opening, false))
            .await?;
        self.comment().await
    }

    /// Writes tasks of the answer. A client that does not read is given up.
    pub(super) async fn write(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let patience = self.patience;
        let write = async {
            self.settle_writes().await?;
            self.real.response_duplex_vec(tasks).await
        };
        // Pingora's own write timeout sets a timer for each write; this one only for those that wait.
        match pingora_timeout::timeout(patience, write).await {
            Ok(written) => written,
            Err(_) => Error::e_explain(ErrorType::WriteTimedout, "the client does not read")
                .map_err(|error: Box<Error>| error.into_down()),
        }
    }
}
