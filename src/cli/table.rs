//! The records of a journal as a table for analysis, a row a record: CSV, or Parquet in a build that has it.
//!
//! Both hold the same columns: integers as the journal has them, the unit last in the name, and a cell empty where a record
//! has no such value. `lots` are signed where the record has a side; `symbol` is known from an instrument's naming on.
//! `detail` is the whole record in words.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};

#[cfg(feature = "parquet")]
use super::parquet::Parquet;
use super::{CliError, records};
use crate::event::{Body, Event};
use crate::instrument::Symbol;
use crate::journal::{Decision, Place, Record, SessionCall};
use crate::order::Request;
use crate::units::{ClientOrderId, Coins, ExecutionId, InstrumentId, Nanos, Price, Side, UnderlyingId};

/// One record.
#[derive(Debug, Default)]
pub(super) struct Row {
    place: Place,
    kind: &'static str,
    time: Option<Nanos>,
    event: Option<String>,
    underlying: Option<UnderlyingId>,
    instrument: Option<InstrumentId>,
    symbol: Option<Symbol>,
    order: Option<ClientOrderId>,
    execution: Option<ExecutionId>,
    price: Option<Price>,
    lots: Option<i64>,
    bid: Option<(Price, u32)>,
    ask: Option<(Price, u32)>,
    sigma: Option<f64>,
    net_delta: Option<Coins>,
    detail: String,
}

/// A column: how it is called, and what a row has in it.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) cell: Cell,
}

/// What kind of value a column holds, and where a row has it.
pub(super) enum Cell {
    Count(fn(&Row) -> Option<u64>),
    /// Since the Unix epoch.
    Time(fn(&Row) -> Option<Nanos>),
    Integer(fn(&Row) -> Option<i64>),
    Float(fn(&Row) -> Option<f64>),
    Text(fn(&Row) -> Option<&str>),
}

const fn column(name: &'static str, cell: Cell) -> Column {
    Column { name, cell }
}

/// Every column, in order.
pub(super) const COLUMNS: [Column; 20] = [
    column("sequence", Cell::Count(|row| Some(row.place.sequence))),
    column("segment", Cell::Count(|row| Some(row.place.segment.into()))),
    column("offset_bytes", Cell::Count(|row| Some(row.place.offset as u64))),
    column("kind", Cell::Text(|row| Some(row.kind))),
    column("time_ns", Cell::Time(|row| row.time)),
    column("event", Cell::Text(|row| row.event.as_deref())),
    column("underlying", Cell::Count(|row| Some(row.underlying?.0.into()))),
    column("instrument", Cell::Count(|row| Some(row.instrument?.0.into()))),
    column("symbol", Cell::Text(|row| Some(row.symbol.as_ref()?.as_str()))),
    column("order", Cell::Count(|row| Some(row.order?.0))),
    column("execution", Cell::Count(|row| Some(row.execution?.0))),
    column("price_e9", Cell::Integer(|row| Some(row.price?.0))),
    column("lots", Cell::Integer(|row| row.lots)),
    column("bid_e9", Cell::Integer(|row| Some(row.bid?.0.0))),
    column("bid_lots", Cell::Integer(|row| Some(row.bid?.1.into()))),
    column("ask_e9", Cell::Integer(|row| Some(row.ask?.0.0))),
    column("ask_lots", Cell::Integer(|row| Some(row.ask?.1.into()))),
    column("sigma_per_year", Cell::Float(|row| row.sigma)),
    column("net_delta_coins_e9", Cell::Integer(|row| Some(row.net_delta?.0))),
    column("detail", Cell::Text(|row| Some(&row.detail))),
];

/// A table under way.
pub(super) struct Table {
    path: PathBuf,
    format: Format,
    symbols: BTreeMap<InstrumentId, Symbol>,
}

enum Format {
    Csv(csv::Writer<File>),
    #[cfg(feature = "parquet")]
    Parquet(Parquet),
}

impl Table {
    /// An empty one: Parquet where the name ends so, CSV otherwise.
    pub(super) fn create(path: &Path) -> Result<Self, CliError> {
        let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
        let format = if is_parquet { Format::parquet(path)? } else { Format::csv(path)? };
        Ok(Self { path: path.to_owned(), format, symbols: BTreeMap::new() })
    }

    /// Appends a record.
    pub(super) fn put(&mut self, place: Place, record: &Record) -> Result<(), CliError> {
        if let Record::Input { event: Event { body: Body::Named { instrument, symbol }, .. } } = record {
            self.symbols.insert(*instrument, *symbol);
        }
        let mut row = Row::of(place, record);
        row.symbol = row.instrument.and_then(|instrument| self.symbols.get(&instrument).copied());
        let done = match &mut self.format {
            Format::Csv(csv) => csv.write_record(COLUMNS.map(|column| column.cell.text(&row))).map_err(Into::into),
            #[cfg(feature = "parquet")]
            Format::Parquet(parquet) => parquet.put(row),
        };
        done.map_err(CliError::file(&self.path))
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> Result<(), CliError> {
        let done = match self.format {
            Format::Csv(mut csv) => csv.flush(),
            #[cfg(feature = "parquet")]
            Format::Parquet(parquet) => parquet.finish(),
        };
        done.map_err(CliError::file(&self.path))
    }
}

impl Format {
    fn csv(path: &Path) -> Result<Self, CliError> {
        let mut csv = csv::Writer::from_writer(File::create(path).map_err(CliError::file(path))?);
        csv.write_record(COLUMNS.map(|column| column.name)).map_err(|error| CliError::file(path)(error.into()))?;
        Ok(Self::Csv(csv))
    }

    #[cfg(feature = "parquet")]
    fn parquet(path: &Path) -> Result<Self, CliError> {
        let begun = File::create(path).and_then(Parquet::begin);
        begun.map(Self::Parquet).map_err(CliError::file(path))
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(path: &Path) -> Result<Self, CliError> {
        let refusal = "Parquet is not in this build: build it with --features parquet, or name a .csv";
        Err(CliError::Input(format!("{}: {refusal}", path.display())))
    }
}

impl Cell {
    fn text(&self, row: &Row) -> String {
        match self {
            Self::Count(of) => of(row).map(|value| value.to_string()),
            Self::Time(of) => of(row).map(|value| value.0.to_string()),
            Self::Integer(of) => of(row).map(|value| value.to_string()),
            Self::Float(of) => of(row).map(|value| value.to_string()),
            Self::Text(of) => of(row).map(str::to_owned),
        }
        .unwrap_or_default()
    }
}

impl Row {
    fn of(place: Place, record: &Record) -> Self {
        let mut row = Self { place, kind: record.kind(), detail: records::detail(record), ..Self::default() };
        match record {
            Record::Input { event } | Record::Output { event } => row.describe_event(event),
            Record::Decision { decision: Decision::Send { request } } => row.describe_request(request),
            Record::Decision { decision } => {
                row.event = name(decision);
                if let Decision::Reference { instrument, .. } = decision {
                    row.instrument = Some(*instrument);
                }
            }
            Record::Session { call } => row.describe_call(call),
            _ => {}
        }
        row
    }

    fn describe_event(&mut self, event: &Event) {
        (self.time, self.event) = (Some(event.time), name(&event.body));
        match event.body {
            Body::Filled { order, execution, instrument, side, price, lots }
            | Body::Busted { order, execution, instrument, side, price, lots } => {
                (self.order, self.execution) = (Some(order), Some(execution));
                self.trade(instrument, side, price, lots);
            }
            Body::Accepted { order, instrument, .. }
            | Body::Cancelled { order, instrument, .. }
            | Body::Rejected { order, instrument, .. }
            | Body::CancelRejected { order, instrument, .. }
            | Body::AmendRejected { order, instrument, .. } => {
                (self.order, self.instrument) = (Some(order), Some(instrument));
            }
            Body::Amended { order, instrument, price, lots } => {
                (self.order, self.instrument) = (Some(order), Some(instrument));
                (self.price, self.lots) = (Some(price), Some(lots.into()));
            }
            Body::Sent { order, .. } => self.order = Some(order),
            Body::Position { instrument, lots } => (self.instrument, self.lots) = (Some(instrument), Some(lots)),
            Body::Trade { instrument, side, price, lots, .. } => self.trade(instrument, side, price, lots),
            Body::Mark { instrument, mark } => (self.instrument, self.price) = (Some(instrument), Some(mark)),
            Body::Index { underlying, price } => (self.underlying, self.price) = (Some(underlying), Some(price)),
            Body::Top { instrument, bid, ask, bid_lots, ask_lots, .. } => {
                self.instrument = Some(instrument);
                (self.bid, self.ask) = (Some((bid, bid_lots)), Some((ask, ask_lots)));
            }
            Body::Listed { instrument, underlying, .. } => {
                (self.instrument, self.underlying) = (Some(instrument), Some(underlying));
            }
            Body::Volatility { instrument, sigma, .. } => {
                (self.instrument, self.sigma) = (Some(instrument), Some(sigma))
            }
            Body::Exposure { underlying, net_delta, spot, .. } => {
                self.underlying = Some(underlying);
                (self.net_delta, self.price) = (Some(net_delta), Some(spot));
            }
            Body::Smile { underlying, sigma, .. } => {
                (self.underlying, self.sigma) = (Some(underlying), Some(sigma.into()));
            }
            Body::Underlying { id: underlying, .. }
            | Body::Forward { underlying, .. }
            | Body::Rebuilt { underlying, .. }
            | Body::Jumps { underlying, .. } => self.underlying = Some(underlying),
            Body::Terms { instrument, .. }
            | Body::TickStep { instrument, .. }
            | Body::Named { instrument, .. }
            | Body::Status { instrument, .. }
            | Body::Unit { instrument, .. }
            | Body::UnitJumps { instrument, .. } => self.instrument = Some(instrument),
            Body::Clock
            | Body::Diverged { .. }
            | Body::Kill { .. }
            | Body::Thaw { .. }
            | Body::Session { .. }
            | Body::Protection { .. } => {}
        }
    }

    fn describe_request(&mut self, request: &Request) {
        self.event = name(request);
        match *request {
            Request::New { order, instrument, side, price, lots, .. }
            | Request::Amend { order, instrument, side, price, lots, .. } => {
                self.order = Some(order);
                self.trade(instrument, side, price, lots);
            }
            Request::Cancel { order, instrument } => (self.order, self.instrument) = (Some(order), Some(instrument)),
            Request::Quote { order, instrument, bid, ask, bid_lots, ask_lots } => {
                (self.order, self.instrument) = (Some(order), Some(instrument));
                (self.bid, self.ask) = (Some((bid, bid_lots)), Some((ask, ask_lots)));
            }
            Request::CancelAll | Request::Thaw { .. } => {}
        }
    }

    fn describe_call(&mut self, call: &SessionCall) {
        self.event = name(call);
        self.time = match *call {
            SessionCall::Connected { time }
            | SessionCall::Disconnected { time }
            | SessionCall::Instruction { time, .. }
            | SessionCall::Received { time, .. }
            | SessionCall::Tick { time }
            | SessionCall::LogOut { time }
            | SessionCall::Halt { time } => Some(time),
            SessionCall::Written { .. } => None,
        };
    }

    fn trade(&mut self, instrument: InstrumentId, side: Side, price: Price, lots: u32) {
        self.instrument = Some(instrument);
        (self.price, self.lots) = (Some(price), Some(side.sign() * i64::from(lots)));
    }
}

/// The name of a variant is what its text begins with.
fn name(value: &impl Debug) -> Option<String> {
    format!("{value:?}").split([' ', '{']).next().map(str::to_owned)
}
