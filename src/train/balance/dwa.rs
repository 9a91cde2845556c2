//! Dynamic weight average (Liu, Johns & Davison, CVPR 2019). With L_t(e) the mean of task t's batch losses in
//! epoch e, and T tasks:
//!
//! r_t = L_t(e-1) / L_t(e-2), factor_t = T exp(r_t / temperature) / sum of exp(r_i / temperature).
//!
//! r_t is 1 until the task has had rows in two epochs; then the last two in which it had any count. It is 1 too where
//! L_t(e-2) is 0: a task without loss has no rate.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use super::softmax;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Dwa {
    temperature: f64,
    /// Of this epoch's batches in which the task had rows.
    sums: Vec<f64>,
    batches: Vec<u64>,
    /// Mean losses of the task's last epoch and the one before.
    last: Vec<Option<f64>>,
    before: Vec<Option<f64>>,
}

impl Dwa {
    pub(super) fn new(temperature: f64, n: usize) -> Self {
        Self {
            temperature,
            sums: vec![0.0; n],
            batches: vec![0; n],
            last: vec![None; n],
            before: vec![None; n],
        }
    }

    pub(super) fn factors(&self) -> Vec<f64> {
        let rate = |(last, before): (&Option<f64>, &Option<f64>)| {
            let rate = last.zip(*before).map(|(l, b)| l / b);
            rate.filter(|r| r.is_finite()).unwrap_or(1.0) / self.temperature
        };
        let x: Vec<f64> = self.last.iter().zip(&self.before).map(rate).collect();
        let n = x.len() as f64;
        softmax(&x).into_iter().map(|p| n * p).collect()
    }

    pub(super) fn after_step(&mut self, losses: &[f64], present: &[bool]) {
        for (t, loss) in losses.iter().enumerate() {
            if present[t] && loss.is_finite() {
                self.sums[t] += loss;
                self.batches[t] += 1;
            }
        }
    }

    pub(super) fn end_epoch(&mut self) {
        for t in 0..self.sums.len() {
            if self.batches[t] > 0 {
                self.before[t] = self.last[t];
                self.last[t] = Some(self.sums[t] / self.batches[t] as f64);
            }
            self.sums[t] = 0.0;
            self.batches[t] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_epochs_give_the_factors_computed_by_hand() {
        let mut d = Dwa::new(2.0, 2);
        d.after_step(&[0.9, 4.0], &[true, true]);
        d.after_step(&[1.1, 4.0], &[true, true]);
        assert_eq!(d.factors(), [1.0, 1.0]);
        d.end_epoch();
        assert_eq!(d.factors(), [1.0, 1.0]);
        // Means 1 and 4, then 0.5 and 3.6: rates 0.5 and 0.9.
        d.after_step(&[0.5, 3.2], &[true, true]);
        d.after_step(&[9.9, 4.0], &[false, true]);
        d.end_epoch();
        // exp(0.25) = 1.284025, exp(0.45) = 1.568312: 2 x 1.284025 / 2.852337 = 0.900332.
        let f = d.factors();
        assert!(
            (f[0] - 0.900_332).abs() < 1e-6 && (f[1] - 1.099_668).abs() < 1e-6,
            "{f:?}"
        );
    }

    #[test]
    fn epoch_without_rows_leaves_a_task_as_it_was() {
        let mut d = Dwa::new(2.0, 2);
        for losses in [[1.0, 4.0], [0.5, 3.6]] {
            d.after_step(&losses, &[true, true]);
            d.end_epoch();
        }
        d.after_step(&[f64::NAN, 3.24], &[false, true]);
        d.end_epoch();
        // Rates 0.5, still, and 3.24 / 3.6 = 0.9.
        assert!((d.factors()[0] - 0.900_332).abs() < 1e-6);
    }

    #[test]
    fn losses_of_zero_count_as_a_rate_of_one() {
        let mut d = Dwa::new(2.0, 2);
        for losses in [[0.0, 1.0], [3.0, 1.0]] {
            d.after_step(&losses, &[true, true]);
            d.end_epoch();
        }
        assert_eq!(d.factors(), [1.0, 1.0]);
    }
}
