//! A FIX session, both ends live, over a connection that breaks, stalls and carries bytes nobody meant.
//!
//! What this end says is a stream of whole messages whatever it hears; orders are answered once; none begins to leave
//! while the way out is shut. Where the stream was left alone, an execution is told once and only if it happened.

use std::collections::BTreeSet;

use hedgecore::event::{Body, Event, KillLevel};
use hedgecore::gateway::Gateway;
use hedgecore::gateway::fix::{Acceptor, ClientRequest, Credentials, FixConfig, FixRules, NonceSeed, Taken};
use hedgecore::risk::Instruction;
use hedgecore::units::*;
use hedgecore::wire::fix::{Next, Tape, kind, next_frame, tag};

use super::rig::{Answers, Approver, is_shut};
use super::script::{Script, chances};

const START: Nanos = Nanos(1_795_374_000 * Nanos::PER_SECOND);
/// Things that happen at most.
const STEPS_MAX: usize = 400;

struct World {
    gateway: Gateway,
    venue: Acceptor,
    approver: Approver,
    answers: Answers,
    now: Nanos,
    events: Vec<Event>,
    to_venue: Vec<u8>,
    to_client: Vec<u8>,
    /// Of what the client said, what is no whole message yet.
    torn: Vec<u8>,
    spoken: [Vec<u8>; 2],
    executed: BTreeSet<u64>,
    executions: u64,
    told: BTreeSet<u64>,
    meddled: bool,
}

pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.hold();
    }
    world.break_off();
    world.hold();
    world.answers.all();
}

impl World {
    fn new() -> Self {
        let credentials = || Credentials::new("key", "swordfish").expect("both fit");
        let ours = FixRules { heartbeat_s: 10, ..FixRules::new("DESK", "VENUE").expect("names") };
        let theirs = FixRules::new("VENUE", "DESK").expect("names");
        let approver = Approver::new();
        let mut gateway = Gateway::new(FixConfig::new(ours, credentials(), NonceSeed([7; 32])));
        let mut events = Vec::new();
        gateway.step(&approver.reference(), START, &mut events);
        let mut world = Self {
            gateway,
            venue: Acceptor::new(theirs, Some(credentials())),
            approver,
            answers: Answers::default(),
            now: START,
            events,
            to_venue: Vec::new(),
            to_client: Vec::new(),
            torn: Vec::new(),
            spoken: [Vec::new(), Vec::new()],
            executed: BTreeSet::new(),
            executions: 0,
            told: BTreeSet::new(),
            meddled: false,
        };
        world.connect();
        world
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
            6..=8 => self.up(1 + script.below(2_000) as usize),
            9..=11 => self.down(1 + script.below(2_000) as usize),
            12 => self.meddle(script),
            13 => self.break_off(),
            14 if script.once_in(8) => self.gateway.log_out(self.now),
            _ => {
                self.now.0 += script.below(15_000) * Nanos::PER_MILLI;
                self.gateway.tick(self.now, &mut self.events);
                self.venue.tick(self.now);
            }
        }
        if self.gateway.wants_disconnect() || self.venue.closing().is_some() {
            self.break_off();
        }
    }

    fn take(&mut self, instruction: &Instruction) {
        if self.gateway.has_room() {
            self.gateway.step(instruction, self.now, &mut self.events);
        }
    }

    fn connect(&mut self) {
        self.now.0 += 10 * Nanos::PER_MILLI;
        self.venue.connected(self.now);
        self.gateway.connected(self.now);
    }

    fn break_off(&mut self) {
        (self.to_venue, self.to_client, self.torn) = (Vec::new(), Vec::new(), Vec::new());
        self.venue.disconnected();
        self.gateway.disconnected(self.now, &mut self.events);
        assert!(self.gateway.pending().is_empty(), "what was not written is taken back");
        self.connect();
    }

    /// Up to so many bytes of the client reach the venue, which answers.
    fn up(&mut self, bytes: usize) {
        let taken = self.gateway.pending().len().min(bytes);
        let said = self.gateway.pending()[..taken].to_vec();
        self.spoken[0].extend_from_slice(&said);
        self.listen(&said);
        self.gateway.written(taken, Ticks(1), &mut self.events);
        self.to_venue.extend_from_slice(&said);
        let stream = std::mem::take(&mut self.to_venue);
        let mut at = 0;
        loop {
            match self.venue.take(&stream[at..], self.now) {
                Taken::Incomplete => break,
                Taken::Session(taken) => at += taken,
                Taken::Request(taken, request) => {
                    at += taken;
                    self.answer(request);
                }
            }
        }
        self.to_venue = stream[at..].to_vec();
    }

    /// Whole messages, whatever was heard; and no order that begins to leave while the way out is shut.
    fn listen(&mut self, said: &[u8]) {
        let mut is_begun = !self.torn.is_empty();
        self.torn.extend_from_slice(said);
        let mut at = 0;
        loop {
            match next_frame(&self.torn[at..]) {
                Next::Frame(frame) => {
                    let (mut tape, is_shut) = (Tape::new(), is_shut(&self.gateway));
                    let (fields, fault) = tape.read(frame.body);
                    assert_eq!(fault, None, "what is said can be read");
                    let is_order = matches!(fields.find(tag::MSG_TYPE), Some(b"D" | b"G"));
                    assert!(!(is_order && is_shut && !is_begun), "an order left while the way out was shut");
                    is_begun = false;
                    at += frame.bytes;
                }
                Next::Incomplete => break,
                Next::Garbled(_) => panic!("garbled: {}", String::from_utf8_lossy(&self.torn[at..])),
            }
        }
        self.torn.drain(..at);
    }

    /// Fills an order at once, and knows none that rests.
    fn answer(&mut self, request: ClientRequest) {
        match request {
            ClientRequest::New { order, terms, .. } => {
                self.executions += 1;
                let execution = self.executions;
                self.executed.insert(execution);
                self.venue.send(kind::EXECUTION_REPORT, self.now, |report| {
                    report.number(b"37=", order).number(b"11=", order).number(b"41=", order).byte(b"39=", b'2');
                    report.byte(b"54=", if terms.side == Side::Buy { b'1' } else { b'2' });
                    report.bytes(b"55=", terms.symbol.as_bytes()).decimal_e9(b"14=", terms.qty);
                    report.number(b"1362=", 1).number(b"1363=", execution).decimal_e9(b"1364=", terms.price);
                    report.decimal_e9(b"1365=", terms.qty);
                });
            }
            ClientRequest::Cancel { order } => self.venue.send(kind::ORDER_CANCEL_REJECT, self.now, |reject| {
                reject.number(b"41=", order).byte(b"39=", b'8').text(b"58=", b"order_not_found", 60);
            }),
            ClientRequest::Replace { .. }
            | ClientRequest::CancelAll { .. }
            | ClientRequest::Positions { .. }
            | ClientRequest::OpenOrders { .. } => {}
        }
    }

    /// Up to so many bytes of the venue reach the client.
    fn down(&mut self, bytes: usize) {
        let taken = self.venue.pending().len().min(bytes);
        self.spoken[1].extend_from_slice(&self.venue.pending()[..taken]);
        self.to_client.extend_from_slice(&self.venue.pending()[..taken]);
        self.venue.written(taken);
        let taken = self.gateway.receive(&self.to_client, self.now, &mut self.events);
        assert!(taken <= self.to_client.len());
        self.to_client.drain(..taken);
    }

    /// Bytes that nobody meant, toward either end: alone, or around a message whose length and checksum hold.
    fn meddle(&mut self, script: &mut Script<'_>) {
        self.meddled = true;
        let (to_venue, framed) = (script.below(2) == 0, script.below(4) > 0);
        let (number, kind) = (script.below(40), script.bytes(2));
        let body = script.bytes(120);
        let bytes = if framed {
            let (sender, target) = if to_venue { ("DESK", "VENUE") } else { ("VENUE", "DESK") };
            let time = hedgecore::wire::fix::TimeWriter::default().write(self.now).to_vec();
            let (kind, time) = (String::from_utf8_lossy(kind), String::from_utf8_lossy(&time).into_owned());
            let head = format!("35={kind}|49={sender}|56={target}|34={number}|52={time}|").replace('|', "\x01");
            frame(&[head.as_bytes(), body, b"\x01"].concat())
        } else {
            body.to_vec()
        };
        let stream = if to_venue { &mut self.to_venue } else { &mut self.to_client };
        stream.extend_from_slice(&bytes);
    }

    fn hold(&mut self) {
        let events = std::mem::take(&mut self.events);
        self.answers.hear(&events);
        for event in &events {
            if let Body::Filled { execution, .. } = event.body
                && !self.meddled
            {
                assert!(self.executed.contains(&execution.0), "an execution that never was");
                assert!(self.told.insert(execution.0), "execution {} was told twice", execution.0);
            }
        }
    }
}

/// Length and checksum around a body.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("8=FIX.4.4\x019={}\x01", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend(format!("10={sum:03}\x01").bytes());
    bytes
}

/// What the two ends said in a quiet session: for the codec's corpus.
pub fn spoken() -> Vec<Vec<u8>> {
    let mut world = World::new();
    for order in 0..3 {
        world.up(usize::MAX);
        world.down(usize::MAX);
        let asked = world.approver.order(order + 1);
        asked.iter().for_each(|(_, instruction)| world.take(instruction));
    }
    world.gateway.log_out(world.now);
    world.up(usize::MAX);
    world.down(usize::MAX);
    assert!(world.executions > 0, "a quiet session trades");
    world.spoken.into()
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(8, 300)
}
