//! What a session does with a message: the rules of FIX 4.4 volume 2, in the order in which they are tried.
//!
//! Version, type, number, the two names, the time; then whether it is the one expected; then its fields; then what it
//! says. A message that breaks a rule of its own is rejected and the session goes on; one that shows that the two sides do
//! not speak of the same session ends it.

use super::super::outgoing::Outgoing;
use super::super::reasons::DisconnectReason;
use super::session::{Role, Session, State};
use crate::units::Nanos;
use crate::wire::fix::{BEGIN_STRING, Fault, Fields, Frame, Password, RejectReason, kind, number, spec, tag};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Verdict {
    /// The session dealt with it.
    Handled,
    /// It was seen before.
    Duplicate,
    /// It lies beyond a gap.
    Ahead,
    /// An application message with a fault: it was rejected, and what it said is lost.
    Rejected,
    /// For the layer above, which calls [`Session::took`] when it is done; until then it may be offered again.
    Application(u8),
    /// Of a type that is not spoken here; likewise to be taken.
    Unknown,
}

/// `BusinessRejectReason` (380): unsupported message type.
const UNSUPPORTED_TYPE: u64 = 3;

impl Session {
    /// Judges a message and handles it if it is the session's own.
    #[inline]
    pub(in crate::gateway) fn judge(
        &mut self,
        frame: &Frame<'_>,
        fields: &Fields<'_>,
        fault: Option<Fault>,
        time: Nanos,
        out: &mut Outgoing,
    ) -> Verdict {
        let logging_on = matches!(self.state, State::LoggingOn { .. });
        if frame.begin_string != BEGIN_STRING {
            self.break_off(DisconnectReason::Version, b"incorrect BeginString", time, out);
            return Verdict::Handled;
        }
        let Some(head) = Head::new(fields) else {
            self.break_off(DisconnectReason::NoSequence, b"MsgSeqNum missing", time, out);
            return Verdict::Handled;
        };
        let is_logon = head.kind == kind::LOGON;
        let is_refusal = head.kind == kind::LOGOUT && matches!(self.role, Role::Initiator(_));
        if logging_on && !is_logon && !is_refusal {
            // Whoever does not begin with a logon is told nothing.
            self.fail(DisconnectReason::LogonExpected);
            return Verdict::Handled;
        }
        if let Some(verdict) = self.check_names_and_time(&head, logging_on, time, out) {
            return verdict;
        }
        // These have a number of their own choice: a logon that starts again, and a reset.
        let is_reset = head.kind == kind::SEQUENCE_RESET && fields.find(tag::GAP_FILL_FLAG) != Some(b"Y");
        let any_number = is_reset || (head.resets && matches!(self.role, Role::Acceptor(_)));
        if head.number < self.expected && !any_number {
            return self.too_low(&head, time, out);
        }
        self.heard(time);
        if head.number > self.expected && !any_number {
            self.ahead(&head, fields, fault, time, out);
            return Verdict::Ahead;
        }
        if let Some(fault) = fault.or_else(|| self.fault_of(&head, fields)) {
            self.reject(&head, fault, time, out);
            if fault.reason == RejectReason::SendingTimeAccuracy {
                self.break_off(DisconnectReason::SendingTime, b"OrigSendingTime is after SendingTime", time, out);
            } else if logging_on {
                self.break_off(DisconnectReason::LogonExpected, b"logon is not acceptable", time, out);
            }
            self.advance(head.number + 1);
            return head.rejected();
        }
        self.next(&head, fields, time, out)
    }

    /// The application message judged last is dealt with.
    #[inline]
    pub(in crate::gateway) fn took(&mut self) {
        self.advance(self.expected + 1);
    }

    /// Refuses a message for a field of it. It counts as received.
    pub(super) fn reject(&mut self, head: &Head<'_>, fault: Fault, time: Nanos, out: &mut Outgoing) {
        self.own(kind::REJECT, time, out, |message| {
            message.number(b"45=", head.number);
            if fault.tag > 0 {
                message.number(b"371=", u64::from(fault.tag));
            }
            message.bytes(b"372=", head.kind_text).number(b"373=", u64::from(fault.reason as u8));
            message.text(b"58=", explain(fault.reason), 60);
        });
    }

    /// Refuses the application message judged last for a field of it.
    pub(super) fn reject_field(&mut self, fields: &Fields<'_>, fault: Fault, time: Nanos, out: &mut Outgoing) {
        if let Some(head) = Head::new(fields) {
            self.reject(&head, fault, time, out);
        }
    }

    /// Refuses an application message of a type that is not taken here.
    pub(super) fn unsupported(&mut self, fields: &Fields<'_>, time: Nanos, out: &mut Outgoing) {
        let Some(head) = Head::new(fields) else { return };
        if !is_standard_type(head.kind_text) {
            let fault = Fault { tag: tag::MSG_TYPE, reason: RejectReason::InvalidMsgType };
            return self.reject(&head, fault, time, out);
        }
        self.own(kind::BUSINESS_MESSAGE_REJECT, time, out, |message| {
            message.number(b"45=", head.number).bytes(b"372=", head.kind_text).number(b"380=", UNSUPPORTED_TYPE);
            message.text(b"58=", b"unsupported message type", 60);
        });
    }

    fn check_names_and_time(
        &mut self,
        head: &Head<'_>,
        logging_on: bool,
        time: Nanos,
        out: &mut Outgoing,
    ) -> Option<Verdict> {
        let strangers =
            head.sender != Some(self.rules.target.as_bytes()) || head.target != Some(self.rules.sender.as_bytes());
        let sent = head.sending_time.map(|text| self.times.read(text));
        let off = |sent: Nanos| sent.since(time).max(time.since(sent)) > self.rules.sending_time_tolerance_ns;
        let (fault, reason, text) = if strangers {
            let tag = if head.sender == Some(self.rules.target.as_bytes()) {
                tag::TARGET_COMP_ID
            } else {
                tag::SENDER_COMP_ID
            };
            let fault = Fault { tag, reason: RejectReason::CompIdProblem };
            (fault, Some(DisconnectReason::CompIds), &b"CompID problem"[..])
        } else {
            let fault = |reason| Fault { tag: tag::SENDING_TIME, reason };
            match sent {
                None => (fault(RejectReason::RequiredTagMissing), None, &b""[..]),
                Some(None) => (fault(RejectReason::IncorrectFormat), None, &b""[..]),
                Some(Some(sent)) if off(sent) => {
                    let text = &b"SendingTime accuracy problem"[..];
                    (fault(RejectReason::SendingTimeAccuracy), Some(DisconnectReason::SendingTime), text)
                }
                Some(Some(_)) => return None,
            }
        };
        // A logon from somebody else is answered by closing; nothing of this session is his to know.
        if !logging_on {
            self.reject(head, fault, time, out);
        }
        match reason {
            Some(reason) => self.break_off(reason, text, time, out),
            None if logging_on => {
                self.break_off(DisconnectReason::LogonExpected, b"logon is not acceptable", time, out)
            }
            None if head.number == self.expected => {
                self.advance(head.number + 1);
                return Some(head.rejected());
            }
            None => {}
        }
        Some(Verdict::Handled)
    }

    /// Seen before, if it says so; else the two sides disagree about the past.
    fn too_low(&mut self, head: &Head<'_>, time: Nanos, out: &mut Outgoing) -> Verdict {
        if head.poss_dup {
            self.heard(time);
            if let Some(fault) = self.fault_of_duplicate(head) {
                self.reject(head, fault, time, out);
                if fault.reason == RejectReason::SendingTimeAccuracy {
                    self.break_off(DisconnectReason::SendingTime, b"OrigSendingTime is after SendingTime", time, out);
                }
            }
            return Verdict::Duplicate;
        }
        let (expected, received) = (self.expected, head.number);
        self.own(kind::LOGOUT, time, out, |message| {
            message.raw(b"58=MsgSeqNum too low, expecting ").digits(expected).raw(b" but received ").digits(received);
            message.raw(&[crate::wire::fix::SOH]);
        });
        self.fail(DisconnectReason::SequenceTooLow);
        Verdict::Handled
    }

    /// Beyond the one expected. A logon, a logout and a resend request are answered all the same: the two sides could
    /// otherwise wait for each other.
    fn ahead(&mut self, head: &Head<'_>, fields: &Fields<'_>, fault: Option<Fault>, time: Nanos, out: &mut Outgoing) {
        let sound = fault.or_else(|| self.fault_of(head, fields)).is_none();
        match head.kind {
            kind::LOGON if sound => {
                self.logon(head, fields, time, out);
            }
            kind::LOGOUT => return self.logout(time, out),
            kind::RESEND_REQUEST if sound => {
                if let Err(fault) = self.resend_asked(head, fields, time, out) {
                    self.reject(head, fault, time, out);
                }
            }
            _ => {}
        }
        if self.is_up() {
            self.missing_before(head.number, time, out);
        }
    }

    /// The first fault of the fields.
    #[inline]
    fn fault_of(&mut self, head: &Head<'_>, fields: &Fields<'_>) -> Option<Fault> {
        if head.poss_dup
            && let Some(fault) = self.fault_of_duplicate(head)
        {
            return Some(fault);
        }
        spec(head.kind)?.check(fields, self.rules.strict).err()
    }

    fn fault_of_duplicate(&mut self, head: &Head<'_>) -> Option<Fault> {
        let fault = |reason| Some(Fault { tag: tag::ORIG_SENDING_TIME, reason });
        let Some(first) = head.orig_sending_time else { return fault(RejectReason::RequiredTagMissing) };
        let Some(first) = self.times.read(first) else { return fault(RejectReason::IncorrectFormat) };
        let sent = head.sending_time.and_then(|text| self.times.read(text)).unwrap_or_default();
        if first > sent { fault(RejectReason::SendingTimeAccuracy) } else { None }
    }

    /// The message expected, whose fields are in order.
    #[inline]
    fn next(&mut self, head: &Head<'_>, fields: &Fields<'_>, time: Nanos, out: &mut Outgoing) -> Verdict {
        match head.kind {
            kind::HEARTBEAT | kind::REJECT => {
                if head.kind == kind::REJECT {
                    return Verdict::Application(kind::REJECT);
                }
            }
            kind::TEST_REQUEST => {
                let test = fields.find(tag::TEST_REQ_ID).unwrap_or_default();
                self.own(kind::HEARTBEAT, time, out, |message| {
                    message.text(b"112=", test, 120);
                });
            }
            kind::RESEND_REQUEST => {
                if let Err(fault) = self.resend_asked(head, fields, time, out) {
                    self.reject(head, fault, time, out);
                }
            }
            kind::SEQUENCE_RESET => return self.sequence_reset(head, fields, time, out),
            kind::LOGOUT => {
                self.advance(head.number + 1);
                self.logout(time, out);
                return Verdict::Handled;
            }
            kind::LOGON => {
                if self.logon(head, fields, time, out) {
                    self.advance(head.number + 1);
                }
                return Verdict::Handled;
            }
            kind if spec(kind).is_some() => return Verdict::Application(kind),
            _ => return Verdict::Unknown,
        }
        self.advance(head.number + 1);
        Verdict::Handled
    }

    /// The other side's logon; false when the session does not stand.
    fn logon(&mut self, head: &Head<'_>, fields: &Fields<'_>, time: Nanos, out: &mut Outgoing) -> bool {
        let heartbeat = fields.find(tag::HEART_BT_INT).and_then(number);
        let encrypted = fields.find(tag::ENCRYPT_METHOD).is_some_and(|method| method != b"0");
        let (Some(heartbeat), false) = (heartbeat, encrypted) else {
            self.break_off(DisconnectReason::LogonExpected, b"logon is not acceptable", time, out);
            return false;
        };
        match (&self.role, self.state) {
            (Role::Initiator(_), State::LoggingOn { .. }) => {
                if head.resets && !self.reset_sent {
                    self.break_off(DisconnectReason::ResetUnasked, b"reset was not asked for", time, out);
                    return false;
                }
            }
            (Role::Acceptor(client), State::LoggingOn { .. }) => {
                let raw_data = fields.find(tag::RAW_DATA).unwrap_or_default();
                let logon_ms = raw_data.split(|byte| *byte == b'.').next().and_then(number).unwrap_or(0);
                let known = client.as_ref().is_none_or(|client| {
                    fields.find(tag::USERNAME) == Some(client.username.as_bytes())
                        && fields.find(tag::PASSWORD) == Some(Password::new(raw_data, &client.secret).as_bytes())
                        && logon_ms > self.logon_ms
                });
                if !known {
                    self.break_off(
                        DisconnectReason::Refused,
                        b"unknown client, wrong password or old timestamp",
                        time,
                        out,
                    );
                    return false;
                }
                self.logon_ms = logon_ms;
                self.cancels_on_disconnect = fields.find(tag::CANCEL_ON_DISCONNECT) == Some(b"Y");
                self.answer_logon(heartbeat, head.resets, time, out);
            }
            // Within a session only a new start has a meaning.
            (Role::Acceptor(_), State::Up) if head.resets => self.answer_logon(heartbeat, true, time, out),
            _ => {
                self.break_off(DisconnectReason::SecondLogon, b"already logged on", time, out);
                return false;
            }
        }
        self.established(heartbeat);
        true
    }

    fn answer_logon(&mut self, heartbeat: u64, reset: bool, time: Nanos, out: &mut Outgoing) {
        if reset {
            self.reset();
        }
        self.own(kind::LOGON, time, out, |message| {
            message.byte(b"98=", b'0').number(b"108=", heartbeat);
            if reset {
                message.byte(b"141=", b'Y');
            }
        });
    }

    /// Answers a logout that was not asked for; either way the session is over.
    fn logout(&mut self, time: Nanos, out: &mut Outgoing) {
        if self.state == State::Up {
            self.own(kind::LOGOUT, time, out, |_| {});
        }
        self.fail(DisconnectReason::LoggedOut);
    }

    fn resend_asked(
        &mut self,
        head: &Head<'_>,
        fields: &Fields<'_>,
        time: Nanos,
        out: &mut Outgoing,
    ) -> Result<(), Fault> {
        let read = |tag| {
            let fault = Fault { tag, reason: RejectReason::IncorrectFormat };
            fields.find(tag).and_then(number).ok_or(fault)
        };
        let (from, to) = (read(tag::BEGIN_SEQ_NO)?, read(tag::END_SEQ_NO)?);
        debug_assert!(head.kind == kind::RESEND_REQUEST);
        if from == 0 || (to != 0 && to < from) || from >= self.next_outgoing() {
            let tag = if from == 0 || to == 0 || to >= from { tag::BEGIN_SEQ_NO } else { tag::END_SEQ_NO };
            return Err(Fault { tag, reason: RejectReason::ValueIncorrect });
        }
        self.resend(from, to, time, out);
        Ok(())
    }

    fn sequence_reset(&mut self, head: &Head<'_>, fields: &Fields<'_>, time: Nanos, out: &mut Outgoing) -> Verdict {
        let fills = fields.find(tag::GAP_FILL_FLAG) == Some(b"Y");
        let next = fields.find(tag::NEW_SEQ_NO).and_then(number);
        let reason = match next {
            None => RejectReason::IncorrectFormat,
            Some(next) if fills && next <= head.number => RejectReason::ValueIncorrect,
            Some(next) if next < self.expected => RejectReason::ValueIncorrect,
            Some(next) => {
                self.advance(next);
                return Verdict::Handled;
            }
        };
        self.reject(head, Fault { tag: tag::NEW_SEQ_NO, reason }, time, out);
        if fills {
            self.advance(head.number + 1);
        }
        Verdict::Handled
    }
}

/// The header of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    /// As [`kind`] has it; 0 when it has none such.
    pub(super) kind: u8,
    pub(super) kind_text: &'a [u8],
    pub(super) number: u64,
    sender: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
    sending_time: Option<&'a [u8]>,
    orig_sending_time: Option<&'a [u8]>,
    poss_dup: bool,
    /// A logon that starts both directions again.
    resets: bool,
}

impl<'a> Head<'a> {
    /// `None` without a type or a number. Stops at the first field that belongs to no header but a logon's flag.
    #[inline]
    fn new(fields: &Fields<'a>) -> Option<Self> {
        let mut head = Self {
            kind: 0,
            kind_text: &[],
            number: 0,
            sender: None,
            target: None,
            sending_time: None,
            orig_sending_time: None,
            poss_dup: false,
            resets: false,
        };
        for (tag, value) in fields.iter() {
            match tag {
                tag::MSG_TYPE if head.kind_text.is_empty() => head.kind_text = value,
                tag::MSG_SEQ_NUM if head.number == 0 => head.number = number(value)?,
                tag::SENDER_COMP_ID => head.sender = head.sender.or(Some(value)),
                tag::TARGET_COMP_ID => head.target = head.target.or(Some(value)),
                tag::SENDING_TIME => head.sending_time = head.sending_time.or(Some(value)),
                tag::ORIG_SENDING_TIME => head.orig_sending_time = Some(value),
                tag::POSS_DUP_FLAG => head.poss_dup = value == b"Y",
                tag::RESET_SEQ_NUM_FLAG => head.resets = value == b"Y",
                _ => {}
            }
        }
        head.kind = kind::of(head.kind_text);
        head.resets &= head.kind == kind::LOGON;
        (head.number > 0 && !head.kind_text.is_empty()).then_some(head)
    }
}

impl Head<'_> {
    /// What rejecting it means.
    fn rejected(&self) -> Verdict {
        if kind::is_session(self.kind) { Verdict::Handled } else { Verdict::Rejected }
    }
}

/// Whether FIX 4.4 has a message of this type.
fn is_standard_type(kind: &[u8]) -> bool {
    match kind {
        [letter] => letter.is_ascii_alphanumeric() && !matches!(letter, b'O' | b'U'),
        [b'A', letter] => letter.is_ascii_uppercase(),
        [b'B', letter] => (b'A'..=b'H').contains(letter),
        _ => false,
    }
}

fn explain(reason: RejectReason) -> &'static [u8] {
    match reason {
        RejectReason::InvalidTagNumber => b"invalid tag number",
        RejectReason::RequiredTagMissing => b"required tag missing",
        RejectReason::TagNotDefinedForType => b"tag not defined for this message type",
        RejectReason::NoValue => b"tag specified without a value",
        RejectReason::ValueIncorrect => b"value is incorrect (out of range) for this tag",
        RejectReason::IncorrectFormat => b"incorrect data format for value",
        RejectReason::CompIdProblem => b"CompID problem",
        RejectReason::SendingTimeAccuracy => b"SendingTime accuracy problem",
        RejectReason::InvalidMsgType => b"invalid MsgType",
        RejectReason::RepeatedTag => b"tag appears more than once",
        RejectReason::OutOfOrder => b"tag specified out of required order",
        RejectReason::GroupOutOfOrder => b"repeating group fields out of order",
        RejectReason::GroupCount => b"incorrect NumInGroup count for repeating group",
        RejectReason::Other => b"more fields than are read",
    }
}
