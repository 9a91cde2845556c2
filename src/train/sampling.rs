//! Negative down-sampling of a binary task, weights of its positives, and the correction of both (He et al., "Practical
//! Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014, section 6.3).
//!
//! Of a task's rows all positives are kept, with weight a on their loss, and each negative with probability w. At a point
//! where a row is positive with probability p, the loss then sees positives with mass a p and negatives with w (1 - p), so
//! the network learns q = a p / (a p + w (1 - p)):
//!
//! logit q = logit p + ln a - ln w, and so logit p = logit q + ln w - ln a.
//!
//! With a = 1 this is the paper's p = q / (q + (1 - q) / w). The correction is one number on the logit: added to the bias
//! of the task's head it costs nothing when serving, and it keeps the order of candidates. Example: 1 % positives, w = 0.1,
//! a = 2: odds 1/99 become 20/99; q = 0.168, ln w - ln a = -3.0 brings it back to 0.01.
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::train::random::Key;

/// Branch of a seed that these draws hang from: no draw of initialisation, order or dropout shares it.
const STREAM: u64 = u64::from_be_bytes(*b"negative");

/// How rows of one binary task are sampled and weighed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// w: probability that a negative is kept, in (0, 1].
    pub keep_negatives: f64,
    /// a: factor on the loss of a positive, positive.
    pub positive_weight: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            keep_negatives: 1.0,
            positive_weight: 1.0,
        }
    }
}

impl Sampling {
    /// Says what is outside its range. The least rate, 1e-6, is far above the 2^-32 to which draws are exact.
    pub fn check(&self) -> Result<(), String> {
        if !(1e-6..=1.0).contains(&self.keep_negatives) {
            return Err(format!(
                "keep_negatives is {}, but must be from 0.000001 to 1",
                self.keep_negatives
            ));
        }
        if !(1e-6..=1e6).contains(&self.positive_weight) {
            return Err(format!(
                "positive_weight is {}, but must be from 0.000001 to 1000000",
                self.positive_weight
            ));
        }
        Ok(())
    }

    /// The factor on the loss of a row that is kept.
    pub fn weight(&self, positive: bool) -> f64 {
        if positive { self.positive_weight } else { 1.0 }
    }

    /// What to add to the task's logit: [`offset`].
    pub fn offset(&self) -> f64 {
        offset(self.keep_negatives, self.positive_weight)
    }
}

/// Whether row `row` of the log trains task `task`: a positive always, a negative with probability `rate`. A function of
/// its arguments alone, so that a row is in or out for a whole run, at any batch, epoch, thread count and after any
/// resume; tasks draw independently. A row kept at one rate is kept at every higher one.
pub fn keep(seed: u64, task: usize, row: u64, positive: bool, rate: f64) -> bool {
    let key = Key::new(seed).at(STREAM).at(task as u64).at(row);
    positive || key.chance(rate)
}

/// ln w - ln a, in nats: what to add to a logit learnt from negatives kept at rate w in (0, 1] and positives of weight
/// a > 0.
pub fn offset(keep_negatives: f64, positive_weight: f64) -> f64 {
    libm::log(keep_negatives) - libm::log(positive_weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::sigmoid;

    #[test]
    fn offset_brings_sampled_odds_back() {
        for p in [1e-4, 0.01, 0.2, 0.5, 0.93] {
            for w in [1e-3, 0.05, 0.3, 1.0] {
                for a in [0.25, 1.0, 3.0, 40.0] {
                    let q = a * p / (a * p + w * (1.0 - p));
                    let logit = libm::log(q / (1.0 - q));
                    let got = sigmoid(logit + offset(w, a));
                    // 1 - q loses digits where q is near 1.
                    assert!((got - p).abs() < 1e-10, "{p} {w} {a} {got}");
                    if a == 1.0 {
                        // The paper's form.
                        assert!((q / (q + (1.0 - q) / w) - p).abs() < 1e-12);
                    }
                }
            }
        }
        assert_eq!(Sampling::default().offset(), 0.0);
        let s = Sampling {
            keep_negatives: 0.1,
            positive_weight: 2.0,
        };
        assert!((s.offset() + 2.995_732).abs() < 1e-6);
        assert_eq!((s.weight(true), s.weight(false)), (2.0, 1.0));
    }

    #[test]
    fn kept_share_is_the_rate_and_positives_stay() {
        let n = 100_000u64;
        for rate in [0.02, 0.3, 0.9] {
            let kept = (0..n).filter(|row| keep(7, 2, *row, false, rate)).count();
            let deviation = libm::sqrt(n as f64 * rate * (1.0 - rate));
            assert!(
                (kept as f64 - n as f64 * rate).abs() < 5.0 * deviation,
                "{rate} {kept}"
            );
        }
        assert!((0..1000).all(|row| keep(7, 2, row, true, 1e-6) && keep(7, 2, row, false, 1.0)));
    }

    #[test]
    fn draws_differ_by_seed_and_task_and_are_nested_by_rate() {
        let n = 100_000u64;
        let both = |seed: u64, task: usize| {
            let two =
                (0..n).filter(|r| keep(7, 2, *r, false, 0.3) && keep(seed, task, *r, false, 0.3));
            two.count() as f64
        };
        // Independent: 0.09 of the rows, within 5 sigma.
        for (seed, task) in [(7, 3), (8, 2), (8, 3)] {
            assert!(
                (both(seed, task) - 9000.0).abs() < 5.0 * 90.5,
                "{seed} {task}"
            );
        }
        assert!((0..n).all(|r| !keep(7, 2, r, false, 0.3) || keep(7, 2, r, false, 0.31)));
    }

    #[test]
    fn base_rate_learnt_from_kept_rows_is_corrected() {
        // 5 % positives, a tenth of the negatives, positives doubled: the best constant logit of what is kept.
        let (seed, s) = (
            11,
            Sampling {
                keep_negatives: 0.1,
                positive_weight: 2.0,
            },
        );
        let mut mass = [0.0; 2];
        for row in 0..100_000 {
            let positive = row % 20 == 0;
            if keep(seed, 0, row, positive, s.keep_negatives) {
                mass[usize::from(positive)] += s.weight(positive);
            }
        }
        let p = sigmoid(libm::log(mass[1] / mass[0]) + s.offset());
        assert!((p - 0.05).abs() < 0.05 * 0.05, "{p}");
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        for (keep_negatives, positive_weight, word) in [
            (0.0, 1.0, "keep_negatives is 0,"),
            (1.1, 1.0, "keep_negatives is 1.1"),
            (f64::NAN, 1.0, "keep_negatives is NaN"),
            (0.5, 0.0, "positive_weight is 0,"),
            (0.5, f64::INFINITY, "positive_weight is inf"),
        ] {
            let s = Sampling {
                keep_negatives,
                positive_weight,
            };
            assert!(s.check().is_err_and(|e| e.contains(word)), "{s:?}");
        }
        assert_eq!(Sampling::default().check(), Ok(()));
        let read = toml::from_str::<Sampling>("keep_negatives = 0.2");
        assert_eq!(
            read.map(|s| (s.keep_negatives, s.positive_weight)),
            Ok((0.2, 1.0))
        );
        assert!(toml::from_str::<Sampling>("keep = 0.2").is_err());
    }
}
