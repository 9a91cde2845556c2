//! The columns of a log that a description needs, in memory.
use std::prelude::v1::*;

use super::{Bound, Cell, JoinReport, Names, Row, SideTable, next, open, ragged, time_part};
use crate::engine::Column;
use crate::features::{hash_int, hash_text, weight_q15};
use crate::spec::{Side, TaskKind};
use crate::train::description::{Description, FeatureKind, IdKind, TimeUnit};
use crate::train::error::{Error, Kind, Result};
use crate::train::expression::Expression;

/// Raw values of one feature: one a request for `user` features, one a row for all others.
#[derive(Clone, Debug)]
pub enum RawColumn {
    /// A derived feature or a cross: no column.
    None,
    /// Ids as the engine takes them: integers, or hashes of text. [`Column::NO_ID`] is missing.
    Ids(Vec<u64>),
    /// Lists of ids.
    Lists {
        /// Number of lists + 1.
        offsets: Vec<u32>,
        /// All ids.
        ids: Vec<u64>,
        /// A weight an id.
        weights: Option<Vec<f32>>,
    },
    /// Numbers; NaN is missing.
    Numbers(Vec<f32>),
    /// `dim` bytes a value; all 255 is missing.
    Vectors(Vec<u8>),
}

/// One label of every row.
#[derive(Clone, Debug, Default)]
pub struct LabelColumn {
    /// NaN where it is unknown.
    pub values: Vec<f32>,
    /// When it becomes known, Unix seconds.
    pub arrival: Vec<i64>,
}

/// A log in memory, before anything is learned from it.
#[derive(Debug, Default)]
pub struct RawLog {
    /// By feature of the description.
    pub features: Vec<RawColumn>,
    /// By label of the description.
    pub labels: Vec<LabelColumn>,
    /// By task of the description: rows in its sample space, before the label's own availability.
    pub spaces: Vec<Vec<bool>>,
    /// Request of each row.
    pub request: Vec<u32>,
    /// User of each request, hashed; 0 without a user column.
    pub user: Vec<u64>,
    /// Unix seconds of each request; 0 without a time column.
    pub time: Vec<i64>,
    /// The request column's cell of each request, or its number.
    pub name: Vec<String>,
    /// Rows to report on; empty if the split is by share.
    pub validation: Vec<bool>,
    /// GAUC group of each row.
    pub gauc_group: Vec<u32>,
    /// Line of the log.
    pub line: Vec<u64>,
    /// Joins.
    pub joins: Vec<JoinReport>,
    /// Rows set aside as malformed: file and line with the reason, the first twenty.
    pub quarantined: Vec<String>,
    /// All rows set aside.
    pub quarantined_rows: u64,
    /// First request of a validation log of its own, if there is one.
    pub validation_from: Option<u32>,
}

impl RawLog {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.request.len()
    }
    /// Requests.
    pub fn requests(&self) -> usize {
        self.user.len()
    }
}

/// How one feature is read.
struct Reader {
    cell: Cell,
    weights: Option<Cell>,
    kind: FeatureKind,
    user: bool,
    int: bool,
    separator: u8,
    max_len: usize,
    dim: usize,
    name: String,
}

struct LabelReader {
    name: String,
    column: Option<Cell>,
    condition: Option<Bound<Cell>>,
    known: Option<Bound<Cell>>,
    scale: f64,
    delay: f64,
    delay_column: Option<(Cell, f64)>,
    binary: bool,
}

/// Everything bound to the columns of one file.
struct Plan {
    features: Vec<Option<Reader>>,
    labels: Vec<LabelReader>,
    spaces: Vec<Option<Bound<Cell>>>,
    valid: Option<Bound<Cell>>,
    validation: Option<Bound<Cell>>,
    user: Option<Cell>,
    request: Option<Cell>,
    time: Option<Cell>,
    gauc: Option<Cell>,
}

/// Reads the logs of a description; `data` as in [`Description::logs`].
///
/// # Errors
/// [`Kind::Io`], or [`Kind::Data`] with file and line.
pub fn read(description: &Description, data: Option<&std::path::Path>) -> Result<RawLog> {
    let toml = &description.toml;
    let mut joins = Vec::new();
    for join in &toml.data.join {
        joins.push(SideTable::read(
            description.resolve(join.path.get_ref(), data),
            join,
        )?);
    }
    let mut log = RawLog {
        features: toml.feature.iter().map(empty_column).collect(),
        labels: vec![LabelColumn::default(); toml.label.len()],
        spaces: vec![Vec::new(); toml.task.len()],
        ..RawLog::default()
    };
    let mut state = Requests::default();
    for path in description.logs(data) {
        read_file(description, &path, &mut joins, &mut log, &mut state)?;
    }
    if let Some(path) = &toml.data.validation.path {
        state.last = None;
        log.validation_from = Some(log.requests() as u32);
        read_file(
            description,
            &description.resolve(path, data),
            &mut joins,
            &mut log,
            &mut state,
        )?;
    }
    log.joins = joins
        .iter()
        .map(|j| JoinReport {
            path: j.path.display().to_string(),
            matched: j.matched,
            unmatched: j.unmatched,
        })
        .collect();
    if log.rows() == 0 {
        let path = description.logs(data).first().cloned().unwrap_or_default();
        return Err(Error::in_file(
            Kind::Data,
            &path,
            "no row; a log has at least one",
        ));
    }
    Ok(log)
}

fn empty_column(f: &crate::train::description::Feature) -> RawColumn {
    match f.kind {
        FeatureKind::Id => RawColumn::Ids(Vec::new()),
        FeatureKind::Ids => RawColumn::Lists {
            offsets: vec![0],
            ids: Vec::new(),
            weights: f.weights.as_ref().map(|_| Vec::new()),
        },
        FeatureKind::Number => RawColumn::Numbers(Vec::new()),
        FeatureKind::Vector => RawColumn::Vectors(Vec::new()),
        _ => RawColumn::None,
    }
}

/// What separates requests.
#[derive(Default)]
struct Requests {
    last: Option<(u64, Vec<u8>, i64)>,
    last_time: Option<i64>,
    groups: rustc_hash::FxHashMap<Vec<u8>, u32>,
}

fn read_file(
    description: &Description,
    path: &std::path::Path,
    joins: &mut [SideTable],
    log: &mut RawLog,
    requests: &mut Requests,
) -> Result<()> {
    let data = &description.toml.data;
    let mut table = open(path)?;
    let names = Names {
        description,
        log: table.header.clone(),
        log_path: path.to_path_buf(),
        joins: joins
            .iter()
            .zip(&data.join)
            .map(|(t, j)| (t.header.clone(), t.key, j.columns.clone()))
            .collect(),
        computed: data
            .columns
            .iter()
            .map(|(n, c)| (n.clone(), c.clone()))
            .collect(),
    };
    let plan = Plan::new(&names)?;
    let keys: Vec<Cell> = data
        .join
        .iter()
        .map(|j| names.cell(j.key.log(), description.at(&j.path)))
        .collect::<Result<_>>()?;
    let computed: Vec<Cell> = names
        .computed
        .iter()
        .map(|(_, c)| names.cell(c.of.get_ref(), description.at(&c.of)))
        .collect::<Result<_>>()?;
    let mut record = csv::ByteRecord::new();
    let (mut joined, mut values) = (vec![None; joins.len()], vec![String::new(); computed.len()]);
    let to_seconds = |t: i64| match data.time_unit {
        TimeUnit::Seconds => t,
        TimeUnit::Milliseconds => t.div_euclid(1000),
    };
    while let Some(line) = next(&mut table, &mut record)? {
        let read = (|| {
            if record.len() != table.header.len() {
                return Err(ragged(path, line, record.len(), table.header.len()));
            }
            let bare = Row {
                record: &record,
                joins: &[],
                joined: &[],
                computed: &[],
                null: &data.null,
                path,
                line,
            };
            for ((value, cell), (name, c)) in values.iter_mut().zip(&computed).zip(&names.computed)
            {
                *value = bare
                    .integer(*cell, name)?
                    .map(|t| time_part(to_seconds(t), c))
                    .unwrap_or_default();
            }
            for ((slot, key), table) in joined.iter_mut().zip(&keys).zip(&*joins) {
                *slot = table.by_key.get(bare.cell(*key)).copied();
            }
            let row = Row {
                record: &record,
                joins,
                joined: &joined,
                computed: &values,
                null: &data.null,
                path,
                line,
            };
            plan.read(description, &row, log, requests, &to_seconds)
        })();
        match read {
            Ok(()) => {
                for (found, table) in joined.iter().zip(joins.iter_mut()) {
                    if found.is_some() {
                        table.matched += 1
                    } else {
                        table.unmatched += 1
                    }
                }
            }
            Err(error) => {
                log.quarantined_rows += 1;
                if log.quarantined_rows > data.max_bad_rows {
                    return Err(error);
                }
                if log.quarantined.len() < 20 {
                    log.quarantined.push(error.to_string());
                }
            }
        }
    }
    Ok(())
}

/// A row's values, complete before any is appended: a bad row leaves no trace.
#[derive(Default)]
struct Values {
    ids: Vec<u64>,
    weights: Vec<f32>,
    number: f32,
    bytes: Vec<u8>,
}

impl Plan {
    fn new(names: &Names<'_>) -> Result<Self> {
        let d = names.description;
        let toml = &d.toml;
        let bound =
            |text: &crate::train::description::Named| names.bind(&d.expression(text)?, d.at(text));
        let column = |name: &Option<crate::train::description::Named>| {
            name.as_ref()
                .map(|n| names.cell(n.get_ref(), d.at(n)))
                .transpose()
        };
        let mut features = Vec::new();
        for f in &toml.feature {
            let reads = matches!(
                f.kind,
                FeatureKind::Id | FeatureKind::Ids | FeatureKind::Number | FeatureKind::Vector
            );
            if !reads {
                features.push(None);
                continue;
            }
            let separator = f.separator.as_deref().unwrap_or("|").as_bytes();
            features.push(Some(Reader {
                cell: names.cell(f.column(), d.at(f.column.as_ref().unwrap_or(&f.name)))?,
                weights: column(&f.weights)?,
                kind: f.kind,
                user: f.side == Some(Side::User),
                int: d.id_kind(f) == IdKind::Int,
                separator: separator.first().copied().unwrap_or(b'|'),
                max_len: usize::from(f.max_len.unwrap_or(50)),
                dim: usize::from(f.dim.unwrap_or(0)),
                name: f.name.get_ref().clone(),
            }));
        }
        let mut labels = Vec::new();
        for l in &toml.label {
            let text = l.value.as_ref().unwrap_or(&l.name);
            let expression = if l.value.is_some() {
                d.expression(text)?
            } else {
                Expression::parse(&format!("`{}`", text.get_ref()))
                    .map_err(|e| d.mistake(text, e.message))?
            };
            let name = expression.as_column().map(String::from);
            labels.push(LabelReader {
                name: l.name.get_ref().clone(),
                column: name
                    .as_deref()
                    .map(|n| names.cell(n, d.at(text)))
                    .transpose()?,
                condition: if name.is_none() {
                    Some(names.bind(&expression, d.at(text))?)
                } else {
                    None
                },
                known: l.known.as_ref().map(bound).transpose()?,
                scale: l.scale,
                delay: l.delay,
                delay_column: column(&l.delay_column)?.map(|c| (c, l.delay_scale)),
                binary: toml
                    .task
                    .iter()
                    .any(|t| t.kind == TaskKind::Binary && t.label().get_ref() == l.name.get_ref()),
            });
        }
        let mut spaces = Vec::new();
        for t in &toml.task {
            spaces.push(match &t.space {
                Some(s) if s.get_ref() != "valid" && d.task(s.get_ref()).is_none() => {
                    Some(bound(s)?)
                }
                _ => None,
            });
        }
        let gauc = match toml.train.gauc_key.as_str() {
            "user" | "request" => None,
            name => Some(names.cell(name, d.at(&toml.network.kind))?),
        };
        Ok(Self {
            features,
            labels,
            spaces,
            valid: toml.data.valid.as_ref().map(bound).transpose()?,
            validation: toml
                .data
                .validation
                .filter
                .as_ref()
                .map(bound)
                .transpose()?,
            user: column(&toml.data.user)?,
            request: column(&toml.data.request)?,
            time: column(&toml.data.time)?,
            gauc,
        })
    }

    fn read(
        &self,
        d: &Description,
        row: &Row<'_>,
        log: &mut RawLog,
        requests: &mut Requests,
        to_seconds: &dyn Fn(i64) -> i64,
    ) -> Result<()> {
        let time = match self.time {
            Some(cell) => row
                .integer(cell, "time")?
                .ok_or_else(|| row.error("no time; every row needs one"))?,
            None => 0,
        };
        if requests.last_time.is_some_and(|last| time < last) {
            return Err(row.error("this row is earlier than the one before; sort the log by time"));
        }
        let user = self.user.map_or(0, |cell| hash_text(row.cell(cell)));
        let request = self
            .request
            .map(|cell| row.cell(cell).to_vec())
            .unwrap_or_default();
        let of_time = if self.request.is_some() { 0 } else { time };
        let key = (user, request, of_time);
        // Without user, time and request columns every row is a list of its own.
        let keyed = self.user.is_some() || self.time.is_some() || self.request.is_some();
        let new = !keyed || requests.last.as_ref() != Some(&key);

        let mut values = Vec::with_capacity(self.features.len());
        for feature in &self.features {
            values.push(match feature {
                Some(f) if new || !f.user => f.read(row)?,
                _ => Values::default(),
            });
        }
        let mut labels = Vec::with_capacity(self.labels.len());
        for label in &self.labels {
            labels.push(label.read(row, to_seconds(time))?);
        }
        let valid = self
            .valid
            .as_ref()
            .map_or(Ok(Some(true)), |v| row.evaluate(v))?
            == Some(true);
        let mut spaces = Vec::with_capacity(self.spaces.len());
        for space in &self.spaces {
            spaces.push(
                valid && space.as_ref().map_or(Ok(Some(true)), |s| row.evaluate(s))? == Some(true),
            );
        }
        let mut validation = self
            .validation
            .as_ref()
            .map_or(Ok(None), |v| row.evaluate(v))?
            == Some(true);
        if let Some(from) = d.toml.data.validation.from {
            validation |= time >= from;
        }

        requests.last_time = self.time.map(|_| time);
        if new {
            log.name.push(if self.request.is_some() {
                String::from_utf8_lossy(&key.1).into_owned()
            } else {
                format!("{}", log.user.len())
            });
            log.user.push(user);
            log.time.push(to_seconds(time));
        }
        requests.last = Some(key);
        for ((column, reader), v) in log.features.iter_mut().zip(&self.features).zip(values) {
            if let Some(f) = reader
                && (new || !f.user)
            {
                append(column, v);
            }
        }
        for (column, (value, arrival)) in log.labels.iter_mut().zip(labels) {
            column.values.push(value);
            column.arrival.push(arrival);
        }
        for (column, inside) in log.spaces.iter_mut().zip(spaces) {
            column.push(inside);
        }
        log.request.push(log.user.len() as u32 - 1);
        log.validation
            .push(validation || log.validation_from.is_some());
        log.line.push(row.line);
        let group = match (self.gauc, d.toml.train.gauc_key.as_str()) {
            (Some(cell), _) => row.cell(cell).to_vec(),
            (None, "request") => (log.user.len() as u64).to_le_bytes().to_vec(),
            _ => user.to_le_bytes().to_vec(),
        };
        let groups = requests.groups.len() as u32;
        log.gauc_group
            .push(*requests.groups.entry(group).or_insert(groups));
        Ok(())
    }
}

fn append(column: &mut RawColumn, v: Values) {
    match column {
        RawColumn::None => {}
        RawColumn::Ids(ids) => ids.extend(v.ids),
        RawColumn::Lists {
            offsets,
            ids,
            weights,
        } => {
            ids.extend(v.ids);
            offsets.push(ids.len() as u32);
            if let Some(weights) = weights {
                weights.extend(v.weights);
            }
        }
        RawColumn::Numbers(numbers) => numbers.push(v.number),
        RawColumn::Vectors(bytes) => bytes.extend(v.bytes),
    }
}

impl Reader {
    fn read(&self, row: &Row<'_>) -> Result<Values> {
        let cell = row.cell(self.cell);
        let parts = || {
            cell.split(|b| *b == self.separator)
                .map(<[u8]>::trim_ascii)
                .filter(|p| !p.is_empty())
        };
        let mut v = Values::default();
        match self.kind {
            FeatureKind::Id => v.ids.push(if cell.is_empty() {
                Column::NO_ID
            } else {
                self.id(row, cell)?
            }),
            FeatureKind::Ids => {
                for part in parts().take(self.max_len) {
                    v.ids.push(self.id(row, part)?);
                }
                if let Some(weights) = self.weights {
                    let split = row
                        .cell(weights)
                        .split(|b| *b == self.separator)
                        .filter(|p| !p.is_empty());
                    for part in split.take(self.max_len) {
                        let weight = super::number(part).filter(|w| (0.0..=1.0).contains(w));
                        let weight = weight.ok_or_else(|| {
                            row.error(format!("a weight of \"{}\" is outside [0, 1]", self.name))
                        })?;
                        v.weights.push(weight as f32);
                    }
                    if v.weights.len() != v.ids.len() {
                        let message = format!(
                            "\"{}\" has {} ids and {} weights; one each",
                            self.name,
                            v.ids.len(),
                            v.weights.len()
                        );
                        return Err(row.error(message));
                    }
                }
            }
            FeatureKind::Vector => {
                for part in parts() {
                    let byte = super::integer(part)
                        .and_then(|b| u8::try_from(b).ok())
                        .filter(|b| *b <= 127);
                    v.bytes.push(byte.ok_or_else(|| {
                        row.error(format!("a byte of \"{}\" is outside 0..=127", self.name))
                    })?);
                }
                if v.bytes.is_empty() {
                    v.bytes = vec![255; self.dim];
                }
                if v.bytes.len() != self.dim {
                    let message = format!(
                        "\"{}\" has {} bytes; {}",
                        self.name,
                        v.bytes.len(),
                        self.dim
                    );
                    return Err(row.error(message));
                }
            }
            _ => {
                v.number = row
                    .number(self.cell, &self.name)?
                    .map_or(f32::NAN, |x| x as f32)
            }
        }
        Ok(v)
    }

    fn id(&self, row: &Row<'_>, text: &[u8]) -> Result<u64> {
        if !self.int {
            if core::str::from_utf8(text).is_err() {
                return Err(row.error(format!("an id of \"{}\" is not UTF-8", self.name)));
            }
            return Ok(hash_text(text));
        }
        // Integers may stand as "3.0" in tables written by tools that know no missing integers.
        let int = super::integer(text).or_else(|| {
            super::number(text)
                .filter(|x| x.fract() == 0.0)
                .map(|x| x as i64)
        });
        int.map(|i| i as u64).ok_or_else(|| {
            let text = String::from_utf8_lossy(text);
            row.error(format!(
                "\"{}\" is \"{text}\"; an integer, or set id_type = \"string\"",
                self.name
            ))
        })
    }
}

impl LabelReader {
    fn read(&self, row: &Row<'_>, time: i64) -> Result<(f32, i64)> {
        let known = self
            .known
            .as_ref()
            .map_or(Ok(Some(true)), |k| row.evaluate(k))?
            == Some(true);
        let value = match (self.column, &self.condition) {
            _ if !known => None,
            (Some(cell), _) => row.number(cell, &self.name)?.map(|x| x * self.scale),
            (None, Some(condition)) => row.evaluate(condition)?.map(|b| f64::from(u8::from(b))),
            (None, None) => None,
        };
        match value {
            Some(x) if self.binary && x != 0.0 && x != 1.0 => {
                return Err(row.error(format!("label \"{}\" is {x}; 0 or 1", self.name)));
            }
            Some(x) if x < 0.0 => {
                return Err(row.error(format!("label \"{}\" is {x}; at least 0", self.name)));
            }
            _ => {}
        }
        let mut delay = self.delay;
        if let Some((cell, scale)) = self.delay_column {
            delay += row.number(cell, "delay")?.unwrap_or(0.0).max(0.0) * scale;
        }
        Ok((
            value.map_or(f32::NAN, |x| x as f32),
            time.saturating_add(libm::ceil(delay) as i64),
        ))
    }
}

impl Description {
    /// How the ids of a feature's table are written.
    pub(crate) fn id_kind(&self, f: &crate::train::description::Feature) -> IdKind {
        let table = self
            .toml
            .table
            .iter()
            .find(|t| t.name.get_ref() == f.table())
            .and_then(|t| t.id_type);
        let own = self
            .toml
            .feature
            .iter()
            .filter(|g| g.table() == f.table())
            .find_map(|g| g.id_type);
        f.id_type.or(table).or(own).unwrap_or(IdKind::Int)
    }
}

/// The key by which an id is looked up; `None` if it is missing.
pub(crate) fn key_of(id: u64, kind: IdKind) -> Option<u64> {
    match (id, kind) {
        (Column::NO_ID, _) => None,
        (id, IdKind::Int) => Some(hash_int(id)),
        (hash, IdKind::String) => Some(hash),
    }
}

/// Q15 weights of a list column.
pub(crate) fn q15(weights: &[f32]) -> Vec<u16> {
    weights.iter().map(|w| weight_q15(*w)).collect()
}
