//! From a log to the lists that weights are held against.
use std::collections::BTreeMap;
use std::path::Path;
use std::prelude::v1::*;

use toml::Spanned;

use super::Options;
use super::formula::Inputs;
use super::reward::Reward;
use super::sample::Sample;
use crate::engine::Model;
use crate::train::description::{Description, Label};
use crate::train::error::{Error, Kind, Result};
use crate::train::expression::Expression;
use crate::train::log::{self, RawColumn, RawLog};
use crate::train::server::Vectors;
use crate::train::{pass, replay};

/// A log's lists: those to tune on, then those to report on.
pub struct Lists {
    /// Both parts.
    pub parts: [Sample; 2],
    /// Lists of one row, which say nothing of an order.
    pub single: usize,
}

/// A copy of a description that reads more: each extra column is a label of its own, after the file's and on a line after its
/// last, by which a mistake is known as that of an option.
struct Extended {
    d: Description,
    /// The file's own lines and labels.
    own: (u64, usize),
    /// By extra: the option that asked for it.
    options: Vec<&'static str>,
}

impl Extended {
    fn new(d: &Description) -> Self {
        let mut d = d.clone();
        d.text.push('\n');
        let lines = d.text.bytes().filter(|b| *b == b'\n').count() as u64;
        let own = (lines, d.toml.label.len());
        Self {
            d,
            own,
            options: Vec::new(),
        }
    }

    /// Index of a label that `option` asks for by a column or an expression.
    fn label(&mut self, option: &'static str, value: String) -> usize {
        let at = self.d.text.len();
        let named = |text: String| Spanned::new(at..at, text);
        self.d.toml.label.push(Label {
            name: named(value.replace('`', "")),
            value: Some(named(value)),
            scale: 1.0,
            log1p: false,
            known: None,
            delay: 0.0,
            delay_column: None,
            delay_scale: 1.0,
            window: None,
        });
        self.d.text.push('\n');
        self.options.push(option);
        self.own.1 + self.options.len() - 1
    }

    fn column(&mut self, option: &'static str, name: &str) -> usize {
        self.label(option, format!("`{name}`"))
    }

    fn read(&self, data: Option<&Path>) -> Result<RawLog> {
        log::read(&self.d, data).map_err(|e| {
            let extra = e.line.and_then(|line| line.checked_sub(self.own.0 + 1));
            let option = extra.and_then(|i| self.options.get(i as usize));
            match option {
                Some(option) if e.kind == Kind::Description => {
                    Error::new(e.kind, format!("{option}: {}", e.message))
                }
                _ => e,
            }
        })
    }
}

/// Reads a log, scores the requests that are wanted, and keeps scores and `rewards` of their rows.
///
/// # Errors
/// Those of reading and scoring; [`Kind::Description`] for columns that do not exist.
pub fn lists(
    d: &Description,
    (model, file): (&Model<'_>, &Path),
    options: &Options<'_>,
    rewards: &[&Reward],
    inputs: &Inputs,
) -> Result<Lists> {
    replay::fits(d, model)?;
    let vectors = Vectors::open(d, model, file)?;
    let mut extended = Extended::new(d);
    let mut columns = BTreeMap::new();
    for (_, name) in rewards.iter().flat_map(|r| &r.parts) {
        if !columns.contains_key(name.as_str()) {
            let label = match d.label(name) {
                Some(label) => label,
                None => extended.column("--maximise, --subject-to or --pareto", name),
            };
            columns.insert(name.as_str(), label);
        }
    }
    let random = match options.random {
        None => None,
        Some(text) => {
            if let Err(mistake) = Expression::parse(text) {
                let message = format!(
                    "--random \"{text}\": character {}: {}",
                    mistake.position, mistake.message
                );
                return Err(Error::new(Kind::Description, message));
            }
            Some(extended.label("--random", text.into()))
        }
    };
    let position = options.position.map(|p| extended.column("--position", p));
    let mut raw = extended.read(options.data)?;
    if let (Some(name), Some(label)) = (options.position, position) {
        to_the_top(d, &mut raw, name, label)?;
    }
    let mut wanted = vec![options.all; raw.requests()];
    for row in &pass::split(d, &raw)?.validation {
        wanted[raw.request[*row as usize] as usize] = true;
    }
    if let Some(random) = random {
        for (value, request) in raw.labels[random].values.iter().zip(&raw.request) {
            wanted[*request as usize] &= *value > 0.0;
        }
    }
    let width = inputs.width();
    let opened = match width {
        0 => None,
        _ => Some(model.open_formula(&inputs.file).map_err(|e| {
            Error::new(
                Kind::Description,
                format!("the fusion's inputs: {:?}", e.status),
            )
        })?),
    };
    let by = opened.as_ref();
    let scored = replay::score_by(d, (model, &vectors), by, &raw, &|r| wanted[r])?;
    let reward = |reward: &Reward, row: usize| -> f64 {
        let parts = reward.parts.iter().map(|(factor, name)| {
            let value = raw.labels[columns[name.as_str()]].values[row];
            factor * f64::from(if value.is_nan() { 0.0 } else { value })
        });
        parts.sum()
    };
    // Requests in the order of the log, the first so many to tune on.
    let requests = wanted.iter().filter(|w| **w).count();
    let held = libm::round(requests as f64 * options.held_out) as usize;
    let (mut part, mut seen, mut last) = (Vec::new(), 0, None);
    for row in &scored.rows {
        let request = raw.request[*row as usize];
        if last.replace(request) != Some(request) {
            seen += 1;
        }
        part.push(seen > requests - held);
    }
    // Rows of each list by its first row.
    let mut lists: BTreeMap<(bool, u64), Vec<usize>> = BTreeMap::new();
    let mut first: BTreeMap<(bool, u64), u64> = BTreeMap::new();
    for (i, row) in scored.rows.iter().enumerate() {
        let request = raw.request[*row as usize];
        let key = match options.by_user {
            true => raw.user[request as usize],
            false => u64::from(request),
        };
        if options.by_user && key == RawLog::NOBODY {
            continue;
        }
        let first = *first.entry((part[i], key)).or_insert(i as u64);
        lists.entry((part[i], first)).or_default().push(i);
    }
    let tasks = model.spec().tasks.len();
    let mut read = Lists {
        parts: [(); 2].map(|()| Sample::new(tasks + width, rewards.len())),
        single: 0,
    };
    for ((held, _), mut list) in lists {
        if list.len() < 2 {
            read.single += 1;
            continue;
        }
        if let Some(label) = position {
            let shown = |i: &usize| raw.labels[label].values[scored.rows[*i] as usize];
            list.sort_by(|a, b| shown(a).total_cmp(&shown(b)));
        }
        read.parts[usize::from(held)].push(list.into_iter().map(|i| {
            let row = scored.rows[i] as usize;
            let of_row = rewards.iter().map(|r| reward(r, row)).collect();
            let mut values = scored.scores[i * tasks..(i + 1) * tasks].to_vec();
            if width > 0 {
                values.extend_from_slice(&scored.terms[i * width..(i + 1) * width]);
            }
            (values, of_row)
        }));
    }
    Ok(read)
}

/// Where a row was shown is no property of it: as in serving, every candidate is scored as if at the top, the least position
/// of the log.
fn to_the_top(d: &Description, raw: &mut RawLog, name: &str, label: usize) -> Result<()> {
    let positions = raw.labels[label].values.iter().copied();
    let top = positions.fold(f32::INFINITY, f32::min);
    for (feature, column) in d.toml.feature.iter().zip(&mut raw.features) {
        if feature.column() != name {
            continue;
        }
        match column {
            RawColumn::Numbers(values) => values.fill(top),
            RawColumn::None => {}
            _ => {
                let message = format!(
                    "\"{}\" reads the position as an id; tune takes it as a number only",
                    feature.name.get_ref()
                );
                return Err(d.mistake(&feature.name, message));
            }
        }
    }
    Ok(())
}
