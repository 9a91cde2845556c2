//! From quantiles within a candidate's group to quantities.

use super::super::dense::float;
use super::super::inputs::Inputs;
use super::Model;
use crate::fusion::TaskSet;
use crate::spec::TaskKind;

impl Model<'_> {
    /// Makes scores of the quantiles in `scores` of tasks that are `live`. The group is read from the request's columns, also where the first layer's
    /// sums were kept.
    pub(in super::super) fn invert(
        &self,
        inputs: &Inputs<'_, '_, '_>,
        candidate: usize,
        live: TaskSet,
        scores: &mut [f32],
    ) {
        let tasks = self.spec.tasks.iter().zip(&self.knots);
        for (i, ((task, table), score)) in tasks.zip(scores).enumerate() {
            if live & 1 << i == 0 {
                continue;
            }
            if let TaskKind::Quantile { feature, knots } = task.kind {
                let group = inputs.group(feature, candidate) as usize;
                *score = quantity(table, group, knots, *score) * task.score_scale;
            }
        }
    }
}

/// The value at quantile `share`, within 0..=1, of a group, which has `knots` values at equal distances.
fn quantity(table: &[u8], group: usize, knots: u8, share: f32) -> f32 {
    let place = share * (f32::from(knots) - 1.0);
    // Up to the last knot the right one is there; at it the share of the last two is 1.
    let left = (place as usize).min(usize::from(knots).saturating_sub(2));
    let at = group * usize::from(knots) + left;
    let (low, high) = (float(table, at), float(table, at + 1));
    // Both are 0 or at least 2^-40, and a share is 0 or at least 2^-44: no product is subnormal.
    low + (high - low) * (place - left as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn quantities_lie_on_lines_between_knots() {
        let bytes =
            |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let values = bytes(&[0.0, 0.0, 4.0, 20.0, 100.0]);
        for (share, want) in [
            (0.0, 0.0),
            (0.25, 0.0),
            (0.375, 2.0),
            (0.5, 4.0),
            (0.625, 12.0),
            (0.75, 20.0),
            (0.9375, 80.0),
            (1.0, 100.0),
        ] {
            assert_eq!(quantity(&values, 0, 5, share), want, "{share}");
        }
        let values = bytes(&[9.0, 9.5, 1.0, 3.0]);
        assert_eq!(
            [0.0, 0.25, 1.0].map(|q| quantity(&values, 1, 2, q)),
            [1.0, 1.5, 3.0]
        );
        // No row of the table: nothing.
        assert_eq!(quantity(&[], 3, 2, 0.5), 0.0);
    }

    #[test]
    fn the_least_product_is_normal() {
        let least = 1.0 / (1u64 << 40) as f32;
        let values: Vec<u8> = [0.0, least].iter().flat_map(|x| x.to_le_bytes()).collect();
        let share = crate::math::sigmoid(-100.0);
        assert!(share >= 1.0 / (1u64 << 44) as f32);
        assert!((quantity(&values, 0, 2, share) * 1e-6).is_normal());
        let values: Vec<u8> = [least, least.next_up()]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        assert_eq!(quantity(&values, 0, 2, share), least);
        assert!(((least.next_up() - least) * share).is_normal());
    }
}
