//! Quantiles of a quantity among the rows of a group: D2Q (Zhan et al., KDD 2022), whose groups are of candidates of about
//! one length.
//!
//! A group's distribution is its quantiles at `knots` equal distances from 0 to 1, with lines between them, as the file has
//! it. A label becomes its quantile by the same lines, so that inverting the quantile gives the label back: exact ranks
//! would be inverted to far more in the last part, which ends at the largest label.
use std::prelude::v1::*;

use crate::train::real::Real;

/// Labels that a group needs for a distribution of its own; one with fewer has that of all rows.
pub const GROUP_LABELS_MIN: usize = 100;

/// `[groups, knots]`: quantiles of `labels`, each with its group. All 0 without labels.
pub fn quantile_tables(labels: &[(u32, f32)], groups: usize, knots: usize) -> Vec<f32> {
    let mut all: Vec<f32> = labels.iter().map(|(_, y)| *y).collect();
    let all = quantiles(&mut all, knots);
    let mut of_groups = vec![Vec::new(); groups];
    for (group, y) in labels {
        if let Some(of) = of_groups.get_mut(*group as usize) {
            of.push(*y);
        }
    }
    let tables = of_groups.iter_mut().map(|labels| match labels.len() {
        0..GROUP_LABELS_MIN => all.clone(),
        _ => quantiles(labels, knots),
    });
    tables.flatten().collect()
}

/// The quantiles of `labels` at `knots` equal distances from the least to the largest, linear between neighbours in order.
fn quantiles(labels: &mut [f32], knots: usize) -> Vec<f32> {
    labels.sort_unstable_by(f32::total_cmp);
    let Some(last) = labels.len().checked_sub(1) else {
        return vec![0.0; knots];
    };
    let mut least = 0.0f32;
    let at = |k: usize| {
        let place = (k * last) as f64 / knots.saturating_sub(1).max(1) as f64;
        let left = (place as usize).min(last);
        let (low, high) = (
            f64::from(labels[left]),
            f64::from(labels[(left + 1).min(last)]),
        );
        let value = low + (high - low) * (place - left as f64);
        // What a file cannot hold is nothing.
        let value = if value < 1e-9 {
            0.0
        } else {
            value.min(1e9) as f32
        };
        least = least.max(value);
        least
    };
    (0..knots).map(at).collect()
}

/// The quantile of `label` among a group with the quantiles `values`: in the middle of those that are equal to it.
pub fn quantile_of<R: Real>(values: &[R], label: R) -> R {
    let last = values.len().saturating_sub(1).max(1) as f64;
    let below = values.partition_point(|v| *v < label);
    let upto = values.partition_point(|v| *v <= label);
    let place = if below < upto {
        (below + upto - 1) as f64 / 2.0
    } else if below == 0 {
        0.0
    } else if below == values.len() {
        last
    } else {
        let (low, high) = (values[below - 1].to_f64(), values[below].to_f64());
        (below - 1) as f64 + (label.to_f64() - low) / (high - low)
    };
    R::from_f64(place / last)
}

/// The value at quantile `share`, within 0..=1, of a group with the quantiles `values`; NaN if that is.
pub fn value_at<R: Real>(values: &[R], share: R) -> R {
    let last = values.len().saturating_sub(1);
    let place = share * R::from_f64(last as f64);
    let left = (place.to_f64() as usize).min(last.saturating_sub(1));
    let at = |i: usize| values.get(i).copied().unwrap_or(R::ZERO);
    at(left) + (at(left + 1) - at(left)) * (place - R::from_f64(left as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::{bce, sigmoid};

    /// By hand: labels 0, 0, 0, 4, 8 have quantiles 0, 0, 0, 4, 8 at 0, 1/4, ..; 0 is in the middle of the first three.
    #[test]
    fn quantiles_by_hand() {
        let mut labels = [8.0, 0.0, 0.0, 4.0, 0.0];
        assert_eq!(quantiles(&mut labels, 5), [0.0, 0.0, 0.0, 4.0, 8.0]);
        assert_eq!(quantiles(&mut labels, 3), [0.0, 0.0, 8.0]);
        assert_eq!(quantiles(&mut labels, 9)[4..7], [0.0, 2.0, 4.0]);
        let values = [0.0, 0.0, 0.0, 4.0, 8.0];
        for (label, quantile) in [
            (0.0, 0.25),
            (1.0, 0.5625),
            (4.0, 0.75),
            (6.0, 0.875),
            (8.0, 1.0),
            (9.0, 1.0),
        ] {
            assert_eq!(quantile_of(&values, label), quantile, "{label}");
        }
        assert_eq!(quantile_of(&[2.0, 3.0], 1.0), 0.0);
        assert_eq!(quantile_of(&[2.0, 2.0, 2.0], 2.0), 0.5);
        for label in [0.5, 4.0, 6.25, 8.0] {
            assert_eq!(value_at(&values, quantile_of(&values, label)), label);
        }
        assert_eq!(value_at(&values, 0.25), 0.0);
        assert!(value_at(&values, f64::NAN).is_nan());
    }

    #[test]
    fn groups_with_few_labels_have_the_distribution_of_all() {
        let many = (0..GROUP_LABELS_MIN).map(|i| (1, i as f32));
        let few = (1..GROUP_LABELS_MIN).map(|i| (2, 1000.0 + i as f32));
        let labels: Vec<(u32, f32)> = many.chain(few).collect();
        let tables = quantile_tables(&labels, 4, 2);
        assert_eq!(tables, [0.0, 1099.0, 0.0, 99.0, 0.0, 1099.0, 0.0, 1099.0]);
        assert_eq!(quantile_tables(&[], 2, 3), [0.0; 6]);
        // Of one label, and of what a file cannot hold.
        assert_eq!(quantile_tables(&[(0, 7.0)], 1, 3), [7.0; 3]);
        let odd = quantile_tables(&[(0, 1e-20), (0, 3e38)], 1, 2);
        assert_eq!(odd, [0.0, 1e9]);
    }

    /// Cross entropy against quantiles is least where the probability is their mean.
    #[test]
    fn the_loss_is_least_at_the_mean_quantile() {
        let values = [0.0, 1.0, 3.0, 10.0, 50.0];
        let labels = [0.0, 2.0, 2.0, 30.0];
        let mean = labels.iter().map(|y| quantile_of(&values, *y)).sum::<f64>() / 4.0;
        let z = libm::log(mean / (1.0 - mean));
        let slope = |z: f64| -> f64 {
            let of = labels.iter().map(|y| bce(z, quantile_of(&values, *y)).1);
            of.sum()
        };
        assert!(slope(z).abs() < 1e-12 && slope(z - 0.1) < 0.0 && slope(z + 0.1) > 0.0);
        assert!((sigmoid(z) - mean).abs() < 1e-12);
    }
}
