//! Where stages meet the machine: threads and cores, clocks, sockets, memory.
//!
//! Enters: a topology, core numbers, addresses. Leaves: threads that run the stages of the pipeline. The stages know none
//! of this; everything here may fail at start-up with an error that says what to do, or degrade with a notice where the
//! host does not permit something (locked memory, busy polling), and nothing here allocates once a thread is hot.

// System calls, the stamp counter and the counting allocator; every block states why it is sound.
#![allow(unsafe_code)]

pub mod alloc;
mod catch_up;
pub mod clock;
mod connection;
pub mod control;
mod drop_copy;
mod fused;
pub mod idle;
mod journal;
pub mod memory;
mod observer;
mod order_link;
mod outbox;
mod pipeline;
pub mod placement;
pub mod socket;
mod threads;
#[cfg(test)]
mod threads_tests;
mod watched;
mod watched_gateway;
#[cfg(all(test, shuttle))]
mod wiring_models;

pub use catch_up::{ATTEMPTS, WitnessError, catch_up};
pub use drop_copy::{DropCopyConfig, DropCopySummary};
pub use fused::Fused;
pub use journal::{JournalConfig, JournalSummary, OnFailure, StageTap};
pub use observer::Observer;
pub use outbox::{BACKLOG_MAX, Backlog, Conflating, Hop, Inline, Stamp, Stamped, Stamping};
pub use pipeline::{Finished, Pipeline, PipelineConfig, PipelineError};
pub use watched::{Watched, Witness};
