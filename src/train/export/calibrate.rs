//! Output biases: the mean score of every task becomes that of the f32 model. Then the calibrations that the description
//! asks for, fitted to the file's own scores.
use std::prelude::v1::*;

use super::compare::f32_score;
use super::{Options, Replayed, Run, file_of, open, replay};
use crate::spec::{Calibration, Spec, TaskKind};
use crate::train::calibration;
use crate::train::description::CalibrationKind;
use crate::train::error::{Error, Kind, Result};
use crate::train::evaluate::duration_score;
use crate::train::parameters::Parameters;
use crate::train::quantize::Lookups;

/// Means agree when their ratio is this close to 1.
const TOLERANCE: f64 = 1e-5;
/// Rounds of measuring and correcting. Scores are recovered to logits in f64, so the second round only confirms;
/// durations whose logit is below 0 all score 0 and need more.
const ROUNDS: usize = 4;

/// A calibrated file.
pub(super) struct Calibrated {
    pub bytes: Vec<u8>,
    /// By task: what was added to the head's bias.
    pub corrections: Vec<f64>,
    pub rows: Vec<u32>,
    /// By task: from logit to score, if it is calibrated.
    pub maps: Vec<Option<calibration::Calibration>>,
}

/// Σ label / Σ (exp(logit) - 1), weighted, over rows with a weight: the `score_scale` that makes the mean score of a
/// duration its mean label (Duan, "Smearing Estimate", JASA 1983, as one factor). `None` without rows or scores.
pub fn retransformation(logits: &[f32], labels: &[f32], weights: &[f32]) -> Option<f64> {
    let (mut label_sum, mut score_sum) = (0.0, 0.0);
    for ((logit, label), weight) in logits.iter().zip(labels).zip(weights) {
        if *weight > 0.0 {
            label_sum += f64::from(*weight) * f64::from(*label);
            score_sum += f64::from(*weight) * duration_score(f64::from(*logit).min(20.0), 1.0);
        }
    }
    let factor = label_sum / score_sum;
    (1e-6..=1e6).contains(&factor).then_some(factor)
}

pub(super) fn calibrate(run: &mut Run<'_>, options: &Options) -> Result<Calibrated> {
    let mut spec: Box<Spec<'_>> = Box::new(run.spec.clone());
    let mut parameters = run.parameters.clone();
    let mut lookups = run.lookups.clone();
    let (corrections, mut bytes, replayed) =
        correct(run, options, &mut spec, &mut parameters, &lookups)?;
    let tasks = spec.tasks.len();
    let mut maps = vec![None; tasks];
    lookups.knots = vec![Vec::new(); tasks];
    for (t, map) in maps.iter_mut().enumerate() {
        let kind = options.calibrations.get(t).copied().unwrap_or_default();
        let values = |values: &[f32]| -> Vec<f64> {
            let rows = replayed.rows.iter();
            rows.map(|row| values[*row as usize].into()).collect()
        };
        let scores = replayed.scores.iter().skip(t).step_by(tasks);
        let logits: Vec<f64> = scores.map(|p| logit(f64::from(*p))).collect();
        let data = &run.tasks[t];
        let (labels, weights) = (values(&data.labels), values(&data.weights));
        let fitted = match kind {
            CalibrationKind::None => continue,
            CalibrationKind::Platt => calibration::platt(&logits, &labels, &weights),
            CalibrationKind::Temperature => calibration::temperature(&logits, &labels, &weights),
            CalibrationKind::Isotonic => calibration::isotonic(&logits, &labels, &weights),
        };
        let fitted = fitted.map_err(|why| {
            let name = spec.tasks[t].name;
            let message = format!("task \"{name}\" cannot be calibrated: {why}");
            Error::new(Kind::Data, message)
        })?;
        (spec.tasks[t].calibration, lookups.knots[t]) = device_form(&fitted);
        *map = Some(fitted);
    }
    if maps.iter().any(Option::is_some) {
        bytes = file_of(&lookups, &spec, &parameters)?;
    }
    Ok(Calibrated {
        bytes,
        corrections,
        rows: replayed.rows,
        maps,
    })
}

/// The logit of a score; of 0 and 1 those that are as far as f32 scores go.
fn logit(score: f64) -> f64 {
    (libm::log(score) - libm::log1p(-score)).clamp(-30.0, 30.0)
}

/// A fitted calibration as the file holds it, and its knots.
fn device_form(fitted: &calibration::Calibration) -> (Calibration, Vec<f32>) {
    match fitted {
        calibration::Calibration::Linear { scale, bias } => {
            let scale = scale.clamp(1e-3, 1e3) as f32;
            let offset = bias.clamp(-1e3, 1e3) as f32;
            // The file holds no subnormal numbers.
            let offset = if offset.is_normal() { offset } else { 0.0 };
            (Calibration::Platt { scale, offset }, Vec::new())
        }
        calibration::Calibration::Isotonic {
            logits,
            probabilities,
        } => {
            let (mut x, mut y): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
            for (z, p) in logits.iter().zip(probabilities) {
                let z = if z.abs() < 1e-30 { 0.0 } else { *z as f32 };
                // Knots that the file's logits cannot tell apart are one.
                if x.last().is_none_or(|last| z - last >= 1e-5) {
                    x.push(z);
                    y.push(*p as f32);
                }
            }
            let knots = x.len() as u8;
            x.append(&mut y);
            (Calibration::Isotonic { knots }, x)
        }
    }
}

/// Changes biases and score scales until the means agree: what was added by task, the file and its replay.
fn correct(
    run: &mut Run<'_>,
    options: &Options,
    spec: &mut Spec<'_>,
    parameters: &mut Parameters<f32>,
    lookups: &Lookups,
) -> Result<(Vec<f64>, Vec<u8>, Replayed)> {
    let tasks = spec.tasks.len();
    let mut corrections = vec![0.0; tasks];
    let mut logits: Option<Vec<f32>> = None;
    for round in 0.. {
        let bytes = file_of(lookups, spec, parameters)?;
        let replayed = {
            let model = open(&bytes)?;
            replay(&model, run.calibration)?
        };
        if round == ROUNDS {
            return Ok((corrections, bytes, replayed));
        }
        let rows = &replayed.rows;
        let logits = logits.get_or_insert_with(|| (run.logits)(rows));
        let column = |values: &[f32], t: usize| -> Vec<f32> {
            values.iter().skip(t).step_by(tasks).copied().collect()
        };
        let of_rows =
            |values: &[f32]| -> Vec<f32> { rows.iter().map(|row| values[*row as usize]).collect() };
        let mut done = true;
        for (t, corrected) in corrections.iter_mut().enumerate() {
            // An order has no mean to be right about.
            if run.tasks[t].ranks {
                continue;
            }
            let weights = of_rows(&run.tasks[t].weights);
            let logits = column(logits, t);
            let mut scores = column(&replayed.scores, t);
            let kind = spec.tasks[t].kind;
            if round == 0 && options.mean_durations && !kind.is_binary() {
                let labels = of_rows(&run.tasks[t].labels);
                if let Some(factor) = retransformation(&logits, &labels, &weights) {
                    let factor = factor as f32;
                    let old = core::mem::replace(&mut spec.tasks[t].score_scale, factor);
                    scores.iter_mut().for_each(|s| *s *= factor / old);
                    done = false;
                }
            }
            let scale = f64::from(spec.tasks[t].score_scale);
            let target = logits.iter().map(|z| f32_score(kind, scale, *z));
            let step = correction(kind, scale, &scores, &target.collect::<Vec<_>>(), &weights);
            if let Some(step) = step {
                *corrected += step;
                done = false;
                if let TaskKind::Steps { .. } | TaskKind::Quantile { .. } = kind {
                    // Of several logits, and of quantiles, none moves the mean by a known factor; what they are worth does.
                    let given = run.parameters.steps[t].bias.iter();
                    let scaled = given.map(|s| (f64::from(*s) * libm::exp(*corrected)) as f32);
                    parameters.steps[t].bias = scaled.collect();
                    continue;
                }
                let bias = &mut parameters.heads[t].bias[0];
                *bias = (f64::from(run.parameters.heads[t].bias[0]) + *corrected) as f32;
            }
        }
        if done {
            return Ok((corrections, bytes, replayed));
        }
    }
    unreachable!("the loop ends by its last round")
}

/// What to add to the logits behind `scores` so that their weighted mean becomes that of `target`; `None` if it is
/// close enough, or there is nothing to measure.
fn correction(
    kind: TaskKind,
    scale: f64,
    scores: &[f32],
    target: &[f64],
    weights: &[f32],
) -> Option<f64> {
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    let mean = |score: &dyn Fn(usize) -> f64| {
        let weighted = weights.iter().enumerate().filter(|(_, w)| **w > 0.0);
        weighted.map(|(i, w)| f64::from(*w) * score(i)).sum::<f64>() / total
    };
    let want = mean(&|i| target[i]);
    let have = mean(&|i| f64::from(scores[i]));
    let off = (have / want - 1.0).abs();
    if !(total > 0.0 && want > 0.0 && have > 0.0) || off < TOLERANCE || !off.is_finite() {
        return None;
    }
    let shifted = |i: usize, step: f64| {
        let score = f64::from(scores[i]);
        match kind {
            // odds x e^step
            TaskKind::Binary => {
                let odds = score * libm::exp(step);
                odds / (odds + 1.0 - score)
            }
            TaskKind::Duration if score > 0.0 => {
                (libm::exp(step) * (score + scale) - scale).max(0.0)
            }
            TaskKind::Duration => 0.0,
            TaskKind::Odds | TaskKind::Steps { .. } | TaskKind::Quantile { .. } => {
                libm::exp(step) * score
            }
        }
    };
    let (mut low, mut high) = (-4.0, 4.0);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if mean(&|i| shifted(i, middle)) < want {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some((low + high) / 2.0)
}
