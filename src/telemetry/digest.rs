//! One hash over every order that left, in order: two runs that agree on it sent the same orders.

use sha2::{Digest as _, Sha256};

use crate::event::Protected;
use crate::order::Request;
use crate::risk::Instruction;

/// SHA-256 over the content of requests. Latency stamps are left out: they differ between runs that decide alike.
#[derive(Clone, Debug, Default)]
pub struct OrderDigest {
    hash: Sha256,
    requests: u64,
}

impl OrderDigest {
    /// Adds what an instruction sends; references send nothing.
    pub fn add(&mut self, instruction: &Instruction) {
        if let Instruction::Send(approved) = instruction {
            self.add_request(approved.request());
        }
    }

    fn add_request(&mut self, request: &Request) {
        self.requests += 1;
        match *request {
            Request::New { order, instrument, side, time_in_force, post_only, price, lots, .. } => {
                self.hash.update([b'N', side as u8, time_in_force as u8, u8::from(post_only)]);
                self.hash.update(order.0.to_le_bytes());
                self.hash.update(instrument.0.to_le_bytes());
                self.hash.update(price.0.to_le_bytes());
                self.hash.update(lots.to_le_bytes());
            }
            Request::Amend { order, instrument, side, price, lots, .. } => {
                self.hash.update([b'M', side as u8]);
                self.hash.update(order.0.to_le_bytes());
                self.hash.update(instrument.0.to_le_bytes());
                self.hash.update(price.0.to_le_bytes());
                self.hash.update(lots.to_le_bytes());
            }
            Request::Cancel { order, instrument } => {
                self.hash.update(b"C");
                self.hash.update(order.0.to_le_bytes());
                self.hash.update(instrument.0.to_le_bytes());
            }
            Request::CancelAll => self.hash.update(b"A"),
            Request::Quote { order, instrument, bid, ask, bid_lots, ask_lots } => {
                self.hash.update(b"Q");
                self.hash.update(order.0.to_le_bytes());
                self.hash.update(instrument.0.to_le_bytes());
                for (price, lots) in [(bid, bid_lots), (ask, ask_lots)] {
                    self.hash.update(price.0.to_le_bytes());
                    self.hash.update(lots.to_le_bytes());
                }
            }
            Request::Thaw { scope } => {
                let (kind, number) = match scope {
                    Protected::Orders { underlying } => (b'o', i64::from(underlying.0)),
                    Protected::Quotes { group } => (b'q', group),
                };
                self.hash.update([b'T', kind]);
                self.hash.update(number.to_le_bytes());
            }
        }
    }

    /// Requests hashed so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The hash, 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Trail;
    use crate::order::{OrderStore, TimeInForce};
    use crate::risk::{Gate, Limits, View};
    use crate::units::{ClientOrderId, InstrumentId, Nanos, Ticks};

    fn digest_of(requests: &[Request]) -> String {
        let (mut gate, mut orders) = (Gate::new(Limits::default()), OrderStore::new());
        let mut digest = OrderDigest::default();
        for request in requests {
            let approved = gate.approve(*request, &View::of_nothing(), &mut orders, Nanos::from_secs(1)).unwrap();
            let mut instruction = Instruction::Send(approved);
            instruction.stamp_decided(Ticks(requests.len() as u64));
            digest.add(&instruction);
        }
        digest.finish()
    }

    #[test]
    fn order_and_content_of_requests_make_the_digest() {
        let cancel = |order| Request::Cancel { order: ClientOrderId(order), instrument: InstrumentId(1) };
        let one = digest_of(&[cancel(1), Request::CancelAll]);
        assert_eq!(one, digest_of(&[cancel(1), Request::CancelAll]));
        for other in [vec![cancel(2), Request::CancelAll], vec![Request::CancelAll, cancel(1)], vec![cancel(1)]] {
            assert_ne!(one, digest_of(&other));
        }
    }

    #[test]
    fn a_new_order_counts_with_every_field_but_its_stamps() {
        let order = |trail, lots| Request::New {
            trail,
            decided: 0,
            order: ClientOrderId(1),
            instrument: InstrumentId(1),
            side: crate::units::Side::Buy,
            time_in_force: TimeInForce::ImmediateOrCancel,
            post_only: false,
            price: crate::units::Price(5),
            lots,
        };
        let hash = |request: Request| {
            let mut digest = OrderDigest::default();
            digest.add_request(&request);
            digest.finish()
        };
        let later = Trail { received: Ticks(9), decoded: 1, valued: 2 };
        assert_eq!(hash(order(Trail::default(), 3)), hash(order(later, 3)));
        assert_ne!(hash(order(Trail::default(), 3)), hash(order(Trail::default(), 4)));
    }
}
