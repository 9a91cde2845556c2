//! A file of numbers, CSV (plain or gzipped) or Parquet, that appears under its name only when it is whole.
//!
//! Numbers are written in fixed point from integers: `format!("{:.7}")` takes more time than the rest of a row. A Parquet
//! file holds the doubles that reading this text would give, so that both forms mean the same to the bit.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Format, SimulateError};
use columns::Columns;

mod columns;

/// Level 1 writes 3 times as fast as level 6, and the files are 15 % larger.
const GZIP_LEVEL: u32 = 1;
const BUFFER_BYTES: usize = 1 << 16;

enum Sink {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
    Parquet(Box<Columns>),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Int,
    Number,
    Text,
}

/// One file in the making.
pub(crate) struct Table {
    path: PathBuf,
    partial: PathBuf,
    sink: Sink,
    buffer: Vec<u8>,
}

impl Table {
    /// Starts the file of these columns.
    pub(crate) fn create(
        path: &Path,
        format: Format,
        columns: &[(&str, Cell)],
    ) -> Result<Self, SimulateError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(failed(&partial))?;
        let sink = match format {
            Format::Csv => Sink::Plain(BufWriter::new(file)),
            Format::CsvGzip => Sink::Gzip(Box::new(GzEncoder::new(
                BufWriter::new(file),
                Compression::new(GZIP_LEVEL),
            ))),
            Format::Parquet => {
                let columns = Columns::create(file, columns).map_err(failed(&partial))?;
                Sink::Parquet(Box::new(columns))
            }
        };
        let mut table = Table {
            path: path.into(),
            partial,
            sink,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
        };
        if !matches!(table.sink, Sink::Parquet(_)) {
            let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            table.buffer.extend_from_slice(names.join(",").as_bytes());
            table.buffer.push(b'\n');
        }
        Ok(table)
    }

    /// A cell that is written as it is.
    pub(crate) fn word(&mut self, word: &str) {
        if let Sink::Parquet(columns) = &mut self.sink {
            return columns.text(word);
        }
        self.buffer.extend_from_slice(word.as_bytes());
        self.buffer.push(b',');
    }

    /// A cell without a value.
    pub(crate) fn missing(&mut self) {
        self.word("");
    }

    /// A cell that is a whole number.
    pub(crate) fn int(&mut self, value: u64) {
        if let Sink::Parquet(columns) = &mut self.sink {
            return columns.int(value);
        }
        self.digits(value, 1);
        self.buffer.push(b',');
    }

    /// A cell with `DECIMALS` (at most 7) decimals, rounded half away from zero; |value| below 10^11.
    pub(crate) fn fixed<const DECIMALS: u32>(&mut self, value: f64) {
        // Constant, so that the divisions are multiplications.
        let unit = const { 10u64.pow(DECIMALS) };
        let scaled = (value.abs() * unit as f64 + 0.5) as u64;
        if let Sink::Parquet(columns) = &mut self.sink {
            // Both are exact below 2^53, so that the quotient is the double nearest to the decimal.
            let magnitude = scaled as f64 / unit as f64;
            return columns.number(if value < 0.0 { -magnitude } else { magnitude });
        }
        if value < 0.0 && scaled > 0 {
            self.buffer.push(b'-');
        }
        self.digits(scaled / unit, 1);
        self.buffer.push(b'.');
        self.digits(scaled % unit, DECIMALS as usize);
        self.buffer.push(b',');
    }

    fn digits(&mut self, mut value: u64, at_least: usize) {
        let mut text = [b'0'; 20];
        let mut start = text.len();
        while value > 0 || text.len() - start < at_least {
            start -= 1;
            text[start] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        self.buffer.extend_from_slice(&text[start..]);
    }

    /// Turns the comma after the last cell into the end of the line.
    pub(crate) fn end_row(&mut self) {
        if let Sink::Parquet(columns) = &mut self.sink {
            return columns.end_row();
        }
        self.buffer.pop();
        self.buffer.push(b'\n');
    }

    pub(crate) fn flush_when_full(&mut self) -> Result<(), SimulateError> {
        if let Sink::Parquet(columns) = &mut self.sink {
            return columns.flush_when_full().map_err(failed(&self.partial));
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), SimulateError> {
        match &mut self.sink {
            Sink::Plain(file) => file.write_all(&self.buffer),
            Sink::Gzip(file) => file.write_all(&self.buffer),
            Sink::Parquet(_) => Ok(()),
        }
        .map_err(failed(&self.partial))?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the rest and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<(), SimulateError> {
        self.flush()?;
        let whole = |file: BufWriter<File>| file.into_inner().map_err(|e| e.into_error());
        let file = match self.sink {
            Sink::Plain(file) => whole(file),
            Sink::Gzip(file) => file.finish().and_then(whole),
            Sink::Parquet(columns) => columns.finish(),
        };
        let file = file.map_err(failed(&self.partial))?;
        file.sync_all().map_err(failed(&self.partial))?;
        std::fs::rename(&self.partial, &self.path).map_err(failed(&self.path))
    }
}

/// The error of an operation on `path`.
pub(crate) fn failed(path: &Path) -> impl Fn(std::io::Error) -> SimulateError + '_ {
    move |source| SimulateError::Io {
        context: path.display().to_string(),
        source,
    }
}
