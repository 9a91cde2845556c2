//! A file of at most so many bytes: fewer bits in tables, then fewer rows in vocabularies, the least harmful first.
//!
//! ```text
//! every table alone at 4 bits -> loss on the calibration requests -> tables in the order of loss a byte saved, until it fits
//! still too large: rows of ids join row 0, those first that the fewest training rows a byte saved need
//! ```
//!
//! The choice sees calibration requests only; the replay, of other rows, then holds the whole file to `auc_budget` as ever.
//!
//! Row 0 stays as it was trained. The mean of what joins it, weighed by counts, lost more in the worst task of every run that
//! it was held against (docs/numerics.md).
use std::prelude::v1::*;

mod auto;

use core::fmt;

use serde::Serialize;

pub(super) use auto::within;

use super::compare::compare;
use super::{Options, Run, file_of, open, replay};
use crate::features::Vocabulary;
use crate::spec::{Encoding, Lookup, Spec, Table};
use crate::train::error::{Error, Kind, Result};
use crate::train::parameters::Parameters;
use crate::train::quantize::Lookups;
use crate::train::vocabulary;

/// What a size budget did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Budget {
    /// Bytes that the file may have; `None`: as few as `auc_budget` allows.
    pub max_bytes: Option<usize>,
    /// Bytes that it had as described.
    pub bytes_before: usize,
    /// By table.
    pub tables: Vec<TableBudget>,
    /// By task: name, and loss against the f32 run on the calibration requests, as described and as written.
    pub losses: Vec<(String, [Option<f64>; 2])>,
}

/// What a size budget did to one table; pairs are as described and as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableBudget {
    /// Name.
    pub name: String,
    /// Bits of a value.
    pub bits: [u8; 2],
    /// Rows.
    pub rows: [u32; 2],
    /// Bytes of rows and vocabulary.
    pub bytes: [usize; 2],
    /// Ids seen less often in training have row 0; 0: all are kept.
    pub floor: u32,
    /// What 4 bits in this table alone cost on the calibration requests: the worst task's loss. `None`: not measured.
    pub alone: Option<f64>,
}

/// A model that fits.
pub(super) struct Planned<'r> {
    pub model: Reduced<'r>,
    pub report: Budget,
}

/// A model with some tables packed and some rows merged.
pub(super) struct Reduced<'r> {
    pub spec: Box<Spec<'r>>,
    pub parameters: Parameters<f32>,
    pub lookups: Lookups,
}

/// By table: whether it is packed, and the least count of an id that keeps its row.
#[derive(Clone)]
struct Plan {
    packed: Vec<bool>,
    floors: Vec<u32>,
}

impl Plan {
    /// The model of `run` by this plan.
    fn apply<'r>(&self, run: &Run<'r>) -> Result<Reduced<'r>> {
        let mut model = Reduced {
            spec: Box::new(run.spec.clone()),
            parameters: run.parameters.clone(),
            lookups: run.lookups.clone(),
        };
        for (t, packed) in self.packed.iter().enumerate() {
            if *packed {
                model.spec.tables[t].bits = Table::PACKED;
            }
            if self.floors[t] > 1 {
                model.merge(t, self.floors[t], &run.counts[t])?;
            }
        }
        Ok(model)
    }

    fn bytes(&self, run: &Run<'_>) -> Result<usize> {
        Ok(self.apply(run)?.file()?.len())
    }

    /// Bytes of this plan's file, and by task its loss on the calibration requests.
    fn measure(
        &self,
        run: &mut Run<'_>,
        logits: &mut Option<Vec<f32>>,
    ) -> Result<(usize, Vec<Option<f64>>)> {
        let model = self.apply(run)?;
        let bytes = model.file()?;
        let opened = open(&bytes)?;
        let replayed = replay(&opened, run.calibration)?;
        let logits = logits.get_or_insert_with(|| (run.logits)(&replayed.rows));
        let options = Options {
            resamples: 0,
            ..Options::default()
        };
        let maps = vec![None; run.spec.tasks.len()];
        let report = compare(&opened, &replayed, logits, &maps, run.tasks, &options);
        Ok((bytes.len(), report.tasks.iter().map(|t| t.loss).collect()))
    }
}

impl Reduced<'_> {
    fn file(&self) -> Result<Vec<u8>> {
        file_of(&self.lookups, &self.spec, &self.parameters)
    }

    /// Gives ids of table `t` with a count below `floor` row 0.
    fn merge(&mut self, t: usize, floor: u32, counts: &[u32]) -> Result<()> {
        let rows = self.spec.tables[t].num_embeddings;
        let damaged = |_| Error::new(Kind::Data, "the run's vocabulary is damaged; train again");
        let old = Vocabulary::check(&self.lookups.vocabularies[t], rows - 1).map_err(damaged)?;
        let kept = |row: u32| counts[row as usize] >= floor;
        let mut keys: Vec<u64> = old
            .rows()
            .filter(|(_, r)| kept(*r))
            .map(|(k, _)| k)
            .collect();
        let bytes = vocabulary::build(&mut keys);
        let new = Vocabulary::check(&bytes, keys.len() as u32).map_err(damaged)?;
        // The old row of each new one.
        let mut from = vec![0; keys.len() + 1];
        for (key, row) in new.rows() {
            from[row as usize] = old.position(key).map_or(0, |p| p + 1);
        }
        let dim = usize::from(self.spec.tables[t].embedding_dim);
        let groups = self.spec.groups();
        for values in &mut self.parameters.tables[t * groups..(t + 1) * groups] {
            let row = |r: &u32| &values[*r as usize * dim..][..dim];
            *values = from.iter().flat_map(row).copied().collect();
        }
        let place = |old: u32| from.iter().position(|r| *r == old).unwrap_or(0) as u32;
        for feature in &mut self.spec.features {
            if let Encoding::Row { table, default_row } = &mut feature.encoding
                && usize::from(*table) == t
            {
                *default_row = place(*default_row);
            }
        }
        self.spec.tables[t].num_embeddings = keys.len() as u32 + 1;
        self.lookups.vocabularies[t] = bytes;
        Ok(())
    }

    fn table_bytes(&self, t: usize) -> usize {
        let table = &self.spec.tables[t];
        let rows = table.num_embeddings as usize * table.embedding_bytes() * self.spec.groups();
        rows + self.lookups.vocabularies[t].len()
    }
}

/// A model of `run` whose file has at most `max_bytes`.
///
/// # Errors
/// [`Kind::Refused`] if there is none.
pub(super) fn plan<'r>(run: &mut Run<'r>, max_bytes: usize) -> Result<Planned<'r>> {
    let tables = run.spec.tables.len();
    let described = Plan {
        packed: run.spec.tables.iter().map(Table::is_packed).collect(),
        floors: vec![0; tables],
    };
    let (mut plan, mut logits) = (described.clone(), None);
    let (bytes_before, before) = described.measure(run, &mut logits)?;
    let mut alone = Alone::default();
    if bytes_before > max_bytes {
        least(run, &described, max_bytes, bytes_before)?;
        alone = Alone::measure(run, &described, (bytes_before, &before), &mut logits)?;
        let order = &alone.order;
        for (_, _, t) in order {
            if plan.bytes(run)? <= max_bytes {
                break;
            }
            plan.packed[*t] = true;
        }
        if plan.bytes(run)? > max_bytes {
            raise_floors(run, &mut plan, max_bytes)?;
        }
        // The last table taken may have made an earlier one needless.
        for (_, _, t) in order.iter().rev() {
            let mut without = plan.clone();
            without.packed[*t] = false;
            if without.bytes(run)? <= max_bytes {
                plan = without;
            }
        }
    }
    let (_, after) = plan.measure(run, &mut logits)?;
    let mut planned = planned(run, [&described, &plan], &alone, [before, after])?;
    (planned.report.bytes_before, planned.report.max_bytes) = (bytes_before, Some(max_bytes));
    Ok(planned)
}

/// What 4 bits in each table alone cost and save.
#[derive(Default)]
struct Alone {
    /// By table: the worst task's loss; empty if nothing was measured.
    lost: Vec<Option<f64>>,
    /// Loss, bytes saved and index of the tables that could be packed, the least harmful first.
    order: Vec<(f64, usize, usize)>,
}

impl Alone {
    /// `before`: bytes and losses as described.
    fn measure(
        run: &mut Run<'_>,
        described: &Plan,
        (bytes_before, before): (usize, &[Option<f64>]),
        logits: &mut Option<Vec<f32>>,
    ) -> Result<Self> {
        let tables = described.packed.len();
        let mut alone = Self {
            lost: vec![None; tables],
            order: Vec::new(),
        };
        for t in (0..tables).filter(|t| !described.packed[*t] && !run.pinned[*t]) {
            let mut one = described.clone();
            one.packed[t] = true;
            let (bytes, after) = one.measure(run, logits)?;
            let saved = bytes_before.saturating_sub(bytes);
            let lost = before
                .iter()
                .zip(&after)
                .filter_map(|(b, a)| Some((*a)? - (*b)?));
            // Less than nothing is noise, and no reason to take a table that saves little.
            let lost = lost.fold(0.0, f64::max);
            alone.lost[t] = Some(lost);
            if saved > 0 {
                alone.order.push((lost, saved, t));
            }
        }
        least_harm_first(&mut alone.order);
        Ok(alone)
    }
}

/// The model of the second of two plans, and what it did to that of the first; `losses` are of both.
fn planned<'r>(
    run: &Run<'r>,
    plans: [&Plan; 2],
    alone: &Alone,
    [before, after]: [Vec<Option<f64>>; 2],
) -> Result<Planned<'r>> {
    let models = [plans[0].apply(run)?, plans[1].apply(run)?];
    let names = run.spec.tasks.iter().map(|t| t.name.to_string());
    let lost = before.into_iter().zip(after);
    let table = |t: usize| {
        let both = models.each_ref().map(|m| &m.spec.tables[t]);
        TableBudget {
            name: run.spec.tables[t].name.to_string(),
            bits: both.map(|t| t.bits),
            rows: both.map(|t| t.num_embeddings),
            bytes: models.each_ref().map(|m| m.table_bytes(t)),
            // One limit raises the floors of all tables, those without an id below it too.
            floor: if both[0].num_embeddings == both[1].num_embeddings {
                0
            } else {
                plans[1].floors[t]
            },
            alone: alone.lost.get(t).copied().flatten(),
        }
    };
    let report = Budget {
        max_bytes: None,
        bytes_before: 0,
        tables: (0..run.spec.tables.len()).map(table).collect(),
        losses: names.zip(lost.map(|(a, b)| [a, b])).collect(),
    };
    let [_, model] = models;
    Ok(Planned { model, report })
}

/// Orders tables, each with its loss and the bytes that it saves: those first that lose the least a byte, of equals those
/// that save most.
pub(super) fn least_harm_first(tables: &mut [(f64, usize, usize)]) {
    let harm = |(lost, saved, _): &(f64, usize, usize)| *lost / *saved as f64;
    tables.sort_by(|a, b| {
        let first = harm(a).total_cmp(&harm(b));
        first.then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2))
    });
}

/// Whether ids of a table can lose their rows.
fn can_merge(run: &Run<'_>, t: usize) -> bool {
    let table = &run.spec.tables[t];
    let is_vocabulary = matches!(table.lookup, Lookup::Vocabulary(_));
    is_vocabulary && run.counts[t].len() == table.num_embeddings as usize
}

/// Refuses what no plan reaches.
fn least(run: &mut Run<'_>, described: &Plan, max_bytes: usize, bytes_before: usize) -> Result<()> {
    let tables = 0..described.packed.len();
    let smallest = Plan {
        packed: tables
            .clone()
            .map(|t| described.packed[t] || !run.pinned[t])
            .collect(),
        floors: tables
            .clone()
            .map(|t| if can_merge(run, t) { u32::MAX } else { 0 })
            .collect(),
    };
    let bytes = smallest.bytes(run)?;
    if bytes <= max_bytes {
        return Ok(());
    }
    let (_, lost) = smallest.measure(run, &mut None)?;
    let lost = lost.into_iter().flatten();
    let whole = tables.filter(|t| {
        let is_vocabulary = matches!(run.spec.tables[*t].lookup, Lookup::Vocabulary(_));
        is_vocabulary && !can_merge(run, *t)
    });
    let why = if whole.count() > 0 {
        "; the run does not know how often ids occurred, so no vocabulary was shortened: train again"
    } else {
        ""
    };
    let message = format!(
        "the file is not written: it takes {bytes_before} bytes and max_bytes is {max_bytes}; 4 bits in every table and no id with a row of its own make it {bytes}, for a loss of {:.5} in the worst task{why}",
        lost.fold(0.0, f64::max)
    );
    Err(Error::new(Kind::Refused, message))
}

/// Bytes that a row costs: its values, packed, and a key's share of a bucket.
pub(super) fn row_price(table: &Table<'_>, groups: usize) -> f64 {
    let bytes = usize::from(table.embedding_dim).div_ceil(2) * groups;
    bytes as f64 + 64.0 / 6.5
}

/// The least count above so many training rows a byte, of rows that cost `price` bytes.
pub(super) fn floor_of(limit: f64, price: f64) -> u32 {
    // Rounding must not keep the row that the limit is of.
    let floor = (limit * price * (1.0 + 1e-12)) as u32;
    floor.saturating_add(1)
}

/// Raises the floors of all vocabularies to the least common number of training rows a byte at which the file fits.
fn raise_floors(run: &Run<'_>, plan: &mut Plan, max_bytes: usize) -> Result<()> {
    let price = |t: usize| row_price(&run.spec.tables[t], run.spec.groups());
    let mergeable: Vec<usize> = (0..plan.floors.len())
        .filter(|t| can_merge(run, *t))
        .collect();
    let mut limits: Vec<f64> = mergeable
        .iter()
        .flat_map(|t| {
            let counts = run.counts[*t].iter().skip(1);
            counts.map(|count| f64::from(*count) / price(*t))
        })
        .collect();
    limits.sort_by(f64::total_cmp);
    limits.dedup();
    let at = |limit: f64| {
        let mut plan = plan.clone();
        for t in &mergeable {
            plan.floors[*t] = floor_of(limit, price(*t));
        }
        plan
    };
    let (mut low, mut high) = (0, limits.len().saturating_sub(1));
    while low < high {
        let middle = (low + high) / 2;
        if at(limits[middle]).bytes(run)? <= max_bytes {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if let Some(limit) = limits.get(high) {
        let raised = at(*limit);
        *plan = raised;
    }
    Ok(())
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.5}"));
        match self.max_bytes {
            Some(most) => writeln!(
                f,
                "{} bytes as described, {most} allowed",
                self.bytes_before
            )?,
            None => writeln!(f, "{} bytes as described", self.bytes_before)?,
        }
        writeln!(
            f,
            "{:<24} {:>9} {:>21} {:>23} {:>8} {:>12}",
            "table", "bits", "rows", "bytes", "floor", "alone at 4"
        )?;
        let pair = |a: String, b: String| if a == b { a } else { format!("{a} -> {b}") };
        for t in &self.tables {
            writeln!(
                f,
                "{:<24} {:>9} {:>21} {:>23} {:>8} {:>12}",
                t.name,
                pair(t.bits[0].to_string(), t.bits[1].to_string()),
                pair(t.rows[0].to_string(), t.rows[1].to_string()),
                pair(t.bytes[0].to_string(), t.bytes[1].to_string()),
                if t.floor == 0 {
                    "-".into()
                } else {
                    t.floor.to_string()
                },
                number(t.alone)
            )?;
        }
        let losses = self.losses.iter();
        let losses =
            losses.map(|(name, [a, b])| format!("{name} {} -> {}", number(*a), number(*b)));
        writeln!(
            f,
            "loss on calibration rows: {}\n",
            losses.collect::<Vec<_>>().join(", ")
        )
    }
}
