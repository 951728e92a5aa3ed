//! Hostile guests: several accounts share one gateway, and none of them may slow, starve, harm or read another.
//!
//! In each test an attacker does its worst while a victim asks at a steady pace and must notice nothing
//! ([`house::House::withstands`]). Where money or shared state matters, it is tried on each [`house::Bank`].

mod answers;
mod clocks;
mod connections;
mod counts;
mod health;
#[allow(dead_code, reason = "each theme uses a part of it")]
mod house;
mod lines;
mod login;
mod overload;
mod piles;
mod secrets;
mod strangers;
