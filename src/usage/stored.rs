//! stub
use super::UsageEvent;
use std::sync::Arc;
/// stub
pub fn encode(_events: &[Arc<UsageEvent>]) -> Option<crate::ledger::bank::Events> {
    None
}
