//! Homoscedastic uncertainty (Kendall, Gal & Cipolla, CVPR 2018, section 3.2), s_t = ln sigma_t^2:
//!
//! objective = sum over tasks of exp(-s_t) L_t + s_t / 2, and so d/ds_t = 1/2 - exp(-s_t) L_t.
//!
//! This is equation 10, for a cross entropy (1/sigma^2 L + ln sigma) and for a regression (1/(2 sigma^2) d^2 + ln sigma)
//! alike, because a duration's loss is d^2 / 2 (within its `huber`): the 1/2 is in the loss already. The factor
//! exp(-s_t) therefore tends to 1 / (2 L_t) for both kinds.
//!
//! That has no bound as L_t falls: a task with 1 % positives has a loss of 0.056 nats before it knows anything, so a
//! factor of 8.9, and one with 0.1 % has 63. Such a task would set the step size of all that is shared, so s_t is held in
//! [-clamp, clamp]. s_t has its own Adam and starts at 0 (factor 1). The gradient leaves out the description's weight
//! of the task, which multiplies the whole term and which Adam would divide out.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use super::adam::Adam;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Uncertainty {
    lr: f64,
    clamp: f64,
    log_variances: Vec<f64>,
    adam: Adam,
}

/// d/ds of exp(-s) loss + s / 2.
fn gradient(s: f64, loss: f64) -> f64 {
    0.5 - libm::exp(-s) * loss
}

impl Uncertainty {
    pub(super) fn new(lr: f64, clamp: f64, n: usize) -> Self {
        Self {
            lr,
            clamp,
            log_variances: vec![0.0; n],
            adam: Adam::new(n),
        }
    }

    pub(super) fn factors(&self) -> Vec<f64> {
        self.log_variances.iter().map(|s| libm::exp(-s)).collect()
    }

    pub(super) fn after_step(&mut self, losses: &[f64], present: &[bool]) {
        for (t, s) in self.log_variances.iter_mut().enumerate() {
            if present[t] && losses[t].is_finite() {
                let step = self.adam.step(t, gradient(*s, losses[t]), self.lr);
                *s = (*s - step).clamp(-self.clamp, self.clamp);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_is_that_of_the_objective() {
        for s in [-2.0, -0.3, 0.0, 1.7] {
            for loss in [0.0, 0.056, 0.69, 40.0] {
                let objective = |s: f64| libm::exp(-s) * loss + s / 2.0;
                let h = 1e-6;
                let slope = (objective(s + h) - objective(s - h)) / (2.0 * h);
                assert!((slope - gradient(s, loss)).abs() < 1e-7, "{s} {loss}");
            }
        }
    }

    #[test]
    fn factor_tends_to_one_over_twice_the_loss() {
        let mut u = Uncertainty::new(0.01, 2.0, 2);
        for _ in 0..3000 {
            u.after_step(&[0.4, 2.5], &[true, true]);
        }
        let f = u.factors();
        assert!(
            (f[0] - 1.25).abs() < 1e-3 && (f[1] - 0.2).abs() < 1e-3,
            "{f:?}"
        );
    }

    #[test]
    fn rare_task_stays_bounded_and_noisy_task_weighs_little() {
        // 1 % positives: -0.01 ln 0.01 - 0.99 ln 0.99 = 0.056 at best without features, then lower still; the noisy task
        // stays at 3.
        let mut u = Uncertainty::new(0.01, 2.0, 3);
        for step in 0..5000 {
            let rare = 0.056 / (1.0 + step as f64 / 100.0);
            u.after_step(&[rare, 3.0, 0.0], &[true; 3]);
        }
        let f = u.factors();
        assert!((f[0] - libm::exp(2.0)).abs() < 1e-12, "{f:?}");
        assert!((f[1] - 1.0 / 6.0).abs() < 1e-3, "{f:?}");
        assert!((f[2] - libm::exp(2.0)).abs() < 1e-12, "{f:?}");
    }
}
