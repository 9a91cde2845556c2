//! Golden models with every kind of head.
use std::prelude::v1::*;

use super::{Draw, GoldenModel, finish};
use crate::spec::{Calibration, Spec, TaskKind};
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
    let mut lookups = model.lookups.clone();
    for (knots, task) in lookups.knots.iter_mut().zip(&spec.tasks) {
        if task.calibration == Calibration::None {
            knots.clear();
        }
    }
    finish(spec, lookups, draw)
}

/// What being above each threshold is worth, 0 among it.
pub(super) fn steps(kind: TaskKind, draw: Draw) -> Dense<f32> {
    let (outputs, inputs) = match kind {
        TaskKind::Steps { thresholds, .. } => (usize::from(thresholds), 1),
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
