//! A start after a crash: what the journal knows, what the venue says, and what to do where they differ.
//!
//! ```text
//!   journal ──fold──► Recovery ──────────────┐
//!   venue ──resend of our own reports──► Witness ──► reconcile ──► opening book, numbers, differences
//!   venue ──statement of the account─────────┘
//! ```
//!
//! The journal is the first witness and may lack its end. The venue's resend of every report of the session is the second:
//! executions count once by their number, so what both know changes nothing and what only the venue knows is added. The
//! statement of the account is the third, held against the sum of the two: what is held, and which orders are open. FIX has the
//! questions for it (`AN`, `AF`); Starbase has none, so that whoever speaks it has to say beforehand, by [`Policy::Adopt`], that
//! the first two are enough. All of it happens before a pipeline is made, so
//! no order can leave before it; the pipeline begins with what was agreed on as its opening book.
//!
//! The catch-up speaks either protocol. Where a session's numbers start again at every logon, the venue repeats nothing: it is
//! asked what became of orders, and executions that the journal lacks stay unknown.
//!
//! Invariants: a position is the sum of unique executions; a client order id is never given twice, because a run begins its
//! numbers above its predecessor's and the head that says where is durable before anything runs; sequence numbers of the
//! venue are taken from the beginning of the run again, ours with a leap over whatever the journal lost.

mod catch_up;
mod fold;
mod reconcile;
#[cfg(test)]
mod tests;

pub use catch_up::{CatchUp, CatchUpError, Witness};
pub use fold::{Contract, OpenOrder, Recovery};
pub use reconcile::{Account, Agreement, Difference, Policy, reconcile};

use std::io;

use super::{Disk, End, Place, Reader, runs};

/// Why nothing can be recovered from a journal that is there.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A segment could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The settings are of another version.
    #[error("the settings of run {0} do not fit this version: {1}")]
    Settings(u32, serde_json::Error),
}

/// What a journal holds.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What the last run that began had come to; `None` when none did.
    pub last: Option<Recovery>,
    /// How that run ends, and where.
    pub end: End,
    /// Where it ends.
    pub place: Place,
    /// Later runs without whole head and settings: they never came to trade.
    pub unbegun: u32,
}

impl Recovered {
    /// What [`ClientOrderIds`](crate::order::ClientOrderIds) of the next run begin from, at `now_s` seconds since the
    /// epoch: above every run before.
    pub fn next_start(&self, now_s: u32) -> u32 {
        let above = self.last.as_ref().map_or(0, |last| last.head.started_s.saturating_add(1));
        now_s.max(above).saturating_add(self.unbegun)
    }
}

/// Reads what the latest run with a whole beginning had come to, up to the last whole record.
pub fn recover(disk: &impl Disk) -> Result<Recovered, RecoveryError> {
    let mut unbegun = 0;
    for run in runs(disk)?.into_iter().rev() {
        let mut reader = match Reader::open(disk, run) {
            Ok(reader) => reader,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                unbegun += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut recovery = None;
        while let Some((_, record)) = reader.read()? {
            Recovery::take(&mut recovery, &record).map_err(|error| RecoveryError::Settings(run, error))?;
        }
        if recovery.as_ref().is_some_and(Recovery::has_begun) {
            let (end, place) = (reader.end().unwrap_or(End::Open), reader.place());
            return Ok(Recovered { last: recovery, end, place, unbegun });
        }
        unbegun += 1;
    }
    Ok(Recovered { last: None, end: End::Open, place: Place::default(), unbegun })
}
