//! The loss of a quantity by whether it is above each of some thresholds.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::spec::limits;
use crate::train::loss::{bce, huber, sigmoid};
use crate::train::real::Real;

/// What a task of several logits learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // One a task.
pub enum Steps {
    /// CREAD (Sun et al., AAAI 2024): a classifier a threshold, the first for values above 0, the others at quantiles of
    /// the training labels. The quantity is the sum of each probability x what being above its threshold is worth: the mean
    /// of what labels above it have up to the next one.
    Restored {
        /// Threshold m of n lies at quantile (1 - e^(-a m / n)) / (1 - e^-a): with a = 0 bins have equally many labels, the
        /// greater a the finer are large values.
        alpha: f64,
        /// Factor on Huber's loss of what is restored, in units of the middle threshold.
        restoration: f64,
        /// Factor on how far a probability lies above the one before.
        ordering: f64,
    },
    /// Levels that a label reaches one after the other (proportional odds; McCullagh, JRSS B 1980).
    Ordinal {
        /// Increasing; as many as the task has logits.
        levels: [f32; limits::LOGITS],
        /// What reaching each is worth: its distance from the one before for the mean, or 1 at one of them alone for the
        /// probability of that one.
        worth: [f32; limits::LOGITS],
    },
}

/// A row's loss and its derivative by each logit, in `d`: the mean over thresholds of the cross entropies, then for CREAD the
/// two losses of [`Steps::Restored`].
pub fn steps_loss<R: Real>(
    options: &Steps,
    delta: R,
    (thresholds, worth): (&[R], &[R]),
    logits: &[R],
    label: R,
    d: &mut [R],
) -> R {
    let share = R::from_f64(1.0 / logits.len().max(1) as f64);
    let mut loss = R::ZERO;
    for ((z, d), threshold) in logits.iter().zip(&mut *d).zip(thresholds) {
        let above = match options {
            Steps::Restored { .. } => label > *threshold,
            Steps::Ordinal { .. } => label >= *threshold,
        };
        let (l, slope) = bce(*z, if above { R::ONE } else { R::ZERO });
        loss += share * l;
        *d = share * slope;
    }
    let Steps::Restored {
        restoration,
        ordering,
        ..
    } = options
    else {
        return loss;
    };
    let (restoration, ordering) = (R::from_f64(*restoration), R::from_f64(*ordering));
    let middle = thresholds.get(thresholds.len() / 2);
    let unit = match middle {
        Some(t) if *t > R::ZERO => R::ONE / *t,
        _ => R::ONE,
    };
    let together = worth.iter().zip(logits);
    let restored = together.fold(R::ZERO, |sum, (step, z)| sum + *step * sigmoid(*z));
    let (l, by) = huber(delta, (restored - label) * unit);
    loss += restoration * l;
    let by = restoration * by * unit;
    for ((z, d), step) in logits.iter().zip(&mut *d).zip(worth) {
        let p = sigmoid(*z);
        *d += by * *step * p * (R::ONE - p);
    }
    for m in 1..logits.len() {
        let (before, p) = (sigmoid(logits[m - 1]), sigmoid(logits[m]));
        if p > before {
            loss += ordering * share * (p - before);
            d[m] += ordering * share * p * (R::ONE - p);
            d[m - 1] += -(ordering * share * before * (R::ONE - before));
        }
    }
    loss
}

/// Where a task of several logits begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// Increasing, or equal where many labels are.
    pub thresholds: Vec<f32>,
    /// What being above each is worth.
    pub worth: Vec<f32>,
    /// The logits of a model that knows nothing but the labels.
    pub logits: Vec<f64>,
}

impl Steps {
    /// Says what is outside its range.
    pub fn check(&self) -> Result<(), String> {
        let Steps::Restored {
            alpha,
            restoration,
            ordering,
        } = self
        else {
            return Ok(());
        };
        for (name, value, [least, most]) in [
            ("alpha", alpha, [-20.0, 20.0]),
            ("restoration", restoration, [0.0, 1e6]),
            ("ordering", ordering, [0.0, 1e6]),
        ] {
            if !(least..=most).contains(value) {
                return Err(format!(
                    "{name} of cread is {value}; from {least} to {most}"
                ));
            }
        }
        Ok(())
    }

    /// Where a task with so many logits begins that has the labels `labels` in training.
    pub fn start(&self, logits: usize, mut labels: Vec<f32>) -> Start {
        labels.sort_unstable_by(f32::total_cmp);
        let n = labels.len();
        let thresholds: Vec<f32> = match self {
            Steps::Restored { alpha, .. } => {
                let quantile = |u: f64| match *alpha {
                    a if a.abs() < 1e-6 => u,
                    a => libm::expm1(-a * u) / libm::expm1(-a),
                };
                let at = |m: usize| {
                    let i = (quantile(m as f64 / logits as f64) * n as f64) as usize;
                    labels.get(i.min(n.saturating_sub(1))).copied()
                };
                let quantiles = (1..logits).map(|m| at(m).unwrap_or(0.0).max(0.0));
                core::iter::once(0.0).chain(quantiles).collect()
            }
            Steps::Ordinal { levels, .. } => levels[..logits.min(levels.len())].to_vec(),
        };
        // Labels from here on count as above.
        let first = |threshold: f32| match self {
            Steps::Restored { .. } => labels.partition_point(|y| *y <= threshold),
            Steps::Ordinal { .. } => labels.partition_point(|y| *y < threshold),
        };
        let worth = match self {
            Steps::Restored { .. } => {
                let next = thresholds[1..].iter().map(|t| Some(*t)).chain([None]);
                let worth = thresholds.iter().zip(next).map(|(t, next)| {
                    let above = &labels[first(*t)..];
                    let most = next.unwrap_or(f32::INFINITY);
                    let sum = above.iter().map(|y| f64::from(y.min(most)) - f64::from(*t));
                    let mean = sum.sum::<f64>() / above.len().max(1) as f64;
                    // What a file cannot hold is nothing.
                    if mean < 1e-9 {
                        0.0
                    } else {
                        mean.min(1e9) as f32
                    }
                });
                worth.collect()
            }
            Steps::Ordinal { worth, .. } => worth[..thresholds.len()].to_vec(),
        };
        let logit = |t: &f32| {
            let above = (n - first(*t)) as f64;
            libm::log((above + 0.5) / (n as f64 - above + 0.5))
        };
        Start {
            logits: thresholds.iter().map(logit).collect(),
            worth,
            thresholds,
        }
    }
}

#[cfg(test)]
mod tests;
