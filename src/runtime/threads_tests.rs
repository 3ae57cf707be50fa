//! Two neighbours of the split pipeline, and how they end.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::clock::{Source, StampClock};
use super::control::Controls;
use super::idle::IdleStrategy;
use super::journal::Tap;
use super::observer;
use super::outbox::Link;
use super::placement::Topology;
use super::threads::{Rest, SharedControl, SideInputs, run_greeks, run_hedge};
use super::watched::Watched;
use crate::event::KillLevel;
use crate::hedge::{Hedge, HedgeConfig};
use crate::journal::Stream;
use crate::order::Request;
use crate::portfolio::{Greeks, GreeksConfig};
use crate::ring::{self, Consumer};
use crate::risk::Instruction;
use crate::stage::Outbox;

/// A link, what its reader sees, and a cold end that takes all.
fn link<M: Copy + Send + Sync>(slots: usize, rest: &Rest) -> (Link<M>, Consumer<M>) {
    let (ring, [hot]) = ring::broadcast(slots).unwrap();
    let (tap, [_]) = ring::broadcast(1 << 12).unwrap();
    (Link::new(ring, rest.alarm(), Tap::new(tap, None, Stream::Outputs)), hot)
}

#[test]
fn a_hedge_that_ends_hands_over_its_kill_although_the_gateway_had_no_room_when_its_input_ended() {
    let clock = StampClock::with_source(Source::Monotonic);
    let rest = || Rest::new(IdleStrategy::Adaptive).unwrap();
    let (greeks_rest, hedge_rest) = (rest(), rest());
    let control = SharedControl::default();
    let (market, [market_in]) = ring::broadcast(2).unwrap();
    let (_reports, [reports]) = ring::broadcast(2).unwrap();
    let (_calibrations, [calibrations]) = ring::broadcast(2).unwrap();
    let (commands, [commands_in]) = ring::broadcast(2).unwrap();
    let side = SideInputs { reports, calibrations, commands: commands_in };
    let (exposures, exposures_in) = link(1 << 8, &hedge_rest);
    let (mut orders, mut orders_in) = link(2, &rest());
    let controls = Arc::new(Controls::new(commands, Arc::clone(&control.board), clock));
    let (shows, _observer) = observer::join(controls, Arc::default(), clock, Topology::Split);
    let greeks = Watched::new(Greeks::new(GreeksConfig::default()), None);
    let hedge = Watched::new(Hedge::new(HedgeConfig::default()), None);

    let before = Instruction::Level(KillLevel::Open);
    assert!(orders.send(before).is_ok() && orders.send(before).is_ok() && orders.room() == 0);
    control.stop();
    drop(market);
    let left = thread::scope(|scope| {
        let greeks = scope.spawn(|| {
            let rest = (greeks_rest, shows.greeks);
            // Dropped here, as by the pipeline: the exposures end with the greeks.
            drop(run_greeks(greeks, market_in, side, exposures, &control, clock, rest));
        });
        let hedge = scope.spawn(|| run_hedge(hedge, exposures_in, orders, &control, clock, hedge_rest, shows.hedge));
        thread::sleep(Duration::from_millis(20));
        assert!(!greeks.is_finished() && !hedge.is_finished(), "they wait for room");
        let mut left = Vec::new();
        while !(hedge.is_finished() && orders_in.lag() == 0) {
            left.extend(orders_in.try_pop());
        }
        left
    });
    let told = left.iter().any(|one| matches!(one, Instruction::Level(KillLevel::Halt)));
    let asked = left.iter().any(|one| matches!(one, Instruction::Send(it) if *it.request() == Request::CancelAll));
    assert!(told && asked, "{left:?}");
}
