//! Reading the log: CSV files with their side tables, row by row, into compact columns.
//!
//! Rows are read once. What the description does not name is never kept; ids become 64-bit keys, labels and numbers
//! f32, so ten million rows of fifteen columns take about a gigabyte.
use std::fs;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use csv::ByteRecord;
use flate2::read::MultiGzDecoder;
use rustc_hash::FxHashMap;

use crate::train::description::{Computed, Description, Join, TimePart};
use crate::train::error::{Error, Kind, Result, near_misses, one_line};
use crate::train::expression::{Bound, Expression, NotANumber, integer, number};

mod columns;

pub use columns::{LabelColumn, RawColumn, RawLog, read};
pub(crate) use columns::{key_of, q15};

/// Where a cell of a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Column of the log.
    Log(usize),
    /// Side table and its column.
    Join(usize, usize),
    /// Column of `[data.columns]`.
    Computed(usize),
}

/// A side table in memory.
struct SideTable {
    path: PathBuf,
    header: Vec<String>,
    key: usize,
    rows: Vec<ByteRecord>,
    by_key: FxHashMap<Vec<u8>, usize>,
    matched: u64,
    unmatched: u64,
}

/// One file of rows.
struct Table {
    path: PathBuf,
    header: Vec<String>,
    reader: csv::Reader<Box<dyn Read>>,
}

fn open(path: &Path) -> Result<Table> {
    let file = fs::File::open(path).map_err(|e| Error::io(path, &e))?;
    let gzip = path.extension().is_some_and(|e| e == "gz");
    let mut bytes: Box<dyn Read> = if gzip {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(file)
    };
    // A byte order mark would become part of the first column's name.
    let mut first = [0; 3];
    let mut len = 0;
    while len < 3 {
        match bytes
            .read(&mut first[len..])
            .map_err(|e| read_error(path, &e))?
        {
            0 => break,
            n => len += n,
        }
    }
    let kept = if first == *b"\xEF\xBB\xBF" {
        Vec::new()
    } else {
        first[..len].to_vec()
    };
    let bytes: Box<dyn Read> = Box::new(std::io::Cursor::new(kept).chain(bytes));
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .buffer_capacity(1 << 16)
        .from_reader(bytes);
    let record = reader.byte_headers().map_err(|e| csv_error(path, e))?;
    let mut header: Vec<String> = Vec::new();
    for name in record {
        let name = String::from_utf8(name.to_vec())
            .map_err(|_| Error::at_line(Kind::Data, path, 1, "a column name is not UTF-8"))?;
        let name = name.trim();
        if header.iter().any(|h| h == name) {
            return Err(Error::at_line(
                Kind::Data,
                path,
                1,
                format!("two columns are called \"{name}\"; names are unique"),
            ));
        }
        header.push(name.into());
    }
    if header.is_empty() {
        return Err(Error::at_line(
            Kind::Data,
            path,
            1,
            "the file is empty; a header line with column names comes first",
        ));
    }
    Ok(Table {
        path: path.to_path_buf(),
        header,
        reader,
    })
}

fn read_error(path: &Path, e: &std::io::Error) -> Error {
    let cut = e.kind() == std::io::ErrorKind::UnexpectedEof;
    let hint = if cut {
        "the compressed file is cut off; copy it again: "
    } else {
        ""
    };
    Error::in_file(
        if cut { Kind::Data } else { Kind::Io },
        path,
        format!("{hint}{}", one_line(&e.to_string())),
    )
}

fn csv_error(path: &Path, e: csv::Error) -> Error {
    let line = e.position().map(csv::Position::line);
    match e.into_kind() {
        csv::ErrorKind::Io(e) => read_error(path, &e),
        other => Error {
            line,
            ..Error::in_file(Kind::Data, path, one_line(&format!("{other:?}")))
        },
    }
}

/// Next row; `None` at the end.
fn next(table: &mut Table, record: &mut ByteRecord) -> Result<Option<u64>> {
    match table.reader.read_byte_record(record) {
        Ok(true) => Ok(Some(record.position().map_or(0, csv::Position::line))),
        Ok(false) => Ok(None),
        Err(e) => Err(csv_error(&table.path, e)),
    }
}

impl SideTable {
    fn read(path: PathBuf, join: &Join) -> Result<Self> {
        let mut table = open(&path)?;
        let names = || table.header.iter().map(String::as_str);
        let key = names().position(|h| h == join.key.table()).ok_or_else(|| {
            let near = near_misses(join.key.table(), names());
            Error::at_line(
                Kind::Data,
                &path,
                1,
                format!("no column \"{}\" to join by{near}", join.key.table()),
            )
        })?;
        let header = table.header.clone();
        let (mut rows, mut by_key) = (Vec::new(), FxHashMap::default());
        let mut record = ByteRecord::new();
        while let Some(line) = next(&mut table, &mut record)? {
            if record.len() != header.len() {
                return Err(ragged(&path, line, record.len(), header.len()));
            }
            let cell = record.get(key).unwrap_or_default().to_vec();
            if by_key.insert(cell, rows.len()).is_some() {
                let message = format!(
                    "a second row for this \"{}\"; a side table has one",
                    join.key.table()
                );
                return Err(Error::at_line(Kind::Data, &path, line, message));
            }
            rows.push(record.clone());
        }
        Ok(Self {
            path,
            header,
            key,
            rows,
            by_key,
            matched: 0,
            unmatched: 0,
        })
    }
}

fn ragged(path: &Path, line: u64, found: usize, expected: usize) -> Error {
    Error::at_line(
        Kind::Data,
        path,
        line,
        format!("{found} cells; the header has {expected}"),
    )
}

/// What joins did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JoinReport {
    /// Side table.
    pub path: String,
    /// Rows of the log that found theirs.
    pub matched: u64,
    /// Rows that did not: their joined cells are missing.
    pub unmatched: u64,
}

/// Cells of one row, joined and computed.
pub(crate) struct Row<'l> {
    record: &'l ByteRecord,
    joins: &'l [SideTable],
    joined: &'l [Option<usize>],
    computed: &'l [String],
    null: &'l [String],
    path: &'l Path,
    line: u64,
}

impl<'l> Row<'l> {
    fn cell(&self, cell: Cell) -> &'l [u8] {
        let bytes = match cell {
            Cell::Log(i) => self.record.get(i).unwrap_or_default(),
            Cell::Join(t, i) => match (self.joins.get(t), self.joined.get(t)) {
                (Some(table), Some(Some(row))) => table.rows[*row].get(i).unwrap_or_default(),
                _ => &[],
            },
            Cell::Computed(i) => self
                .computed
                .get(i)
                .map(String::as_bytes)
                .unwrap_or_default(),
        };
        let bytes = bytes.trim_ascii();
        if self.null.iter().any(|n| n.as_bytes() == bytes) {
            &[]
        } else {
            bytes
        }
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::at_line(Kind::Data, self.path, self.line, message)
    }

    fn evaluate(&self, expression: &Bound<Cell>) -> Result<Option<bool>> {
        expression
            .evaluate(&|c| self.cell(c))
            .map_err(|NotANumber { column }| {
                self.error(format!(
                    "\"{}\" is compared as a number",
                    String::from_utf8_lossy(self.cell(column))
                ))
            })
    }

    /// A finite number; `None` for an empty cell.
    fn number(&self, cell: Cell, what: &str) -> Result<Option<f64>> {
        match self.cell(cell) {
            [] => Ok(None),
            bytes => number(bytes).map(Some).ok_or_else(|| {
                self.error(format!(
                    "{what} is \"{}\"; a finite number",
                    String::from_utf8_lossy(bytes)
                ))
            }),
        }
    }

    fn integer(&self, cell: Cell, what: &str) -> Result<Option<i64>> {
        match self.cell(cell) {
            [] => Ok(None),
            bytes => integer(bytes).map(Some).ok_or_else(|| {
                self.error(format!(
                    "{what} is \"{}\"; an integer",
                    String::from_utf8_lossy(bytes)
                ))
            }),
        }
    }
}

/// The names that cells are found by: the log's columns first, then side tables', then computed ones.
struct Names<'d> {
    description: &'d Description,
    log: Vec<String>,
    log_path: PathBuf,
    joins: Vec<(Vec<String>, usize, Option<Vec<String>>)>,
    computed: Vec<(String, Computed)>,
}

impl Names<'_> {
    fn find(&self, name: &str) -> Option<Cell> {
        if let Some(i) = self.computed.iter().position(|(n, _)| n == name) {
            return Some(Cell::Computed(i));
        }
        if let Some(i) = self.log.iter().position(|h| h == name) {
            return Some(Cell::Log(i));
        }
        self.joins
            .iter()
            .enumerate()
            .find_map(|(t, (header, key, only))| {
                let i = header.iter().position(|h| h == name)?;
                (i != *key && only.as_ref().is_none_or(|o| o.iter().any(|c| c == name)))
                    .then_some(Cell::Join(t, i))
            })
    }

    /// The cell of a column that the description names at `line`.
    fn cell(&self, name: &str, line: u64) -> Result<Cell> {
        self.find(name).ok_or_else(|| {
            let all = self
                .log
                .iter()
                .chain(self.joins.iter().flat_map(|(h, ..)| h))
                .map(String::as_str);
            let near = near_misses(name, all);
            let message = format!("no column \"{name}\" in {}{near}", self.log_path.display());
            Error::at_line(Kind::Data, &self.description.file, line, message)
        })
    }

    fn bind(&self, expression: &Expression, line: u64) -> Result<Bound<Cell>> {
        expression.bind(|name| self.cell(name, line))
    }
}

/// A part of a Unix time in seconds.
fn time_part(time: i64, computed: &Computed) -> String {
    let local = time + (computed.offset_hours * 3600.0) as i64;
    let part = match computed.part {
        TimePart::Hour => local.rem_euclid(86_400) / 3600,
        // 1 January 1970 was a Thursday; Monday is 0.
        TimePart::Weekday => (local.div_euclid(86_400) + 3).rem_euclid(7),
    };
    format!("{part}")
}
