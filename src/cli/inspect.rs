//! `hedgecore inspect FILE`: a capture in plain text, one line a message, and a summary. Of a directory: the journal in it.
//!
//! The file is read twice: first for the names of the instruments, which a session announces only after some time, then
//! to print. The summary is the feed's own count over the whole file, whatever part of it is shown.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use serde_json::json;
use zerocopy::little_endian::{F64, U64};

use super::CliError;
use super::records::{self, Selection};
use crate::capture::{Capture, CaptureCounters};
use crate::event::Event;
use crate::feed::{Feed, FeedConfig, FeedCounters, Line, Packet};
use crate::instrument::InstrumentKind;
use crate::journal::Record;
use crate::stage::{Full, Outbox};
use crate::units::{Nanos, Ticks};
use crate::wire::deribit_multicast::{
    self as wire, BookChange, BookSide, Direction, Kind, Liquidation, Message, OptionType, State, Template, Terms, text,
};

/// What to print.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct InspectArgs {
    /// A pcap or pcapng capture of the venue's feed, or the directory of a journal
    file: PathBuf,
    /// Show at most this many messages
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Show messages, or records, of this kind only
    #[arg(long, value_name = "NAME", value_parser = kinds())]
    filter: Option<String>,
    /// Which run of a journal [default: the last]
    #[arg(long, value_name = "NUMBER")]
    run: Option<u32>,
    /// Write the records of a journal as a table instead of printing them: CSV, or Parquet where the name ends in .parquet
    /// (in a build with --features parquet)
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Write the summary as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Prints the capture to standard output.
pub(super) fn run(args: &InspectArgs) -> Result<(), CliError> {
    let out = &mut io::stdout().lock();
    if !args.file.is_dir() {
        return inspect(args, out);
    }
    let selection = Selection {
        directory: &args.file,
        run: args.run,
        limit: args.limit.unwrap_or(u64::MAX),
        kind: args.filter.as_deref(),
        table: args.table.as_deref(),
    };
    records::inspect(&selection, out)
}

/// The kinds of a capture's messages and of a journal's records.
fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Template::ALL.map(Template::name).into_iter().chain(Record::KINDS))
}

/// Prints the capture to `out`. A damaged one is printed, and its summary, up to the damage.
fn inspect(args: &InspectArgs, out: &mut impl Write) -> Result<(), CliError> {
    let names = names(args)?;
    print(args, &names, &mut io::BufWriter::new(out))
}

/// Venue numbers to names, from every definition in the file. Damage is left to the second reading to report.
fn names(args: &InspectArgs) -> Result<BTreeMap<u32, String>, CliError> {
    let mut names = BTreeMap::new();
    let mut capture = Capture::open(&args.file)?;
    while let Ok(Some(datagram)) = capture.next_datagram() {
        for message in wire::Packet::parse(datagram.payload).into_iter().flat_map(|(_, messages)| messages).flatten() {
            let (number, name) = match message {
                Message::Instrument(m) => (m.block.instrument_id, m.name),
                Message::InstrumentV2(m) => (m.block.instrument_id, m.name),
                _ => continue,
            };
            names.insert(number.get(), text(name).to_string());
        }
    }
    Ok(names)
}

fn print(args: &InspectArgs, names: &BTreeMap<u32, String>, out: &mut impl Write) -> Result<(), CliError> {
    let mut capture = Capture::open(&args.file)?;
    let mut feed = Feed::new(FeedConfig::default());
    let (mut shown, mut last_time) = (0, None);
    let mut line = String::new();
    let damage = loop {
        let datagram = match capture.next_datagram() {
            Ok(Some(datagram)) => datagram,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        let (time, port, bytes) = (datagram.time, datagram.destination.port(), datagram.payload);
        feed.step(&Packet { time, received: Ticks(0), port, line: Line::A, bytes }, &mut Discard);
        let (first, _) = *last_time.get_or_insert((time, time));
        last_time = Some((first, time));
        line.clear();
        shown += describe_packet(&mut line, args, names, (time, port, bytes), args.limit.unwrap_or(u64::MAX) - shown);
        out.write_all(line.as_bytes())?;
    };
    if last_time.is_none()
        && let Some(error) = damage
    {
        return Err(error.into());
    }
    let summary = Summary { feed: &feed, capture: capture.counters(), span: last_time, shown };
    write!(out, "{summary}")?;
    out.flush()?;
    if let Some(file) = &args.json {
        let written = File::create(file).and_then(|file| Ok(serde_json::to_writer_pretty(file, &summary.to_json())?));
        written.map_err(CliError::file(file))?;
    }
    damage.map_or(Ok(()), |error| Err(error.into()))
}

/// The feed is run for its counters alone.
struct Discard;

impl Outbox<Event> for Discard {
    fn send(&mut self, _: Event) -> Result<(), Full> {
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

/// Appends the lines of one packet, `room` at most; how many.
fn describe_packet(
    lines: &mut String,
    args: &InspectArgs,
    names: &BTreeMap<u32, String>,
    (time, port, bytes): (Nanos, u16, &[u8]),
    room: u64,
) -> u64 {
    let mut shown = 0;
    let mut show = |place: fmt::Arguments<'_>, template: &str, what: &dyn fmt::Display| {
        if shown < room && args.filter.as_ref().is_none_or(|filter| filter == template) {
            shown += 1;
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{} {place} {template:<14} {what}", Utc(time));
        }
    };
    match wire::Packet::parse(bytes) {
        Err(error) => show(format_args!("{port}/?"), "undecodable", &error),
        Ok((header, messages)) => {
            let (channel, sequence) = (header.channel_id.get(), header.sequence.get());
            for message in messages {
                let place = format!("{:<9} {sequence:>10}", format!("{port}/{channel}"));
                match message {
                    Ok(message) => {
                        let template = message.template().map_or("unknown", Template::name);
                        show(format_args!("{place}"), template, &Described { message, names });
                    }
                    Err(error) => show(format_args!("{place}"), "undecodable", &error),
                }
            }
        }
    }
    shown
}

/// A message in words.
struct Described<'a> {
    message: Message<'a>,
    names: &'a BTreeMap<u32, String>,
}

impl Described<'_> {
    fn name(&self, number: u32) -> String {
        self.names.get(&number).cloned().unwrap_or_else(|| format!("#{number}"))
    }
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Message::Instrument(m) => {
                let block = m.block;
                let kinds = (block.state, block.kind, block.option_type);
                definition(f, m.name, block.instrument_id.get(), kinds, &block.terms)
            }
            Message::InstrumentV2(m) => {
                let block = m.block;
                let kinds = (block.state, block.kind, block.option_type);
                definition(f, m.name, block.instrument_id.get(), kinds, &block.terms)?;
                m.tick_steps.iter().try_for_each(|step| write!(f, ", {} above {}", step.tick_size, step.above_price))
            }
            Message::Book(m) => {
                let block = m.block;
                let name = self.name(block.instrument_id.get());
                let more = if block.is_last == 0 { " (more follows)" } else { "" };
                write!(f, "{name} change {} after {}{more}:", block.change_id, block.prev_change_id)?;
                m.entries.iter().try_for_each(|level| {
                    let (side, change) = (word::<BookSide>(level.side), word::<BookChange>(level.change));
                    write!(f, " {side} {} {change}", at(level.price, level.amount))
                })
            }
            Message::Trades(m) => {
                write!(f, "{}:", self.name(m.block.instrument_id.get()))?;
                m.entries.iter().try_for_each(|trade| {
                    write!(f, " {} {}", word::<Direction>(trade.direction), at(trade.price, trade.amount))?;
                    write!(
                        f,
                        " mark {} index {} id {}",
                        num(trade.mark_price),
                        num(trade.index_price),
                        trade.trade_id
                    )?;
                    match Liquidation::try_from(trade.liquidation) {
                        Ok(Liquidation::None) | Err(_) => Ok(()),
                        Ok(side) => write!(f, " liquidation of {side:?}"),
                    }
                })
            }
            Message::Ticker(m) => {
                write!(f, "{} {}", self.name(m.instrument_id.get()), word::<State>(m.state))?;
                write!(f, " mark {} index {} last {}", num(m.mark_price), num(m.index_price), num(m.last_price))?;
                write!(f, " bid {}", at(m.best_bid_price, m.best_bid_amount))?;
                write!(f, " ask {} open interest {}", at(m.best_ask_price, m.best_ask_amount), num(m.open_interest))
            }
            Message::Snapshot(m) => {
                let block = m.block;
                let name = self.name(block.instrument_id.get());
                let partial = if block.is_book_complete == 0 { " incomplete" } else { "" };
                let more = if block.is_last_in_book == 0 { " (more follows)" } else { "" };
                write!(f, "{name} at change {}{partial}{more}:", block.change_id)?;
                m.entries.iter().try_for_each(|level| {
                    write!(f, " {} {}", word::<BookSide>(level.side), at(level.price, level.amount))
                })
            }
            Message::SnapshotStart(m) => write!(f, "delay {} ms", m.snapshot_delay),
            Message::SnapshotEnd => Ok(()),
            Message::ComboLegs(m) => {
                write!(f, "{}:", self.name(m.block.instrument_id.get()))?;
                m.legs.iter().try_for_each(|leg| {
                    write!(f, " {:+} {}", leg.leg_size.get(), self.name(leg.leg_instrument_id.get()))
                })
            }
            Message::PriceIndex(m) => write!(f, "{} {}", text(&m.name), num(m.price)),
            Message::Rfq(m) => {
                let state = if m.state == 0 { "ended" } else { "stands" };
                let side = word::<Direction>(m.side);
                write!(f, "{} {state}, {side} {}", self.name(m.instrument_id.get()), num(m.amount))
            }
            Message::Unknown(m) => {
                write!(f, "template {} of schema {} version {}", m.template_id, m.schema_id, m.version)
            }
        }
    }
}

fn definition(
    f: &mut fmt::Formatter<'_>,
    name: &[u8],
    number: u32,
    (state, kind, option): (u8, u8, u8),
    terms: &Terms,
) -> fmt::Result {
    write!(f, "{} #{number} {} {}", text(name), word::<State>(state), word::<Kind>(kind))?;
    if let Ok(option @ (OptionType::Call | OptionType::Put)) = OptionType::try_from(option) {
        write!(f, " {} {}", word::<OptionType>(option.into()), num(terms.strike))?;
    }
    let settlement = Some(text(&terms.settlement_currency)).filter(|currency| !currency.is_empty());
    write!(f, " {}/{}", text(&terms.base_currency), text(&terms.counter_currency))?;
    write!(f, " settled in {} expires {}", settlement.unwrap_or("-"), expiry(terms.expiration_ms))?;
    write!(f, " lot {} contract {}", num(terms.min_trade_amount), num(terms.contract_size))?;
    write!(f, " fees {}/{}", num(terms.maker_commission), num(terms.taker_commission))?;
    write!(f, " tick {}", num(terms.tick_size))
}

/// An enumeration's value as a word, or the byte itself.
fn word<T: TryFrom<u8> + fmt::Debug>(byte: u8) -> String {
    match T::try_from(byte) {
        Ok(value) => format!("{value:?}").to_lowercase(),
        Err(_) if byte == u8::MAX => "-".to_string(),
        Err(_) => format!("?{byte}"),
    }
}

fn num(value: F64) -> String {
    if value.get().is_nan() { "-".to_string() } else { value.get().to_string() }
}

fn at(price: F64, amount: F64) -> String {
    format!("{} @ {}", num(amount), num(price))
}

fn expiry(expiration_ms: U64) -> String {
    match Nanos::from_millis(expiration_ms.get()) {
        never if never.0 / Nanos::PER_SECOND > u64::from(u32::MAX) => "never".to_string(),
        expiry => Utc(expiry).to_string()[..16].to_string(),
    }
}

/// A time as a date and time of day.
struct Utc(Nanos);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0.0)).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{}", time.strftime("%Y-%m-%d %H:%M:%S.%9f"))
    }
}

/// What the whole file held.
struct Summary<'a> {
    feed: &'a Feed,
    capture: CaptureCounters,
    span: Option<(Nanos, Nanos)>,
    shown: u64,
}

impl Summary<'_> {
    fn counters(&self) -> &FeedCounters {
        self.feed.counters()
    }

    fn options(&self) -> usize {
        self.feed.catalogue().instruments().iter().filter(|i| i.kind == InstrumentKind::Option).count()
    }

    fn messages(&self) -> BTreeMap<&'static str, u64> {
        Template::ALL.map(|template| (template.name(), self.counters().messages_of(template))).into()
    }

    fn to_json(&self) -> serde_json::Value {
        let counters = self.counters();
        json!({
            "packets": counters.packets,
            "bytes": counters.bytes,
            "passed_over": self.capture.packets - self.capture.datagrams,
            "channels": self.feed.channels(),
            "messages": self.messages(),
            "unknown_templates": counters.unknown_templates,
            "trades": counters.trades,
            "instruments": self.feed.catalogue().instruments().len(),
            "options": self.options(),
            "sequence_gaps": counters.sequence_gaps,
            "packets_missing": counters.packets_missing,
            "chain_breaks": counters.chain_breaks,
            "snapshots_compared": counters.snapshots_compared,
            "snapshots_equal": counters.snapshots_equal,
            "decode_errors": counters.decode_errors_total(),
            "refused": counters.refused_total(),
        })
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counters, messages) = (self.counters(), self.messages());
        let total: u64 = messages.values().sum();
        writeln!(f, "\n{} of {} messages shown", self.shown, total + counters.unknown_templates)?;
        let span_s = self.span.map_or(0.0, |(first, last)| last.since(first) as f64 / 1e9);
        writeln!(f, "{} packets, {} bytes, {span_s:.3} s", counters.packets, counters.bytes)?;
        let passed_over = self.capture.packets - self.capture.datagrams;
        writeln!(f, "{} channels, {passed_over} packets passed over", self.feed.channels())?;
        for (name, count) in messages.into_iter().filter(|&(_, count)| count > 0) {
            writeln!(f, "  {name:<14} {count:>9}")?;
        }
        if counters.unknown_templates > 0 {
            writeln!(f, "  {:<14} {:>9}", "unknown", counters.unknown_templates)?;
        }
        let instruments = self.feed.catalogue().instruments().len();
        writeln!(f, "{instruments} instruments, {} of them options; {} trades", self.options(), counters.trades)?;
        writeln!(f, "{} sequence gaps ({} packets)", counters.sequence_gaps, counters.packets_missing)?;
        writeln!(f, "{} chain breaks, {} books gapped", counters.chain_breaks, counters.books_gapped)?;
        let (compared, equal) = (counters.snapshots_compared, counters.snapshots_equal);
        writeln!(f, "{} books seeded; {compared} snapshots compared, {equal} equal", counters.books_seeded)?;
        let (errors, refused) = (counters.decode_errors_total(), counters.refused_total());
        writeln!(f, "{errors} decode errors, {refused} definitions refused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::deribit_multicast::{
        BookBlock, BookEntry, InstrumentV2Block, PacketBuilder, PriceIndexBlock, ascii,
    };

    /// A pcap file of raw IP packets in the temporary directory, gone when dropped.
    struct Recorded(PathBuf);

    impl Drop for Recorded {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn record(name: &str, cut: usize) -> Recorded {
        let mut file = 0xa1b2_3c4d_u32.to_le_bytes().to_vec();
        file.extend([2, 0, 4, 0]);
        file.extend([0, 0, 65_535, 101].into_iter().flat_map(u32::to_le_bytes));
        let mut packet = |seconds: u32, write: &dyn Fn(&mut PacketBuilder<'_>)| {
            let mut buffer = [0; 1_000];
            let mut packet = PacketBuilder::new(&mut buffer, 2, seconds).unwrap();
            write(&mut packet);
            let mut frame = Vec::new();
            let headers = etherparse::PacketBuilder::ipv4([1; 4], [2; 4], 1).udp(4_000, 6_100);
            headers.write(&mut frame, packet.finish()).unwrap();
            file.extend([seconds, 7, frame.len() as u32, frame.len() as u32].into_iter().flat_map(u32::to_le_bytes));
            file.extend(frame);
        };
        packet(951_782_400, &|packet| {
            let change = BookEntry { side: 1, change: 2, price: 0.0235.into(), amount: f64::NAN.into() };
            packet.book(&BookBlock { instrument_id: 4.into(), ..BookBlock::default() }, &[change]).unwrap();
            let index =
                PriceIndexBlock { name: ascii("btc_usd"), price: 26_000.5.into(), ..PriceIndexBlock::default() };
            packet.price_index(&index).unwrap();
        });
        packet(951_868_801, &|packet| {
            let block = InstrumentV2Block { instrument_id: 4.into(), kind: 1, option_type: 2, ..Default::default() };
            packet.instrument_v2(&block, &[], b"BTC-1JAN-9-P").unwrap();
        });
        file.truncate(file.len() - cut);
        let path = std::env::temp_dir().join(format!("hedgecore-inspect-{}-{name}.pcap", std::process::id()));
        std::fs::write(&path, file).unwrap();
        Recorded(path)
    }

    fn inspected(file: &Recorded, limit: Option<u64>, filter: Option<&str>) -> (String, Result<(), CliError>) {
        let filter = filter.map(str::to_string);
        let args = InspectArgs { file: file.0.clone(), limit, filter, json: None, run: None, table: None };
        let mut out = Vec::new();
        let result = inspect(&args, &mut out);
        (String::from_utf8(out).unwrap(), result)
    }

    #[test]
    fn names_announced_late_are_known_from_the_first_line() {
        let (text, result) = inspected(&record("names", 0), None, None);
        assert!(result.is_ok());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("2000-02-29 00:00:00.000000007 6100/2     951782400 book"), "{}", lines[0]);
        assert!(lines[0].ends_with("BTC-1JAN-9-P change 0 after 0 (more follows): bid - @ 0.0235 deleted"));
        assert!(lines[1].ends_with("price_index    btc_usd 26000.5"), "{}", lines[1]);
        assert!(lines[2].starts_with("2000-03-01 00:00:01.000000007"), "{}", lines[2]);
        assert!(text.contains("3 of 3 messages shown"));
        assert!(text.contains("1 sequence gaps (86400 packets)"), "{text}");
    }

    #[test]
    fn a_limit_and_a_filter_cut_the_lines_and_not_the_summary() {
        let file = record("limit", 0);
        assert!(inspected(&file, Some(1), None).0.contains("1 of 3 messages shown"));
        let (text, _) = inspected(&file, None, Some("price_index"));
        assert!(text.lines().next().unwrap().contains("btc_usd"));
        assert!(text.contains("1 of 3 messages shown") && text.contains("book                   1"));
    }

    #[test]
    fn a_damaged_capture_is_shown_to_the_damage_and_named() {
        let file = record("damaged", 10);
        let (text, result) = inspected(&file, None, None);
        assert!(text.contains("2 of 2 messages shown"));
        let error = result.unwrap_err().to_string();
        assert!(error.contains("hedgecore-inspect") && error.ends_with("inside packet 2: it was cut short"), "{error}");
    }

    #[test]
    fn a_reader_that_goes_away_is_a_broken_pipe_and_nothing_else() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let file = record("pipe", 0);
        let args = InspectArgs { file: file.0.clone(), limit: None, filter: None, json: None, run: None, table: None };
        let error = inspect(&args, &mut Gone).unwrap_err();
        assert!(matches!(error, CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe));
    }
}
