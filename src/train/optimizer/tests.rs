//! Updates against the papers' formulas, written out once more per value.
use super::*;
use crate::train::dataset::Dataset;
use crate::train::gradient::Plan;
use crate::train::options::TaskOptions;
use crate::train::synthetic::{log, spec};

fn setup(options: &TrainOptions) -> (Network, Dataset, State<f64>) {
    let (network, data) = (Network::new(&spec()), log(64, 1));
    let rows: Vec<u32> = (0..64).collect();
    let weights = network.weights(network.initialize(&data, &rows, 1, 0.1));
    let state = State::new(&network, weights, options);
    (network, data, state)
}

/// A batch, or one without rows in the spaces of tasks 1 and 2.
fn gradients(
    network: &Network,
    data: &Dataset,
    state: &State<f64>,
    rows: &[u32],
) -> Gradients<f64> {
    let mut g = Gradients::default();
    let plan = Plan {
        network,
        data,
        tasks: &[TaskOptions::default(); 3],
        dropout: None,
        load_balance: 0.0,
    };
    assert!(g.compute(&plan, &state.weights, rows, None));
    g
}

#[test]
fn three_steps_of_each_optimizer_are_those_of_the_formulas() {
    for kind in [OptimizerKind::Adam, OptimizerKind::Adagrad] {
        let options = TrainOptions {
            optimizer: kind,
            embedding_optimizer: kind,
            lr: 0.01,
            embedding_lr: 0.02,
            weight_decay: 0.1,
            embedding_weight_decay: 0.2,
            average: 0.9,
            ..TrainOptions::default()
        };
        let (network, data, mut state) = setup(&options);
        let start = state.weights.clone();
        let tasks = [TaskOptions {
            lr: 0.5,
            ..TaskOptions::default()
        }; 3];
        // Rows read in every step, so that lazy and plain updates agree.
        let rows: Vec<u32> = (0..64).collect();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let g = gradients(&network, &data, &state, &rows);
            assert!(state.update(&network, &options, &tasks, &g, 0.5));
            seen.push(g);
        }
        let averaged = state.averaged(&network, options.average);
        let expect = |p0: f64, g: [f64; 3], lr: f64, decay: f64| {
            let (mut p, mut m, mut v, mut a) = (p0, 0.0, 0.0, 0.0);
            for (i, g) in g.into_iter().enumerate() {
                let t = i as i32 + 1;
                let before = p;
                p -= lr * decay * before;
                match kind {
                    OptimizerKind::Adam => {
                        m = 0.9 * m + 0.1 * g;
                        v = 0.999 * v + 0.001 * g * g;
                        let (mh, vh) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
                        p -= lr * mh / (vh.sqrt() + 1e-8);
                    }
                    OptimizerKind::Adagrad => {
                        v += g * g;
                        p -= lr * g / (v.sqrt() + 1e-10);
                    }
                }
                a = 0.9 * a + 0.1 * p;
            }
            (p, a / (1.0 - 0.9f64.powi(3)))
        };
        for segment in &network.segments {
            let lr = 0.005 * if segment.owner.is_some() { 0.5 } else { 1.0 };
            for i in segment.range.clone() {
                let g = [0, 1, 2].map(|s: usize| seen[s].dense[i]);
                let (p, a) = expect(
                    start.dense[i],
                    g,
                    lr,
                    if segment.decays { 0.1 } else { 0.0 },
                );
                assert!(
                    (state.weights.dense[i] - p).abs() < 1e-12
                        && (averaged.dense[i] - a).abs() < 1e-12
                );
            }
        }
        for t in 0..network.tables.len() {
            let dim = network.tables[t].dim;
            for (slot, row) in seen[0].tables[t].rows.iter().enumerate() {
                for j in 0..dim {
                    let i = *row as usize * dim + j;
                    let g = [0, 1, 2].map(|s: usize| seen[s].tables[t].values[slot * dim + j]);
                    let (p, a) = expect(start.tables[t][i], g, 0.01, 0.2);
                    assert!((state.weights.tables[t][i] - p).abs() < 1e-12);
                    assert!((averaged.tables[t][i] - a).abs() < 1e-12);
                }
            }
        }
    }
}

/// The dense values, moments or averages of a state.
type Part = fn(&State<f64>) -> &[f64];

#[test]
fn a_batch_without_a_task_changes_neither_its_parameters_nor_its_moments() {
    let options = TrainOptions {
        average: 0.9,
        weight_decay: 0.1,
        ..TrainOptions::default()
    };
    let (network, data, mut state) = setup(&options);
    let tasks = [TaskOptions::default(); 3];
    let rows: Vec<u32> = (0..64).collect();
    let g = gradients(&network, &data, &state, &rows);
    assert!(state.update(&network, &options, &tasks, &g, 1.0));
    let before = state.clone();
    let outside: Vec<u32> = rows
        .into_iter()
        .filter(|r| data.tasks[1].weights[*r as usize] == 0.0)
        .collect();
    let g = gradients(&network, &data, &state, &outside);
    assert!(state.update(&network, &options, &tasks, &g, 1.0));
    assert_eq!(state.task_steps, [2, 1, 1]);
    for segment in &network.segments {
        let same =
            |of: Part| of(&before)[segment.range.clone()] == of(&state)[segment.range.clone()];
        let parts: [Part; 4] = [
            |s| &s.weights.dense,
            |s| &s.first.dense,
            |s| &s.second.dense,
            |s| &s.average.dense,
        ];
        let absent = segment.owner.is_some_and(|t| t > 0);
        for part in parts {
            assert_eq!(same(part), absent, "{segment:?}");
        }
    }
    let averaged = (
        before.averaged(&network, 0.9),
        state.averaged(&network, 0.9),
    );
    let tower = network.towers[1][0].weights();
    assert_eq!(averaged.0.dense[tower.clone()], averaged.1.dense[tower]);
}

#[test]
fn only_touched_rows_are_updated() {
    let options = TrainOptions {
        embedding_weight_decay: 0.1,
        average: 0.5,
        ..TrainOptions::default()
    };
    let (network, data, mut state) = setup(&options);
    let before = state.clone();
    let g = gradients(&network, &data, &state, &[0, 1, 2]);
    assert!(state.update(&network, &options, &[TaskOptions::default(); 3], &g, 1.0));
    for t in 0..network.tables.len() {
        let dim = network.tables[t].dim;
        for row in 0..network.tables[t].num_embeddings {
            let range = row * dim..(row + 1) * dim;
            let touched = g.tables[t].rows.contains(&(row as u32));
            assert_eq!(
                before.weights.tables[t][range.clone()] == state.weights.tables[t][range.clone()],
                !touched
            );
            assert_eq!(
                before.second.tables[t][range.clone()] == state.second.tables[t][range],
                !touched
            );
        }
    }
}

/// Rows that come and go: the average must be that of a plain average of every row in every step.
#[test]
fn lazy_averages_are_plain_averages() {
    let options = TrainOptions {
        average: 0.8,
        embedding_lr: 0.05,
        ..TrainOptions::default()
    };
    let (network, data, mut state) = setup(&options);
    let mut plain: Vec<Vec<f64>> = state
        .weights
        .tables
        .iter()
        .map(|t| vec![0.0; t.len()])
        .collect();
    for step in 0..12u32 {
        let rows: Vec<u32> = (0..5).map(|i| (step * 17 + i * 7) % 64).collect();
        let g = gradients(&network, &data, &state, &rows);
        assert!(state.update(&network, &options, &[TaskOptions::default(); 3], &g, 1.0));
        for (a, p) in plain
            .iter_mut()
            .flatten()
            .zip(state.weights.tables.iter().flatten())
        {
            *a = 0.8 * *a + 0.2 * p;
        }
    }
    let averaged = state.averaged(&network, 0.8);
    for (a, got) in plain.iter().flatten().zip(averaged.tables.iter().flatten()) {
        assert!((a / (1.0 - 0.8f64.powi(12)) - got).abs() < 1e-12);
    }
}

/// A tower's first Adam step has the size of the learning rate, whatever its loss weighs.
#[test]
fn weight_leaves_a_towers_adam_steps_alone_and_lr_scales_them_and_both_change_what_is_shared() {
    let options = TrainOptions::default();
    let step = |weight: f64, lr: f64| {
        let mut tasks = [TaskOptions::default(); 3];
        (tasks[0].weight, tasks[0].lr) = (weight, lr);
        let (network, data, mut state) = setup(&options);
        let before = state.weights.dense.clone();
        let rows: Vec<u32> = (0..60).collect();
        let plan = Plan {
            network: &network,
            data: &data,
            tasks: &tasks,
            dropout: None,
            load_balance: 0.0,
        };
        let mut g = Gradients::default();
        assert!(g.compute(&plan, &state.weights, &rows, None));
        assert!(state.update(&network, &options, &tasks, &g, 1.0));
        let moved = state.weights.dense.iter().zip(&before);
        let moved: Vec<f64> = moved.map(|(a, b)| a - b).collect();
        let part = |owner: Option<usize>| -> Vec<f64> {
            let segments = network.segments.iter().filter(|s| s.owner == owner);
            segments
                .flat_map(|s| moved[s.range.clone()].to_vec())
                .collect()
        };
        (part(Some(0)), part(None))
    };
    let far = |a: &[f64], b: &[f64], factor: f64| {
        let pairs = a.iter().zip(b);
        pairs
            .map(|(a, b)| (a * factor - b).abs())
            .fold(0.0, f64::max)
    };
    let (own, shared) = step(1.0, 1.0);
    let (weighed, weighed_shared) = step(2.0, 1.0);
    let (fast, fast_shared) = step(1.0, 2.0);
    // The e of Adam, 1e-8, beside gradients of 1e-6 and more.
    assert!(far(&own, &weighed, 1.0) < 1e-2 * options.lr);
    assert!(far(&own, &fast, 2.0) < 1e-12);
    assert!(far(&shared, &weighed_shared, 1.0) > 0.1 * options.lr);
    assert!(far(&shared, &fast_shared, 1.0) > 0.1 * options.lr);
}
