//! A second session of the client's on which it hears what its account trades, and may ask for nothing.
//!
//! In: every report of the order session that holds an execution. Out: the same report, under the numbers of this session;
//! what is shown while nobody is connected can be asked for again. A request is answered as one that is not supported.

use crate::gateway::fix::{Acceptor, Credentials, FixRules, Taken};
use crate::units::Nanos;
use crate::wire::fix::{Writer, kind};

/// The session.
#[derive(Debug)]
pub(super) struct DropCopy {
    acceptor: Acceptor,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    connected: bool,
}

impl DropCopy {
    /// A session that nobody has connected to.
    pub(super) fn new(rules: FixRules, client: Option<Credentials>) -> Self {
        let acceptor = Acceptor::new(rules, client);
        Self { acceptor, incoming: Vec::new(), outgoing: Vec::new(), connected: false }
    }

    /// A connection was opened.
    pub(super) fn connect(&mut self, now: Nanos) {
        self.connected = true;
        self.acceptor.connected(now);
    }

    /// The connection is gone, and what was not delivered with it.
    pub(super) fn disconnect(&mut self) {
        if std::mem::take(&mut self.connected) {
            self.acceptor.disconnected();
            self.incoming.clear();
            self.outgoing.clear();
        }
    }

    /// Bytes from the client.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Nanos) {
        self.incoming.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            match self.acceptor.take(&self.incoming[at..], now) {
                Taken::Incomplete => break,
                Taken::Session(taken) => at += taken,
                Taken::Request(taken, _) => {
                    at += taken;
                    self.acceptor.log_out(b"a drop copy takes no requests", now);
                }
            }
        }
        self.incoming.drain(..at);
        self.flush();
    }

    /// Shows an execution report.
    pub(super) fn show(&mut self, now: Nanos, report: impl FnOnce(&mut Writer<'_>)) {
        self.acceptor.send(kind::EXECUTION_REPORT, now, report);
        self.flush();
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now: Nanos) {
        self.acceptor.tick(now);
        self.flush();
    }

    /// Bytes for the client.
    pub(super) fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Whether the connection should be closed once [`Self::outgoing`] is sent.
    pub(super) fn wants_close(&self) -> bool {
        self.acceptor.closing().is_some()
    }

    fn flush(&mut self) {
        let pending = self.acceptor.pending().len();
        if self.connected {
            self.outgoing.extend_from_slice(self.acceptor.pending());
        }
        self.acceptor.written(pending);
    }
}
