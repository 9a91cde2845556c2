//! Grids of the bytes that enter the first layer.
use std::prelude::v1::*;

use super::scale;
use crate::error::Result;
use crate::spec::{Encoding, Pooling, Side, Spec};

/// The largest activation byte.
const U7_MAX: f64 = 127.0;
/// The u7 grid of each dimension of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableGrid {
    pub scales: Vec<f32>,
    pub zero_points: Vec<u8>,
}

/// One input byte: it adds scale x (byte - zero point) to input `value` of the f32 network.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputGrid {
    pub value: usize,
    pub scale: f64,
    pub zero_point: u8,
}

impl TableGrid {
    pub fn of(rows: &[f32], dim: usize) -> Result<Self> {
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
        };
        for (low, high) in low.into_iter().zip(high) {
            let scale = scale((f64::from(high) - f64::from(low)) / U7_MAX)?;
            let zero = if scale > 0.0 {
                libm::rint(-f64::from(low) / f64::from(scale)).clamp(0.0, U7_MAX)
            } else {
                0.0
            };
            grid.scales.push(scale);
            grid.zero_points.push(zero as u8);
        }
        Ok(grid)
    }

    /// Bytes of `rows`.
    pub fn quantize(&self, rows: &[f32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(rows.len());
        for row in rows.chunks_exact(self.scales.len()) {
            for ((x, scale), zero) in row.iter().zip(&self.scales).zip(&self.zero_points) {
                bytes.push(if *scale > 0.0 {
                    let steps = libm::rint(f64::from(*x) / f64::from(*scale));
                    (steps + f64::from(*zero)).clamp(0.0, U7_MAX) as u8
                } else {
                    *zero
                });
            }
        }
        bytes
    }
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
