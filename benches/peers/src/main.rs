//! Hedgecore beside the crates that do parts of what it does: each comparison interleaves its contenders in one process,
//! in a new shuffled order each round, and prints medians, quartiles and ratios.
//!
//! `peers [NAME...]` runs the comparisons named, or all of them. README.md says what is compared and what is not.

mod conditions;
mod contest;
mod fix;
mod greeks;
mod implied_vol;
mod program;
mod references;
mod ring_hop;
mod whole_book;

use std::env;
use std::process::ExitCode;

/// Every comparison by name.
const COMPARISONS: [(&str, fn()); 6] = [
    ("ring_hop", ring_hop::compare),
    ("greeks", greeks::compare),
    ("implied_vol", implied_vol::compare),
    ("whole_book", whole_book::compare),
    ("program", program::compare),
    ("fix", fix::compare),
];

fn main() -> ExitCode {
    let asked: Vec<_> = env::args().skip(1).collect();
    let unknown = asked.iter().find(|name| COMPARISONS.iter().all(|(known, _)| known != name));
    if let Some(name) = unknown {
        let known = COMPARISONS.map(|(name, _)| name).join(", ");
        eprintln!("no comparison is called {name}; there are {known}, and without a name all of them run");
        return ExitCode::FAILURE;
    }
    conditions::print();
    for (name, compare) in COMPARISONS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            compare();
        }
    }
    ExitCode::SUCCESS
}
