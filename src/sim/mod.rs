//! The stages without the machine: a venue that they trade against, captures that they replay.
//!
//! `runtime` puts the stages on threads and sockets; this puts the same stages on one thread, with every input in an order
//! that a seed or a file decides.

pub mod checkers;
mod disk;
mod framing;
mod paper;
mod process;
mod queue;
pub mod random;
pub mod relay;
mod replay;
pub mod simulation;
pub mod venue;

pub use disk::{DiskFaults, MemoryDisk, MemorySegment};
pub use framing::OrderProtocol;
pub use paper::PaperVenue;
pub use process::{Process, ProcessConfig, Watch};
pub use queue::Queue;
pub use replay::Replay;
