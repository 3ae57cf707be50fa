//! A journal's table as Parquet, for whatever reads columns: pandas, DuckDB, Spark.
//!
//! ```text
//!  rows ──► a row group of ROWS ──► column by column, Snappy ──► file; its footer last
//! ```
//!
//! Cost: the rows of one group in memory. A file without its footer is none: one whose writing failed cannot be read as a
//! shorter journal.

use std::fs::File;
use std::io;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::table::{COLUMNS, Cell, Row};

/// Rows of a group.
const ROWS: usize = 1 << 16;

/// A file under way.
pub(super) struct Parquet {
    file: SerializedFileWriter<File>,
    rows: Vec<Row>,
}

impl Parquet {
    /// A file without rows.
    pub(super) fn begin(file: File) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("hedgecore ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(parse_message_type(&schema())?);
        Ok(Self { file: SerializedFileWriter::new(file, schema, Arc::new(properties))?, rows: Vec::new() })
    }

    /// Appends a row.
    pub(super) fn put(&mut self, row: Row) -> io::Result<()> {
        self.rows.push(row);
        if self.rows.len() == ROWS { self.end_group() } else { Ok(()) }
    }

    /// Writes what is left, and the footer.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.end_group()?;
        }
        self.file.close()?;
        Ok(())
    }

    fn end_group(&mut self) -> io::Result<()> {
        let mut group = self.file.next_row_group()?;
        let rows = &self.rows;
        for column in &COLUMNS {
            let Some(mut writer) = group.next_column()? else { break };
            match column.cell {
                Cell::Count(of) => put::<Int64Type>(&mut writer, rows, |row| of(row).map(|value| value as i64))?,
                Cell::Time(of) => put::<Int64Type>(&mut writer, rows, |row| of(row).map(|time| time.0 as i64))?,
                Cell::Integer(of) => put::<Int64Type>(&mut writer, rows, of)?,
                Cell::Float(of) => put::<DoubleType>(&mut writer, rows, of)?,
                Cell::Text(of) => {
                    put::<ByteArrayType>(&mut writer, rows, |row| {
                        of(row).map(|text| ByteArray::from(text.as_bytes().to_vec()))
                    })?;
                }
            }
            writer.close()?;
        }
        group.close()?;
        self.rows.clear();
        Ok(())
    }
}

/// Every column in Parquet's own language.
fn schema() -> String {
    let columns = COLUMNS.iter().map(|column| {
        let name = column.name;
        match column.cell {
            Cell::Count(_) => format!("OPTIONAL INT64 {name} (INTEGER(64, false));"),
            Cell::Time(_) => format!("OPTIONAL INT64 {name} (TIMESTAMP(NANOS, true));"),
            Cell::Integer(_) => format!("OPTIONAL INT64 {name};"),
            Cell::Float(_) => format!("OPTIONAL DOUBLE {name};"),
            Cell::Text(_) => format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
        }
    });
    format!("message journal {{ {} }}", columns.collect::<Vec<_>>().join(" "))
}

/// One column of a group: the values that are there, and for each row whether one is.
fn put<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    rows: &[Row],
    of: impl Fn(&Row) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let cells: Vec<_> = rows.iter().map(of).collect();
    let is_there: Vec<i16> = cells.iter().map(|cell| cell.is_some().into()).collect();
    let values: Vec<_> = cells.into_iter().flatten().collect();
    writer.typed::<T>().write_batch(&values, Some(&is_there), None)?;
    Ok(())
}
