//! Progressive layered extraction (Tang et al., RecSys 2020): experts that all tasks share, and experts that one task alone
//! mixes. Of one level it is their customized gate control; [`super::upper`] has a second.
//!
//! It is an MMoE whose gates leave the experts of other tasks out: their logits have weights of 0 and a bias so low that the
//! softmax is exactly 0, in training as on the device, so no gradient reaches them and they stay as they are. A file holds it as
//! the MMoE that it is.
use crate::train::network::Network;
use crate::train::network::upper::owner;
use crate::train::parameters::Parameters;
use crate::train::real::Real;

/// The logit of an expert that a gate leaves out: e^-10000 is 0 in every precision, and a device's softmax cuts at -20.
const LEFT_OUT: f64 = -1e4;

impl Network {
    /// The task that has an expert to itself, if the last `own` experts of each task are its own.
    fn expert_owner(&self, expert: usize, own: usize) -> Option<usize> {
        owner(self.num_experts, self.num_tasks(), own, expert)
    }

    /// Makes the last `own` experts of each task its own: what they learn by is the task's, as its gate and tower.
    pub(crate) fn own_experts(&mut self, own: usize) {
        for expert in 0..self.num_experts {
            let Some(owner) = self.expert_owner(expert, own) else {
                continue;
            };
            let layers = match &self.upper {
                // Those of the first level learn by all tasks, through the shared gate.
                Some(upper) => &upper.experts[expert],
                None => &self.experts[expert],
            };
            for span in layers {
                let (weights, biases) = (span.weights(), span.biases());
                for segment in &mut self.segments {
                    if segment.range == weights || segment.range == biases {
                        segment.owner = Some(owner);
                    }
                }
            }
        }
    }

    /// Gates that leave the experts of other tasks out, on either level; the shared gate, behind the tasks', leaves none out.
    pub(crate) fn close_gates<R: Real>(&self, p: &mut Parameters<R>, own: usize) {
        let tasks = self.num_tasks();
        let gates = p.gates.iter_mut().take(tasks).enumerate();
        for (task, gate) in gates.chain(p.upper_gates.iter_mut().enumerate()) {
            let Some(last) = gate.last_mut() else {
                continue;
            };
            for expert in 0..self.num_experts {
                if self.expert_owner(expert, own).is_some_and(|t| t != task) {
                    last.weight[expert * last.inputs..(expert + 1) * last.inputs].fill(R::ZERO);
                    last.bias[expert] = R::from_f64(LEFT_OUT);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::train::gradient::{Gradients, Plan};
    use crate::train::network::forward::Activations;
    use crate::train::network::gather::Dropout;
    use crate::train::options::{DropoutRates, TaskOptions};
    use crate::train::synthetic::{log, spec, with_own_experts};
    use std::prelude::v1::*;

    /// Drawn to be left out are the experts that a gate reaches, now and then all of them.
    #[test]
    fn a_gate_without_the_experts_that_it_reaches_keeps_them() {
        let (mut spec, data) = (spec(), log(60, 3));
        spec.network.gate = crate::spec::Gate::Softmax;
        spec.network.num_experts = 1 + spec.tasks.len() as u8;
        let (network, w) = with_own_experts::<f32>(&spec, &data, 1);
        let rows: Vec<u32> = (0..60).collect();
        let rates = DropoutRates {
            gate: 0.6,
            ..DropoutRates::default()
        };
        let dropout = Dropout::of(rates, 5, 9);
        let mut a = Activations::default();
        network.forward(&w, &data, &rows, 0, dropout.as_ref(), &mut a);
        let mut of_one = 0;
        for (task, shares) in a.shares.iter().enumerate() {
            for row in shares.chunks(network.num_experts) {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-6, "{row:?}");
                of_one += usize::from(row[0] == 1.0 || row[1 + task] == 1.0);
            }
        }
        assert!((1..180).contains(&of_one), "{of_one}");
    }

    #[test]
    fn a_gate_reaches_the_shared_experts_and_its_own() {
        let (mut spec, data) = (spec(), log(60, 3));
        let tasks = spec.tasks.len();
        spec.network.gate = crate::spec::Gate::Softmax;
        spec.network.num_experts = 2 + 2 * tasks as u8;
        let (network, w) = with_own_experts::<f32>(&spec, &data, 2);
        let rows: Vec<u32> = (0..60).collect();
        let mut a = Activations::default();
        network.forward(&w, &data, &rows, 0, None, &mut a);
        for (task, shares) in a.shares.iter().enumerate() {
            for row in shares.chunks(network.num_experts) {
                for (expert, share) in row.iter().enumerate() {
                    let reached = expert < 2 || (expert - 2) / 2 == task;
                    assert_eq!(*share > 0.0, reached, "{task} {expert} {share}");
                }
            }
        }
        // What no gate reaches learns nothing, and a closed gate stays closed.
        let options = vec![TaskOptions::default(); tasks];
        let only = |t: usize| {
            let mut options = options.clone();
            for (i, o) in options.iter_mut().enumerate() {
                o.weight = f64::from(u8::from(i == t));
            }
            let plan = Plan {
                network: &network,
                data: &data,
                tasks: &options,
                dropout: None,
                load_balance: 0.0,
            };
            let mut g = Gradients::default();
            assert!(g.compute(&plan, &w, &rows, None));
            g.dense
        };
        for task in 0..tasks {
            let dense = only(task);
            for (expert, spans) in network.experts.iter().enumerate() {
                let moved = spans
                    .iter()
                    .any(|s| dense[s.weights()].iter().any(|g| *g != 0.0));
                let reached = expert < 2 || (expert - 2) / 2 == task;
                assert_eq!(moved, reached, "{task} {expert}");
                let owner = (expert >= 2).then(|| (expert - 2) / 2);
                for span in spans {
                    let segment = network.segments.iter().find(|s| s.range == span.weights());
                    assert_eq!(segment.unwrap().owner, owner);
                }
            }
            let gate = network.gates[task].last().unwrap();
            for (expert, row) in dense[gate.weights()].chunks(gate.inputs).enumerate() {
                let reached = expert < 2 || (expert - 2) / 2 == task;
                assert!(reached || row.iter().all(|g| *g == 0.0));
            }
        }
    }
}
