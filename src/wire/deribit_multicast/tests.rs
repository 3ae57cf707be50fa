//! There and back, and every way in which bytes can lie.

use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::little_endian::F64;
use zerocopy::{FromBytes, IntoBytes};

use super::*;

/// A block or entry of arbitrary bytes: every bit pattern is a value, NaNs included.
fn any_block<T: FromBytes + IntoBytes + std::fmt::Debug>() -> impl Strategy<Value = T> {
    vec(any::<u8>(), size_of::<T>()).prop_map(|bytes| T::read_from_bytes(&bytes).expect("sized to fit"))
}

/// Compares as bytes: NaN must come back as the very NaN that left.
fn same<T: IntoBytes + Immutable + ?Sized>(a: &T, b: &T) -> bool {
    a.as_bytes() == b.as_bytes()
}

fn group_same<T>(group: Group<'_, T>, entries: &[T]) -> bool
where
    T: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned,
{
    group.len() == entries.len()
        && group.iter().count() == entries.len()
        && group.iter().zip(entries).all(|(a, b)| same(a, b))
}

/// A packet with one message of each template.
fn one_of_each(buffer: &mut [u8]) -> usize {
    let mut packet = PacketBuilder::new(buffer, 3, 9).unwrap();
    packet.instrument(&InstrumentBlock::default(), b"BTC-PERPETUAL").unwrap();
    packet.instrument_v2(&InstrumentV2Block::default(), &[TickStep::default(); 2], b"BTC-16JUN23-25800-C").unwrap();
    packet.book(&BookBlock::default(), &[BookEntry::default(); 3]).unwrap();
    packet.trades(&TradesBlock::default(), &[TradeEntry::default(); 2]).unwrap();
    packet.ticker(&TickerBlock::default()).unwrap();
    packet.snapshot(&SnapshotBlock::default(), &[SnapshotEntry::default(); 2]).unwrap();
    packet.snapshot_start(&SnapshotStartBlock::default()).unwrap();
    packet.snapshot_end().unwrap();
    packet.combo_legs(&ComboLegsBlock::default(), &[ComboLeg::default(); 2]).unwrap();
    packet.price_index(&PriceIndexBlock::default()).unwrap();
    packet.rfq(&RfqBlock::default()).unwrap();
    packet.finish().len()
}

/// Cuts or extends a packet and makes its frame length agree, so that the lie is met inside the messages.
fn reframed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = (bytes.len() - size_of::<Header>()) as u16;
    bytes[..2].copy_from_slice(&length.to_le_bytes());
    bytes
}

fn error_of(bytes: &[u8]) -> Option<DecodeError> {
    match Packet::parse(bytes) {
        Ok((_, messages)) => messages.last().and_then(Result::err),
        Err(error) => Some(error),
    }
}

#[test]
fn every_template_comes_back_under_its_name() {
    let mut buffer = [0; PACKET_BYTES_MAX];
    let len = one_of_each(&mut buffer);
    let (header, messages) = Packet::parse(&buffer[..len]).unwrap();
    assert_eq!((header.channel_id.get(), header.sequence.get()), (3, 9));
    let names: Vec<_> = messages.map(|m| m.unwrap().template().unwrap().name()).collect();
    assert_eq!(
        names,
        [
            "instrument",
            "instrument_v2",
            "book",
            "trades",
            "ticker",
            "snapshot",
            "snapshot_start",
            "snapshot_end",
            "combo_legs",
            "price_index",
            "rfq"
        ]
    );
    for (index, template) in Template::ALL.into_iter().enumerate() {
        assert_eq!((template.index(), Template::from_id(template as u16)), (index, Some(template)));
    }
    for (index, error) in DecodeError::ALL.into_iter().enumerate() {
        assert_eq!(error as usize, index);
    }
}

#[test]
fn a_packet_cut_anywhere_between_messages_is_shorter_and_anywhere_else_an_error() {
    let mut buffer = [0; PACKET_BYTES_MAX];
    let len = one_of_each(&mut buffer);
    let (_, mut messages) = Packet::parse(&buffer[..len]).unwrap();
    let mut boundaries = vec![len - messages.remaining()];
    while messages.next().is_some() {
        boundaries.push(len - messages.remaining());
    }
    for cut in 0..size_of::<Header>() {
        assert_eq!(error_of(&buffer[..cut]), Some(DecodeError::FrameHeader));
    }
    for cut in size_of::<Header>()..len {
        assert_eq!(error_of(&reframed(&buffer[..cut])).is_none(), boundaries.contains(&cut), "cut at {cut}");
        assert_eq!(error_of(&buffer[..cut]), Some(DecodeError::FrameLength));
    }
}

#[test]
fn each_lying_length_has_its_own_error() {
    let message = |groups: u16, vars: u16, template: u16, block: u16, tail: &[u8]| {
        let mut bytes = vec![0; 8];
        for field in [block, template, SCHEMA_ID, 2, groups, vars] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(tail);
        error_of(&reframed(&bytes))
    };
    let group = |block: u16, count: u16, groups: u16, vars: u16| -> Vec<u8> {
        [0; 4].into_iter().chain([block, count, groups, vars].map(u16::to_le_bytes).into_iter().flatten()).collect()
    };
    assert_eq!(message(0, 0, 1005, 5, &[0; 4]), Some(DecodeError::BlockOverrun));
    assert_eq!(message(0, 0, 1005, 3, &[0; 3]), Some(DecodeError::BlockShort));
    assert_eq!(message(0, 0, 1007, 4, &[0; 4]), Some(DecodeError::GroupMissing));
    assert_eq!(message(1, 0, 1007, 4, &[0; 11]), Some(DecodeError::GroupHeader));
    assert_eq!(message(1, 0, 1007, 4, &group(8, 1, 0, 0)), Some(DecodeError::GroupOverrun));
    assert_eq!(message(1, 0, 1007, 4, &group(0, 9, 0, 0)), Some(DecodeError::EntryShort));
    assert_eq!(message(1, 0, 1007, 4, &group(8, 0, 1, 0)), Some(DecodeError::GroupNested));
    assert_eq!(message(1, 0, 1007, 4, &group(0, 0, 0, 0)), None);
    assert_eq!(message(0, 0, 1000, 140, &[0; 140]), Some(DecodeError::VarMissing));
    assert_eq!(message(0, 1, 1000, 140, &[9; 141]), Some(DecodeError::VarOverrun));
    assert_eq!(message(0, 1, 1006, 0, &[]), Some(DecodeError::VarOverrun));
}

#[test]
fn a_newer_version_with_more_of_everything_still_reads() {
    let mut bytes = vec![0; 8];
    for field in [TradesBlock::default().as_bytes().len() as u16 + 3, 1002, SCHEMA_ID, 7, 2, 1] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(TradesBlock { instrument_id: 77.into() }.as_bytes());
    bytes.extend([0xEE; 3]);
    for field in [size_of::<TradeEntry>() as u16 + 5, 2, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    for trade_id in [5, 6] {
        bytes.extend(TradeEntry { trade_id: trade_id.into(), ..TradeEntry::default() }.as_bytes());
        bytes.extend([0xEE; 5]);
    }
    for field in [2_u16, 3, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend([0xEE; 6]);
    bytes.extend([2, 0xEE, 0xEE]);
    let bytes = reframed(&bytes);
    let (_, mut messages) = Packet::parse(&bytes).unwrap();
    let Some(Ok(Message::Trades(trades))) = messages.next() else { panic!("trades") };
    assert_eq!(trades.block.instrument_id.get(), 77);
    assert_eq!(trades.entries.iter().map(|t| t.trade_id.get()).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(messages.remaining(), 0);
}

#[test]
fn an_unknown_template_and_a_foreign_schema_are_passed_over() {
    for (template, schema) in [(999, SCHEMA_ID), (1011, SCHEMA_ID), (1001, 2), (u16::MAX, 0)] {
        let mut bytes = vec![0; 8];
        for field in [1_u16, template, schema, 4, 1, 1] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.push(0xAA);
        bytes.extend([3, 0, 2, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
        bytes.extend([1, 0xBB]);
        let mut tail = [0; 64];
        let mut packet = PacketBuilder::new(&mut tail, 0, 0).unwrap();
        packet.snapshot_end().unwrap();
        bytes.extend(&packet.finish()[8..]);
        let bytes = reframed(&bytes);
        let (_, mut messages) = Packet::parse(&bytes).unwrap();
        let unknown = Unknown { template_id: template, schema_id: schema, version: 4 };
        assert!(matches!(messages.next(), Some(Ok(Message::Unknown(u))) if u == unknown));
        assert!(matches!(messages.next(), Some(Ok(Message::SnapshotEnd))));
        assert!(messages.next().is_none());
    }
}

#[test]
fn a_message_without_room_leaves_the_packet_as_it_was() {
    let mut buffer = [0; 8 + 12 + 4 + 7];
    assert_eq!(PacketBuilder::new(&mut buffer[..7], 0, 0).unwrap_err(), NoRoom);
    let mut packet = PacketBuilder::new(&mut buffer, 0, 0).unwrap();
    assert_eq!(packet.trades(&TradesBlock::default(), &[]), Err(NoRoom));
    assert!(packet.is_empty());
    packet.snapshot_end().unwrap();
    assert_eq!(packet.instrument(&InstrumentBlock::default(), &[0; 256]), Err(NoRoom));
    let bytes = packet.finish();
    assert!(matches!(Packet::parse(bytes).unwrap().1.next(), Some(Ok(Message::SnapshotEnd))));
}

#[test]
fn a_level_that_is_no_number_has_no_meaning() {
    let entry = |price: f64, amount: f64, side, change| BookEntry {
        side,
        change,
        price: F64::new(price),
        amount: F64::new(amount),
    };
    assert!(entry(1.0, 1.0, 1, 0).level().is_ok());
    assert!(entry(1.0, f64::NAN, 1, 2).level().is_ok(), "a deletion has no amount");
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.0, -1.0] {
        assert_eq!(entry(1.0, bad, 0, 1).level(), Err(DecodeError::Number), "{bad}");
    }
    for bad in [f64::NAN, f64::INFINITY, -1e300] {
        assert_eq!(entry(bad, 1.0, 0, 1).level(), Err(DecodeError::Number), "{bad}");
    }
    assert_eq!(entry(1.0, 1.0, 2, 0).level(), Err(DecodeError::Enumeration));
    assert_eq!(entry(1.0, 1.0, 255, 0).level(), Err(DecodeError::Enumeration));
    assert_eq!(entry(1.0, 1.0, 0, 3).level(), Err(DecodeError::Enumeration));
}

#[test]
fn padded_text_ends_at_its_padding() {
    assert_eq!(text(&ascii::<8>("USDC")), "USDC");
    assert_eq!(text(&ascii::<4>("USDCUSDC")), "USDC");
    assert_eq!(text(b"btc\xff\0\0"), "btc");
    assert_eq!(text(b""), "");
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(
        instrument in any_block::<InstrumentBlock>(),
        instrument_v2 in any_block::<InstrumentV2Block>(),
        steps in vec(any_block::<TickStep>(), 0..5),
        name in vec(any::<u8>(), 0..=255),
        book in any_block::<BookBlock>(),
        changes in vec(any_block::<BookEntry>(), 0..20),
        trades in any_block::<TradesBlock>(),
        prints in vec(any_block::<TradeEntry>(), 0..5),
        ticker in any_block::<TickerBlock>(),
        snapshot in any_block::<SnapshotBlock>(),
        levels in vec(any_block::<SnapshotEntry>(), 0..20),
        start in any_block::<SnapshotStartBlock>(),
        combo in any_block::<ComboLegsBlock>(),
        legs in vec(any_block::<ComboLeg>(), 0..5),
        index in any_block::<PriceIndexBlock>(),
        rfq in any_block::<RfqBlock>(),
    ) {
        let mut buffer = [0; 8_192];
        let mut packet = PacketBuilder::new(&mut buffer, 1, 2).unwrap();
        packet.instrument(&instrument, &name).unwrap();
        packet.instrument_v2(&instrument_v2, &steps, &name).unwrap();
        packet.book(&book, &changes).unwrap();
        packet.trades(&trades, &prints).unwrap();
        packet.ticker(&ticker).unwrap();
        packet.snapshot(&snapshot, &levels).unwrap();
        packet.snapshot_start(&start).unwrap();
        packet.snapshot_end().unwrap();
        packet.combo_legs(&combo, &legs).unwrap();
        packet.price_index(&index).unwrap();
        packet.rfq(&rfq).unwrap();
        let mut seen = 0;
        for message in Packet::parse(packet.finish()).unwrap().1 {
            seen += 1;
            let intact = match message.unwrap() {
                Message::Instrument(m) => same(m.block, &instrument) && m.name == name,
                Message::InstrumentV2(m) =>
                    same(m.block, &instrument_v2) && group_same(m.tick_steps, &steps) && m.name == name,
                Message::Book(m) => same(m.block, &book) && group_same(m.entries, &changes),
                Message::Trades(m) => same(m.block, &trades) && group_same(m.entries, &prints),
                Message::Ticker(m) => same(m, &ticker),
                Message::Snapshot(m) => same(m.block, &snapshot) && group_same(m.entries, &levels),
                Message::SnapshotStart(m) => same(m, &start),
                Message::SnapshotEnd => true,
                Message::ComboLegs(m) => same(m.block, &combo) && group_same(m.legs, &legs),
                Message::PriceIndex(m) => same(m, &index),
                Message::Rfq(m) => same(m, &rfq),
                Message::Unknown(_) => false,
            };
            prop_assert!(intact);
        }
        prop_assert_eq!(seen, 11);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_always_end(bytes in vec(any::<u8>(), 8..600)) {
        let bytes = reframed(&bytes);
        let (_, messages) = Packet::parse(&bytes).unwrap();
        prop_assert!(messages.count() <= bytes.len() / 12 + 1);
    }

    #[test]
    fn a_corrupted_packet_never_panics_and_always_ends(
        faults in vec((8..PACKET_BYTES_MAX, any::<u8>()), 1..8),
    ) {
        let mut buffer = [0; PACKET_BYTES_MAX];
        let len = one_of_each(&mut buffer);
        for (at, byte) in faults {
            buffer[at % len] = byte;
        }
        let bytes = reframed(&buffer[..len]);
        let (_, messages) = Packet::parse(&bytes).unwrap();
        for message in messages.flatten() {
            if let Message::Book(book) = message {
                prop_assert!(book.entries.iter().count() == book.entries.len());
            }
        }
    }
}
