//! What the cold side measures and tells: latency histograms, the ledger of hedged against unhedged value, the digest of
//! all orders, the report at the end, and a look at a run under way. Nothing here runs on a hot thread, except that each
//! thread shows its stage as [`live`] says.

mod digest;
mod latency;
mod ledger;
pub mod live;
pub mod metrics;
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
    StopFigures, VenueFigures,
};
