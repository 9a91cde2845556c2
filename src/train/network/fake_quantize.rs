//! A forward pass on the device's grids (Jacob et al., "Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference", CVPR 2018, section 3):
//!
//! | value | on the grid of |
//! |---|---|
//! | embedding | its table and dimension, over the rows as they are now; pooled lists as the device pools bytes |
//! | number | its steps |
//! | weight | its output, of the first layer and side; as the exporter rounds it |
//! | hidden activation, mixture | its row, by the engine's [`quantize_row`] |
//! | gate | 2^-15, by the engine's [`math::softmax_q15`] |
//! | what attends to a list | see [`attention`] |
//!
//! The backward pass is that of the exact network at these values (the straight-through estimator; Bengio et al., arXiv
//! 1308.3432): rounding, and the two places that clip (a pooled sum beyond its bytes, a number beyond its range), pass the
//! gradient on as it is.
//!
//! Invariant: which grid a value has is the exporter's and the engine's own code; nothing here knows a number of steps.
use std::prelude::v1::*;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::features::{Embedding, Pool};
use crate::math::{self, quantize_row};
use crate::spec::{Encoding, Pooling, Spec, Table, limits};
use crate::train::dataset::{Dataset, FeatureData};
use crate::train::network::gather::{Dropout, entries};
use crate::train::network::{InputKind, Network, Weights};
use crate::train::quantize::{Quantized, TableGrid, on_grids};
use crate::train::real::Real;
use crate::train::server;

/// How the file holds the rows of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableForm {
    /// A byte a value.
    #[default]
    Whole,
    /// Four bits a value.
    Packed,
    /// Not at all: the server sends them as vectors.
    Vector,
}

impl TableForm {
    /// That of a table of the file.
    pub fn of_bits(bits: u8) -> Self {
        match bits {
            Table::PACKED => Self::Packed,
            _ => Self::Whole,
        }
    }
}

/// The grids of one step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grids {
    /// By table; those that only towers on what is known in training alone read have none.
    tables: Vec<Option<TableGrid>>,
    /// By table: all rows, of a table of at most [`FEW_ROWS`]; of others rows are rounded as they are read.
    rounded: Vec<Rounded>,
    /// By feature, of those that are served.
    encodings: Vec<Encoding>,
    /// Whether numbers are on theirs.
    numbers: bool,
    /// Whether activations and gates are on theirs.
    activations: bool,
    /// By feature that attends: whether keys, queries and shares are on theirs.
    attention: Vec<bool>,
    /// By feature that attends: integers of its queries and keys; empty unless all is on grids.
    projections: Vec<[Quantized; 2]>,
}

impl Grids {
    /// The same with a part of it alone.
    pub(crate) fn only(&self, part: Part) -> Self {
        let mut only = self.clone();
        for (t, table) in only.tables.iter_mut().enumerate() {
            *table = table.take().filter(|_| part == Part::Table(t));
        }
        only.numbers = part == Part::Numbers;
        only.activations = part == Part::Activations;
        for (i, attention) in only.attention.iter_mut().enumerate() {
            *attention = part == Part::Attention(i);
        }
        only.projections.clear();
        only
    }

    /// Shows the bytes of a table's row.
    fn see_row<R: Real>(
        &self,
        table: usize,
        weights: &Weights<R>,
        row: usize,
        see: impl FnOnce(&[u8]),
    ) {
        let Some(grid) = &self.tables[table] else {
            return;
        };
        let dim = grid.scales.len();
        let range = row * dim..(row + 1) * dim;
        if let Some(bytes) = self.rounded[table].bytes.get(range.clone()) {
            return see(bytes);
        }
        let mut exact = [0.0f32; limits::EMBEDDING_DIM];
        let mut bytes = [0; limits::EMBEDDING_DIM];
        let (exact, bytes) = (&mut exact[..dim], &mut bytes[..dim]);
        for (to, x) in exact.iter_mut().zip(&weights.tables[table][range]) {
            *to = x.to_f64() as f32;
        }
        grid.quantize_row(exact, bytes);
        see(bytes);
    }
}

/// A part of what is on grids besides weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Rows of a table of the network.
    Table(usize),
    /// Numbers.
    Numbers,
    /// Activations and gates.
    Activations,
    /// Keys, queries and shares of a feature that attends.
    Attention(usize),
}

/// Rows of a table as bytes, and what these stand for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rounded {
    bytes: Vec<u8>,
    values: Vec<f32>,
}

/// A batch reads each of so few rows about once or more often. Where rows are rounded never changes a bit.
const FEW_ROWS: usize = 2048;

/// What a positive activation that rounds to 0 is instead: no sum in f32 or f64 notices it beside others, and the backward
/// pass sees that the output was not cut off.
const ROUNDED_TO_ZERO: f64 = 1.0 / (1u64 << 60) as f64;

impl Network {
    /// Puts this network on the grids that an export of `weights` would choose, with the tables of `spec` in `forms` (bytes
    /// where it ends); the dense weights on theirs.
    ///
    /// # Errors
    /// [`Status::BadScale`](crate::error::Status::BadScale) for values that no file can hold.
    pub(crate) fn put_on_grids(
        &mut self,
        spec: &Spec<'_>,
        forms: &[TableForm],
        weights: &Weights<f32>,
    ) -> Result<Vec<f32>> {
        let groups = spec.groups();
        let served = &weights.tables[..spec.tables.len() * groups];
        let grid = |(i, rows): (usize, &Vec<f32>)| {
            let dim = usize::from(spec.tables[i / groups].embedding_dim);
            match forms.get(i / groups).copied().unwrap_or_default() {
                TableForm::Vector => Ok(TableGrid::of_vector(server::grid_of(rows), dim)),
                form => TableGrid::of(rows, dim, form == TableForm::Packed),
            }
        };
        let tables = served.par_iter().enumerate().with_max_len(1).map(grid);
        let tables: Vec<TableGrid> = tables.collect::<Result<_>>()?;
        let rounded = |(grid, (i, rows)): (&TableGrid, (usize, &Vec<f32>))| {
            if self.tables[i].num_embeddings > FEW_ROWS {
                return Rounded::default();
            }
            let bytes = grid.quantize(rows);
            let mut values = vec![0.0; bytes.len()];
            let dim = grid.scales.len();
            let to = values.chunks_exact_mut(dim);
            for (bytes, to) in bytes.chunks_exact(dim).zip(to) {
                for (to, x) in to.iter_mut().zip(grid.values(bytes)) {
                    *to = x as f32;
                }
            }
            Rounded { bytes, values }
        };
        let of = tables.par_iter().zip(served.par_iter().enumerate());
        let rounded = of.with_max_len(1).map(rounded).collect();
        let layers = on_grids(spec, &self.dense_parameters(&weights.dense), &tables)?;
        let dense = self.weights(layers.parameters).dense;
        self.grids = Some(Grids {
            tables: tables.into_iter().map(Some).collect(),
            rounded,
            encodings: spec.features.iter().map(|f| f.encoding).collect(),
            numbers: true,
            activations: true,
            attention: vec![true; self.attention.len()],
            projections: layers.projections,
        });
        Ok(dense)
    }

    /// The grid that an input's table is on.
    pub(super) fn on_grid(&self, kind: InputKind) -> Option<&TableGrid> {
        self.grids.as_ref()?.tables.get(kind.table()?)?.as_ref()
    }

    /// A number as the network reads it.
    pub(super) fn number(&self, feature: usize, x: f32) -> f64 {
        let grids = self.grids.as_ref().filter(|g| g.numbers);
        let encodings = grids.map(|g| &g.encodings[..]);
        match encodings.and_then(|e| e.get(feature)) {
            Some(Encoding::Number {
                value: Some(grid), ..
            }) => {
                let steps = i32::from(grid.steps(x)) - i32::from(grid.zero_point);
                f64::from(steps) / f64::from(grid.inv_scale)
            }
            _ => x.into(),
        }
    }

    /// Fills the columns of input `i`, whose table is on a grid, for `row` of the data set: (row, its place in the feature's
    /// data, its place in the batch).
    pub(super) fn gather_on_grid<R: Real>(
        &self,
        i: usize,
        weights: &Weights<R>,
        data: &Dataset,
        (row, at, position): (u32, usize, usize),
        dropout: Option<&Dropout>,
        out: &mut [R],
    ) {
        let (input, dim) = (&self.inputs[i], self.inputs[i].dim);
        let (Some(grids), Some(table)) = (&self.grids, input.kind.table()) else {
            return;
        };
        let (Some(grid), few) = (&grids.tables[table], &grids.rounded[table]) else {
            return;
        };
        out.fill(R::ZERO);
        let put = |bytes: &[u8], factor: R, out: &mut [R]| {
            for (out, x) in out.iter_mut().zip(grid.values(bytes)) {
                *out = factor * R::from_f64(f64::from(x as f32));
            }
        };
        let InputKind::Rows { pooling, .. } = input.kind else {
            entries(
                self,
                i,
                data,
                row,
                position,
                dropout,
                |row, factor: R| match few.values.get(row * dim..(row + 1) * dim) {
                    Some(values) => {
                        for (out, x) in out.iter_mut().zip(values) {
                            *out = factor * R::from_f64(f64::from(*x));
                        }
                    }
                    None => grids.see_row(table, weights, row, |bytes| put(bytes, factor, out)),
                },
            );
            return;
        };
        let Encoding::Rows { divisor, .. } = grids.encodings[input.feature] else {
            return;
        };
        let FeatureData::Lists {
            offsets,
            weights: of_ids,
            ..
        } = &data.features[input.feature]
        else {
            return;
        };
        let mut pool = Pool::new(pooling, divisor);
        let mut element = offsets[at] as usize;
        entries(self, i, data, row, position, dropout, |row, _: R| {
            let weight = of_ids.as_ref().map(|w| w[element]);
            let add = |bytes: &[u8]| pool.add(Embedding::whole(bytes), weight);
            grids.see_row(table, weights, row, add);
            element += 1;
        });
        // Left out whole, or empty.
        if element == offsets[at] as usize {
            return;
        }
        let mut pooled = [0; limits::EMBEDDING_DIM];
        pool.finish(&grid.zero_points, &mut pooled[..dim]);
        let kept = dropout.map_or(1.0, |d| 1.0 / (1.0 - d.rates.embedding));
        let of_sum = match pooling {
            Pooling::Mean => 1.0,
            Pooling::Sum => f64::from(divisor),
        };
        put(&pooled[..dim], R::from_f64(kept * of_sum), out);
    }

    /// Whether activations and gates are on the device's grids.
    pub(super) fn rounds_activations(&self) -> bool {
        self.grids.as_ref().is_some_and(|g| g.activations)
    }

    /// Rounds the outputs of an expert layer that others follow.
    pub(super) fn round_experts<R: Real>(&self, layer: usize, y: &mut [R]) {
        let width = self.expert_widths[layer];
        if layer + 1 < self.expert_widths.len() {
            for e in 0..self.num_experts {
                self.round(y, self.hidden_stride(layer), e * width, width);
            }
        }
    }

    /// Rounds activations as the device hands them to the next layer: the `width` columns from `first` on of every `stride`.
    /// Rows with NaN or an infinity stay, so that a network that diverged is an error.
    pub(super) fn round<R: Real>(&self, y: &mut [R], stride: usize, first: usize, width: usize) {
        if !self.rounds_activations() {
            return;
        }
        let (mut exact, mut bytes) = ([0.0f32; limits::WIDTH], [0; limits::WIDTH]);
        let (exact, bytes) = (&mut exact[..width], &mut bytes[..width]);
        for row in y.chunks_mut(stride) {
            let row = &mut row[first..first + width];
            let mut finite = true;
            for (to, x) in exact.iter_mut().zip(row.iter()) {
                *to = x.to_f64() as f32;
                finite &= to.is_finite();
            }
            if !finite {
                continue;
            }
            let scale = f64::from(quantize_row(exact, bytes));
            for (y, byte) in row.iter_mut().zip(bytes.iter()) {
                if *byte > 0 {
                    *y = R::from_f64(f64::from(*byte) * scale);
                } else if *y > R::ZERO {
                    *y = R::from_f64(ROUNDED_TO_ZERO);
                }
            }
        }
    }
}

/// A gate's logits -> softmax in 2^-15, as the device has it.
pub(super) fn softmax_q15<R: Real>(z: &mut [R]) {
    let (mut logits, mut weights) = ([0.0f32; limits::EXPERTS], [0u16; limits::EXPERTS]);
    softmax_q15_by(z, &mut logits[..z.len()], &mut weights[..z.len()]);
}

/// The same of any number of logits, by way of as many of both.
fn softmax_q15_by<R: Real>(z: &mut [R], logits: &mut [f32], weights: &mut [u16]) {
    for (to, z) in logits.iter_mut().zip(z.iter()) {
        *to = z.to_f64() as f32;
    }
    // NaN must come through.
    if !logits.iter().all(|z| z.is_finite()) {
        z.fill(R::from_f64(f64::NAN));
        return;
    }
    math::softmax_q15(logits, weights);
    for (z, w) in z.iter_mut().zip(weights.iter()) {
        *z = R::from_f64(f64::from(*w) / 32768.0);
    }
}

mod attention;
#[cfg(test)]
mod tests;
