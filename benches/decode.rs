//! Decoding the multicast feed: the time of one message, by kind, each field read that the feed reads.
//!
//! Input: packets of one kind of message as the venue fills them (a book message changes two levels, a snapshot has ten,
//! a trades message one), as many as fit 1,472 bytes. The time per element is that of one message, its share of the
//! frame header included. One core, warm caches, the packet in L1: the floor, not what a cold packet costs.
//! `decode_starbase` does the same for the market-by-order feed, with packets of 1,400 bytes; a definition has one large
//! tick size.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hedgecore::wire::deribit_multicast::{
    BookBlock, BookEntry, InstrumentV2Block, Message, NoRoom, PACKET_BYTES_MAX, Packet, PacketBuilder, PriceIndexBlock,
    SnapshotBlock, SnapshotEntry, TickStep, TickerBlock, TradeEntry, TradesBlock, ascii,
};
use hedgecore::wire::starbase::market_data as starbase;

/// A packet filled with one kind of message, and how many it holds.
fn packet(append: impl Fn(&mut PacketBuilder<'_>) -> Result<(), NoRoom>) -> (Vec<u8>, u64) {
    let mut buffer = [0; PACKET_BYTES_MAX];
    let mut builder = PacketBuilder::new(&mut buffer, 1, 1).expect("a buffer of a packet's size");
    let mut messages = 0;
    while append(&mut builder).is_ok() {
        messages += 1;
    }
    (builder.finish().to_vec(), messages)
}

/// Reads every message; the sum keeps the reads.
fn read(bytes: &[u8]) -> u64 {
    let Ok((header, messages)) = Packet::parse(bytes) else { return 0 };
    let mut sum = u64::from(header.sequence.get());
    for message in messages {
        sum = sum.wrapping_add(match message {
            Ok(Message::Book(book)) => {
                let levels: u64 = book.entries.iter().map(|e| e.price.get().to_bits() ^ e.amount.get().to_bits()).sum();
                levels ^ book.block.change_id.get() ^ book.block.prev_change_id.get()
            }
            Ok(Message::Snapshot(snapshot)) => {
                let entries = snapshot.entries.iter();
                let levels: u64 = entries.map(|e| e.price.get().to_bits() ^ e.amount.get().to_bits()).sum();
                levels ^ snapshot.block.change_id.get()
            }
            Ok(Message::Trades(trades)) => {
                trades.entries.iter().map(|e| e.price.get().to_bits() ^ e.trade_id.get()).sum()
            }
            Ok(Message::Ticker(ticker)) => ticker.mark_price.get().to_bits() ^ ticker.timestamp_ms.get(),
            Ok(Message::PriceIndex(index)) => index.price.get().to_bits() ^ u64::from(index.name[0]),
            Ok(Message::InstrumentV2(instrument)) => {
                instrument.block.terms.strike.get().to_bits() ^ instrument.name.len() as u64
            }
            _ => 1,
        });
    }
    sum
}

fn decode(criterion: &mut Criterion) {
    let change = BookEntry { side: 1, change: 1, price: 26_012.5.into(), amount: 120.0.into() };
    let level = SnapshotEntry { side: 1, price: 26_012.5.into(), amount: 120.0.into() };
    let trade = TradeEntry { price: 26_012.5.into(), amount: 10.0.into(), trade_id: 7.into(), ..TradeEntry::default() };
    let ticker = TickerBlock { mark_price: 26_012.5.into(), ..TickerBlock::default() };
    let index = PriceIndexBlock { name: ascii("btc_usd"), price: 26_012.5.into(), ..PriceIndexBlock::default() };
    let step = TickStep { above_price: 0.005.into(), tick_size: 0.0005.into() };
    let packets = [
        ("book", packet(|p| p.book(&BookBlock::default(), &[change; 2]))),
        ("trades", packet(|p| p.trades(&TradesBlock::default(), &[trade]))),
        ("ticker", packet(|p| p.ticker(&ticker))),
        ("snapshot_10_levels", packet(|p| p.snapshot(&SnapshotBlock::default(), &[level; 10]))),
        ("price_index", packet(|p| p.price_index(&index))),
        ("instrument_v2", packet(|p| p.instrument_v2(&InstrumentV2Block::default(), &[step], b"BTC-16JUN23-25800-C"))),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, (bytes, messages)) in &packets {
        group.throughput(Throughput::Elements(*messages));
        group.bench_function(*name, |bencher| bencher.iter(|| read(black_box(bytes))));
    }
    group.finish();
}

/// As [`packet`], of the market-by-order feed.
fn starbase_packet(
    append: impl Fn(&mut starbase::PacketBuilder<'_>) -> Result<(), starbase::NoRoom>,
) -> (Vec<u8>, u64) {
    let mut buffer = [0; starbase::PACKET_BYTES_MAX];
    let mut builder = starbase::PacketBuilder::new(&mut buffer, starbase::packet_type::INCREMENTAL, 1, 1, 1)
        .expect("a buffer of a packet's size");
    while append(&mut builder).is_ok() {}
    let messages = u64::from(builder.count());
    (builder.finish().to_vec(), messages)
}

/// As [`read`], of the market-by-order feed.
fn read_starbase(bytes: &[u8]) -> i64 {
    let Ok((header, messages)) = starbase::Packet::parse(bytes) else { return 0 };
    let mut sum = header.sequence.get();
    for message in messages.flatten() {
        sum ^= message.sequence ^ message.header.transact_time_ns.get() ^ i64::from(message.header.flags.get());
        sum = sum.wrapping_add(match message.message {
            Ok(starbase::Message::BidPut(put)) => {
                put.order_id.get()
                    ^ put.instrument_id.get()
                    ^ put.price.get()
                    ^ put.quantity_mantissa.get()
                    ^ put.sort_order_id.get()
            }
            Ok(starbase::Message::BidQtyReduced(reduced)) => reduced.order_id.get() ^ reduced.quantity_mantissa.get(),
            Ok(starbase::Message::BidDelete(delete)) => delete.order_id.get() ^ delete.instrument_id.get(),
            Ok(starbase::Message::TradeSummary(summary)) => {
                summary.instrument_id.get() ^ summary.deepest_price.get() ^ i64::from(summary.taker_flags.get())
            }
            Ok(starbase::Message::Trade(trade)) => trade.match_id.get() ^ trade.fill_price.get(),
            Ok(starbase::Message::BlockTrade(trade)) => trade.match_id.get() ^ trade.fill_price.get(),
            Ok(starbase::Message::InstrumentInfo(info)) => info.mark_price.get() ^ info.index_price.get(),
            Ok(starbase::Message::InstrumentRef(figures)) => {
                figures.delivery_price.get() ^ figures.settlement_price.get() ^ figures.instrument_id.get()
            }
            Ok(starbase::Message::InstrumentStatusUpdate(update)) => {
                update.instrument_id.get() ^ i64::from(update.trading_status)
            }
            Ok(starbase::Message::IndexDefinition(index)) => index.index_id.get() ^ i64::from(index.name[0]),
            Ok(starbase::Message::SnapshotHeader(header)) => {
                header.instrument_id.get() ^ header.incremental_seq_num.get()
            }
            Ok(starbase::Message::InstrumentDefinition(definition)) => {
                definition.block.strike_price.get() ^ definition.large_tick_sizes.len() as i64
            }
            _ => 1,
        });
    }
    sum
}

fn decode_starbase(criterion: &mut Criterion) {
    use starbase::{
        BidDelete, BidPut, BidQtyReduced, BlockTrade, IndexDefinition, InstrumentDefinition, InstrumentInfo,
        InstrumentRef, InstrumentStatusUpdate, LargeTickSize, SnapshotHeader, Trade, TradeSummary,
    };
    use zerocopy::FromBytes;

    let meta = starbase::MessageMeta { flags: 3, transact_time_ns: 1 };
    fn filled<T: FromBytes>() -> T {
        T::read_from_prefix(&[5; 512]).ok().map(|(block, _)| block).expect("no block is longer")
    }
    let packets = [
        ("put", starbase_packet(|p| p.push(meta, &filled::<BidPut>()))),
        ("reduced", starbase_packet(|p| p.push(meta, &filled::<BidQtyReduced>()))),
        ("delete", starbase_packet(|p| p.push(meta, &filled::<BidDelete>()))),
        ("trade_summary", starbase_packet(|p| p.push(meta, &filled::<TradeSummary>()))),
        ("trade", starbase_packet(|p| p.push(meta, &filled::<Trade>()))),
        ("block_trade", starbase_packet(|p| p.push(meta, &filled::<BlockTrade>()))),
        ("info", starbase_packet(|p| p.push(meta, &filled::<InstrumentInfo>()))),
        ("reference", starbase_packet(|p| p.push(meta, &filled::<InstrumentRef>()))),
        ("status", starbase_packet(|p| p.push(meta, &filled::<InstrumentStatusUpdate>()))),
        ("index_definition", starbase_packet(|p| p.push(meta, &filled::<IndexDefinition>()))),
        ("snapshot_header", starbase_packet(|p| p.push(meta, &filled::<SnapshotHeader>()))),
        (
            "definition",
            starbase_packet(|p| {
                p.definition(meta, &filled::<InstrumentDefinition>(), &[filled::<LargeTickSize>()], &[])
            }),
        ),
    ];
    let mut group = criterion.benchmark_group("decode_starbase");
    for (name, (bytes, messages)) in &packets {
        group.throughput(Throughput::Elements(*messages));
        group.bench_function(*name, |bencher| bencher.iter(|| read_starbase(black_box(bytes))));
    }
    group.finish();
}

criterion_group!(benches, decode, decode_starbase);
criterion_main!(benches);
