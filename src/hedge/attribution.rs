//! What decisions promised: risk, cost, what bound them, and how good they were.

use super::choices::{Binding, Excluded};
use super::planner::Trade;
use super::program::Stress;
use crate::units::{Nanos, UnderlyingId};

/// Decisions remembered one by one.
pub const RECENT_MAX: usize = 256;

/// Why the band decided although the program was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fallback {
    /// What is held of volatility is not known, or too old.
    Volatility,
    /// The covariance, or the curvature made of it, is not positive definite or not finite.
    Covariance,
    /// The duality gap was not reached within the bound.
    Unsolved,
    /// No hedge may be traded.
    NoHedge,
}

impl Fallback {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 4] = [Self::Volatility, Self::Covariance, Self::Unsolved, Self::NoHedge];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volatility => "volatility",
            Self::Covariance => "covariance",
            Self::Unsolved => "unsolved",
            Self::NoHedge => "no_hedge",
        }
    }
}

/// One decision to trade, quote currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// When.
    pub time: Nanos,
    /// Which underlying.
    pub underlying: UnderlyingId,
    /// By how much the cost of risk should fall.
    pub risk_reduction: f64,
    /// What the trades should cost.
    pub cost: f64,
    /// How far from the optimum the solution can be, relative to [`Certificate::scale`](super::program::Certificate::scale).
    pub gap: f64,
    /// Orders made.
    pub orders: u8,
    /// What bound the largest of them.
    pub binding: Binding,
    /// Under which correlation stress.
    pub stress: Stress,
}

/// What the program did for one underlying.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attribution {
    /// Decisions to trade.
    pub decisions: u64,
    /// Sum of what risk should have fallen by, quote currency.
    pub risk_reduction: f64,
    /// Sum of what trading should have cost, quote currency.
    pub cost: f64,
    /// Largest relative duality gap.
    pub worst_gap: f64,
    /// Orders that rested, and those that took.
    pub rested: u64,
    /// Orders that took.
    pub taken: u64,
    /// Decisions by what bound them, in the order of [`Binding::ALL`].
    pub bindings: [u64; Binding::ALL.len()],
    /// Decisions by stress, in the order of [`Stress::ALL`].
    pub stresses: [u64; Stress::ALL.len()],
    /// Times the band decided instead, in the order of [`Fallback::ALL`].
    pub fallbacks: [u64; Fallback::ALL.len()],
    /// Hedges left out when costs were taken from the books, in the order of [`Excluded::ALL`].
    pub excluded: [u64; Excluded::ALL.len()],
}

impl Attribution {
    /// Counts a decision.
    pub(super) fn decided(&mut self, decision: &Decision) {
        self.decisions += 1;
        self.risk_reduction += decision.risk_reduction;
        self.cost += decision.cost;
        self.worst_gap = self.worst_gap.max(decision.gap);
        self.bindings[decision.binding as usize] += 1;
        let stress = Stress::ALL.iter().position(|stress| *stress == decision.stress);
        self.stresses[stress.unwrap_or_default()] += 1;
    }

    /// Counts a decision left to the band.
    pub(super) fn fell_back(&mut self, fallback: Fallback) {
        self.fallbacks[fallback as usize] += 1;
    }
}

/// The last decisions, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    kept: Box<[Option<Decision>]>,
    next: usize,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { kept: vec![None; RECENT_MAX].into_boxed_slice(), next: 0 }
    }

    pub(super) fn add(&mut self, decision: Decision) {
        self.kept[self.next] = Some(decision);
        self.next = (self.next + 1) % RECENT_MAX;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Decision> {
        let (newer, older) = self.kept.split_at(self.next);
        older.iter().chain(newer).flatten()
    }
}

impl Decision {
    /// Of a trade that the program decided, and what it costs without what a wait is worth.
    pub(super) fn of(trade: &Trade, cost: f64, underlying: UnderlyingId, stress: Stress, time: Nanos) -> Self {
        let certificate = &trade.certificate;
        Self {
            time,
            underlying,
            risk_reduction: trade.risk_reduction(),
            cost,
            gap: certificate.gap / certificate.scale.max(f64::MIN_POSITIVE),
            orders: 0,
            binding: Binding::Free,
            stress,
        }
    }
}
