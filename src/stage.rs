//! What a stage is: a state machine fed with events, sending into an outbox.
//!
//! A stage reads no clock, socket, file, thread or random number, allocates nothing after construction, and never
//! waits. What stands behind its outbox (the next stage on the same thread, a ring, a simulator) is the business of
//! `runtime` and `sim`.

use crate::event::Event;

/// A stage that is fed with events: the greeks, the hedge, the surface. The feed and the gateway also take bytes and have
/// a `step` of their own.
pub trait Stage {
    /// What it sends.
    type Out;

    /// Takes one event, in bounded time.
    fn step(&mut self, event: &Event, out: &mut impl Outbox<Self::Out>);
}

/// The receiver has no room now. The sender keeps its state and tries again at its next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Where a stage's messages go. Sending stamps the message's trail; it never blocks.
pub trait Outbox<M> {
    /// Takes a message, or returns [`Full`] and takes nothing.
    fn send(&mut self, message: M) -> Result<(), Full>;

    /// How many messages are certain to be taken.
    fn room(&self) -> usize;
}

/// Collects messages in order: for tests and cold callers.
impl<M> Outbox<M> for Vec<M> {
    fn send(&mut self, message: M) -> Result<(), Full> {
        self.push(message);
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}
