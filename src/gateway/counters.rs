//! What a session counts.

/// What was counted since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayCounters {
    /// Orders encoded.
    pub orders: u64,
    /// Quotes encoded.
    pub quotes: u64,
    /// Amendments encoded.
    pub amends: u64,
    /// Cancels encoded, mass cancels included.
    pub cancels: u64,
    /// Requests answered with a [`local_reason`](super::local_reason).
    pub refused: u64,
    /// Requests that a gateway which is not armed kept to itself.
    pub withheld: u64,
    /// Frames of the venue taken.
    pub frames: u64,
    /// Frames seen before, passed over.
    pub duplicates: u64,
    /// Frames beyond a gap.
    pub gaps: u64,
    /// Session-level rejects.
    pub rejects: u64,
    /// Mass cancels refused by the venue.
    pub mass_cancel_rejects: u64,
    /// Questions about the market-maker protection to which the venue knows no answer: it is not configured there.
    pub protection_unknown: u64,
    /// Requests to end what the market-maker protection froze that were refused, here or by the venue.
    pub thaws_refused: u64,
    /// Messages of a type this session does not use.
    pub unused_types: u64,
    /// Messages not laid out as their type says.
    pub malformed: u64,
    /// Reports on instruments that were never listed.
    pub unknown_instruments: u64,
    /// Fills and amounts that are no whole lots, have no side, or do not fit an event.
    pub unrepresentable: u64,
    /// Reference data that the tables refused.
    pub listings_refused: u64,
    /// Bytes of the venue passed over because they were no message.
    pub garbled_bytes: u64,
    /// Test requests of the venue answered.
    pub tests_answered: u64,
    /// Connections lost or closed.
    pub disconnects: u64,
    /// Answers that found no room, because instructions came against [`Gateway::has_room`](super::Gateway::has_room). Anything but zero is a defect.
    pub answers_lost: u64,
}

impl GatewayCounters {
    /// Whether an execution may have gone by unseen.
    pub(super) fn untrusted(&self) -> bool {
        self.malformed + self.unknown_instruments + self.unrepresentable > 0
    }
}
