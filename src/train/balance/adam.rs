//! Adam (Kingma & Ba 2015, algorithm 1) on the few values that a balancer learns, each with a step count of its own, so
//! that a task without rows stands still.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Moments of `n` values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    steps: Vec<u64>,
}

impl Adam {
    pub(crate) fn new(n: usize) -> Self {
        Self {
            first: vec![0.0; n],
            second: vec![0.0; n],
            steps: vec![0; n],
        }
    }

    /// What to subtract from value `i`. A gradient whose square is not finite changes nothing: it would stay in the
    /// moments for good.
    pub(crate) fn step(&mut self, i: usize, gradient: f64, lr: f64) -> f64 {
        if !(gradient * gradient).is_finite() {
            return 0.0;
        }
        self.steps[i] += 1;
        let (m, v) = (&mut self.first[i], &mut self.second[i]);
        *m = BETA1 * *m + (1.0 - BETA1) * gradient;
        *v = BETA2 * *v + (1.0 - BETA2) * gradient * gradient;
        let corrected = |beta: f64| 1.0 - libm::pow(beta, self.steps[i] as f64);
        lr * (*m / corrected(BETA1)) / (libm::sqrt(*v / corrected(BETA2)) + EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_step_is_the_learning_rate_and_the_second_is_the_papers() {
        let mut adam = Adam::new(2);
        assert!((adam.step(0, 5.0, 0.1) - 0.1).abs() < 1e-9);
        // m = 0.9 x 0.5 - 0.1 x 5 = -0.05, over 0.19; v = 0.999 x 0.025 + 0.025, over 0.001999: 25.
        let want = 0.1 * (-0.05 / 0.19) / 5.0;
        assert!((adam.step(0, -5.0, 0.1) - want).abs() < 1e-9);
        assert!(adam.step(0, f64::NAN, 0.1) == 0.0 && adam.step(0, 1e200, 0.1) == 0.0);
        assert_eq!((adam.steps[0], adam.steps[1]), (2, 0));
    }
}
