//! Starbase, Deribit's low-latency path: market-by-order data over UDP, binary order entry over TCP.

pub mod market_data;
pub mod orders;
