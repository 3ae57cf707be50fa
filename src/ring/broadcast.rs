//! The broadcast ring; the [module above](super) tells how it works.

use std::{array, cell::Cell, fmt, mem::MaybeUninit};

use thiserror::Error;

use crate::event::PAYLOAD_BYTES;
use crate::stage::{Full, Outbox};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering, UnsafeCell};

/// The largest ring: 2^24 slots, one gibibyte.
pub const MAX_CAPACITY: usize = 1 << 24;

/// Why a ring was not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RingError {
    /// The capacity must be a power of two between 1 and [`MAX_CAPACITY`].
    #[error("a ring of {0} slots cannot be built: choose a power of two between 1 and {MAX_CAPACITY}")]
    Capacity(usize),
}

/// A ring of `capacity` slots, with its one producer and its consumers. All memory is allocated and touched here.
///
/// That a message fits a slot, and that there is a consumer, is checked by the compiler:
///
/// ```compile_fail
/// let _ = hedgecore::ring::broadcast::<[u8; 57], 1>(8);
/// ```
/// ```compile_fail
/// let _ = hedgecore::ring::broadcast::<u64, 0>(8);
/// ```
pub fn broadcast<T: Copy + Send + Sync, const CONSUMERS: usize>(
    capacity: usize,
) -> Result<(Producer<T>, [Consumer<T>; CONSUMERS]), RingError> {
    const {
        assert!(CONSUMERS >= 1, "a ring needs a consumer");
        assert!(size_of::<T>() <= PAYLOAD_BYTES, "a message must fit into a slot beside its sequence");
        assert!(cfg!(any(loom, shuttle)) || size_of::<Slot<T>>() == 64, "a slot must be one cache line");
    }
    if !capacity.is_power_of_two() || capacity > MAX_CAPACITY {
        return Err(RingError::Capacity(capacity));
    }
    let shared = Arc::new(Shared {
        slots: (0..capacity).map(|_| Slot::vacant()).collect(),
        cursors: (0..CONSUMERS).map(|_| Cursor(AtomicU64::new(0))).collect(),
        state: State { closed: AtomicBool::new(false), full: AtomicU64::new(0) },
    });
    let consumers = array::from_fn(|index| Consumer { shared: Arc::clone(&shared), index, next: 0 });
    let producer = Producer {
        shared,
        next: 0,
        gate: Cell::new(capacity as u64),
        #[cfg(loom)]
        publish: PUBLISH,
    };
    Ok((producer, consumers))
}

/// The sending end. Dropping it closes the ring.
#[repr(align(128))]
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// Position of the next message.
    next: u64,
    /// First position that may not be written, as of the last look at the cursors.
    gate: Cell<u64>,
    /// The ordering that makes a message visible: a field only so that the models can weaken it.
    #[cfg(loom)]
    publish: Ordering,
}

impl<T: Copy + Send + Sync> Producer<T> {
    /// Publishes one message, or counts and returns [`Full`].
    #[inline]
    pub fn try_push(&mut self, message: T) -> Result<(), Full> {
        self.reserve(1)?;
        self.write(self.next, message);
        self.publish(1);
        Ok(())
    }

    /// Publishes all of `messages`, visible at once, or counts one [`Full`] and publishes none.
    pub fn push_batch(&mut self, messages: &[T]) -> Result<(), Full> {
        self.reserve(messages.len())?;
        for (position, message) in (self.next..).zip(messages) {
            self.write(position, *message);
        }
        self.publish(messages.len() as u64);
        Ok(())
    }

    /// Reserves `count` slots to write in place. `None`, counted as full, when fewer are free.
    pub fn claim(&mut self, count: usize) -> Option<Claim<'_, T>> {
        self.reserve(count).ok()?;
        Some(Claim { producer: self, granted: count as u64, written: 0 })
    }

    /// How many messages are certain to be taken: exact when less than half of the ring is free, else what the last
    /// look at the cursors found.
    pub fn room(&self) -> usize {
        if self.known_room() < self.shared.capacity().div_ceil(2) {
            self.gate.set(self.shared.gate(self.next));
        }
        self.known_room() as usize
    }

    /// Whether `count` messages or more wait for the slowest consumer, as far as is known: the cursors are looked at only
    /// where the last look does not deny it.
    #[inline]
    pub fn is_behind(&self, count: usize) -> bool {
        let capacity = self.shared.capacity();
        let waits = || capacity - self.known_room();
        if waits() >= count as u64 {
            self.gate.set(self.shared.gate(self.next));
        }
        waits() >= count as u64
    }

    /// Slots in the ring.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// How often a message, a batch or a claim was refused.
    pub fn full_count(&self) -> u64 {
        self.shared.state.full.load(Ordering::Relaxed)
    }

    /// Messages published so far.
    pub fn published(&self) -> u64 {
        self.next
    }

    /// Closes the ring; consumers drain what was published. Dropping the producer does the same.
    pub fn close(self) {}

    /// Weakens the publishing store, so that a model can show that it would be caught.
    #[cfg(all(test, loom))]
    pub(super) fn relax(&mut self) {
        self.publish = Ordering::Relaxed;
    }

    /// Makes sure that `count` slots from `next` on may be written.
    #[inline]
    fn reserve(&mut self, count: usize) -> Result<(), Full> {
        if self.known_room() >= count as u64 { Ok(()) } else { self.reserve_after_a_look(count) }
    }

    #[inline]
    fn known_room(&self) -> u64 {
        self.gate.get() - self.next
    }

    #[cold]
    fn reserve_after_a_look(&mut self, count: usize) -> Result<(), Full> {
        self.gate.set(self.shared.gate(self.next));
        if self.known_room() >= count as u64 {
            return Ok(());
        }
        let full = &self.shared.state.full;
        // The producer alone writes it.
        full.store(full.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Err(Full)
    }

    /// Writes a reserved slot without publishing it.
    #[inline]
    fn write(&mut self, position: u64, message: T) {
        self.shared.slot(position).message.with_mut(|slot| {
            // SAFETY: `reserve` saw, with acquire, every consumer past the slot's last message, none reads it before
            // `publish` stores its sequence, and `&mut self` is the only producer; so this access is exclusive.
            unsafe { slot.cast::<T>().write(message) }
        });
    }

    /// Makes the next `count` written slots visible, all at once.
    #[inline]
    fn publish(&mut self, count: u64) {
        let (first, end) = (self.next, self.next + count);
        if count == 0 {
            return;
        }
        for position in (first + 1..end).rev() {
            self.shared.slot(position).sequence.store(position, Ordering::Relaxed);
        }
        self.shared.slot(first).sequence.store(first, self.publish_ordering());
        self.next = end;
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn publish_ordering(&self) -> Ordering {
        PUBLISH
    }

    #[cfg(loom)]
    fn publish_ordering(&self) -> Ordering {
        self.publish
    }
}

impl<T: Copy + Send + Sync> Outbox<T> for Producer<T> {
    #[inline]
    fn send(&mut self, message: T) -> Result<(), Full> {
        self.try_push(message)
    }

    fn room(&self) -> usize {
        Producer::room(self)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.state.closed.store(true, Ordering::Release);
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("next", &self.next).field("gate", &self.gate.get()).finish_non_exhaustive()
    }
}

/// Reserved slots, filled in order. Nothing is visible before [`commit`](Self::commit); dropped, nothing ever is.
#[derive(Debug)]
#[must_use = "a claim that is dropped publishes nothing"]
pub struct Claim<'a, T> {
    producer: &'a mut Producer<T>,
    granted: u64,
    written: u64,
}

impl<T: Copy + Send + Sync> Claim<'_, T> {
    /// Writes the next message in place; [`Full`] once the claim is used up.
    #[inline]
    pub fn write(&mut self, message: T) -> Result<(), Full> {
        if self.written == self.granted {
            return Err(Full);
        }
        self.producer.write(self.producer.next + self.written, message);
        self.written += 1;
        Ok(())
    }

    /// Publishes what was written, visible at once, gives the rest back, and says how many that was.
    pub fn commit(self) -> usize {
        self.producer.publish(self.written);
        self.written as usize
    }
}

/// A receiving end, which sees every message. Dropped, it no longer holds the producer back.
#[repr(align(128))]
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// Which cursor is ours.
    index: usize,
    /// Position of the next message to read.
    next: u64,
}

impl<T: Copy + Send + Sync> Consumer<T> {
    /// The next message, if one is there.
    #[inline]
    pub fn try_pop(&mut self) -> Option<T> {
        if !self.shared.is_published(self.next) {
            return None;
        }
        let message = self.shared.slot(self.next).message.with(|slot| {
            // SAFETY: the sequence, loaded with acquire, says that this slot holds the message of our position; the
            // producer does not write it again before our cursor has passed it.
            unsafe { slot.cast::<T>().read() }
        });
        self.next += 1;
        self.shared.cursors[self.index].0.store(self.next, Ordering::Release);
        Some(message)
    }

    /// Hands up to `max` messages to `each`, in place, and says how many.
    ///
    /// The producer learns of it once, at the end, so `max` bounds how long slots are held. A message counts as
    /// consumed when `each` is called with it, also if the call panics.
    #[inline]
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&T)) -> usize {
        let first = self.next;
        let batch = Batch { first, consumer: self };
        while batch.consumer.next - first < max as u64 && batch.consumer.shared.is_published(batch.consumer.next) {
            let position = batch.consumer.next;
            batch.consumer.next += 1;
            batch.consumer.shared.slot(position).message.with(|slot| {
                // SAFETY: as in `try_pop`; our cursor is stored when `batch` drops, so the reference that `each`
                // borrows ends before the producer may write the slot. Other consumers only read it, and `T: Sync`.
                each(unsafe { &*slot.cast::<T>() });
            });
        }
        (batch.consumer.next - first) as usize
    }

    /// Messages published and not yet consumed here. Searches the sequences, so that the producer need not tell.
    pub fn lag(&self) -> usize {
        let (mut published, mut unknown) = (0, self.shared.capacity());
        while published < unknown {
            let middle = published.midpoint(unknown);
            if self.shared.is_published(self.next + middle) {
                published = middle + 1;
            } else {
                unknown = middle;
            }
        }
        published as usize
    }

    /// True once the producer is gone and everything that it published has been consumed here.
    #[inline]
    pub fn is_drained(&self) -> bool {
        // In this order: what was published before closing is visible once closing is.
        self.shared.state.closed.load(Ordering::Acquire) && !self.shared.is_published(self.next)
    }

    /// Messages consumed so far.
    pub fn consumed(&self) -> u64 {
        self.next
    }

    /// How often the producer found the ring full, for whoever reports it.
    pub fn full_count(&self) -> u64 {
        self.shared.state.full.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.cursors[self.index].0.store(RETIRED, Ordering::Release);
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("index", &self.index).field("next", &self.next).finish_non_exhaustive()
    }
}

/// Tells the producer, on every way out of a drain, how far the consumer came.
struct Batch<'a, T> {
    first: u64,
    consumer: &'a mut Consumer<T>,
}

impl<T> Drop for Batch<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.consumer.next != self.first {
            self.consumer.shared.cursors[self.consumer.index].0.store(self.consumer.next, Ordering::Release);
        }
    }
}

/// What makes a message's bytes visible with its sequence.
const PUBLISH: Ordering = Ordering::Release;

/// The sequence of a slot that was never published. Not zero, so that construction writes to every page.
const VACANT: u64 = u64::MAX;

/// The cursor of a consumer that is gone: past every position there will be.
const RETIRED: u64 = u64::MAX;

struct Shared<T> {
    slots: Box<[Slot<T>]>,
    cursors: Box<[Cursor]>,
    state: State,
}

impl<T> Shared<T> {
    #[inline(always)]
    fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> &Slot<T> {
        let index = position as usize & (self.slots.len() - 1);
        // SAFETY: the length is a power of two (checked at construction), so the mask keeps the index below it.
        unsafe { self.slots.get_unchecked(index) }
    }

    #[inline(always)]
    fn is_published(&self, position: u64) -> bool {
        self.slot(position).sequence.load(Ordering::Acquire) == position
    }

    /// First position that may not be written: one lap ahead of the slowest consumer, or of the producer's `next`
    /// when every consumer is gone.
    fn gate(&self, next: u64) -> u64 {
        let slowest = self.cursors.iter().map(|cursor| cursor.0.load(Ordering::Acquire)).fold(next, u64::min);
        slowest + self.capacity()
    }
}

#[repr(C, align(64))]
struct Slot<T> {
    message: UnsafeCell<MaybeUninit<T>>,
    sequence: AtomicU64,
}

impl<T> Slot<T> {
    fn vacant() -> Self {
        Self { message: UnsafeCell::new(MaybeUninit::uninit()), sequence: AtomicU64::new(VACANT) }
    }
}

// SAFETY: the protocol of this file keeps the one writer apart from the readers; readers share `&T` between threads
// (`T: Sync`) and take copies to theirs (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

#[repr(align(128))]
struct Cursor(AtomicU64);

/// Written when something rare happens, so that it may share lines with nothing that is written often.
#[repr(align(128))]
struct State {
    closed: AtomicBool,
    full: AtomicU64,
}
