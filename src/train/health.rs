//! Whether experts differ and gates use them.
//!
//! Gates and experts fail quietly: experts that compute the same, a gate that sends everything to one expert, experts that no
//! gate uses. The loss shows none of that, so it is measured on rows that the report is about and named with a remedy.
use std::io;
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use crate::spec::Spec;
use crate::train::dataset::{Dataset, Rows};
use crate::train::network::Network;
use crate::train::network::forward::{Activations, SHARD_ROWS};
use crate::train::parameters::Parameters;
use crate::train::real::dot;

/// Rows that are measured, at most: shares of use are then known to a few per mille.
const ROWS: usize = 16_384;
/// Two experts above this cosine are one. Outputs of ReLUs are never opposed: healthy experts have 0.2 to 0.9.
const SAME: f64 = 0.98;
/// A gate that uses one expert more than this mixes nothing.
const POLARIZED: f64 = 0.95;
/// An expert that every gate uses less than this share of an even use is idle.
const IDLE: f64 = 0.05;

/// Gates and experts of a trained network; with two levels of experts those of the second, which the towers read, and
/// warnings of both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// By task and expert: mean share.
    pub gates: Vec<Vec<f64>>,
    /// By task: mean entropy of the gate's shares, 1 if all are even, 0 if one expert has all.
    pub gate_entropy: Vec<f64>,
    /// By expert and expert: cosine of their outputs over all rows; 0 for an expert whose outputs are all 0.
    pub expert_cosine: Vec<Vec<f64>>,
    /// What is wrong, and what may help.
    pub warnings: Vec<String>,
}

/// Measures a served network of gates on some of `rows`; empty for other networks or without rows. Each task has `own`
/// experts to itself.
///
/// # Errors
/// A store that cannot be read.
pub fn measure(
    spec: &Spec<'_>,
    p: &Parameters<f32>,
    data: &dyn Rows,
    rows: &[u32],
    own: usize,
) -> io::Result<Health> {
    let network = Network::new(spec);
    if network.gates.is_empty() || rows.is_empty() {
        return Ok(Health::default());
    }
    let rows: Vec<u32> = rows
        .iter()
        .step_by(rows.len().div_ceil(ROWS))
        .copied()
        .collect();
    data.with(&rows, |data, rows| {
        of_rows((spec, own), &network, p, data, rows)
    })
}

fn of_rows(
    (spec, own): (&Spec<'_>, usize),
    network: &Network,
    p: &Parameters<f32>,
    data: &Dataset,
    rows: &[u32],
) -> Health {
    let weights = network.weights(p.clone());
    let mut sums = vec![Sums::new(network, network.gates.len())];
    if let Some(upper) = &network.upper {
        sums.push(Sums::new(network, upper.gates.len()));
    }
    let levels = sums.len();
    let mut a = Activations::default();
    for rows in rows.chunks(SHARD_ROWS) {
        network.forward(&weights, data, rows, 0, None, &mut a);
        let from_above = [network.top(&a), network.bottom(&a)];
        for (sums, (outputs, shares)) in sums.iter_mut().rev().zip(from_above) {
            sums.add(network, outputs, shares);
        }
    }
    let mut healths = sums.into_iter().enumerate().map(|(level, sums)| {
        let of = if levels > 1 {
            format!("level {}: ", level + 1)
        } else {
            String::new()
        };
        sums.health((spec, own), rows.len(), &of)
    });
    let first = healths.next().unwrap_or_default();
    let Some(second) = healths.next() else {
        return first;
    };
    Health {
        warnings: [first.warnings, second.warnings.clone()].concat(),
        ..second
    }
}

/// Sums over rows of one level.
struct Sums {
    /// By gate and expert: shares.
    gates: Vec<Vec<f64>>,
    /// By gate.
    entropy: Vec<f64>,
    /// Inner products of the experts' outputs.
    products: Vec<Vec<f64>>,
}

impl Sums {
    fn new(network: &Network, gates: usize) -> Self {
        let experts = network.num_experts;
        Self {
            gates: vec![vec![0.0; experts]; gates],
            entropy: vec![0.0; gates],
            products: vec![vec![0.0; experts]; experts],
        }
    }

    /// Adds rows: outputs of the experts and how far they are apart, and shares by gate.
    fn add(&mut self, network: &Network, (h, stride): (&[f32], usize), shares: &[Vec<f32>]) {
        let (experts, width) = (network.num_experts, network.mixture_width());
        let gates = self.gates.iter_mut().zip(&mut self.entropy);
        for (shares, (gate, entropy)) in shares.iter().zip(gates) {
            for shares in shares.chunks(experts) {
                for (sum, share) in gate.iter_mut().zip(shares) {
                    let share = f64::from(*share);
                    *sum += share;
                    *entropy -= if share > 0.0 {
                        share * libm::log(share)
                    } else {
                        0.0
                    };
                }
            }
        }
        for row in h.chunks(stride) {
            let of = |e: usize| &row[e * width..(e + 1) * width];
            for (i, products) in self.products.iter_mut().enumerate() {
                for (j, product) in products.iter_mut().enumerate() {
                    *product += f64::from(dot(of(i), of(j)));
                }
            }
        }
    }

    /// `of` begins every warning.
    fn health(self, (spec, own): (&Spec<'_>, usize), rows: usize, of: &str) -> Health {
        let Self {
            mut gates,
            mut entropy,
            products,
        } = self;
        let (tasks, experts, n) = (spec.tasks.len(), products.len(), rows as f64);
        gates.iter_mut().flatten().for_each(|x| *x /= n);
        for (gate, x) in entropy.iter_mut().enumerate() {
            // Experts that it reaches; the shared one, behind those of the tasks, reaches all.
            let others = if gate < tasks { tasks - 1 } else { 0 };
            let reached = experts.saturating_sub(own * others);
            let most = if reached > 1 {
                libm::log(reached as f64)
            } else {
                1.0
            };
            *x /= n * most;
        }
        let cosine = |i: usize, j: usize| {
            let size = libm::sqrt(products[i][i] * products[j][j]);
            if size > 0.0 {
                products[i][j] / size
            } else {
                0.0
            }
        };
        let expert_cosine: Vec<Vec<f64>> = (0..experts)
            .map(|i| (0..experts).map(|j| cosine(i, j)).collect())
            .collect();
        let warnings = warnings(spec, own, &gates, &expert_cosine);
        Health {
            gates,
            gate_entropy: entropy,
            expert_cosine,
            warnings: warnings.into_iter().map(|w| format!("{of}{w}")).collect(),
        }
    }
}

fn warnings(spec: &Spec<'_>, own: usize, gates: &[Vec<f64>], cosine: &[Vec<f64>]) -> Vec<String> {
    let experts = cosine.len();
    let mut all = Vec::new();
    if experts < 2 {
        return all;
    }
    for (i, row) in cosine.iter().enumerate() {
        for (j, cosine) in row.iter().enumerate().skip(i + 1) {
            if *cosine > SAME {
                all.push(format!(
                    "experts {i} and {j} compute the same (cosine {cosine:.3}): use fewer experts, or dropout"
                ));
            }
        }
        if row[i] == 0.0 {
            all.push(format!(
                "expert {i} is dead: all its outputs are 0; lower lr, or use fewer experts"
            ));
        }
    }
    // Remedies for gates are of networks in which every gate reaches every expert.
    let [even, used] = match own {
        0 => [
            "try gate_dropout = 0.1",
            "try load_balance = 0.01, or use fewer experts",
        ],
        _ => ["try fewer experts, or kind = \"mmoe\""; 2],
    };
    for (at, gate) in gates.iter().enumerate() {
        let (expert, most) =
            gate.iter().enumerate().fold(
                (0, 0.0),
                |best, (e, x)| if *x > best.1 { (e, *x) } else { best },
            );
        if most > POLARIZED {
            all.push(format!(
                "{} is polarized: expert {expert} has {:.1} % of its use; {even}",
                match spec.tasks.get(at) {
                    Some(task) => format!("the gate of task \"{}\"", task.name),
                    None => "the shared gate".into(),
                },
                100.0 * most
            ));
        }
    }
    for expert in 0..experts {
        let most = gates.iter().map(|g| g[expert]).fold(0.0, f64::max);
        if most < IDLE / experts as f64 {
            all.push(format!(
                "no gate uses expert {expert} (at most {:.2} %); {used}",
                100.0 * most
            ));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::synthetic::{log, spec};

    fn trained() -> (Spec<'static>, Dataset, Parameters<f32>) {
        let (mut spec, data) = (spec(), log(400, 3));
        spec.network.num_experts = 3;
        let rows: Vec<u32> = (0..400).collect();
        let p = Network::new(&spec).initialize(&data, &rows, 1, 0.5);
        (spec, data, p)
    }

    fn measured(change: impl Fn(&mut Parameters<f32>)) -> Health {
        let (spec, data, mut p) = trained();
        change(&mut p);
        let rows: Vec<u32> = (0..400).collect();
        measure(&spec, &p, &data, &rows, 0).expect("it is in memory")
    }

    #[test]
    fn a_healthy_network_is_silent() {
        let health = measured(|_| {});
        assert_eq!(health.warnings, Vec::<String>::new());
        for (gate, entropy) in health.gates.iter().zip(&health.gate_entropy) {
            assert!((gate.iter().sum::<f64>() - 1.0).abs() < 1e-4);
            assert!((0.1..=1.0).contains(entropy));
        }
        for (i, row) in health.expert_cosine.iter().enumerate() {
            assert!((row[i] - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn experts_of_a_task_are_not_held_against_the_others() {
        let (mut spec, data) = (spec(), log(400, 3));
        let tasks = spec.tasks.len();
        spec.network.num_experts = 1 + tasks as u8;
        let network = Network::new(&spec);
        let rows: Vec<u32> = (0..400).collect();
        let mut p = network.initialize(&data, &rows, 1, 0.5);
        network.close_gates(&mut p, 1);
        // Even shares of the two experts that a gate reaches.
        for (task, gate) in p.gates.iter_mut().enumerate() {
            let last = gate.last_mut().expect("a gate has a layer");
            last.weight.fill(0.0);
            (last.bias[0], last.bias[1 + task]) = (0.0, 0.0);
        }
        let health = measure(&spec, &p, &data, &rows, 1).expect("it is in memory");
        assert_eq!(health.warnings, Vec::<String>::new());
        assert!(health.gate_entropy.iter().all(|e| (e - 1.0).abs() < 1e-6));
        p.gates[1].last_mut().expect("a layer").bias[0] = -50.0;
        let health = measure(&spec, &p, &data, &rows, 1).expect("it is in memory");
        assert!(health.warnings[0].ends_with("try fewer experts, or kind = \"mmoe\""));
    }

    #[test]
    fn what_is_wrong_on_either_level_is_named_with_it() {
        let (mut spec, data) = (spec(), log(400, 3));
        spec.network.kind = crate::spec::NetworkKind::Progressive { own: 1 };
        spec.network.num_experts = 2 + spec.tasks.len() as u8;
        let network = Network::new(&spec);
        let rows: Vec<u32> = (0..400).collect();
        let measured = |change: &dyn Fn(&mut Parameters<f32>)| {
            let mut p = network.initialize(&data, &rows, 1, 0.5);
            network.close_gates(&mut p, 1);
            change(&mut p);
            measure(&spec, &p, &data, &rows, 1).expect("it is in memory")
        };
        let health = measured(&|_| {});
        assert_eq!(health.warnings, Vec::<String>::new());
        // Of the second level: a gate a task.
        assert_eq!(health.gates.len(), spec.tasks.len());
        assert!(health.gate_entropy.iter().all(|e| (0.1..=1.0).contains(e)));
        let dead = |layers: &mut Vec<crate::train::parameters::Dense<f32>>| {
            layers.iter_mut().for_each(|l| l.bias.fill(-1e3));
        };
        let lower = measured(&|p| dead(&mut p.experts[1]));
        assert!(lower.warnings[0].starts_with("level 1: expert 1 is dead"));
        let upper = measured(&|p| dead(&mut p.upper_experts[1]));
        assert!(upper.warnings[0].starts_with("level 2: expert 1 is dead"));
        let shared = measured(&|p| p.gates[3][0].bias[2] = 50.0);
        assert!(
            shared.warnings[0].starts_with("level 1: the shared gate is polarized: expert 2"),
            "{:?}",
            shared.warnings
        );
        let polarized = measured(&|p| p.upper_gates[1][0].bias[0] = 50.0);
        assert!(
            polarized.warnings[0].starts_with("level 2: the gate of task \"watch\" is polarized")
        );
    }

    #[test]
    fn identical_experts_a_dead_one_a_polarized_gate_and_an_idle_expert_are_named() {
        let same = measured(|p| p.experts[2] = p.experts[0].clone());
        assert!(same.warnings[0].starts_with("experts 0 and 2 compute the same"));
        let dead = measured(|p| p.experts[1].iter_mut().for_each(|l| l.bias.fill(-1e3)));
        assert!(dead.warnings[0].starts_with("expert 1 is dead"));
        let polarized = measured(|p| p.gates[1][0].bias[2] = 50.0);
        assert_eq!(polarized.warnings.len(), 1);
        assert!(polarized.warnings[0].contains("task \"watch\" is polarized: expert 2"));
        assert!(polarized.gate_entropy[1] < 1e-3);
        let idle = measured(|p| p.gates.iter_mut().for_each(|g| g[0].bias[0] = -50.0));
        assert!(idle.warnings[0].starts_with("no gate uses expert 0"));
        assert_eq!(idle.warnings.len(), 1);
    }
}
