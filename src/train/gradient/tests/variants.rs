//! Every kind of network, gate, relation and factor: gradients against finite differences, values against sums by hand.
use super::*;
use crate::spec::{Fed, FedValue, Gate, NetworkKind, Spec};
use crate::train::network::bias::Bias;
use crate::train::options::AtMost;

/// Every kind of network, gate and relation.
fn variants() -> Vec<(&'static str, Spec<'static>)> {
    let of = |change: &dyn Fn(&mut Spec<'static>)| {
        let mut spec = spec();
        change(&mut spec);
        spec
    };
    let kind = |kind: NetworkKind, experts: u8| {
        of(&|s| (s.network.kind, s.network.num_experts) = (kind, experts))
    };
    let gate = |gate: Gate, layers: &[u16]| {
        of(&|s| {
            s.network.gate = gate;
            s.network.gate_layers = crate::spec::Layers::from_slice(layers).expect("few layers");
        })
    };
    let fed = |s: &mut Spec<'static>, to: usize, task: u8, value: FedValue| {
        s.tasks[to].inputs.push(Fed { task, value }).expect("few");
    };
    vec![
        ("shared bottom", kind(NetworkKind::SharedBottom, 1)),
        ("shared embedding", kind(NetworkKind::SharedEmbedding, 3)),
        ("single", kind(NetworkKind::Single, 3)),
        ("deep gates", gate(Gate::Softmax, &[3])),
        ("deeper gates", gate(Gate::Softmax, &[3, 4])),
        ("attention", gate(Gate::Attention, &[])),
        ("deep attention", gate(Gate::Attention, &[3, 2])),
        (
            "attention on one layer",
            of(&|s| {
                s.network.gate = Gate::Attention;
                s.network.expert_layers.truncate(1);
            }),
        ),
        ("fed logit", of(&|s| fed(s, 1, 0, FedValue::Logit))),
        (
            "fed probability",
            of(&|s| fed(s, 2, 0, FedValue::Probability)),
        ),
        (
            "fed in a chain, against the order of the tasks",
            of(&|s| {
                fed(s, 0, 1, FedValue::Logit);
                fed(s, 0, 2, FedValue::Probability);
                fed(s, 2, 1, FedValue::Logit);
            }),
        ),
        (
            "fed between single models",
            of(&|s| {
                (s.network.kind, s.network.num_experts) = (NetworkKind::Single, 3);
                fed(s, 1, 0, FedValue::Probability);
                fed(s, 2, 1, FedValue::Logit);
            }),
        ),
    ]
}

#[test]
fn every_variant_has_the_gradients_of_finite_differences() {
    for (name, spec) in variants() {
        std::eprintln!("{name}");
        check_differences(&spec, DropoutRates::default());
    }
    for (name, spec) in variants().into_iter().skip(2).step_by(4) {
        std::eprintln!("{name}, dropping");
        check_differences(&spec, DROPPING);
    }
}

#[test]
fn losses_over_the_entire_space_and_penalties_have_the_gradients_of_finite_differences() {
    let mut tasks = tasks();
    (tasks[2].entire_space, tasks[0].weight) = (true, 0.5);
    check_tasks_differences(&spec(), &tasks, DropoutRates::default());
    let mut single = spec();
    (single.network.kind, single.network.num_experts) = (NetworkKind::Single, 3);
    check_tasks_differences(&single, &tasks, DropoutRates::default());
    tasks[2].entire_space = false;
    tasks[2].at_most = Some(AtMost {
        task: 0,
        weight: 0.6,
    });
    check_tasks_differences(&spec(), &tasks, DropoutRates::default());
}

/// The last two features are known in training alone.
fn with_bias(layers: &[usize]) -> Network {
    let all = spec();
    let mut served = spec();
    served.features.truncate(all.features.len() - 2);
    let bias = Bias {
        spec: &all,
        tasks: vec![2, 0],
        layers: layers.to_vec(),
        reference: log(1, 1),
    };
    Network::with_bias(&served, &bias)
}

#[test]
fn towers_on_what_is_known_in_training_alone_have_the_gradients_of_finite_differences() {
    for layers in [&[][..], &[4, 3]] {
        check_network_differences(with_bias(layers), &tasks(), DropoutRates::default());
    }
    let rates = DropoutRates {
        position: 0.4,
        ..DropoutRates::default()
    };
    check_network_differences(with_bias(&[4]), &tasks(), rates);
}

/// The served network scores as the one in training does where its towers read the reference.
#[test]
fn folded_towers_are_those_of_the_reference_value() {
    let (network, data) = (with_bias(&[4]), log(80, 3));
    let mut served = spec();
    served.features.truncate(served.features.len() - 2);
    let served = Network::new(&served);
    let w: Weights<f64> = weights(&network, &data);
    let rows: Vec<u32> = (0..80).collect();
    let logits = network.predict(&w, &data, &rows);
    let towers = network.bias_logits(&w, &data, &rows);
    for reference in [0, 17] {
        let at = &towers[reference * 2..][..2];
        let mut p = network.parameters(w.clone());
        network.fold_bias(&mut p, at);
        assert!(served.fits(&p));
        let folded = served.predict(&served.weights(p), &data, &rows);
        for (i, z) in folded.chunks(3).enumerate() {
            // Task 2 has the first tower, task 0 the second, task 1 none.
            let want = |t: usize, b: usize| logits[i * 3 + t] - towers[i * 2 + b] + at[b];
            assert!((z[2] - want(2, 0)).abs() < 1e-9 && (z[0] - want(0, 1)).abs() < 1e-9);
            assert_eq!(z[1], logits[i * 3 + 1]);
        }
    }
}

#[test]
fn over_the_entire_space_a_row_counts_until_the_chain_breaks() {
    let (mut spec, mut data) = (spec(), log(8, 3));
    spec.tasks[1].kind = TaskKind::Binary;
    spec.tasks[2].given = Some(1);
    let network = Network::new(&spec);
    for (t, (weights, labels)) in [
        ([1.0, 2.0, 3.0, 4.0, 0.0], [0.0, 1.0, 1.0, 1.0, 1.0]),
        ([0.0, 1.5, 2.5, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0, 1.0]),
        ([0.0, 0.0, 0.5, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0, 1.0]),
    ]
    .into_iter()
    .enumerate()
    {
        data.tasks[t].weights = weights.to_vec();
        data.tasks[t].labels = labels.to_vec();
    }
    let seen: Vec<_> = (0..5)
        .map(|r| sample(&network, &data, r, 2, true))
        .collect();
    // Not clicked; clicked alone; all three; clicked, the second unknown; not in the space of the first.
    assert_eq!(
        seen,
        [(1.0, 0.0), (2.0, 0.0), (0.5, 1.0), (0.0, 0.0), (0.0, 0.0)]
    );
}

#[test]
fn a_stopped_input_changes_no_gradient_of_the_task_that_feeds_it() {
    let (mut spec, data) = (spec(), log(200, 3));
    let fed = Fed {
        task: 0,
        value: FedValue::Logit,
    };
    spec.tasks[1].inputs.push(fed).expect("few");
    let network = Network::new(&spec);
    let w: Weights<f64> = weights(&network, &data);
    let rows: Vec<u32> = (0..200).collect();
    let of = |stopped: u16, weight: f64| {
        let mut tasks = tasks();
        (tasks[1].stopped_inputs, tasks[1].weight) = (stopped, weight);
        let mut g = Gradients::default();
        assert!(g.compute(&plan(&network, &data, &tasks, None), &w, &rows, None));
        g.dense[network.heads[0].weights()].to_vec()
    };
    assert_eq!(of(1, 1.0), of(1, 5.0));
    assert_ne!(of(0, 1.0), of(0, 5.0));
}

/// Factors on the tasks' gradients at the shared representation, against gradients of each task alone.
#[test]
fn a_factor_on_the_shared_representation_leaves_gates_and_towers_alone() {
    for (name, spec) in variants().into_iter().take(7) {
        if name == "single" {
            continue;
        }
        let (network, data) = (Network::new(&spec), log(300, 3));
        let w: Weights<f64> = weights(&network, &data);
        let rows: Vec<u32> = (0..300).collect();
        let mut seen = Vec::new();
        let mut compute = |factors: [f64; 3]| {
            let mut g = Gradients::default();
            let mut balance = |gram: &[f64], present: &[bool]| {
                seen.push((gram.to_vec(), present.to_vec()));
                factors.to_vec()
            };
            assert!(g.compute(
                &plan(&network, &data, &tasks(), None),
                &w,
                &rows,
                Some(&mut balance)
            ));
            all_gradients(&network, &g)
        };
        let parts = [0, 1, 2, 9].map(|only| {
            let mut factors = [0.0; 3];
            if let Some(f) = factors.get_mut(only) {
                *f = 1.0;
            }
            compute(factors)
        });
        let (whole, mixed) = (compute([1.0; 3]), compute([0.5, 2.0, -1.0]));
        for i in 0..whole.dense.len() {
            // The last part has what does not go through the shared representation.
            let own = |t: usize| parts[t].dense[i] - parts[3].dense[i];
            let sum = parts[3].dense[i] + own(0) + own(1) + own(2);
            assert!((sum - whole.dense[i]).abs() < 1e-9, "{name}");
            let sum = parts[3].dense[i] + 0.5 * own(0) + 2.0 * own(1) - own(2);
            assert!((sum - mixed.dense[i]).abs() < 1e-9, "{name}");
        }
        for segment in network.segments.iter().filter(|s| s.owner.is_some()) {
            assert_eq!(
                mixed.dense[segment.range.clone()],
                whole.dense[segment.range.clone()]
            );
        }
        let (gram, present) = &seen[0];
        assert_eq!(present, &[true; 3]);
        for s in 0..3 {
            assert!(gram[s * 3 + s] > 0.0);
            for t in 0..3 {
                assert_eq!(gram[s * 3 + t], gram[t * 3 + s]);
                let most = libm::sqrt(gram[s * 3 + s] * gram[t * 3 + t]);
                assert!(gram[s * 3 + t].abs() <= most * (1.0 + 1e-12), "{name}");
            }
        }
    }
}

/// The penalty on uneven use of experts, by differences for all parameters.
pub(super) fn check_load_balance(spec: &Spec<'_>) {
    const ROWS: usize = 64;
    let data = log(ROWS, 12);
    let network = Network::new(spec);
    let w: Weights<f64> = weights(&network, &data);
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let tasks = tasks();
    let experts = network.num_experts;
    let penalty = |w: &Weights<f64>| {
        let mut a = Activations::default();
        network.forward(w, &data, &rows, 0, None, &mut a);
        let of = |shares: &Vec<f64>| {
            let of = |e: usize| shares.iter().skip(e).step_by(experts);
            let mean = |e: usize| of(e).sum::<f64>() / ROWS as f64;
            experts as f64 * (0..experts).map(|e| mean(e) * mean(e)).sum::<f64>() - 1.0
        };
        a.shares.iter().chain(&a.upper.shares).map(of).sum::<f64>()
    };
    let of = |load_balance: f64| {
        let plan = Plan {
            load_balance,
            ..plan(&network, &data, &tasks, None)
        };
        let mut g = Gradients::default();
        assert!(g.compute(&plan, &w, &rows, None));
        g.dense
    };
    let (with, without) = (of(0.3), of(0.0));
    let mut seen = 0;
    for i in 0..with.len() {
        let mut w = w.clone();
        let mut at = |x: f64| {
            w.dense[i] += x;
            let p = penalty(&w);
            w.dense[i] -= x;
            p
        };
        let got = 0.3 * (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((got - (with[i] - without[i])).abs() < 1e-8, "{i}");
        seen += usize::from(got.abs() > 1e-6);
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn uneven_gates_are_penalised_by_the_gradient_of_finite_differences() {
    check_load_balance(&spec());
}

/// By hand: experts give (1, 0) and (0, 2). A query (ln 3 x sqrt 2, 0) has products ln 3 and 0 with them over sqrt 2, as has
/// a gate with logits ln 3 and 0: shares 3/4 and 1/4, mixture (3/4, 1/2), and a head (1, 2) + 1/4 gives 2. A task that is fed
/// this logit, with weight 1/2 beside (0, 2), has 1 + 1 = 2; fed the probability of that, 0.88, with weight 4, the next has 4.52.
#[test]
fn gates_mixtures_heads_and_what_tasks_feed_by_hand() {
    let ln3 = libm::log(3.0);
    let root2 = libm::sqrt(2.0);
    for (gate, last) in [
        (Gate::Softmax, [ln3, 0.0]),
        (Gate::Attention, [ln3 * root2, 0.0]),
    ] {
        let mut spec = spec();
        spec.network.gate = gate;
        spec.network.expert_layers = crate::spec::Layers::from_slice(&[2]).expect("few layers");
        spec.tasks.iter_mut().for_each(|t| t.tower_layers.clear());
        for (to, task, value) in [(1, 0, FedValue::Logit), (2, 1, FedValue::Probability)] {
            if value == FedValue::Probability {
                spec.tasks[1].kind = TaskKind::Binary;
            }
            spec.tasks[to]
                .inputs
                .push(Fed { task, value })
                .expect("few");
        }
        let network = Network::new(&spec);
        let mut p = network.empty_parameters::<f64>();
        p.experts[0][0].bias = vec![1.0, 0.0];
        p.experts[1][0].bias = vec![0.0, 2.0];
        p.gates.iter_mut().for_each(|g| g[0].bias = last.to_vec());
        (p.heads[0].weight, p.heads[0].bias) = (vec![1.0, 2.0], vec![0.25]);
        p.heads[1].weight = vec![0.0, 2.0, 0.5];
        p.heads[2].weight = vec![0.0, 2.0, 4.0];
        let data = log(4, 1);
        let logits = network.predict(&network.weights(p.clone()), &data, &[0, 3]);
        // Task 2 is fed the probability of task 1's logit 2.
        let want = [2.0, 2.0, 1.0 + 4.0 / (1.0 + libm::exp(-2.0))];
        for (got, want) in logits.iter().zip(want.iter().cycle()) {
            assert!((got - want).abs() < 1e-12, "{gate:?} {logits:?}");
        }
        // A corrected logit is fed corrected: ln(1/2) less, times 1/2.
        let mut network = network;
        network.offsets[0] = libm::log(0.5);
        let logits = network.predict(&network.weights(p), &data, &[0]);
        assert!((logits[1] - (2.0 + 0.5 * libm::log(0.5))).abs() < 1e-12);
    }
}

/// The inner products against gradients of each task alone, written out over the whole batch.
#[test]
fn inner_products_are_those_of_the_tasks_gradients_flattened_over_the_batch() {
    let levels = ("two levels", upper::of_two_levels(1, 1));
    for (name, spec) in variants().into_iter().take(6).chain([levels]) {
        let own = spec.network.kind == NetworkKind::SharedEmbedding;
        if spec.network.kind == NetworkKind::Single {
            continue;
        }
        let (network, mut data) = (Network::new(&spec), log(300, 3));
        let w: Weights<f64> = weights(&network, &data);
        let rows: Vec<u32> = (0..300).collect();
        let mut gram = Vec::new();
        let mut balance = |g: &[f64], _: &[bool]| {
            gram = g.to_vec();
            vec![1.0; 3]
        };
        let mut g = Gradients::default();
        let of_all = tasks();
        let all = plan(&network, &data, &of_all, None);
        assert!(g.compute(&all, &w, &rows, Some(&mut balance)));
        let flattened: Vec<Vec<f64>> = (0..3)
            .map(|only| {
                let before: Vec<Vec<f32>> = data.tasks.iter().map(|t| t.weights.clone()).collect();
                let others = data
                    .tasks
                    .iter_mut()
                    .enumerate()
                    .filter(|(t, _)| *t != only);
                others.for_each(|(_, t)| t.weights.fill(0.0));
                let mut g = Gradients::default();
                assert!(g.compute(&plan(&network, &data, &tasks(), None), &w, &rows, None));
                for (task, weights) in data.tasks.iter_mut().zip(before) {
                    task.weights = weights;
                }
                let mut flat = Vec::new();
                for shard in &g.shards {
                    let (a, g) = (&shard.activations, &shard.gradients);
                    if own {
                        flat.extend_from_slice(&g.x);
                        continue;
                    }
                    let width = network.mixture_width();
                    for (i, dm) in g.mixture_of(only).chunks(width).enumerate() {
                        let shares = network.top(a).1.get(only).map_or(vec![1.0], |shares| {
                            shares[i * network.num_experts..][..network.num_experts].to_vec()
                        });
                        flat.extend(shares.iter().flat_map(|s| dm.iter().map(move |d| s * d)));
                    }
                }
                flat
            })
            .collect();
        for s in 0..3 {
            for t in 0..3 {
                let pairs = flattened[s].iter().zip(&flattened[t]);
                let want: f64 = pairs.map(|(a, b)| a * b).sum();
                let got = gram[s * 3 + t];
                assert!(
                    (got - want).abs() < 1e-12 + 1e-9 * want.abs(),
                    "{name} {s} {t}"
                );
            }
        }
    }
}
