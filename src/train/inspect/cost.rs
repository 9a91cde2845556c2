//! What a candidate costs.
use std::prelude::v1::*;

use super::{MultiplyAdds, attention};
use crate::spec::{Gate, Side, Spec};

/// Multiply-adds of `spec`, without padding.
pub fn multiply_adds(spec: &Spec<'_>) -> MultiplyAdds {
    let stack = |widths: &[u16], mut inputs: usize| {
        let mut sum = 0;
        for width in widths {
            sum += usize::from(*width) * inputs;
            inputs = usize::from(*width);
        }
        (sum, inputs)
    };
    let first = |sides: &[Side]| {
        let inputs: usize = sides.iter().map(|s| spec.side_inputs(*s)).sum();
        inputs * spec.first_outputs() * spec.groups()
    };
    let experts = usize::from(spec.network.num_experts);
    let later = spec
        .network
        .expert_layers
        .get(1..)
        .map_or(0, |w| stack(w, spec.expert_width(0)).0);
    let mixture = spec.mixture_width();
    // Gates behind their first layer, the query's products, and the mixture.
    let gate = if spec.has_gates() {
        let depth = spec.network.gate_layers.len();
        let layers = (1..=depth).map(|l| spec.gate_width(l) * spec.gate_width(l - 1));
        let products = match spec.network.gate {
            Gate::Softmax => 0,
            Gate::Attention => experts * mixture,
        };
        layers.sum::<usize>() + products + experts * mixture
    } else {
        0
    };
    let upper = upper_multiply_adds(spec, gate);
    let towers = spec.tasks.iter().map(|t| {
        let (hidden, last) = stack(&t.tower_layers, mixture);
        let fed = t.tower_layers.first().map_or(1, |w| usize::from(*w));
        gate + hidden + last + t.inputs.len() * fed
    });
    let [keys, attended] = attention::multiply_adds(spec);
    MultiplyAdds {
        request: first(&[Side::User]) + keys,
        candidate: attended
            + first(&[Side::Item, Side::Candidate, Side::Cross])
            + experts * later
            + upper
            + towers.sum::<usize>(),
    }
}

/// Of what a second level of experts adds: the shared gate behind its first layer and its mixture, the second level's
/// experts, and its gates with their mixtures.
fn upper_multiply_adds(spec: &Spec<'_>, gate: usize) -> usize {
    if spec.own_experts().is_none() {
        return 0;
    }
    let (experts, mixture) = (usize::from(spec.network.num_experts), spec.mixture_width());
    let stack = |widths: &mut dyn Iterator<Item = usize>| {
        let layer = |(sum, inputs), width| (sum + width * inputs, width);
        widths.fold((0, mixture), layer).0
    };
    let expert = stack(&mut (0..spec.network.expert_layers.len()).map(|l| spec.expert_width(l)));
    let upper_gate = stack(&mut (0..=spec.network.gate_layers.len()).map(|l| spec.gate_width(l)));
    gate + experts * expert + spec.tasks.len() * (upper_gate + experts * mixture)
}
