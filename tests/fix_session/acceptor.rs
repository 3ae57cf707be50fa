//! A venue's end, and clients that break the rules.

use crate::wire::*;
use hedgecore::gateway::DisconnectReason;
use hedgecore::gateway::fix::{Acceptor, ClientRequest, Credentials, FixRules, Taken};
use hedgecore::units::Nanos;
use hedgecore::wire::fix::{Password, RawData, SecretText, kind};

/// A scripted client at an acceptor.
pub(crate) struct Client {
    pub venue: Acceptor,
    pub now: Nanos,
    /// Of its next message.
    pub number: u64,
    pub asked: Vec<ClientRequest>,
}

const ORDER: &str = "11=7|55=BTC-PERPETUAL|54=1|38=5|44=100|40=2|59=3|";

impl Client {
    fn with(rules: impl FnOnce(&mut FixRules), credentials: Option<Credentials>) -> Self {
        let mut all = FixRules { strict: true, ..FixRules::new("VENUE", "DESK").expect("names") };
        rules(&mut all);
        let mut client = Self { venue: Acceptor::new(all, credentials), now: START, number: 1, asked: Vec::new() };
        client.venue.connected(client.now);
        client
    }

    /// Connected, not logged on.
    fn new() -> Self {
        Self::with(|_| {}, None)
    }

    /// Logged on, and nothing pending.
    pub(crate) fn up() -> Self {
        let mut client = Self::new();
        client.say("A", "98=0|108=10|");
        assert_eq!(client.heard(), ["A#1 98=0 108=10"]);
        assert!(client.venue.is_up());
        client
    }

    fn script(&self, kind: &str, body: &str) -> Script {
        let (sender, target, sent) = ("DESK".to_owned(), "VENUE".to_owned(), time(self.now));
        Script {
            kind: kind.into(),
            number: self.number,
            sender,
            target,
            sent,
            header: String::new(),
            body: body.into(),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut at = 0;
        loop {
            match self.venue.take(&bytes[at..], self.now) {
                Taken::Incomplete => break,
                Taken::Session(taken) => at += taken,
                Taken::Request(taken, request) => {
                    at += taken;
                    self.asked.push(request);
                }
            }
        }
    }

    /// The next message.
    pub(crate) fn say(&mut self, kind: &str, body: &str) {
        self.say_but(kind, body, |_| {});
    }

    /// The next message, with something else about it.
    fn say_but(&mut self, kind: &str, body: &str, change: impl FnOnce(&mut Script)) {
        let mut script = self.script(kind, body);
        change(&mut script);
        self.number += 1;
        self.send(&script.bytes());
    }

    /// A message under a number of choice.
    fn say_as(&mut self, number: u64, kind: &str, body: &str) {
        self.number = number;
        self.say(kind, body);
    }

    /// What the venue said since the last call.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        let messages = shown(self.venue.pending());
        self.venue.written(self.venue.pending().len());
        messages
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.now.0 += SECOND / 10;
            self.venue.tick(self.now);
        }
    }

    fn reconnect(&mut self) {
        self.venue.disconnected();
        self.venue.connected(self.now);
    }

    /// The message said last was rejected for this field and reason, and counts as received.
    fn assert_rejected(&mut self, tag: u32, reason: u8) {
        let refused = self.number - 1;
        let heard = self.heard();
        let [message] = &heard[..] else { panic!("one reject: {heard:?}") };
        let with = |field: String| message.split(' ').any(|part| part == field);
        assert!(message.starts_with("3#") && with(format!("45={refused}")), "{message}");
        assert!(with(format!("373={reason}")) && (tag == 0 || with(format!("371={tag}"))), "{message}");
        assert_eq!(self.venue.closing(), None, "the session goes on");
        assert_eq!(self.venue.sequence_numbers().incoming, self.number as i64);
        assert!(self.asked.is_empty());
        self.say("1", "112=still|");
        assert!(self.heard().iter().any(|message| message.ends_with("112=still")));
    }

    fn assert_ended(&mut self, reason: DisconnectReason, expected: &[&str]) {
        assert_eq!(self.venue.closing(), Some(reason));
        assert_eq!(self.heard(), expected);
    }
}

// Logon.

#[test]
fn logon_is_answered_with_logon() {
    Client::up();
}

#[test]
fn the_first_message_must_be_a_logon_or_the_connection_ends_without_a_word() {
    for (kind, body) in [("0", ""), ("1", "112=x|"), ("D", ORDER), ("5", ""), ("2", "7=1|16=0|"), ("4", "36=9|")] {
        let mut client = Client::new();
        client.say(kind, body);
        client.assert_ended(DisconnectReason::LogonExpected, &[]);
    }
}

#[test]
fn a_logon_that_does_not_come_ends_the_connection() {
    let mut client = Client::new();
    client.wait(9);
    assert_eq!(client.venue.closing(), None);
    client.wait(2);
    client.assert_ended(DisconnectReason::LogonTimeout, &[]);
}

#[test]
fn a_logon_without_a_heartbeat_interval_is_refused() {
    let mut client = Client::new();
    client.say("A", "98=0|");
    client.assert_ended(DisconnectReason::LogonExpected, &["3#1 45=1 371=108 372=A 373=1 58", "5#2 58"]);
}

#[test]
fn a_logon_with_encryption_is_refused() {
    let mut client = Client::new();
    client.say("A", "98=1|108=10|");
    client.assert_ended(DisconnectReason::LogonExpected, &["5#1 58"]);
}

#[test]
fn a_second_logon_ends_the_session() {
    let mut client = Client::up();
    client.say("A", "98=0|108=10|");
    client.assert_ended(DisconnectReason::SecondLogon, &["5#2 58"]);
}

#[test]
fn a_logon_with_reset_starts_both_directions_again() {
    let mut client = Client::up();
    client.say("D", ORDER);
    client.reconnect();
    client.say_as(1, "A", "98=0|108=10|141=Y|");
    assert_eq!(client.heard(), ["A#1 98=0 108=10 141=Y"]);
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn a_reset_within_a_session_is_a_logon_with_reset() {
    let mut client = Client::up();
    client.say("0", "");
    client.say_as(1, "A", "98=0|108=10|141=Y|");
    assert_eq!(client.heard(), ["A#1 98=0 108=10 141=Y"]);
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn a_logon_beyond_a_gap_is_answered_and_the_gap_asked_for() {
    let mut client = Client::new();
    client.say_as(5, "A", "98=0|108=10|");
    assert_eq!(client.heard(), ["A#1 98=0 108=10", "2#2 7=1 16=0"]);
    assert!(client.venue.is_up());
}

#[test]
fn a_logon_below_the_number_expected_is_refused() {
    let mut client = Client::up();
    client.say("0", "");
    client.reconnect();
    client.say_as(2, "A", "98=0|108=10|");
    client.assert_ended(DisconnectReason::SequenceTooLow, &["5#2 58"]);
}

#[test]
fn a_logon_resumes_the_numbers_of_the_session() {
    let mut client = Client::up();
    client.reconnect();
    client.say("A", "98=0|108=10|");
    assert_eq!(client.heard(), ["A#2 98=0 108=10"]);
}

#[test]
fn credentials_are_the_hash_of_a_rising_time_with_the_secret() {
    let credentials = || Some(Credentials::new("key", "swordfish").expect("both fit"));
    let logon = |name: &str, secret: &str, ms: u64| {
        let raw = RawData::new(ms, &[7; 32]);
        let password = Password::new(raw.as_bytes(), &SecretText::new(secret).expect("a secret"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (raw, password) = (text(raw.as_bytes()), text(password.as_bytes()));
        format!("98=0|108=10|95={}|96={raw}|553={name}|554={password}|9001=Y|9002=Y|", raw.len())
    };
    let mut client = Client::with(|_| {}, credentials());
    client.say("A", &logon("key", "swordfish", 5));
    assert_eq!(client.heard(), ["A#1 98=0 108=10"]);
    client.reconnect();
    client.say("A", &logon("key", "swordfish", 6));
    assert_eq!(client.heard(), ["A#2 98=0 108=10"]);
    for (name, secret, ms) in [("key", "swordfish", 6), ("key", "tuna", 7), ("lock", "swordfish", 7)] {
        client.reconnect();
        client.say("A", &logon(name, secret, ms));
        assert_eq!(client.venue.closing(), Some(DisconnectReason::Refused));
        assert!(client.heard()[0].starts_with("5#"));
        client.number -= 1;
    }
}

// Numbers.

#[test]
fn a_number_too_high_makes_a_resend_request_and_waits_for_it() {
    let mut client = Client::up();
    client.say_as(4, "D", ORDER);
    assert_eq!(client.heard(), ["2#2 7=2 16=0"]);
    client.say("D", ORDER);
    assert!(client.heard().is_empty(), "it was asked for already");
    assert!(client.asked.is_empty(), "orders keep their order");
    let again = format!("122={}|", time(client.now));
    for number in 2..=5 {
        client.number = number;
        client.say_but("D", ORDER, |script| script.header = format!("43=Y|{again}"));
    }
    assert_eq!(client.asked.len(), 4);
    assert_eq!(client.venue.sequence_numbers().incoming, 6);
}

#[test]
fn a_number_too_low_ends_the_session_with_what_was_expected() {
    let mut client = Client::up();
    client.say("0", "");
    client.say_as(2, "D", ORDER);
    let text = String::from_utf8_lossy(client.venue.pending()).into_owned();
    assert!(text.contains("58=MsgSeqNum too low, expecting 3 but received 2\x01"), "{text}");
    client.assert_ended(DisconnectReason::SequenceTooLow, &["5#2 58"]);
    assert!(client.asked.is_empty());
}

#[test]
fn a_message_without_a_number_ends_the_session() {
    for number in ["", "34=0|", "34=x|"] {
        let mut client = Client::up();
        let body = format!("35=0|49=DESK|56=VENUE|{number}52={}|", time(client.now));
        client.send(&frame(&body));
        client.assert_ended(DisconnectReason::NoSequence, &["5#2 58"]);
    }
}

#[test]
fn a_duplicate_that_says_so_is_passed_over() {
    let mut client = Client::up();
    client.say("D", ORDER);
    let header = format!("43=Y|122={}|", time(client.now));
    client.number = 2;
    client.say_but("D", ORDER, |script| script.header = header);
    assert_eq!((client.asked.len(), client.venue.closing()), (1, None));
    assert!(client.heard().is_empty());
    assert_eq!(client.venue.sequence_numbers().incoming, 3);
}

#[test]
fn a_possible_duplicate_not_seen_before_is_taken() {
    let mut client = Client::up();
    let header = format!("43=Y|122={}|", time(client.now));
    client.say_but("D", ORDER, |script| script.header = header);
    assert_eq!(client.asked.len(), 1);
}

#[test]
fn a_duplicate_without_its_first_sending_time_is_rejected() {
    let mut client = Client::up();
    client.say_but("D", ORDER, |script| script.header = "43=Y|".into());
    client.assert_rejected(122, 1);
}

#[test]
fn a_duplicate_first_sent_after_it_was_sent_ends_the_session() {
    let mut client = Client::up();
    let header = format!("43=Y|122={}|", time(Nanos(client.now.0 + SECOND)));
    client.say_but("D", ORDER, |script| script.header = header);
    client.assert_ended(DisconnectReason::SendingTime, &["3#2 45=2 371=122 372=D 373=10 58", "5#3 58"]);
}

// Messages that are none.

#[test]
fn a_garbled_checksum_is_passed_over_and_its_number_missed() {
    let mut client = Client::up();
    let mut bytes = client.script("D", ORDER).bytes();
    let digit = bytes.len() - 2;
    bytes[digit] = if bytes[digit] == b'0' { b'1' } else { b'0' };
    client.send(&bytes);
    assert!(client.heard().is_empty() && client.asked.is_empty());
    assert_eq!(client.venue.sequence_numbers().incoming, 2);
    client.say_as(3, "0", "");
    assert_eq!(client.heard(), ["2#2 7=2 16=0"]);
}

#[test]
fn a_wrong_body_length_is_passed_over() {
    for wrong in [-1i64, 1, 900, 99_999] {
        let mut client = Client::up();
        let text = String::from_utf8(client.script("D", ORDER).bytes()).expect("ASCII");
        let length: i64 = text.split('\x01').nth(1).and_then(|field| field[2..].parse().ok()).expect("a length");
        let bad = text.replacen(&format!("9={length}\x01"), &format!("9={}\x01", length + wrong), 1);
        let good = client.script("1", "112=x|").bytes();
        client.send(&[bad.as_bytes(), &good, &good[..0]].concat());
        if wrong < 900 || wrong == 99_999 {
            assert_eq!(client.heard(), ["0#2 112=x"], "{wrong}");
        }
        assert!(client.asked.is_empty());
    }
}

#[test]
fn the_first_three_fields_stand_in_order_or_the_message_is_passed_over() {
    let mut client = Client::up();
    let body = format!("49=DESK|35=D|56=VENUE|34=2|52={}|{ORDER}", time(client.now));
    client.send(&frame(&body));
    let text = String::from_utf8(client.script("D", ORDER).bytes()).expect("ASCII");
    let swapped = text.replacen("8=FIX.4.4\x01", "", 1);
    client.send(swapped.as_bytes());
    assert!(client.heard().is_empty() && client.asked.is_empty());
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn another_version_ends_the_session() {
    let mut client = Client::up();
    let text = String::from_utf8(client.script("0", "").bytes()).expect("ASCII");
    let mut bytes = text[..text.len() - 7].replace("FIX.4.4", "FIX.4.2").into_bytes();
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend(format!("10={sum:03}\x01").bytes());
    client.send(&bytes);
    client.assert_ended(DisconnectReason::Version, &["5#2 58"]);
}

// Names and times.

#[test]
fn wrong_comp_ids_are_rejected_and_end_the_session() {
    for (sender, target, tag) in [("OTHER", "VENUE", 49), ("DESK", "OTHER", 56)] {
        let mut client = Client::up();
        client.say_but("D", ORDER, |script| (script.sender, script.target) = (sender.into(), target.into()));
        let reject = format!("3#2 45=2 371={tag} 372=D 373=9 58");
        client.assert_ended(DisconnectReason::CompIds, &[&reject, "5#3 58"]);
        assert!(client.asked.is_empty());
    }
}

#[test]
fn a_logon_from_somebody_else_is_refused_before_anything_else() {
    let mut client = Client::new();
    client.say_but("A", "98=0|108=10|141=Y|", |script| script.sender = "OTHER".into());
    client.assert_ended(DisconnectReason::CompIds, &["5#1 58"]);
}

#[test]
fn a_sending_time_out_of_range_is_rejected_and_ends_the_session() {
    for off in [-121i64, 121] {
        let mut client = Client::up();
        let sent = Nanos(client.now.0.saturating_add_signed(off * SECOND as i64));
        client.say_but("D", ORDER, |script| script.sent = time(sent));
        client.assert_ended(DisconnectReason::SendingTime, &["3#2 45=2 371=52 372=D 373=10 58", "5#3 58"]);
    }
    let mut client = Client::up();
    let sent = Nanos(client.now.0 - 119 * SECOND);
    client.say_but("D", ORDER, |script| script.sent = time(sent));
    assert_eq!(client.asked.len(), 1);
}

#[test]
fn a_sending_time_that_is_none_is_rejected() {
    let mut client = Client::up();
    client.say_but("D", ORDER, |script| script.sent = "yesterday".into());
    client.assert_rejected(52, 6);
    client.say_but("D", ORDER, |script| script.sent = String::new());
    client.assert_rejected(52, 1);
}

// Fields.

#[test]
fn a_missing_tag_is_rejected() {
    for missing in ["11", "55", "54", "38", "44"] {
        let mut client = Client::up();
        let kept: Vec<&str> = ORDER.split_inclusive('|').filter(|f| !f.starts_with(&format!("{missing}="))).collect();
        client.say("D", &kept.concat());
        client.assert_rejected(missing.parse().expect("a tag"), 1);
    }
}

#[test]
fn a_tag_of_another_message_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}108=5|"));
    client.assert_rejected(108, 2);
}

#[test]
fn an_unknown_tag_is_rejected_and_a_user_defined_one_is_not() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}999=5|"));
    client.assert_rejected(999, 2);
    client.say("D", &format!("{ORDER}9008=Y|100010=label|"));
    assert_eq!(client.asked.len(), 1);
}

#[test]
fn an_invalid_tag_number_is_rejected() {
    for bad in ["0=x|", "-5=x|", "x=5|", "=5|", "5|"] {
        let mut client = Client::up();
        client.say("D", &format!("{ORDER}{bad}"));
        client.assert_rejected(0, 0);
    }
}

#[test]
fn a_tag_without_a_value_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}58=|"));
    client.assert_rejected(58, 4);
}

#[test]
fn a_repeated_tag_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}44=101|"));
    client.assert_rejected(44, 13);
}

#[test]
fn a_header_tag_in_the_body_is_rejected() {
    let mut client = Client::up();
    client.say("D", &format!("{ORDER}50=x|"));
    client.assert_rejected(50, 14);
}

#[test]
fn a_value_of_the_wrong_format_is_rejected() {
    for (from, to, tag) in [("38=5", "38=five", 38), ("44=100", "44=1e2", 44), ("11=7", "11=seven", 11)] {
        let mut client = Client::up();
        client.say("D", &ORDER.replace(from, to));
        client.assert_rejected(tag, 6);
    }
}

#[test]
fn a_value_out_of_its_range_is_rejected() {
    for (from, to, tag) in [("54=1", "54=3", 54), ("59=3", "59=9", 59), ("40=2", "40=7", 40)] {
        let mut client = Client::up();
        client.say("D", &ORDER.replace(from, to));
        client.assert_rejected(tag, 5);
    }
}

#[test]
fn an_invalid_message_type_is_rejected() {
    for kind in ["U", "zz", "AAA", "*"] {
        let mut client = Client::up();
        client.say(kind, "58=x|");
        client.assert_rejected(35, 11);
    }
}

#[test]
fn a_message_type_not_taken_here_is_a_business_reject() {
    for kind in ["B", "R", "AE", "8"] {
        let mut client = Client::up();
        client.say(kind, "39=0|");
        assert_eq!(client.heard(), [format!("j#2 45=2 372={kind} 380=3 58")]);
        assert_eq!(client.venue.closing(), None);
        assert_eq!(client.venue.sequence_numbers().incoming, 3);
    }
}

#[test]
fn a_reject_is_taken_and_not_answered() {
    let mut client = Client::up();
    client.say("3", "45=1|58=why|");
    assert!(client.heard().is_empty());
    assert_eq!(client.venue.sequence_numbers().incoming, 3);
}

// Heartbeats.

#[test]
fn a_quiet_side_sends_heartbeats_at_the_interval_of_the_logon() {
    let mut client = Client::up();
    for beat in 2..6 {
        client.wait(9);
        assert!(client.heard().is_empty());
        client.say("0", "");
        client.wait(1);
        assert_eq!(client.heard(), [format!("0#{beat}")]);
    }
}

#[test]
fn a_test_request_is_answered_with_its_id() {
    let mut client = Client::up();
    client.say("1", "112=hello there|");
    assert_eq!(client.heard(), ["0#2 112=hello there"]);
}

#[test]
fn silence_makes_a_test_request_and_its_time_out_ends_the_session() {
    let mut client = Client::up();
    client.wait(13);
    assert_eq!(client.heard(), ["0#2", "1#3 112=1"]);
    client.wait(10);
    assert_eq!(client.heard(), ["0#4"]);
    client.wait(3);
    client.assert_ended(DisconnectReason::Silence, &["5#5 58"]);
}

#[test]
fn any_message_answers_for_the_silence() {
    let mut client = Client::up();
    for _ in 0..5 {
        client.wait(13);
        assert!(client.heard().iter().any(|message| message.starts_with("1#")));
        client.say("0", "112=1|");
    }
    assert_eq!(client.venue.closing(), None);
}

// Resends.

/// A client that was told of two orders, under numbers 2 and 4, with a heartbeat between them.
fn told_of_two() -> Client {
    let mut client = Client::up();
    for order in [7, 8] {
        client.venue.send(kind::EXECUTION_REPORT, client.now, |report| {
            report.number(b"41=", order).byte(b"39=", b'0');
        });
        if order == 7 {
            client.say("1", "112=x|");
        }
    }
    assert_eq!(client.heard(), ["8#2 41=7 39=0", "0#3 112=x", "8#4 41=8 39=0"]);
    client
}

#[test]
fn a_resend_request_gets_reports_again_and_gap_fills_for_session_messages() {
    let mut client = told_of_two();
    client.say("2", "7=1|16=0|");
    let expected =
        ["4#1 43=Y 122 123=Y 36=2", "8#2 43=Y 122 41=7 39=0", "4#3 43=Y 122 123=Y 36=4", "8#4 43=Y 122 41=8 39=0"];
    assert_eq!(client.heard(), expected);
    client.say("2", "7=3|16=3|");
    assert_eq!(client.heard(), ["4#3 43=Y 122 123=Y 36=4"]);
    client.say("2", "7=4|16=999|");
    assert_eq!(client.heard(), ["8#4 43=Y 122 41=8 39=0"]);
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#5 112=x"], "a resend takes no number");
}

#[test]
fn a_resend_keeps_the_first_sending_time() {
    let mut client = told_of_two();
    let first = time(client.now);
    client.now.0 += SECOND;
    client.say("2", "7=2|16=2|");
    let text = String::from_utf8_lossy(client.venue.pending()).into_owned();
    assert!(text.contains(&format!("\x0152={}\x0143=Y\x01122={first}\x01", time(client.now))), "{text}");
}

#[test]
fn a_resend_request_that_makes_no_sense_is_rejected() {
    for (range, tag) in [("7=0|16=0|", 7), ("7=9|16=0|", 7), ("7=3|16=2|", 16)] {
        let mut client = told_of_two();
        client.say("2", range);
        client.assert_rejected(tag, 5);
    }
    let mut client = told_of_two();
    client.say("2", "7=x|16=0|");
    client.assert_rejected(7, 6);
}

#[test]
fn what_was_said_while_nobody_was_connected_can_be_asked_for() {
    let mut client = Client::up();
    client.venue.disconnected();
    client.venue.send(kind::EXECUTION_REPORT, client.now, |report| {
        report.number(b"41=", 7).byte(b"39=", b'4');
    });
    client.venue.connected(client.now);
    client.say("A", "98=0|108=10|");
    assert_eq!(client.heard(), ["A#3 98=0 108=10"]);
    client.say("2", "7=2|16=0|");
    assert_eq!(client.heard(), ["8#2 43=Y 122 41=7 39=4", "4#3 43=Y 122 123=Y 36=4"]);
}

#[test]
fn simultaneous_resend_requests_are_both_answered() {
    let mut client = told_of_two();
    client.reconnect();
    // Numbers 3 and 4 of the client were lost, and it misses what the venue said from 2 on.
    client.say_as(5, "A", "98=0|108=10|");
    client.say("2", "7=2|16=0|");
    let heard = client.heard();
    let expected = [
        "A#5 98=0 108=10",
        "2#6 7=3 16=0",
        "8#2 43=Y 122 41=7 39=0",
        "4#3 43=Y 122 123=Y 36=4",
        "8#4 43=Y 122 41=8 39=0",
        "4#5 43=Y 122 123=Y 36=7",
    ];
    assert_eq!(heard, expected);
    // The client's resend: all of it was session messages.
    client.number = 3;
    let header = format!("43=Y|122={}|", time(client.now));
    client.say_but("4", "123=Y|36=7|", |script| script.header = header);
    client.number = 7;
    client.say("1", "112=x|");
    assert_eq!(client.heard(), ["0#7 112=x"]);
}

#[test]
fn a_resend_that_does_not_come_is_asked_for_again_and_then_ends_the_session() {
    let mut client = Client::up();
    client.say_as(9, "0", "");
    let mut asked = client.heard().iter().filter(|message| message.ends_with("7=2 16=0")).count();
    for number in 10..14 {
        client.wait(11);
        asked += client.heard().iter().filter(|message| message.ends_with("7=2 16=0")).count();
        client.say_as(number, "0", "");
    }
    assert_eq!((asked, client.venue.closing()), (3, Some(DisconnectReason::ResendUnanswered)));
}

// Gap fills and resets.

#[test]
fn a_gap_fill_moves_the_number_expected() {
    let mut client = Client::up();
    client.say("4", "123=Y|36=9|");
    client.say_as(9, "1", "112=x|");
    assert_eq!(client.heard(), ["0#2 112=x"]);
}

#[test]
fn a_gap_fill_backward_is_rejected() {
    for next in [1, 2] {
        let mut client = Client::up();
        client.say("4", &format!("123=Y|36={next}|"));
        client.assert_rejected(36, 5);
    }
}

#[test]
fn a_gap_fill_beyond_a_gap_waits_for_it() {
    let mut client = Client::up();
    client.say_as(5, "4", "123=Y|36=9|");
    assert_eq!(client.heard(), ["2#2 7=2 16=0"]);
    assert_eq!(client.venue.sequence_numbers().incoming, 2);
}

#[test]
fn a_gap_fill_too_low_ends_the_session_unless_it_is_a_duplicate() {
    let mut client = Client::up();
    client.say("0", "");
    client.number = 2;
    let header = format!("43=Y|122={}|", time(client.now));
    client.say_but("4", "123=Y|36=9|", |script| script.header = header);
    assert_eq!((client.venue.closing(), client.venue.sequence_numbers().incoming), (None, 3));
    client.say_as(2, "4", "123=Y|36=9|");
    client.assert_ended(DisconnectReason::SequenceTooLow, &["5#2 58"]);
}

#[test]
fn a_sequence_reset_moves_the_number_expected_whatever_its_own() {
    for (number, flag) in [(2, ""), (1, "123=N|"), (77, "")] {
        let mut client = Client::up();
        client.say_as(number, "4", &format!("{flag}36=9|"));
        client.say_as(9, "1", "112=x|");
        assert_eq!(client.heard(), ["0#2 112=x"], "{number}");
    }
}

#[test]
fn a_sequence_reset_backward_is_rejected_and_to_the_number_expected_is_not() {
    let mut client = Client::up();
    client.say("0", "");
    client.say_as(3, "4", "36=2|");
    assert_eq!(client.heard(), ["3#2 45=3 371=36 372=4 373=5 58"]);
    client.say_as(3, "4", "36=3|");
    client.say_as(3, "1", "112=x|");
    assert_eq!(client.heard(), ["0#3 112=x"]);
}

// Logout.

#[test]
fn a_logout_is_answered_with_logout() {
    let mut client = Client::up();
    client.say("5", "");
    client.assert_ended(DisconnectReason::LoggedOut, &["5#2"]);
    assert_eq!(client.venue.sequence_numbers().incoming, 3, "no gap is left behind");
}

#[test]
fn a_logout_of_ours_waits_for_its_answer() {
    let mut client = Client::up();
    client.venue.log_out(b"closing time", client.now);
    assert_eq!(client.heard(), ["5#2 58"]);
    client.say("D", ORDER);
    assert_eq!(client.asked.len(), 1, "what was under way still counts");
    assert_eq!(client.venue.closing(), None);
    client.say("5", "");
    client.assert_ended(DisconnectReason::LoggedOut, &[]);
}

#[test]
fn a_logout_of_ours_without_answer_times_out() {
    let mut client = Client::up();
    client.venue.log_out(b"closing time", client.now);
    client.wait(19);
    assert_eq!(client.venue.closing(), None);
    client.wait(2);
    client.assert_ended(DisconnectReason::LogoutTimeout, &["5#2 58"]);
}

#[test]
fn a_stream_in_any_pieces_is_the_same_stream() {
    let mut client = Client::up();
    let mut bytes = Vec::new();
    for number in 2..8 {
        client.number = number;
        bytes.extend(client.script("D", ORDER).bytes());
    }
    let mut held = Vec::new();
    for byte in bytes {
        held.push(byte);
        let before = client.asked.len();
        let held_now = held.clone();
        client.send(&held_now);
        if client.asked.len() > before {
            held.clear();
        }
    }
    assert_eq!((client.asked.len(), client.venue.sequence_numbers().incoming), (6, 8));
}
