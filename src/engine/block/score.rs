//! From a logit to a score, and an attention gate's dot product.

use crate::kernels::{self, Isa};
use crate::math::{ACTIVATION_MIN, clamp, exp};
use crate::spec::{Calibration, Task, TaskKind};

/// Scores in place of logits of rows; see [`TaskKind`] and [`Calibration`].
pub(super) fn scores(isa: Isa, task: &Task<'_>, knots: &[u8], values: &mut [f32]) {
    for x in &mut *values {
        *x = match (task.kind, task.calibration) {
            // e^20 s is 15 years: no duration is longer.
            (TaskKind::Duration, _) => (exp(clamp(*x, 0.0, 20.0)) - 1.0) * task.score_scale,
            (TaskKind::Odds, _) => exp(clamp(*x, -30.0, 20.0)) * task.score_scale,
            // What its logits say together.
            (TaskKind::Steps { .. }, _) => *x * task.score_scale,
            (TaskKind::Binary, Calibration::Isotonic { .. }) => interpolate(knots, *x),
            // The clamp keeps the product finite.
            (TaskKind::Binary, Calibration::Platt { scale, offset }) => {
                clamp(*x, -1e6, 1e6) * scale + offset
            }
            (TaskKind::Binary, Calibration::None) => *x,
            #[cfg(feature = "quantile")]
            (TaskKind::Quantile { .. }, _) => *x,
        };
    }
    let is_sigmoid = match (task.kind, task.calibration) {
        (TaskKind::Binary, Calibration::Isotonic { .. }) => false,
        (TaskKind::Binary, Calibration::None | Calibration::Platt { .. }) => true,
        // Among its group: `Model::invert` makes seconds of it.
        #[cfg(feature = "quantile")]
        (TaskKind::Quantile { .. }, _) => true,
        (TaskKind::Duration | TaskKind::Odds | TaskKind::Steps { .. }, _) => false,
    };
    if is_sigmoid {
        kernels::sigmoid(isa, values);
    }
}

/// Linear between knots (logits, then their probabilities), flat outside.
fn interpolate(knots: &[u8], logit: f32) -> f32 {
    let (x, y) = knots.split_at_checked(knots.len() / 2).unwrap_or_default();
    let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    let mut left: Option<(f32, f32)> = None;
    for (x, y) in x.as_chunks::<4>().0.iter().zip(y.as_chunks::<4>().0) {
        let right = (number(x), number(y));
        if logit < right.0 {
            return left.map_or(right.1, |left| {
                let share = (logit - left.0) / (right.0 - left.0);
                left.1 + (right.1 - left.1) * share
            });
        }
        left = Some(right);
    }
    left.map_or(0.0, |left| left.1)
}

/// query . key in the order of the values. What is below 2^-40 is 0, so that no product is subnormal, and a query's value
/// is at most 2^40, so that no sum is infinite.
pub(super) fn product(query: &[f32], key: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (q, k) in query.iter().zip(key) {
        let q = clamp(
            *q,
            -crate::math::ACTIVATION_MAX,
            crate::math::ACTIVATION_MAX,
        );
        let small = (q > -ACTIVATION_MIN && q < ACTIVATION_MIN) || *k < ACTIVATION_MIN;
        sum += if small { 0.0 } else { q * *k };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn an_isotonic_calibration_is_linear_between_knots_and_flat_outside() {
        let knots: Vec<u8> = [-1.0f32, 1.0, 3.0, 0.25, 0.5, 1.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        for (z, p) in [
            (-9.0, 0.25),
            (-1.0, 0.25),
            (0.0, 0.375),
            (1.0, 0.5),
            (2.0, 0.75),
            (3.0, 1.0),
            (9.0, 1.0),
        ] {
            assert_eq!(interpolate(&knots, z), p, "{z}");
        }
    }

    #[test]
    fn a_product_has_no_subnormal_terms() {
        assert_eq!(product(&[2.0, -3.0], &[0.5, 1.0]), -2.0);
        assert_eq!(product(&[1e-30, 1e30], &[1e-30, 1e-30]), 0.0);
        assert!(product(&[f32::MAX; 4], &[1e12; 4]).is_finite());
    }
}
