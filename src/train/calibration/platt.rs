//! p = sigmoid(a z + b) by maximum likelihood: the least of
//!
//! F(a, b) = sum of w_i (ln(1 + exp(f_i)) - t_i f_i), f_i = a z_i + b,
//!
//! with gradient sum of w_i (p_i - t_i) (z_i, 1) and Hessian sum of w_i p_i (1 - p_i) (z_i, 1)(z_i, 1)^T. F is convex, so
//! Newton's step, halved until F falls, finds it (Lin, Lin & Weng 2007).
//!
//! Targets are Platt's: t = (N+ + 1) / (N+ + 2) for a positive row, 1 / (N- + 2) for a negative one, N+ and N- the rows of
//! each label (by weight, weights scaled to mean 1 over the rows that have any). With 0 and 1, rows that a threshold
//! separates would have no finite optimum. The price: the mean score is off the mean label by less than 1 / N.
use std::prelude::v1::*;

use super::{Calibration, check};
use crate::spec::TaskKind;
use crate::train::loss::{loss, sigmoid};

/// Newton steps; about ten are taken.
const MAX_STEPS: usize = 100;
/// Halvings of one step.
const MAX_HALVINGS: usize = 60;

/// Rows with targets; weights have mean 1.
struct Rows {
    z: Vec<f64>,
    target: Vec<f64>,
    weight: Vec<f64>,
}

impl Rows {
    fn new(logits: &[f64], labels: &[f64], weights: &[f64]) -> Self {
        let count = weights.iter().filter(|w| **w > 0.0).count() as f64;
        let scale = count / weights.iter().sum::<f64>();
        let weight: Vec<f64> = weights.iter().map(|w| w * scale).collect();
        let positive: f64 = labels.iter().zip(&weight).map(|(y, w)| y * w).sum();
        let negative: f64 = labels.iter().zip(&weight).map(|(y, w)| (1.0 - y) * w).sum();
        let target = |y: &f64| {
            if *y == 1.0 {
                (positive + 1.0) / (positive + 2.0)
            } else {
                1.0 / (negative + 2.0)
            }
        };
        Self {
            z: logits.to_vec(),
            target: labels.iter().map(target).collect(),
            weight,
        }
    }

    fn each(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        let rows = self.z.iter().zip(&self.target).zip(&self.weight);
        rows.map(|((z, t), w)| (*z, *t, *w))
    }

    /// F.
    fn objective(&self, a: f64, b: f64) -> f64 {
        self.each()
            .map(|(z, t, w)| w * loss(TaskKind::Binary, 1.0, a * z + b, t).0)
            .sum()
    }

    /// Gradient (a, b) and Hessian (aa, ab, bb).
    fn derivatives(&self, a: f64, b: f64) -> ([f64; 2], [f64; 3]) {
        let (mut g, mut h) = ([0.0; 2], [0.0; 3]);
        for (z, t, w) in self.each() {
            let p = sigmoid(a * z + b);
            let (d, c) = (w * (p - t), w * p * (1.0 - p));
            g = [g[0] + d * z, g[1] + d];
            h = [h[0] + c * z * z, h[1] + c * z, h[2] + c];
        }
        (g, h)
    }

    /// Newton's step from (a, b), to be subtracted; b stands still unless `with_bias`.
    fn step(&self, a: f64, b: f64, with_bias: bool) -> (f64, f64) {
        let (g, [aa, ab, bb]) = self.derivatives(a, b);
        // The Hessian vanishes where all p are 0 or 1 to the last bit; a little on its diagonal keeps the step finite.
        let (aa, bb) = (aa + 1e-12, bb + 1e-12);
        if with_bias {
            let det = aa * bb - ab * ab;
            ((bb * g[0] - ab * g[1]) / det, (aa * g[1] - ab * g[0]) / det)
        } else {
            (g[0] / aa, 0.0)
        }
    }

    /// The least of F, from (0, 0) on.
    fn minimize(&self, with_bias: bool) -> (f64, f64) {
        let (mut a, mut b) = (0.0, 0.0);
        let mut value = self.objective(a, b);
        for _ in 0..MAX_STEPS {
            let (da, db) = self.step(a, b, with_bias);
            let mut part = 1.0;
            let lower = (0..MAX_HALVINGS).find_map(|_| {
                let to = (a - part * da, b - part * db);
                part *= 0.5;
                let at = self.objective(to.0, to.1);
                (at < value).then_some((to, at))
            });
            let Some((to, at)) = lower else { break };
            ((a, b), value) = (to, at);
        }
        // Close to the optimum F no longer tells points apart, but its gradient does: the last step is taken whole.
        let (da, db) = self.step(a, b, with_bias);
        if da.abs() <= 1e-6 * a.abs() && db.abs() <= 1e-6 * (1.0 + b.abs()) {
            (a - da, b - db)
        } else {
            (a, b)
        }
    }
}

fn rising(scale: f64, bias: f64) -> Result<Calibration, String> {
    if scale > 0.0 && scale.is_finite() && bias.is_finite() {
        Ok(Calibration::Linear { scale, bias })
    } else {
        Err(format!(
            "the best slope of the probability over the logit is {scale:.3}, but must be above 0: labels must be more \
             frequent where logits are higher"
        ))
    }
}

/// Fits p = sigmoid(a z + b), a > 0, to rows with labels 0 or 1.
pub fn platt(logits: &[f64], labels: &[f64], weights: &[f64]) -> Result<Calibration, String> {
    check(logits, labels, weights)?;
    let mut rows = Rows::new(logits, labels, weights);
    // Newton runs on logits of mean 0 and variance 1: a and b then hardly depend on one another.
    let total: f64 = rows.weight.iter().sum();
    let mean = rows.each().map(|(z, _, w)| w * z).sum::<f64>() / total;
    let variance = rows.each().map(|(z, _, w)| w * (z - mean) * (z - mean));
    let deviation = libm::sqrt(variance.sum::<f64>() / total).max(f64::MIN_POSITIVE);
    rows.z.iter_mut().for_each(|z| *z = (*z - mean) / deviation);
    let (a, b) = rows.minimize(true);
    rising(a / deviation, b - a * mean / deviation)
}

/// Fits p = sigmoid(a z), a = 1 / temperature > 0, to rows with labels 0 or 1.
pub fn temperature(logits: &[f64], labels: &[f64], weights: &[f64]) -> Result<Calibration, String> {
    check(logits, labels, weights)?;
    let mut rows = Rows::new(logits, labels, weights);
    let total: f64 = rows.weight.iter().sum();
    let square = rows.each().map(|(z, _, w)| w * z * z).sum::<f64>() / total;
    let size = libm::sqrt(square).max(f64::MIN_POSITIVE);
    rows.z.iter_mut().for_each(|z| *z /= size);
    let (a, _) = rows.minimize(false);
    rising(a / size, 0.0)
}
