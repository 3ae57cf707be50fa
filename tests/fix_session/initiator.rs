//! A client's end, and venues that break the rules.

use crate::orders::new_order;
use crate::wire::*;
use hedgecore::event::{Body, Event};
use hedgecore::gateway::fix::{Credentials, FixConfig, FixRules, NonceSeed};
use hedgecore::gateway::{DisconnectReason, Gateway, ResetPolicy, SequenceNumbers, local_reason};
use hedgecore::instrument::Symbol;
use hedgecore::risk::Instruction;
use hedgecore::units::*;

pub(crate) const PERPETUAL: InstrumentId = InstrumentId(3);
pub(crate) const LOT: i64 = 10 * ONE_E9;

/// A gateway and, on the other side of the wire, a venue that says what the test tells it to.
pub(crate) struct Venue {
    pub gateway: Gateway,
    pub now: Nanos,
    pub events: Vec<Event>,
    /// Of the venue's next message.
    pub number: u64,
}

pub(crate) fn config() -> FixConfig {
    let rules = FixRules { heartbeat_s: 10, ..FixRules::new("DESK", "VENUE").expect("names") };
    FixConfig::new(rules, Credentials::new("key", "swordfish").expect("both fit"), NonceSeed([7; 32]))
}

/// How the venue measures and names the perpetual.
pub(crate) fn reference() -> Instruction {
    reference_of(PERPETUAL, 210_838, Symbol::new(b"BTC-PERPETUAL").expect("it fits"))
}

/// The same of another.
pub(crate) fn reference_of(instrument: InstrumentId, venue: u32, symbol: Symbol) -> Instruction {
    let (underlying, venue) = (UnderlyingId(0), VenueInstrumentId(venue));
    let (lot, contract) = (Quantity(LOT), Quantity(LOT));
    Instruction::Reference { instrument, underlying, venue, lot, contract, symbol }
}

impl Venue {
    pub(crate) fn with(config: FixConfig) -> Self {
        let mut venue = Self { gateway: Gateway::new(config), now: START, events: Vec::new(), number: 1 };
        venue.step(&reference());
        venue
    }

    /// Logged on, and nothing pending.
    pub(crate) fn up() -> Self {
        let mut venue = Self::with(config());
        venue.log_on();
        assert!(venue.gateway.ready());
        assert_eq!(venue.bodies(), [Body::Session { up: true }]);
        venue
    }

    pub(crate) fn log_on(&mut self) {
        self.gateway.connected(self.now);
        self.heard();
        let reset = if self.number == 1 { "141=Y|" } else { "" };
        self.say("A", &format!("98=0|108=10|{reset}"));
    }

    pub(crate) fn step(&mut self, instruction: &Instruction) {
        assert!(self.gateway.has_room());
        self.gateway.step(instruction, self.now, &mut self.events);
        self.gateway.encoded(Ticks(5));
    }

    pub(crate) fn script(&self, kind: &str, body: &str) -> Script {
        Script::new(["VENUE", "DESK"], self.number, self.now, kind, body)
    }

    pub(crate) fn say(&mut self, kind: &str, body: &str) {
        self.say_but(kind, body, |_| {});
    }

    pub(crate) fn say_but(&mut self, kind: &str, body: &str, change: impl FnOnce(&mut Script)) {
        let mut script = self.script(kind, body);
        change(&mut script);
        self.number += 1;
        let bytes = script.bytes();
        let taken = self.gateway.receive(&bytes, self.now, &mut self.events);
        assert!(taken == bytes.len() || self.gateway.wants_disconnect());
    }

    pub(crate) fn say_as(&mut self, number: u64, kind: &str, body: &str) {
        self.number = number;
        self.say(kind, body);
    }

    /// What the gateway said since the last call.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        let messages = shown(self.gateway.pending());
        self.gateway.written(self.gateway.pending().len(), Ticks(9), &mut self.events);
        messages
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.now.0 += SECOND / 10;
            self.gateway.tick(self.now, &mut self.events);
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.gateway.disconnected(self.now, &mut self.events);
    }

    /// Events since the last call, without the notices of what was sent.
    pub(crate) fn bodies(&mut self) -> Vec<Body> {
        self.events.drain(..).map(|event| event.body).filter(|body| !matches!(body, Body::Sent { .. })).collect()
    }

    fn assert_ended(&self, reason: DisconnectReason) {
        assert!(self.gateway.wants_disconnect());
        assert_eq!(self.gateway.disconnect_reason(), Some(reason));
    }
}

#[test]
fn a_logon_proves_who_we_are_and_opens_the_session() {
    let mut venue = Venue::with(config());
    venue.gateway.connected(venue.now);
    let text = String::from_utf8_lossy(venue.gateway.pending()).replace('\x01', "|");
    let expected = format!("95=58|96={}.", venue.now.0 / Nanos::PER_MILLI);
    assert!(text.contains("|98=0|108=10|141=Y|") && text.contains(&expected), "{text}");
    assert!(text.contains("|553=key|554=") && text.contains("|9001=Y|9002=Y|"), "{text}");
    assert!(!text.contains("swordfish") && !format!("{:?}", venue.gateway).contains("swordfish"));
    assert!(!venue.gateway.ready());
    venue.say("A", "98=0|108=10|141=Y|");
    assert!(venue.gateway.ready());
    assert_eq!(venue.bodies(), [Body::Session { up: true }]);
}

#[test]
fn each_logon_proves_with_a_later_time() {
    let mut venue = Venue::with(config());
    let mut seen = Vec::new();
    for _ in 0..3 {
        venue.gateway.connected(venue.now);
        let text = String::from_utf8_lossy(venue.gateway.pending()).into_owned();
        let raw = text.split("\x0196=").nth(1).and_then(|rest| rest.split('\x01').next()).expect("raw data").to_owned();
        seen.push(raw);
        venue.disconnect();
    }
    assert!(seen.windows(2).all(|pair| pair[0].split('.').next() < pair[1].split('.').next()), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].split('.').nth(1) != pair[1].split('.').nth(1)), "{seen:?}");
}

#[test]
fn a_logon_without_answer_times_out() {
    let mut venue = Venue::with(config());
    venue.gateway.connected(venue.now);
    venue.wait(20);
    assert!(!venue.gateway.wants_disconnect());
    venue.wait(1);
    venue.assert_ended(DisconnectReason::LogonTimeout);
}

#[test]
fn a_refused_logon_ends_the_connection() {
    let mut venue = Venue::with(config());
    venue.gateway.connected(venue.now);
    venue.say("5", "58=wrong password|");
    venue.assert_ended(DisconnectReason::LoggedOut);
    assert!(venue.bodies().is_empty());
}

#[test]
fn anything_but_a_logon_first_ends_the_connection() {
    let mut venue = Venue::with(config());
    venue.gateway.connected(venue.now);
    venue.say("0", "");
    venue.assert_ended(DisconnectReason::LogonExpected);
}

#[test]
fn a_reset_nobody_asked_for_ends_the_session() {
    let mut venue = Venue::up();
    venue.disconnect();
    venue.gateway.connected(venue.now);
    venue.say("A", "98=0|108=10|141=Y|");
    venue.assert_ended(DisconnectReason::ResetUnasked);
}

#[test]
fn a_number_too_high_asks_for_a_resend_and_holds_orders_until_it_came() {
    let mut venue = Venue::up();
    venue.say_as(4, "0", "");
    assert_eq!(venue.heard(), ["2#2 7=2 16=0"]);
    assert!(!venue.gateway.ready());
    venue.step(&new_order(1));
    assert!(matches!(venue.bodies()[..], [Body::Rejected { reason: local_reason::NOT_READY, .. }]));
    let header = format!("43=Y|122={}|", time(venue.now));
    venue.number = 2;
    venue.say_but("4", "123=Y|36=5|", |script| script.header = header);
    assert!(venue.gateway.ready());
    assert_eq!(
        venue.gateway.sequence_numbers(),
        SequenceNumbers { outgoing: 3, incoming: 5, ..venue.gateway.sequence_numbers() }
    );
}

#[test]
fn a_number_too_low_ends_the_session() {
    let mut venue = Venue::up();
    venue.say_as(1, "0", "");
    venue.assert_ended(DisconnectReason::SequenceTooLow);
    assert_eq!(venue.heard(), ["5#2 58"]);
}

#[test]
fn a_reconnection_resumes_and_recovers_before_it_is_ready() {
    let mut venue = Venue::up();
    venue.disconnect();
    assert_eq!(venue.bodies(), [Body::Session { up: false }]);
    venue.gateway.connected(venue.now);
    assert_eq!(venue.heard(), ["A#2 98=0 108=10"]);
    venue.say_as(4, "A", "98=0|108=10|");
    assert_eq!(venue.heard(), ["2#3 7=2 16=0"]);
    assert!(venue.bodies().is_empty());
    let header = format!("43=Y|122={}|", time(venue.now));
    venue.number = 2;
    venue.say_but("4", "123=Y|36=5|", |script| script.header = header);
    assert_eq!(venue.bodies(), [Body::Session { up: true }]);
}

#[test]
fn each_reset_policy_starts_where_it_says() {
    let mut venue = Venue::with(FixConfig { reset: ResetPolicy::EveryLogon, ..config() });
    for _ in 0..2 {
        venue.number = 1;
        venue.log_on();
        assert!(venue.gateway.ready());
        venue.disconnect();
    }
    let resume = SequenceNumbers { outgoing: 100, incoming: 50, logon_ms: 0 };
    let mut venue = Venue::with(FixConfig { reset: ResetPolicy::Never, resume, ..config() });
    venue.gateway.connected(venue.now);
    assert_eq!(venue.heard(), ["A#100 98=0 108=10"]);
    venue.say_as(50, "A", "98=0|108=10|");
    assert!(venue.gateway.ready());
}

#[test]
fn what_was_not_written_is_answered_and_gives_back_its_number() {
    let mut venue = Venue::up();
    venue.step(&new_order(1));
    let first = venue.gateway.pending().len();
    venue.step(&new_order(2));
    venue.gateway.written(first + 10, Ticks(9), &mut venue.events);
    venue.disconnect();
    let bodies = venue.bodies();
    assert!(matches!(bodies[0], Body::Rejected { order: ClientOrderId(2), reason: local_reason::NEVER_SENT, .. }));
    assert_eq!(bodies[1..], [Body::Session { up: false }]);
    assert_eq!(venue.gateway.sequence_numbers().outgoing, 3);
    venue.log_on();
    assert_eq!(venue.heard(), Vec::<String>::new());
    venue.say("2", "7=2|16=0|");
    let heard = venue.heard();
    assert!(heard[0].starts_with("D#2 43=Y 122 11=1 ") && heard[1] == "4#3 43=Y 122 123=Y 36=4", "{heard:?}");
}

#[test]
fn young_orders_are_sent_again_and_old_ones_are_filled_over() {
    let mut venue = Venue::up();
    venue.step(&new_order(1));
    venue.heard();
    venue.now.0 += SECOND * 9 / 10;
    venue.step(&new_order(2));
    venue.step(&crate::orders::cancel(1));
    venue.heard();
    venue.now.0 += SECOND / 2;
    venue.say("2", "7=2|16=0|");
    let heard = venue.heard();
    assert_eq!(heard[0], "4#2 43=Y 122 123=Y 36=3");
    assert!(heard[1].starts_with("D#3 43=Y 122 11=2 ") && heard[2].starts_with("F#4 43=Y 122 11=1 "), "{heard:?}");
}

#[test]
fn after_a_kill_no_order_is_sent_again() {
    let mut venue = Venue::up();
    venue.step(&new_order(1));
    venue.heard();
    venue.step(&new_order(2));
    venue.step(&Instruction::Level(hedgecore::event::KillLevel::Halt));
    assert!(matches!(venue.bodies()[..], [Body::Rejected { reason: local_reason::KILLED, .. }]));
    assert_eq!(venue.heard(), ["0#3"], "a heartbeat goes under the number of the order taken back");
    venue.say("2", "7=2|16=0|");
    assert_eq!(venue.heard(), ["4#2 43=Y 122 123=Y 36=4"]);
}

#[test]
fn a_silent_venue_is_tested_then_left() {
    let mut venue = Venue::up();
    venue.wait(13);
    assert_eq!(venue.heard(), ["0#2", "1#3 112=1"]);
    venue.wait(13);
    venue.assert_ended(DisconnectReason::Silence);
}

#[test]
fn a_logout_waits_for_the_venue_and_takes_no_more_orders() {
    let mut venue = Venue::up();
    venue.gateway.log_out(venue.now);
    assert_eq!(venue.heard(), ["5#2 58"]);
    venue.step(&new_order(1));
    assert!(matches!(
        venue.bodies()[..],
        [Body::Session { up: false }, Body::Rejected { reason: local_reason::NOT_READY, .. }]
    ));
    venue.say("5", "58=bye|");
    venue.assert_ended(DisconnectReason::LoggedOut);
    assert!(venue.heard().is_empty());
}

#[test]
fn a_report_that_is_rejected_stops_new_orders() {
    let mut venue = Venue::up();
    venue.say("8", "37=1|41=7|55=BTC-PERPETUAL|54=1|14=1|");
    assert_eq!(venue.heard(), ["3#2 45=2 371=39 372=8 373=1 58"]);
    venue.step(&new_order(1));
    assert!(matches!(venue.bodies()[..], [Body::Rejected { reason: local_reason::UNTRUSTED, .. }]));
}

#[test]
fn a_group_of_another_number_of_entries_than_it_says_is_rejected() {
    for fills in ["1362=2|1363=1|1364=100|1365=5|", "1362=1|1363=1|1364=100|1365=5|1363=2|1364=100|1365=5|"] {
        let mut venue = Venue::up();
        venue.say("8", &format!("37=1|41=7|39=2|55=BTC-PERPETUAL|54=1|14=10|{fills}"));
        assert_eq!(venue.heard(), ["3#2 45=2 371=1362 372=8 373=16 58"]);
        assert!(venue.bodies().is_empty(), "no fill of it is taken");
    }
}

#[test]
fn fields_of_a_group_out_of_their_order_are_rejected() {
    let mut venue = Venue::up();
    venue.say("8", "37=1|41=7|39=2|55=BTC-PERPETUAL|54=1|14=10|1362=1|1364=100|1363=1|1365=5|");
    assert_eq!(venue.heard(), ["3#2 45=2 371=1364 372=8 373=15 58"]);
    assert!(venue.bodies().is_empty());
}

#[test]
fn fields_and_messages_the_venue_adds_are_tolerated() {
    let mut venue = Venue::up();
    venue.say("8", "37=1|41=7|39=0|55=BTC-PERPETUAL|54=1|14=0|1700=x|100010=label|");
    venue.say("AI", "58=something new|");
    assert!(matches!(venue.bodies()[..], [Body::Accepted { order: ClientOrderId(7), .. }]));
    assert!(venue.heard().is_empty() && venue.gateway.ready());
    assert_eq!(venue.gateway.counters().unused_types, 1);
}
