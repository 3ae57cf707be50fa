//! What joins two threads: the broadcast ring for messages, the latest-value cell for parameters and snapshots.
//!
//! # The broadcast ring
//!
//! Enters: `Copy` messages of at most 56 bytes, from one producer. Leaves: every message, in order, once at each of one
//! or more consumers. One consumer is the plain single-producer single-consumer queue.
//!
//! ```text
//!   slot, one cache line                     ring of 8; positions count up for ever, slot = position mod 8
//!   0                           56      64
//!   +---------------------------+--------+     slot       0    1    2    3    4    5    6    7
//!   | message                   |sequence|     sequence   8    9   10    3    4    5    6    7
//!   +---------------------------+--------+                          ▲    ▲              ▲
//!                                              producer writes next: 11 ─┘              │
//!   sequence == position: published                                 └─ consumer A at 10 │
//!   sequence == position − 8: last lap's                               consumer B at 6 ─┘   gate = 6 + 8 = 14
//! ```
//!
//! **Publishing.** The producer writes the message at its position, then stores that position into the slot's sequence
//! with release. A consumer standing at position `p` loads the sequence of slot `p mod capacity` with acquire: equal to
//! `p` means that the message is there and its bytes are visible. Message and sequence share a cache line, so a hop is
//! one line crossing from core to core, and there is no shared head index for the two sides to fight over.
//!
//! **Batches.** A batch stores its sequences from last to first, all relaxed but the first message's, which is a
//! release. A consumer reaches the others only through the first, so it sees the whole batch or none of it, for one
//! release however long the batch.
//!
//! **Gating.** A slot may be overwritten once every consumer has moved past it. Each consumer stores its position with
//! release in a cursor on its own 128 bytes (the adjacent-line prefetcher moves pairs of lines). The producer remembers
//! the first position that it may not write, and reads the cursors, with acquire, only when it gets there: about once a
//! lap while consumers keep up. A consumer that is dropped parks its cursor at the end of time and gates no more.
//!
//! **Full** is an answer, counted, never a wait: what to do about it (conflate, keep, halt) is the sender's to decide.
//!
//! **Closing** happens when the producer goes, after its last publication. A consumer has drained the ring when it
//! first sees it closed and then finds nothing at its position; in that order nothing published is ever missed.
//!
//! Cost: 64 bytes a slot, allocated and touched at construction. `try_push` and `try_pop` take a constant number of
//! steps (the former linear in the consumers when it re-reads the cursors), batches one more per message, `lag` the
//! logarithm of the capacity. Nothing allocates, waits or retries.
//!
//! # The latest-value cell
//!
//! [`latest()`] is a seqlock over atomic words: one writer, any number of readers, a value that is whole or not returned.
//! The writer never waits; a reader tries a bounded number of times.
//!
//! Both are explored exhaustively by loom on small cases (`RUSTFLAGS="--cfg loom" cargo test --lib --release loom`),
//! with canaries: the same code with one ordering weakened must be caught.

// The lock-free code of the crate; every block states why it is sound.
#![allow(unsafe_code)]

mod broadcast;
mod latest;

#[cfg(test)]
mod broadcast_tests;
#[cfg(test)]
mod loom_models;

pub use broadcast::{Claim, Consumer, MAX_CAPACITY, Producer, RingError, broadcast};
pub use latest::{ATTEMPTS, Reader, Writer, latest};
