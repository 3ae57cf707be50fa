//! `demo --kill-after`: the kill switch thrown while the market moves, and what came of it on the venue's side.

use std::thread;
use std::time::{Duration, Instant};

use crate::event::{KillLevel, Operator};
use crate::hedge::Hold;
use crate::runtime::{Finished, Pipeline};
use crate::sim::venue::Statement;
use crate::telemetry::KillFigures;

/// How long the way out may take to shut, and orders to settle.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was seen while the switch was thrown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thrown {
    after: Duration,
    shut_within: Option<Duration>,
    settled_within: Option<Duration>,
}

/// Halts the pipeline, which has run for `after`, and waits until nothing can leave and no order is live.
pub(super) fn throw(pipeline: &Pipeline, after: Duration) -> Thrown {
    let began = Instant::now();
    let by = Operator::new("kill-after").unwrap_or_default();
    let sent = pipeline.command(KillLevel::Halt, by);
    let shut_within = sent.then(|| wait(began, || pipeline.shut_at().is_some())).flatten();
    let settled_within = wait(began, || {
        let risk = pipeline.risk();
        risk.level == KillLevel::Halt && (risk.open_orders == 0 || risk.alarmed > 0)
    });
    Thrown { after, shut_within, settled_within }
}

/// How long after `began` it held.
fn wait(began: Instant, holds: impl Fn() -> bool) -> Option<Duration> {
    while !holds() {
        if began.elapsed() > PATIENCE {
            return None;
        }
        thread::sleep(Duration::from_micros(100));
    }
    Some(began.elapsed())
}

impl Thrown {
    /// The figures, from both ends of the session.
    pub(super) fn figures(&self, finished: &mut Finished, statement: &Statement) -> KillFigures {
        let latch = *finished.hedge.gate().latch();
        let before = finished.gateway.shut_at().unwrap_or_default().bytes;
        let (live, counters) = (finished.hedge.store().open_orders(), finished.hedge.store().counters());
        let mut figures = KillFigures {
            level: latch.level.name(),
            cause: latch.cause.name(),
            by: latch.by.name().to_owned(),
            thrown_after_s: self.after.as_secs_f64(),
            shut_within_us: self.shut_within.map(|time| time.as_micros() as u64),
            settled_within_ms: self.settled_within.map(|time| time.as_millis() as u64),
            order_bytes_before: before,
            order_bytes_after: statement.order_bytes.saturating_sub(before),
            resting_at_venue: statement.open_orders as u64,
            live: u64::from(live),
            alarmed: counters.alarmed,
            held_back: finished.hedge.counters().holds.of(Hold::Killed),
            verified: false,
        };
        figures.verified = latch.level == KillLevel::Halt
            && self.shut_within.is_some()
            && self.settled_within.is_some()
            && statement.order_bytes == before
            && before > 0
            && figures.resting_at_venue == 0
            && figures.live <= figures.alarmed;
        figures
    }
}
