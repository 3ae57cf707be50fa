//! How each fault that comes with time strikes the world, and how the world heals.

use sha2::Digest as _;

use super::faults::{Fault, Rate};
use super::{STEP_NS, World, kill};
use crate::event::KillLevel;
use crate::hedge::HedgeConfig;
use crate::sim::venue::Whim;
use crate::units::{Nanos, ONE_E9, Side};

/// The position limit that is far too low, dollars.
pub(super) const TIGHT_NOTIONAL: i64 = 100_000;
/// The listing that the band hedges with.
pub(super) const HEDGE: usize = 0;
/// Faults that come true with the next order at the venue.
pub(super) const WHIMS: [(Fault, Whim); Whim::ALL.len()] = [
    (Fault::VenueRefusal, Whim::Refuse),
    (Fault::UnsolicitedCancel, Whim::End),
    (Fault::AmendReject, Whim::RefuseAmendment),
];

impl World {
    /// The faults that come with time.
    pub(super) fn strike(&mut self) {
        for fault in Fault::ALL {
            if matches!(fault.rate(), Rate::PerSecond(_)) && self.dice.is_due_within(fault, STEP_NS) {
                let strikes = self.inflict(fault);
                self.struck(fault, strikes);
            }
        }
    }

    pub(super) fn struck(&mut self, fault: Fault, strikes: bool) {
        if self.dice.count(fault, strikes) {
            self.note(|| format!("fault {}", fault.name()));
        }
    }

    /// Lets a fault strike; false when there is nothing for it to strike now, or it waits for the moment to.
    fn inflict(&mut self, fault: Fault) -> bool {
        let now = self.now;
        let mut until = |least, most| Nanos(now.0 + self.dice.wait_ns(least, most));
        match fault {
            Fault::FeedSilence | Fault::SequenceReset | Fault::VenueRestart if !self.lines.is_settled(now) => {
                return false;
            }
            Fault::FeedSilence => {
                let until = until(200, 7_000);
                self.lines.silence(until);
            }
            Fault::SequenceReset => {
                let choice = self.dice.random.bits();
                self.count_anew(Some(choice));
            }
            Fault::LineDown => {
                let until = until(200, 5_000);
                return self.lines.lose_one(until, &mut self.dice);
            }
            Fault::UnknownInstrument => self.lines.stranger(now),
            Fault::Noise => self.lines.noise(now, &mut self.dice),
            Fault::Halt => {
                let until = until(100, 2_000);
                let at = self.dice.random.below(self.venue.universe().contracts.len() as u64) as usize;
                self.venue.halt(at, until);
            }
            Fault::Crossed => {
                let until = until(5, 500);
                let listed = self.venue.universe().contracts.len() as u64;
                let at = if self.dice.random.chance(0.5) { HEDGE } else { self.dice.random.below(listed) as usize };
                return self.venue.cross(at, until);
            }
            Fault::Protection => {
                let at = self.dice.random.below(self.venue.universe().underlyings.len() as u64) as usize;
                let is_tripped = self.venue.trip_protection(at, now);
                if is_tripped && self.dice.random.chance(0.5) {
                    self.thaw_at = Some(Nanos(now.0 + self.dice.wait_ns(1, 500)));
                }
                return is_tripped;
            }
            Fault::Drop => return self.close(),
            Fault::DropBeforeSend | Fault::DropDuringSend | Fault::DropAfterSend => {
                self.drop_due = Some(fault);
                return false;
            }
            Fault::HalfOpen if self.wire.is_up() => self.wire.swallow(),
            Fault::LostBothWays if self.wire.is_up() => {
                self.wire.tear();
                return false;
            }
            Fault::VenueRestart => {
                let until = until(100, 3_000);
                self.lines.silence(until);
                self.count_anew(None);
                self.refused_until = until;
                self.close();
            }
            Fault::VenueRefusal | Fault::UnsolicitedCancel | Fault::AmendReject => {
                WHIMS.iter().filter(|(of, _)| *of == fault).for_each(|(_, whim)| self.venue.arm(*whim));
                return false;
            }
            Fault::UnknownOrder => {
                let side = if self.dice.random.chance(0.5) { Side::Buy } else { Side::Sell };
                return self.knows_the_hedge() && self.venue.trade_unasked(HEDGE, side, now);
            }
            Fault::Bust => return self.venue.bust(now),
            Fault::Refuse => {
                self.refused_until = until(100, 3_000);
                self.close();
            }
            Fault::SlowLink => {
                let until = until(100, 2_000);
                self.wire.slow(until);
            }
            Fault::ClockAhead => self.ahead_ns += self.dice.wait_ns(1, 5_000) as i64,
            Fault::ClockBack => {
                self.shown = self.shown.max(self.ours());
                self.ahead_ns -= self.dice.wait_ns(1, 5_000) as i64;
            }
            Fault::Stall => self.stalled_until = until(5, 1_000),
            Fault::SurfacePause => self.surface_until = until(5, 1_000),
            Fault::GatewayPause => self.gateway_until = until(1, 200),
            Fault::Crash => return self.crash(),
            Fault::TornWrite => {
                self.checkers.journal.lose_power(self.dice.random.below(200) as usize);
                return self.crash();
            }
            Fault::BitFlip => self.checkers.journal.flip_a_bit(self.dice.random.bits()),
            Fault::ShortWrite => self.checkers.journal.disk().cut_next_write(),
            Fault::SyncError => self.checkers.journal.disk().refuse_syncs(),
            Fault::DiskFull => self.checkers.journal.disk().fill_up(),
            Fault::LimitChange => {
                let limit = &mut self.hedge.limits.position_notional_max_e9;
                let (tight, usual) = (TIGHT_NOTIONAL * ONE_E9, HedgeConfig::default().limits.position_notional_max_e9);
                *limit = if *limit == tight { usual } else { tight };
                return self.crash();
            }
            Fault::KillInFlight => {
                self.kill_due = true;
                return false;
            }
            Fault::Kill => {
                self.throw(&[KillLevel::ReduceOnly, KillLevel::Flatten, KillLevel::Pause, KillLevel::Halt]);
            }
            _ => return false,
        }
        true
    }

    /// A sequence of the market data begins anew, or all do.
    pub(super) fn count_anew(&mut self, choice: Option<u64>) {
        self.venue.count_anew(choice);
        self.lines.forget(self.now);
    }

    pub(super) fn heal(&mut self) {
        self.dice.faulty = false;
        self.note(|| "faults cease".to_owned());
        let now = self.now;
        for until in [
            &mut self.refused_until,
            &mut self.stalled_until,
            &mut self.surface_until,
            &mut self.gateway_until,
            &mut self.process_back,
            &mut self.corrected_at,
        ] {
            *until = (*until).min(now);
        }
        // The time of a stage never goes back: it stands still until the clock has shown it again.
        self.ahead_ns = self.ahead_ns.max(self.shown.since(now) as i64);
        self.command(kill(KillLevel::Open));
        (self.kill_due, self.drop_due) = (false, None);
        self.venue.disarm();
        self.venue.resume(now);
        self.lines.heal(now);
        self.wire.heal(now);
    }

    /// The connection breaks before, in the middle of or behind what waits for the socket. All that went before it arrives.
    pub(super) fn break_at_send(&mut self, fault: Fault) {
        while let Some(bytes) = self.wire.at_venue(Nanos(u64::MAX)) {
            self.venue.receive(&bytes, self.now);
        }
        let Some(process) = &mut self.process else { return };
        let pending = process.pending();
        let taken = match fault {
            Fault::DropBeforeSend => 0,
            Fault::DropDuringSend => self.dice.random.below(pending.len() as u64).max(1) as usize,
            _ => pending.len(),
        };
        let is_shut = process.gateway().level() >= KillLevel::Pause;
        self.sent.update(&pending[..taken]);
        self.checkers.sent(&pending[..taken], is_shut);
        self.venue.receive(&pending[..taken], self.now);
        process.written(taken);
        self.struck(fault, true);
        self.close();
    }
}
