//! Golden models with every kind of head, and with quantiles.
use std::prelude::v1::*;

use super::{Draw, GoldenModel, finish};
use crate::spec::{Calibration, FedValue, Side, Spec, TaskKind};
use crate::train::parameters::Dense;
use crate::train::random::Key;

/// `model` with tasks of other kinds: odds, steps with logits of their own, and steps in order; a task that another is given,
/// or that is the first, keeps its kind.
pub fn with_heads(model: &GoldenModel, seed: u64) -> GoldenModel {
    let draw = Draw(Key::new(seed).at(0x0068_6561_6473));
    let mut spec = model.spec.clone();
    for t in 1..spec.tasks.len() {
        let is_given = spec
            .tasks
            .iter()
            .any(|o| usize::from(o.given.unwrap_or(0)) == t);
        let feeds = |spec: &Spec<'_>| {
            let mut inputs = spec.tasks.iter().flat_map(|o| &o.inputs);
            inputs.any(|fed| usize::from(fed.task) == t)
        };
        if is_given || feeds(&spec) {
            continue;
        }
        let draw = draw.at(t);
        let task = &mut spec.tasks[t];
        let thresholds = draw.at(1).int(1, 9) as u8;
        task.kind = match draw.at(0).int(0, 2) {
            0 => TaskKind::Odds,
            1 if task.inputs.is_empty() || !task.tower_layers.is_empty() => TaskKind::Steps {
                thresholds,
                ordered: false,
            },
            _ => TaskKind::Steps {
                thresholds,
                ordered: true,
            },
        };
        (task.unit, task.calibration) = ("s", Calibration::None);
        task.score_scale = 0.5 + draw.at(2).int(0, 8) as f32 / 8.0;
    }
    without_knots(spec, model, draw)
}

/// `model` with tasks of quantiles, as many as can be, some of which feed others: of the first number of side item or
/// candidate that has buckets, which the model must have.
pub fn with_quantiles(model: &GoldenModel, seed: u64) -> GoldenModel {
    let draw = Draw(Key::new(seed).at(0x7175_616e_7469));
    let mut spec = model.spec.clone();
    let grouping: Vec<usize> = (0..spec.features.len())
        .filter(|i| {
            let side = spec.features[*i].side;
            matches!(side, Side::Item | Side::Candidate) && spec.num_groups(*i as u8) > 0
        })
        .collect();
    for t in 0..spec.tasks.len() {
        let mut others = spec.tasks.iter();
        let is_given = others.any(|o| o.given.is_some_and(|g| usize::from(g) == t));
        let mut fed = spec.tasks.iter().flat_map(|o| &o.inputs);
        let feeds_probability =
            fed.any(|f| usize::from(f.task) == t && f.value == FedValue::Probability);
        if is_given || feeds_probability || grouping.is_empty() {
            continue;
        }
        let draw = draw.at(t);
        let task = &mut spec.tasks[t];
        task.kind = TaskKind::Quantile {
            feature: grouping[draw.at(0).int(0, grouping.len() - 1)] as u8,
            knots: draw.at(1).int(2, 9) as u8,
        };
        (task.unit, task.calibration) = ("s", Calibration::None);
        task.score_scale = 0.5 + draw.at(2).int(0, 8) as f32 / 8.0;
    }
    without_knots(spec, model, draw)
}

/// `spec` with the look-ups of `model`, less the knots of tasks that lost their calibration.
fn without_knots(spec: Spec<'static>, model: &GoldenModel, draw: Draw) -> GoldenModel {
    let mut lookups = model.lookups.clone();
    for (knots, task) in lookups.knots.iter_mut().zip(&spec.tasks) {
        if task.calibration == Calibration::None {
            knots.clear();
        }
    }
    finish(spec, lookups, draw)
}

/// What being above each threshold is worth, 0 among it; the quantiles of each group, some of them equal.
pub(super) fn steps(spec: &Spec<'_>, kind: TaskKind, draw: Draw) -> Dense<f32> {
    let (outputs, inputs) = match kind {
        TaskKind::Steps { thresholds, .. } => (usize::from(thresholds), 1),
        TaskKind::Quantile { feature, knots } => {
            let knots = usize::from(knots);
            let groups = spec.num_groups(feature);
            let mut bias = Vec::with_capacity(groups * knots);
            for group in 0..groups {
                let mut value = 0.0;
                bias.extend((0..knots).map(|k| {
                    value += draw.at(group * knots + k).int(0, 16) as f32 / 4.0;
                    value
                }));
            }
            return Dense {
                outputs: bias.len(),
                inputs: 0,
                weight: Vec::new(),
                bias,
            };
        }
        _ => (0, 0),
    };
    let worth = |m: usize| draw.at(m).int(0, 16) as f32 / 4.0;
    Dense {
        outputs,
        inputs,
        weight: (0..outputs).map(|m| m as f32).collect(),
        bias: (0..outputs).map(worth).collect(),
    }
}
