//! (room: failover)
