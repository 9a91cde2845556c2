//! Means over seeds, and paired differences with intervals.
//!
//! A difference pairs runs of one seed. With n pairs of mean d and standard deviation s, the 95 % interval is
//! d ± t s / sqrt(n), t the 0.975 quantile of Student's t with n - 1 degrees of freedom. It says how sure the difference is
//! over seeds; the validation rows are the same in all runs, so it says nothing of other rows.
use std::prelude::v1::*;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean and spread of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub n: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (n - 1); `None` for one number.
    pub sd: Option<f64>,
}

impl Summary {
    /// Of `values`; `None` for none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Some(Self {
            n,
            mean,
            sd: (n > 1).then(|| libm::sqrt(squares / (n - 1) as f64)),
        })
    }
}

/// A variant less the first one, seed by seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Pairs.
    pub n: usize,
    /// Mean difference.
    pub mean: f64,
    /// 95 % interval; `None` for one pair.
    pub interval: Option<[f64; 2]>,
}

impl Difference {
    /// Of pairs (variant, first); `None` for none.
    pub fn paired(pairs: &[(f64, f64)]) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
        let Summary { n, mean, sd } = Summary::of(&differences)?;
        let interval = sd.and_then(|sd| {
            let half = t_quantile(n - 1)? * sd / libm::sqrt(n as f64);
            Some([mean - half, mean + half])
        });
        Some(Self { n, mean, interval })
    }

    /// Whether the interval leaves 0 out.
    pub fn excludes_zero(&self) -> bool {
        self.interval
            .is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }
}

/// The 0.975 quantile of Student's t.
fn t_quantile(degrees: usize) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, degrees as f64).ok()?;
    Some(t.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (degrees, t) in [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042)] {
            assert!((t_quantile(degrees).unwrap() - t).abs() < 5e-4, "{degrees}");
        }
    }

    /// Differences 1, 2, 3, 4, 5: mean 3, standard deviation sqrt(2.5) = 1.58114, standard error sqrt(0.5) = 0.70711,
    /// t of 4 degrees 2.77645: half the interval is 1.96324.
    #[test]
    fn a_paired_interval_is_the_one_computed_by_hand() {
        let pairs = [
            (11.0, 10.0),
            (22.0, 20.0),
            (33.0, 30.0),
            (44.0, 40.0),
            (55.0, 50.0),
        ];
        let d = Difference::paired(&pairs).unwrap();
        let [low, high] = d.interval.unwrap();
        assert_eq!((d.n, d.mean), (5, 3.0));
        assert!((low - (3.0 - 1.96324)).abs() < 1e-4 && (high - (3.0 + 1.96324)).abs() < 1e-4);
        assert!(d.excludes_zero());
        let s = Summary::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert!((s.sd.unwrap() - 1.581139).abs() < 1e-6);
    }

    #[test]
    fn one_pair_has_no_interval_and_none_no_difference() {
        let d = Difference::paired(&[(2.0, 1.0)]).unwrap();
        assert_eq!((d.mean, d.interval, d.excludes_zero()), (1.0, None, false));
        assert_eq!(Difference::paired(&[]), None);
        let equal = Difference::paired(&[(1.0, 1.0), (2.0, 2.0)]).unwrap();
        assert_eq!(
            (equal.interval, equal.excludes_zero()),
            (Some([0.0, 0.0]), false)
        );
    }
}
