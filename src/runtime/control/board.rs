//! What hot threads and the control thread show each other: words of memory, no lock, no wait.
//!
//! Each word is right by itself; words of two moments may meet in one reading. A hot thread pays a few relaxed stores a
//! millisecond, and the gateway's thread one relaxed load a turn, which is what lets a halt reach the way out even when
//! the decision code does not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::event::{KillCause, KillLevel, Operator};
use crate::gateway::OrderTraffic;
use crate::hedge::Hedge;
use crate::runtime::placement::HotStage;
use crate::units::Nanos;

/// A pulse that has not begun.
const NOT_YET: u64 = 0;
/// The pulse of a thread that has ended.
const ENDED: u64 = u64::MAX;

/// The words.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Board {
    halt: AtomicBool,
    pulses: [AtomicU64; 4],
    level: AtomicU64,
    cause: AtomicU64,
    by: [AtomicU64; 2],
    since: AtomicU64,
    open_orders: AtomicU64,
    alarmed: AtomicU64,
    refused: AtomicU64,
    frozen: AtomicU64,
    is_wound_up: AtomicBool,
    is_shut: AtomicBool,
    shut_frames: AtomicU64,
    shut_bytes: AtomicU64,
}

/// What risk says, as last shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskShown {
    /// How much may leave.
    pub level: KillLevel,
    /// Why no more.
    pub cause: KillCause,
    /// Who says so.
    pub by: Operator,
    /// Since when.
    pub since: Nanos,
    /// Orders that have not ended.
    pub open_orders: u64,
    /// Orders given up as unknown.
    pub alarmed: u64,
    /// Requests that risk refused.
    pub refused: u64,
    /// Underlyings, and quotes, that the venue's market-maker protection has frozen.
    pub frozen: u64,
}

impl Board {
    /// Shuts the way out, past the decision code.
    pub(in crate::runtime) fn halt(&self) {
        self.halt.store(true, Ordering::Release);
    }

    #[inline]
    pub(in crate::runtime) fn is_halted(&self) -> bool {
        self.halt.load(Ordering::Relaxed)
    }

    /// The thread that steps `stage` first is alive.
    #[inline]
    pub(in crate::runtime) fn pulse(&self, stage: HotStage, now: Nanos) {
        self.pulses[stage as usize].store(now.0, Ordering::Relaxed);
    }

    /// It has ended as it should.
    pub(in crate::runtime) fn end(&self, stage: HotStage) {
        self.pulses[stage as usize].store(ENDED, Ordering::Relaxed);
    }

    /// The first thread that has been silent for longer than `max_ns`.
    pub(super) fn silent(&self, now: Nanos, max_ns: u64) -> Option<HotStage> {
        let stages = [HotStage::Feed, HotStage::Greeks, HotStage::Hedge, HotStage::Gateway];
        stages.into_iter().find(|stage| match self.pulses[*stage as usize].load(Ordering::Relaxed) {
            NOT_YET | ENDED => false,
            last => now.since(Nanos(last)) > max_ns,
        })
    }

    /// Shows what the gate and the orders have come to.
    pub(in crate::runtime) fn show(&self, hedge: &Hedge, now: Nanos) {
        let latch = hedge.gate().latch();
        let (low, high) = latch.by.0.split_at(8);
        for (word, bytes) in self.by.iter().zip([low, high]) {
            let mut half = [0; 8];
            half.copy_from_slice(bytes);
            word.store(u64::from_le_bytes(half), Ordering::Relaxed);
        }
        self.cause.store(latch.cause as u64, Ordering::Relaxed);
        self.since.store(latch.since.0, Ordering::Relaxed);
        self.open_orders.store(u64::from(hedge.store().open_orders()), Ordering::Relaxed);
        self.alarmed.store(hedge.store().counters().alarmed, Ordering::Relaxed);
        self.refused.store(hedge.gate().refusals().total(), Ordering::Relaxed);
        self.frozen.store(hedge.gate().frozen(now).count() as u64, Ordering::Relaxed);
        self.is_wound_up.store(latch.level == KillLevel::Halt && !hedge.owes(now), Ordering::Release);
        self.level.store(latch.level as u64, Ordering::Release);
    }

    /// Whether the hedge has halted, and has handed over all that follows from it.
    pub(in crate::runtime) fn is_wound_up(&self) -> bool {
        self.is_wound_up.load(Ordering::Acquire)
    }

    /// What was last shown.
    pub(super) fn risk(&self) -> RiskShown {
        let level = self.level.load(Ordering::Acquire);
        let [low, high] = [0, 1].map(|at: usize| self.by[at].load(Ordering::Relaxed).to_le_bytes());
        let mut by = Operator::NOBODY;
        by.0[..8].copy_from_slice(&low);
        by.0[8..].copy_from_slice(&high);
        let cause = self.cause.load(Ordering::Relaxed);
        RiskShown {
            level: KillLevel::ALL[(level as usize).min(KillLevel::ALL.len() - 1)],
            cause: KillCause::ALL[(cause as usize).min(KillCause::ALL.len() - 1)],
            by,
            since: Nanos(self.since.load(Ordering::Relaxed)),
            open_orders: self.open_orders.load(Ordering::Relaxed),
            alarmed: self.alarmed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            frozen: self.frozen.load(Ordering::Relaxed),
        }
    }

    /// The way out is shut; so much had left before.
    pub(in crate::runtime) fn shut(&self, traffic: OrderTraffic) {
        self.shut_frames.store(traffic.frames, Ordering::Relaxed);
        self.shut_bytes.store(traffic.bytes, Ordering::Relaxed);
        self.is_shut.store(true, Ordering::Release);
    }

    /// The way out is open again.
    pub(in crate::runtime) fn open(&self) {
        self.is_shut.store(false, Ordering::Release);
    }

    /// What had left when the way out was shut; `None` while it is open.
    pub(super) fn shut_at(&self) -> Option<OrderTraffic> {
        let is_shut = self.is_shut.load(Ordering::Acquire);
        let (frames, bytes) = (self.shut_frames.load(Ordering::Relaxed), self.shut_bytes.load(Ordering::Relaxed));
        is_shut.then_some(OrderTraffic { frames, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Body, Event, Trail};
    use crate::hedge::HedgeConfig;
    use crate::stage::Stage;

    #[test]
    fn only_a_thread_that_lives_can_fall_silent() {
        let board = Board::default();
        assert_eq!(board.silent(Nanos(1_000), 10), None);
        board.pulse(HotStage::Greeks, Nanos(100));
        board.pulse(HotStage::Gateway, Nanos(100));
        assert_eq!(board.silent(Nanos(110), 10), None);
        assert_eq!(board.silent(Nanos(111), 10), Some(HotStage::Greeks));
        board.end(HotStage::Greeks);
        assert_eq!(board.silent(Nanos(111), 10), Some(HotStage::Gateway));
    }

    #[test]
    fn what_is_shown_is_what_the_gate_says() {
        let (board, mut hedge) = (Board::default(), Hedge::new(HedgeConfig::default()));
        board.show(&hedge, Nanos(77));
        assert_eq!(board.risk().level, KillLevel::Open);
        let by = Operator::new("sixteen-letters!").unwrap();
        let body = Body::Kill { level: KillLevel::Flatten, cause: KillCause::Operator, by };
        hedge.step(&Event { trail: Trail::default(), time: Nanos(77), body }, &mut Vec::new());
        board.show(&hedge, Nanos(77));
        let shown = board.risk();
        assert_eq!((shown.level, shown.cause, shown.by), (KillLevel::Flatten, KillCause::Operator, by));
        assert_eq!(shown.since, Nanos(77));
    }
}
