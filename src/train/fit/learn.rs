//! Learning a fit from a log that comes in chunks: numbers and label means first, then the keys of crosses, which count the
//! buckets of their parts, then derived numbers.
//!
//! A log in one piece goes the same way, so that both give the same fit to the bit: sums are taken in row order, and a
//! number's statistics from all its values, which wait in memory or in files without a name.
use std::path::{Path, PathBuf};
use std::prelude::v1::*;

use super::Fit;
use super::keys::Keys;
use super::number::{kept_label, learn_number};
use super::values::Values;
use crate::spec::Side;
use crate::train::description::{
    Description, Feature as Described, FeatureKind, VocabularyOptions,
};
use crate::train::error::{Error, Result};
use crate::train::log::{RawColumn, RawLog};

/// A table as the description has it.
pub(super) struct Declared {
    pub name: String,
    pub dim: u16,
    pub vocabulary: Option<VocabularyOptions>,
    pub hash: Option<u32>,
}

/// Declared tables, then those that features declare.
pub(super) fn declared(d: &Description) -> Vec<Declared> {
    let tables = d.toml.table.iter().map(|t| Declared {
        name: t.name.get_ref().clone(),
        dim: t.dim,
        vocabulary: t.vocabulary,
        hash: t.hash,
    });
    let own = d.toml.feature.iter();
    let own = own.filter(|f| f.vocabulary.is_some() || f.hash.is_some());
    let own = own.map(|f| Declared {
        name: f.table().to_string(),
        dim: f.dim.unwrap_or(1),
        vocabulary: f.vocabulary,
        hash: f.hash,
    });
    tables.chain(own).collect()
}

/// A fit in the making.
pub struct Learner<'l> {
    d: &'l Description,
    previous: Option<&'l Fit>,
    /// Where columns wait; `None`: in memory.
    folder: Option<PathBuf>,
    /// What is known so far.
    pub(super) fit: Fit,
    /// By label: sum and number of its known values.
    means: Vec<(f64, u64)>,
    /// By feature.
    numbers: Vec<Values>,
    tables: Vec<Declared>,
    /// By table.
    counts: Vec<Keys>,
}

impl<'l> Learner<'l> {
    /// Has seen nothing yet. Columns wait in `folder`, or in memory.
    pub fn new(d: &'l Description, previous: Option<&'l Fit>, folder: Option<&Path>) -> Self {
        let tables = declared(d);
        Self {
            d,
            previous,
            folder: folder.map(Path::to_path_buf),
            fit: Fit::new(d, previous),
            means: vec![(0.0, 0); d.toml.label.len()],
            numbers: d.toml.feature.iter().map(|_| Values::default()).collect(),
            counts: tables.iter().map(|t| Keys::new(t.vocabulary)).collect(),
            tables,
        }
    }

    /// The fit, as far as it is known.
    pub fn fit(&self) -> &Fit {
        &self.fit
    }

    fn learned_before(&self, feature: usize) -> bool {
        self.previous.is_some_and(|p| p.features.len() > feature)
    }

    /// The next rows of the log, of which features learn from `train`.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::train::error::Kind::Io).
    pub fn columns(&mut self, raw: &RawLog, train: &[u32]) -> Result<()> {
        for (label, (sum, count)) in self.means.iter_mut().enumerate() {
            let log1p = self.d.toml.label[label].log1p;
            for row in train {
                let x = raw.labels[label].values[*row as usize];
                if !x.is_nan() {
                    *sum += kept_label(x, log1p);
                    *count += 1;
                }
            }
        }
        let requests = requests_of(raw, train);
        for (i, f) in self.d.toml.feature.iter().enumerate() {
            if let (FeatureKind::Number, RawColumn::Numbers(values)) = (f.kind, &raw.features[i]) {
                let of = if f.side == Some(Side::User) {
                    &requests
                } else {
                    train
                };
                self.keep(i, values, of)?;
            }
        }
        self.count(raw, train, &requests, &|f| f.kind != FeatureKind::Cross);
        Ok(())
    }

    fn keep(&mut self, feature: usize, values: &[f32], of: &[u32]) -> Result<()> {
        if self.learned_before(feature) {
            return Ok(());
        }
        let picked = of.iter().map(|i| values[*i as usize]);
        let folder = self.folder.as_deref();
        let kept = self.numbers[feature].extend(picked, folder);
        kept.map_err(|e| self.failed(&e))
    }

    fn failed(&self, e: &std::io::Error) -> Error {
        Error::io(self.folder.as_deref().unwrap_or(Path::new("")), e)
    }

    fn count(
        &mut self,
        raw: &RawLog,
        train: &[u32],
        requests: &[u32],
        counted: &dyn Fn(&Described) -> bool,
    ) {
        for (table, counts) in self.tables.iter().zip(&mut self.counts) {
            if table.vocabulary.is_none() {
                continue;
            }
            for (i, f) in self.d.toml.feature.iter().enumerate() {
                if f.table() == table.name && counted(f) {
                    self.fit.count_keys(self.d, raw, i, train, requests, counts);
                }
            }
        }
    }

    fn learn(&mut self, feature: usize) -> Result<()> {
        let values = core::mem::take(&mut self.numbers[feature]);
        let before = self.previous.and_then(|p| p.features.get(feature));
        let f = &self.d.toml.feature[feature];
        let (fitted, folder) = (&mut self.fit.features[feature], self.folder.as_deref());
        learn_number(f, fitted, values, before, folder).map_err(|e| self.failed(&e))
    }

    /// After the last [`columns`](Self::columns).
    ///
    /// # Errors
    /// [`Kind::Io`](crate::train::error::Kind::Io).
    pub fn end_columns(&mut self) -> Result<()> {
        let d = self.d;
        for (i, f) in d.toml.feature.iter().enumerate() {
            if let (None, Some(label), false) = (f.prior, &f.label, self.learned_before(i)) {
                let label = d.label(label.get_ref()).unwrap_or(0);
                let (sum, count) = self.means[label];
                self.fit.features[i].prior = (sum / count.max(1) as f64) as f32;
            }
            if f.kind == FeatureKind::Number {
                self.learn(i)?;
            }
        }
        Ok(())
    }

    /// Whether [`crosses`](Self::crosses) would count anything.
    pub fn counts_crosses(&self) -> bool {
        let crosses = self.d.toml.feature.iter();
        let mut crosses = crosses.filter(|f| f.kind == FeatureKind::Cross);
        crosses.any(|f| {
            let mut tables = self.tables.iter().filter(|t| t.vocabulary.is_some());
            tables.any(|t| t.name == f.table())
        })
    }

    /// The rows of [`columns`](Self::columns) once more, for keys that need what they taught.
    pub fn crosses(&mut self, raw: &RawLog, train: &[u32]) {
        let requests = requests_of(raw, train);
        self.count(raw, train, &requests, &|f| f.kind == FeatureKind::Cross);
    }

    /// After the last [`crosses`](Self::crosses): tables. Now there is a [`Fit::training_spec`], if not its last.
    ///
    /// # Errors
    /// [`Kind::Description`](crate::train::error::Kind::Description).
    pub fn end_keys(&mut self) -> Result<()> {
        let (d, fit) = (self.d, &mut self.fit);
        for (table, counts) in self.tables.iter().zip(&mut self.counts) {
            fit.push_table(d, table, core::mem::take(counts), self.previous);
        }
        fit.give_tables(d)
    }

    /// Derived columns of the next rows.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::train::error::Kind::Io).
    pub fn derived(&mut self, derived: &[RawColumn], raw: &RawLog, train: &[u32]) -> Result<()> {
        let requests = requests_of(raw, train);
        for (i, f) in self.d.toml.feature.iter().enumerate() {
            if let (true, RawColumn::Numbers(values)) = (f.kind.is_computed(), &derived[i]) {
                let by_row = self.d.side(f) != Side::User;
                self.keep(i, values, if by_row { train } else { &requests })?;
            }
        }
        Ok(())
    }

    /// After the last [`derived`](Self::derived).
    ///
    /// # Errors
    /// Those of [`Fit::learn`].
    pub fn end(mut self) -> Result<Fit> {
        let d = self.d;
        for (i, f) in d.toml.feature.iter().enumerate() {
            if f.kind.is_computed() && f.kind != FeatureKind::LastIds {
                self.learn(i)?;
            }
        }
        self.fit.give_placeholder_tables(d);
        self.fit.training_spec(d)?;
        Ok(self.fit)
    }
}

/// Requests of rows, each once.
fn requests_of(raw: &RawLog, rows: &[u32]) -> Vec<u32> {
    let mut requests: Vec<u32> = rows.iter().map(|r| raw.request[*r as usize]).collect();
    requests.dedup();
    requests
}
