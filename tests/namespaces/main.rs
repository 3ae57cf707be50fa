//! Market data between two network namespaces: the venue in one, the feed in the other, lines A and B a pair of virtual
//! cards each.
//!
//! ```text
//!   venue ──► faults ──► 10.99.1.1 ═══ line A, multicast ═══ 10.99.1.2 ──► ┐
//!     │                  10.99.2.1 ═══ line B, multicast ═══ 10.99.2.2 ──► ┼──► sockets ──► feed
//!     └── service ─────► 10.99.2.1 ═══ requests, answers ═══ 10.99.2.2 ──► ┘
//! ```
//!
//! Loss, delay, reordering and duplicates are the kernel's (`tc netem`) where it has that queue; elsewhere the same shares
//! are injected before the cards, from a seed, and the output says so. It needs root and `ip`; without them the tests say
//! that they are skipped.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "helpers of tests fail and speak as tests do")]

mod network;
mod parties;

use network::{LineQuality, Network};
use parties::{Outcome, run};

/// One in a hundred lost.
const LOSSY: LineQuality = LineQuality { loss_percent: 1.0, ..LineQuality::CLEAN };
/// The same with a millisecond of delay that one in twenty escapes or exceeds, and one in fifty repeated.
const BAD: LineQuality =
    LineQuality { loss_percent: 1.0, delay_us: 1_000, reorder_percent: 5.0, duplicate_percent: 2.0 };

/// Runs a venue and a feed over lines of this quality; `None` where the host does not allow it.
fn over(name: &str, lines: [LineQuality; 2], cut_line_a: bool) -> Option<Outcome> {
    let network = match Network::new(name, lines) {
        Ok(network) => network,
        Err(why) => {
            println!("skipped: {why}");
            return None;
        }
    };
    let outcome = run(&network, cut_line_a);
    println!("{name}: {}; {outcome}", network.describe());
    Some(outcome)
}

#[test]
fn one_per_cent_loss_on_one_line_is_not_seen_by_any_book() {
    let Some(outcome) = over("hc-loss-a", [LOSSY, LineQuality::CLEAN], false) else { return };
    assert!(outcome.lines[0].missing > 5, "line A must have lost something");
    // A busy host may read line B later than the feed waits for it; what is asked for then is no gap either.
    assert_eq!((outcome.gaps, outcome.books_gapped, outcome.recovery.given_up), (0, 0, 0));
    outcome.assert_books_equal();
}

#[test]
fn loss_on_both_lines_with_reordering_and_duplicates_is_recovered() {
    let Some(outcome) = over("hc-loss-ab", [BAD, BAD], false) else { return };
    assert!(outcome.lines.iter().all(|line| line.missing > 5), "both lines must have lost something");
    let recovery = outcome.recovery;
    assert_eq!((recovery.recovered, recovery.given_up, outcome.gaps), (recovery.holes, 0, 0));
    outcome.assert_books_equal();
}

#[test]
fn a_line_that_is_unplugged_costs_no_book_anything() {
    let Some(outcome) = over("hc-cut-a", [LineQuality::CLEAN; 2], true) else { return };
    assert!(outcome.lines[0].downs > 0 && outcome.lines[0].is_down, "line A must be down");
    assert_eq!((outcome.gaps, outcome.books_gapped, outcome.recovery.given_up), (0, 0, 0));
    outcome.assert_books_equal();
}
