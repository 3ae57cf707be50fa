//! The codec as a whole: against the venue's schema, there and back, against later versions and hostile bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::FromBytes;

use super::*;
use crate::wire::starbase::orders::frame::Block;
use crate::wire::starbase::orders::schema::{camel_case, schema_fields};

const SCHEMA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/starbase/Coinbase.Deribit.MarketDataApi.Sbe.v1.0.xml");

const META: MessageMeta = MessageMeta { flags: 3, transact_time_ns: 17 };

macro_rules! for_all_plain {
    ($macro:ident) => {
        $macro!(
            IndexDefinition,
            InstrumentInfo,
            InstrumentRef,
            InstrumentStatusUpdate,
            BidPut,
            AskPut,
            BidQtyReduced,
            AskQtyReduced,
            BidDelete,
            AskDelete,
            TradeSummary,
            Trade,
            BlockTrade,
            SnapshotHeader,
            SnapshotTrailer,
            EndOfCycle,
            RetransmitRequest,
            RetransmitReject
        )
    };
}

#[test]
fn every_struct_ends_its_fields_where_the_schema_does() {
    let Ok(xml) = std::fs::read_to_string(SCHEMA) else {
        return eprintln!("skipped: the venue's schema is not at {SCHEMA}");
    };
    macro_rules! described {
        ($($name:ident),*) => { vec![$((stringify!($name), $name::TYPE, None, $name::LAYOUT)),*] };
    }
    let mut all = for_all_plain!(described);
    let definition = ("InstrumentDefinition", InstrumentDefinition::TYPE);
    all.push((definition.0, definition.1, None, InstrumentDefinition::LAYOUT));
    all.push((definition.0, definition.1, Some("largeTickSizes"), LargeTickSize::LAYOUT));
    all.push((definition.0, definition.1, Some("legs"), Leg::LAYOUT));
    let names: std::collections::BTreeSet<_> = all.iter().map(|(name, ..)| *name).collect();
    // The schema holds one message that it has commented out.
    let declared = xml.matches("<sbe:message name=").count() - xml.matches("name=\"DummyMessage\"").count();
    assert_eq!(names.len(), declared, "a message of the schema has no struct");
    for (message, id, group, layout) in all {
        let fields = schema_fields(&xml, message, id, group);
        assert_eq!(layout.len(), fields.len(), "{message} {group:?}");
        for ((ours, our_end), (theirs, their_end)) in layout.iter().zip(&fields) {
            assert!(camel_case(ours) == *theirs || (*ours, theirs.as_str()) == ("kind", "type"), "{message}: {ours}");
            assert_eq!(our_end, their_end, "{message} {group:?}: {ours}");
        }
    }
}

#[test]
fn enumerations_have_the_values_of_the_schema() {
    let Ok(xml) = std::fs::read_to_string(SCHEMA) else {
        return eprintln!("skipped: the venue's schema is not at {SCHEMA}");
    };
    let value = |enumeration: &str, name: &str| -> i8 {
        let body = xml.split(&format!("name=\"{enumeration}\"")).nth(1).expect("declared");
        let value = body.split(&format!("name=\"{name}\">")).nth(1).expect("a value");
        value.split('<').next().and_then(|v| v.parse().ok()).expect("a number")
    };
    for (kind, name) in [
        (InstrumentType::Perpetual, "PERP_FUTURE"),
        (InstrumentType::Option, "OPTION"),
        (InstrumentType::Spot, "SPOT"),
        (InstrumentType::FutureCombo, "FUTURE_COMBO"),
        (InstrumentType::OptionCombo, "OPTION_COMBO"),
        (InstrumentType::DatedFuture, "DATED_FUTURE"),
    ] {
        assert_eq!(InstrumentType::try_from(value("InstrumentType", name)), Ok(kind));
    }
    for (status, name) in [
        (InstrumentStatus::Open, "OPEN"),
        (InstrumentStatus::Inactive, "INACTIVE"),
        (InstrumentStatus::Settlement, "SETTLEMENT"),
        (InstrumentStatus::Delivered, "DELIVERED"),
        (InstrumentStatus::Locked, "LOCKED"),
        (InstrumentStatus::Halted, "HALTED"),
    ] {
        assert_eq!(InstrumentStatus::try_from(value("InstrumentStatus", name)), Ok(status));
    }
    for (reason, name) in [
        (RejectReason::SequenceTooLow, "SEQ_TOO_LOW"),
        (RejectReason::SequenceTooHigh, "SEQ_TOO_HIGH"),
        (RejectReason::RateLimitExceeded, "RATE_LIMIT_EXCEEDED"),
        (RejectReason::OtherError, "OTHER_ERROR"),
    ] {
        assert_eq!(RejectReason::try_from(value("RetransmitRejectReason", name)), Ok(reason));
    }
    for (set, name, bits) in [
        ("InstrumentFlags", "isReversed", u32::from(instrument_flags::IS_REVERSED)),
        ("InstrumentFlags", "isPutOption", u32::from(instrument_flags::IS_PUT)),
        ("InstrumentFlags", "isPerpetual", u32::from(instrument_flags::IS_PERPETUAL)),
        ("TradeFlags", "isSell", trade_flags::IS_SELL),
        ("TradeFlags", "isLiquidation", trade_flags::IS_LIQUIDATION),
        ("PacketHeader", "INCREMENTAL_UPDATE", u32::from(packet_type::INCREMENTAL)),
        ("PacketHeader", "SNAPSHOT", u32::from(packet_type::SNAPSHOT)),
        ("PacketHeader", "RETRANSMIT", u32::from(packet_type::RETRANSMIT)),
        ("mdMessageHeader", "startOfTransaction", u32::from(message_flags::START_OF_TRANSACTION)),
        ("mdMessageHeader", "endOfTransaction", u32::from(message_flags::END_OF_TRANSACTION)),
    ] {
        assert_eq!(1 << value(set, name), bits, "{set} {name}");
    }
    assert_eq!(InstrumentType::try_from(6), Err(DecodeError::Enumeration));
}

/// A packet of one message, written by `write`.
fn packet(write: impl FnOnce(&mut PacketBuilder<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
    let mut buffer = vec![0xAA; 4_096];
    let mut builder = PacketBuilder::new(&mut buffer, packet_type::INCREMENTAL, 9, 100, 5).expect("room");
    write(&mut builder).expect("room");
    builder.finish().to_vec()
}

fn only(bytes: &[u8]) -> Sequenced<'_> {
    let (_, mut messages) = Packet::parse(bytes).expect("a packet");
    let first = messages.next().expect("one message").expect("framed");
    assert!(messages.next().is_none());
    first
}

/// Appends bytes to the only message of a packet and claims `version`.
fn grown(bytes: &[u8], at: usize, growth: &[u8], version: u16) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.splice(at..at, growth.iter().copied());
    let length = (bytes.len() - PACKET_HEADER_BYTES) as u16;
    bytes[PACKET_HEADER_BYTES..PACKET_HEADER_BYTES + 2].copy_from_slice(&length.to_le_bytes());
    bytes[PACKET_HEADER_BYTES + 4..PACKET_HEADER_BYTES + 6].copy_from_slice(&version.to_le_bytes());
    bytes
}

fn steps() -> Vec<LargeTickSize> {
    (1..=3_i64).map(|n| LargeTickSize { large_tick_size: n.into(), threshold_price: (n * 10).into() }).collect()
}

fn legs() -> Vec<Leg> {
    vec![Leg { leg_instrument_id: 5.into(), ratio: -1 }, Leg { leg_instrument_id: 6.into(), ratio: 2 }]
}

proptest! {
    #[test]
    fn messages_survive_the_wire(seed in vec(any::<u8>(), 512), growth in vec(any::<u8>(), 0..40)) {
        macro_rules! check {
            ($($name:ident),*) => {$({
                let (sent, _) = $name::read_from_prefix(&seed).expect("enough bytes");
                let bytes = packet(|p| p.push(META, &sent));
                prop_assert_eq!(bytes.len(), PACKET_HEADER_BYTES + MESSAGE_HEADER_BYTES + size_of::<$name>());
                let read = only(&bytes);
                prop_assert_eq!((read.sequence, read.header.flags.get()), (100, 3));
                prop_assert!(matches!(read.message, Ok(Message::$name(block)) if *block == sent));
                let later = grown(&bytes, bytes.len(), &growth, 2);
                prop_assert!(matches!(only(&later).message, Ok(Message::$name(block)) if *block == sent));
                let cut = packet(|p| p.push(META, &sent));
                let short = grown(&cut[..cut.len() - 1], cut.len() - 1, &[], 1);
                prop_assert_eq!(only(&short).message.err(), Some(DecodeError::BlockShort));
            })*};
        }
        for_all_plain!(check);
    }

    #[test]
    fn definitions_survive_the_wire_and_longer_blocks(
        seed in vec(any::<u8>(), 512),
        growth in vec(any::<u8>(), 0..64),
        counts in (0_usize..4, 0_usize..3),
    ) {
        let (sent, _) = InstrumentDefinition::read_from_prefix(&seed).expect("enough bytes");
        let (steps, legs) = (&steps()[..counts.0.min(3)], &legs()[..counts.1]);
        let bytes = packet(|p| p.definition(META, &sent, steps, legs));
        let Ok(Message::InstrumentDefinition(read)) = only(&bytes).message else { panic!("another message") };
        prop_assert_eq!(*read.block, sent);
        prop_assert!(read.large_tick_sizes.iter().eq(steps) && read.legs.iter().eq(legs));

        let at = PACKET_HEADER_BYTES + MESSAGE_HEADER_BYTES + size_of::<InstrumentDefinition>();
        let later = grown(&bytes, at, &growth, 2);
        let Ok(Message::InstrumentDefinition(read)) = only(&later).message else { panic!("another message") };
        prop_assert_eq!(*read.block, sent);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_run_on(
        mut bytes in vec(any::<u8>(), 0..600),
        count in 0_u16..40,
        templates in vec(prop::sample::select(vec![10_u16, 11, 14, 20, 21, 25, 30, 31, 33, 100, 119, 202, 999]), 20),
    ) {
        let walk = |bytes: &[u8]| {
            let Ok((header, messages)) = Packet::parse(bytes) else { return };
            let limit = usize::from(header.message_count.get()) + 1;
            let mut seen = 0;
            for message in messages {
                seen += 1;
                if let Ok(Sequenced { message: Ok(Message::InstrumentDefinition(definition)), .. }) = message {
                    assert_eq!(definition.legs.iter().count(), definition.legs.len());
                    assert_eq!(definition.large_tick_sizes.iter().count(), definition.large_tick_sizes.len());
                }
            }
            assert!(seen <= limit && seen <= bytes.len() / MESSAGE_HEADER_BYTES + 2);
        };
        walk(&bytes);
        // The same bytes with headers that let them through to the blocks.
        if bytes.len() > PACKET_HEADER_BYTES {
            bytes[22..24].copy_from_slice(&count.to_le_bytes());
            let mut at = PACKET_HEADER_BYTES;
            for template in templates {
                if at + MESSAGE_HEADER_BYTES > bytes.len() {
                    break;
                }
                let length = (u16::from_le_bytes([bytes[at], bytes[at + 1]]) % 320).max(16);
                bytes[at..at + 2].copy_from_slice(&length.to_le_bytes());
                bytes[at + 2..at + 4].copy_from_slice(&template.to_le_bytes());
                at += usize::from(length);
            }
            walk(&bytes);
        }
    }
}

#[test]
fn a_longer_block_of_a_later_version_keeps_its_groups() {
    let (sent, _) = InstrumentDefinition::read_from_prefix(&[7; 300]).expect("enough bytes");
    let bytes = packet(|p| p.definition(META, &sent, &steps(), &legs()));
    let at = PACKET_HEADER_BYTES + MESSAGE_HEADER_BYTES + size_of::<InstrumentDefinition>();
    for growth in [1, 8, 40, 200] {
        let later = grown(&bytes, at, &vec![0xEE; growth], 2);
        let Ok(Message::InstrumentDefinition(read)) = only(&later).message else { panic!("another message") };
        assert!(read.large_tick_sizes.iter().eq(&steps()) && read.legs.iter().eq(&legs()), "{growth} bytes longer");
    }
    // A third group behind the two: they are where they were.
    let later = grown(&bytes, bytes.len(), &[4, 0, 1, 0, 9, 9, 9, 9], 2);
    let Ok(Message::InstrumentDefinition(read)) = only(&later).message else { panic!("another message") };
    assert!(read.large_tick_sizes.iter().eq(&steps()) && read.legs.iter().eq(&legs()));
    // This version's own block has no room to grow.
    let same = grown(&bytes, at, &[0xEE; 8], 1);
    assert_eq!(only(&same).message.err(), Some(DecodeError::Group));
}

#[test]
fn a_bad_message_does_not_cost_those_behind_it() {
    let bytes = packet(|p| {
        p.push(META, &BidDelete { order_id: 1.into(), instrument_id: 2.into() })?;
        p.push(META, &EndOfCycle { active_instrument_count: 3.into() })
    });
    let mut bad = bytes.clone();
    // The first message becomes a put, for which it is too short.
    bad[PACKET_HEADER_BYTES + 2] = 20;
    let (_, messages) = Packet::parse(&bad).expect("a packet");
    let read: Vec<_> = messages.map(|m| m.expect("framed")).collect();
    assert_eq!(read[0].message.err(), Some(DecodeError::BlockShort));
    assert_eq!(read[1].sequence, 101);
    assert!(matches!(read[1].message, Ok(Message::EndOfCycle(_))));
    // A length that cannot be ends the packet.
    for length in [0_u16, 15, 1_000] {
        bad[PACKET_HEADER_BYTES..PACKET_HEADER_BYTES + 2].copy_from_slice(&length.to_le_bytes());
        let read: Vec<_> = Packet::parse(&bad).expect("a packet").1.map(|m| m.err()).collect();
        assert_eq!(read, [Some(DecodeError::MessageLength)], "{length}");
    }
}

#[test]
fn what_the_count_and_the_bytes_disagree_on_is_said() {
    let bytes = packet(|p| p.push(META, &EndOfCycle { active_instrument_count: 3.into() }));
    let errors =
        |bytes: &[u8]| -> Vec<_> { Packet::parse(bytes).expect("a packet").1.filter_map(Result::err).collect() };
    let mut more = bytes.clone();
    more[22] = 2;
    assert_eq!(errors(&more), [DecodeError::MessageMissing]);
    let mut fewer = bytes.clone();
    fewer[22] = 0;
    assert_eq!(errors(&fewer), [DecodeError::Trailing]);
    assert_eq!(Packet::parse(&bytes[..23]).err(), Some(DecodeError::PacketHeader));
}

#[test]
fn a_buffer_too_small_takes_nothing() {
    let block = BidDelete { order_id: 1.into(), instrument_id: 2.into() };
    for room in 0..PACKET_HEADER_BYTES + 32 {
        let mut buffer = vec![0; room];
        let Ok(mut packet) = PacketBuilder::new(&mut buffer, 1, 1, 1, 1) else { continue };
        assert_eq!(packet.push(META, &block), Err(NoRoom), "{room}");
        assert_eq!((packet.len(), packet.count()), (PACKET_HEADER_BYTES, 0));
    }
}
