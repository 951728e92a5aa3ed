//! stub
use super::NanoUsd;
use crate::tokens::Usage;
/// stub
pub fn cost(usage: &Usage, _prices: Option<&crate::catalog::Prices>, fee: u64) -> Result<NanoUsd, ()> {
    Ok(NanoUsd(i64::try_from(usage.total() * fee / 1000).unwrap_or(0)))
}
