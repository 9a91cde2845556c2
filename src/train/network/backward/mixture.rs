//! From the gradients of mixtures to gates and experts' outputs.
use std::prelude::v1::*;

use super::{Factors, ShardGradients, input_gradient, parameters_gradient, through_relu};
use crate::spec::{Gate, NetworkKind};
use crate::train::network::forward::Activations;
use crate::train::network::{Network, Weights};
use crate::train::real::{Real, add_scaled, column_sums, dot};

/// What the penalty on uneven use adds to the gradient of each share of a gate; `factor` is [`Factors::load_balance`].
pub(in crate::train::network) fn mean_use<R: Real>(
    factor: R,
    shares: &[R],
    rows: usize,
    experts: usize,
) -> Vec<R> {
    let mut mean = vec![R::ZERO; experts];
    if factor != R::ZERO {
        column_sums(shares, rows, experts, &mut mean);
        let scale = factor * R::from_f64(1.0 / rows as f64);
        mean.iter_mut().for_each(|x| *x *= scale);
    }
    mean
}

/// From the gradient `dm` of one row's mixture: adds `factor` x what it wants of the experts' outputs `h` to `dh`, and
/// leaves the derivatives by the gate's logits in `dz`.
pub(in crate::train::network) fn mixed_backward<R: Real>(
    dm: &[R],
    (shares, h): (&[R], &[R]),
    mean_use: &[R],
    factor: R,
    dh: &mut [R],
    dz: &mut Vec<R>,
) {
    let width = dm.len();
    dz.clear();
    dz.extend(h.chunks(width).map(|h| dot(dm, h)));
    add_scaled(dz, R::ONE, mean_use);
    for (dh, share) in dh.chunks_mut(width).zip(shares) {
        add_scaled(dh, factor * *share, dm);
    }
    let mean = dot(shares, dz);
    for (d, share) in dz.iter_mut().zip(shares) {
        *d = *share * (*d - mean);
    }
}

impl Network {
    /// From `g.mixtures[task]` to the task's gate and the experts' outputs.
    pub(super) fn mixture_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        task: usize,
        factors: &Factors<R>,
        g: &mut ShardGradients<R>,
    ) {
        let (width, experts) = (self.mixture_width(), self.num_experts);
        let last = self.expert_widths.len() - 1;
        let stride = self.hidden_stride(last);
        // Of a first level below another, what that wants of each gate's mixture, with factors.
        let (d_mixture, m_stride, shared) = match g.lower.get(task) {
            Some(lower) => (lower, width, R::ONE),
            None => (
                &g.mixtures[task],
                self.mixture_stride(task),
                factors.shared[task],
            ),
        };
        if let Some(expert) = self.expert_of(task) {
            let factor = match self.kind {
                NetworkKind::SharedBottom => shared,
                _ => R::ONE,
            };
            let rows = g.hidden[last].chunks_mut(stride);
            for (dh, dm) in rows.zip(d_mixture.chunks(m_stride)) {
                let dh = &mut dh[expert * width..(expert + 1) * width];
                add_scaled(dh, factor, &dm[..width]);
            }
            return;
        }
        let columns = self.gate_columns(task);
        let depth = self.gate_depth();
        let outputs = self.gates[task][depth].outputs;
        let scale = R::from_f64(1.0 / libm::sqrt(width as f64));
        let mean_use = mean_use(factors.load_balance, &a.shares[task], a.rows, experts);
        let [d_gate, _] = &mut g.gate;
        d_gate.resize(a.rows * outputs, R::ZERO);
        for i in 0..a.rows {
            let dm = &d_mixture[i * m_stride..i * m_stride + width];
            let share = &a.shares[task][i * experts..(i + 1) * experts];
            let h = &a.hidden[last][i * stride..][..experts * width];
            let dh = &mut g.hidden[last][i * stride..][..experts * width];
            mixed_backward(dm, (share, h), &mean_use, shared, dh, &mut g.below);
            let d_gate = &mut d_gate[i * outputs..(i + 1) * outputs];
            match self.gate {
                Gate::Softmax => d_gate.copy_from_slice(&g.below),
                Gate::Attention => {
                    let query = match a.gates[task].last() {
                        Some(q) => &q[i * outputs..(i + 1) * outputs],
                        None => {
                            let first = self.hidden_stride(0);
                            &a.hidden[0][i * first..][columns.clone()]
                        }
                    };
                    d_gate.fill(R::ZERO);
                    let experts = h.chunks(width).zip(dh.chunks_mut(width));
                    for (dz, (h, dh)) in g.below.iter().zip(experts) {
                        add_scaled(d_gate, *dz * scale, h);
                        add_scaled(dh, factors.gate[task] * *dz * scale, query);
                    }
                }
            }
        }
        self.gate_backward(weights, a, task, g);
    }

    /// From the gradient of a gate's last layer in `g.gate[0]` to its parameters and the outputs of its first layer.
    fn gate_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        task: usize,
        g: &mut ShardGradients<R>,
    ) {
        let (n, first) = (a.rows, self.hidden_stride(0));
        let (columns, depth) = (self.gate_columns(task), self.gate_depth());
        let [d, below] = &mut g.gate;
        for (l, span) in self.gates[task].iter().enumerate().skip(1).rev() {
            if l < depth {
                let y = &a.gates[task][l - 1];
                through_relu(d, y, span.outputs, span.outputs, R::ONE);
            }
            let input = match l {
                1 => (&a.hidden[0][columns.start..], first),
                _ => (&a.gates[task][l - 2][..], span.inputs),
            };
            parameters_gradient(span, (d, span.outputs), input, n, &mut g.dense);
            below.resize(n * span.inputs, R::ZERO);
            input_gradient(
                &weights.dense,
                span,
                (d, span.outputs),
                (below, span.inputs),
                n,
            );
            core::mem::swap(d, below);
        }
        let width = self.gates[task][0].outputs;
        let rows = g.hidden[0].chunks_mut(first);
        for (to, d) in rows.zip(d.chunks(width)).take(n) {
            to[columns.clone()].copy_from_slice(d);
        }
    }
}
