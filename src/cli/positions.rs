//! `--positions FILE`: a CSV with a header and lines `instrument,quantity`, quantity in the venue's amount, signed.

use std::collections::BTreeMap;
use std::path::Path;

use super::CliError;
use crate::units::{Lots, Quantity, VenueInstrumentId};

/// Instruments that positions may name: the venue's number and the amount of a lot.
pub(super) type Known = BTreeMap<String, (VenueInstrumentId, Quantity)>;

#[derive(Debug, serde::Deserialize)]
struct Line {
    instrument: String,
    quantity: String,
}

/// Reads a book. Each line must name a known instrument once, with a whole number of lots.
pub(super) fn read(path: &Path, known: &Known) -> Result<Box<[(VenueInstrumentId, Lots)]>, CliError> {
    let at = |line: u64, what: String| CliError::Input(format!("{}: line {line}: {what}", path.display()));
    let unreadable = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        let what = describe(&error);
        match error.into_kind() {
            csv::ErrorKind::Io(error) => CliError::file(path)(error),
            _ => at(line, what),
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(unreadable)?;
    let mut book: BTreeMap<VenueInstrumentId, Lots> = BTreeMap::new();
    let mut record = csv::StringRecord::new();
    let headers = reader.headers().map_err(unreadable)?.clone();
    if let Some(missing) = ["instrument", "quantity"].into_iter().find(|name| !headers.iter().any(|h| h == *name)) {
        return Err(at(1, format!("the header has no `{missing}`; it must be instrument,quantity")));
    }
    while reader.read_record(&mut record).map_err(unreadable)? {
        let number = record.position().map_or(0, csv::Position::line);
        let line: Line = record.deserialize(Some(&headers)).map_err(|error| at(number, describe(&error)))?;
        let (venue, lot) = *known
            .get(&line.instrument)
            .ok_or_else(|| at(number, format!("no instrument {:?} is listed", line.instrument)))?;
        let lots = parse_lots(&line.quantity, lot).map_err(|what| at(number, what))?;
        if book.insert(venue, lots).is_some() {
            return Err(at(number, format!("{:?} is given twice", line.instrument)));
        }
    }
    Ok(book.into_iter().collect())
}

/// What is wrong with a line, without the reader's own account of where.
fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} field(s) where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

/// A signed decimal amount as whole lots of `lot`.
fn parse_lots(text: &str, lot: Quantity) -> Result<Lots, String> {
    let amount = text.parse::<f64>().ok().and_then(Quantity::from_f64);
    let amount = amount.ok_or_else(|| format!("{text:?} is not an amount"))?;
    match amount.to_lots(lot) {
        (lots, false) => Ok(lots),
        (_, true) => Err(format!("{text} is not a whole number of lots of {lot}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::ONE_E9;

    fn read_text(text: &str) -> Result<Vec<(u32, i64)>, String> {
        let path = std::env::temp_dir().join(format!(
            "hedgecore-positions-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, text).unwrap();
        let known = Known::from([
            ("BTC-PERPETUAL".to_owned(), (VenueInstrumentId(7), Quantity(10 * ONE_E9))),
            ("BTC-1JAN30-100000-C".to_owned(), (VenueInstrumentId(8), Quantity(ONE_E9 / 10))),
        ]);
        let book = read(&path, &known);
        std::fs::remove_file(&path).unwrap();
        book.map(|book| book.iter().map(|(venue, lots)| (venue.0, lots.0)).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn amounts_become_signed_lots() {
        let book = read_text("instrument,quantity\nBTC-PERPETUAL, -250\nBTC-1JAN30-100000-C,0.3\n").unwrap();
        assert_eq!(book, [(7, -25), (8, 3)]);
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        for (text, what) in [
            ("instrument,quantity\nBTC-PERPETUAL,10\nDOGE,1\n", "line 3: no instrument \"DOGE\" is listed"),
            ("instrument,quantity\nBTC-PERPETUAL,15\n", "line 2: 15 is not a whole number of lots of 10"),
            ("instrument,quantity\nBTC-PERPETUAL,NaN\n", "line 2: \"NaN\" is not an amount"),
            ("instrument,quantity\nBTC-PERPETUAL,10\nBTC-PERPETUAL,20\n", "line 3: \"BTC-PERPETUAL\" is given twice"),
            (
                "name,quantity\nBTC-PERPETUAL,10\n",
                "line 1: the header has no `instrument`; it must be instrument,quantity",
            ),
            ("", "line 1: the header has no `instrument`; it must be instrument,quantity"),
            ("instrument,quantity\nBTC-PERPETUAL\n", "line 2: 1 field(s) where the header has 2"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.ends_with(what), "{error} should end with {what}");
        }
    }
}
