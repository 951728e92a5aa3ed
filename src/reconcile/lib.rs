//! What the ledger charged, against what providers say that they billed; and usage as files for other programs.
//! Pure: no I/O, no clock, no floats.
//!
//! ```text
//!   usage events ──► charged::Charged ──► Ledger ─┐
//!                                                 ├──► compare ──► Outcome: lines, drifts, and why
//!   saved pages, CSV ──► report::read ──► Reading ┘
//!
//!   usage events ──► export::Entry ──► export::Format ──► FOCUS 1.2, CSV, JSON lines
//! ```
//!
//! - [`report`] reads the providers' own figures, whatever their form, into rows of [`Billed`];
//! - [`mod@compare`] puts both sides beside each other by day, model and key, and says of each drift what most probably
//!   caused it;
//! - [`export`] writes usage, one row at a time.
//!
//! Invariants: money is read from decimal text and is exact to the nano-dollar; what cannot be understood is refused
//! with its file, line and field, and never counts as zero; a day is one of UTC.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

mod billed;
mod charged;
pub mod compare;
mod day;
mod decimal;
pub mod export;
pub mod report;
mod unit;
mod variant;

pub use billed::{Billed, Vendor};
pub use charged::{Charged, Hour, Ledger, Overfull, Used};
pub use compare::{Outcome, Request, compare};
pub use day::{Period, day_of, parse_day, show_day};
pub use decimal::{parse_usd, show_count};
pub use unit::Unit;
pub use variant::variant;
