//! What is left of a request's body when its answer is ready: read for a moment, or else the connection ends with the
//! answer.
//!
//! Whoever is answered early (401, 404, 413, …) may still be sending. A connection that is closed under them can take
//! the answer with it, and one that stays open without a word breaks their next request. Invariant: what is read here
//! is bounded in bytes and in time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Response, header};
use futures::StreamExt;
use parking_lot::Mutex;

/// Most bytes that are read for nothing.
const MOST: usize = 4 << 20;
/// Longest time that is spent on it.
const TIME: Duration = Duration::from_secs(2);

/// A body that two hold: the one who reads it, and the one who reads the rest.
#[derive(Clone)]
pub(super) struct Rest(Arc<Mutex<Body>>);

impl Rest {
    /// The body, and a hold on what will be left of it.
    pub(super) fn of(body: Body) -> (Body, Rest) {
        let rest = Rest(Arc::new(Mutex::new(body)));
        (Body::new(rest.clone()), rest)
    }

    /// Reads what is left; if that takes too long, the answer announces the end of the connection.
    pub(super) async fn finish(self, answer: &mut Response<Body>) {
        if self.0.lock().is_end_stream() {
            return;
        }
        let mut left = Body::new(self).into_data_stream();
        let read = async {
            let mut bytes = 0;
            while let Some(chunk) = left.next().await {
                bytes += chunk.map_or(MOST, |chunk| chunk.len());
                if bytes >= MOST {
                    return false;
                }
            }
            true
        };
        if tokio::time::timeout(TIME, read).await != Ok(true) {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
    }
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.0.lock().size_hint()
    }
}
