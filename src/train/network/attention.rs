//! Target attention over a list of the user (Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018),
//! with the scaled dot product of Vaswani et al. (2017) as activation unit:
//!
//! q = W_q e_c, k_j = W_k e_j, a = softmax(q . k_j / sqrt(dim)), out = sum of a_j e_j
//!
//! for the embedding e_c of the candidate's id and e_j of the list's rows, all of one table. An empty list gives 0. Since
//! q . k_j = (W_k^T q) . e_j, no key is computed: u = W_k^T q / sqrt(dim) costs a row what one key would.
use std::prelude::v1::*;

use core::ops::Range;

use crate::spec::{Attention, Spec};
use crate::train::dataset::{Dataset, FeatureData};
use crate::train::network::backward::ShardGradients;
use crate::train::network::forward::{Activations, softmax};
use crate::train::network::gather::{Draw, Dropout, TableGradient};
use crate::train::network::{InputPlan, Network, Segment, Weights};
use crate::train::real::{Real, add_scaled, dot, gemm, matrix, matrix_mut};

/// The draw of a row's query among those of its list.
const QUERY: u64 = u64::MAX;

/// Where a projection lies in the flat vector: `[outputs, inputs]`, without biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub weight: usize,
    pub outputs: usize,
    pub inputs: usize,
}

impl Matrix {
    pub(crate) fn weights(&self) -> Range<usize> {
        self.weight..self.weight + self.outputs * self.inputs
    }
}

/// A feature that attends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AttentionPlan {
    /// Place among the network's inputs.
    pub input: usize,
    /// Feature index of the list, whose data are stored once a request.
    of: usize,
    /// Feature index of the candidate's id.
    ids: usize,
    pub table: usize,
    pub query: Matrix,
    pub key: Matrix,
}

/// What attention keeps of a shard for the way back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attended<R> {
    /// List `i` is `offsets[i]..offsets[i + 1]`; empty if the row leaves the feature out.
    pub(super) offsets: Vec<usize>,
    /// Rows of the lists, as dropout lets them be seen.
    pub(super) rows: Vec<usize>,
    /// Their shares a.
    pub(super) shares: Vec<R>,
    /// Row of each candidate.
    pub(super) ids: Vec<usize>,
    /// e_c, `[rows, width]`.
    pub(super) of_ids: Vec<R>,
    /// q, `[rows, dim]`.
    pub(super) queries: Vec<R>,
    /// u, `[rows, width]`.
    pub(super) directions: Vec<R>,
    /// What is left of the output: 1, or more under dropout.
    pub(super) factor: R,
    /// If the device's grids change any of this.
    pub(super) on_grid: Option<OnGrid<R>>,
}

/// Rows of the lists as the device has them, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnGrid<R> {
    /// The place of each row of the lists in what follows.
    pub(super) places: Vec<usize>,
    /// e_j, `[places, width]`.
    pub(super) values: Vec<R>,
    /// k_j, `[places, dim]`.
    pub(super) keys: Vec<R>,
}

impl<R> Attended<R> {
    /// Where the e_j of the lists lie: of each row of the lists the place, and what it is a place in.
    fn embeddings<'a>(&'a self, table: &'a [R]) -> (&'a [usize], &'a [R]) {
        match &self.on_grid {
            Some(on) => (&on.places, &on.values),
            None => (&self.rows, table),
        }
    }
}

/// Gradients of what [`Attended`] holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttendedGradients<R> {
    /// Of the logits, by row of the lists.
    logits: Vec<R>,
    /// Of u and of q.
    directions: Vec<R>,
    queries: Vec<R>,
    /// Of e_c.
    of_ids: Vec<R>,
}

/// The plans of `spec`'s features that attend, behind the flat vector's `next`.
pub(super) fn plans(spec: &Spec<'_>, inputs: &[InputPlan], next: &mut usize) -> Vec<AttentionPlan> {
    let mut matrix = |a: &Attention| {
        let weight = *next;
        *next += a.dim * a.width;
        Matrix {
            weight,
            outputs: a.dim,
            inputs: a.width,
        }
    };
    let plan = |(feature, a): (usize, Attention)| {
        let input = inputs.iter().position(|i| i.feature == feature);
        AttentionPlan {
            input: input.expect("every feature is an input"),
            of: a.of,
            ids: a.query,
            table: usize::from(a.table),
            query: matrix(&a),
            key: matrix(&a),
        }
    };
    spec.attentions().map(plan).collect()
}

impl AttentionPlan {
    /// Its parameters are all tasks'.
    pub(super) fn segments(&self) -> [Segment; 2] {
        [self.query, self.key].map(|m| Segment {
            range: m.weights(),
            owner: None,
            decays: true,
        })
    }

    pub(super) fn scale<R: Real>(&self) -> R {
        R::from_f64(1.0 / libm::sqrt(self.query.outputs as f64))
    }

    /// Fills lists and ids of a shard.
    fn read<R: Real>(
        &self,
        network: &Network,
        data: &Dataset,
        rows: &[u32],
        position: usize,
        dropout: Option<&Dropout>,
        to: &mut Attended<R>,
    ) {
        let (
            FeatureData::Lists {
                offsets, rows: all, ..
            },
            FeatureData::Rows(ids),
        ) = (&data.features[self.of], &data.features[self.ids])
        else {
            unreachable!("the data set was read by the same spec")
        };
        let vocabulary = network.tables[self.table].vocabulary;
        let rates = dropout.map(|d| d.rates).unwrap_or_default();
        to.factor = R::from_f64(1.0 / (1.0 - rates.embedding));
        (to.offsets, to.rows, to.ids) = (vec![0], Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            let dropped = dropout
                .filter(|d| d.rates.embedding > 0.0)
                .is_some_and(|d| {
                    d.row(Draw::Embedding, self.input, position + i)
                        .chance(d.rates.embedding)
                });
            let draws = dropout
                .filter(|d| d.rates.id > 0.0 && vocabulary)
                .map(|d| (d.row(Draw::Id, self.input, position + i), d.rates.id));
            let seen = |row: u32, element: u64| match draws {
                Some((key, rate)) if key.at(element).chance(rate) => 0,
                _ => row as usize,
            };
            let request = data.request[*row as usize] as usize;
            let list = offsets[request] as usize..offsets[request + 1] as usize;
            if !dropped {
                let list = all[list].iter().enumerate();
                to.rows.extend(list.map(|(j, row)| seen(*row, j as u64)));
            }
            to.offsets.push(to.rows.len());
            to.ids.push(seen(ids[*row as usize], QUERY));
        }
    }
}

impl Network {
    /// Fills the columns of x that attend; the first of `rows` is at `position` of the batch.
    pub(super) fn attend<R: Real>(
        &self,
        weights: &Weights<R>,
        data: &Dataset,
        rows: &[u32],
        position: usize,
        dropout: Option<&Dropout>,
        a: &mut Activations<R>,
    ) {
        a.attended
            .resize_with(self.attention.len(), Attended::default);
        let (n, stride) = (rows.len(), self.x_stride());
        for (i, (plan, of)) in self.attention.iter().zip(&mut a.attended).enumerate() {
            plan.read(self, data, rows, position, dropout, of);
            of.on_grid = None;
            if self.attends_on_grids(i) {
                self.attend_on_grids(i, weights, of, &mut a.x);
                continue;
            }
            let (dim, width) = (plan.query.outputs, plan.query.inputs);
            let table = &weights.tables[plan.table];
            let embedding = |row: usize| &table[row * width..(row + 1) * width];
            of.of_ids.clear();
            of.ids
                .iter()
                .for_each(|row| of.of_ids.extend(embedding(*row)));
            of.queries.resize(n * dim, R::ZERO);
            of.directions.resize(n * width, R::ZERO);
            let [query, key] = [plan.query, plan.key]
                .map(|m| matrix(&weights.dense[m.weights()], dim, width, width));
            gemm(
                matrix(&of.of_ids, n, width, width),
                query.reversed_axes(),
                matrix_mut(&mut of.queries, n, dim, dim),
            );
            gemm(
                matrix(&of.queries, n, dim, dim),
                key,
                matrix_mut(&mut of.directions, n, width, width),
            );
            let scale = plan.scale();
            of.directions.iter_mut().for_each(|u| *u *= scale);
            of.shares.resize(of.rows.len(), R::ZERO);
            let column = self.inputs[plan.input].offset;
            for (i, x) in a.x.chunks_exact_mut(stride).enumerate() {
                let out = &mut x[column..column + width];
                out.fill(R::ZERO);
                let list = of.offsets[i]..of.offsets[i + 1];
                let (rows, shares) = (&of.rows[list.clone()], &mut of.shares[list]);
                if rows.is_empty() {
                    continue;
                }
                let u = &of.directions[i * width..(i + 1) * width];
                for (share, row) in shares.iter_mut().zip(rows) {
                    *share = dot(u, embedding(*row));
                }
                softmax(shares, None);
                for (share, row) in shares.iter().zip(rows) {
                    add_scaled(out, *share * of.factor, embedding(*row));
                }
            }
        }
    }

    /// From the columns of `g.x` that attend to the projections, and to what [`TableGradient::scatter_attended`] needs.
    pub(crate) fn attend_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        g: &mut ShardGradients<R>,
    ) {
        g.attended
            .resize_with(self.attention.len(), AttendedGradients::default);
        let (n, stride) = (a.rows, self.x_stride());
        for ((plan, of), d) in self.attention.iter().zip(&a.attended).zip(&mut g.attended) {
            let (dim, width) = (plan.query.outputs, plan.query.inputs);
            let (places, table) = of.embeddings(&weights.tables[plan.table]);
            let embedding = |place: usize| &table[place * width..(place + 1) * width];
            d.logits.resize(of.rows.len(), R::ZERO);
            d.directions.clear();
            d.directions.resize(n * width, R::ZERO);
            d.queries.resize(n * dim, R::ZERO);
            d.of_ids.resize(n * width, R::ZERO);
            let column = self.inputs[plan.input].offset;
            for (i, dx) in g.x.chunks_exact(stride).enumerate().take(n) {
                let d_out = &dx[column..column + width];
                let list = of.offsets[i]..of.offsets[i + 1];
                let (places, shares) = (&places[list.clone()], &of.shares[list.clone()]);
                let logits = &mut d.logits[list];
                for (z, place) in logits.iter_mut().zip(places) {
                    *z = of.factor * dot(d_out, embedding(*place));
                }
                let mean = dot(shares, logits);
                for (z, share) in logits.iter_mut().zip(shares) {
                    *z = *share * (*z - mean);
                }
                let du = &mut d.directions[i * width..(i + 1) * width];
                for (z, place) in logits.iter().zip(places) {
                    add_scaled(du, *z, embedding(*place));
                }
            }
            // From here on of u x sqrt(dim).
            let scale = plan.scale();
            d.directions.iter_mut().for_each(|u| *u *= scale);
            let [query, key] = [plan.query, plan.key]
                .map(|m| matrix(&weights.dense[m.weights()], dim, width, width));
            let du = || matrix(&d.directions, n, width, width);
            gemm(
                matrix(&of.queries, n, dim, dim).reversed_axes(),
                du(),
                matrix_mut(&mut g.dense[plan.key.weights()], dim, width, width),
            );
            match &of.on_grid {
                None => gemm(
                    du(),
                    key.reversed_axes(),
                    matrix_mut(&mut d.queries, n, dim, dim),
                ),
                // The keys are not W_k e_j, but steps.
                Some(on) => {
                    d.queries.fill(R::ZERO);
                    for (i, dq) in d.queries.chunks_exact_mut(dim).enumerate() {
                        let list = of.offsets[i]..of.offsets[i + 1];
                        for (z, place) in d.logits[list.clone()].iter().zip(&on.places[list]) {
                            add_scaled(dq, scale * *z, &on.keys[place * dim..(place + 1) * dim]);
                        }
                    }
                }
            }
            let dq = || matrix(&d.queries, n, dim, dim);
            gemm(
                dq().reversed_axes(),
                matrix(&of.of_ids, n, width, width),
                matrix_mut(&mut g.dense[plan.query.weights()], dim, width, width),
            );
            gemm(dq(), query, matrix_mut(&mut d.of_ids, n, width, width));
        }
    }
}

impl<R: Real> TableGradient<R> {
    /// Adds what attention wants of `table`, a shard's activations and gradients at a time.
    pub(crate) fn scatter_attended<'s>(
        &mut self,
        network: &Network,
        table: usize,
        shards: impl Iterator<Item = (&'s Activations<R>, &'s ShardGradients<R>)>,
    ) {
        let mut on_table = network.attention.iter().enumerate();
        if !on_table.any(|(_, plan)| plan.table == table) {
            return;
        }
        let width = network.tables[table].dim;
        for (a, g) in shards {
            let plans = network.attention.iter().zip(&a.attended).zip(&g.attended);
            for ((plan, of), d) in plans.filter(|((plan, _), _)| plan.table == table) {
                let column = network.inputs[plan.input].offset;
                let dx = g.x.chunks_exact(network.x_stride()).take(a.rows);
                for (i, dx) in dx.enumerate() {
                    let list = of.offsets[i]..of.offsets[i + 1];
                    if list.is_empty() {
                        continue;
                    }
                    let row = i * width..(i + 1) * width;
                    for j in list {
                        let to = self.row(of.rows[j], width);
                        let d_out = &dx[column..column + width];
                        add_scaled(to, of.shares[j] * of.factor, d_out);
                        add_scaled(to, d.logits[j], &of.directions[row.clone()]);
                    }
                    add_scaled(self.row(of.ids[i], width), R::ONE, &d.of_ids[row]);
                }
            }
        }
    }
}
