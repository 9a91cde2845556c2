//! Calibration: maps from logits to probabilities, fitted on rows (logit, label, weight) that the network did not learn
//! from.
//!
//! | map | p(z) | order of candidates |
//! |---|---|---|
//! | temperature | sigmoid(a z) | kept |
//! | Platt | sigmoid(a z + b) | kept |
//! | isotonic | line through at most 32 knots (z, p), flat beyond the ends | kept, but flat parts tie |
//!
//! Platt scaling: Platt 1999, with the Newton iteration of Lin, Lin & Weng 2007; temperature: Guo et al., ICML 2017,
//! section 4.2, a = 1 / T; isotonic: Zadrozny & Elkan, KDD 2002.
//!
//! Invariant: a fitted map never falls. Rows that ask for a falling map, or that cannot tell (no rows, one class, one
//! logit), are an error that says so, and the caller keeps sigmoid(z).
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::train::loss::sigmoid;

mod isotonic;
mod platt;

pub use isotonic::{MAX_KNOTS, isotonic};
pub use platt::{platt, temperature};

/// Probabilities of an isotonic map lie in [this, 1 - this].
pub const MIN_PROBABILITY: f64 = 1e-6;

/// A map from a logit to a probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Calibration {
    /// p = sigmoid(scale z + bias).
    Linear {
        /// a, above 0.
        scale: f64,
        /// b; 0 for a temperature.
        bias: f64,
    },
    /// p = the line between the knots around z.
    Isotonic {
        /// Rising, at least 2.
        logits: Vec<f64>,
        /// At each knot, never falling.
        probabilities: Vec<f64>,
    },
}

impl Calibration {
    /// p(z), in [0, 1]. NaN gives NaN.
    pub fn apply(&self, z: f64) -> f64 {
        match self {
            Self::Linear { scale, bias } => sigmoid(scale * z + bias),
            Self::Isotonic {
                logits,
                probabilities,
            } => interpolate(logits, probabilities, z),
        }
    }
}

/// The line through the points `(x, y)` at `z`, flat beyond the ends.
fn interpolate(x: &[f64], y: &[f64], z: f64) -> f64 {
    let after = x.partition_point(|x| *x <= z);
    match (after.checked_sub(1), x.get(after)) {
        _ if z.is_nan() => z,
        (Some(i), Some(next)) => {
            let share = (z - x[i]) / (next - x[i]);
            // Never above the next knot, however the product rounds.
            (y[i] + share * (y[after] - y[i])).min(y[after])
        }
        (Some(i), None) => y[i],
        (None, _) => y.first().copied().unwrap_or(f64::NAN),
    }
}

/// Says what rows cannot be fitted to. Labels are 0 or 1; rows of weight 0 do not count.
fn check(logits: &[f64], labels: &[f64], weights: &[f64]) -> Result<(), String> {
    if logits.len() != labels.len() || logits.len() != weights.len() {
        return Err(format!(
            "{} logits, {} labels and {} weights, but calibration needs one of each per row",
            logits.len(),
            labels.len(),
            weights.len()
        ));
    }
    // Far beyond what a network gives, and safe to square.
    if let Some(z) = logits.iter().find(|z| !(-1e30..=1e30).contains(*z)) {
        return Err(format!("a logit is {z}, but must be from -1e30 to 1e30"));
    }
    if let Some(y) = labels.iter().find(|y| **y != 0.0 && **y != 1.0) {
        return Err(format!("a label is {y}, but must be 0 or 1"));
    }
    if let Some(w) = weights.iter().find(|w| !(0.0..=1e30).contains(*w)) {
        return Err(format!("a weight is {w}, but must be from 0 to 1e30"));
    }
    let rows = || {
        let counts = weights.iter().map(|w| *w > 0.0);
        logits.iter().zip(labels).zip(counts).filter(|(_, c)| *c)
    };
    let (count, positives) = rows().fold((0, 0), |(n, p), ((_, y), _)| {
        (n + 1, p + usize::from(*y == 1.0))
    });
    if positives == 0 || positives == count {
        return Err(format!(
            "{positives} of {count} rows are positive, but calibration needs rows of both labels"
        ));
    }
    let mut logits = rows().map(|((z, _), _)| *z);
    let first = logits.next();
    if logits.all(|z| Some(z) == first) {
        return Err(format!(
            "all {count} rows have logit {}, but calibration needs at least two different logits",
            first.unwrap_or(0.0)
        ));
    }
    Ok(())
}

/// Rows of neighbouring scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Number of rows.
    pub rows: u64,
    /// Sum of their weights.
    pub weight: f64,
    /// Weighted mean.
    pub mean_score: f64,
    /// Weighted mean.
    pub mean_label: f64,
}

/// Cuts rows, by rising score, into at most `count` bins of as equal numbers of rows as ties allow: equal scores share a
/// bin, so that the order of rows does not matter. Bins without weight are left out.
pub fn bins(scores: &[f64], labels: &[f64], weights: &[f64], count: usize) -> Vec<Bin> {
    let n = scores.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut bins = Vec::new();
    let mut start = 0;
    for b in 1..=count {
        let mut end = (b * n / count).max(start);
        while end > start && end < n && scores[order[end]] == scores[order[end - 1]] {
            end += 1;
        }
        let rows = &order[start..end];
        let sum = |value: &dyn Fn(usize) -> f64| rows.iter().map(|i| value(*i)).sum::<f64>();
        let weight = sum(&|i| weights[i]);
        if weight > 0.0 {
            bins.push(Bin {
                rows: rows.len() as u64,
                weight,
                mean_score: sum(&|i| weights[i] * scores[i]) / weight,
                mean_label: sum(&|i| weights[i] * labels[i]) / weight,
            });
        }
        start = end;
    }
    bins
}

/// Expected calibration error (Naeini, Cooper & Hauskrecht, AAAI 2015), here of [`bins`] of equal counts: mean over
/// bins, by weight, of |mean score - mean label|. `None` without bins.
pub fn expected_calibration_error(bins: &[Bin]) -> Option<f64> {
    let weight: f64 = bins.iter().map(|b| b.weight).sum();
    let error = |b: &Bin| b.weight * (b.mean_score - b.mean_label).abs();
    (weight > 0.0).then(|| bins.iter().map(error).sum::<f64>() / weight)
}

#[cfg(test)]
mod tests;
