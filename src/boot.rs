//! Wires every room.
