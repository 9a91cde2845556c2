//! What features learn from the training rows: vocabularies, transforms, bucket boundaries, grids, priors.
//!
//! A fit and a description together are a [`Spec`](crate::spec::Spec); a run keeps both, so that later rows are read exactly as the
//! training rows were.
use std::prelude::v1::*;

mod given;
mod keys;
mod learn;
mod number;
mod saved;
mod spec;
mod tables;
#[cfg(test)]
mod tests;
mod values;

use serde::{Deserialize, Serialize};

use crate::spec::{Lookup, NumberGrid, Pooling, Table, Transform};
use crate::train::description::{DefaultValue, Description, Feature as Described};
#[cfg(doc)]
use crate::train::error::Kind;
use crate::train::error::Result;
use crate::train::log::{RawColumn, RawLog};
use crate::train::pass;
pub use given::{Given, GivenNumber};
pub use keys::FewUsers;
pub use learn::Learner;
pub(crate) use number::steps as number_steps;
pub(crate) use tables::vocabulary_tables;

/// Version of the saved form.
const VERSION: u32 = 1;

/// Everything learned from the training rows but the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    version: u32,
    /// By table of the spec.
    pub tables: Vec<FittedTable>,
    /// By feature of the description.
    pub features: Vec<FittedFeature>,
    /// By name of a table with a vocabulary: how often the training part had the id of each row; of row 0, ids outside
    /// the vocabulary. A file beside the fit, which older runs do not have.
    #[serde(skip)]
    counts: Vec<(String, Vec<u32>)>,
    /// Of tables that ask for users: what was left out for want of them. Known to who learned the fit.
    #[serde(skip)]
    few_users: Vec<FewUsers>,
}

/// A table's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedTable {
    /// Its name.
    pub name: String,
    /// Rows.
    pub num_embeddings: u32,
    /// Values of a row.
    pub embedding_dim: u16,
    /// How ids find rows.
    pub lookup: Lookup,
    /// Bytes of its vocabulary; empty without one.
    pub vocabulary: Vec<u8>,
}

/// A feature's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedFeature {
    /// Table of its rows or buckets.
    pub table: Option<u8>,
    /// Row of a missing id.
    pub default_row: u32,
    /// Raw value to network value.
    pub transform: Transform,
    /// Raw value of a missing number.
    pub default: f32,
    /// Grid of the value, if it is an input.
    pub value: Option<NumberGrid>,
    /// Bucket boundaries.
    pub boundaries: Vec<f32>,
    /// Of a rate.
    pub prior: f32,
    /// Of a pooled sum.
    pub divisor: u16,
}

const IDENTITY: Transform = Transform {
    low: -3.0e38,
    high: 3.0e38,
    log1p: false,
    shift: 0.0,
    scale: 1.0,
};

impl Fit {
    /// Learns from the rows `train` of `raw`, and returns the raw columns of derived features with it. `previous` is an
    /// earlier fit to start from: its transforms stay, its vocabularies may grow.
    ///
    /// # Errors
    /// [`Kind::Description`] for what only the data shows: a label without a mean, a spec over the format's limits.
    pub fn learn(
        d: &Description,
        raw: &RawLog,
        train: &[u32],
        previous: Option<&Fit>,
    ) -> Result<(Self, Vec<RawColumn>)> {
        let mut learner = Learner::new(d, previous, None);
        learner.columns(raw, train)?;
        learner.end_columns()?;
        learner.crosses(raw, train);
        learner.end_keys()?;
        // Derived numbers need the states, which need only the sources and the number features' boundaries.
        let derived = {
            let spec = learner.fit.spec(d)?;
            pass::derive(d, &learner.fit, &spec, raw)?
        };
        learner.derived(&derived, raw, train)?;
        Ok((learner.end()?, derived))
    }

    fn new(d: &Description, previous: Option<&Fit>) -> Self {
        let unlearned = |(i, f): (usize, &Described)| FittedFeature {
            table: None,
            default_row: 0,
            transform: IDENTITY,
            default: 0.0,
            value: None,
            boundaries: Vec::new(),
            prior: match (f.prior, previous.and_then(|p| p.features.get(i))) {
                (None, Some(previous)) if f.label.is_some() => previous.prior,
                (prior, _) => prior.unwrap_or(0.0),
            },
            divisor: match f.pooling {
                Some(Pooling::Sum) => f.max_len.unwrap_or(50).max(1),
                _ => 1,
            },
        };
        Self {
            version: VERSION,
            tables: Vec::new(),
            counts: Vec::new(),
            few_users: Vec::new(),
            features: d.toml.feature.iter().enumerate().map(unlearned).collect(),
        }
    }

    /// How often the training part had the id of each row of a vocabulary (of row 0: ids outside it); `None` for other
    /// tables, and if the run did not keep it.
    pub fn counts(&self, table: &str) -> Option<&[u32]> {
        let mut counts = self.counts.iter();
        let counts = counts.find(|(name, _)| name == table);
        counts.map(|(_, counts)| counts.as_slice())
    }

    /// Of tables with `min_users`: what was left out for want of users. Empty of a fit that was loaded.
    pub fn few_users(&self) -> &[FewUsers] {
        &self.few_users
    }

    /// Row of an id of a feature; that of a missing one if `id` is none.
    pub fn id_row(&self, feature: usize, id: &DefaultValue) -> u32 {
        let fitted = &self.features[feature];
        let key = match id {
            DefaultValue::Number(x) => crate::features::hash_int(*x as i64 as u64),
            DefaultValue::Text(t) => crate::features::hash_text(t.as_bytes()),
        };
        let table = fitted.table.unwrap_or(0);
        self.row(table, Some(key), fitted.default_row).0
    }

    /// Row of a key in a table, as the device finds it.
    pub fn row(&self, table: u8, key: Option<u64>, default_row: u32) -> (u32, bool) {
        let t = &self.tables[usize::from(table)];
        crate::features::table_row(&t.view(), t.open().as_ref(), key, default_row)
    }

    /// Little-endian bytes of a feature's boundaries.
    pub fn boundaries(&self, feature: usize) -> Vec<u8> {
        self.features[feature]
            .boundaries
            .iter()
            .flat_map(|b| b.to_le_bytes())
            .collect()
    }

    /// For a warm start: by table, the old row of each new row; `u32::MAX` where there is none.
    pub fn row_mapping(&self, previous: &Fit) -> Vec<Vec<u32>> {
        let map = |new: &FittedTable| {
            let Some(old) = previous
                .tables
                .iter()
                .find(|t| t.name == new.name && t.embedding_dim == new.embedding_dim)
            else {
                return vec![u32::MAX; new.num_embeddings as usize];
            };
            let mut rows: Vec<u32> = (0..new.num_embeddings)
                .map(|r| if r < old.num_embeddings { r } else { u32::MAX })
                .collect();
            if let (Some(new), Some(old)) = (new.open(), old.open()) {
                for (key, row) in new.rows() {
                    rows[row as usize] = old.position(key).map_or(u32::MAX, |p| p + 1);
                }
            }
            rows
        };
        self.tables.iter().map(map).collect()
    }
}

impl FittedTable {
    /// The table as the spec has it.
    pub fn view(&self) -> Table<'_> {
        let Self {
            name,
            num_embeddings,
            embedding_dim,
            lookup,
            ..
        } = self;
        Table {
            name,
            num_embeddings: *num_embeddings,
            embedding_dim: *embedding_dim,
            // The exporter packs what it is to pack.
            bits: Table::WHOLE,
            lookup: *lookup,
        }
    }

    /// Its vocabulary, if it has one.
    pub fn open(&self) -> Option<crate::features::Vocabulary<'_>> {
        matches!(self.lookup, Lookup::Vocabulary(_))
            .then(|| {
                crate::features::Vocabulary::check(&self.vocabulary, self.num_embeddings - 1).ok()
            })
            .flatten()
    }
}
