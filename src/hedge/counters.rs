//! What the hedge counts. Every step that could have ended in an order and did not says which condition held it back.

/// The condition that kept a decision from becoming an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Hold {
    /// The exposure lies inside its band: the usual case.
    InsideBand,
    /// Trading pays, but not in whole lots or not by what the batch costs.
    NotWorthwhile,
    /// The kill switch is latched.
    Killed,
    /// The order session is down.
    SessionDown,
    /// No contract to hedge this underlying with is listed and open.
    NoInstrument,
    /// The exposure is stale, gapped or not known yet.
    BadExposure,
    /// A fill was seen and the exposure that includes it was not.
    FillPending,
    /// The hedge's book is gapped, stale, crossed or one-sided.
    BadBook,
    /// The last order found less than it asked for, and the book has not changed since.
    BookSpent,
    /// As many orders are in flight on this underlying as may be.
    InFlight,
    /// The gateway's ring has no room.
    NoRoom,
    /// Risk refused the order.
    Refused,
}

impl Hold {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 12] = [
        Self::InsideBand,
        Self::NotWorthwhile,
        Self::Killed,
        Self::SessionDown,
        Self::NoInstrument,
        Self::BadExposure,
        Self::FillPending,
        Self::BadBook,
        Self::BookSpent,
        Self::InFlight,
        Self::NoRoom,
        Self::Refused,
    ];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InsideBand => "inside_band",
            Self::NotWorthwhile => "not_worthwhile",
            Self::Killed => "killed",
            Self::SessionDown => "session_down",
            Self::NoInstrument => "no_instrument",
            Self::BadExposure => "bad_exposure",
            Self::FillPending => "fill_pending",
            Self::BadBook => "bad_book",
            Self::BookSpent => "book_spent",
            Self::InFlight => "in_flight",
            Self::NoRoom => "no_room",
            Self::Refused => "refused",
        }
    }
}

/// How often each reason held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldCounts([u64; Hold::ALL.len()]);

impl HoldCounts {
    /// Counts one.
    pub fn count(&mut self, hold: Hold) {
        self.0[hold as usize] += 1;
    }

    /// How often for this reason.
    pub fn of(&self, hold: Hold) -> u64 {
        self.0[hold as usize]
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Hold, u64)> {
        Hold::ALL.into_iter().zip(self.0)
    }
}

/// What the hedge did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeCounters {
    /// Orders sent.
    pub orders: u64,
    /// Cancels sent for orders that stayed without an answer.
    pub overdue: u64,
    /// Orders the venue refused.
    pub rejects: u64,
    /// Reports about orders that are not ours, or that contradict what is known.
    pub strange_reports: u64,
    /// Decisions that did not become orders, by reason.
    pub holds: HoldCounts,
}
