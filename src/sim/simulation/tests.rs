use super::*;

#[test]
fn a_calm_run_hedges_and_breaks_nothing() {
    let mut options = Options::calm(7);
    options.faulty_s = 3;
    let outcome = run(&options);
    assert_eq!(outcome.violations, []);
    assert!(outcome.orders > 0, "nothing was hedged");
    assert_eq!(outcome.injected, [0; Fault::ALL.len()]);
}

#[test]
fn a_seed_is_a_run_bit_for_bit() {
    let [one, other] = [run(&Options::of_seed(11)), run(&Options::of_seed(11))];
    assert_eq!((one.digest, one.events, one.injected), (other.digest, other.events, other.injected));
    assert_ne!(run(&Options::of_seed(12)).digest, run(&Options::of_seed(11)).digest);
}
