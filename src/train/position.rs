//! `[position_bias]` of a description: the towers that training adds, and the curves that they learnt.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::spec::{Side, Spec};
use crate::train::dataset::{Dataset, FeatureData};
use crate::train::description::{DefaultValue, Description, Feature, FeatureKind, Named};
use crate::train::error::{Error, Kind, Result};
use crate::train::fit::Fit;
use crate::train::log::{RawColumn, RawLog};
use crate::train::network::bias::Bias;
use crate::train::pass;

/// What a task's position tower learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Task.
    pub task: String,
    /// Names of what it reads.
    pub features: Vec<String>,
    /// Their values (ids as numbers), and the logit.
    pub points: Vec<(Vec<f64>, f32)>,
}

/// What a row has of the features that are known in training alone, in the values of the log.
pub fn values(d: &Description, raw: &RawLog, row: u32) -> Vec<f64> {
    let features = d.toml.feature.iter().zip(&raw.features);
    let value = |(f, column): (&Feature, &RawColumn)| {
        let user = f.side == Some(Side::User);
        let at = if user { raw.request[row as usize] } else { row } as usize;
        match column {
            RawColumn::Ids(ids) => ids[at] as i64 as f64,
            RawColumn::Numbers(x) => f64::from(x[at]),
            _ => f64::NAN,
        }
    };
    features.filter(|(f, _)| f.train_only).map(value).collect()
}

/// The curves of a run: its points, and the [`values`] of each.
pub fn curves(d: &Description, curve: &[(u32, Vec<f32>)], values: &[Vec<f64>]) -> Vec<Curve> {
    let tasks = d.toml.position_bias.iter().flat_map(|b| &b.tasks);
    let features = d.toml.feature.iter().filter(|f| f.train_only);
    let of = |(t, task): (usize, &Named)| Curve {
        task: task.get_ref().clone(),
        features: features.clone().map(|f| f.name.get_ref().clone()).collect(),
        points: curve
            .iter()
            .zip(values)
            .map(|((_, logits), values)| (values.clone(), logits[t]))
            .collect(),
    };
    tasks.enumerate().map(of).collect()
}

/// Adds to `logits` `[rows, tasks]`, served at the reference, what the curves have at each row's own position.
///
/// Values of one logit share a point, which has the first of them, so numbers that no point has take the nearest.
///
/// # Errors
/// [`Kind::Data`] if the run has no curve (no `[position_bias]`), or no point for an id.
pub fn add_shown(
    d: &Description,
    raw: &RawLog,
    curves: &[Curve],
    rows: &[u32],
    logits: &mut [f32],
) -> Result<()> {
    let wrong = |message: String| Err(Error::new(Kind::Data, message));
    if curves.is_empty() {
        return wrong(
            "the run has no position curve; its description needs [position_bias]".into(),
        );
    }
    let mut features = d.toml.feature.iter().filter(|f| f.train_only);
    let numbers = features.all(|f| f.kind == FeatureKind::Number);
    let tasks = d.toml.task.len();
    for curve in curves {
        let Some(task) = d.task(&curve.task) else {
            return wrong(format!(
                "the run has a curve of \"{}\", which is no task",
                curve.task
            ));
        };
        for (row, logits) in rows.iter().zip(logits.chunks_mut(tasks)) {
            let values = values(d, raw, *row);
            let distance = |(at, _): &&(Vec<f64>, f32)| {
                let apart = at.iter().zip(&values).map(|(a, b)| (a - b).abs());
                apart.sum::<f64>()
            };
            let nearest = curve.points.iter();
            let nearest = nearest.min_by(|a, b| distance(a).total_cmp(&distance(b)));
            match nearest {
                Some(point) if numbers || distance(&point) == 0.0 => logits[task] += point.1,
                _ => return wrong(format!("the run's curve has no point at {values:?}")),
            }
        }
    }
    Ok(())
}

/// The towers of `[position_bias]`.
pub fn towers<'s>(d: &Description, fit: &Fit, spec: &'s Spec<'s>) -> Option<Bias<'s>> {
    let described = d.toml.position_bias.as_ref()?;
    let reference = |(i, f): (usize, &Feature)| {
        let value = described.reference.get(f.name.get_ref());
        match value.map(|v| v.get_ref()) {
            Some(DefaultValue::Number(x)) if f.kind == FeatureKind::Number => {
                pass::number(fit, spec, i, *x as f32)
            }
            Some(value) => FeatureData::Rows(vec![fit.id_row(i, value)]),
            None => FeatureData::Rows(Vec::new()),
        }
    };
    let tasks = described.tasks.iter();
    Some(Bias {
        spec,
        tasks: tasks.filter_map(|t| d.task(t.get_ref())).collect(),
        layers: described.layers.iter().map(|w| usize::from(*w)).collect(),
        reference: Dataset {
            features: d.toml.feature.iter().enumerate().map(reference).collect(),
            request: vec![0],
            ..Dataset::default()
        },
    })
}
