//! The values of a network: as its plan lays them out, and layer by layer.
use std::prelude::v1::*;

use crate::train::network::attention::{AttentionPlan, Matrix};
use crate::train::network::{Network, Span};
use crate::train::parameters::{Dense, Parameters, Projections};
use crate::train::real::Real;

/// The values of a network, or anything of their shape (moments, averages).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Weights<R> {
    /// `[num_embeddings, embedding_dim]` per table.
    pub tables: Vec<Vec<R>>,
    /// As the network's plan says.
    pub dense: Vec<R>,
}

impl Network {
    /// All of one value.
    pub(crate) fn zeros<R: Real>(&self) -> Weights<R> {
        Weights {
            tables: self
                .tables
                .iter()
                .map(|t| vec![R::ZERO; t.num_embeddings * t.dim])
                .collect(),
            dense: vec![R::ZERO; self.num_dense],
        }
    }

    /// The layers in the flat vector's terms, each with its place in [`Parameters`].
    fn layers<'p, R>(&self, p: &'p mut Parameters<R>) -> Vec<(Span, &'p mut Dense<R>)> {
        let spans = self
            .experts
            .iter()
            .flatten()
            .chain(self.gates.iter().flatten())
            .chain(self.upper_experts().iter().flatten())
            .chain(self.upper_gates().iter().flatten())
            .chain(self.towers.iter().flatten());
        let bias = self.bias.iter().flat_map(|b| b.towers.iter().flatten());
        let ends = self.heads.iter().chain(&self.steps);
        let spans = spans.chain(ends).chain(bias).copied();
        let layers = p
            .experts
            .iter_mut()
            .flatten()
            .chain(p.gates.iter_mut().flatten())
            .chain(p.upper_experts.iter_mut().flatten())
            .chain(p.upper_gates.iter_mut().flatten())
            .chain(p.towers.iter_mut().flatten());
        let layers = layers
            .chain(&mut p.heads)
            .chain(&mut p.steps)
            .chain(p.bias.iter_mut().flatten());
        spans.zip(layers).collect()
    }

    /// Parameters of this network's shape, all zero.
    pub fn empty_parameters<R: Real>(&self) -> Parameters<R> {
        Parameters {
            tables: self.zeros().tables,
            ..self.empty_layers()
        }
    }

    /// The same without tables.
    fn empty_layers<R: Real>(&self) -> Parameters<R> {
        let dense = |s: &Span| Dense {
            outputs: s.outputs,
            inputs: s.inputs,
            weight: vec![R::ZERO; s.outputs * s.inputs],
            bias: vec![R::ZERO; s.outputs],
        };
        let stacks = |spans: &[Vec<Span>]| {
            spans
                .iter()
                .map(|l| l.iter().map(dense).collect())
                .collect()
        };
        let matrix = |m: &Matrix| Dense {
            outputs: m.outputs,
            inputs: m.inputs,
            weight: vec![R::ZERO; m.outputs * m.inputs],
            bias: Vec::new(),
        };
        let projections = |a: &AttentionPlan| Projections {
            query: matrix(&a.query),
            key: matrix(&a.key),
        };
        Parameters {
            tables: Vec::new(),
            experts: stacks(&self.experts),
            gates: stacks(&self.gates),
            upper_experts: stacks(self.upper_experts()),
            upper_gates: stacks(self.upper_gates()),
            towers: stacks(&self.towers),
            heads: self.heads.iter().map(dense).collect(),
            steps: self.steps.iter().map(dense).collect(),
            attention: self.attention.iter().map(projections).collect(),
            bias: stacks(self.bias.as_ref().map_or(&[][..], |b| &b.towers)),
        }
    }

    /// True if `p` has the shape of this network.
    pub fn fits<R: Real>(&self, p: &Parameters<R>) -> bool {
        let shape = |d: &Dense<R>, s: &Span| {
            (d.outputs, d.inputs, d.weight.len(), d.bias.len())
                == (s.outputs, s.inputs, s.outputs * s.inputs, s.outputs)
        };
        let matrix = |d: &Dense<R>, m: &Matrix| {
            (d.outputs, d.inputs, d.weight.len(), d.bias.len())
                == (m.outputs, m.inputs, m.outputs * m.inputs, 0)
        };
        let all = |d: &[Dense<R>], s: &[Span]| {
            d.len() == s.len() && d.iter().zip(s).all(|(d, s)| shape(d, s))
        };
        let stacks = |d: &[Vec<Dense<R>>], s: &[Vec<Span>]| {
            d.len() == s.len() && d.iter().zip(s).all(|(d, s)| all(d, s))
        };
        p.tables.len() == self.tables.len()
            && p.tables
                .iter()
                .zip(&self.tables)
                .all(|(v, t)| v.len() == t.num_embeddings * t.dim)
            && stacks(&p.experts, &self.experts)
            && stacks(&p.gates, &self.gates)
            && stacks(&p.upper_experts, self.upper_experts())
            && stacks(&p.upper_gates, self.upper_gates())
            && stacks(&p.towers, &self.towers)
            && all(&p.heads, &self.heads)
            && all(&p.steps, &self.steps)
            && p.attention.len() == self.attention.len()
            && (p.attention.iter().zip(&self.attention))
                .all(|(p, a)| matrix(&p.query, &a.query) && matrix(&p.key, &a.key))
            && stacks(&p.bias, self.bias.as_ref().map_or(&[][..], |b| &b.towers))
    }

    /// Adds `factor` x the offsets of sampled tasks to their heads: 1 makes parameters in training those that are served,
    /// -1 the other way.
    pub(crate) fn shift_heads<R: Real>(&self, p: &mut Parameters<R>, factor: f64) {
        for (head, offset) in p.heads.iter_mut().zip(&self.offsets) {
            let shift = R::from_f64(factor * offset);
            head.bias.iter_mut().for_each(|b| *b += shift);
        }
    }

    pub(crate) fn weights<R: Real>(&self, mut p: Parameters<R>) -> Weights<R> {
        let mut dense = vec![R::ZERO; self.num_dense];
        for (span, layer) in self.layers(&mut p) {
            dense[span.weights()].copy_from_slice(&layer.weight);
            dense[span.biases()].copy_from_slice(&layer.bias);
        }
        for (p, a) in p.attention.iter().zip(&self.attention) {
            dense[a.query.weights()].copy_from_slice(&p.query.weight);
            dense[a.key.weights()].copy_from_slice(&p.key.weight);
        }
        Weights {
            tables: p.tables,
            dense,
        }
    }

    pub(crate) fn parameters<R: Real>(&self, w: Weights<R>) -> Parameters<R> {
        Parameters {
            tables: w.tables,
            ..self.dense_parameters(&w.dense)
        }
    }

    /// The dense layers of the flat vector, without tables.
    pub(crate) fn dense_parameters<R: Real>(&self, dense: &[R]) -> Parameters<R> {
        let mut p = self.empty_layers();
        for (span, layer) in self.layers(&mut p) {
            layer.weight.copy_from_slice(&dense[span.weights()]);
            layer.bias.copy_from_slice(&dense[span.biases()]);
        }
        for (p, a) in p.attention.iter_mut().zip(&self.attention) {
            p.query.weight.copy_from_slice(&dense[a.query.weights()]);
            p.key.weight.copy_from_slice(&dense[a.key.weights()]);
        }
        p
    }
}
