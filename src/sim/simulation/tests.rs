use super::*;
use crate::feed::Protocol;
use crate::sim::OrderProtocol;

#[test]
fn a_calm_run_hedges_and_breaks_nothing() {
    let mut options = Options::calm(7);
    options.faulty_s = 3;
    let outcome = run(&options);
    assert_eq!(outcome.violations, []);
    assert!(outcome.orders > 0, "nothing was hedged");
    assert_eq!(outcome.injected, Counts::default());
}

#[test]
fn a_seed_is_a_run_bit_for_bit() {
    let [one, other] = [run(&Options::of_seed(11)), run(&Options::of_seed(11))];
    assert_eq!((one.digest, one.events, one.injected), (other.digest, other.events, other.injected));
    assert_ne!(run(&Options::of_seed(12)).digest, run(&Options::of_seed(11)).digest);
}

/// A run in which one fault strikes often, and what it takes for it to have something to strike.
fn under(fault: Fault) -> Options {
    let rate = match fault.rate() {
        // Frames are few, and two that come together are rare.
        _ if matches!(fault, Fault::FrameSwap | Fault::FrameCorrupt) => 0.5,
        Rate::Each(most) => most,
        Rate::PerSecond(most) => (4.0 * most).min(4.0),
        Rate::Switch => 1.0,
    };
    let mut options = Options::calm(5);
    (options.faulty_s, options.heal_s) = (3, 7);
    match fault {
        Fault::Bust | Fault::FrameSwap => options.orders = OrderProtocol::Fix,
        Fault::LineDown | Fault::Divergence => options.lines = 2,
        Fault::ResendRefused | Fault::ResendLoss => {
            options.feed = Protocol::Starbase;
            options = options.with(Fault::Loss, 0.02);
        }
        _ => {}
    }
    options.with(fault, rate)
}

/// Every fault alone strikes, and is survived.
fn survive(faults: &[Fault]) {
    for &fault in faults {
        let options = under(fault);
        let outcome = run(&options);
        assert_eq!(outcome.violations, [], "{}: {:#?}", fault.name(), outcome.trace);
        let struck: Vec<_> = Fault::ALL.into_iter().filter(|&other| outcome.injected.of(other) > 0).collect();
        assert_eq!(struck, options.faults().collect::<Vec<_>>(), "those that are on, and no others");
    }
}

/// Every fault in the test that shows it alone.
mod alone {
    use super::Fault::{self, *};

    pub(super) const LINES: &[Fault] =
        &[Loss, Duplicate, Reorder, LineDown, Divergence, ResendRefused, ResendLoss, FeedSilence];
    pub(super) const PACKETS: &[Fault] = &[CorruptLength, Truncate, UnknownInstrument, Noise, Crossed];
    pub(super) const SNAPSHOTS: &[Fault] = &[SnapshotLoss, SnapshotStale, SnapshotOverlap, SequenceReset];
    pub(super) const VENUE: &[Fault] =
        &[VenueRefusal, UnsolicitedCancel, AmendReject, UnknownOrder, Bust, Protection, Throttle, Halt];
    pub(super) const SESSION: &[Fault] = &[
        VenueRestart,
        WrongSecret,
        LostBothWays,
        Drop,
        DropBeforeSend,
        DropDuringSend,
        DropAfterSend,
        HalfOpen,
        Refuse,
    ];
    pub(super) const BYTES: &[Fault] = &[PartialWrite, FrameDuplicate, FrameLoss, FrameSwap, FrameCorrupt, SlowLink];
    pub(super) const TIME: &[Fault] = &[ClockAhead, ClockBack, Stall, SurfacePause, GatewayPause, TinyRings];
    pub(super) const OPERATOR: &[Fault] = &[KillInFlight, LimitChange, Kill, Crash, TightLimits];
    pub(super) const DISK: &[Fault] = &[TornWrite, BitFlip, ShortWrite, SyncError, DiskFull];
    pub(super) const ALL: &[&[Fault]] = &[LINES, PACKETS, SNAPSHOTS, VENUE, SESSION, BYTES, TIME, OPERATOR, DISK];
}

#[test]
fn no_fault_is_without_a_test_of_its_own() {
    let mut shown = alone::ALL.concat();
    shown.sort();
    assert_eq!(shown, Fault::ALL);
}

#[test]
fn lines_that_lose_and_delay_are_survived() {
    survive(alone::LINES);
}

#[test]
fn packets_that_are_not_what_they_seem_are_survived() {
    survive(alone::PACKETS);
}

#[test]
fn snapshots_and_numbers_that_mislead_are_survived() {
    survive(alone::SNAPSHOTS);
}

#[test]
fn what_a_venue_does_of_its_own_accord_is_survived() {
    survive(alone::VENUE);
}

#[test]
fn sessions_that_break_in_every_way_are_survived() {
    survive(alone::SESSION);
}

#[test]
fn bytes_that_are_lost_and_damaged_are_survived() {
    survive(alone::BYTES);
}

#[test]
fn clocks_that_jump_and_threads_that_stand_still_are_survived() {
    survive(alone::TIME);
}

#[test]
fn what_the_operator_does_with_orders_under_way_is_survived() {
    survive(alone::OPERATOR);
}

#[test]
fn disks_that_fail_are_survived() {
    survive(alone::DISK);
}

/// Of two underlyings that move together each made the other trade, forth and back, on books that stood still.
#[test]
fn programs_of_two_underlyings_leave_each_other_alone_while_nothing_moves() {
    let line = "faulty_s=5 heal_s=12 feed=starbase policy=program orders=fix duplicate=0.04953627085226764 \
                snapshot_stale=0.12462851440499616 unknown_order=0.08210054921336364 clock_back=0.15493045322366125 \
                stall=0.3779003160518561";
    let options: Options = line.parse().expect("options");
    let outcome = run(&options.with_seed(51));
    assert_eq!(outcome.violations, [], "{:#?}", outcome.trace);
    assert!(outcome.orders < 400, "{} orders, where a few hundred were enough", outcome.orders);
}

/// The second run logged on before its feed had listed the contract of a fill that was taken back meanwhile, and passed it over.
#[test]
fn what_is_taken_back_between_two_runs_reaches_the_second() {
    let line = "faulty_s=6 heal_s=12 policy=band orders=fix crash=0.6 bust=1";
    let options: Options = line.parse().expect("options");
    let outcome = run(&options.with_seed(2));
    assert_eq!(outcome.violations, [], "{:#?}", outcome.trace);
    assert!(outcome.injected.of(Fault::Bust) > 0, "nothing was taken back");
}
