//! The codec as a whole: against the venue's schema, there and back, against later versions and hostile bytes.

use super::*;
use crate::units::Quantity;
use proptest::prelude::*;
use zerocopy::byteorder::little_endian::{I32, I64, U16};
use zerocopy::{FromBytes, IntoBytes};

const SCHEMA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/starbase/Coinbase.Deribit.OrdersApi.Sbe.v1.3.xml");

const ENVELOPE: Envelope = Envelope { flags: 0, sequence: 7, last_processed: 3, send_time_ns: 1 };

/// One struct's fields by name with the end of each: (schema message, type id, group or none, layout).
type Described = (&'static str, u16, Option<&'static str>, &'static [(&'static str, usize)]);

macro_rules! described {
    ($($name:ident),*) => { [$((stringify!($name), $name::TYPE, None, $name::LAYOUT)),*] };
}

fn structs() -> Vec<Described> {
    let mut all: Vec<Described> = described!(
        Logon,
        LogonConf,
        Logout,
        LoggedOut,
        Heartbeat,
        TestRequest,
        ResendRequest,
        GapFill,
        Reject,
        NewOrderRequest,
        AmendOrderRequest,
        CancelOrderRequest,
        MassCancelRequest,
        NewOrderResponse,
        NewOrderReject,
        AmendOrderResponse,
        AmendOrderReject,
        CancelOrderResponse,
        CancelOrderReject,
        MassCancelResponse,
        MassCancelReject,
        OrderFilled,
        OrdersCanceled,
        OrderPlaced,
        CancelOrderByIdRequest,
        MassQuoteRequest,
        MassQuoteCancelRequest,
        GetMassQuoteMmpStatusRequest,
        GetOrdersMmpStatusRequest,
        MassQuoteResponse,
        MassQuoteReject,
        GetMassQuoteMmpStatusResponse,
        GetMassQuoteMmpStatusReject,
        GetOrdersMmpStatusResponse,
        GetOrdersMmpStatusReject,
        MassQuoteOrdersPlaced,
        MassQuoteMmpTriggered,
        OrdersMmpTriggered,
        MassQuoteMmpUnfrozen,
        OrdersMmpUnfrozen
    )
    .to_vec();
    all.push(("NewOrderResponse", NewOrderResponse::TYPE, Some("fills"), Fill::LAYOUT));
    all.push(("NewOrderResponse", NewOrderResponse::TYPE, Some("legs"), Leg::LAYOUT));
    all.push(("AmendOrderResponse", AmendOrderResponse::TYPE, Some("fills"), Fill::LAYOUT));
    all.push(("OrderFilled", OrderFilled::TYPE, Some("fills"), FilledOrder::LAYOUT));
    all.push(("OrdersCanceled", OrdersCanceled::TYPE, Some("orders"), CanceledOrder::LAYOUT));
    all.push(("OrderPlaced", OrderPlaced::TYPE, Some("fills"), Fill::LAYOUT));
    all.push(("MassQuoteRequest", MassQuoteRequest::TYPE, Some("quotes"), Quote::LAYOUT));
    all.push(("MassQuoteResponse", MassQuoteResponse::TYPE, Some("quotes"), QuoteResult::LAYOUT));
    all.push(("MassQuoteResponse", MassQuoteResponse::TYPE, Some("bidFills"), QuoteFill::LAYOUT));
    all.push(("MassQuoteResponse", MassQuoteResponse::TYPE, Some("askFills"), QuoteFill::LAYOUT));
    all.push(("MassQuoteOrdersPlaced", MassQuoteOrdersPlaced::TYPE, Some("orders"), PlacedQuote::LAYOUT));
    all.push(("MassQuoteOrdersPlaced", MassQuoteOrdersPlaced::TYPE, Some("fills"), PlacedFill::LAYOUT));
    all
}

/// The numbers of every message that the schema defines, its placeholder excepted.
#[test]
fn no_message_of_the_schema_is_missing() {
    let Ok(xml) = std::fs::read_to_string(SCHEMA) else {
        return eprintln!("skipped: the venue's schema is not at {SCHEMA}");
    };
    let ours: Vec<u16> = structs().iter().map(|(_, id, ..)| *id).collect();
    for line in xml.lines().map(str::trim).filter(|line| line.starts_with("<sbe:message ")) {
        let id = attribute(line, "id").and_then(|id| id.parse().ok()).expect("a numbered message");
        assert!(id == 9_999 || ours.contains(&id), "{line}");
    }
}

/// The value of `name="..."` in a line of XML.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(&format!(" {name}="))?.1.split('"').nth(1)
}

pub(in crate::wire::starbase) fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut camel = words.next().unwrap_or_default().to_string();
    for word in words {
        let (first, rest) = word.split_at(1);
        camel += &first.to_uppercase();
        camel += rest;
    }
    camel
}

/// Fields of a message's block, or of one of its groups, as the schema gives them: name and end within the block.
pub(in crate::wire::starbase) fn schema_fields(
    xml: &str,
    message: &str,
    id: u16,
    group: Option<&str>,
) -> Vec<(String, usize)> {
    let lines = xml.lines().map(str::trim);
    let body = lines
        .skip_while(|line| !(line.starts_with("<sbe:message") && attribute(line, "name") == Some(message)))
        .take_while(|line| *line != "</sbe:message>");
    let (mut inside, mut fields) = (None, Vec::new());
    for line in body {
        if line.starts_with("<sbe:message") {
            assert_eq!(attribute(line, "id"), Some(id.to_string().as_str()), "{message}");
        } else if line.starts_with("<group") {
            inside = attribute(line, "name");
        } else if line == "</group>" {
            inside = None;
        } else if line.starts_with("<field") && inside == group {
            let end: usize = attribute(line, "id").and_then(|end| end.trim().parse().ok()).expect("a numbered field");
            fields.push((attribute(line, "name").expect("a named field").to_string(), end % 1000));
        }
    }
    fields
}

#[test]
fn every_struct_ends_its_fields_where_the_schema_does() {
    let Ok(xml) = std::fs::read_to_string(SCHEMA) else {
        return eprintln!("skipped: the venue's schema is not at {SCHEMA}");
    };
    // Two structs serve several groups, whose prices the schema names differently.
    let same = |ours: &str, theirs: &str| ours == theirs || (ours, theirs) == ("fillPrice", "price");
    for (message, id, group, layout) in structs() {
        let fields = schema_fields(&xml, message, id, group);
        assert_eq!(layout.len(), fields.len(), "{message} {group:?}");
        for ((ours, our_end), (theirs, their_end)) in layout.iter().zip(&fields) {
            assert!(same(&camel_case(ours), theirs), "{message} {group:?}: {ours} is {theirs}");
            assert_eq!(our_end, their_end, "{message} {group:?}: {ours}");
        }
    }
}

fn encode<B: Block>(block: &B, more: impl FnOnce(Encoder<'_>) -> Result<Encoder<'_>, NoRoom>) -> Vec<u8> {
    let mut buffer = vec![0xAA; 4_096];
    let length = Encoder::new(&mut buffer, &ENVELOPE, block).and_then(more).and_then(Encoder::finish).expect("room");
    buffer.truncate(length);
    buffer
}

/// A message that is its block.
fn bare(encoder: Encoder<'_>) -> Result<Encoder<'_>, NoRoom> {
    Ok(encoder)
}

fn decode(bytes: &[u8]) -> Message<'_> {
    let frame = next_frame(bytes).expect("framed").expect("whole");
    assert_eq!(frame.bytes(), bytes.len());
    frame.message().expect("well-formed")
}

/// A struct of arbitrary bytes: every bit pattern is one.
fn filled_with<B: Block>(seed: &[u8]) -> B {
    B::read_from_prefix(seed).expect("enough bytes").0
}

fn fill(match_id: i64, quantity: i64) -> Fill {
    Fill { match_id: I64::new(match_id), fill_price: I64::new(5), fill_qty: Quantity(quantity).into() }
}

proptest! {
    #[test]
    fn fixed_messages_survive_the_wire(seed in prop::collection::vec(any::<u8>(), 256)) {
        macro_rules! check {
            ($($name:ident),*) => {$({
                let sent: $name = filled_with(&seed);
                let bytes = encode(&sent, bare);
                prop_assert_eq!(bytes.len(), HEADER_BYTES + size_of::<$name>());
                prop_assert!(matches!(decode(&bytes), Message::$name(read) if *read == sent));
            })*};
        }
        check!(
            Logon, LogonConf, Heartbeat, TestRequest, ResendRequest, GapFill, NewOrderRequest, AmendOrderRequest,
            CancelOrderRequest, MassCancelRequest, CancelOrderResponse, MassCancelResponse, CancelOrderByIdRequest,
            MassQuoteCancelRequest, GetMassQuoteMmpStatusRequest, GetOrdersMmpStatusRequest,
            GetMassQuoteMmpStatusResponse, GetMassQuoteMmpStatusReject, GetOrdersMmpStatusResponse,
            GetOrdersMmpStatusReject, MassQuoteMmpTriggered, OrdersMmpTriggered, MassQuoteMmpUnfrozen,
            OrdersMmpUnfrozen
        );
    }

    #[test]
    fn messages_with_text_survive_the_wire(
        seed in prop::collection::vec(any::<u8>(), 256),
        text in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let expected = &text[..text.len().min(255)];
        macro_rules! check {
            ($($name:ident),*) => {$({
                let sent: $name = filled_with(&seed);
                let bytes = encode(&sent, |e| e.text(&text));
                prop_assert!(matches!(decode(&bytes), Message::$name(read, t) if *read == sent && t == expected));
            })*};
        }
        check!(Reject, NewOrderReject, AmendOrderReject, CancelOrderReject, MassCancelReject, MassQuoteReject);
        let bytes = encode(&Logout {}, |e| e.text(&text));
        prop_assert!(matches!(decode(&bytes), Message::Logout(t) if t == expected));
        let bytes = encode(&LoggedOut {}, |e| e.text(&text));
        prop_assert!(matches!(decode(&bytes), Message::LoggedOut(t) if t == expected));
    }

    #[test]
    fn messages_with_groups_survive_the_wire(
        seed in prop::collection::vec(any::<u8>(), 256),
        quantities in prop::collection::vec(any::<i64>(), 0..20),
    ) {
        let fills: Vec<Fill> = quantities.iter().map(|q| fill(*q ^ 1, *q)).collect();
        let legs: [Leg; 1] = [Leg::read_from_prefix(&seed).expect("enough bytes").0];

        let sent: NewOrderResponse = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&fills)?.group(&legs));
        let Message::NewOrderResponse(read, group) = decode(&bytes) else { panic!("another type") };
        prop_assert_eq!(*read, sent);
        prop_assert_eq!(group.len(), fills.len());
        prop_assert!(group.iter().eq(&fills));

        let sent: AmendOrderResponse = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&fills)?.group(&legs));
        prop_assert!(matches!(decode(&bytes), Message::AmendOrderResponse(r, g) if *r == sent && g.iter().eq(&fills)));

        let sent: OrderPlaced = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&fills)?.group::<Leg>(&[]));
        prop_assert!(matches!(decode(&bytes), Message::OrderPlaced(r, g) if *r == sent && g.iter().eq(&fills)));

        let orders = [FilledOrder::read_from_prefix(&seed).expect("enough bytes").0; 3];
        let sent: OrderFilled = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&orders)?.group(&legs));
        prop_assert!(matches!(decode(&bytes), Message::OrderFilled(r, g) if *r == sent && g.iter().eq(&orders)));

        let orders = [CanceledOrder::read_from_prefix(&seed).expect("enough bytes").0; 2];
        let sent: OrdersCanceled = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&orders));
        prop_assert!(matches!(decode(&bytes), Message::OrdersCanceled(r, g) if *r == sent && g.iter().eq(&orders)));

        let quotes = [Quote::read_from_prefix(&seed).expect("enough bytes").0; 4];
        let sent: MassQuoteRequest = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&quotes));
        prop_assert!(matches!(decode(&bytes), Message::MassQuoteRequest(r, g) if *r == sent && g.iter().eq(&quotes)));

        let results = [QuoteResult::read_from_prefix(&seed).expect("enough bytes").0; 3];
        let matches = [QuoteFill::read_from_prefix(&seed).expect("enough bytes").0; 2];
        let sent: MassQuoteResponse = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&results)?.group(&matches)?.group(&matches[..1])?.group(&legs));
        let Message::MassQuoteResponse(read, groups) = decode(&bytes) else { panic!("another type") };
        prop_assert_eq!(*read, sent);
        prop_assert!(groups.quotes.iter().eq(&results));
        prop_assert!(groups.bid_fills.iter().eq(&matches) && groups.ask_fills.iter().eq(&matches[..1]));

        let placed = [PlacedQuote::read_from_prefix(&seed).expect("enough bytes").0; 2];
        let matches = [PlacedFill::read_from_prefix(&seed).expect("enough bytes").0; 3];
        let sent: MassQuoteOrdersPlaced = filled_with(&seed);
        let bytes = encode(&sent, |e| e.group(&placed)?.group(&matches)?.group(&legs));
        let Message::MassQuoteOrdersPlaced(read, orders, fills) = decode(&bytes) else { panic!("another type") };
        prop_assert_eq!(*read, sent);
        prop_assert!(orders.iter().eq(&placed) && fills.iter().eq(&matches));
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u16..330) {
        let _ = next_frame(&bytes);
        // The same bytes with a header that lets them through to the body.
        if let Ok((header, _)) = Header::mut_from_prefix(&mut bytes) {
            header.protocol_id = PROTOCOL_ID;
            header.message_type_id = U16::new(kind);
            let length = header.message_length.get() % 400;
            header.message_length = U16::new(length);
            if let Ok(Some(frame)) = next_frame(&bytes) {
                prop_assert!(frame.bytes() <= bytes.len());
                match frame.message() {
                    Ok(
                        Message::NewOrderResponse(_, g)
                        | Message::AmendOrderResponse(_, g)
                        | Message::OrderPlaced(_, g),
                    ) => {
                        prop_assert_eq!(g.iter().count(), g.len());
                    }
                    Ok(Message::OrderFilled(_, g)) => prop_assert_eq!(g.iter().count(), g.len()),
                    Ok(Message::OrdersCanceled(_, g)) => prop_assert_eq!(g.iter().count(), g.len()),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn a_truncated_message_is_refused_or_waited_for(cut in 0usize..200, fills in 0usize..3) {
        let seed = [1; 256];
        let fills = vec![fill(1, 2); fills];
        let bytes = encode(&filled_with::<NewOrderResponse>(&seed), |e| e.group(&fills)?.group::<Leg>(&[]));
        let cut = cut.min(bytes.len() - 1);
        prop_assert!(matches!(next_frame(&bytes[..cut]), Ok(None)));
        // With a header that agrees with the cut, the body is short instead.
        let mut short = bytes[..cut].to_vec();
        if let Ok((header, _)) = Header::mut_from_prefix(&mut short) {
            header.message_length = U16::new(cut as u16);
            let frame = next_frame(&short).expect("framed").expect("whole");
            prop_assert!(frame.message().is_err());
        }
    }
}

#[test]
fn frames_are_cut_from_a_stream_one_by_one() {
    let mut stream = encode(&TestRequest { correlation_id: I64::new(9) }, bare);
    let first = stream.len();
    stream.extend(encode(&LogonConf { heartbeat_interval_seconds: I32::new(5) }, bare));
    let frame = next_frame(&stream).expect("framed").expect("whole");
    assert_eq!((frame.bytes(), frame.header.sequence_number.get()), (first, 7));
    assert!(matches!(decode(&stream[first..]), Message::LogonConf(c) if c.heartbeat_interval_seconds.get() == 5));
}

#[test]
fn a_stream_out_of_step_is_an_error_at_its_first_byte() {
    assert!(matches!(next_frame(&[0x00]), Err(FrameError::Protocol(0))));
    let mut bytes = encode(&TestRequest { correlation_id: I64::new(9) }, bare);
    bytes[2..4].copy_from_slice(&31u16.to_le_bytes());
    assert!(matches!(next_frame(&bytes), Err(FrameError::Length(31))));
}

#[test]
fn what_a_later_version_appends_is_stepped_over() {
    // A longer block at the end of a message.
    let mut bytes = encode(&GapFill { new_sequence_number: I64::new(12) }, bare);
    bytes.extend([0xEE; 5]);
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_le_bytes());
    assert!(matches!(decode(&bytes), Message::GapFill(g) if g.new_sequence_number.get() == 12));

    // Longer entries of a group.
    #[derive(IntoBytes, zerocopy::Immutable, zerocopy::Unaligned)]
    #[repr(C)]
    struct LongFill(Fill, [u8; 3]);
    let long = [LongFill(fill(1, 10), [0xEE; 3]), LongFill(fill(2, 20), [0xEE; 3])];
    let bytes = encode(&filled_with::<NewOrderResponse>(&[0; 256]), |e| e.group(&long)?.group::<Leg>(&[]));
    let Message::NewOrderResponse(_, fills) = decode(&bytes) else { panic!("another type") };
    assert!(fills.iter().eq(&[fill(1, 10), fill(2, 20)]));
}

#[test]
fn a_group_that_lies_about_its_size_is_malformed() {
    let bytes = encode(&filled_with::<OrdersCanceled>(&[0; 256]), |e| e.group::<CanceledOrder>(&[]));
    let at = bytes.len() - 4;
    for (stride, count) in [(1u16, 1u16), (34, 1), (35, 1), (35, u16::MAX), (u16::MAX, u16::MAX)] {
        let mut bad = bytes.clone();
        bad[at..at + 2].copy_from_slice(&stride.to_le_bytes());
        bad[at + 2..].copy_from_slice(&count.to_le_bytes());
        let frame = next_frame(&bad).expect("framed").expect("whole");
        assert_eq!(frame.message().err(), Some(Malformed::Group), "{stride} × {count}");
    }
}

#[test]
fn a_buffer_too_small_takes_nothing() {
    let order = NewOrderRequest::read_from_bytes(&[0; 63]).expect("63 bytes");
    for room in 0..HEADER_BYTES + 63 {
        let mut buffer = vec![0; room];
        assert!(Encoder::new(&mut buffer, &ENVELOPE, &order).is_err(), "{room}");
    }
}

#[test]
fn an_unknown_type_is_passed_over() {
    let mut bytes = encode(&Heartbeat { correlation_id: I64::new(0) }, bare);
    bytes[4..6].copy_from_slice(&9_999u16.to_le_bytes());
    assert!(matches!(decode(&bytes), Message::Other(9_999)));
}
