//! Parquet files as rows of cells, so that a log means the same whatever it is written in.
//!
//! A row group is read by column, some thousand rows at a time, and only columns that are asked for are decoded. A value
//! becomes the text that a CSV file would hold: integers in decimal, floats as the shortest text that gives them back,
//! booleans as 0 and 1, times in the log's `time_unit` (rounded down), lists joined by their feature's separator, null as
//! the empty cell.
use core::ops::Range;
use core::panic::AssertUnwindSafe;
use std::fs::File;
use std::io::Read;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use csv::ByteRecord;
use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::Type;

mod cells;

use super::source::{Source, Wanted};
use crate::train::error::{Error, Kind, Result, one_line};
use cells::{Cells, Form};

/// The first and the last bytes of every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";
/// Rows decoded at a time: all buffers of 30 columns stay below some MB.
const BATCH: usize = 4096;

/// Whether a file is, or by its name should be, Parquet.
pub(super) fn is_parquet(file: &Path, first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(MAGIC) || file.extension().is_some_and(|e| e == "parquet")
}

/// Rows of a Parquet file, by its own account; `None` if it is another file, or a damaged one.
pub(crate) fn rows(file: &Path) -> Option<u64> {
    let mut opened = File::open(file).ok()?;
    let mut first = [0; 4];
    opened.read_exact(&mut first).ok()?;
    if !is_parquet(file, &first) {
        return None;
    }
    let reader = SerializedFileReader::new(opened).ok()?;
    u64::try_from(reader.metadata().file_metadata().num_rows()).ok()
}

/// A column that is read.
struct Column {
    /// In the header.
    at: usize,
    /// Among the file's primitive columns.
    leaf: usize,
    form: Form,
    reader: Option<ColumnReader>,
    cells: Cells,
}

/// A Parquet file that is being read.
pub(super) struct ParquetRows {
    file: PathBuf,
    reader: SerializedFileReader<File>,
    header_len: usize,
    columns: Vec<Column>,
    /// The next row group.
    group: usize,
    /// Rows of the present one that are not decoded yet.
    left: usize,
    /// Decoded rows that were not given out yet.
    batch: Range<usize>,
    /// Rows given out.
    row: u64,
}

impl ParquetRows {
    /// The names of all columns, and their reader.
    pub fn open(file: &Path, wanted: &Wanted<'_>) -> Result<(Vec<String>, Self)> {
        let opened = File::open(file).map_err(|e| Error::io(file, &e))?;
        let length = opened.metadata().map_err(|e| Error::io(file, &e))?.len();
        let reader = decoding(file, || SerializedFileReader::new(opened))?;
        let chunks = reader.metadata().row_groups().iter();
        let inside = |start: i64, bytes: i64| {
            let end = u64::try_from(start).ok().zip(u64::try_from(bytes).ok());
            end.and_then(|(start, bytes)| start.checked_add(bytes))
                .is_some_and(|end| end <= length)
        };
        if !chunks.flat_map(|g| g.columns()).all(|c| {
            let start = c.dictionary_page_offset().unwrap_or(c.data_page_offset());
            inside(start, c.compressed_size())
        }) {
            return Err(damaged(file, "a column lies outside of the file"));
        }
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let fields = schema.root_schema().get_fields();
        let header: Vec<String> = fields.iter().map(|f| f.name().to_string()).collect();
        let bad = |message: String| Err(Error::in_file(Kind::Data, file, message));
        if let Some(name) = header.iter().enumerate().find_map(|(i, name)| {
            let before = header.get(..i).unwrap_or_default();
            before.contains(name).then_some(name)
        }) {
            return bad(format!(
                "two columns are called \"{name}\"; rename or remove one"
            ));
        }
        let mut columns = Vec::new();
        for (at, (name, field)) in header.iter().zip(fields).enumerate() {
            if !(wanted.names)(name) {
                continue;
            }
            let leaves: Vec<usize> = (0..schema.num_columns())
                .filter(|leaf| schema.get_column_root_idx(*leaf) == at)
                .collect();
            let form = match leaves.as_slice() {
                [leaf] => Form::of(&schema.column(*leaf), field, wanted),
                _ => Err(group(field)),
            };
            match (form, leaves.first()) {
                (Ok(form), Some(leaf)) => columns.push(Column {
                    at,
                    leaf: *leaf,
                    form,
                    reader: None,
                    cells: Cells::default(),
                }),
                (Err(found), _) => {
                    return bad(format!(
                        "column \"{name}\" is {found}; integers, floats, booleans, text, decimals, dates, timestamps and lists of them can be read"
                    ));
                }
                _ => {}
            }
        }
        let rows = Self {
            file: file.to_path_buf(),
            reader,
            header_len: header.len(),
            columns,
            group: 0,
            left: 0,
            batch: 0..0,
            row: 0,
        };
        Ok((header, rows))
    }

    /// The next row, as [`Source::next`] gives it. Its line is that of the same row in a CSV file: the first has line 2.
    pub fn next(
        &mut self,
        record: &mut ByteRecord,
    ) -> Result<Option<(u64, core::result::Result<(), usize>)>> {
        while self.batch.is_empty() {
            if self.left > 0 {
                self.decode()?;
            } else if !self.next_group()? {
                return Ok(None);
            }
        }
        let row = self.batch.start;
        self.batch.start += 1;
        self.row += 1;
        record.clear();
        let mut columns = self.columns.iter().peekable();
        let mut whole = Ok(());
        for at in 0..self.header_len {
            match columns.next_if(|c| c.at == at) {
                Some(column) => {
                    record.push_field(column.cells.get(row));
                    if column.cells.is_ambiguous(row) {
                        whole = Err(at);
                    }
                }
                None => record.push_field(b""),
            }
        }
        Ok(Some((self.row + 1, whole)))
    }

    fn next_group(&mut self) -> Result<bool> {
        if self.group >= self.reader.num_row_groups() {
            return Ok(false);
        }
        let file = &self.file;
        let group = decoding(file, || self.reader.get_row_group(self.group))?;
        let rows = usize::try_from(group.metadata().num_rows());
        self.left = rows.map_err(|_| damaged(file, "a row group has less than no rows"))?;
        for column in &mut self.columns {
            column.reader = Some(decoding(file, || group.get_column_reader(column.leaf))?);
        }
        self.group += 1;
        Ok(true)
    }

    fn decode(&mut self) -> Result<()> {
        let rows = self.left.min(BATCH);
        for column in &mut self.columns {
            let Some(reader) = &mut column.reader else {
                continue;
            };
            let (cells, form) = (&mut column.cells, &column.form);
            if decoding(&self.file, || cells.fill(reader, rows, form))? != rows {
                return Err(damaged(
                    &self.file,
                    "a column has fewer values than the file rows",
                ));
            }
        }
        self.left -= rows;
        self.batch = 0..rows;
        Ok(())
    }
}

impl Source {
    /// What is wrong with a list whose elements hold their separator.
    pub(super) fn ambiguous(&self, column: usize) -> String {
        let name = self.header.get(column).map_or("", String::as_str);
        format!(
            "an element of list \"{name}\" holds the feature's separator; set separator to something that no element holds"
        )
    }
}

/// A group in words.
fn group(field: &Type) -> String {
    let names = field.get_fields().iter().map(|f| f.name());
    format!("a group of {}", names.collect::<Vec<_>>().join(", "))
}

fn damaged(file: &Path, what: &str) -> Error {
    let message = format!("the Parquet file is cut or damaged ({what}); copy or write it again");
    Error::in_file(Kind::Data, file, message)
}

/// A call of the decoder, which trusts some numbers of a file: where it would panic, the file is refused like any other
/// that is damaged.
fn decoding<T>(
    file: &Path,
    call: impl FnOnce() -> core::result::Result<T, ParquetError>,
) -> Result<T> {
    // What the call was about to change is dropped with the error.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| failed(file, e)),
        Err(_) => Err(damaged(file, "its numbers contradict each other")),
    }
}

fn failed(file: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(e) => match e.downcast::<std::io::Error>() {
            Ok(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                damaged(file, &one_line(&e.to_string()))
            }
            Ok(e) => Error::io(file, &e),
            Err(e) => damaged(file, &one_line(&e.to_string())),
        },
        ParquetError::NYI(what) => {
            let what = one_line(&what);
            let message =
                format!("{what}; write the file with snappy, gzip or zstd, or uncompressed");
            Error::in_file(Kind::Data, file, message)
        }
        other => {
            let what = one_line(&other.to_string());
            // The decoder says so of codecs that are not compiled in.
            if what.contains("Disabled feature") {
                let message =
                    format!("{what}; write the file with snappy, gzip or zstd, or uncompressed");
                return Error::in_file(Kind::Data, file, message);
            }
            damaged(file, &what)
        }
    }
}

#[cfg(test)]
mod tests;
