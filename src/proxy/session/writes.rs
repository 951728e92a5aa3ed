//! Writes to the client, each of which it must read in time. Comments are written from a future that Pingora may drop at
//! any time.

use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType, Result};
use pingora_timeout::Elapsed;

use super::HeldSession;
use crate::proxy::gate::Tick;
use crate::proxy::opening::COMMENT;
use tollgate_base::clock;

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
        } else if self.comment_cut {
            // Whatever part of the comment left, this makes it a whole one.
            self.real
                .write_response_body(Bytes::from_static(b"\n\n"), false)
                .await?;
            self.comment_cut = false;
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

    /// Writes tasks of the answer.
    pub(super) async fn write(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        if let Some(turn) = &self.turn {
            turn.record(&tasks);
            let fails = matches!(tasks.last(), Some(HttpTask::Failed(_)));
            // Before its end leaves: whoever has it may ask again at once.
            if !fails && self.gate.is_complete() {
                turn.finish();
            }
        }
        if self.deserted.is_some() {
            return Ok(false);
        }
        let left = self.begin_write();
        let write = async {
            self.settle_writes().await?;
            self.real.response_duplex_vec(tasks).await
        };
        // Pingora's own write timeout sets a timer for each write; this one only for those that wait.
        let written = pingora_timeout::timeout(left, write).await;
        self.written(written)
    }

    /// Finishes what an interrupted write began, and then sends the client what is due. May be dropped and called
    /// again.
    pub(super) async fn tell(&mut self, due: Tick) -> Result<Tick> {
        if due == Tick::Wait && self.unread_by.is_none() {
            return Ok(due);
        }
        match (&self.turn, &due) {
            (Some(turn), Tick::Open) => turn.opened(&self.opening.head()?),
            (Some(turn), Tick::Comment) => turn.commented(),
            _ => {}
        }
        if self.deserted.is_some() {
            return Ok(Tick::Wait);
        }
        let left = self.begin_write();
        let now = clock::now();
        let ends = self.gate.ends_at().saturating_duration_since(now);
        let write = async {
            self.settle_writes().await?;
            match due {
                Tick::Open => self.open().await,
                Tick::Comment => self.comment().await,
                Tick::Wait | Tick::Expire | Tick::Hedge => Ok(()),
            }
        };
        match pingora_timeout::timeout(left.min(ends), write).await {
            // The attempt ends before the client is given up, and may go on to be waited for.
            Err(_) if ends < left => Ok(Tick::Expire),
            written => self.written(written).map(|()| Tick::Wait),
        }
    }

    /// How long the write that begins now, or goes on, may wait for the client.
    pub(super) fn begin_write(&mut self) -> Duration {
        let now = clock::now();
        let by = *self.unread_by.get_or_insert(now + self.patience);
        by.saturating_duration_since(now)
    }

    /// A write has ended, or waited for too long: a client that does not read is given up.
    pub(super) fn written<T>(&mut self, written: Result<Result<T>, Elapsed>) -> Result<T> {
        self.unread_by = None;
        written.unwrap_or_else(|_| {
            Error::e_explain(ErrorType::WriteTimedout, "the client does not read")
                .map_err(|error: Box<Error>| error.into_down())
        })
    }
}
