//! What the cold side measures and tells: latency histograms, the ledger of hedged against unhedged value, the digest of
//! all orders, the report at the end. Nothing here runs on a hot thread.

mod digest;
mod latency;
mod ledger;
mod moments;
mod recorder;
mod report;

pub use digest::OrderDigest;
pub use latency::{Hop, Latencies, Percentiles, write_histograms};
pub use ledger::{Account, Ledger};
pub use moments::Moments;
pub use recorder::{Progress, Recorder, SharedProgress};
pub use report::{
    Bounded, ByGreek, Cost, DecisionRow, ExpiryRow, JournalFigures, KillFigures, NetDelta, ProgramFigures, Report,
    VenueFigures,
};
