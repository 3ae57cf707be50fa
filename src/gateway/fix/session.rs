//! The session layer of FIX 4.4, the same for both ends: logon and logout, numbers, heartbeats, resends.
//!
//! ```text
//!   Down ──connected──► LoggingOn ──Logon──► Up ──log_out──► LoggingOut
//!    ▲                     │ refused, time-out │ silence, rule broken │ Logout, time-out
//!    └─────────────────────┴────disconnected───┴──────────────────────┘
//! ```
//!
//! An initiator sends its logon when the connection stands; an acceptor waits for it and answers. Messages are taken in
//! the order of their numbers: one beyond a gap is passed over, and everything from the gap on is asked for again, so what
//! is above this layer sees each message once and in order. The other way round, what was sent stands in a [`Store`] of
//! fixed size; what has left it, session messages, and orders too old to be worth sending are filled over.
//!
//! Bytes go to an [`Outgoing`] of the owner's. A rule that is broken shows as a [`DisconnectReason`].

use super::super::numbers::{ResetPolicy, SequenceNumbers};
use super::super::outgoing::{NoRoom, Note, Outgoing};
use super::super::reasons::DisconnectReason;
use super::config::{Credentials, FixConfig, FixRules};
use super::store::Store;
use crate::units::Nanos;
use crate::wire::fix::{Header, Password, RawData, TimeReader, TimeWriter, Writer, kind};
use sha2::{Digest, Sha256};
use std::ops::Range;

/// Times a resend is asked for before the session is given up.
const RESENDS_MAX: u32 = 3;
/// Heartbeat intervals the other side may take to answer a logon or a logout.
const ANSWER_INTERVALS: u64 = 2;
/// Longest heartbeat interval that is believed, seconds.
pub(super) const HEARTBEAT_MAX_S: u64 = 600;
/// What an initiator keeps for a resend. All of it fits the send buffer.
const CLIENT_STORE: (usize, usize) = (32 * 1024, 256);
/// What an acceptor keeps.
const VENUE_STORE: (usize, usize) = (1 << 20, 8 * 1024);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum State {
    Down,
    LoggingOn { since: Nanos },
    Up,
    LoggingOut { since: Nanos },
}

/// Which end this is.
#[derive(Clone, Debug)]
pub(super) enum Role {
    Initiator(Box<FixConfig>),
    /// With the client it serves; any when `None`.
    Acceptor(Option<Credentials>),
}

/// What is missing and was asked for.
#[derive(Clone, Copy, Debug)]
struct Recovery {
    /// The highest number seen beyond the gap.
    until: u64,
    asked: Nanos,
    times: u32,
}

#[derive(Debug)]
pub(in crate::gateway) struct Session {
    pub(super) role: Role,
    pub(super) rules: FixRules,
    pub(in crate::gateway) state: State,
    pub(in crate::gateway) failed: Option<DisconnectReason>,
    /// Why the connection before this one was closed.
    pub(in crate::gateway) failed_before: Option<DisconnectReason>,
    header: Header,
    pub(super) times: TimeReader,
    store: Store,
    next_outgoing: u64,
    /// The number of the next message taken.
    pub(super) expected: u64,
    recovery: Option<Recovery>,
    first_logon: bool,
    pub(super) reset_sent: bool,
    /// Of the last logon seen or made: they must rise.
    pub(super) logon_ms: u64,
    /// At a venue's end: whether the client asked for its orders to end with the connection.
    pub(super) cancels_on_disconnect: bool,
    heartbeat_ns: u64,
    last_sent: Nanos,
    pub(super) last_received: Nanos,
    /// A test request without answer.
    tested: bool,
    tests: u64,
    /// Orders are not to leave again.
    pub(in crate::gateway) hold_orders: bool,
}

impl Session {
    /// A client's end.
    pub(in crate::gateway) fn initiator(config: FixConfig) -> Self {
        let (rules, resume) = (config.rules.clone(), config.resume);
        let mut session = Self::new(rules, Role::Initiator(Box::new(config)), CLIENT_STORE);
        session.next_outgoing = u64::try_from(resume.outgoing).unwrap_or(1).max(1);
        session.expected = u64::try_from(resume.incoming).unwrap_or(1).max(1);
        session.logon_ms = resume.logon_ms;
        session
    }

    /// A venue's end.
    pub(super) fn acceptor(rules: FixRules, client: Option<Credentials>) -> Self {
        Self::new(rules, Role::Acceptor(client), VENUE_STORE)
    }

    fn new(rules: FixRules, role: Role, (bytes, messages): (usize, usize)) -> Self {
        Self {
            role,
            state: State::Down,
            failed: None,
            failed_before: None,
            header: Header::new(&rules.sender, &rules.target),
            times: TimeReader::default(),
            store: Store::new(bytes, messages),
            next_outgoing: 1,
            expected: 1,
            recovery: None,
            first_logon: true,
            reset_sent: false,
            logon_ms: 0,
            cancels_on_disconnect: false,
            heartbeat_ns: rules.heartbeat_ns(),
            last_sent: Nanos(0),
            last_received: Nanos(0),
            tested: false,
            tests: 0,
            hold_orders: false,
            rules,
        }
    }

    pub(in crate::gateway) fn is_up(&self) -> bool {
        self.state == State::Up && self.failed.is_none()
    }

    /// Up, and nothing of the past missing.
    pub(in crate::gateway) fn is_whole(&self) -> bool {
        self.is_up() && self.recovery.is_none()
    }

    pub(in crate::gateway) fn numbers(&self) -> SequenceNumbers {
        SequenceNumbers { outgoing: self.next_outgoing as i64, incoming: self.expected as i64, logon_ms: self.logon_ms }
    }

    pub(in crate::gateway) fn next_outgoing(&self) -> u64 {
        self.next_outgoing
    }

    /// The first reason counts.
    pub(in crate::gateway) fn fail(&mut self, reason: DisconnectReason) {
        self.failed.get_or_insert(reason);
    }

    /// The connection stands.
    pub(in crate::gateway) fn connected(&mut self, time: Nanos, out: &mut Outgoing) {
        self.state = State::LoggingOn { since: time };
        self.failed = None;
        self.tested = false;
        self.recovery = None;
        self.last_received = time;
        self.heartbeat_ns = self.rules.heartbeat_ns();
        if let Role::Initiator(config) = &self.role {
            let reset = match config.reset {
                ResetPolicy::FirstLogon => self.first_logon,
                ResetPolicy::EveryLogon => true,
                ResetPolicy::Never => false,
            };
            if reset {
                self.reset();
            }
            self.log_on(reset, time, out);
        }
    }

    /// The connection is gone, and the messages from `unsent` on never left.
    pub(in crate::gateway) fn disconnected(&mut self, unsent: Option<u64>) {
        self.state = State::Down;
        self.failed_before = self.failed.take();
        self.recovery = None;
        if let Some(unsent) = unsent {
            self.next_outgoing = unsent;
            self.store.forget_from(unsent);
        }
    }

    /// Asks to end the session.
    pub(in crate::gateway) fn log_out(&mut self, reason: &[u8], time: Nanos, out: &mut Outgoing) {
        if self.is_up() {
            self.state = State::LoggingOut { since: time };
            self.own(kind::LOGOUT, time, out, |message| {
                message.text(b"58=", reason, 120);
            });
        }
    }

    /// Ends the session because of a broken rule: says why, and closes.
    pub(super) fn break_off(&mut self, reason: DisconnectReason, text: &[u8], time: Nanos, out: &mut Outgoing) {
        self.own(kind::LOGOUT, time, out, |message| {
            message.text(b"58=", text, 120);
        });
        self.fail(reason);
    }

    /// Both directions start again at 1.
    pub(super) fn reset(&mut self) {
        (self.next_outgoing, self.expected) = (1, 1);
        self.recovery = None;
        self.store.clear();
    }

    /// The logon was answered, or taken.
    pub(super) fn established(&mut self, heartbeat_s: u64) {
        self.heartbeat_ns = heartbeat_s.clamp(1, HEARTBEAT_MAX_S) * Nanos::PER_SECOND;
        self.first_logon = false;
        self.state = State::Up;
    }

    /// Something arrived.
    #[inline]
    pub(super) fn heard(&mut self, time: Nanos) {
        self.last_received = self.last_received.max(time);
        self.tested = false;
    }

    /// The next message is dealt with: `until` is the number of the one after it.
    #[inline]
    pub(super) fn advance(&mut self, until: u64) {
        self.expected = self.expected.max(until);
        if let Some(recovery) = &mut self.recovery {
            recovery.times = 1;
            if self.expected > recovery.until {
                self.recovery = None;
            }
        }
    }

    /// A message beyond the one expected was seen. Asks for everything from there on, unless it was asked for already.
    pub(super) fn missing_before(&mut self, number: u64, time: Nanos, out: &mut Outgoing) {
        match &mut self.recovery {
            Some(recovery) => recovery.until = recovery.until.max(number),
            None => {
                self.recovery = Some(Recovery { until: number, asked: time, times: 0 });
                self.ask(time, out);
            }
        }
    }

    fn ask(&mut self, time: Nanos, out: &mut Outgoing) {
        let Some(recovery) = &mut self.recovery else { return };
        if recovery.times == RESENDS_MAX {
            return self.fail(DisconnectReason::ResendUnanswered);
        }
        recovery.times += 1;
        recovery.asked = time;
        let from = self.expected;
        self.own(kind::RESEND_REQUEST, time, out, |message| {
            message.number(b"7=", from).number(b"16=", 0);
        });
    }

    /// Heartbeats, test requests, time-outs.
    pub(in crate::gateway) fn tick(&mut self, time: Nanos, out: &mut Outgoing) {
        let patience = ANSWER_INTERVALS * self.heartbeat_ns;
        match self.state {
            _ if self.failed.is_some() => {}
            State::Down => {}
            State::LoggingOn { since } if time.since(since) > patience => self.fail(DisconnectReason::LogonTimeout),
            State::LoggingOut { since } if time.since(since) > patience => self.fail(DisconnectReason::LogoutTimeout),
            State::LoggingOn { .. } | State::LoggingOut { .. } => {}
            State::Up => self.keep_alive(time, out),
        }
    }

    fn keep_alive(&mut self, time: Nanos, out: &mut Outgoing) {
        let interval = self.heartbeat_ns;
        let silence = time.since(self.last_received);
        if self.tested && silence > interval * 5 / 2 {
            return self.break_off(DisconnectReason::Silence, b"test request unanswered", time, out);
        }
        if !self.tested && silence > interval + interval / 4 {
            self.tested = true;
            self.tests += 1;
            let test = self.tests;
            self.own(kind::TEST_REQUEST, time, out, |message| {
                message.number(b"112=", test);
            });
        }
        if time.since(self.last_sent) >= interval {
            self.own(kind::HEARTBEAT, time, out, |_| {});
        }
        if self.recovery.is_some_and(|recovery| time.since(recovery.asked) > interval) {
            self.ask(time, out);
        }
    }

    /// Sends again what was asked for. A number that is not in the store, or not to be sent again, is filled over.
    pub(super) fn resend(&mut self, from: u64, to: u64, time: Nanos, out: &mut Outgoing) {
        let last = self.next_outgoing - 1;
        let to = if to == 0 { last } else { to.min(last) };
        let Self { store, header, rules, hold_orders, .. } = self;
        let (mut gap, mut sent) = (from, Ok(()));
        for kept in store.range(from..=to) {
            let is_order = matches!(kept.kind, kind::NEW_ORDER_SINGLE | kind::ORDER_CANCEL_REPLACE_REQUEST);
            if is_order && (*hold_orders || time.since(kept.sent) > rules.resend_orders_ns) {
                continue;
            }
            sent = sent.and_then(|()| fill_gap(gap..kept.sequence, header, time, out));
            sent = sent.and_then(|()| {
                again(kept.kind, kept.sequence, kept.sent, header, time, out, |message| {
                    message.raw(kept.body);
                })
            });
            gap = kept.sequence + 1;
        }
        if sent.and_then(|()| fill_gap(gap..to + 1, header, time, out)).is_err() {
            self.fail(DisconnectReason::SendBufferFull);
        }
        self.last_sent = time;
    }

    /// A message that the session cannot do without.
    pub(super) fn own(&mut self, kind: u8, time: Nanos, out: &mut Outgoing, body: impl FnOnce(&mut Writer<'_>)) {
        if self.send(kind, Note::Session, time, out, body).is_err() {
            self.fail(DisconnectReason::SendBufferFull);
        }
    }

    /// A message under the next number. Application messages are kept for a resend.
    #[inline]
    pub(in crate::gateway) fn send(
        &mut self,
        kind: u8,
        note: Note,
        time: Nanos,
        out: &mut Outgoing,
        body: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), NoRoom> {
        let number = self.next_outgoing;
        let mut body = Some(body);
        let header = &mut self.header;
        let message = out.put_with(number as i64, note, |free| {
            let mut message = header.begin(free, kind, number, time).ok()?;
            if message.room() < MESSAGE_BYTES_MAX {
                return None;
            }
            body.take()?(&mut message);
            message.finish().ok()
        })?;
        if !kind::is_session(kind) {
            self.store.keep(number, kind, time, &message[self.header.len(kind)..message.len() - TRAILER_BYTES]);
        }
        self.next_outgoing += 1;
        self.last_sent = time;
        Ok(())
    }

    /// Turns an order that waits in the send buffer into a heartbeat under its number; its new length.
    pub(in crate::gateway) fn hollow(&mut self, message: &mut [u8]) -> usize {
        self.header.hollow(message)
    }

    fn log_on(&mut self, reset: bool, time: Nanos, out: &mut Outgoing) {
        let Role::Initiator(config) = &self.role else { return };
        self.reset_sent = reset;
        self.logon_ms = (time.0 / Nanos::PER_MILLI).max(self.logon_ms + 1);
        let nonce =
            Sha256::new().chain_update(config.nonce_seed.0).chain_update(self.logon_ms.to_le_bytes()).finalize();
        let raw_data = RawData::new(self.logon_ms, &nonce.into());
        let password = Password::new(raw_data.as_bytes(), &config.credentials.secret);
        let username = config.credentials.username.clone();
        let (heartbeat, cancel, word_safe) =
            (u64::from(self.rules.heartbeat_s), config.cancel_on_disconnect, config.word_safe_tags);
        self.own(kind::LOGON, time, out, |message| {
            message.byte(b"98=", b'0').number(b"108=", heartbeat);
            if reset {
                message.byte(b"141=", b'Y');
            }
            message.number(b"95=", raw_data.as_bytes().len() as u64).bytes(b"96=", raw_data.as_bytes());
            message.bytes(b"553=", username.as_bytes()).bytes(b"554=", password.as_bytes());
            message.byte(b"9001=", if cancel { b'Y' } else { b'N' });
            if word_safe {
                message.byte(b"9002=", b'Y');
            }
        });
    }
}

/// Longest message that is sent: what must be free before one is begun, so that a body is laid down once.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// `10=ccc␁`.
const TRAILER_BYTES: usize = 7;

/// Stands for numbers that are not sent again.
fn fill_gap(numbers: Range<u64>, header: &mut Header, time: Nanos, out: &mut Outgoing) -> Result<(), NoRoom> {
    if numbers.is_empty() {
        return Ok(());
    }
    again(kind::SEQUENCE_RESET, numbers.start, time, header, time, out, |message| {
        message.byte(b"123=", b'Y').number(b"36=", numbers.end);
    })
}

/// A message under a number of the past.
fn again(
    kind: u8,
    number: u64,
    first_sent: Nanos,
    header: &mut Header,
    time: Nanos,
    out: &mut Outgoing,
    mut body: impl FnMut(&mut Writer<'_>),
) -> Result<(), NoRoom> {
    let is_order = matches!(kind, kind::NEW_ORDER_SINGLE | kind::ORDER_CANCEL_REPLACE_REQUEST);
    let note = if is_order { Note::Again } else { Note::Session };
    // No number of its own: losing the connection does not give it back.
    out.put_with(0, note, |free| {
        let mut message = header.begin(free, kind, number, time).ok()?;
        message.byte(b"43=", b'Y').bytes(b"122=", TimeWriter::default().write(first_sent));
        body(&mut message);
        message.finish().ok()
    })
    .map(|_| ())
}
