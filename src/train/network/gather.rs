//! From the data set to the input vector, and gradients of the input vector back to embedding rows. Both walk the
//! same entries, so that what was read is what learns.
use std::prelude::v1::*;

use crate::spec::Pooling;
use crate::train::dataset::{Dataset, FeatureData};
use crate::train::network::{InputKind, InputPlan, Network, Weights};
use crate::train::options::DropoutRates;
use crate::train::random::Key;
use crate::train::real::{Real, add_scaled};

/// What one training step leaves out: a function of the seed, the step and the row's position in the batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    pub rates: DropoutRates,
    pub key: Key,
}

/// What a draw is for: the first branch of a step's key.
#[derive(Clone, Copy)]
pub(crate) enum Draw {
    Id,
    Embedding,
    Gate,
    Hidden,
    Position,
}

impl Dropout {
    /// `None` if nothing is ever left out.
    pub(crate) fn of(rates: DropoutRates, seed: u64, step: u64) -> Option<Self> {
        (rates != DropoutRates::default()).then(|| Self {
            rates,
            key: Key::new(seed).at(2).at(step),
        })
    }

    /// The draws of one row.
    #[inline]
    pub(crate) fn row(&self, draw: Draw, layer: usize, position: usize) -> Key {
        self.key
            .at(draw as u64)
            .at(layer as u64)
            .at(position as u64)
    }
}

/// Calls `each` with every table row that input `i` reads in data row `row`, and its factor. `position` is the row's
/// place in the batch.
pub(super) fn entries<R: Real>(
    network: &Network,
    i: usize,
    data: &Dataset,
    row: u32,
    position: usize,
    dropout: Option<&Dropout>,
    mut each: impl FnMut(usize, R),
) {
    let input = &network.inputs[i];
    let at = if input.user {
        data.request[row as usize] as usize
    } else {
        row as usize
    };
    let mut factor = 1.0;
    let mut ids = None;
    if let Some(d) = dropout {
        if d.rates.embedding > 0.0 {
            if d.row(Draw::Embedding, i, position)
                .chance(d.rates.embedding)
            {
                return;
            }
            factor = 1.0 / (1.0 - d.rates.embedding);
        }
        if d.rates.id > 0.0
            && input
                .kind
                .table()
                .is_some_and(|t| network.tables[t].vocabulary)
        {
            ids = Some((d.row(Draw::Id, i, position), d.rates.id));
        }
    }
    let seen = |row: u32, element: usize| match ids {
        Some((key, rate)) if key.at(element as u64).chance(rate) => 0,
        _ => row as usize,
    };
    match (&data.features[input.feature], input.kind) {
        (FeatureData::Rows(rows), _) => each(seen(rows[at], 0), R::from_f64(factor)),
        (FeatureData::Numbers { buckets, .. }, _) => {
            each(seen(buckets[at], 0), R::from_f64(factor))
        }
        (
            FeatureData::Lists {
                offsets,
                rows,
                weights,
            },
            InputKind::Rows { pooling, .. },
        ) => {
            let range = offsets[at] as usize..offsets[at + 1] as usize;
            let weights = weights.as_ref().map(|w| &w[range.clone()]);
            let total = match (pooling, weights) {
                (Pooling::Sum, None) => 1.0,
                (Pooling::Sum, Some(_)) => 32768.0,
                (Pooling::Mean, None) => range.len() as f64,
                (Pooling::Mean, Some(w)) => w.iter().map(|w| f64::from(*w)).sum(),
            };
            if total == 0.0 {
                return;
            }
            let factor = factor / total;
            for (element, row) in rows[range].iter().enumerate() {
                let weight = weights.map_or(1.0, |w| f64::from(w[element]));
                each(seen(*row, element), R::from_f64(factor * weight));
            }
        }
        _ => unreachable!("the data set was read by the same spec"),
    }
}

impl Network {
    /// Fills x `[rows, x_stride]`; the first of `rows` is at `position` of the batch.
    pub(crate) fn gather<R: Real>(
        &self,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
        position: usize,
        dropout: Option<&Dropout>,
        x: &mut [R],
    ) {
        self.gather_by(weights, data, rows, position, dropout, &|_| true, x);
    }

    /// Fills the columns of some inputs of x, without dropout.
    pub(crate) fn gather_some<R: Real>(
        &self,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
        some: &dyn Fn(&InputPlan) -> bool,
        x: &mut [R],
    ) {
        self.gather_by(weights, data, rows, 0, None, some, x);
    }

    #[allow(clippy::too_many_arguments)] // A batch, and which of its columns.
    fn gather_by<R: Real>(
        &self,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
        position: usize,
        dropout: Option<&Dropout>,
        some: &dyn Fn(&InputPlan) -> bool,
        x: &mut [R],
    ) {
        // Input by input: the cache misses of one column's rows do not wait for each other.
        for (index, input) in self.inputs.iter().enumerate().filter(|(_, i)| some(i)) {
            // By the shard: `Network::attend`.
            if input.kind == InputKind::Attention {
                continue;
            }
            let x = x.chunks_exact_mut(self.x_stride());
            for (i, (row, x)) in rows.iter().zip(x).enumerate() {
                let InputPlan {
                    feature,
                    user,
                    offset,
                    dim,
                    kind,
                    ..
                } = *input;
                let at = if user {
                    data.request[*row as usize] as usize
                } else {
                    *row as usize
                };
                let out = &mut x[offset..offset + dim];
                match (&data.features[feature], kind) {
                    (FeatureData::Numbers { values, .. }, InputKind::Value) => {
                        out[0] = R::from_f64(self.number(feature, values[at]));
                    }
                    (FeatureData::Vectors(bytes), InputKind::Vector { zero_point, step }) => {
                        for (o, b) in out.iter_mut().zip(&bytes[at * dim..(at + 1) * dim]) {
                            *o = R::from_f64((f64::from(*b) - zero_point) * step);
                        }
                    }
                    _ if self.on_grid(kind).is_some() => {
                        let row = (*row, at, position + i);
                        self.gather_on_grid(index, weights, data, row, dropout, out);
                    }
                    _ => {
                        out.fill(R::ZERO);
                        let table = kind.table().map_or(&[][..], |t| &weights.tables[t][..]);
                        entries(
                            self,
                            index,
                            data,
                            *row,
                            position + i,
                            dropout,
                            |row, factor| {
                                add_scaled(out, factor, &table[row * dim..(row + 1) * dim]);
                            },
                        );
                    }
                }
            }
        }
    }
}

/// The gradient of one table: only the rows that a batch read.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableGradient<R> {
    /// Table row to its place in `rows`, or `u32::MAX`.
    slots: Vec<u32>,
    /// The rows read, in order of first reading.
    pub rows: Vec<u32>,
    /// `[rows, embedding_dim]`.
    pub values: Vec<R>,
}

impl<R: Real> TableGradient<R> {
    /// Collects the gradient of `table` from dx, `[x_stride]` per row: input by input, each in row order.
    /// Where a task owns the table, rows that its loss does not reach are not read.
    pub(crate) fn scatter<'x>(
        &mut self,
        network: &Network,
        table: usize,
        data: &Dataset,
        rows: &[u32],
        dropout: Option<&Dropout>,
        dx: impl Iterator<Item = &'x [R]> + Clone,
    ) {
        let plan = network.tables[table];
        self.slots.resize(plan.num_embeddings, u32::MAX);
        for row in self.rows.drain(..) {
            self.slots[row as usize] = u32::MAX;
        }
        self.values.clear();
        for (i, input) in network.inputs.iter().enumerate() {
            if input.kind.table() != Some(table) {
                continue;
            }
            let offset = input.offset;
            for (position, (row, dx)) in rows.iter().zip(dx.clone()).enumerate() {
                let dx = &dx[offset..offset + plan.dim];
                if plan.owner.is_some() && dx.iter().all(|d| *d == R::ZERO) {
                    continue;
                }
                entries(network, i, data, *row, position, dropout, |row, factor| {
                    add_scaled(self.row(row, plan.dim), factor, dx);
                });
            }
        }
    }

    /// The gradient of a row that the batch read.
    pub(super) fn row(&mut self, row: usize, dim: usize) -> &mut [R] {
        let slot = &mut self.slots[row];
        if *slot == u32::MAX {
            *slot = self.rows.len() as u32;
            self.rows.push(row as u32);
            self.values.resize(self.values.len() + dim, R::ZERO);
        }
        let start = *slot as usize * dim;
        &mut self.values[start..start + dim]
    }
}
