//! Where anchors are built: on the greeks' own thread, or on a cold one beside it.
//!
//! ```text
//!  greeks ──asked──►[ Rebuilder, cold ]──done──► greeks
//!                          └──────── Rebuilt ───► the greeks' stream of events
//! ```
//!
//! **In**: generations filled by the greeks. **Out**: the same, computed, and for each an [`Rebuilt`](Body::Rebuilt) event.
//! Two bounded lock-free queues carry the buffers; they never allocate, and nobody waits at either end. A generation
//! counts only from its event on, which stands at one place in the stage's one stream: a journal of that stream
//! replays every rebuild where it happened ([`Rebuilds::Recorded`] computes it there and then).
//!
//! **Failure**: a request that is not answered in [`PATIENCE_NS`] of event time is given up and its expiry rebuilt on the
//! greeks' thread from then on; an answer that still comes gives its buffer back.

use std::sync::Arc;

use arrayvec::ArrayVec;
use crossbeam::queue::ArrayQueue;

use super::generation::{Generation, Ticket};
use crate::event::{Body, Event, Trail};
use crate::stage::Outbox;
use crate::units::Nanos;

/// Requests under way at a time.
pub const REQUESTS_MAX: usize = 8;
/// Time after which an unanswered request is given up.
pub const PATIENCE_NS: u64 = 250 * Nanos::PER_MILLI;

/// Who builds anchors.
#[derive(Debug, Default)]
pub enum Rebuilds {
    /// The greeks themselves, at clock events.
    #[default]
    Inline,
    /// A [`Rebuilder`] on another thread, or at another time on this one.
    Elsewhere(Requests),
    /// Somebody in a recorded session: each rebuild is computed when its event comes.
    Recorded,
}

/// The greeks' end of the way to a [`Rebuilder`].
#[derive(Debug)]
pub struct Requests(Arc<Queues>);

/// Builds anchors for one greeks stage, on a thread that has time.
#[derive(Debug)]
pub struct Rebuilder(Arc<Queues>);

#[derive(Debug)]
struct Queues {
    asked: ArrayQueue<Box<Generation>>,
    done: ArrayQueue<Box<Generation>>,
}

/// A way to a cold thread and back, and who works at its other end.
pub fn elsewhere() -> (Rebuilds, Rebuilder) {
    let queues = Arc::new(Queues { asked: ArrayQueue::new(REQUESTS_MAX), done: ArrayQueue::new(REQUESTS_MAX) });
    (Rebuilds::Elsewhere(Requests(Arc::clone(&queues))), Rebuilder(queues))
}

impl Rebuilder {
    /// Builds at most one anchor, if there is room to say so, and says so. How many it built.
    pub fn turn(&mut self, out: &mut impl Outbox<Event>) -> usize {
        if out.room() == 0 {
            return 0;
        }
        let Some(mut generation) = self.0.asked.pop() else { return 0 };
        generation.compute();
        let Ticket { engine, number, underlying, expiry_s, time } = generation.ticket;
        // As many buffers as places: there is one.
        if self.0.done.push(generation).is_ok() {
            let body = Body::Rebuilt { underlying, expiry_s, engine, generation: number };
            // There was room, and nobody else sends here.
            let _ = out.send(Event { trail: Trail::default(), time, body });
        }
        1
    }
}

/// Generations not in use, and those asked for.
#[derive(Debug)]
pub(super) struct Workshop<const BUFFERS: usize> {
    rebuilds: Rebuilds,
    spares: ArrayVec<Box<Generation>, BUFFERS>,
    /// Asked for in a recorded session.
    held: ArrayVec<Box<Generation>, REQUESTS_MAX>,
    under_way: usize,
    /// When the last answer came, or the first request after all were answered.
    heard_at: Nanos,
}

impl<const BUFFERS: usize> Workshop<BUFFERS> {
    pub(super) fn new(rebuilds: Rebuilds, buffers: usize, options: usize) -> Self {
        let spares = (0..buffers).map(|_| Box::new(Generation::with_capacity(options))).collect();
        Self { rebuilds, spares, held: ArrayVec::new(), under_way: 0, heard_at: Nanos(0) }
    }

    /// Whether another request can be made.
    pub(super) fn has_room(&self) -> bool {
        self.under_way < REQUESTS_MAX
    }

    /// Whether whoever builds anchors has said nothing for too long.
    pub(super) fn is_silent(&self, now: Nanos) -> bool {
        self.under_way > 0 && now.since(self.heard_at) > PATIENCE_NS
    }

    /// A buffer for an engine, its own last one if that is here.
    pub(super) fn buffer(&mut self, engine: u8) -> Option<Box<Generation>> {
        let own = self.spares.iter().rposition(|spare| spare.ticket.engine == engine);
        match own {
            Some(at) => Some(self.spares.swap_remove(at)),
            None => self.spares.pop(),
        }
    }

    /// Takes a buffer back.
    pub(super) fn give_back(&mut self, generation: Box<Generation>) {
        // As many places as buffers.
        let _ = self.spares.try_push(generation);
    }

    /// Has a filled generation computed: at once, and then it is returned, or later.
    pub(super) fn ask(&mut self, mut generation: Box<Generation>) -> Option<Box<Generation>> {
        let time = generation.ticket.time;
        let refused = match &self.rebuilds {
            Rebuilds::Inline => Some(generation),
            Rebuilds::Elsewhere(Requests(queues)) => queues.asked.push(generation).err(),
            Rebuilds::Recorded => self.held.try_push(generation).err().map(arrayvec::CapacityError::element),
        };
        match refused {
            Some(own) => generation = own,
            None => {
                if self.under_way == 0 {
                    self.heard_at = time;
                }
                self.under_way += 1;
                return None;
            }
        }
        generation.compute();
        Some(generation)
    }

    /// The generation that an event speaks of, computed; `None` when there is none.
    pub(super) fn answered(&mut self, engine: u8, number: u32, now: Nanos) -> Option<Box<Generation>> {
        let answers =
            |generation: &Generation| (generation.ticket.engine, generation.ticket.number) == (engine, number);
        let found = match &self.rebuilds {
            Rebuilds::Inline => None,
            // Buffers and events come in the same order.
            Rebuilds::Elsewhere(Requests(queues)) => queues.done.pop(),
            Rebuilds::Recorded => {
                let at = self.held.iter().position(|held| answers(held))?;
                let mut generation = self.held.remove(at);
                generation.compute();
                Some(generation)
            }
        }?;
        self.under_way -= 1;
        self.heard_at = now;
        if answers(&found) {
            return Some(found);
        }
        self.give_back(found);
        None
    }
}
