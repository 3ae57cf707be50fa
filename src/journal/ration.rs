//! An outbox whose room is settled before a step, so that how full a ring was is an input like any other.

use std::collections::VecDeque;

use super::record::AMPLE;
use crate::stage::{Full, Outbox};

/// Takes as many messages as it was told, and is full from then on.
#[derive(Debug)]
pub struct Ration<'a, O> {
    out: &'a mut O,
    left: usize,
}

impl<'a, O> Ration<'a, O> {
    /// An outbox that takes at most `room` messages, which `out` must have room for.
    pub fn new(out: &'a mut O, room: usize) -> Self {
        Self { out, left: room.min(AMPLE) }
    }

    /// Whether it takes no more.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }
}

impl<M, O: Outbox<M>> Outbox<M> for Ration<'_, O> {
    #[inline(always)]
    fn send(&mut self, message: M) -> Result<(), Full> {
        self.left = self.left.checked_sub(1).ok_or(Full)?;
        self.out.send(message)
    }

    fn room(&self) -> usize {
        self.left
    }
}

/// Steps at which a stage's outbox was short of room, in order: step, room.
pub type Shorts = VecDeque<(u64, usize)>;

/// Hands out the room at each step of a stage that is run again.
#[derive(Debug)]
pub struct Rooms {
    shorts: Shorts,
    step: u64,
}

impl Rooms {
    /// Ample, but for these steps.
    pub fn new(shorts: Shorts) -> Self {
        Self { shorts, step: 0 }
    }

    /// The room at the next step.
    pub fn of_next_step(&mut self) -> usize {
        let step = self.step;
        self.step += 1;
        self.shorts.pop_front_if(|(at, _)| *at <= step).map_or(AMPLE, |(_, room)| room)
    }
}
