//! A CSV file of numbers, plain or gzipped, that appears under its name only when it is whole.
//!
//! Numbers are written in fixed point from integers: `format!("{:.7}")` takes more time than the rest of a row.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::SimulateError;

/// Level 1 writes 3 times as fast as level 6, and the files are 15 % larger.
const GZIP_LEVEL: u32 = 1;
const BUFFER_BYTES: usize = 1 << 16;

enum Sink {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

/// One file in the making.
pub(crate) struct Table {
    path: PathBuf,
    partial: PathBuf,
    sink: Sink,
    buffer: Vec<u8>,
}

impl Table {
    /// Starts the file with a header line.
    pub(crate) fn create(path: &Path, gzip: bool, header: &str) -> Result<Self, SimulateError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = BufWriter::new(File::create(&partial).map_err(failed(&partial))?);
        let sink = if gzip {
            Sink::Gzip(Box::new(GzEncoder::new(file, Compression::new(GZIP_LEVEL))))
        } else {
            Sink::Plain(file)
        };
        let mut table = Table {
            path: path.into(),
            partial,
            sink,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
        };
        table.text(header);
        Ok(table)
    }

    /// A whole line.
    pub(crate) fn text(&mut self, line: &str) {
        self.buffer.extend_from_slice(line.as_bytes());
        self.buffer.push(b'\n');
    }

    /// A cell that is text.
    pub(crate) fn word(&mut self, word: &str) {
        self.buffer.extend_from_slice(word.as_bytes());
        self.buffer.push(b',');
    }

    /// A cell that is a whole number.
    pub(crate) fn int(&mut self, value: u64) {
        self.digits(value, 1);
        self.buffer.push(b',');
    }

    /// A cell with `DECIMALS` (at most 7) decimals, rounded half away from zero; |value| below 10^11.
    pub(crate) fn fixed<const DECIMALS: u32>(&mut self, value: f64) {
        // Constant, so that the divisions are multiplications.
        let unit = const { 10u64.pow(DECIMALS) };
        let scaled = (value.abs() * unit as f64 + 0.5) as u64;
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
        self.buffer.pop();
        self.buffer.push(b'\n');
    }

    pub(crate) fn flush_when_full(&mut self) -> Result<(), SimulateError> {
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
        }
        .map_err(failed(&self.partial))?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the rest and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<(), SimulateError> {
        self.flush()?;
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(file) => file.finish().map_err(failed(&self.partial))?,
        };
        let file = file
            .into_inner()
            .map_err(|e| failed(&self.partial)(e.into_error()))?;
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
