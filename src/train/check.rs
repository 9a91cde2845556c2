//! What a description meets in its data, counted before anything is trained.
use std::path::Path;
use std::prelude::v1::*;

use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::train::dataset::FeatureData;
use crate::train::description::Description;
use crate::train::error::Result;
use crate::train::fit::{FewUsers, Fit};
use crate::train::log::{self, JoinReport, RawColumn};
use crate::train::{pass, run};

/// Counts of a log under a description.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Rows.
    pub rows: usize,
    /// Requests.
    pub requests: usize,
    /// Users.
    pub users: usize,
    /// Side tables.
    pub joins: Vec<JoinReport>,
    /// By feature.
    pub features: Vec<ColumnReport>,
    /// By task.
    pub tasks: Vec<TaskReport>,
    /// Of tables with `min_users`: ids that are out of the vocabulary for want of users.
    pub few_users: Vec<FewUsers>,
    /// Rows set aside.
    pub quarantined_rows: u64,
    /// The first of them.
    pub quarantined: Vec<String>,
}

/// Counts of one feature: a value a request (side `user`) or a row.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Values.
    pub values: usize,
    /// Values missing (lists: empty).
    pub missing: usize,
    /// Rows of its table.
    pub rows: Option<u32>,
    /// Share of present ids that have row 0.
    pub out_of_vocabulary: Option<f64>,
    /// Least number.
    pub min: Option<f64>,
    /// Mean number.
    pub mean: Option<f64>,
    /// Largest number.
    pub max: Option<f64>,
}

/// Counts of one task over all rows.
#[derive(Clone, Debug, Serialize)]
pub struct TaskReport {
    /// Its name.
    pub name: String,
    /// Rows in its space.
    pub rows: usize,
    /// Of them, labels above 0.
    pub positive: usize,
    /// Mean label in the space.
    pub mean: Option<f64>,
}

/// Reads the data of a description and counts.
///
/// # Errors
/// Everything that training would refuse before its first step.
pub fn check(d: &Description, data: Option<&Path>) -> Result<Report> {
    let raw = log::read(d, data)?;
    let split = pass::split(d, &raw)?;
    let (fit, derived) = Fit::learn(d, &raw, &split.train, None)?;
    let spec = fit.training_spec(d)?;
    let data = pass::encode(d, &fit, &spec, &raw, &derived);
    let tasks = d.toml.task.iter().zip(&data.tasks).map(|(task, t)| {
        let inside = || {
            t.weights
                .iter()
                .zip(&t.labels)
                .filter(|(w, _)| **w > 0.0)
                .map(|(_, y)| f64::from(*y))
        };
        let rows = inside().count();
        TaskReport {
            name: task.name.get_ref().clone(),
            rows,
            positive: inside().filter(|y| *y > 0.0).count(),
            mean: (rows > 0).then(|| inside().sum::<f64>() / rows as f64),
        }
    });
    let features = d.toml.feature.iter().enumerate().map(|(i, f)| {
        let column = if f.kind.is_computed() {
            &derived[i]
        } else {
            &raw.features[i]
        };
        column_report(
            f.name.get_ref(),
            column,
            &data.features[i],
            fit.features[i]
                .table
                .map(|t| fit.tables[usize::from(t)].num_embeddings),
        )
    });
    let report = Report {
        rows: raw.rows(),
        requests: raw.requests(),
        users: raw.user.iter().collect::<FxHashSet<_>>().len(),
        joins: raw.joins.clone(),
        features: features.collect(),
        tasks: tasks.collect(),
        few_users: fit.few_users().to_vec(),
        quarantined_rows: raw.quarantined_rows,
        quarantined: raw.quarantined.clone(),
    };
    run::check_tasks(d, &data, &split.train)?;
    Ok(report)
}

fn column_report(
    name: &str,
    raw: &RawColumn,
    data: &FeatureData,
    rows: Option<u32>,
) -> ColumnReport {
    let mut report = ColumnReport {
        name: name.to_string(),
        values: 0,
        missing: 0,
        rows,
        out_of_vocabulary: None,
        min: None,
        mean: None,
        max: None,
    };
    let (ids, lists) = match data {
        FeatureData::Rows(ids) => (ids.as_slice(), None),
        FeatureData::Lists { offsets, rows, .. } => (rows.as_slice(), Some(offsets)),
        _ => (&[][..], None),
    };
    match raw {
        RawColumn::Numbers(x) => {
            let known = || x.iter().filter(|x| !x.is_nan()).map(|x| f64::from(*x));
            let count = known().count();
            report.values = x.len();
            report.missing = x.len() - count;
            report.min = known().reduce(f64::min);
            report.max = known().reduce(f64::max);
            report.mean = (count > 0).then(|| known().sum::<f64>() / count as f64);
        }
        RawColumn::Ids(raw) => {
            report.values = raw.len();
            report.missing = raw.iter().filter(|id| **id == u64::MAX).count();
        }
        RawColumn::Vectors(bytes) => report.values = bytes.len(),
        _ => report.values = lists.map_or(ids.len(), |offsets| offsets.len() - 1),
    }
    if let Some(offsets) = lists {
        report.missing = offsets.windows(2).filter(|w| w[0] == w[1]).count();
    }
    let present = if lists.is_some() {
        ids.len()
    } else {
        ids.len().saturating_sub(report.missing)
    };
    if present > 0 {
        let zero = ids.iter().filter(|row| **row == 0).count();
        let zero = if lists.is_some() {
            zero
        } else {
            zero.saturating_sub(report.missing)
        };
        report.out_of_vocabulary = Some(zero as f64 / present as f64);
    }
    report
}
