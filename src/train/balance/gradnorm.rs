//! Gradient normalization (Chen et al., ICML 2018, section 3). With G_t the norm of the gradient of w_t L_t at the shared
//! representation and L~_t = L_t / L_t(0):
//!
//! L_grad = sum of |G_t - target_t|, target_t = mean of G x (L~_t / mean of L~)^alpha
//!
//! and, the targets being constants, d L_grad / d w_t = sign(G_t - target_t) G_t / w_t.
//!
//! - Sums and means go over the tasks with rows in the batch.
//! - L_t(0) is the loss of the first batch in which the task has rows and a loss above 0; until then the task is not
//!   among the tasks here.
//! - w has its own Adam. After it, the weights that moved are scaled so that their sum is what it was, and so the sum of
//!   all weights stays T. The paper sets no lower bound; here the part of a weight above 0.01 is what is scaled, so that no task
//!   ever gets 0, from which it could not return.
//! - The description's weight of a task is in G_t, as is what it does to its target: it is what the method replaces.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use super::adam::Adam;

/// Least weight of a task.
const FLOOR: f64 = 0.01;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct GradNorm {
    alpha: f64,
    lr: f64,
    pub(super) weights: Vec<f64>,
    /// L_t(0).
    first: Vec<Option<f64>>,
    /// G of the step under way.
    norms: Vec<Option<f64>>,
    adam: Adam,
}

/// d L_grad / d w, where `norms` are G and `progress` is L~.
fn gradient(weights: &[f64], norms: &[f64], progress: &[f64], alpha: f64) -> Vec<f64> {
    let n = norms.len() as f64;
    let mean_norm = norms.iter().sum::<f64>() / n;
    let mean_progress = progress.iter().sum::<f64>() / n;
    let each = |((w, g), l): ((&f64, &f64), &f64)| {
        let relative = if mean_progress > 0.0 {
            l / mean_progress
        } else {
            1.0
        };
        let over = g - mean_norm * libm::pow(relative, alpha);
        let sign = if over > 0.0 {
            1.0
        } else if over < 0.0 {
            -1.0
        } else {
            0.0
        };
        sign * g / w
    };
    weights.iter().zip(norms).zip(progress).map(each).collect()
}

/// Scales the parts of `weights` above the floor so that the sum is `sum`, at least the floor times their number.
fn normalize(weights: &mut [f64], sum: f64) {
    let n = weights.len() as f64;
    for w in weights.iter_mut() {
        *w = w.max(FLOOR) - FLOOR;
    }
    let above: f64 = weights.iter().sum();
    let want = (sum - n * FLOOR).max(0.0);
    for w in weights {
        *w = FLOOR
            + if above > 0.0 {
                *w / above * want
            } else {
                want / n
            };
    }
}

impl GradNorm {
    pub(super) fn new(alpha: f64, lr: f64, n: usize) -> Self {
        Self {
            alpha,
            lr,
            weights: vec![1.0; n],
            first: vec![None; n],
            norms: vec![None; n],
            adam: Adam::new(n),
        }
    }

    /// Takes the norms from the diagonal of `gram`.
    pub(super) fn observe(&mut self, gram: &[f64], present: &[bool]) {
        let n = self.norms.len();
        for (t, norm) in self.norms.iter_mut().enumerate() {
            let square = gram[t * n + t];
            let usable = present[t] && square >= 0.0 && square.is_finite();
            *norm = usable.then(|| libm::sqrt(square));
        }
    }

    pub(super) fn after_step(&mut self, losses: &[f64], present: &[bool]) {
        let (mut tasks, mut norms, mut progress) = (Vec::new(), Vec::new(), Vec::new());
        for t in 0..losses.len() {
            let norm = self.norms[t].take();
            if !(present[t] && losses[t].is_finite()) {
                continue;
            }
            if self.first[t].is_none() && losses[t] > 0.0 {
                self.first[t] = Some(losses[t]);
            }
            let share = self.first[t].map(|first| (losses[t] / first).max(0.0));
            if let (Some(norm), Some(share)) = (norm, share.filter(|s| s.is_finite())) {
                tasks.push(t);
                norms.push(norm);
                progress.push(share);
            }
        }
        let mut weights: Vec<f64> = tasks.iter().map(|t| self.weights[*t]).collect();
        let sum: f64 = weights.iter().sum();
        let gradients = gradient(&weights, &norms, &progress, self.alpha);
        for ((w, t), g) in weights.iter_mut().zip(&tasks).zip(gradients) {
            *w -= self.adam.step(*t, g, self.lr);
        }
        normalize(&mut weights, sum);
        for (t, w) in tasks.iter().zip(weights) {
            self.weights[*t] = w;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L_grad with the targets held at those of `weights`, at other weights `at`; `raw` are the norms of the gradients of
    /// L_t.
    fn objective(at: &[f64], weights: &[f64], raw: &[f64], progress: &[f64], alpha: f64) -> f64 {
        let n = raw.len() as f64;
        let mean = weights.iter().zip(raw).map(|(w, g)| w * g).sum::<f64>() / n;
        let mean_progress = progress.iter().sum::<f64>() / n;
        (0..raw.len())
            .map(|t| (at[t] * raw[t] - mean * libm::pow(progress[t] / mean_progress, alpha)).abs())
            .sum()
    }

    #[test]
    fn gradient_is_that_of_the_sum_of_distances() {
        let (weights, raw, progress) = ([0.5, 1.9, 0.6], [3.0, 0.2, 1.1], [0.9, 0.4, 0.7]);
        for alpha in [0.0, 0.5, 1.5] {
            let norms: Vec<f64> = weights.iter().zip(&raw).map(|(w, g)| w * g).collect();
            let got = gradient(&weights, &norms, &progress, alpha);
            for t in 0..3 {
                let h = 1e-6;
                let at = |x: f64| {
                    let mut w = weights;
                    w[t] += x;
                    objective(&w, &weights, &raw, &progress, alpha)
                };
                let slope = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (slope - got[t]).abs() < 1e-7,
                    "{alpha} {t} {slope} {}",
                    got[t]
                );
            }
        }
    }

    #[test]
    fn first_step_is_the_one_computed_by_hand() {
        // Norms 3 and 1, both losses at their first value: targets 2 and 2. Adam's first step is lr against the sign:
        // 0.9 and 1.1, whose sum is 2 already.
        let mut g = GradNorm::new(1.5, 0.1, 2);
        g.observe(&[9.0, 2.0, 2.0, 1.0], &[true, true]);
        g.after_step(&[0.5, 7.0], &[true, true]);
        assert!((g.weights[0] - 0.9).abs() < 1e-8 && (g.weights[1] - 1.1).abs() < 1e-8);
        // Losses at 0.2 and 1 of their first: relative 1/3 and 5/3 to the power of 1.5. Norms 1 and 1.4: targets 0.23
        // and 2.58, so the first falls on although its norm is below the mean.
        let before = g.weights.clone();
        g.observe(&[1.0, 0.0, 0.0, 1.96], &[true, true]);
        g.after_step(&[0.1, 7.0], &[true, true]);
        assert!(g.weights[0] < before[0] && g.weights[1] > before[1]);
    }

    #[test]
    fn weights_make_norms_alike_when_losses_fall_alike() {
        let mut g = GradNorm::new(1.5, 0.01, 3);
        let raw = [4.0, 1.0, 0.5];
        for _ in 0..3000 {
            let mut gram = [0.0; 9];
            for t in 0..3 {
                gram[t * 4] = (g.weights[t] * raw[t]).powi(2);
            }
            g.observe(&gram, &[true; 3]);
            g.after_step(&[1.0, 2.0, 3.0], &[true; 3]);
        }
        // w proportional to 1 / raw, with sum 3.
        for (w, want) in g.weights.iter().zip([0.230_77, 0.923_08, 1.846_15]) {
            assert!((w - want).abs() < 0.03, "{:?}", g.weights);
        }
        assert!((g.weights.iter().sum::<f64>() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn weights_keep_the_floor_and_absent_tasks_keep_theirs() {
        let mut g = GradNorm::new(1.5, 0.5, 3);
        for step in 0..200 {
            let present = [true, true, step < 1];
            let kept = g.weights[2];
            g.observe(
                &[1e12, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, f64::NAN],
                &present,
            );
            g.after_step(&[1.0, 1.0, f64::NAN], &present);
            assert_eq!(g.weights[2], kept);
            assert!(g.weights.iter().all(|w| *w >= FLOOR), "{:?}", g.weights);
            assert!((g.weights.iter().sum::<f64>() - 3.0).abs() < 1e-9);
        }
        assert!(g.weights[0] < 0.1, "{:?}", g.weights);
    }
}
