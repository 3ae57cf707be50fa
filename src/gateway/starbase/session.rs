//! The session's own state: logon and logout, numbers, heartbeats, recovery of what was missed.
//!
//! ```text
//!   Down ──connected──► LoggingOn ──LogonConf──► Up ──logout──► LoggingOut
//!    ▲                     │ refused, time-out   │ silence, rule broken   │ LoggedOut, time-out
//!    └─────────────────────┴─────disconnected────┴────────────────────────┘
//! ```
//!
//! Resends go one way: a client asks the venue, the venue never asks a client. An order that was written and lost with
//! the connection is therefore known only by what the venue says of it.

use super::super::numbers::{ResetPolicy, SequenceNumbers};
use super::super::outgoing::{NoRoom, Note, Outgoing};
use super::super::reasons::DisconnectReason;
use super::config::SessionConfig;
use super::sequence::{Arrival, Incoming};
use crate::units::Nanos;
use crate::wire::starbase::orders::{
    self as wire, Block, Encoder, Envelope, FLAG_RESEND, Header, Heartbeat, Logon, Logout, ResendRequest, TestRequest,
};
use zerocopy::byteorder::little_endian::I64;

/// Times a resend is asked for before the session is given up.
const RESENDS_MAX: u32 = 3;
/// Heartbeat intervals the venue may take to confirm a logon or a logout.
const ANSWER_INTERVALS: u64 = 2;
/// The venue's heartbeat interval is believed up to this.
const HEARTBEAT_MAX_NS: u64 = 600 * Nanos::PER_SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum State {
    Down,
    LoggingOn { since: Nanos },
    Up,
    LoggingOut { since: Nanos },
}

/// What a frame's number asks of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Verdict {
    /// Handle it, then [`Session::took`] it.
    Take,
    /// Seen before: pass over it.
    Duplicate,
    /// The session is broken.
    TooLow,
}

#[derive(Debug)]
pub(in crate::gateway) struct Session {
    config: SessionConfig,
    pub(in crate::gateway) state: State,
    pub(in crate::gateway) failed: Option<DisconnectReason>,
    /// Why the connection before this one was closed.
    pub(in crate::gateway) failed_before: Option<DisconnectReason>,
    next_outgoing: i64,
    incoming: Incoming,
    first_logon: bool,
    heartbeat_ns: u64,
    last_sent: Nanos,
    last_received: Nanos,
    /// A test request without answer.
    tested: bool,
    /// Last time a resend was asked for, and how often without progress.
    resend_asked: Nanos,
    resends: u32,
    /// What the last connection left missing has not been asked for on this one.
    resend_due: bool,
}

impl Session {
    pub(in crate::gateway) fn new(config: SessionConfig) -> Self {
        Self {
            state: State::Down,
            failed: None,
            failed_before: None,
            next_outgoing: config.resume.outgoing,
            incoming: Incoming::new(config.resume.incoming),
            first_logon: true,
            heartbeat_ns: config.heartbeat_ns.max(1),
            last_sent: Nanos(0),
            last_received: Nanos(0),
            tested: false,
            resend_asked: Nanos(0),
            resends: 0,
            resend_due: false,
            config,
        }
    }

    pub(in crate::gateway) fn config(&self) -> &SessionConfig {
        &self.config
    }

    pub(in crate::gateway) fn is_up(&self) -> bool {
        self.state == State::Up && self.failed.is_none()
    }

    /// Up, and nothing of the past missing.
    pub(in crate::gateway) fn is_whole(&self) -> bool {
        self.is_up() && self.incoming.missing().is_none()
    }

    pub(in crate::gateway) fn numbers(&self) -> SequenceNumbers {
        SequenceNumbers { outgoing: self.next_outgoing, incoming: self.incoming.last_processed() + 1, logon_ms: 0 }
    }

    pub(in crate::gateway) fn next_outgoing(&self) -> i64 {
        self.next_outgoing
    }

    /// The first reason counts.
    pub(in crate::gateway) fn fail(&mut self, reason: DisconnectReason) {
        self.failed.get_or_insert(reason);
    }

    pub(in crate::gateway) fn connected(&mut self, time: Nanos, outgoing: &mut Outgoing) {
        let reset = match self.config.reset {
            ResetPolicy::FirstLogon => self.first_logon,
            ResetPolicy::EveryLogon => true,
            ResetPolicy::Never => false,
        };
        if reset {
            self.next_outgoing = 1;
            self.incoming = Incoming::new(1);
        }
        self.state = State::LoggingOn { since: time };
        self.failed = None;
        self.tested = false;
        self.resends = 0;
        self.last_received = time;
        let logon =
            Logon { client_id: self.config.client_id, secret: self.config.secret, reset_seq_num: i8::from(reset) };
        self.send_own(&logon, None, time, outgoing);
    }

    /// The connection is gone, and the messages from `unsent` on never left.
    pub(in crate::gateway) fn disconnected(&mut self, unsent: Option<i64>) {
        self.state = State::Down;
        self.failed_before = self.failed.take();
        self.next_outgoing = unsent.unwrap_or(self.next_outgoing);
    }

    pub(in crate::gateway) fn log_out(&mut self, reason: &[u8], time: Nanos, outgoing: &mut Outgoing) {
        if self.is_up() {
            self.state = State::LoggingOut { since: time };
            self.send_own(&Logout {}, Some(reason), time, outgoing);
        }
    }

    /// The venue confirmed the logon.
    pub(in crate::gateway) fn confirmed(&mut self, interval_s: i32) {
        if let Ok(seconds @ 1..) = u64::try_from(interval_s) {
            self.heartbeat_ns = seconds.saturating_mul(Nanos::PER_SECOND).min(HEARTBEAT_MAX_NS);
        }
        self.first_logon = false;
        self.resend_due = true;
        self.state = State::Up;
    }

    /// Judges a frame before it is handled.
    #[inline]
    pub(in crate::gateway) fn judge(&self, header: &Header) -> Verdict {
        match self.incoming.classify(header.sequence_number.get()) {
            Arrival::Next | Arrival::Ahead | Arrival::Recovered => Verdict::Take,
            Arrival::Seen if header.flags & FLAG_RESEND != 0 => Verdict::Duplicate,
            Arrival::Seen => Verdict::TooLow,
        }
    }

    /// Something arrived.
    #[inline]
    pub(in crate::gateway) fn heard(&mut self, time: Nanos) {
        self.last_received = self.last_received.max(time);
        self.tested = false;
    }

    /// The numbers in `from..until` are dealt with. Progress clears the count of resends; a new gap, of
    /// which it returns whether there is one, is asked for at once.
    #[inline]
    pub(in crate::gateway) fn took(&mut self, from: i64, until: i64, time: Nanos, outgoing: &mut Outgoing) -> bool {
        let missed = self.incoming.last_processed();
        let ahead = from > self.incoming.next();
        if self.incoming.take(from, until).is_err() {
            self.fail(DisconnectReason::TooManyGaps);
            return true;
        }
        let ask = std::mem::take(&mut self.resend_due) || ahead;
        if ask || self.incoming.last_processed() > missed {
            self.resends = 0;
        }
        if ask {
            self.ask_again(time, outgoing);
        }
        ahead
    }

    /// The venue's parting message: one that is the next leaves no gap for the session after.
    pub(in crate::gateway) fn took_last(&mut self, number: i64) {
        if number == self.incoming.next() {
            // The next number opens no gap, so there is room for it.
            let _ = self.incoming.take(number, number.saturating_add(1));
        }
    }

    /// Heartbeats, test requests, time-outs.
    pub(in crate::gateway) fn tick(&mut self, time: Nanos, outgoing: &mut Outgoing) {
        let interval = self.heartbeat_ns;
        match self.state {
            _ if self.failed.is_some() => {}
            State::Down => {}
            State::LoggingOn { since } => {
                if time.since(since) > ANSWER_INTERVALS * interval {
                    self.fail(DisconnectReason::LogonTimeout);
                }
            }
            State::LoggingOut { since } => {
                if time.since(since) > ANSWER_INTERVALS * interval {
                    self.fail(DisconnectReason::LogoutTimeout);
                }
            }
            State::Up => self.keep_alive(time, outgoing),
        }
    }

    fn keep_alive(&mut self, time: Nanos, outgoing: &mut Outgoing) {
        let interval = self.heartbeat_ns;
        let silence = time.since(self.last_received);
        if self.tested && silence > interval * 2 {
            return self.fail(DisconnectReason::Silence);
        }
        if !self.tested && silence > interval + interval / 4 {
            self.tested = true;
            self.send_own(&TestRequest { correlation_id: I64::new(self.next_outgoing) }, None, time, outgoing);
        }
        // At half the interval, so that one late tick does not look like silence to the venue.
        if time.since(self.last_sent) >= interval / 2 {
            self.send_own(&Heartbeat { correlation_id: I64::ZERO }, None, time, outgoing);
        }
        if self.incoming.missing().is_some() && time.since(self.resend_asked) > interval {
            self.ask_again(time, outgoing);
        }
    }

    fn ask_again(&mut self, time: Nanos, outgoing: &mut Outgoing) {
        let Some((from, to)) = self.incoming.missing() else { return };
        if self.resends == RESENDS_MAX {
            return self.fail(DisconnectReason::ResendUnanswered);
        }
        self.resends += 1;
        self.resend_asked = time;
        let request = ResendRequest { from_sequence_number: I64::new(from), to_sequence_number: I64::new(to) };
        self.send_own(&request, None, time, outgoing);
    }

    /// A message that the session cannot do without.
    pub(in crate::gateway) fn send_own<B: Block>(
        &mut self,
        block: &B,
        text: Option<&[u8]>,
        time: Nanos,
        outgoing: &mut Outgoing,
    ) {
        if self.send(block, text, Note::Session, time, outgoing).is_err() {
            self.fail(DisconnectReason::SendBufferFull);
        }
    }

    /// A message under the next number.
    #[inline]
    pub(in crate::gateway) fn send<B: Block>(
        &mut self,
        block: &B,
        text: Option<&[u8]>,
        note: Note,
        time: Nanos,
        outgoing: &mut Outgoing,
    ) -> Result<(), NoRoom> {
        self.send_with(block, note, time, outgoing, |encoder| match text {
            Some(text) => encoder.text(text),
            None => Ok(encoder),
        })
    }

    /// The same, with what follows the block.
    #[inline]
    pub(in crate::gateway) fn send_with<B: Block>(
        &mut self,
        block: &B,
        note: Note,
        time: Nanos,
        outgoing: &mut Outgoing,
        tail: impl Fn(Encoder<'_>) -> Result<Encoder<'_>, wire::NoRoom>,
    ) -> Result<(), NoRoom> {
        let envelope = Envelope {
            flags: 0,
            sequence: self.next_outgoing,
            last_processed: self.incoming.last_processed(),
            send_time_ns: time.0 as i64,
        };
        let encode = |free: &mut [u8]| tail(Encoder::new(free, &envelope, block)?)?.finish();
        outgoing.put_with(envelope.sequence, note, |free| encode(free).ok())?;
        self.next_outgoing += 1;
        self.last_sent = time;
        Ok(())
    }
}

/// What follows a block that is the whole message.
pub(in crate::gateway) fn bare(encoder: Encoder<'_>) -> Result<Encoder<'_>, wire::NoRoom> {
    Ok(encoder)
}
