//! An outbox of fixed capacity for drivers that run every stage on one thread.

use crate::stage::{Full, Outbox};

/// Messages in order; full is told, never grown into.
#[derive(Debug)]
pub struct Queue<T> {
    messages: Vec<T>,
    /// Messages that did not fit.
    pub refused: u64,
}

impl<T> Queue<T> {
    /// Room for `capacity` messages, all taken now.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { messages: Vec::with_capacity(capacity), refused: 0 }
    }

    /// What is queued.
    pub fn messages(&self) -> &[T] {
        &self.messages
    }

    /// Takes the first `count` messages away.
    pub fn drop_first(&mut self, count: usize) {
        self.messages.drain(..count.min(self.messages.len()));
    }

    /// Empties it, keeping the memory.
    pub fn clear(&mut self) {
        self.messages.clear();
    }
}

impl<T> Outbox<T> for Queue<T> {
    fn send(&mut self, message: T) -> Result<(), Full> {
        if self.room() == 0 {
            self.refused += 1;
            return Err(Full);
        }
        self.messages.push(message);
        Ok(())
    }

    fn room(&self) -> usize {
        self.messages.capacity() - self.messages.len()
    }
}
