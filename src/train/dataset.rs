//! The log in memory after the feature pass: rows of tables, numbers and labels, ready for batches.
use std::borrow::Cow;
use std::io;
use std::prelude::v1::*;

use crate::spec::TaskKind;
use crate::train::initialize::{Prior, prior_logit};
use crate::train::loss::{Start, Steps};
use crate::train::store::Store;

/// A log. Data of `user` features are stored once a request, everything else once a row (an impression); rows of one
/// request are consecutive.
#[derive(Debug, Default)]
pub struct Dataset {
    /// By feature index of the spec.
    pub features: Vec<FeatureData>,
    /// Request of each row, never decreasing.
    pub request: Vec<u32>,
    /// Time of each request, Unix seconds.
    pub time: Vec<i64>,
    /// By task index of the spec.
    pub tasks: Vec<TaskData>,
    /// Group of each row for GAUC.
    pub gauc_group: Vec<u32>,
    /// Line of the log that each row came from, counted from 1 with the header as line 1.
    pub line: Vec<u64>,
}

impl Dataset {
    /// Row of the bucket table that `row` has of a bucketed number; 0, that of missing ones, of any other feature.
    pub(crate) fn bucket(&self, feature: usize, row: usize) -> u32 {
        match self.features.get(feature) {
            Some(FeatureData::Numbers { buckets, .. }) => buckets.get(row).copied().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Values of one feature.
#[derive(Debug)]
pub enum FeatureData {
    /// Rows of the feature's table.
    Rows(Vec<u32>),
    /// Lists of rows: list `i` is `rows[offsets[i]..offsets[i + 1]]`.
    Lists {
        /// Number of lists + 1.
        offsets: Vec<u32>,
        /// All lists, one after the other, each cut to the feature's `max_len`.
        rows: Vec<u32>,
        /// Weights in Q15 (32768 is 1), if the feature has them.
        weights: Option<Vec<u16>>,
    },
    /// A number.
    Numbers {
        /// In network units: after the transform. Empty if the value is no input.
        values: Vec<f32>,
        /// Rows of the bucket table. Empty if it has none.
        buckets: Vec<u32>,
    },
    /// `dim` bytes a value, on the feature's grid.
    Vectors(Vec<u8>),
}

/// Labels of one task.
#[derive(Debug, Default)]
pub struct TaskData {
    /// Binary: 0 or 1. Duration: the raw value (seconds). Ranking: the utility, at least 0. 0 where the weight is 0.
    pub labels: Vec<f32>,
    /// Weight of the row in the task's loss; 0 outside its sample space.
    pub weights: Vec<f32>,
    /// Labels are utilities, whose order within a request is all that the task learns and is measured by.
    pub ranks: bool,
    /// What a teacher says of each row: its logit, or ln(1 + value) of a duration; NaN for rows without one. Empty: no teacher.
    pub teacher: Vec<f32>,
}

/// Which rows do what. Lists of row indices in log order; whole requests stay together.
#[derive(Debug, Default)]
pub struct Split {
    /// Rows that gradients come from.
    pub train: Vec<u32>,
    /// Rows held out of training for early stopping; may be empty, or equal `validation`.
    pub stop: Vec<u32>,
    /// Rows that are reported on.
    pub validation: Vec<u32>,
}

/// Where the rows of a log are.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// All of them in memory.
    Memory(&'a Dataset),
    /// In a file, from which batches are read.
    Stored(&'a Store),
}

/// Rows to train on, in memory or not.
pub trait Rows: core::fmt::Debug + Sync {
    /// Which.
    fn place(&self) -> Place<'_>;
}

impl Rows for Dataset {
    fn place(&self) -> Place<'_> {
        Place::Memory(self)
    }
}

impl Rows for Store {
    fn place(&self) -> Place<'_> {
        Place::Stored(self)
    }
}

impl dyn Rows + '_ {
    /// Those of `rows` that have a weight in some task.
    pub(crate) fn in_a_space<'r>(&self, rows: &'r [u32]) -> Cow<'r, [u32]> {
        match self.place() {
            Place::Memory(data) => {
                let used = |r: &&u32| data.tasks.iter().any(|t| t.weights[**r as usize] > 0.0);
                rows.iter().filter(used).copied().collect()
            }
            // It names no others.
            Place::Stored(_) => Cow::Borrowed(rows),
        }
    }

    /// The logit of a model that knows nothing but the labels of the training rows `rows`.
    pub(crate) fn prior_logit(&self, kind: TaskKind, task: usize, rows: &[u32]) -> f64 {
        match self.place() {
            Place::Memory(data) => prior_logit(kind, data, task, rows),
            Place::Stored(store) => store.priors.get(task).copied().unwrap_or(0.0),
        }
    }

    /// Where a task of several logits begins, by the labels of the training rows `rows`.
    pub(crate) fn start(&self, options: &Steps, logits: usize, task: usize, rows: &[u32]) -> Start {
        match self.place() {
            Place::Memory(data) => {
                let mut prior = Prior::default();
                let kind = TaskKind::Steps {
                    thresholds: 0,
                    ordered: false,
                };
                prior.add(kind, data, task, rows);
                prior.start(options, logits)
            }
            Place::Stored(store) => store.starts.get(task).cloned().unwrap_or_default(),
        }
    }

    /// Where a task of quantiles within groups, `tables` numbers in all, begins, by the labels of the training rows `rows`.
    pub(crate) fn quantiles(
        &self,
        kind: TaskKind,
        tables: usize,
        task: usize,
        rows: &[u32],
    ) -> Start {
        match self.place() {
            Place::Memory(data) => {
                let mut prior = Prior::default();
                prior.add(kind, data, task, rows);
                prior.quantiles(kind, tables)
            }
            Place::Stored(store) => store.starts.get(task).cloned().unwrap_or_default(),
        }
    }

    /// The rows of a batch: themselves and their places among them.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn batch(&self, rows: &[u32]) -> io::Result<Option<(Dataset, Vec<u32>)>> {
        match self.place() {
            Place::Memory(_) => Ok(None),
            Place::Stored(store) => {
                let data = store.load(rows)?;
                Ok(Some((data, (0..rows.len() as u32).collect())))
            }
        }
    }

    /// What `see` makes of the data set that holds `rows`, and of their places in it.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn with<T>(
        &self,
        rows: &[u32],
        see: impl FnOnce(&Dataset, &[u32]) -> T,
    ) -> io::Result<T> {
        match (self.place(), self.batch(rows)?) {
            (Place::Memory(data), _) => Ok(see(data, rows)),
            (Place::Stored(_), Some((data, places))) => Ok(see(&data, &places)),
            (Place::Stored(_), None) => Ok(see(&Dataset::default(), &[])),
        }
    }

    /// The request of each of `rows`.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn requests(&self, rows: &[u32]) -> io::Result<Vec<u32>> {
        let mut requests = Vec::with_capacity(rows.len());
        let mut each = |request: u32| requests.push(request);
        match self.place() {
            Place::Memory(data) => rows.iter().for_each(|r| each(data.request[*r as usize])),
            Place::Stored(store) => store.requests(rows, &mut each)?,
        }
        Ok(requests)
    }

    /// For each of `rows`, which never decrease, whether it begins a request that none before it is of.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn begins_request(&self, rows: &[u32]) -> io::Result<Vec<bool>> {
        let mut last = None;
        let requests = self.requests(rows)?.into_iter();
        let begins = requests.map(|request| last.replace(request) != Some(request));
        Ok(begins.collect())
    }
}
