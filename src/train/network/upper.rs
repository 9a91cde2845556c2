//! The second level of progressive layered extraction (Tang et al., RecSys 2020, section 4.2): experts and gates on the
//! mixtures of the first.
//!
//! m_g = sum of the first level's experts by gate g, of which there is one a task and one more, shared; expert e of the
//! second level is relu layers on m_r(e), where r(e) is the task that has it to itself, or else the shared gate; the gate
//! of task t reads m_t, and the task's mixture is of the second level's experts.
//!
//! A task's factors enter where its mixture meets the second level's experts, and where its gate there meets m_t. All that
//! comes below has them in it, the first level's gates included.
use std::prelude::v1::*;

use crate::spec::Spec;
use crate::train::network::backward::{
    Factors, ShardGradients, input_gradient, mean_use, mixed_backward, parameters_gradient,
    through_relu,
};
use crate::train::network::fake_quantize::softmax_q15;
use crate::train::network::forward::{
    Activations, HiddenDropouts, bias_relu, dense, mix_rows, relu, softmax,
};
use crate::train::network::gather::{Draw, Dropout};
use crate::train::network::{Network, Span, Weights, stack};
use crate::train::real::{Real, add_scaled};

/// Where the second level lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UpperPlan {
    /// The mixture of the first level that each expert reads.
    pub reads: Vec<usize>,
    pub experts: Vec<Vec<Span>>,
    /// By task.
    pub gates: Vec<Vec<Span>>,
}

/// Outputs of a level's experts and how far their rows are apart, and the shares of each gate.
type Level<'a, R> = ((&'a [R], usize), &'a [Vec<R>]);

/// Activations of the second level and what it reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpperActivations<R> {
    /// Per gate of the first level `[rows, mixture_width]`.
    pub mixtures: Vec<Vec<R>>,
    /// Per expert layer `[rows, experts x width]`.
    pub hidden: Vec<Vec<R>>,
    /// Per task and layer of its gate `[rows, width]`.
    pub gates: Vec<Vec<Vec<R>>>,
    /// Per task `[rows, experts]`.
    pub shares: Vec<Vec<R>>,
}

/// The task that has an expert to itself, if the last `own` of each task are its own.
pub(super) fn owner(experts: usize, tasks: usize, own: usize, expert: usize) -> Option<usize> {
    let behind = expert.checked_sub(experts.saturating_sub(own * tasks))?;
    behind.checked_div(own)
}

impl UpperPlan {
    pub(super) fn new(spec: &Spec<'_>, next: &mut usize) -> Option<Self> {
        spec.own_experts()?;
        let experts = 0..usize::from(spec.network.num_experts);
        let widths: Vec<usize> = (0..spec.network.expert_layers.len())
            .map(|l| spec.expert_width(l))
            .collect();
        let gate: Vec<usize> = (0..=spec.network.gate_layers.len())
            .map(|l| spec.gate_width(l))
            .collect();
        let mut of = |widths: &[usize]| stack(next, spec.mixture_width(), widths);
        Some(Self {
            reads: experts.clone().map(|e| spec.mixture_of(e)).collect(),
            experts: experts.map(|_| of(&widths)).collect(),
            gates: spec.tasks.iter().map(|_| of(&gate)).collect(),
        })
    }

    /// Columns of an expert layer's activations.
    fn stride(&self, layer: usize) -> usize {
        self.experts.iter().map(|spans| spans[layer].outputs).sum()
    }
}

impl Network {
    /// Layers of the second level's experts; none without.
    pub(crate) fn upper_experts(&self) -> &[Vec<Span>] {
        self.upper.as_ref().map_or(&[], |u| &u.experts)
    }

    /// Layers of its gates.
    pub(crate) fn upper_gates(&self) -> &[Vec<Span>] {
        self.upper.as_ref().map_or(&[], |u| &u.gates)
    }

    /// The level that the tasks' mixtures are of.
    pub(crate) fn top<'a, R>(&self, a: &'a Activations<R>) -> Level<'a, R> {
        let last = self.expert_widths.len() - 1;
        match &self.upper {
            Some(upper) => ((&a.upper.hidden[last], upper.stride(last)), &a.upper.shares),
            None => self.bottom(a),
        }
    }

    /// The same of the level on the inputs.
    pub(crate) fn bottom<'a, R>(&self, a: &'a Activations<R>) -> Level<'a, R> {
        let last = self.expert_widths.len() - 1;
        ((&a.hidden[last], self.hidden_stride(last)), &a.shares)
    }

    /// From the first level's experts and gates to the second's.
    pub(super) fn upper_forward<R: Real>(
        &self,
        w: &[R],
        position: usize,
        dropout: Option<&Dropout>,
        dropped: &HiddenDropouts<'_, R>,
        a: &mut Activations<R>,
    ) {
        let Some(plan) = &self.upper else {
            return;
        };
        let (n, width, last) = (a.rows, self.mixture_width(), self.expert_widths.len() - 1);
        let u = &mut a.upper;
        u.mixtures.resize_with(self.gates.len(), Vec::new);
        for (m, shares) in u.mixtures.iter_mut().zip(&a.shares) {
            m.resize(n * width, R::ZERO);
            let h = (&a.hidden[last][..], self.hidden_stride(last));
            mix_rows(h, shares, self.num_experts, (m, width), width);
            self.round(m, width, 0, width);
        }
        u.hidden.resize_with(last + 1, Vec::new);
        for l in 0..=last {
            let (below, above) = u.hidden.split_at_mut(l);
            let (stride, to) = (plan.stride(l), &mut above[0]);
            to.resize(n * stride, R::ZERO);
            let mut bias = Vec::with_capacity(stride);
            for (e, spans) in plan.experts.iter().enumerate() {
                let span = &spans[l];
                let from = match below.last() {
                    Some(below) => (&below[e * span.inputs..], plan.stride(l - 1)),
                    None => (&u.mixtures[plan.reads[e]][..], width),
                };
                let to = (&mut to[e * span.outputs..], stride);
                dense(w, span, from, to, n);
                bias.extend_from_slice(&w[span.biases()]);
            }
            bias_relu(to, stride, &bias, dropped.upper(l));
            if l < last {
                let width = self.expert_widths[l];
                (0..self.num_experts).for_each(|e| self.round(to, stride, e * width, width));
            }
        }
        u.gates.resize_with(plan.gates.len(), Vec::new);
        u.shares.resize_with(plan.gates.len(), Vec::new);
        let dropout = dropout.filter(|d| d.rates.gate > 0.0);
        for (task, spans) in plan.gates.iter().enumerate() {
            let layers = &mut u.gates[task];
            layers.resize_with(spans.len(), Vec::new);
            for (l, span) in spans.iter().enumerate() {
                let (below, above) = layers.split_at_mut(l);
                let from = below.last().unwrap_or(&u.mixtures[task]);
                let to = &mut above[0];
                to.resize(n * span.outputs, R::ZERO);
                dense(w, span, (from, span.inputs), (to, span.outputs), n);
                for row in to.chunks_mut(span.outputs) {
                    add_scaled(row, R::ONE, &w[span.biases()]);
                    if l + 1 < spans.len() {
                        row.iter_mut().for_each(|z| *z = relu(*z));
                    }
                }
                if l + 1 < spans.len() {
                    self.round(to, span.outputs, 0, span.outputs);
                }
            }
            let shares = &mut u.shares[task];
            shares.clear();
            shares.extend(layers.last().into_iter().flatten().copied());
            for (i, shares) in shares.chunks_mut(self.num_experts).enumerate() {
                let draws = |d: &Dropout| {
                    let gate = self.gates.len() + task;
                    (d.row(Draw::Gate, gate, position + i), d.rates.gate)
                };
                match dropout.map(draws) {
                    None if self.rounds_activations() => softmax_q15(shares),
                    draws => softmax(shares, draws),
                }
            }
        }
    }

    /// From the gradients of the tasks' mixtures to the second level's parameters and, in `g.lower`, to the mixtures of the
    /// first.
    pub(super) fn upper_backward<R: Real>(
        &self,
        weights: &Weights<R>,
        a: &Activations<R>,
        factors: &Factors<R>,
        keep: R,
        g: &mut ShardGradients<R>,
    ) {
        let Some(plan) = &self.upper else {
            return;
        };
        let (n, w, u) = (a.rows, &weights.dense[..], &a.upper);
        let (width, last) = (self.mixture_width(), self.expert_widths.len() - 1);
        g.lower.resize_with(self.gates.len(), Vec::new);
        for d in &mut g.lower {
            d.clear();
            d.resize(n * width, R::ZERO);
        }
        let stride = plan.stride(last);
        let mut d = vec![R::ZERO; n * stride];
        for (task, spans) in plan.gates.iter().enumerate() {
            let (shares, m_stride) = (&u.shares[task], self.mixture_stride(task));
            let mean_use = mean_use(factors.load_balance, shares, n, self.num_experts);
            let mut d_gate = Vec::with_capacity(n * self.num_experts);
            for i in 0..n {
                let dm = &g.mixtures[task][i * m_stride..i * m_stride + width];
                let h = &u.hidden[last][i * stride..(i + 1) * stride];
                let dh = &mut d[i * stride..(i + 1) * stride];
                let share = &shares[i * self.num_experts..(i + 1) * self.num_experts];
                let factor = factors.shared[task];
                mixed_backward(dm, (share, h), &mean_use, factor, dh, &mut g.below);
                d_gate.extend_from_slice(&g.below);
            }
            for (l, span) in spans.iter().enumerate().rev() {
                if l + 1 < spans.len() {
                    let y = &u.gates[task][l];
                    through_relu(&mut d_gate, y, span.outputs, span.outputs, R::ONE);
                }
                let input = match l {
                    0 => &u.mixtures[task],
                    _ => &u.gates[task][l - 1],
                };
                let of = (&d_gate[..], span.outputs);
                parameters_gradient(span, of, (input, span.inputs), n, &mut g.dense);
                let mut below = vec![R::ZERO; n * span.inputs];
                input_gradient(w, span, of, (&mut below, span.inputs), n);
                d_gate = below;
            }
            add_scaled(&mut g.lower[task], factors.gate[task], &d_gate);
        }
        for l in (0..=last).rev() {
            let stride = plan.stride(l);
            through_relu(&mut d, &u.hidden[l], stride, stride, keep);
            let below_stride = if l == 0 { 0 } else { plan.stride(l - 1) };
            let mut below = vec![R::ZERO; n * below_stride];
            for (e, spans) in plan.experts.iter().enumerate() {
                let span = &spans[l];
                let of = (&d[e * span.outputs..], stride);
                if l > 0 {
                    let input = (&u.hidden[l - 1][e * span.inputs..], below_stride);
                    parameters_gradient(span, of, input, n, &mut g.dense);
                    let out = (&mut below[e * span.inputs..], below_stride);
                    input_gradient(w, span, of, out, n);
                    continue;
                }
                let read = plan.reads[e];
                parameters_gradient(span, of, (&u.mixtures[read], width), n, &mut g.dense);
                let mut one = vec![R::ZERO; n * width];
                input_gradient(w, span, of, (&mut one, width), n);
                add_scaled(&mut g.lower[read], R::ONE, &one);
            }
            d = below;
        }
    }
}
