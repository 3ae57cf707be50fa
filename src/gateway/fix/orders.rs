//! The client's end: requests as messages, and the messages of the venue handed to whom they concern.

use super::super::clerk::{Clerk, refusals};
use super::super::listing::Listed;
use super::super::local_reason;
use super::super::numbers::{AccountStatement, SequenceNumbers};
use super::super::outgoing::Note;
use super::super::reasons::DisconnectReason;
use super::super::stage::Protocol;
use super::account::Account;
use super::config::FixConfig;
use super::reports::{Known, Reports};
use super::rules::Verdict;
use super::session::{Session, State};
use crate::event::Event;
use crate::order::{Request, TimeInForce};
use crate::stage::{Full, Outbox};
use crate::units::{Quantity, Side};
use crate::wire::fix::{
    ExecutionReport, Fault, Fields, Next, PositionReport, Tape, Writer, kind, next_frame, number, tag,
};

/// The protocol's part of a gateway.
#[derive(Debug)]
pub(in crate::gateway) struct Fix {
    session: Session,
    tape: Tape,
    known: Known,
    account: Account,
}

impl Fix {
    pub(in crate::gateway) fn new(config: FixConfig) -> Self {
        Self {
            session: Session::initiator(config),
            tape: Tape::new(),
            known: Known::new(),
            account: Account::default(),
        }
    }

    #[inline]
    fn new_order(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        let Request::New { trail, decided, order, instrument, side, time_in_force, post_only, price, lots } = *request
        else {
            return Ok(());
        };
        let listed = self.admit(request, clerk)?;
        let amount = contracts(lots, &listed)?;
        let note = Note::New { order, instrument, trail, decided };
        self.request(kind::NEW_ORDER_SINGLE, note, clerk, |message| {
            message.number(b"11=", order.0).bytes(b"55=", listed.symbol.as_bytes()).byte(b"54=", side_byte(side));
            message.decimal_e9(b"38=", amount.0).decimal_e9(b"44=", price.0).byte(b"40=", b'2');
            message.byte(
                b"59=",
                match time_in_force {
                    TimeInForce::ImmediateOrCancel => b'3',
                    TimeInForce::GoodTilCancel => b'1',
                },
            );
            if post_only {
                message.bytes(b"18=", b"6A");
            }
        })?;
        self.known.put(order, instrument);
        clerk.counters.orders += 1;
        Ok(())
    }

    fn amend(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        let Request::Amend { order, instrument, side, price, lots, .. } = *request else { return Ok(()) };
        let listed = self.admit(request, clerk)?;
        let amount = contracts(lots, &listed)?;
        self.request(kind::ORDER_CANCEL_REPLACE_REQUEST, Note::Amend { order, instrument }, clerk, |message| {
            message.number(b"11=", order.0).bytes(b"55=", listed.symbol.as_bytes()).byte(b"54=", side_byte(side));
            message.decimal_e9(b"38=", amount.0).decimal_e9(b"44=", price.0);
        })?;
        self.known.put(order, instrument);
        clerk.counters.amends += 1;
        Ok(())
    }

    fn cancel(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        let Request::Cancel { order, instrument } = *request else { return Ok(()) };
        if !self.session.is_up() {
            return Err(local_reason::NOT_READY);
        }
        let listed = *clerk.listing.find(instrument).filter(|listed| is_named(listed)).ok_or(UNKNOWN)?;
        self.request(kind::ORDER_CANCEL_REQUEST, Note::Cancel { order, instrument }, clerk, |message| {
            message.number(b"11=", order.0).bytes(b"55=", listed.symbol.as_bytes());
        })?;
        self.known.put(order, instrument);
        clerk.counters.cancels += 1;
        Ok(())
    }

    /// What is known of the instrument of an order that may leave now.
    #[inline]
    fn admit(&self, request: &Request, clerk: &Clerk) -> Result<Listed, u8> {
        let (Request::New { instrument, lots, .. } | Request::Amend { instrument, lots, .. }) = *request else {
            return Err(UNKNOWN);
        };
        clerk
            .admit(self.session.is_whole(), instrument, lots)
            .and_then(|listed| if is_named(&listed) && listed.lot_contracts.0 > 0 { Ok(listed) } else { Err(UNKNOWN) })
    }

    #[inline]
    fn request(
        &mut self,
        kind: u8,
        note: Note,
        clerk: &mut Clerk,
        body: impl FnOnce(&mut Writer<'_>),
    ) -> Result<(), u8> {
        let number = self.session.next_outgoing();
        let sent = self.session.send(kind, note, clerk.time, &mut clerk.outgoing, body);
        sent.map_err(|_| local_reason::BUFFER_FULL)?;
        clerk.note(number as i64, note);
        Ok(())
    }
}

const UNKNOWN: u8 = local_reason::UNKNOWN_INSTRUMENT;

fn is_named(listed: &Listed) -> bool {
    !listed.symbol.as_bytes().is_empty()
}

#[inline]
fn contracts(lots: u32, listed: &Listed) -> Result<Quantity, u8> {
    i64::from(lots).checked_mul(listed.lot_contracts.0).map(Quantity).ok_or(local_reason::OUT_OF_RANGE)
}

fn side_byte(side: Side) -> u8 {
    match side {
        Side::Buy => b'1',
        Side::Sell => b'2',
    }
}

impl Protocol for Fix {
    fn connected(&mut self, clerk: &mut Clerk) {
        self.session.connected(clerk.time, &mut clerk.outgoing);
    }

    fn disconnected(&mut self, unsent: Option<i64>) {
        self.session.disconnected(unsent.and_then(|number| u64::try_from(number).ok()));
    }

    #[inline]
    fn send(&mut self, request: &Request, clerk: &mut Clerk) -> Result<(), u8> {
        match request {
            Request::New { .. } => self.new_order(request, clerk),
            Request::Amend { .. } => self.amend(request, clerk),
            Request::Cancel { .. } => self.cancel(request, clerk),
            Request::Quote { .. } | Request::Thaw { .. } => Err(local_reason::UNSUPPORTED),
            Request::CancelAll => Ok(()),
        }
    }

    fn cancel_all(&mut self, clerk: &mut Clerk) {
        if !clerk.cancel_all_due || !self.session.is_up() {
            return;
        }
        let number = self.session.next_outgoing();
        let sent = self.request(kind::ORDER_MASS_CANCEL_REQUEST, Note::CancelAll, clerk, |message| {
            message.number(b"11=", number).byte(b"530=", b'7');
        });
        if sent.is_ok() {
            clerk.counters.cancels += 1;
            clerk.cancel_all_due = false;
        }
    }

    fn withdraw_orders(&mut self, clerk: &mut Clerk) {
        clerk.withdraw_orders(|message| self.session.hollow(message));
    }

    fn hold_orders(&mut self, hold: bool) {
        self.session.hold_orders = hold;
    }

    #[inline]
    fn receive(&mut self, stream: &[u8], clerk: &mut Clerk, out: &mut impl Outbox<Event>) -> Result<usize, Full> {
        let frame = match next_frame(stream) {
            Next::Frame(frame) => frame,
            Next::Incomplete => return Ok(0),
            Next::Garbled(bytes) => {
                clerk.counters.garbled_bytes += bytes as u64;
                return Ok(bytes);
            }
        };
        let (fields, fault) = self.tape.read(frame.body);
        let time = clerk.time;
        match self.session.judge(&frame, &fields, fault, time, &mut clerk.outgoing) {
            Verdict::Handled => {}
            Verdict::Duplicate => clerk.counters.duplicates += 1,
            Verdict::Ahead => clerk.counters.gaps += 1,
            // What it said cannot be known.
            Verdict::Rejected => clerk.counters.malformed += 1,
            Verdict::Application(kind) => {
                let readable = report(kind, &fields, (&mut self.known, &mut self.account), clerk, out)?;
                if let Err(fault) = readable {
                    clerk.counters.malformed += 1;
                    self.session.reject_field(&fields, fault, time, &mut clerk.outgoing);
                }
                self.session.took();
            }
            Verdict::Unknown => {
                clerk.counters.unused_types += 1;
                self.session.took();
            }
        }
        clerk.counters.frames += 1;
        Ok(frame.bytes)
    }

    fn tick(&mut self, clerk: &mut Clerk) {
        self.session.tick(clerk.time, &mut clerk.outgoing);
    }

    fn log_out(&mut self, reason: &[u8], clerk: &mut Clerk) {
        self.session.log_out(reason, clerk.time, &mut clerk.outgoing);
    }

    fn is_down(&self) -> bool {
        self.session.state == State::Down
    }

    fn is_up(&self) -> bool {
        self.session.is_up()
    }

    fn is_whole(&self) -> bool {
        self.session.is_whole()
    }

    fn failed(&self) -> Option<DisconnectReason> {
        self.session.failed
    }

    fn failed_before(&self) -> Option<DisconnectReason> {
        self.session.failed_before
    }

    fn numbers(&self) -> SequenceNumbers {
        self.session.numbers()
    }

    fn ask_account(&mut self, clerk: &mut Clerk) -> bool {
        let request = self.session.next_outgoing();
        if !self.session.is_whole() {
            return false;
        }
        let positions = self.request(kind::REQUEST_FOR_POSITIONS, Note::Session, clerk, |message| {
            message.number(b"710=", request).byte(b"724=", b'0').byte(b"263=", b'0');
        });
        let orders = positions.and_then(|()| {
            self.request(kind::ORDER_MASS_STATUS_REQUEST, Note::Session, clerk, |message| {
                message.number(b"584=", request).byte(b"585=", b'7');
            })
        });
        self.account.ask(request);
        orders.is_ok()
    }

    fn account(&self) -> AccountStatement {
        self.account.statement
    }
}

/// Hands an application message on; a fault of its fields is the inner error.
#[inline]
fn report(
    kind: u8,
    fields: &Fields<'_>,
    (known, account): (&mut Known, &mut Account),
    clerk: &mut Clerk,
    out: &mut impl Outbox<Event>,
) -> Result<Result<(), Fault>, Full> {
    match kind {
        kind::EXECUTION_REPORT => match ExecutionReport::new(fields) {
            Ok(report) if account.takes(&report, fields) => {}
            Ok(report) => Reports { delivery: clerk.delivery(out), known }.execution(&report)?,
            Err(fault) => return Ok(Err(fault)),
        },
        kind::ORDER_CANCEL_REJECT => Reports { delivery: clerk.delivery(out), known }.cancel_reject(fields)?,
        kind::REJECT | kind::BUSINESS_MESSAGE_REJECT => {
            let refused = fields.find(tag::REF_SEQ_NUM).and_then(number);
            refused.into_iter().for_each(|number| account.refused(number));
            let note = refused.and_then(|number| clerk.noted(number as i64));
            let mut delivery = clerk.delivery(out);
            for answer in note.iter().flat_map(|note| refusals(note, local_reason::UNREADABLE)) {
                delivery.deliver(answer)?;
            }
            clerk.counters.rejects += 1;
        }
        kind::ORDER_MASS_CANCEL_REPORT => {
            let refused = fields.find(tag::MASS_CANCEL_RESPONSE).is_none_or(|response| response == b"0");
            clerk.counters.mass_cancel_rejects += u64::from(refused);
        }
        kind::POSITION_REPORT => match PositionReport::new(fields) {
            Ok(report) => account.positions(&report, clerk.delivery(out))?,
            Err(fault) => return Ok(Err(fault)),
        },
        _ => clerk.counters.unused_types += 1,
    }
    Ok(Ok(()))
}
