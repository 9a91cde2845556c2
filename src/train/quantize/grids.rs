//! Grids of the bytes that enter the first layer.
use std::prelude::v1::*;

use super::{rint, scale};
use crate::error::Result;
use crate::spec::{Encoding, Grid, Pooling, Side, Spec};

/// The largest activation byte.
const U7_MAX: f64 = 127.0;
/// The largest half of a packed byte.
const HALF_MAX: f64 = 15.0;
/// Activation bytes from one half to the next.
const HALF_STEP: u8 = 8;

/// The grid of each dimension of a table, of activation bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableGrid {
    pub scales: Vec<f32>,
    pub zero_points: Vec<u8>,
    /// Every byte is a multiple of this: 1, or 8 in a packed table.
    step: u8,
}

/// One input byte: it adds scale x (byte - zero point) to input `value` of the f32 network.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputGrid {
    pub value: usize,
    pub scale: f64,
    pub zero_point: u8,
}

impl TableGrid {
    pub fn of(rows: &[f32], dim: usize, packed: bool) -> Result<Self> {
        let (mut low, mut high) = (vec![0.0f32; dim], vec![0.0f32; dim]);
        for row in rows.chunks_exact(dim) {
            for ((low, high), x) in low.iter_mut().zip(&mut high).zip(row) {
                *low = low.min(*x);
                *high = high.max(*x);
            }
        }
        let mut grid = Self {
            scales: Vec::with_capacity(dim),
            zero_points: Vec::with_capacity(dim),
            step: if packed { HALF_STEP } else { 1 },
        };
        for (low, high) in low.into_iter().zip(high) {
            let range = f64::from(high) - f64::from(low);
            let scale = scale(range / grid.most() / f64::from(grid.step))?;
            let zero = if scale > 0.0 {
                rint(-f64::from(low) / grid.value(scale)).clamp(0.0, grid.most())
            } else {
                0.0
            };
            grid.scales.push(scale);
            grid.zero_points.push(zero as u8 * grid.step);
        }
        Ok(grid)
    }

    /// The grid of a vector in all dimensions.
    pub fn of_vector(grid: Grid, dim: usize) -> Self {
        Self {
            scales: vec![1.0 / grid.inv_scale; dim],
            zero_points: vec![grid.zero_point; dim],
            step: 1,
        }
    }

    /// The largest number of steps.
    fn most(&self) -> f64 {
        if self.step == 1 { U7_MAX } else { HALF_MAX }
    }

    /// What one step is worth, of a dimension with this scale.
    fn value(&self, scale: f32) -> f64 {
        f64::from(scale) * f64::from(self.step)
    }

    /// Activation bytes of `rows`.
    pub fn quantize(&self, rows: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0; rows.len()];
        let dim = self.scales.len();
        for (row, to) in rows.chunks_exact(dim).zip(bytes.chunks_exact_mut(dim)) {
            self.quantize_row(row, to);
        }
        bytes
    }

    /// What the bytes of a row stand for.
    pub fn values(&self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        let grid = self.scales.iter().zip(&self.zero_points);
        bytes.iter().zip(grid).map(|(byte, (scale, zero))| {
            let steps = i32::from(*byte) - i32::from(*zero);
            f64::from(steps) * f64::from(*scale)
        })
    }

    /// Activation bytes of one row.
    pub fn quantize_row(&self, row: &[f32], to: &mut [u8]) {
        let grid = self.scales.iter().zip(&self.zero_points);
        for ((x, to), (scale, zero)) in row.iter().zip(to).zip(grid) {
            *to = if *scale > 0.0 {
                let steps = rint(f64::from(*x) / self.value(*scale));
                let zero = f64::from(*zero / self.step);
                (steps + zero).clamp(0.0, self.most()) as u8 * self.step
            } else {
                *zero
            };
        }
    }
}

/// Activation bytes of packed rows, two a byte of the file.
pub(super) fn pack(rows: &[u8], dim: usize) -> Vec<u8> {
    let pair = |pair: &[u8]| {
        let half = |d: usize| pair.get(d).map_or(0, |byte| byte / HALF_STEP);
        half(0) | half(1) << 4
    };
    let rows = rows.chunks_exact(dim);
    rows.flat_map(|row| row.chunks(2)).map(pair).collect()
}

/// The grids of the input bytes of a group's side, in order; values count from the side's first.
pub(super) fn input_grids(
    spec: &Spec<'_>,
    group: usize,
    side: Side,
    grids: &[TableGrid],
) -> Vec<InputGrid> {
    let mut all = Vec::new();
    let mut first = 0;
    for input in spec.inputs(side) {
        let encoding = spec.features[input.feature].encoding;
        match (input.table, encoding) {
            (Some(table), _) => {
                let factor = match encoding {
                    Encoding::Rows {
                        pooling: Pooling::Sum,
                        divisor,
                        ..
                    } => f64::from(divisor),
                    _ => 1.0,
                };
                let grid = &grids[table * spec.groups() + group];
                let dims = grid.scales.iter().zip(&grid.zero_points);
                all.extend(dims.enumerate().map(|(d, (s, z))| InputGrid {
                    value: first + d,
                    scale: f64::from(*s) * factor,
                    zero_point: *z,
                }));
            }
            (
                None,
                Encoding::Number {
                    value: Some(grid), ..
                },
            ) => all.extend((0..input.dim).map(|j| InputGrid {
                value: first,
                scale: 1.0 / f64::from(grid.inv_scale),
                zero_point: grid.byte(grid.zero_point, j),
            })),
            (None, Encoding::Vector { grid, .. }) => {
                all.extend((0..input.dim).map(|d| InputGrid {
                    value: first + d,
                    scale: 1.0 / f64::from(grid.inv_scale),
                    zero_point: grid.zero_point,
                }));
            }
            // Only numbers and vectors have inputs without a table.
            (None, _) => {}
        }
        first += input.values;
    }
    all
}
