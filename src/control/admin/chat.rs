//! A request that an operator sends through the proxy to see what becomes of it.

use std::io::Read;

/// A chat completion, as an application would ask for it.
pub struct Chat {
    /// The access key's token.
    pub token: String,
    /// The body, JSON.
    pub body: String,
}

/// What the proxy answers.
pub struct Answered {
    /// The status.
    pub status: u16,
    /// Its headers, in their order.
    pub headers: Vec<(String, String)>,
    /// Its body, as it comes. Reading blocks.
    pub body: Box<dyn Read + Send>,
}
