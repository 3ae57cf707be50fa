//! A journal in plain text, one line a record, or as a table for analysis.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::CliError;
use crate::event::{Body, Event};
use crate::journal::{Decision, Directory, Place, Reader, Record, runs};
use crate::order::Request;

/// What to show of a journal.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    /// Its directory.
    pub(super) directory: &'a Path,
    /// Which run; the last one unless said.
    pub(super) run: Option<u32>,
    /// At most so many records.
    pub(super) limit: u64,
    /// Records of this kind only.
    pub(super) kind: Option<&'a str>,
    /// Where to leave a table of them.
    pub(super) table: Option<&'a Path>,
}

/// One record as a row.
#[derive(Debug, serde::Serialize)]
struct Row {
    sequence: u64,
    segment: u32,
    offset: usize,
    kind: &'static str,
    time_ns: Option<u64>,
    event: String,
    instrument: Option<u16>,
    order: Option<u64>,
    price: Option<f64>,
    lots: Option<i64>,
    detail: String,
}

/// Prints the records that were asked for, and how the journal ends.
pub(super) fn inspect(selection: &Selection<'_>, out: &mut impl Write) -> Result<(), CliError> {
    let unreadable = |error: io::Error| CliError::file(selection.directory)(error);
    let disk = Directory::open(selection.directory).map_err(unreadable)?;
    let run = pick(&disk, selection.directory, selection.run)?;
    let mut reader = Reader::open(&disk, run).map_err(unreadable)?;
    let mut table = selection.table.map(Table::create).transpose()?;
    let mut out = BufWriter::new(out);
    let mut shown = 0;
    while let Some((place, record)) = reader.read().map_err(unreadable)? {
        if shown == selection.limit || selection.kind.is_some_and(|kind| kind != record.kind()) {
            continue;
        }
        shown += 1;
        match &mut table {
            Some(table) => table.put(&row(place, &record))?,
            None => writeln!(out, "{:>10}  {:<8}  {}", place.sequence, record.kind(), detail(&record))?,
        }
    }
    let end = reader.end().map_or_else(String::new, |end| end.to_string());
    writeln!(
        out,
        "run {run} of {:?}: {} records, {shown} shown; {end}",
        runs(&disk).map_err(unreadable)?,
        reader.place().sequence
    )?;
    out.flush()?;
    table.map_or(Ok(()), Table::finish)
}

/// The run that was asked for, or the last.
pub(super) fn pick(disk: &Directory, directory: &Path, run: Option<u32>) -> Result<u32, CliError> {
    let present = runs(disk).map_err(CliError::file(directory))?;
    match run {
        Some(run) if present.contains(&run) => Ok(run),
        Some(run) => Err(CliError::Input(format!("{}: holds no run {run}", directory.display()))),
        None => present
            .last()
            .copied()
            .ok_or_else(|| CliError::Input(format!("{}: the directory holds no journal", directory.display()))),
    }
}

/// A table of rows, written as they come.
struct Table(csv::Writer<File>);

impl Table {
    fn create(path: &Path) -> Result<Self, CliError> {
        Ok(Self(csv::Writer::from_writer(File::create(path).map_err(CliError::file(path))?)))
    }

    fn put(&mut self, row: &Row) -> Result<(), CliError> {
        self.0.serialize(row).map_err(|error| CliError::Input(format!("the table cannot be written: {error}")))
    }

    fn finish(mut self) -> Result<(), CliError> {
        Ok(self.0.flush()?)
    }
}

/// A record's own words, without its kind.
fn detail(record: &Record) -> String {
    match record {
        Record::Head { head } => format!(
            "run {} segment {}, begun at {} ns, order numbers from second {}, {}",
            head.run,
            head.segment,
            head.started.0,
            head.started_s,
            String::from_utf8_lossy(&head.instruction_set).trim_end_matches('\0')
        ),
        Record::Settings { json } => String::from_utf8_lossy(json).into_owned(),
        Record::Input { event } | Record::Output { event } => format!("{} {:?}", event.time.0, event.body),
        Record::Decision { decision } => format!("{decision:?}"),
        Record::Session { call } => format!("{call:?}"),
        Record::Short { stage, step, room } => format!("{stage:?} at step {step}: room for {room}"),
        Record::Lost { stream, messages } => format!("{messages} messages of {stream:?}"),
        Record::Closed => String::new(),
    }
}

fn row(place: Place, record: &Record) -> Row {
    let mut row = Row {
        sequence: place.sequence,
        segment: place.segment,
        offset: place.offset,
        kind: record.kind(),
        time_ns: None,
        event: String::new(),
        instrument: None,
        order: None,
        price: None,
        lots: None,
        detail: detail(record),
    };
    match record {
        Record::Input { event } | Record::Output { event } => row.describe(event),
        Record::Decision {
            decision: Decision::Send { request: Request::New { order, instrument, side, price, lots, .. } },
        } => {
            row.event = "New".to_owned();
            (row.order, row.instrument) = (Some(order.0), Some(instrument.0));
            (row.price, row.lots) = (Some(price.to_f64()), Some(side.sign() * i64::from(*lots)));
        }
        _ => {}
    }
    row
}

impl Row {
    fn describe(&mut self, event: &Event) {
        self.time_ns = Some(event.time.0);
        // The name of a variant is what its text begins with.
        let text = format!("{:?}", event.body);
        self.event = text.split([' ', '{']).next().unwrap_or_default().to_owned();
        match event.body {
            Body::Filled { order, instrument, side, price, lots, .. }
            | Body::Busted { order, instrument, side, price, lots, .. } => {
                (self.order, self.instrument) = (Some(order.0), Some(instrument.0));
                (self.price, self.lots) = (Some(price.to_f64()), Some(side.sign() * i64::from(lots)));
            }
            Body::Accepted { order, instrument, .. }
            | Body::Cancelled { order, instrument, .. }
            | Body::Rejected { order, instrument, .. }
            | Body::CancelRejected { order, instrument, .. }
            | Body::AmendRejected { order, instrument, .. } => {
                (self.order, self.instrument) = (Some(order.0), Some(instrument.0));
            }
            Body::Amended { order, instrument, price, lots } => {
                (self.order, self.instrument) = (Some(order.0), Some(instrument.0));
                (self.price, self.lots) = (Some(price.to_f64()), Some(i64::from(lots)));
            }
            Body::Sent { order, .. } => self.order = Some(order.0),
            Body::Position { instrument, lots } => (self.instrument, self.lots) = (Some(instrument.0), Some(lots)),
            Body::Trade { instrument, side, price, lots, .. } => {
                self.instrument = Some(instrument.0);
                (self.price, self.lots) = (Some(price.to_f64()), Some(side.sign() * i64::from(lots)));
            }
            Body::Mark { instrument, mark } => {
                (self.instrument, self.price) = (Some(instrument.0), Some(mark.to_f64()));
            }
            Body::Index { price, .. } => self.price = Some(price.to_f64()),
            Body::Top { instrument, .. } | Body::Listed { instrument, .. } | Body::Volatility { instrument, .. } => {
                self.instrument = Some(instrument.0);
            }
            _ => {}
        }
    }
}
