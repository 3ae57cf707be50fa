//! What hostile bytes are thrown at, and what has to hold whatever they are.
//!
//! Each target is a function of bytes that panics when something does not hold. The fuzzer under `fuzz/` calls them with
//! bytes of its own making; the test beside this module calls them with every input that once broke something and with the
//! seeds from which a corpus begins. Nothing here depends on a fuzzer.

pub mod arbiter;
pub mod book;
pub mod config;
pub mod feed;
pub mod fix;
pub mod fix_session;
pub mod journal;
pub mod multicast;
pub mod orders;
pub mod pipeline;
pub mod rig;
pub mod risk;
mod script;
pub mod starbase_market_data;
pub mod starbase_orders;
pub mod starbase_session;

/// One target.
pub struct Target {
    /// Its name: of the fuzzer's program, of its corpus, of its folder of regressions.
    pub name: &'static str,
    /// Panics when something does not hold.
    pub run: fn(&[u8]),
    /// Inputs from which a corpus begins, made by the project's own code.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// Every target.
        pub const ALL: &[Target] = &[$(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds }),*];
    };
}

targets!(
    arbiter,
    book,
    config,
    feed,
    fix,
    fix_session,
    journal,
    multicast,
    orders,
    pipeline,
    risk,
    starbase_market_data,
    starbase_orders,
    starbase_session,
);
