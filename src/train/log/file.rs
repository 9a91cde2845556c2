//! One log file, row by row.
use std::path::Path;
use std::prelude::v1::*;

use csv::ByteRecord;

use super::carried::Carried;
use super::join::SideTable;
use super::row::{At, Finder, Row};
use super::source::{Source, Wanted};
use super::values::{Reader, show, taught_by};
use super::{RawLog, time};
use crate::features::{TIME_MAX, hash_text};
use crate::spec::TaskKind;
use crate::train::description::{Description, Label, Named, Task, TimePart};
use crate::train::error::{Error, Kind, Result};
use crate::train::expression::{Bound, NotANumber, number};

/// Bad rows that a report names.
const SHOWN: usize = 20;

/// What is wrong with a row.
type Malformed<T> = core::result::Result<T, String>;

/// A label, resolved for one file.
struct LabelReader {
    name: String,
    column: Option<At>,
    value: Option<Bound<At>>,
    known: Option<Bound<At>>,
    scale: f64,
    delay: f64,
    delay_column: Option<(At, f64)>,
    binary: bool,
}

/// Everything that is resolved for one file.
struct Binding {
    keys: Vec<At>,
    user: Option<At>,
    request: Option<At>,
    time: Option<At>,
    valid: Option<Bound<At>>,
    validation: Option<Bound<At>>,
    /// Unix milliseconds.
    validation_from: Option<i64>,
    gauc: Option<At>,
    features: Vec<Option<Reader>>,
    labels: Vec<LabelReader>,
    spaces: Vec<Option<Bound<At>>>,
    weights: Vec<Option<At>>,
    teachers: Vec<Option<At>>,
}

pub(super) struct FileReader<'a, 't> {
    d: &'a Description,
    sides: &'a [SideTable],
    parts: Vec<(TimePart, i64)>,
    log: &'a mut RawLog,
    carried: &'a mut Carried<'t>,
}

impl<'a, 't> FileReader<'a, 't> {
    pub fn new(
        d: &'a Description,
        sides: &'a [SideTable],
        log: &'a mut RawLog,
        carried: &'a mut Carried<'t>,
    ) -> Self {
        let columns = d.toml.data.columns.values();
        let parts = columns.map(|c| (c.part, libm::round(c.offset_hours * 3600.0) as i64));
        Self {
            d,
            sides,
            parts: parts.collect(),
            log,
            carried,
        }
    }

    /// Appends the rows of the file at `path`.
    pub fn read(mut self, path: &Path, wanted: &Wanted<'_>) -> Result<()> {
        let mut source = Source::open(path, wanted)?;
        let binding = self.bind(&source)?;
        let mut record = ByteRecord::new();
        let mut matched = vec![None; self.sides.len()];
        // What decides whether the next row belongs to the same request; a file begins a new one.
        let mut last: Option<(u64, u64, i64)> = None;
        while let Some((line, row)) = source.next(&mut record)? {
            self.log.rows_read += 1;
            let read =
                row.and_then(|()| self.row(&binding, &record, &mut matched, &mut last, line));
            if let Some(error) = self.carried.refused.take() {
                return Err(error);
            }
            let Err(message) = read else { continue };
            self.roll_back(&binding);
            self.log.quarantined_rows += 1;
            let error = Error::at_line(Kind::Data, path, line, message);
            if self.log.quarantined_rows > self.d.toml.data.max_bad_rows {
                return Err(error);
            }
            if self.log.quarantined.len() < SHOWN {
                self.log.quarantined.push(error.to_string());
            }
        }
        Ok(())
    }

    fn bind(&self, source: &Source) -> Result<Binding> {
        let d = self.d;
        let toml = &d.toml;
        let finder = Finder {
            d,
            source,
            sides: self.sides,
        };
        let mut keys = Vec::new();
        for (i, join) in toml.data.join.iter().enumerate() {
            keys.push(finder.find_before(join.key.log(), d.at(&join.path), i)?);
        }
        let column = |name: &Option<Named>| name.as_ref().map(|n| finder.column(n)).transpose();
        let filter = |text: &Option<Named>| text.as_ref().map(|t| finder.filter(t)).transpose();
        let label = |l: &Label| {
            let parsed = l.value.as_ref().map(|v| d.expression(v)).transpose()?;
            let name = match &parsed {
                Some(expression) => expression.as_column(),
                None => Some(l.name.get_ref().as_str()),
            };
            let at = d.at(l.value.as_ref().unwrap_or(&l.name));
            let is_binary =
                |t: &&Task| t.kind == TaskKind::Binary && t.label().get_ref() == l.name.get_ref();
            Ok(LabelReader {
                name: l.name.get_ref().clone(),
                column: name.map(|n| finder.find(n, at)).transpose()?,
                value: if name.is_some() {
                    None
                } else {
                    filter(&l.value)?
                },
                known: filter(&l.known)?,
                scale: l.scale,
                delay: l.delay,
                delay_column: column(&l.delay_column)?.map(|at| (at, l.delay_scale)),
                binary: toml.task.iter().any(|t| is_binary(&t)),
            })
        };
        let mut features = Vec::new();
        for feature in &toml.feature {
            features.push(Reader::bind(feature, &finder)?);
        }
        let mut spaces = Vec::new();
        for task in &toml.task {
            let is_filter = |s: &&Named| {
                let name = s.get_ref();
                name != "valid" && d.task(name).is_none() && d.label(name).is_none()
            };
            let space = task.space.as_ref().filter(is_filter);
            spaces.push(space.map(|s| finder.filter(s)).transpose()?);
        }
        let weight = |task: &Task| column(&task.weight_column);
        let teacher = |task: &Task| {
            let column = task.teacher.as_ref().map(|t| &t.get_ref().column);
            column.map(|c| finder.column(c)).transpose()
        };
        let gauc = match toml.train.gauc_key.as_str() {
            "user" | "request" => None,
            name => Some(finder.find(name, d.at(&toml.network.kind))?),
        };
        Ok(Binding {
            keys,
            user: column(&toml.data.user)?,
            request: column(&toml.data.request)?,
            time: column(&toml.data.time)?,
            valid: filter(&toml.data.valid)?,
            validation: filter(&toml.data.validation.filter)?,
            validation_from: d.validation_from_ms(),
            gauc,
            features,
            labels: toml.label.iter().map(label).collect::<Result<_>>()?,
            spaces,
            weights: toml.task.iter().map(weight).collect::<Result<_>>()?,
            teachers: toml.task.iter().map(teacher).collect::<Result<_>>()?,
        })
    }

    /// Everything back to the last whole row. `line` is pushed last, so its length counts whole rows.
    fn roll_back(&mut self, binding: &Binding) {
        let log = &mut *self.log;
        let rows = log.line.len();
        log.request.truncate(rows);
        let requests = log.request.last().map_or(0, |r| *r as usize + 1);
        for (column, reader) in log.features.iter_mut().zip(&binding.features) {
            if let Some(reader) = reader {
                column.truncate(if reader.user { requests } else { rows }, reader.dim);
            }
        }
        for label in &mut log.labels {
            label.values.truncate(rows);
            label.arrival.truncate(rows);
        }
        log.spaces.iter_mut().for_each(|s| s.truncate(rows));
        log.weights.iter_mut().for_each(|w| w.truncate(rows));
        log.teachers.iter_mut().for_each(|t| t.truncate(rows));
        log.validation.truncate(rows);
        log.gauc_group.truncate(rows);
        log.user.truncate(requests);
        log.time.truncate(requests);
        log.name.truncate(requests);
    }

    fn row(
        &mut self,
        binding: &Binding,
        record: &ByteRecord,
        matched: &mut [Option<u32>],
        last: &mut Option<(u64, u64, i64)>,
        line: u64,
    ) -> Malformed<()> {
        let (d, sides) = (self.d, self.sides);
        let null = d.toml.data.null.as_slice();
        let parts = core::mem::take(&mut self.parts);
        let result = (|| {
            for (i, side) in sides.iter().enumerate() {
                let cells = Row {
                    record,
                    sides,
                    matched,
                    null,
                    parts: &[],
                    time_ms: 0,
                };
                matched[i] = side.row(cells.cell(binding.keys[i]));
            }
            let mut cells = Row {
                record,
                sides,
                matched,
                null,
                parts: &parts,
                time_ms: 0,
            };
            if let Some(at) = binding.time {
                cells.time_ms = self.time(cells.cell(at))?;
            }
            self.cells(binding, &cells, last, line)
        })();
        self.parts = parts;
        result?;
        for (report, row) in self.log.joins.iter_mut().zip(&*matched) {
            *(if row.is_some() {
                &mut report.matched
            } else {
                &mut report.unmatched
            }) += 1;
        }
        Ok(())
    }

    fn time(&self, cell: &[u8]) -> Malformed<i64> {
        let unit = self.d.toml.data.time_unit;
        let Some(ms) = time::milliseconds(cell, unit) else {
            let cell = show(cell);
            return Err(format!(
                "the time is {cell}, which time_unit does not fit; \"s\", \"ms\" or \"iso\""
            ));
        };
        if self.carried.last_time_ms.is_some_and(|before| ms < before) {
            return Err(String::from(
                "this row is earlier than one before it; sort the log by time",
            ));
        }
        Ok(ms)
    }

    fn cells(
        &mut self,
        binding: &Binding,
        cells: &Row<'_>,
        last: &mut Option<(u64, u64, i64)>,
        line: u64,
    ) -> Malformed<()> {
        let hash = |at: Option<At>| at.map_or(0, |at| hash_text(cells.cell(at)));
        let by_time = if binding.request.is_none() {
            cells.time_ms
        } else {
            0
        };
        let identity = (hash(binding.user), hash(binding.request), by_time);
        // Without a request column, rows are one list if user and time say so; else each row is its own.
        let listed =
            binding.request.is_some() || (binding.user.is_some() && binding.time.is_some());
        let new = !listed || *last != Some(identity);
        if new {
            // All rows so far are of whole requests.
            if self.log.rows() >= self.carried.chunk_rows {
                self.carried.refused = self.carried.take(self.log).err();
            }
            self.request(binding, cells, identity.0)?;
        }
        let request = self.log.user.len() as u32 - 1;
        self.log.request.push(request);
        let request = self.carried.requests(self.log) - 1;
        for (i, reader) in binding.features.iter().enumerate() {
            let Some(reader) = reader else { continue };
            if !reader.user || new {
                reader.read(cells, &mut self.log.features[i])?;
                if let Some(texts) = &mut self.log.texts
                    && self.d.is_text_of_server(i)
                {
                    reader.note_text(cells, &mut texts[i]);
                }
            } else if reader.differs(cells, &self.log.features[i]) {
                self.log.changing[i] += 1;
            }
        }
        self.outcomes(binding, cells)?;
        let own = self.log.validation_from.is_some();
        let from = binding
            .validation_from
            .is_some_and(|from| cells.time_ms >= from);
        self.log
            .validation
            .push(own || from || holds(&binding.validation, cells, false)?);
        let group = match (binding.gauc, self.d.toml.train.gauc_key.as_str()) {
            (Some(at), _) => hash_text(cells.cell(at)),
            (None, "user") if self.log.user.last() != Some(&RawLog::NOBODY) => identity.0,
            // Rows of nobody compare within their request.
            _ => crate::features::hash_cross(u64::MAX, u64::from(request)),
        };
        let next = self.carried.groups.len() as u32;
        let group = *self.carried.groups.entry(group).or_insert(next);
        self.log.gauc_group.push(group);
        *last = Some(identity);
        self.carried.last_time_ms = binding.time.map(|_| cells.time_ms);
        self.log.line.push(line);
        Ok(())
    }

    fn request(&mut self, binding: &Binding, cells: &Row<'_>, user: u64) -> Malformed<()> {
        if self.carried.rows_before + self.log.request.len() >= u32::MAX as usize {
            return Err(String::from(
                "the log has over 4,294,967,294 rows; use fewer",
            ));
        }
        let nobody = binding.user.is_none_or(|at| cells.cell(at).is_empty());
        self.log
            .user
            .push(if nobody { RawLog::NOBODY } else { user });
        self.log.time.push(cells.time_ms.div_euclid(1000));
        self.log.name.push(match binding.request {
            Some(at) => String::from_utf8_lossy(cells.cell(at)).into_owned(),
            None => format!("{}", self.carried.requests_before + self.log.name.len()),
        });
        Ok(())
    }

    /// Labels, when they are known, and sample spaces.
    fn outcomes(&mut self, binding: &Binding, cells: &Row<'_>) -> Malformed<()> {
        for (label, column) in binding.labels.iter().zip(&mut self.log.labels) {
            column.values.push(label.value(cells)?);
            column.arrival.push(label.arrival(cells)?);
        }
        let valid = holds(&binding.valid, cells, true)?;
        for (filter, space) in binding.spaces.iter().zip(&mut self.log.spaces) {
            let inside = holds(filter, cells, true)?;
            space.push(valid && inside);
        }
        for (at, weights) in binding.weights.iter().zip(&mut self.log.weights) {
            if let Some(at) = *at {
                weights.push(weight(cells.cell(at))?);
            }
        }
        let taught = binding.teachers.iter().zip(&self.d.toml.task);
        for ((at, task), values) in taught.zip(&mut self.log.teachers) {
            if let Some(at) = *at {
                values.push(taught_by(task, cells.cell(at))?);
            }
        }
        Ok(())
    }
}

/// A row's weight in a task's loss; 0 for an empty cell.
fn weight(cell: &[u8]) -> Malformed<f32> {
    if cell.is_empty() {
        return Ok(0.0);
    }
    let weight = number(cell).map(|w| w as f32);
    let weight = weight.filter(|w| *w == 0.0 || (1e-6..=1e6).contains(w));
    weight.ok_or_else(|| {
        format!(
            "the weight of a row is {}; 0, or 0.000001 to 1000000",
            show(cell)
        )
    })
}

impl LabelReader {
    /// NaN where it is unknown.
    fn value(&self, cells: &Row<'_>) -> Malformed<f32> {
        if !holds(&self.known, cells, true)? {
            return Ok(f32::NAN);
        }
        let Some(at) = self.column else {
            let value = self
                .value
                .as_ref()
                .map_or(Ok(None), |v| evaluate(v, cells))?;
            return Ok(value.map_or(f32::NAN, |value| f32::from(u8::from(value))));
        };
        let cell = cells.cell(at);
        if cell.is_empty() {
            return Ok(f32::NAN);
        }
        let name = &self.name;
        let Some(raw) = number(cell) else {
            let cell = show(cell);
            return Err(format!(
                "label \"{name}\" is {cell}, no finite number; if that means missing, add it to null"
            ));
        };
        let value = (raw * self.scale) as f32;
        if self.binary && value != 0.0 && value != 1.0 {
            return Err(format!("label \"{name}\" is {value}; 0 or 1"));
        }
        if value < 0.0 {
            return Err(format!("label \"{name}\" is {value}; at least 0"));
        }
        if !value.is_finite() {
            let cell = show(cell);
            return Err(format!("label \"{name}\" is {cell}; too large for 32 bits"));
        }
        Ok(value)
    }

    /// Unix seconds; times within a second are rounded up, so that no request sees the label before it was known.
    fn arrival(&self, cells: &Row<'_>) -> Malformed<i64> {
        let mut delay = self.delay;
        if let Some((at, scale)) = self.delay_column {
            let cell = cells.cell(at);
            let extra = if cell.is_empty() {
                Some(0.0)
            } else {
                number(cell)
            };
            let extra = extra.map(|x| x * scale).filter(|x| *x >= 0.0);
            let name = &self.name;
            delay += extra.ok_or_else(|| {
                format!(
                    "the delay of label \"{name}\" is {}; a number, at least 0",
                    show(cell)
                )
            })?;
        }
        let second = cells.time_ms.div_euclid(1000);
        let most = TIME_MAX.saturating_sub(second.abs()) as f64;
        if delay > most {
            return Err(format!(
                "label \"{}\" is known after {delay} s; too late for any clock",
                self.name
            ));
        }
        Ok(second + libm::ceil(delay) as i64)
    }
}

fn evaluate(expression: &Bound<At>, cells: &Row<'_>) -> Malformed<Option<bool>> {
    let wrong = |e: NotANumber<At>| {
        format!(
            "{} is compared as a number and is none",
            show(cells.cell(e.column))
        )
    };
    expression.evaluate(&|at| cells.cell(at)).map_err(wrong)
}

/// Whether a filter holds; without one, `default`. Unknown is no.
fn holds(filter: &Option<Bound<At>>, cells: &Row<'_>, default: bool) -> Malformed<bool> {
    match filter {
        Some(filter) => Ok(evaluate(filter, cells)? == Some(true)),
        None => Ok(default),
    }
}
