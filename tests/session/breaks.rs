//! Streams cut anywhere, hostile frames, and connections that break with bytes in flight.

use crate::pair::*;
use hedgecore::event::Body;
use hedgecore::order::{NewOrder, OrderState, OrderStore, TimeInForce};
use hedgecore::units::*;
use hedgecore::wire::starbase::orders::*;
use proptest::prelude::*;
use zerocopy::byteorder::little_endian::{I32, I64};
use zerocopy::{FromBytes, FromZeros};

proptest! {
    #[test]
    fn the_same_stream_in_any_pieces_gives_the_same_events(cuts in prop::collection::vec(1usize..120, 1..30)) {
        let mut whole = Pair::up();
        let mut bytes = Vec::new();
        for (number, order) in (2..12).zip(1..) {
            let fills: Vec<Fill> = (0..order % 4).map(|k| fill(order * 10 + k, k + 1)).collect();
            bytes.extend(whole.bytes_as(number, 0, &response(order, order_status::ACTIVE, 0), |e| {
                e.group(&fills)?.group::<Leg>(&[])
            }));
        }
        whole.hear(&bytes);

        let mut pieces = Pair::up();
        let (mut start, mut end) = (0, 0);
        for cut in cuts.iter().cycle() {
            end = (end + cut).min(bytes.len());
            start += pieces.gateway.receive(&bytes[start..end], pieces.time, &mut pieces.events);
            if end == bytes.len() {
                break;
            }
        }
        prop_assert_eq!(start, bytes.len());
        prop_assert_eq!(pieces.events, whole.events);
    }

    #[test]
    fn hostile_frames_never_panic_and_never_stall(
        frames in prop::collection::vec((0u16..330, 0i64..30, any::<u8>(), prop::collection::vec(any::<u8>(), 0..200)), 1..40),
    ) {
        let mut pair = Pair::up();
        pair.tick_after(11);
        for (kind, number, flags, body) in frames {
            let mut bytes = vec![0; HEADER_BYTES];
            bytes.extend(&body);
            let (header, _) = Header::mut_from_prefix(&mut bytes).expect("a header");
            header.protocol_id = PROTOCOL_ID;
            header.flags = flags;
            header.message_length = ((HEADER_BYTES + body.len()) as u16).into();
            header.message_type_id = kind.into();
            header.sequence_number = I64::new(number);
            let taken = pair.gateway.receive(&bytes, pair.time, &mut pair.events);
            pair.take_bytes();
            if pair.gateway.wants_disconnect() {
                pair.disconnect();
                pair.gateway.connected(pair.time);
                pair.take_bytes();
            } else {
                prop_assert_eq!(taken, bytes.len());
            }
        }
    }
}

/// A venue that keeps what it said, on a connection that loses the rest of what is in flight whenever it breaks.
#[derive(Default)]
struct Keeper {
    /// Number of the client's last message.
    taken: i64,
    /// What was said, by number from 1: reports whole, `None` for session messages.
    said: Vec<Option<Vec<u8>>>,
    /// On the way to the client.
    flight: Vec<u8>,
    /// On the way from it.
    inbox: Vec<u8>,
    /// Orders processed.
    processed: Vec<u64>,
    /// How many reports were said.
    executions: i64,
}

impl Keeper {
    fn say<B: Block>(
        &mut self,
        block: &B,
        report: bool,
        more: impl FnOnce(Encoder<'_>) -> Result<Encoder<'_>, NoRoom>,
    ) {
        let mut buffer = vec![0; 1_024];
        let sequence = self.said.len() as i64 + 1;
        let envelope = Envelope { flags: 0, sequence, last_processed: self.taken, send_time_ns: 1 };
        let length = Encoder::new(&mut buffer, &envelope, block).and_then(more).and_then(Encoder::finish);
        buffer.truncate(length.expect("room"));
        self.flight.extend(&buffer);
        self.said.push(report.then_some(buffer));
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.inbox.extend(bytes);
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest = &inbox[..];
        while let Some(frame) = next_frame(rest).expect("framed") {
            let number = frame.header.sequence_number.get();
            let message = frame.message().expect("well-formed");
            if let Message::Logon(logon) = message {
                assert_eq!(logon.reset_seq_num == 1, number == 1);
                if number == 1 {
                    self.said.clear();
                    self.taken = 0;
                }
                assert!(number > self.taken, "logon {number} after {}", self.taken);
            } else {
                assert_eq!(number, self.taken + 1);
            }
            self.taken = number;
            match message {
                Message::Logon(_) => {
                    self.say(&LogonConf { heartbeat_interval_seconds: I32::new(10) }, false, |e| Ok(e));
                }
                Message::NewOrderRequest(request) => {
                    let order = request.client_order_id.get();
                    self.processed.push(order as u64);
                    self.executions += 1;
                    let fills = [fill(self.executions, 5)];
                    let block = response(order, order_status::FILLED, 5);
                    self.say(&block, true, |e| e.group(&fills)?.group::<Leg>(&[]));
                }
                Message::CancelOrderRequest(request) => {
                    let mut refusal = CancelOrderReject::new_zeroed();
                    refusal.client_order_id = request.client_order_id;
                    refusal.instrument_id = request.instrument_id;
                    refusal.reason = reject_reason::CANCEL_UNKNOWN_ORDER;
                    self.say(&refusal, true, |e| e.text(b"nothing rests here"));
                }
                Message::ResendRequest(r) => {
                    self.resend(r.from_sequence_number.get(), r.to_sequence_number.get());
                }
                _ => {}
            }
            rest = &rest[frame.bytes()..];
        }
        self.inbox = rest.to_vec();
    }

    /// Up to so many bytes reach the venue.
    fn take_from(&mut self, pair: &mut Pair, bytes: usize) {
        let taken = pair.gateway.pending().len().min(bytes);
        self.hear(&pair.gateway.pending()[..taken]);
        pair.gateway.written(taken, Ticks(1), &mut pair.events);
    }

    /// Up to so many bytes reach the client.
    fn give_to(&mut self, pair: &mut Pair, bytes: usize) {
        let arrived = self.flight.len().min(bytes);
        let taken = pair.gateway.receive(&self.flight[..arrived], pair.time, &mut pair.events);
        self.flight.drain(..taken);
        assert!(!pair.gateway.wants_disconnect());
    }

    /// Everything flows until both sides are quiet.
    fn calm_down(&mut self, pair: &mut Pair) {
        for _ in 0..10 {
            self.take_from(pair, usize::MAX);
            self.give_to(pair, usize::MAX);
        }
        assert!(pair.gateway.ready() && pair.gateway.pending().is_empty() && self.flight.is_empty());
    }

    fn resend(&mut self, from: i64, to: i64) {
        for number in from..=to {
            let bytes = match &self.said[number as usize - 1] {
                Some(report) => report.clone(),
                None => {
                    let mut buffer = vec![0; 64];
                    let envelope = Envelope { sequence: number, ..Envelope::default() };
                    let block = GapFill { new_sequence_number: I64::new(number + 1) };
                    let length = Encoder::new(&mut buffer, &envelope, &block).and_then(Encoder::finish);
                    buffer.truncate(length.expect("room"));
                    buffer
                }
            };
            let start = self.flight.len();
            self.flight.extend(bytes);
            self.flight[start + 1] = FLAG_RESEND;
        }
    }
}

proptest! {
    #[test]
    fn a_connection_that_breaks_anywhere_loses_and_doubles_nothing(
        steps in prop::collection::vec((0u8..10, 1usize..400), 1..150),
    ) {
        let (mut pair, mut venue, mut order) = (Pair::new(), Keeper::default(), 0);
        let mut store = OrderStore::new();
        pair.gateway.connected(pair.time);
        for (step, bytes) in steps {
            match step {
                0 => {
                    pair.disconnect();
                    venue.flight.clear();
                    venue.inbox.clear();
                    pair.gateway.connected(pair.time);
                }
                1 | 3 | 5 => venue.take_from(&mut pair, bytes),
                2 | 4 | 6 => venue.give_to(&mut pair, bytes),
                _ => {
                    order += 1;
                    let new = NewOrder {
                        order: ClientOrderId(order),
                        instrument: PERPETUAL,
                        side: Side::Sell,
                        time_in_force: TimeInForce::ImmediateOrCancel,
                        price: Price(99_999 * ONE_E9),
                        lots: 5,
                    };
                    store.insert(new).expect("room");
                    pair.step(&new_order(order));
                }
            }
        }
        venue.calm_down(&mut pair);
        pair.events.iter().for_each(|event| _ = store.apply(&event.body));
        prop_assert!(store.all_live().all(|o| o.state == OrderState::Unknown), "only what was lost in flight");
        let lost: Vec<u64> = store.all_live().map(|o| o.new.order.0).collect();
        let heard = pair.events.len();
        lost.iter().for_each(|order| pair.step(&cancel(*order)));
        venue.calm_down(&mut pair);
        pair.events[heard..].iter().for_each(|event| _ = store.apply(&event.body));
        prop_assert_eq!((store.open_orders(), store.working_lots(PERPETUAL)), (0, (0, 0)));
        prop_assert!(store.counters().inconsistent + store.counters().duplicates == 0);

        let told = |is: fn(&Body) -> Option<ClientOrderId>| {
            pair.events.iter().filter_map(|event| is(&event.body)).map(|o| o.0).collect::<Vec<_>>()
        };
        let mut accepted = told(|b| if let Body::Accepted { order, .. } = b { Some(*order) } else { None });
        let mut filled = told(|b| if let Body::Filled { order, .. } = b { Some(*order) } else { None });
        let rejected = told(|b| if let Body::Rejected { order, .. } = b { Some(*order) } else { None });
        let sent = told(|b| if let Body::Sent { order, .. } = b { Some(*order) } else { None });
        accepted.sort_unstable();
        filled.sort_unstable();
        prop_assert_eq!(&accepted, &venue.processed, "each order the venue processed is told of once");
        prop_assert_eq!(&filled, &venue.processed);
        prop_assert!(rejected.iter().all(|o| !venue.processed.contains(o)), "what was refused here never traded");
        for o in 1..=order {
            prop_assert!(sent.contains(&o) != rejected.contains(&o), "{} is sent or refused", o);
        }
    }
}
