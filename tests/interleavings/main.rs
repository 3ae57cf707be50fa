//! Random interleavings of everything that may happen to orders, held against a naive account at every step.
//!
//! A hundred thousand histories of a few dozen steps each: orders, amendments and cancels go through the gate to a model
//! venue, whose reports come late, twice, in any order, or contradict each other; fills overtake acceptances and trail
//! cancels, busts trail fills or overtake them, the venue ends orders unasked, the session breaks. Each of these
//! situations is counted and has to be met often. After every step:
//!
//! 1. the position is the sum of the unique executions told so far, by instrument;
//! 2. `cum + leaves ≤ quantity`, an ended order stays ended, no execution counts twice;
//! 3. position plus everything that may still fill lies within the limit on either side.
//!
//! The generator is a splitmix of the history's number, so that a failure names the history to run again.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use world::{Chance, Situation, World};

const HISTORIES: u64 = 100_000;
/// Histories that share a gate and a store, whose tables are large. Each has orders and instruments of its own.
const BATCH: u64 = 1_000;
const STEPS: u64 = 24;

/// What the histories have to meet.
const SITUATIONS: [Situation; 14] = [
    Situation::FillBeforeAcceptance,
    Situation::AcceptanceAfterFill,
    Situation::FillWhileAmending,
    Situation::FillWhileCancelling,
    Situation::EndWhileAmending,
    Situation::FillAfterEnd,
    Situation::EndBeforeFill,
    Situation::UnsolicitedEnd,
    Situation::ToldAgain,
    Situation::Bust,
    Situation::BustBeforeFill,
    Situation::UnknownOrder,
    Situation::Contradiction,
    Situation::NewsOfTheLost,
];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Chance for Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

#[test]
fn a_hundred_thousand_interleavings_keep_the_invariants() {
    let (mut asked, mut executed, mut alike, mut met) = (0, 0, BTreeSet::new(), BTreeMap::new());
    for batch in 0..HISTORIES / BATCH {
        let mut world = World::new();
        for nth in 0..BATCH {
            let history = batch * BATCH + nth;
            let mut random = Random(history);
            world.begin(nth as u16);
            for _ in 0..STEPS {
                world.step(&mut random);
                world.hold(history);
            }
            world.settle();
            world.hold(history);
            assert_eq!(world.store.open_orders(), 0, "history {history}");
            asked += world.orders - world.earlier;
            executed += world.naive.told.len();
            alike.insert(world.naive.positions);
        }
        world.met.iter().for_each(|(situation, times)| *met.entry(*situation).or_default() += times);
    }
    // The histories are worth something: they order, they trade, and they differ.
    assert!(asked > HISTORIES && executed as u64 > HISTORIES, "{asked} orders, {executed} executions");
    assert!(alike.len() > 1_000, "{} ends", alike.len());
    for situation in SITUATIONS {
        let times: u64 = met.get(&situation).copied().unwrap_or_default();
        assert!(times > HISTORIES / 1_000, "{situation:?} was met {times} times: the histories prove nothing about it");
    }
}
