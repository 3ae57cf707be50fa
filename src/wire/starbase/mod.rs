//! Starbase, Deribit's low-latency path: binary order entry over TCP.

pub mod orders;
