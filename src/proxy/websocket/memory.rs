//! What messages, requests and what is remembered take of the memory that all accounts share for large bodies.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::proxy::body::MOST_BODIES;
use crate::proxy::connection::Gathers;
use crate::proxy::shared::Shared;
use crate::proxy::shares::{Share, Supply};

/// What is shorter is not counted.
const SMALL: usize = 64 << 10;

/// An account's door to it.
#[derive(Clone)]
pub(super) struct Memory {
    pub shared: Arc<Shared>,
    pub account: Arc<str>,
}

impl Memory {
    /// So many bytes; `None` if the account may not have them now.
    pub(super) fn take(&self, bytes: usize) -> Option<Share> {
        let bodies = &self.shared.scarce.bodies;
        bodies.take(&self.account, bytes, self.supply())
    }

    /// So many bytes more, unless they are few; false if the account may not have them now.
    pub(super) fn add(&self, share: &mut Option<Share>, bytes: usize) -> bool {
        match share {
            _ if bytes <= SMALL => true,
            Some(share) => share.grow(bytes, self.supply()),
            None => {
                *share = self.take(bytes);
                share.is_some()
            }
        }
    }

    fn supply(&self) -> Supply {
        let snapshot = self.shared.snapshot.load();
        Supply {
            most: snapshot.config.proxy.max_body.saturating_mul(MOST_BODIES),
            several: snapshot.has_several_accounts(),
        }
    }
}

/// A message that is not whole yet.
#[derive(Clone, Default)]
pub(super) struct Gathering(Arc<Mutex<Gathered>>);

#[derive(Default)]
struct Gathered {
    bytes: usize,
    share: Option<Share>,
}

impl Gathering {
    /// Counts what is read.
    pub(super) fn counted(&self, memory: Memory) -> Gathers {
        let gathered = self.0.clone();
        Box::new(move |read| {
            let mut gathered = gathered.lock();
            gathered.bytes += read;
            match &mut gathered.share {
                Some(share) => share.grow(read, memory.supply()),
                None => {
                    let bytes = gathered.bytes;
                    memory.add(&mut gathered.share, bytes)
                }
            }
        })
    }

    /// It is whole: what it takes, until that is dropped.
    pub(super) fn whole(&self) -> Option<Share> {
        std::mem::take(&mut *self.0.lock()).share
    }
}
