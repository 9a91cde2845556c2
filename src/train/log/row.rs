//! The joined row: which cell a column name means, in the log, a side table, or computed from the time.
use std::prelude::v1::*;

use csv::ByteRecord;

use super::join::SideTable;
use super::source::Source;
use super::time;
use crate::train::description::{Description, Named, TimePart};
use crate::train::error::{Error, Kind, Result, near_misses};
use crate::train::expression::Bound;

/// A column, resolved for one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Log(u32),
    Join { table: u32, column: u32 },
    Time(u32),
}

/// Hours and weekdays as cells.
const DIGITS: [&[u8]; 24] = [
    b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9", b"10", b"11", b"12", b"13", b"14",
    b"15", b"16", b"17", b"18", b"19", b"20", b"21", b"22", b"23",
];

/// Every column that the description names, besides keys of joins.
pub(super) fn names(d: &Description) -> Vec<&str> {
    let toml = &d.toml;
    let data = &toml.data;
    let mut names: Vec<&str> = data.join.iter().map(|j| j.key.log()).collect();
    let columns = [&data.user, &data.request, &data.time]
        .into_iter()
        .flatten();
    names.extend(columns.map(|n| n.get_ref().as_str()));
    for f in &toml.feature {
        names.push(f.column());
        names.extend(f.weights.iter().map(|n| n.get_ref().as_str()));
    }
    names.push(&toml.train.gauc_key);
    let weights = toml.task.iter().flat_map(|t| &t.weight_column);
    names.extend(weights.map(|n| n.get_ref().as_str()));
    let teachers = toml.task.iter().flat_map(|t| &t.teacher);
    names.extend(teachers.map(|t| t.get_ref().column.get_ref().as_str()));
    let mut texts: Vec<&str> = Vec::new();
    for l in &toml.label {
        names.push(l.name.get_ref());
        names.extend(l.delay_column.iter().map(|n| n.get_ref().as_str()));
        texts.extend(l.value.iter().chain(&l.known).map(|n| n.get_ref().as_str()));
    }
    let filters = data.valid.iter().chain(&data.validation.filter);
    texts.extend(filters.map(|n| n.get_ref().as_str()));
    texts.extend(
        toml.task
            .iter()
            .flat_map(|t| &t.space)
            .map(|n| n.get_ref().as_str()),
    );
    // Words of expressions, columns or not: a column too many costs memory only.
    for text in texts {
        names.extend(text.split('`'));
        names.extend(text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')));
    }
    names
}

/// Finds columns in one log file and the side tables.
pub(super) struct Finder<'a> {
    pub d: &'a Description,
    pub source: &'a Source,
    pub sides: &'a [SideTable],
}

impl Finder<'_> {
    /// The column that the description names at `line`. One that is in two places is a mistake.
    pub fn find(&self, name: &str, line: u64) -> Result<At> {
        self.find_before(name, line, self.sides.len())
    }

    /// Looks in the first `joins` side tables only: the key of a join may come from an earlier one.
    pub fn find_before(&self, name: &str, line: u64, joins: usize) -> Result<At> {
        let computed = &self.d.toml.data.columns;
        let mut found = Vec::new();
        if let Some(at) = self.source.header.iter().position(|n| n == name) {
            found.push((At::Log(at as u32), self.source.file.display().to_string()));
        }
        for (table, side) in self.sides.iter().take(joins).enumerate() {
            if let Some(column) = side.names.iter().position(|n| n == name) {
                let at = At::Join {
                    table: table as u32,
                    column: column as u32,
                };
                found.push((at, side.path.display().to_string()));
            }
        }
        if let Some(column) = computed.keys().position(|n| n == name) {
            found.push((At::Time(column as u32), String::from("[data.columns]")));
        }
        let mistake = |message| {
            Err(Error::at_line(
                Kind::Description,
                &self.d.file,
                line,
                message,
            ))
        };
        match found.as_slice() {
            [(at, _)] => Ok(*at),
            [(_, a), (_, b), ..] => mistake(format!(
                "column \"{name}\" is in {a} and in {b}; list the columns of the join without it"
            )),
            [] => {
                let joined = self.sides.iter().take(joins).flat_map(|s| &s.offered);
                let all = self
                    .source
                    .header
                    .iter()
                    .chain(joined)
                    .chain(computed.keys());
                let near = near_misses(name, all.map(String::as_str));
                let file = self.source.file.display();
                mistake(format!("no column \"{name}\" in {file}{near}"))
            }
        }
    }

    /// A column by its name in the description.
    pub fn column(&self, name: &Named) -> Result<At> {
        self.find(name.get_ref(), self.d.at(name))
    }

    /// An expression of the description.
    pub fn filter(&self, text: &Named) -> Result<Bound<At>> {
        let line = self.d.at(text);
        self.d.expression(text)?.bind(|name| self.find(name, line))
    }
}

/// Cells of the row at hand.
pub(super) struct Row<'r> {
    pub record: &'r ByteRecord,
    pub sides: &'r [SideTable],
    /// Row of each side table; `None` without a match.
    pub matched: &'r [Option<u32>],
    pub null: &'r [String],
    /// Columns computed from the time: part and offset in seconds.
    pub parts: &'r [(TimePart, i64)],
    /// Time of the row, for those.
    pub time_ms: i64,
}

impl<'r> Row<'r> {
    /// The cell, empty if it is missing or one of the `null` texts.
    pub fn cell(&self, at: At) -> &'r [u8] {
        let cell = match at {
            At::Log(column) => self.record.get(column as usize).unwrap_or_default(),
            At::Join { table, column } => {
                let row = self.matched.get(table as usize).copied().flatten();
                let side = self.sides.get(table as usize);
                row.zip(side)
                    .map_or(&[][..], |(row, side)| side.cell(row, column as usize))
            }
            At::Time(column) => {
                let part = self.parts.get(column as usize);
                let value = part.map(|(part, offset)| time::part(self.time_ms, *offset, *part));
                return value
                    .and_then(|v| DIGITS.get(v))
                    .copied()
                    .unwrap_or_default();
            }
        };
        let cell = cell.trim_ascii();
        if self.null.iter().any(|null| null.as_bytes() == cell) {
            &[]
        } else {
            cell
        }
    }
}
