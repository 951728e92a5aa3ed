//! What operators rely on: how the process stops and reloads, what bounds it, what it listens on, what it
//! tells, how it treats its connections. Against the real binary.

mod access_log;
mod admin;
mod bodies;
mod certificates;
mod cors;
mod framing;
mod help;
mod listeners;
mod malformed;
mod metrics;
mod reload;
mod segments;
mod slow;
mod start;
mod stop;
mod traces;
mod trust;
mod upgrade;
mod upstream;
