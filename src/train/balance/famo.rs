//! Fast adaptive multitask optimization (Liu, Feng, Stone & Liu, NeurIPS 2023, algorithm 1): the loss that fell least, in
//! the logarithm, is what the step is made to lower most.
//!
//! z = softmax(xi); factor_t = (z_t / L_t) / (sum of z_i / L_i), so that factors sum to 1.
//! After the step, with delta_t = ln L_t(before) - ln L_t(after) on the same batch:
//! gradient of xi = J^T delta + decay xi, where (J^T delta)_t = z_t (delta_t - sum of z_i delta_i).
//!
//! xi starts at 0 and has its own Adam, as in the authors' code, which also adds 1e-8 to every loss, as here.
//!
//! Differences: factors are needed before the batch's losses are known, so L_t in the factor is the loss after the
//! task's last step, and 1 before its first, about that of a network that knows nothing. Softmax, delta and decay of an update go
//! over the tasks with rows in the batch; the others' logits stand still.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::softmax;

/// Added to losses, so that 0 has a logarithm.
const EPSILON: f64 = 1e-8;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Famo {
    lr: f64,
    decay: f64,
    logits: Vec<f64>,
    /// Of the task's last batch, after the step.
    losses: Vec<f64>,
    adam: Adam,
}

/// Gradient of sum of softmax(logits)_t delta_t by the logits.
fn gradient(logits: &[f64], delta: &[f64]) -> Vec<f64> {
    let z = softmax(logits);
    let mean: f64 = z.iter().zip(delta).map(|(z, d)| z * d).sum();
    z.iter().zip(delta).map(|(z, d)| z * (d - mean)).collect()
}

impl Famo {
    pub(super) fn new(lr: f64, decay: f64, n: usize) -> Self {
        Self {
            lr,
            decay,
            logits: vec![0.0; n],
            losses: vec![1.0; n],
            adam: Adam::new(n),
        }
    }

    pub(super) fn factors(&self) -> Vec<f64> {
        let z = softmax(&self.logits);
        let each = |(z, l): (f64, &f64)| z / (l + EPSILON);
        let factors: Vec<f64> = z.into_iter().zip(&self.losses).map(each).collect();
        let sum: f64 = factors.iter().sum();
        factors.into_iter().map(|f| f / sum).collect()
    }

    pub(super) fn after_step(&mut self, before: &[f64], present: &[bool], after: &[f64]) {
        let usable = |loss: f64| loss.is_finite() && loss >= 0.0;
        let tasks: Vec<usize> = (0..before.len())
            .filter(|t| present[*t] && usable(before[*t]) && usable(after[*t]))
            .collect();
        let delta = |t: &usize| libm::log(before[*t] + EPSILON) - libm::log(after[*t] + EPSILON);
        let delta: Vec<f64> = tasks.iter().map(delta).collect();
        let logits: Vec<f64> = tasks.iter().map(|t| self.logits[*t]).collect();
        for (t, g) in tasks.iter().zip(gradient(&logits, &delta)) {
            let g = g + self.decay * self.logits[*t];
            self.logits[*t] -= self.adam.step(*t, g, self.lr);
            self.losses[*t] = after[*t];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_is_that_of_the_weighted_decrease() {
        let (logits, delta) = ([0.3, -1.1, 0.7], [0.02, -0.4, 0.1]);
        let objective =
            |x: &[f64]| -> f64 { softmax(x).iter().zip(&delta).map(|(z, d)| z * d).sum() };
        for (t, got) in gradient(&logits, &delta).into_iter().enumerate() {
            let h = 1e-6;
            let at = |x: f64| {
                let mut l = logits;
                l[t] += x;
                objective(&l)
            };
            assert!(((at(h) - at(-h)) / (2.0 * h) - got).abs() < 1e-9, "{t}");
        }
    }

    #[test]
    fn factors_are_those_computed_by_hand() {
        let mut f = Famo::new(0.1, 0.0, 2);
        assert_eq!(f.factors(), [0.5, 0.5]);
        // Task 0 fell from 2 to 1, task 1 stood at 4: delta = (ln 2, 0), gradient (ln 2 / 4, -ln 2 / 4), a first step of
        // 0.1 each: logits -0.1 and 0.1, z = 0.450166 and 0.549834; z / L = 0.450166 and 0.137459.
        f.after_step(&[2.0, 4.0], &[true, true], &[1.0, 4.0]);
        let got = f.factors();
        assert!(
            (got[0] - 0.766_08).abs() < 1e-5 && (got[1] - 0.233_92).abs() < 1e-5,
            "{got:?}"
        );
    }

    #[test]
    fn absent_task_keeps_its_logit_and_loss() {
        let mut f = Famo::new(0.1, 0.1, 3);
        f.after_step(&[2.0, 4.0, 1.0], &[true; 3], &[1.0, 4.0, 0.9]);
        let kept = (f.logits[1], f.losses[1]);
        for _ in 0..10 {
            f.after_step(
                &[1.0, f64::NAN, 1.0],
                &[true, false, true],
                &[0.9, f64::NAN, 1.0],
            );
        }
        assert_eq!((f.logits[1], f.losses[1]), kept);
        assert!(f.logits[0] < f.logits[2]);
    }

    /// L_0 = 100 x^2 / 2 + y^2 / 2 around (1, 0), L_1 = the like of scale 0.01 around (0, 1): by how much more ln L_0 falls
    /// than ln L_1, after `steps` steps of length 0.001 along the combined gradient's direction.
    fn imbalance(mut balance: Option<Famo>, steps: usize) -> f64 {
        let losses = |x: [f64; 2]| {
            [
                50.0 * ((x[0] - 1.0).powi(2) + x[1].powi(2)) + 1.0,
                0.005 * (x[0].powi(2) + (x[1] - 1.0).powi(2)) + 1e-4,
            ]
        };
        let mut x = [3.0, 2.5];
        let start = losses(x);
        for _ in 0..steps {
            let f = balance.as_ref().map_or(vec![0.5; 2], Famo::factors);
            let g = [
                f[0] * 100.0 * (x[0] - 1.0) + f[1] * 0.01 * x[0],
                f[0] * 100.0 * x[1] + f[1] * 0.01 * (x[1] - 1.0),
            ];
            let norm = libm::hypot(g[0], g[1]).max(1e-12);
            let before = losses(x);
            x = [x[0] - 0.001 * g[0] / norm, x[1] - 0.001 * g[1] / norm];
            if let Some(f) = &mut balance {
                f.after_step(&before, &[true, true], &losses(x));
            }
        }
        let end = losses(x);
        libm::log(start[0] / end[0]) - libm::log(start[1] / end[1])
    }

    #[test]
    fn logarithms_of_two_losses_fall_alike() {
        let (plain, famo) = (
            imbalance(None, 2500),
            imbalance(Some(Famo::new(0.025, 0.001, 2)), 2500),
        );
        assert!(famo.abs() < 0.2 * plain.abs(), "{plain} {famo}");
    }
}
