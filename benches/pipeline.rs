//! A tick of the fused pipeline, from packet bytes to a decision or to order bytes, by book and by how it is valued: the rig
//! of `hedgecore bench` ([`FusedRig`]), under criterion.
//!
//! Every tick is a packet that moves the perpetual's offer by a price step, so each is decoded, moves the spot, revalues the
//! whole book and ends in a decision: `no_trade` inside a band as wide as the world, `order` outside one of no width. `exact`
//! values every option on every tick (no clock event ever let the greeks take up anchors), `anchored` does not. `journaled`
//! also publishes what the greeks consume, which is what a journal costs this thread; `stamped` stamps every hop. `listed`
//! books are larger than what the embedded venue quotes: their options are listed and calibrated, and anchored.
//!
//! Each tick is timed by itself, with the caches that making its packet and ending its order leave; a reading of the counter
//! is in it. The percentiles at the end are of the same ticks.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use hedgecore::bench::market::{BookSize, Opening, Outcome};
use hedgecore::bench::{FusedConfig, FusedRig, TO_DECISION, TO_ORDER, Way};
use hedgecore::runtime::clock::StampClock;

/// What a book is made of, and what is paid for beside.
#[derive(Clone, Copy)]
struct Case {
    held: usize,
    /// Whether a venue plays the opening, with quotes of every option, or options are but listed and calibrated.
    is_played: bool,
    is_anchored: bool,
    is_stamped: bool,
    is_journaled: bool,
}

impl Case {
    const fn anchored(held: usize) -> Self {
        Self { held, is_played: true, is_anchored: true, is_stamped: false, is_journaled: false }
    }

    const fn listed(held: usize) -> Self {
        Self { is_played: false, ..Self::anchored(held) }
    }

    fn name(&self, outcome: Outcome) -> String {
        let outcome = if outcome == Outcome::Order { "order" } else { "no_trade" };
        let valued = match (self.is_played, self.is_anchored) {
            (false, _) => "listed",
            (true, true) => "anchored",
            (true, false) => "exact",
        };
        let stamped = if self.is_stamped { "/stamped" } else { "" };
        let journaled = if self.is_journaled { "/journaled" } else { "" };
        format!("{outcome}/{valued}/{}{stamped}{journaled}", self.held)
    }

    fn open(&self, outcome: Outcome, clock: StampClock) -> FusedRig {
        let opening = if self.is_played {
            Opening::record(BookSize::holding(self.held)).expect("the venue lists what it holds")
        } else {
            Opening::of_options(self.held)
        };
        let opening = if self.is_anchored { opening } else { opening.without_clocks() };
        let config = FusedConfig { outcome, is_stamped: self.is_stamped, is_journaled: self.is_journaled };
        let rig = FusedRig::open(&opening, config, clock).expect("it opens");
        println!("{} options of {} instruments, {} expiries anchored", self.held, opening.instruments, rig.anchored());
        assert_eq!(rig.anchored() > 0, self.is_anchored);
        rig
    }
}

fn pipeline(c: &mut Criterion) {
    let cases = [
        Case { is_anchored: false, ..Case::anchored(20) },
        Case::anchored(20),
        Case::anchored(312),
        Case { is_journaled: true, ..Case::anchored(312) },
        Case::anchored(552),
        Case { is_stamped: true, ..Case::anchored(552) },
        Case::anchored(1_920),
        Case::listed(500),
        Case::listed(5_000),
        Case::listed(50_000),
    ];
    let clock = StampClock::calibrate();
    let mut percentiles = Vec::new();
    let mut group = c.benchmark_group("pipeline");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(50);
    for (outcome, hops) in [(Outcome::NoTrade, TO_DECISION), (Outcome::Order, TO_ORDER)] {
        for case in cases {
            let (mut rig, mut way) = (None, Way::new(hops, &clock));
            group.bench_function(case.name(outcome), |b: &mut Bencher<'_>| {
                let rig = rig.get_or_insert_with(|| case.open(outcome, clock));
                b.iter_custom(|ticks| Duration::from_nanos((0..ticks).map(|_| rig.tick(&mut way)).sum()));
            });
            way.end_round();
            assert_eq!(way.otherwise, 0, "every tick ends as it should");
            percentiles.push((case.name(outcome), way.total.percentiles()));
        }
    }
    group.finish();
    for (name, of) in percentiles.iter().filter(|(_, of)| of.count > 0) {
        println!("{name}: p50 {} p90 {} p99 {} p99.9 {} ns, {} ticks", of.p50, of.p90, of.p99, of.p999, of.count);
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
