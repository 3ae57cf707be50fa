//! Byte layouts and nothing else: what a venue's bytes say, checked against what is left of the packet, and how to write
//! the same bytes. What they mean is for `feed` and `gateway`.

pub mod deribit_multicast;
pub mod fix;
pub mod starbase;
