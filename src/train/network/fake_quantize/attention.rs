//! Attention as [`engine::attention`](crate::engine::attention) computes it:
//!
//! | value | on the grid of |
//! |---|---|
//! | rows of the list and of the candidate | their table |
//! | projections of them | whole numbers on the file's integers, times a scale an output, one rounding each |
//! | keys and queries | steps in [-127, 127] and [-63, 63], a scale a row, by the engine's [`signed_grid`] |
//! | logits | f32: the sum of products of steps times both scales |
//! | shares | 2^-15, by the engine's [`math::softmax_q15`](crate::math::softmax_q15) |
//! | output | bytes of the table's grid |
//!
//! Products and sums of whole numbers are below 2^24 (127 x 127 x 256 inputs of a projection, 63 x 127 x 64 of a logit, 127 x 2^15
//! of an output), so they are exact in f32 in whatever order: this is bit by bit the engine's.
use std::prelude::v1::*;

use crate::engine::attention::{KEY_STEPS, QUERY_STEPS, signed_grid};
use crate::math::{clamp, round};
use crate::spec::{Projection, limits};
use crate::train::network::attention::{Attended, AttentionPlan, OnGrid};
use crate::train::network::forward::{Activations, softmax};
use crate::train::network::{Network, Weights};
use crate::train::real::{Real, add_scaled, dot, gemm, matrix, matrix_mut};

use super::{Grids, softmax_q15_by};

/// Rows of a table.
struct Rows<R> {
    count: usize,
    /// `[count, width]`: whole numbers, if the table is on a grid.
    bytes: Vec<R>,
    /// What they stand for.
    values: Vec<R>,
}

/// Projections of rows: `steps` `[count, dim]` times a scale a row.
struct Projected<R> {
    steps: Vec<R>,
    scales: Vec<f32>,
}

impl<R: Real> Projected<R> {
    /// What the steps are worth, times `factor`.
    fn values(&self, dim: usize, factor: f64) -> Vec<R> {
        let rows = self.steps.chunks_exact(dim).zip(&self.scales);
        let value = |(steps, scale): (&[R], &f32)| {
            let scale = R::from_f64(f64::from(*scale) * factor);
            let values = steps.iter().map(|x| *x * scale);
            values.collect::<Vec<R>>()
        };
        rows.flat_map(value).collect()
    }
}

impl Network {
    /// Whether anything of feature number `i` of those that attend is on a grid.
    pub(in crate::train::network) fn attends_on_grids(&self, i: usize) -> bool {
        let table = self.attention[i].table;
        self.grids
            .as_ref()
            .is_some_and(|g| g.attention[i] || g.tables[table].is_some())
    }

    /// Fills the columns of x that attend, of feature number `i` of those that do, whose lists and ids are read; what is not on a
    /// grid is exact.
    pub(in crate::train::network) fn attend_on_grids<R: Real>(
        &self,
        i: usize,
        weights: &Weights<R>,
        of: &mut Attended<R>,
        x: &mut [R],
    ) {
        let Some(grids) = &self.grids else {
            return;
        };
        let plan = &self.attention[i];
        let (dim, width) = (plan.query.outputs, plan.query.inputs);
        let (grid, steps) = (&grids.tables[plan.table], grids.attention[i]);
        let mut distinct = of.rows.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let place = |row: &usize| distinct.binary_search(row).unwrap_or_default();
        let places: Vec<usize> = of.rows.iter().map(place).collect();
        let listed = grids.rows(plan, weights, &distinct);
        let candidates = grids.rows(plan, weights, &of.ids);
        let keys = self.project(grids, i, Projection::Key, weights, &listed);
        let queries = self.project(grids, i, Projection::Query, weights, &candidates);

        of.shares.resize(of.rows.len(), R::ZERO);
        let (mut logits, mut q15) = (Vec::new(), Vec::new());
        let column = self.inputs[plan.input].offset;
        for (r, x) in x.chunks_exact_mut(self.x_stride()).enumerate() {
            let out = &mut x[column..column + width];
            out.fill(R::ZERO);
            let list = of.offsets[r]..of.offsets[r + 1];
            let (places, shares) = (&places[list.clone()], &mut of.shares[list]);
            if places.is_empty() {
                continue;
            }
            let query = &queries.steps[r * dim..(r + 1) * dim];
            for (share, j) in shares.iter_mut().zip(places) {
                let sum = dot(query, &keys.steps[j * dim..(j + 1) * dim]);
                *share = if steps {
                    let logit = sum.to_f64() as f32 * (keys.scales[*j] * queries.scales[r]);
                    R::from_f64(logit.into())
                } else {
                    sum
                };
            }
            if steps {
                logits.resize(shares.len(), 0.0);
                q15.resize(shares.len(), 0);
                softmax_q15_by(shares, &mut logits, &mut q15);
            } else {
                softmax(shares, None);
            }
            let Some(grid) = grid else {
                for (share, j) in shares.iter().zip(places) {
                    let value = &listed.values[j * width..(j + 1) * width];
                    add_scaled(out, *share * of.factor, value);
                }
                continue;
            };
            for (share, j) in shares.iter().zip(places) {
                add_scaled(out, *share, &listed.bytes[j * width..(j + 1) * width]);
            }
            // What diverged stays so.
            if !out.iter().all(|x| x.finite()) {
                continue;
            }
            let mut bytes = [0; limits::EMBEDDING_DIM];
            for (byte, sum) in bytes.iter_mut().zip(out.iter()) {
                *byte = round(clamp(sum.to_f64() as f32, 0.0, 127.0)) as u8;
            }
            for (out, x) in out.iter_mut().zip(grid.values(&bytes)) {
                *out = of.factor * R::from_f64(f64::from(x as f32));
            }
        }

        // The way back is that of the exact network at these values.
        let root = libm::sqrt(dim as f64);
        of.of_ids = candidates.values;
        of.queries = queries.values(dim, root);
        of.directions.resize(candidates.count * width, R::ZERO);
        gemm(
            matrix(&of.queries, candidates.count, dim, dim),
            matrix(&weights.dense[plan.key.weights()], dim, width, width),
            matrix_mut(&mut of.directions, candidates.count, width, width),
        );
        let scale = plan.scale();
        of.directions.iter_mut().for_each(|u| *u *= scale);
        of.on_grid = Some(OnGrid {
            places,
            values: listed.values,
            keys: keys.values(dim, 1.0),
        });
    }

    /// Sums of squares, over a shard, of what queries or keys on grids differ by from those of the exact network with `weights`,
    /// and of these; a key once for each row that attends to it.
    pub(crate) fn attended_squares(
        &self,
        weights: &Weights<f32>,
        i: usize,
        of: Projection,
        exact: &Activations<f32>,
        on: &Activations<f32>,
    ) -> [f64; 2] {
        let (plan, exact, on) = (&self.attention[i], &exact.attended[i], &on.attended[i]);
        let mut sums = [0.0; 2];
        let mut add = |a: &[f32], b: &[f32]| {
            for (a, b) in a.iter().zip(b) {
                let (a, b) = (f64::from(*a), f64::from(*b));
                sums[0] += (b - a) * (b - a);
                sums[1] += a * a;
            }
        };
        if of == Projection::Query {
            add(&exact.queries, &on.queries);
            return sums;
        }
        let Some(on) = &on.on_grid else {
            return sums;
        };
        let (dim, width) = (plan.key.outputs, plan.key.inputs);
        let key = &weights.dense[plan.key.weights()];
        let mut row_key = vec![0.0; dim];
        for (row, place) in exact.rows.iter().zip(&on.places) {
            let values = &weights.tables[plan.table][row * width..(row + 1) * width];
            for (x, w) in row_key.iter_mut().zip(key.chunks_exact(width)) {
                *x = dot(w, values);
            }
            add(&row_key, &on.keys[place * dim..(place + 1) * dim]);
        }
        sums
    }

    /// Queries, or keys, of `rows`; queries are divided by the root of `dim`, as in the file.
    fn project<R: Real>(
        &self,
        grids: &Grids,
        i: usize,
        of: Projection,
        weights: &Weights<R>,
        rows: &Rows<R>,
    ) -> Projected<R> {
        let plan = &self.attention[i];
        let (matrix_of, most) = match of {
            Projection::Query => (plan.query, QUERY_STEPS),
            Projection::Key => (plan.key, KEY_STEPS),
        };
        let (dim, width, count) = (matrix_of.outputs, matrix_of.inputs, rows.count);
        let mut steps = vec![R::ZERO; count * dim];
        let mut product = |rows: &[R], weight: &[R]| {
            gemm(
                matrix(rows, count, width, width),
                matrix(weight, dim, width, width).reversed_axes(),
                matrix_mut(&mut steps, count, dim, dim),
            );
        };
        match (grids.projections.get(i), of) {
            (Some([layer, _]), Projection::Query) | (Some([_, layer]), Projection::Key) => {
                let weight = layer.weight.iter().map(|w| R::from_f64((*w).into()));
                product(&rows.bytes, &weight.collect::<Vec<R>>());
                for row in steps.chunks_exact_mut(dim) {
                    let of_outputs = layer.zero_bias.iter().zip(&layer.scale);
                    for (x, (zero, scale)) in row.iter_mut().zip(of_outputs) {
                        let sum = (x.to_f64() + f64::from(*zero)) as f32;
                        *x = R::from_f64((sum * *scale).into());
                    }
                }
            }
            _ => {
                product(&rows.values, &weights.dense[matrix_of.weights()]);
                if of == Projection::Query {
                    let scale = plan.scale();
                    steps.iter_mut().for_each(|x| *x *= scale);
                }
            }
        }
        let mut scales = vec![1.0; count];
        if grids.attention[i] {
            for (row, scale) in steps.chunks_exact_mut(dim).zip(&mut scales) {
                *scale = to_steps(row, most);
            }
        }
        Projected { steps, scales }
    }
}

/// Makes a row steps in [-most, most], and returns what one is worth: NaN if the row diverged.
pub(super) fn to_steps<R: Real>(row: &mut [R], most: f32) -> f32 {
    let mut exact = [0.0f32; limits::ATTENTION_DIM];
    let exact = &mut exact[..row.len()];
    for (to, x) in exact.iter_mut().zip(row.iter()) {
        *to = x.to_f64() as f32;
    }
    if !exact.iter().all(|x| x.is_finite()) {
        return f32::NAN;
    }
    let (inv, scale) = signed_grid(exact, most);
    for (to, x) in row.iter_mut().zip(exact.iter()) {
        *to = R::from_f64(round(*x * inv).into());
    }
    scale
}

impl Grids {
    /// Rows of the table of `plan`, on its grid if it is on one.
    fn rows<R: Real>(&self, plan: &AttentionPlan, weights: &Weights<R>, rows: &[usize]) -> Rows<R> {
        let width = plan.query.inputs;
        let mut to = Rows {
            count: rows.len(),
            bytes: Vec::new(),
            values: Vec::with_capacity(rows.len() * width),
        };
        let Some(grid) = &self.tables[plan.table] else {
            let table = &weights.tables[plan.table];
            for row in rows {
                let exact = &table[row * width..(row + 1) * width];
                to.values.extend_from_slice(exact);
            }
            return to;
        };
        for row in rows {
            self.see_row(plan.table, weights, *row, |bytes| {
                let as_real = bytes.iter().map(|b| R::from_f64((*b).into()));
                to.bytes.extend(as_real);
                let values = grid.values(bytes);
                let values = values.map(|x| R::from_f64(f64::from(x as f32)));
                to.values.extend(values);
            });
        }
        to
    }
}
