//! A stage and whoever sees what it meets: each event it consumes, and each step at which its outbox was short of room.
//! Together they are all that its output depends on.

use crate::event::Event;
use crate::journal::{AMPLE, Ration};
use crate::stage::{Outbox, Stage};

/// Sees what a stage meets.
pub trait Witness {
    /// The stage is about to consume this.
    fn consumed(&mut self, event: &Event);

    /// At step `step`, counted from 0, there is room for only so many messages.
    fn short(&mut self, step: u64, room: usize);
}

/// Nobody watches.
impl Witness for () {
    #[inline]
    fn consumed(&mut self, _: &Event) {}

    #[inline]
    fn short(&mut self, _: u64, _: usize) {}
}

impl<W: Witness> Witness for Option<W> {
    #[inline]
    fn consumed(&mut self, event: &Event) {
        if let Some(witness) = self {
            witness.consumed(event);
        }
    }

    #[cold]
    fn short(&mut self, step: u64, room: usize) {
        if let Some(witness) = self {
            witness.short(step, room);
        }
    }
}

/// A stage that is watched.
#[derive(Debug)]
pub struct Watched<S, W> {
    /// The stage.
    pub stage: S,
    witness: W,
    steps: u64,
}

impl<S, W> Watched<S, W> {
    /// `stage`, seen by `witness`.
    pub fn new(stage: S, witness: W) -> Self {
        Self { stage, witness, steps: 0 }
    }

    /// Who watches.
    pub fn witness(&mut self) -> &mut W {
        &mut self.witness
    }

    /// The stage, no longer watched.
    pub fn into_stage(self) -> S {
        self.stage
    }
}

impl<S: Stage, W: Witness> Stage for Watched<S, W> {
    type Out = S::Out;

    #[inline(always)]
    fn step(&mut self, event: &Event, out: &mut impl Outbox<S::Out>) {
        let room = out.room();
        if room < AMPLE {
            self.witness.short(self.steps, room);
        }
        self.steps += 1;
        self.witness.consumed(event);
        self.stage.step(event, &mut Ration::new(out, room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Full;
    use crate::units::Nanos;

    /// Sends three copies of what it is given, as far as there is room.
    struct Triple;

    impl Stage for Triple {
        type Out = Event;

        fn step(&mut self, event: &Event, out: &mut impl Outbox<Event>) {
            let _ = (0..3).try_for_each(|_| out.send(*event));
        }
    }

    /// A queue that someone else empties between two looks.
    struct Emptied {
        sent: usize,
        room: usize,
    }

    impl Outbox<Event> for Emptied {
        fn send(&mut self, _: Event) -> Result<(), Full> {
            self.sent += 1;
            Ok(())
        }

        fn room(&self) -> usize {
            self.room
        }
    }

    #[derive(Default)]
    struct Log(Vec<(u64, usize)>, usize);

    impl Witness for &mut Log {
        fn consumed(&mut self, _: &Event) {
            self.1 += 1;
        }

        fn short(&mut self, step: u64, room: usize) {
            self.0.push((step, room));
        }
    }

    #[test]
    fn a_stage_meets_the_room_that_was_witnessed_and_no_other() {
        let mut log = Log::default();
        let mut stage = Watched::new(Triple, &mut log);
        let event = Event::clock(Nanos(1));
        let mut sent = Vec::new();
        for room in [usize::MAX, 2, AMPLE, 0] {
            let mut out = Emptied { sent: 0, room };
            stage.step(&event, &mut out);
            sent.push(out.sent);
        }
        assert_eq!(sent, [3, 2, 3, 0], "although the queue would have taken more");
        assert_eq!((log.0, log.1), (vec![(1, 2), (3, 0)], 4));
    }
}
