//! Weights of a layer on their i8 grid.
//!
//! A kernel that adds four products in 16 bits is a third faster than one that adds two (`kernels/avx2.rs`), and exact if
//! the weights let it: a byte is at most 127, so weights of one sign among the four may come to 258 in magnitude. Of trained
//! layers some outputs in a hundred have such a four; their scale is made a few per cent coarser until they fit.
use std::prelude::v1::*;

use super::{rint, scale};
use crate::error::Result;
use crate::kernels::QUAD_MAX;
use crate::spec::padded;
use crate::train::parameters::Dense;

/// The largest magnitude of a weight: -128 is never written.
const I8_MAX: f64 = 127.0;

/// A layer in the file's element types; `scale`, `bias` and `zero_bias` have [`padded`] outputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Quantized {
    /// `[outputs, inputs]`, row-major.
    pub weight: Vec<i8>,
    pub scale: Vec<f32>,
    pub zero_bias: Vec<i32>,
}

impl Quantized {
    /// Rows of weights, each on its own scale.
    pub fn of(rows: impl Iterator<Item = Vec<f64>>) -> Result<Self> {
        let mut layer = Self::default();
        for row in rows {
            let (scale, weights) = quantize(&row)?;
            layer.scale.push(scale);
            layer.weight.extend(weights);
        }
        let outputs = padded(layer.scale.len());
        layer.scale.resize(outputs, 0.0);
        Ok(layer)
    }

    /// Makes the integer bias of inputs with these zero points: -(sum of weight x zero point) of each output.
    pub fn fold(&mut self, zero_points: &[u8]) {
        let of_row = |row: &[i8]| {
            let products = row.iter().zip(zero_points);
            -products
                .map(|(w, z)| i32::from(*w) * i32::from(*z))
                .sum::<i32>()
        };
        let rows = self.weight.chunks_exact(zero_points.len());
        self.zero_bias = rows.map(of_row).collect();
        self.zero_bias.resize(self.scale.len(), 0);
    }

    /// That bias in the file.
    pub fn zero_bias_bytes(&self) -> Vec<u8> {
        self.zero_bias
            .iter()
            .flat_map(|b| b.to_le_bytes())
            .collect()
    }

    /// The first `inputs` columns of a layer.
    pub fn dense(d: &Dense<f32>, inputs: usize) -> Result<Self> {
        Self::of(d.weight.chunks_exact(d.inputs).map(|row| {
            let row = row[..inputs].iter();
            row.map(|w| f64::from(*w)).collect()
        }))
    }
}

/// The weights of one output and their scale.
fn quantize(row: &[f64]) -> Result<(f32, Vec<i8>)> {
    let max = row.iter().fold(0.0, |max: f64, w| max.max(w.abs()));
    let mut step = max / I8_MAX;
    loop {
        let scale = scale(step)?;
        let weights: Vec<i8> = row
            .iter()
            .map(|w| {
                if scale > 0.0 {
                    rint(w / f64::from(scale)).clamp(-I8_MAX, I8_MAX) as i8
                } else {
                    0
                }
            })
            .collect();
        let worst = worst_quad(&weights);
        if worst <= QUAD_MAX {
            return Ok((scale, weights));
        }
        // At least by 0.1 %, so that rounding up again cannot go on for ever.
        step *= (f64::from(worst) / f64::from(QUAD_MAX)).max(1.001);
    }
}

/// The most that weights of one sign come to among the four that meet in 16 bits: inputs 8 k + {0, 1, 4, 5} and
/// 8 k + {2, 3, 6, 7}.
fn worst_quad(weights: &[i8]) -> i32 {
    let mut worst = 0;
    for eight in weights.chunks(8) {
        for first in [0, 2] {
            let quad = [first, first + 1, first + 4, first + 5];
            let quad = quad.iter().filter_map(|i| eight.get(*i));
            let (mut above, mut below) = (0, 0);
            for w in quad {
                above += i32::from(*w).max(0);
                below += i32::from(*w).min(0);
            }
            worst = worst.max(above).max(-below);
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_whose_weights_are_too_many_of_one_sign_gets_a_coarser_scale() {
        // 127 x 3 = 381 > 258, in inputs 0, 1 and 5; the fourth is 4.
        let row = [1.0, 1.0, -1.0, 0.5, 0.0, 1.0, 0.0, 0.0, 1.0];
        let (scale, weights) = quantize(&row).expect("finite");
        assert!(
            worst_quad(&weights) <= QUAD_MAX && worst_quad(&weights) > 250,
            "{weights:?}"
        );
        assert!(
            (f64::from(scale) * 127.0 - 381.0 / 258.0).abs() < 0.02,
            "{scale}"
        );
        for (w, want) in weights.iter().zip(row) {
            assert!(
                (f64::from(*w) * f64::from(scale) - want).abs() <= f64::from(scale) / 2.0 + 1e-9
            );
        }
    }

    #[test]
    fn weights_that_fit_use_the_whole_grid() {
        // Four of one sign, but never three in one quad; signs that differ do not add up.
        let row = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 0.0, 0.0];
        let (scale, weights) = quantize(&row).expect("finite");
        assert_eq!(scale, 1.0 / 127.0);
        assert_eq!(weights, [127, 127, 127, 127, -127, -127, 0, 0]);
        assert_eq!(worst_quad(&weights), 254);
    }
}
