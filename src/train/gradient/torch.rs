//! Losses, gradients and optimizer steps against PyTorch's (`tests/torch/gradients.py` made the values).
#![allow(clippy::unwrap_used)]
use serde_json::Value;

use super::*;
use crate::spec::{
    Calibration, Encoding, Feature, IdType, Layers, Lookup, NetworkKind, NumberGrid, Pooling, Side,
    Source, Spec, Table, Task, TaskKind, Transform,
};
use crate::train::dataset::{FeatureData, TaskData};
use crate::train::network::Span;
use crate::train::optimizer::State;
use crate::train::options::{OptimizerKind, TrainOptions};

const TABLES: [&str; 3] = ["user", "item", "tag"];
const TASKS: [&str; 3] = ["click", "duration", "completion"];

fn read(name: &str) -> Value {
    let path = format!("{}/tests/torch/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Null is 0.
fn numbers(v: &Value) -> Vec<f64> {
    v.as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap_or(0.0))
        .collect()
}

fn network() -> Network {
    let mut spec = Spec::default();
    for (name, (num_embeddings, embedding_dim)) in TABLES.into_iter().zip([(5, 2), (7, 4), (6, 3)])
    {
        let lookup = Lookup::Vocabulary(IdType::Int);
        spec.tables
            .push(Table {
                name,
                num_embeddings,
                embedding_dim,
                bits: 8,
                lookup,
            })
            .unwrap();
    }
    let transform = Transform {
        low: -9.0,
        high: 9.0,
        log1p: false,
        shift: 0.0,
        scale: 1.0,
    };
    let value = Some(NumberGrid {
        bytes: 2,
        inv_scale: 1.0,
        zero_point: 0,
    });
    let number = Encoding::Number {
        transform,
        default: 0.0,
        value,
        buckets: None,
    };
    let lists = |table, pooling, weighted| Encoding::Rows {
        table,
        max_len: 9,
        pooling,
        weighted,
        divisor: 1,
    };
    for (name, encoding) in [
        (
            "user",
            Encoding::Row {
                table: 0,
                default_row: 0,
            },
        ),
        (
            "item",
            Encoding::Row {
                table: 1,
                default_row: 0,
            },
        ),
        ("recent", lists(1, Pooling::Mean, false)),
        ("tags", lists(2, Pooling::Sum, true)),
        ("number 0", number),
        ("number 1", number),
    ] {
        // One side, so that the inputs are in the order of the features.
        spec.features
            .push(Feature {
                name,
                side: Side::Cross,
                source: Source::Column,
                encoding,
            })
            .unwrap();
    }
    let expert_layers = Layers::from_slice(&[8, 6]).unwrap();
    spec.network = crate::spec::Network {
        kind: NetworkKind::Mmoe,
        num_experts: 3,
        expert_layers,
        ..crate::spec::Network::default()
    };
    for name in TASKS {
        let kind = if name == "duration" {
            TaskKind::Duration
        } else {
            TaskKind::Binary
        };
        let tower_layers = Layers::from_slice(&[5]).unwrap();
        spec.tasks
            .push(Task {
                name,
                unit: "",
                kind,
                given: None,
                tower_layers,
                inputs: Default::default(),
                calibration: Calibration::None,
                score_scale: 1.0,
            })
            .unwrap();
    }
    Network::new(&spec)
}

fn dataset(batch: &Value) -> Dataset {
    let rows =
        |name: &str| FeatureData::Rows(numbers(&batch[name]).iter().map(|x| *x as u32).collect());
    let lists = |name: &str, weights: Option<&str>| {
        let (mut offsets, mut flat) = (vec![0], Vec::new());
        for list in batch[name].as_array().unwrap() {
            flat.extend(numbers(list).iter().map(|x| *x as u32));
            offsets.push(flat.len() as u32);
        }
        let q15 = |x: f64| (x * 32768.0) as u16;
        let weights = weights.map(|w| {
            batch[w]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(numbers)
                .map(q15)
                .collect()
        });
        FeatureData::Lists {
            offsets,
            rows: flat,
            weights,
        }
    };
    let number = |i: usize| FeatureData::Numbers {
        values: batch["numbers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| numbers(row)[i] as f32)
            .collect(),
        buckets: vec![],
    };
    let n = batch["user"].as_array().unwrap().len();
    let tasks = TASKS.map(|task| {
        let labels = numbers(&batch[if task == "duration" { "seconds" } else { task }]);
        let space = numbers(&batch["space"][task]);
        TaskData {
            labels: labels.iter().map(|x| *x as f32).collect(),
            weights: numbers(&batch["row_weight"])
                .iter()
                .zip(space)
                .map(|(w, s)| (w * s) as f32)
                .collect(),
            ..TaskData::default()
        }
    });
    Dataset {
        features: vec![
            rows("user"),
            rows("item"),
            lists("recent", None),
            lists("tags", Some("tag_weights")),
            number(0),
            number(1),
        ],
        request: (0..n as u32).collect(),
        tasks: tasks.into(),
        gauc_group: vec![0; n],
        ..Dataset::default()
    }
}

/// PyTorch's name of every dense layer.
fn layers(network: &Network) -> Vec<(String, Span)> {
    let mut all = Vec::new();
    for (e, spans) in network.experts.iter().enumerate() {
        all.extend(
            spans
                .iter()
                .enumerate()
                .map(|(l, s)| (format!("expert.{e}.{l}"), *s)),
        );
    }
    for (t, task) in TASKS.iter().enumerate() {
        all.push((format!("gate.{task}"), network.gates[t][0]));
        all.push((format!("tower.{task}.0"), network.towers[t][0]));
        all.push((format!("head.{task}"), network.heads[t]));
    }
    all
}

/// Reads `{name: {shape, data}}` or `{name: [...]}`; what is absent is 0.
fn weights(network: &Network, values: &Value) -> Weights<f64> {
    let data = |name: &str| match &values[name] {
        Value::Null => None,
        Value::Array(_) => Some(numbers(&values[name])),
        tensor => Some(numbers(&tensor["data"])),
    };
    let mut w = network.zeros();
    for (table, name) in w.tables.iter_mut().zip(TABLES) {
        if let Some(values) = data(&format!("table.{name}")) {
            assert_eq!(table.len(), values.len());
            *table = values;
        }
    }
    for (name, span) in layers(network) {
        for (part, range) in [("weight", span.weights()), ("bias", span.biases())] {
            if let Some(values) = data(&format!("{name}.{part}")) {
                w.dense[range].copy_from_slice(&values);
            }
        }
    }
    w
}

fn close(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= 1e-9 * w.abs().max(1.0),
            "{what}, value {i}: {g}, PyTorch {w}"
        );
    }
}

fn same(what: &str, network: &Network, g: &Gradients<f64>, want: &Weights<f64>) {
    close(what, &g.dense, &want.dense);
    for (t, want) in want.tables.iter().enumerate() {
        let dim = network.tables[t].dim;
        let mut dense = vec![0.0; want.len()];
        for (row, values) in g.tables[t].rows.iter().zip(g.tables[t].values.chunks(dim)) {
            dense[*row as usize * dim..][..dim].copy_from_slice(values);
        }
        close(&format!("{what}, table {t}"), &dense, want);
    }
}

fn tasks(file: &Value) -> Vec<TaskOptions> {
    let weight = |t: &str| file["task_weights"][t].as_f64().unwrap();
    TASKS
        .iter()
        .map(|t| TaskOptions {
            weight: weight(t),
            ..TaskOptions::default()
        })
        .collect()
}

fn compute(
    network: &Network,
    w: &Weights<f64>,
    data: &Dataset,
    tasks: &[TaskOptions],
) -> Gradients<f64> {
    let rows: Vec<u32> = (0..data.request.len() as u32).collect();
    let plan = Plan {
        network,
        data,
        tasks,
        dropout: None,
        load_balance: 0.0,
    };
    let mut g = Gradients::default();
    assert!(g.compute(&plan, w, &rows, None));
    g
}

#[test]
fn logits_losses_and_gradients_are_those_of_pytorch() {
    let (network, file) = (network(), read("gradients.json"));
    let w = weights(&network, &file["parameters"]);
    for part in [&file, &read("gradients_extended.json")] {
        let data = dataset(&part["batch"]);
        let rows: Vec<u32> = (0..data.request.len() as u32).collect();
        let logits = network.predict(&w, &data, &rows);
        let g = compute(&network, &w, &data, &tasks(&file));
        for (t, task) in TASKS.iter().enumerate() {
            let column: Vec<f64> = logits.chunks(3).map(|z| z[t]).collect();
            close(task, &column, &numbers(&part["logits"][task]));
            let loss = part["losses"][task].as_f64().unwrap() * tasks(&file)[t].weight;
            close("loss", &[g.losses[t]], &[loss]);
        }
        same(
            "all tasks",
            &network,
            &g,
            &weights(&network, &part["gradients"]),
        );
    }
}

#[test]
fn each_tasks_gradient_is_that_of_pytorch() {
    let (network, file) = (network(), read("gradients.json"));
    let w = weights(&network, &file["parameters"]);
    for (t, task) in TASKS.iter().enumerate() {
        let mut data = dataset(&file["batch"]);
        data.tasks
            .iter_mut()
            .enumerate()
            .filter(|(i, _)| *i != t)
            .for_each(|(_, d)| d.weights.fill(0.0));
        let g = compute(&network, &w, &data, &[TaskOptions::default(); 3]);
        same(
            task,
            &network,
            &g,
            &weights(&network, &file["task_gradients"][task]),
        );
    }
}

#[test]
fn one_step_of_each_optimizer_is_that_of_pytorch() {
    let (network, file) = (network(), read("gradients.json"));
    let data = dataset(&file["batch"]);
    for (step, optimizer, lr) in [
        ("adam_step", OptimizerKind::Adam, 0.01),
        ("adagrad_step", OptimizerKind::Adagrad, 0.05),
    ] {
        let options = TrainOptions {
            optimizer,
            lr,
            ..TrainOptions::default()
        };
        let mut state = State::new(&network, weights(&network, &file["parameters"]), &options);
        let g = compute(&network, &state.weights, &data, &tasks(&file));
        assert!(state.update(&network, &options, &tasks(&file), &g, 1.0));
        close(
            step,
            &state.weights.dense,
            &weights(&network, &file[step]).dense,
        );
    }
}
