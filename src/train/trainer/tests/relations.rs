//! Balancing, schedules, sampling and relations between tasks in whole runs.
use super::*;
use crate::spec::{Fed, FedValue, Gate, NetworkKind};
use crate::train::balance::Balance;
use crate::train::options::{AtMost, TaskSchedules};
use crate::train::sampling::Sampling;
use crate::train::schedule::Schedule;
use crate::train::synthetic::train;

fn all() -> Vec<Balance> {
    Balance::NAMES.map(|n| Balance::named(n).unwrap()).to_vec()
}

fn kind(kind: NetworkKind, experts: u8) -> Spec<'static> {
    let mut spec = spec();
    (spec.network.kind, spec.network.num_experts) = (kind, experts);
    spec
}

/// Everything that a description can say of a network, each once.
fn variants() -> Vec<Spec<'static>> {
    let mut attention = spec();
    attention.network.gate = Gate::Attention;
    attention.network.gate_layers.push(3).unwrap();
    for (to, value) in [(1, FedValue::Logit), (2, FedValue::Probability)] {
        let fed = Fed { task: 0, value };
        attention.tasks[to].inputs.push(fed).unwrap();
    }
    vec![
        kind(NetworkKind::SharedBottom, 1),
        kind(NetworkKind::SharedEmbedding, 3),
        kind(NetworkKind::Single, 3),
        attention,
    ]
}

#[test]
fn every_balancing_trains_is_resumed_byte_for_byte_and_reports_its_weights() {
    let (data, split) = (log(1200, 2), split(1200));
    for balance in all() {
        let options = TrainOptions {
            balance,
            ..options()
        };
        let whole = finished(run(&data, &split, &options, None, None));
        let folder = tempfile::tempdir().unwrap();
        for steps in [1, 5] {
            run(&data, &split, &options, Some(folder.path()), Some(steps)).unwrap();
        }
        let resumed = finished(run(&data, &split, &options, Some(folder.path()), None));
        assert_eq!(whole, resumed, "{balance:?}");
        let last = &whole.history.last().unwrap().weights;
        assert!(last.len() == 3 && last.iter().all(|w| w.is_finite()));
        let moved = last.iter().any(|w| (w - 1.0).abs() > 1e-9);
        assert_eq!(moved, balance != Balance::Fixed, "{balance:?} {last:?}");
    }
}

#[test]
fn every_variant_trains_to_the_same_bits_at_any_number_of_threads() {
    let data = log(1200, 4);
    let mut tasks = [TaskOptions::default(); 3];
    tasks[2].entire_space = true;
    tasks[2].at_most = Some(AtMost {
        task: 0,
        weight: 0.5,
    });
    for (i, spec) in variants().iter().enumerate() {
        let of = |threads| {
            let options = TrainOptions {
                threads,
                load_balance: 0.1,
                ..options()
            };
            train(spec, &data, &options, &tasks, &[])
        };
        assert_eq!(of(1), of(2), "variant {i}");
    }
}

/// Batches that no task, one task or one class can learn from, under every balancing and relation.
#[test]
fn degenerate_batches_stay_finite_under_every_balancing() {
    let positives = |d: &mut Dataset, label: f32| {
        for task in [0, 2] {
            d.tasks[task].labels.fill(label);
        }
    };
    let changes: [&dyn Fn(&mut Dataset); 4] = [
        &|d| positives(d, 0.0),
        &|d| positives(d, 1.0),
        &|d| d.tasks[1].weights.fill(0.0),
        &|d| d.tasks.iter_mut().for_each(|t| t.weights[1..].fill(0.0)),
    ];
    let mut tasks = [TaskOptions::default(); 3];
    (tasks[2].entire_space, tasks[1].stopped_inputs) = (true, 1);
    for balance in all() {
        for (i, change) in changes.iter().enumerate() {
            let mut data = log(300, 5);
            change(&mut data);
            let options = TrainOptions {
                balance,
                batch: 7,
                epochs: 2,
                load_balance: 0.01,
                ..options()
            };
            for spec in [spec(), variants().remove(i)] {
                if spec.network.kind == NetworkKind::Single && balance.needs_gram() {
                    continue;
                }
                let trained = train(&spec, &data, &options, &tasks, &[]);
                let network = Network::new(&spec);
                let w = network.weights(trained.parameters);
                let mut all = w.dense.iter().chain(w.tables.iter().flatten());
                assert!(all.all(|x| x.is_finite()), "{balance:?} {i}");
            }
        }
    }
}

/// Odds seen in training are put right: predicted clicks are as many as there are, sampled and weighed or not.
#[test]
fn sampled_and_weighed_tasks_predict_the_share_of_all_rows() {
    let whole = log(12_000, 6);
    let options = TrainOptions {
        epochs: 6,
        dropout: DropoutRates::default(),
        ..options()
    };
    let split = split(12_000);
    for sampling in [
        Sampling::default(),
        Sampling {
            keep_negatives: 0.2,
            positive_weight: 3.0,
        },
    ] {
        let mut data = log(12_000, 6);
        let mut tasks = [TaskOptions::default(); 3];
        tasks[0].sampling = sampling;
        let click = &mut data.tasks[0];
        for row in split.train.iter().map(|r| *r as usize) {
            let positive = click.labels[row] > 0.0;
            let rate = sampling.keep_negatives;
            if !crate::train::sampling::keep(1, 0, row as u64, positive, rate) {
                click.weights[row] = 0.0;
            }
            click.weights[row] *= sampling.weight(positive) as f32;
        }
        let trained = train(&spec(), &data, &options, &tasks, &[]);
        let network = Network::new(&spec());
        let w = network.weights(trained.parameters);
        let logits = network.predict(&w, &whole, &split.validation);
        let sigmoid = |z: f32| 1.0 / (1.0 + f64::from(-z).exp());
        let predicted: f64 = logits.chunks(3).map(|z| sigmoid(z[0])).sum();
        let labels = split.validation.iter();
        let seen: f64 = labels
            .map(|r| f64::from(whole.tasks[0].labels[*r as usize]))
            .sum();
        let ratio = predicted / seen;
        assert!((0.93..1.07).contains(&ratio), "{sampling:?} {ratio}");
    }
}

#[test]
fn a_schedule_of_one_value_trains_the_bits_of_that_value_and_zero_switches_off() {
    let data = log(900, 7);
    let tasks = |weight: f64, lr: f64| {
        [TaskOptions {
            weight,
            lr,
            ..TaskOptions::default()
        }; 3]
    };
    let schedules = |weight: Schedule, lr: f64| {
        let one = TaskSchedules {
            weight,
            lr: lr.into(),
        };
        vec![one.clone(), one.clone(), one]
    };
    let steps = Schedule::Steps {
        steps: vec![(0, 0.5), (4, 0.5)],
    };
    let constant = train(&spec(), &data, &options(), &tasks(0.5, 2.0), &[]);
    let scheduled = train(
        &spec(),
        &data,
        &options(),
        &tasks(1.0, 1.0),
        &schedules(steps, 2.0),
    );
    assert_eq!(constant.parameters, scheduled.parameters);
    let mut off = schedules(1.0.into(), 1.0);
    off[1].weight = Schedule::Steps {
        steps: vec![(0, 0.0), (100_000, 1.0)],
    };
    let network = Network::new(&spec());
    let rows: Vec<u32> = split(900).train;
    let fresh: Parameters<f32> = network.initialize(&data, &rows, 1, 0.05);
    let trained = train(&spec(), &data, &options(), &tasks(1.0, 1.0), &off);
    assert_eq!(trained.parameters.towers[1], fresh.towers[1]);
    assert_ne!(trained.parameters.towers[0], fresh.towers[0]);
}

#[test]
fn experts_of_a_task_stay_its_own() {
    let (mut spec, data) = (spec(), log(1200, 2));
    let tasks = spec.tasks.len();
    spec.network.num_experts = 2 + tasks as u8;
    spec.network.gate = Gate::Softmax;
    let options = TrainOptions {
        own_experts: 1,
        weight_decay: 0.1,
        average: 0.9,
        ..options()
    };
    let trained = train(
        &spec,
        &data,
        &options,
        &vec![TaskOptions::default(); tasks],
        &[],
    );
    for (task, gate) in trained.parameters.gates.iter().enumerate() {
        let last = gate.last().unwrap();
        let rows = last.weight.chunks(last.inputs).zip(&last.bias);
        for (expert, (weights, bias)) in rows.enumerate() {
            let reached = expert < 2 || expert - 2 == task;
            assert_eq!(
                weights.iter().any(|w| *w != 0.0),
                reached,
                "{task} {expert}"
            );
            assert_eq!(*bias > -1e3, reached, "{task} {expert}: {bias}");
        }
    }
}
