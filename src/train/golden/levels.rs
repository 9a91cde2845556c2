//! Golden models with a second level of experts.
use std::prelude::v1::*;

use super::{Draw, GoldenModel, build_spec, packed, parameters, small};
use crate::spec::{Gate, NetworkKind, Spec, limits};
use crate::train::network::Network;
use crate::train::random::Key;

/// Model number `seed` of those with one to three shared experts on each of two levels and one or two of each task's own. Gates
/// of even seeds leave other tasks' experts out, as those of a run do.
pub fn with_levels(seed: u64) -> GoldenModel {
    let root = Draw(Key::new(seed).at(0x006c_6576_656c_7300));
    small(root, |draw| Some(build(draw, seed)))
}

fn build(draw: Draw, seed: u64) -> GoldenModel {
    let (mut spec, lookups) = build_spec(draw, seed.is_multiple_of(4));
    let own = progressive(&mut spec, draw.at(5));
    let mut parameters = parameters(&spec, draw.at(2));
    if seed.is_multiple_of(2) {
        Network::new(&spec).close_gates(&mut parameters, own);
    }
    packed(spec, lookups, parameters)
}

/// Gives a network a second level; the experts that a task has to itself.
fn progressive(spec: &mut Spec<'static>, draw: Draw) -> usize {
    let tasks = spec.tasks.len();
    let own = draw.at(0).int(1, 2);
    let shared = draw.at(1).int(1, 3).min(limits::EXPERTS - own * tasks);
    spec.network.kind = NetworkKind::Progressive { own: own as u8 };
    spec.network.num_experts = (shared + own * tasks) as u8;
    spec.network.gate = Gate::Softmax;
    spec.network.gate_layers.clear();
    for layer in 0..draw.at(2).int(0, 2) {
        let width = draw.at(10 + layer).int(1, 9) as u16;
        let _ = spec.network.gate_layers.push(width);
    }
    own
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::{Model, OpenOptions};
    use crate::train::golden::BYTES_MAX;

    #[test]
    fn golden_models_of_two_levels_open_and_vary() {
        let mut met = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let golden = with_levels(seed);
            let mut opened = Model::new();
            opened.open(&golden.bytes, &OpenOptions::default()).unwrap();
            assert!(golden.bytes.len() <= BYTES_MAX);
            let (own, tasks) = (golden.spec.own_experts().unwrap(), golden.spec.tasks.len());
            let shared = usize::from(golden.spec.network.num_experts) - own * tasks;
            met.insert((0, own));
            met.insert((1, shared));
            met.insert((2, usize::from(own > 1 && tasks > 1)));
            met.insert((3, golden.spec.network.expert_layers.len()));
            met.insert((4, golden.spec.network.gate_layers.len()));
            met.insert((5, tasks.min(3)));
        }
        assert_eq!(met.len(), 2 + 3 + 2 + 4 + 3 + 3, "{met:?}");
        assert_eq!(with_levels(7).bytes, with_levels(7).bytes);
    }
}
