//! Files of rows, CSV (plain or gzip) or Parquet: records, their lines, and what is wrong with the bytes.
use std::prelude::v1::*;

use csv::ByteRecord;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::parquet::{ParquetRows, is_parquet};
use crate::train::description::TimeUnit;
use crate::train::error::{Error, Kind, Result, one_line};

/// Bytes of a cell. A quote that is never closed makes one cell of the rest of a file.
const CELL_BYTES: usize = 1 << 20;

/// What is read of a file that knows columns and types.
pub(crate) struct Wanted<'w> {
    /// Columns whose cells matter; those of others may stay empty.
    pub names: &'w dyn Fn(&str) -> bool,
    /// What joins the elements of a list column.
    pub separator: &'w dyn Fn(&str) -> Vec<u8>,
    /// How times are written.
    pub time_unit: TimeUnit,
}

impl Wanted<'_> {
    /// Every column.
    pub const ALL: Self = Self {
        names: &|_| true,
        separator: &|_| b"|".to_vec(),
        time_unit: TimeUnit::Seconds,
    };
}

/// A file that is being read.
pub(crate) struct Source {
    pub file: PathBuf,
    pub header: Vec<String>,
    rows: Rows,
}

enum Rows {
    Csv(csv::Reader<Box<dyn Read>>),
    Parquet(Box<ParquetRows>),
}

impl Source {
    pub fn open(file: &Path, wanted: &Wanted<'_>) -> Result<Self> {
        let opened = File::open(file).map_err(|e| Error::io(file, &e))?;
        let mut buffered = BufReader::with_capacity(1 << 18, opened);
        let first = buffered.fill_buf().map_err(|e| Error::io(file, &e))?;
        if is_parquet(file, first) {
            let (header, rows) = ParquetRows::open(file, wanted)?;
            return Ok(Self {
                file: file.to_path_buf(),
                header,
                rows: Rows::Parquet(Box::new(rows)),
            });
        }
        let gzip = first.starts_with(&[0x1f, 0x8b]);
        let bytes: Box<dyn Read> = if gzip {
            Box::new(flate2::bufread::MultiGzDecoder::new(buffered))
        } else {
            Box::new(buffered)
        };
        let reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .buffer_capacity(1 << 18)
            .from_reader(bytes);
        Self::with_header(file, reader)
    }

    fn with_header(file: &Path, mut reader: csv::Reader<Box<dyn Read>>) -> Result<Self> {
        let mut record = ByteRecord::new();
        let mut header: Vec<String> = Vec::new();
        let bad = |message: String| Err(Error::at_line(Kind::Data, file, 1, message));
        if !reader
            .read_byte_record(&mut record)
            .map_err(|e| failed(file, e))?
        {
            return Err(Error::in_file(
                Kind::Data,
                file,
                "the file is empty; its first line must name the columns",
            ));
        }
        for (i, name) in record.iter().enumerate() {
            let name = if i == 0 {
                name.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(name)
            } else {
                name
            };
            let Ok(name) = core::str::from_utf8(name) else {
                return bad(format!(
                    "the name of column {} is not UTF-8; save the file as UTF-8",
                    i + 1
                ));
            };
            if name.contains('\0') || name.contains('\n') {
                return bad(format!(
                    "the name of column {} holds a control character; is this a CSV file?",
                    i + 1
                ));
            }
            if header.iter().any(|other| other == name) {
                return bad(format!(
                    "two columns are called \"{name}\"; rename or remove one"
                ));
            }
            header.push(String::from(name));
        }
        Ok(Self {
            file: file.to_path_buf(),
            header,
            rows: Rows::Csv(reader),
        })
    }

    /// The next record: `None` at the end. The outer error ends the reading, the inner one is about this row alone.
    pub fn next(
        &mut self,
        record: &mut ByteRecord,
    ) -> Result<Option<(u64, core::result::Result<(), String>)>> {
        let row = match &mut self.rows {
            Rows::Csv(reader) => {
                let read = reader.read_byte_record(record);
                let more = read.map_err(|e| failed(&self.file, e))?;
                let line = record.position().map_or(0, csv::Position::line);
                more.then_some((line, Ok(())))
            }
            Rows::Parquet(rows) => rows.next(record)?,
        };
        Ok(row.map(|(line, whole)| match whole {
            Ok(()) => (line, self.inspect(record)),
            Err(column) => (line, Err(self.ambiguous(column))),
        }))
    }

    /// What makes a row malformed whatever its columns mean.
    fn inspect(&self, record: &ByteRecord) -> core::result::Result<(), String> {
        let bytes = record.as_slice();
        if record.len() != self.header.len() {
            // A quote that swallows lines also changes the count, and its length tells more.
            if bytes.len() > CELL_BYTES {
                return Err(long(bytes.len()));
            }
            return Err(format!(
                "the row has {} cells, the header {}",
                record.len(),
                self.header.len()
            ));
        }
        if bytes.len() > CELL_BYTES
            && let Some(cell) = record.iter().find(|cell| cell.len() > CELL_BYTES)
        {
            return Err(long(cell.len()));
        }
        if !bytes.is_ascii()
            && let Some(column) = record
                .iter()
                .position(|cell| core::str::from_utf8(cell).is_err())
        {
            return Err(format!("column \"{}\" is not UTF-8", self.header[column]));
        }
        if bytes.contains(&0) {
            return Err(String::from("the row holds a NUL byte"));
        }
        Ok(())
    }
}

fn failed(file: &Path, error: csv::Error) -> Error {
    let line = error.position().map(csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::in_file(
                Kind::Data,
                file,
                "the gzip stream ends early; the file is cut, copy it again",
            ),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Error::in_file(
                Kind::Data,
                file,
                format!(
                    "the gzip stream is corrupt ({}); copy the file again",
                    one_line(&error.to_string())
                ),
            ),
            _ => Error::io(file, &error),
        },
        other => Error {
            line,
            ..Error::in_file(Kind::Data, file, one_line(&format!("{other:?}")))
        },
    }
}

fn long(bytes: usize) -> String {
    format!("a cell has {bytes} bytes, {CELL_BYTES} are possible; is a quote not closed?")
}
