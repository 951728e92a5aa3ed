//! (room: proxy)
