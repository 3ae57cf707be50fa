//! What is asked to be sent again: when, how much, and what came of it.
//!
//! A hole that no line fills is asked for, as many messages at a time as a request can name. An answer is one packet, so
//! a long hole takes several requests; each waits for its answer or for `response_ns`. Requests share a budget of
//! `requests_per_second`. Whoever refuses says for how long to keep still, and that is kept. What was not filled within
//! `give_up_ns`, or is no longer kept by the venue, is given up: then snapshots heal the books, one by one.

use crate::feed::arbiter::Hole;
use crate::units::Nanos;
use crate::wire::starbase::market_data::{
    MESSAGE_HEADER_BYTES, MessageMeta, PACKET_HEADER_BYTES, PacketBuilder, RejectReason, RetransmitReject,
    RetransmitRequest, packet_type,
};

/// Bytes of a request's packet.
pub const REQUEST_BYTES: usize = PACKET_HEADER_BYTES + MESSAGE_HEADER_BYTES + size_of::<RetransmitRequest>();

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryConfig {
    /// Requests in a second at most, over all channels; 0 asks for nothing.
    pub requests_per_second: u32,
    /// How long to wait for an answer, nanoseconds.
    pub response_ns: u64,
    /// How long a hole is worth asking for, nanoseconds.
    pub give_up_ns: u64,
}

impl Default for RecoveryConfig {
    /// A hundred a second; 20 and 200 milliseconds.
    fn default() -> Self {
        Self { requests_per_second: 100, response_ns: 20 * Nanos::PER_MILLI, give_up_ns: 200 * Nanos::PER_MILLI }
    }
}

/// What was asked and what came of it. Times are nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryStats {
    /// Holes that no line filled.
    pub holes: u64,
    /// Those that were filled on request.
    pub recovered: u64,
    /// Those that were left to the snapshots.
    pub given_up: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests refused.
    pub rejects: u64,
    /// Times a request had to wait for the budget.
    pub throttled: u64,
    /// From noticing a hole to its last message, summed over the recovered ones.
    pub recovery_total_ns: u64,
    /// The longest of them.
    pub recovery_max_ns: u64,
    /// Books that became whole again, by request or by snapshot.
    pub books_restored: u64,
    /// How long books were not whole, summed over those restored.
    pub stale_total_ns: u64,
    /// The longest of them.
    pub stale_max_ns: u64,
}

impl RecoveryStats {
    /// Mean time from noticing a hole to its last message.
    pub fn recovery_mean_ns(&self) -> u64 {
        self.recovery_total_ns.checked_div(self.recovered).unwrap_or(0)
    }

    pub(super) fn restored(&mut self, stale_ns: u64) {
        self.books_restored += 1;
        self.stale_total_ns += stale_ns;
        self.stale_max_ns = self.stale_max_ns.max(stale_ns);
    }
}

/// One channel's hole.
#[derive(Clone, Copy, Debug, Default)]
struct Case {
    /// When it was noticed; `None` when nothing is missing.
    since: Option<Nanos>,
    /// The latest request's number, 0 when none is on its way.
    correlation: i64,
    not_before: Nanos,
    is_hopeless: bool,
}

/// What to do about a hole whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    WaitUntil(Nanos),
    GiveUp,
}

/// All channels.
#[derive(Debug)]
pub(super) struct Recovery {
    config: RecoveryConfig,
    cases: Box<[Case]>,
    /// Earliest time of the next request within the budget, which may lie up to a second's worth in the past.
    budget: Nanos,
    correlation: i64,
    request: Option<[u8; REQUEST_BYTES]>,
    pub(super) stats: RecoveryStats,
}

impl Recovery {
    pub(super) fn new(config: RecoveryConfig, channels: usize) -> Self {
        Self {
            config,
            cases: vec![Case::default(); channels].into_boxed_slice(),
            budget: Nanos(0),
            correlation: 0,
            request: None,
            stats: RecoveryStats::default(),
        }
    }

    /// The request to be sent, once.
    pub(super) fn take_request(&mut self) -> Option<[u8; REQUEST_BYTES]> {
        self.request.take()
    }

    /// Whether a channel's books lack what was asked for.
    pub(super) fn is_open(&self, channel: usize) -> bool {
        self.cases[channel].since.is_some()
    }

    /// A hole is no longer waited for: asks for it, or says that there is no point.
    pub(super) fn pursue(&mut self, channel: usize, channel_id: i32, hole: &Hole, now: Nanos) -> Course {
        let case = &mut self.cases[channel];
        let since = *case.since.get_or_insert_with(|| {
            self.stats.holes += 1;
            hole.since
        });
        let patience_ends = Nanos(since.0.saturating_add(self.config.give_up_ns));
        if case.is_hopeless || self.config.requests_per_second == 0 || now >= patience_ends {
            return Course::GiveUp;
        }
        if now < case.not_before {
            return Course::WaitUntil(case.not_before.min(patience_ends));
        }
        let every_ns = Nanos::PER_SECOND / u64::from(self.config.requests_per_second);
        let earliest = Nanos(self.budget.0.max(now.0.saturating_sub(Nanos::PER_SECOND / 10)));
        if earliest > now || self.request.is_some() {
            self.stats.throttled += 1;
            return Course::WaitUntil(earliest.max(Nanos(now.0 + 1)).min(patience_ends));
        }
        self.budget = Nanos(earliest.0 + every_ns);
        self.correlation += 1;
        case.correlation = self.correlation;
        self.stats.requests += 1;
        let count = u8::try_from(hole.end - hole.first).unwrap_or(u8::MAX);
        self.request = encode(channel_id, self.correlation, hole.first, count, now);
        Course::WaitUntil(Nanos(now.0.saturating_add(self.config.response_ns)).min(patience_ends))
    }

    /// A request was refused. The channel and when to look at it again, if it is one that still waits.
    pub(super) fn reject(&mut self, correlation: i64, reject: &RetransmitReject, now: Nanos) -> Option<(usize, Nanos)> {
        self.stats.rejects += 1;
        let waiting = |case: &Case| case.since.is_some() && case.correlation == correlation && correlation != 0;
        let channel = self.cases.iter().position(waiting)?;
        let case = &mut self.cases[channel];
        case.correlation = 0;
        case.is_hopeless |= RejectReason::try_from(reject.reason) == Ok(RejectReason::SequenceTooLow);
        let delay = u64::try_from(reject.retry_delay_nanos.get()).unwrap_or(0);
        case.not_before = Nanos(now.0.saturating_add(delay));
        Some((channel, if case.is_hopeless { now } else { case.not_before }))
    }

    /// A channel's stream has no hole any more.
    pub(super) fn filled(&mut self, channel: usize, now: Nanos) {
        if let Some(since) = std::mem::take(&mut self.cases[channel]).since {
            let took_ns = now.since(since);
            self.stats.recovered += 1;
            self.stats.recovery_total_ns += took_ns;
            self.stats.recovery_max_ns = self.stats.recovery_max_ns.max(took_ns);
        }
    }

    /// A channel's hole became a gap.
    pub(super) fn given_up(&mut self, channel: usize) {
        if std::mem::take(&mut self.cases[channel]).since.is_some() {
            self.stats.given_up += 1;
        }
    }
}

fn encode(channel_id: i32, correlation: i64, first: u64, count: u8, now: Nanos) -> Option<[u8; REQUEST_BYTES]> {
    let mut bytes = [0; REQUEST_BYTES];
    let time = now.0 as i64;
    let mut packet = PacketBuilder::new(&mut bytes, packet_type::RETRANSMIT, channel_id, correlation, time).ok()?;
    let request = RetransmitRequest { begin_seq_num: (first as i64).into(), message_count: count };
    packet.push(MessageMeta { flags: 0, transact_time_ns: time }, &request).ok()?;
    packet.finish();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::starbase::market_data::{Message, Packet};

    const HOLE: Hole = Hole { first: 100, end: 500, since: Nanos(1_000) };

    fn reject(reason: RejectReason, delay: i64) -> RetransmitReject {
        RetransmitReject { retry_delay_nanos: delay.into(), details: [0; 40], reason: reason.into() }
    }

    fn asked(recovery: &mut Recovery) -> Option<(i64, i64, u8)> {
        let bytes = recovery.take_request()?;
        let (header, mut messages) = Packet::parse(&bytes).unwrap();
        let Some(Ok(first)) = messages.next() else { panic!("no message") };
        let Ok(Message::RetransmitRequest(request)) = first.message else { panic!("another message") };
        Some((header.sequence.get(), request.begin_seq_num.get(), request.message_count))
    }

    #[test]
    fn a_hole_is_asked_for_within_the_budget_and_until_patience_ends() {
        let config = RecoveryConfig { requests_per_second: 100, response_ns: 5_000_000, give_up_ns: 200_000_000 };
        let mut recovery = Recovery::new(config, 2);
        let mut now = Nanos(1_000_000);
        let mut requests = 0;
        while let Course::WaitUntil(then) = recovery.pursue(0, 7, &HOLE, now) {
            assert!(then > now, "time goes on");
            now = then;
            if let Some((_, begin, count)) = asked(&mut recovery) {
                assert_eq!((begin, count), (100, 255));
                requests += 1;
            }
        }
        assert_eq!(now, Nanos(200_001_000));
        // A tenth of a second may be spent at once, then one every ten milliseconds.
        assert!((20..=31).contains(&requests), "{requests} requests in 200 ms");
        recovery.given_up(0);
        assert_eq!((recovery.stats.holes, recovery.stats.given_up, recovery.stats.recovered), (1, 1, 0));
    }

    #[test]
    fn a_reject_is_obeyed_by_its_reason() {
        let mut recovery = Recovery::new(RecoveryConfig::default(), 2);
        let now = Nanos(1_000_000_000);
        let hole = Hole { since: now, ..HOLE };
        recovery.pursue(1, 7, &hole, now);
        let (correlation, ..) = asked(&mut recovery).unwrap();
        assert_eq!(recovery.reject(correlation + 9, &reject(RejectReason::OtherError, 1), now), None, "another's");
        let later = Nanos(now.0 + 3_000_000);
        let limited = reject(RejectReason::RateLimitExceeded, 3_000_000);
        assert_eq!(recovery.reject(correlation, &limited, now), Some((1, later)));
        assert_eq!(recovery.pursue(1, 7, &hole, Nanos(later.0 - 1)), Course::WaitUntil(later));
        assert_eq!(asked(&mut recovery), None);
        recovery.pursue(1, 7, &hole, later);
        let (correlation, ..) = asked(&mut recovery).unwrap();
        recovery.reject(correlation, &reject(RejectReason::SequenceTooLow, 0), later);
        assert_eq!(recovery.pursue(1, 7, &hole, later), Course::GiveUp, "it is gone for good");
    }
}
