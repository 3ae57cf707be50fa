//! A stage that does next to nothing, so that what is around it can be seen.

use hedgecore::event::Event;
use hedgecore::risk::Instruction;
use hedgecore::stage::{Outbox, Stage};

/// Counts what it is given.
#[derive(Debug)]
pub(crate) struct Tally(pub(crate) u64);

impl Stage for Tally {
    type Out = Instruction;

    #[inline(always)]
    fn step(&mut self, _: &Event, _: &mut impl Outbox<Instruction>) {
        self.0 += 1;
    }
}
