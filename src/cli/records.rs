//! A journal in plain text, one line a record, or as a table for analysis.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::CliError;
use super::table::Table;
use crate::journal::{Directory, Reader, Record, runs};

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
            Some(table) => table.put(place, &record)?,
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

/// A record's own words, without its kind.
pub(super) fn detail(record: &Record) -> String {
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
