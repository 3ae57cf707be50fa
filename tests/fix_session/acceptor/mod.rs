//! A venue's end, and clients that break the rules.

mod fields;
mod flow;
mod logon;
mod messages;
mod numbers;

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
        Script::new(["DESK", "VENUE"], self.number, self.now, kind, body)
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
