//! The order session in the protocol that the venue was configured with.

use super::desk::{Floor, Whim};
use super::drop_copy::DropCopy;
use super::exchange::{Exchange, Print};
use super::fix::FixFront;
use super::matching::Resting;
use super::session::{Session, SessionConfig};
use crate::gateway::SequenceNumbers;
use crate::gateway::fix::FixConfigError;
use crate::units::{Nanos, Side};

/// One client's session.
#[derive(Debug)]
pub(super) enum Front {
    Binary(Box<Session>),
    Fix(Box<FixFront>),
}

macro_rules! each {
    ($self:ident, $session:ident => $answer:expr) => {
        match $self {
            Self::Binary($session) => $answer,
            Self::Fix($session) => $answer,
        }
    };
}

impl Front {
    pub(super) fn new(config: SessionConfig) -> Result<Self, FixConfigError> {
        Ok(match &config.fix {
            Some(names) => Self::Fix(Box::new(FixFront::new(&config, names)?)),
            None => Self::Binary(Box::new(Session::new(config))),
        })
    }

    pub(super) fn connect(&mut self, now: Nanos) {
        each!(self, session => session.connect(now));
    }

    pub(super) fn disconnect(&mut self, exchange: &mut Exchange, now: Nanos) {
        each!(self, session => session.disconnect(exchange, now));
    }

    pub(super) fn receive(&mut self, bytes: &[u8], floor: &mut Floor<'_>) {
        each!(self, session => session.receive(bytes, floor));
    }

    pub(super) fn tick(&mut self, now: Nanos) {
        each!(self, session => session.tick(now));
    }

    pub(super) fn outgoing(&mut self) -> &mut Vec<u8> {
        each!(self, session => session.outgoing())
    }

    pub(super) fn wants_close(&self) -> bool {
        each!(self, session => session.wants_close())
    }

    pub(super) fn numbers(&self) -> SequenceNumbers {
        each!(self, session => session.numbers())
    }

    pub(super) fn open_orders(&self) -> usize {
        each!(self, session => session.open_orders())
    }

    pub(super) fn arm(&mut self, whim: Whim) {
        each!(self, session => session.arm(whim));
    }

    pub(super) fn disarm(&mut self) {
        each!(self, session => session.disarm());
    }

    pub(super) fn came_true(&mut self, whim: Whim) -> bool {
        each!(self, session => session.came_true(whim))
    }

    /// Only FIX has one.
    pub(super) fn drop_copy(&mut self) -> Option<&mut DropCopy> {
        match self {
            Self::Binary(_) => None,
            Self::Fix(session) => session.drop_copy(),
        }
    }

    /// FIX says nothing of orders that are not the session's own.
    pub(super) fn trade_unasked(&mut self, listing: usize, side: Side, floor: &mut Floor<'_>) -> bool {
        match self {
            Self::Binary(session) => session.trade_unasked(listing, side, floor),
            Self::Fix(_) => false,
        }
    }

    /// FIX has no message for it.
    pub(super) fn trip_protection(&mut self, underlying: usize, floor: &mut Floor<'_>) -> bool {
        match self {
            Self::Binary(session) => session.trip_protection(underlying, floor),
            Self::Fix(_) => false,
        }
    }

    /// The binary protocol has no message for it.
    pub(super) fn bust(&mut self, floor: &mut Floor<'_>) -> bool {
        match self {
            Self::Binary(_) => false,
            Self::Fix(session) => session.bust(floor),
        }
    }

    pub(super) fn filled(&mut self, print: &Print, floor: &mut Floor<'_>) {
        each!(self, session => session.filled(print, floor));
    }

    pub(super) fn expired(&mut self, order: &Resting, exchange: &Exchange, now: Nanos) {
        each!(self, session => session.expired(order, exchange, now));
    }
}
