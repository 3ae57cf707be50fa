//! The binary order session against a venue that says anything, in any order, cut anywhere.
//!
//! What this end says is a stream of whole frames, numbered without a hole on each connection; orders are answered once;
//! none begins to leave while the way out is shut; what is offered again is what was not taken.

use hedgecore::event::{Event, KillLevel};
use hedgecore::gateway::{Gateway, SessionConfig};
use hedgecore::risk::Instruction;
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use zerocopy::byteorder::little_endian::{I32, I64};
use zerocopy::{FromBytes, FromZeros};

use super::rig::{Answers, Approver, PRICE, VENUE_PERPETUAL, is_shut};
use super::script::{Script, chances};

const STEPS_MAX: usize = 400;

struct World {
    gateway: Gateway,
    approver: Approver,
    answers: Answers,
    now: Nanos,
    events: Vec<Event>,
    inbox: Vec<u8>,
    torn: Vec<u8>,
    /// The number of our last frame on this connection.
    said: Option<i64>,
    /// The number of the venue's next message.
    number: i64,
    executions: i64,
}

pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.answers.hear(&std::mem::take(&mut world.events));
    }
    world.break_off();
    world.answers.hear(&world.events);
    world.answers.all();
}

impl World {
    fn new() -> Self {
        let approver = Approver::new();
        let mut gateway = Gateway::new(SessionConfig::new("desk-7", "swordfish").expect("both fit"));
        let (now, mut events) = (Nanos::from_secs(1), Vec::new());
        gateway.step(&approver.reference(), now, &mut events);
        gateway.connected(now);
        Self {
            gateway,
            approver,
            answers: Answers::default(),
            now,
            events,
            inbox: Vec::new(),
            torn: Vec::new(),
            said: None,
            number: 1,
            executions: 0,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(16) {
            0..=2 => {
                if self.gateway.has_room()
                    && let Some((order, instruction)) = self.approver.order(1 + script.below(9) as u32)
                {
                    self.answers.asked(order);
                    self.take(&instruction);
                }
            }
            3 => {
                let order = 1 + script.below(8);
                self.approver.cancel(order).iter().for_each(|instruction| self.take(instruction));
            }
            4 => self.approver.cancel_all().iter().for_each(|instruction| self.take(instruction)),
            5 => {
                let levels = [KillLevel::Open, KillLevel::Pause, KillLevel::ReduceOnly, KillLevel::Halt];
                self.take(&Instruction::Level(levels[script.below(4) as usize]));
            }
            6..=7 => self.write(1 + script.below(400) as usize),
            8..=11 => self.say(script),
            12 => self.say_anything(script),
            13 => self.break_off(),
            14 if script.once_in(8) => self.gateway.log_out(self.now),
            _ => {
                self.now.0 += script.below(15_000) * Nanos::PER_MILLI;
                self.gateway.tick(self.now, &mut self.events);
            }
        }
        let cut = if script.once_in(3) { script.below(60) as usize } else { 0 };
        self.read(cut);
    }

    fn take(&mut self, instruction: &Instruction) {
        if self.gateway.has_room() {
            self.gateway.step(instruction, self.now, &mut self.events);
        }
    }

    fn break_off(&mut self) {
        (self.inbox, self.torn, self.said) = (Vec::new(), Vec::new(), None);
        self.gateway.disconnected(self.now, &mut self.events);
        assert!(self.gateway.pending().is_empty(), "what was not written is taken back");
        self.now.0 += 10 * Nanos::PER_MILLI;
        self.gateway.connected(self.now);
    }

    /// The socket takes up to so many bytes.
    fn write(&mut self, bytes: usize) {
        let taken = self.gateway.pending().len().min(bytes);
        let mut is_begun = !self.torn.is_empty();
        self.torn.extend_from_slice(&self.gateway.pending()[..taken]);
        self.gateway.written(taken, Ticks(1), &mut self.events);
        while let Some(frame) = next_frame(&self.torn).expect("what is said is framed") {
            let number = frame.header.sequence_number.get();
            let message = frame.message().expect("what is said can be read");
            assert!(self.said.is_none_or(|last| number == last + 1), "number {number} after {:?}", self.said);
            let is_order = matches!(message, Message::NewOrderRequest(_) | Message::AmendOrderRequest(_));
            let is_shut = is_shut(&self.gateway);
            assert!(!(is_order && is_shut && !is_begun), "an order left while the way out was shut");
            (self.said, is_begun) = (Some(number), false);
            let length = frame.bytes();
            self.torn.drain(..length);
        }
    }

    /// All but the last `held` bytes of what the venue said arrive.
    fn read(&mut self, held: usize) {
        let here = self.inbox.len().saturating_sub(held);
        let taken = self.gateway.receive(&self.inbox[..here], self.now, &mut self.events);
        assert!(taken <= here);
        self.inbox.drain(..taken);
        if self.gateway.wants_disconnect() {
            self.break_off();
        }
    }

    /// A message that a venue may send, under a number that it may not.
    fn say(&mut self, script: &mut Script<'_>) {
        let (number, flags) = match script.below(8) {
            0 => (self.number - 1 - script.below(4) as i64, FLAG_RESEND),
            1 => (self.number + script.below(6) as i64, 0),
            2 => (script.word() as i64, script.below(4) as u8),
            _ => {
                self.number += 1;
                (self.number - 1, 0)
            }
        };
        let envelope = Envelope { flags, sequence: number, last_processed: 0, send_time_ns: 1 };
        let mut buffer = vec![0; 2_048];
        let length = self.message(script, &mut buffer, &envelope).expect("room");
        self.inbox.extend_from_slice(&buffer[..length]);
    }

    fn message(&mut self, script: &mut Script<'_>, free: &mut [u8], envelope: &Envelope) -> Result<usize, NoRoom> {
        let bare = |encoder: Encoder<'_>| encoder.finish();
        let order = I64::new(1 + script.below(9) as i64);
        match script.below(12) {
            0..=2 => {
                self.number = envelope.sequence.saturating_add(1);
                bare(Encoder::new(free, envelope, &LogonConf { heartbeat_interval_seconds: I32::new(10) })?)
            }
            3 => bare(Encoder::new(free, envelope, &Heartbeat { correlation_id: I64::ZERO })?),
            4 => bare(Encoder::new(free, envelope, &TestRequest { correlation_id: I64::new(5) })?),
            5 => {
                let mut fill = GapFill::new_zeroed();
                let bytes = zerocopy::IntoBytes::as_mut_bytes(&mut fill);
                let theirs = script.bytes(bytes.len());
                bytes[..theirs.len()].copy_from_slice(theirs);
                bare(Encoder::new(free, envelope, &fill)?)
            }
            6 => Encoder::new(free, envelope, &LoggedOut {})?.text(b"enough")?.finish(),
            7 => {
                let mut reject = NewOrderReject::new_zeroed();
                (reject.client_order_id, reject.reason) = (order, script.below(40) as i8);
                reject.instrument_id = I64::new(i64::from(VENUE_PERPETUAL));
                Encoder::new(free, envelope, &reject)?.text(b"no")?.finish()
            }
            8..=9 => {
                let mut response = NewOrderResponse::new_zeroed();
                (response.client_order_id, response.order_id) = (order, I64::new(1_000));
                response.instrument_id = I64::new(i64::from(VENUE_PERPETUAL));
                (response.side, response.status) = (-1, script.below(6) as i8);
                let fills: Vec<Fill> = (0..script.below(4)).map(|_| self.fill(script)).collect();
                response.total_filled = fills.first().map_or(Decimal72::NULL, |fill| fill.fill_qty);
                Encoder::new(free, envelope, &response)?.group(&fills)?.group::<Leg>(&[])?.finish()
            }
            10 => {
                let mut reject = CancelOrderReject::new_zeroed();
                (reject.client_order_id, reject.reason) = (order, script.below(40) as i8);
                Encoder::new(free, envelope, &reject)?.text(b"no")?.finish()
            }
            _ => {
                let mut gone = CanceledOrder::new_zeroed();
                (gone.client_order_id, gone.cancel_reason) = (order, script.below(20) as i8);
                gone.instrument_id = I64::new(i64::from(VENUE_PERPETUAL));
                Encoder::new(free, envelope, &OrdersCanceled::new_zeroed())?.group(&[gone])?.finish()
            }
        }
    }

    fn fill(&mut self, script: &mut Script<'_>) -> Fill {
        self.executions += 1;
        let fill_qty = if script.once_in(8) {
            Decimal72 { mantissa: I64::new(script.word() as i64), exponent: script.below(256) as u8 as i8 }
        } else {
            Quantity(super::rig::LOT).into()
        };
        Fill { match_id: I64::new(self.executions), fill_price: I64::new(PRICE.0), fill_qty }
    }

    /// Bytes that nobody meant, in a frame or not.
    fn say_anything(&mut self, script: &mut Script<'_>) {
        let (framed, kind) = (script.below(4) > 0, script.below(400) as u16);
        let body = script.bytes(160);
        let mut bytes = if framed { vec![0; HEADER_BYTES] } else { Vec::new() };
        bytes.extend_from_slice(body);
        if framed {
            let (header, _) = Header::mut_from_prefix(&mut bytes).expect("a header");
            header.protocol_id = PROTOCOL_ID;
            header.message_length = ((HEADER_BYTES + body.len()) as u16).into();
            header.message_type_id = kind.into();
            header.sequence_number = I64::new(self.number);
            self.number += 1;
        }
        self.inbox.extend_from_slice(&bytes);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(8, 400)
}
