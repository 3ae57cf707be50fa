use super::*;
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

/// A run in which one fault strikes often, over a protocol that can tell of it.
fn under(fault: Fault) -> Options {
    let rate = match fault.rate() {
        Rate::Each(most) => most,
        Rate::PerSecond(most) => (4.0 * most).min(4.0),
        Rate::Switch => 1.0,
    };
    let mut options = Options::calm(5);
    (options.faulty_s, options.heal_s) = (3, 9);
    if fault == Fault::Bust {
        options.orders = OrderProtocol::Fix;
    }
    options.with(fault, rate)
}

/// Every fault alone strikes, and is survived.
fn survive(faults: &[Fault]) {
    for &fault in faults {
        let outcome = run(&under(fault));
        assert_eq!(outcome.violations, [], "{}: {:#?}", fault.name(), outcome.trace);
        assert!(outcome.injected.of(fault) > 0, "{} never struck", fault.name());
        let others = Fault::ALL.into_iter().filter(|&other| other != fault && outcome.injected.of(other) > 0);
        assert_eq!(others.collect::<Vec<_>>(), []);
    }
}

#[test]
fn what_a_venue_does_of_its_own_accord_is_survived() {
    survive(&[
        Fault::VenueRefusal,
        Fault::UnsolicitedCancel,
        Fault::AmendReject,
        Fault::UnknownOrder,
        Fault::Bust,
        Fault::Throttle,
        Fault::Halt,
    ]);
}

#[test]
fn sessions_that_break_in_every_way_are_survived() {
    survive(&[
        Fault::VenueRestart,
        Fault::WrongSecret,
        Fault::LostBothWays,
        Fault::Drop,
        Fault::HalfOpen,
        Fault::Refuse,
        Fault::PartialWrite,
    ]);
}

#[test]
fn what_the_operator_does_with_orders_under_way_is_survived() {
    survive(&[Fault::KillInFlight, Fault::LimitChange, Fault::Kill, Fault::Crash, Fault::TightLimits]);
}
