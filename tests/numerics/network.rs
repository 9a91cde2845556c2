//! The network of a model file, naively: element by element, from docs/numerics.md and the file's tensors.

use pocketrank::format::{File, SectionKind};
use pocketrank::spec::{
    Calibration, FedValue, Gate, Layer, NetworkKind, Side, Spec, Task, TaskKind, Tensor,
    TensorSection,
};

/// The tensors of a file.
pub struct Tensors<'a> {
    all: Vec<(Tensor, usize, usize, &'a [u8])>,
}

impl<'a> Tensors<'a> {
    pub fn read(bytes: &'a [u8], spec: &Spec<'_>) -> Self {
        let file = File::check(bytes).unwrap();
        let mut all = Vec::new();
        for (kind, section) in [
            (SectionKind::Embeddings, TensorSection::Embeddings),
            (SectionKind::Layers, TensorSection::Layers),
            (SectionKind::Attention, TensorSection::Attention),
        ] {
            let mut reader = file.section(kind);
            spec.tensors::<()>(section, &mut |tensor, dtype, rows, cols| {
                all.push((
                    tensor,
                    rows,
                    cols,
                    reader.tensor(dtype, rows, cols).unwrap(),
                ));
                Ok(())
            })
            .unwrap();
        }
        Self { all }
    }

    /// `[inputs][outputs]` of what a task's tower is fed; empty without.
    pub fn fed(&self, layer: Layer) -> Vec<Vec<f32>> {
        let Some((_, rows, cols, _)) = self.get(Tensor::Fed(layer)) else {
            return Vec::new();
        };
        let all = self.floats(Tensor::Fed(layer));
        (0..*rows)
            .map(|i| all[i * cols..][..*cols].to_vec())
            .collect()
    }

    fn get(&self, tensor: Tensor) -> Option<&(Tensor, usize, usize, &'a [u8])> {
        self.all.iter().find(|t| t.0 == tensor)
    }

    pub fn floats(&self, tensor: Tensor) -> Vec<f32> {
        let words = self.get(tensor).unwrap().3.chunks(4);
        words
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    }

    pub fn bytes(&self, tensor: Tensor) -> &'a [u8] {
        self.get(tensor).unwrap().3
    }

    /// `[outputs][inputs]` of a layer; empty for a side without inputs.
    pub fn weights(&self, layer: Layer) -> Vec<Vec<i64>> {
        self.matrix(Tensor::Weight(layer), matches!(layer, Layer::Head { .. }))
    }

    /// The same of any tensor of weights, in panels or row by row.
    pub fn matrix(&self, tensor: Tensor, head: bool) -> Vec<Vec<i64>> {
        let Some((_, rows, cols, data)) = self.get(tensor) else {
            return Vec::new();
        };
        let groups = cols.div_ceil(4);
        let at = |o: usize, i: usize| {
            let panel = ((o / 16) * groups + i / 4) * 64 + (o % 16) * 4 + i % 4;
            i64::from(data[if head { o * cols + i } else { panel }] as i8)
        };
        (0..*rows)
            .map(|o| (0..*cols).map(|i| at(o, i)).collect())
            .collect()
    }
}

/// e^x of docs/numerics.md.
#[allow(clippy::excessive_precision)]
fn exp(x: f32) -> f32 {
    let x = if x > -87.0 { x } else { -87.0 };
    let x = if x < 88.0 { x } else { 88.0 };
    let n = f64::from(x * core::f32::consts::LOG2_E).round_ties_even() as i32;
    let k = n as f32;
    let r = x - k * 0.693_359_4 - k * -2.121_944_4e-4;
    let coefficients = [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5.000_000_1e-1,
    ];
    let p = coefficients
        .iter()
        .fold(1.987_569_1e-4f32, |p, c| p * r + c);
    (p * (r * r) + r + 1.0) * 2f32.powi(n)
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x.clamp(-30.0, 30.0)))
}

fn link(t: &Tensors<'_>, index: usize, task: &Task<'_>, logit: f32) -> f32 {
    match (task.kind, task.calibration) {
        (TaskKind::Duration, _) => (exp(logit.clamp(0.0, 20.0)) - 1.0) * task.score_scale,
        (TaskKind::Odds, _) => exp(logit.clamp(-30.0, 20.0)) * task.score_scale,
        (TaskKind::Steps { .. }, _) => logit * task.score_scale,
        (_, Calibration::None) => sigmoid(logit),
        (_, Calibration::Platt { scale, offset }) => {
            sigmoid(logit.clamp(-1e6, 1e6) * scale + offset)
        }
        (_, Calibration::Isotonic { knots }) => {
            let knots = usize::from(knots);
            let all = t.floats(Tensor::Knots(index));
            let (x, y) = all.split_at(knots);
            match x.iter().position(|x| logit < *x) {
                Some(0) => y[0],
                None => y[knots - 1],
                Some(i) => {
                    let share = (logit - x[i - 1]) / (x[i] - x[i - 1]);
                    y[i - 1] + (y[i] - y[i - 1]) * share
                }
            }
        }
    }
}

/// Row of activations as bytes and their scale.
fn quantize(row: &[f32]) -> (Vec<i64>, f32) {
    let max = row.iter().copied().fold(0.0f32, f32::max);
    if max < 2f32.powi(-40) {
        return (vec![0; row.len()], 0.0);
    }
    let byte = |x: &f32| (x * (127.0 / max)).round_ties_even() as i64;
    (row.iter().map(byte).collect(), max / 127.0)
}

fn dot(w: &[i64], x: &[i64]) -> i64 {
    w.iter().zip(x).map(|(w, x)| w * x).sum()
}

fn dense(t: &Tensors<'_>, layer: Layer, input: &[f32]) -> Vec<f32> {
    let (bytes, row_scale) = quantize(input);
    let (scale, bias) = (
        t.floats(Tensor::Scale(layer)),
        t.floats(Tensor::Bias(layer)),
    );
    let outputs = t.weights(layer).into_iter().enumerate();
    outputs
        .map(|(o, w)| dot(&w, &bytes) as f32 * (scale[o] * row_scale) + bias[o])
        .collect()
}

/// A head whose logits differ by their biases alone.
fn one_sum(t: &Tensors<'_>, layer: Layer, input: &[f32], known: &[f32]) -> Vec<f32> {
    let (bytes, row_scale) = quantize(input);
    let scale = t.floats(Tensor::Scale(layer))[0] * row_scale;
    let sum = dot(&t.weights(layer)[0], &bytes) as f32 * scale;
    let fed = t.fed(layer);
    let biases = t.floats(Tensor::Bias(layer)).into_iter();
    let logit = |bias: f32| {
        let fed = fed.iter().zip(known);
        fed.fold(sum + bias, |z, (weights, value)| z + weights[0] * value)
    };
    biases.map(logit).collect()
}

fn relu(row: Vec<f32>) -> Vec<f32> {
    row.into_iter()
        .map(|x| x.clamp(0.0, 2f32.powi(40)))
        .collect()
}

/// The outputs of a group's first layer.
fn first(t: &Tensors<'_>, group: usize, inputs: &[Vec<u8>; 4]) -> Vec<f32> {
    let bias = Layer::First {
        group,
        side: Side::User,
    };
    let mut first = t.floats(Tensor::Bias(bias));
    for (side, bytes) in Side::ALL.into_iter().zip(inputs) {
        if bytes.is_empty() {
            continue;
        }
        let layer = Layer::First { group, side };
        let scale = t.floats(Tensor::Scale(layer));
        let zero: Vec<i64> = (t.bytes(Tensor::ZeroBias { group, side }).chunks(4))
            .map(|b| i32::from_le_bytes(b.try_into().unwrap()).into())
            .collect();
        let x: Vec<i64> = bytes.iter().map(|b| (*b).into()).collect();
        for (o, w) in t.weights(layer).iter().enumerate() {
            first[o] += (dot(w, &x) + zero[o]) as f32 * scale[o];
        }
    }
    first
}

/// Weights of the experts, of 32768, from their logits.
pub fn softmax(logits: &[f32]) -> Vec<i32> {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    let e: Vec<f32> = logits.iter().map(|z| exp((z - max).max(-20.0))).collect();
    let sum = e.iter().fold(0.0, |a, b| a + b);
    let mut gate: Vec<i32> = e
        .iter()
        .map(|e| (e / sum * 32768.0).round_ties_even() as i32)
        .collect();
    let best = logits.iter().position(|z| *z == max).unwrap();
    gate[best] += 32768 - gate.iter().sum::<i32>();
    gate
}

/// Where the outputs of an expert stand in the first layer: group and first output.
pub fn expert_place(spec: &Spec<'_>, expert: usize) -> (usize, usize) {
    match spec.network.kind {
        NetworkKind::Single => (expert, 0),
        _ => (0, expert * usize::from(spec.network.expert_layers[0])),
    }
}

/// Where those of a task's gate stand, in the only group.
pub fn gate_place(spec: &Spec<'_>, task: usize) -> core::ops::Range<usize> {
    let network = &spec.network;
    let width = match (network.gate_layers.first(), network.gate) {
        (Some(width), _) => usize::from(*width),
        (None, Gate::Softmax) => usize::from(network.num_experts),
        (None, Gate::Attention) => usize::from(*network.expert_layers.last().unwrap()),
    };
    let experts = usize::from(network.num_experts) * usize::from(network.expert_layers[0]);
    experts + task * width..experts + (task + 1) * width
}

/// The only expert that a task reads, in a network without gates.
pub fn own_expert(spec: &Spec<'_>, task: usize) -> usize {
    if spec.network.kind == NetworkKind::SharedBottom {
        0
    } else {
        task
    }
}

fn mixed(logits: &[f32], outputs: &[Vec<f32>]) -> Vec<f32> {
    let mut x = vec![0.0f32; outputs[0].len()];
    for (g, row) in softmax(logits).iter().zip(outputs) {
        for (x, from) in x.iter_mut().zip(row) {
            *x += (*g as f32 / 32768.0) * from;
        }
    }
    x
}

/// The gate of the first level whose mixture an expert of the second reads.
pub fn read_by(spec: &Spec<'_>, own: u8, expert: usize) -> usize {
    let (own, tasks) = (usize::from(own), spec.tasks.len());
    let shared = usize::from(spec.network.num_experts) - own * tasks;
    match expert {
        e if e < shared => tasks,
        e => (e - shared) / own,
    }
}

/// A task's mixture, of a second level of experts if there is one; `lower` are those of the first.
fn upper(
    spec: &Spec<'_>,
    t: &Tensors<'_>,
    lower: &dyn Fn(usize) -> Vec<f32>,
    task: usize,
) -> Vec<f32> {
    let NetworkKind::Progressive { own } = spec.network.kind else {
        return lower(task);
    };
    let experts = 0..usize::from(spec.network.num_experts);
    let outputs: Vec<Vec<f32>> = experts
        .map(|expert| {
            let layers = 0..spec.network.expert_layers.len();
            layers.fold(lower(read_by(spec, own, expert)), |x, layer| {
                relu(dense(t, Layer::UpperExpert { expert, layer }, &x))
            })
        })
        .collect();
    let layers = 0..=spec.network.gate_layers.len();
    let logits = layers.fold(lower(task), |u, layer| {
        dense(t, Layer::UpperGate { task, layer }, &relu(u))
    });
    mixed(&logits, &outputs)
}

/// Scores by task from the input bytes by group and side, in the arithmetic of the device.
pub fn exact(spec: &Spec<'_>, t: &Tensors<'_>, inputs: &[[Vec<u8>; 4]]) -> Vec<f32> {
    let groups = inputs.iter().enumerate();
    let first: Vec<Vec<f32>> = groups.map(|(g, x)| first(t, g, x)).collect();
    let width = usize::from(spec.network.expert_layers[0]);
    let outputs: Vec<Vec<f32>> = (0..usize::from(spec.network.num_experts))
        .map(|expert| {
            let (group, start) = expert_place(spec, expert);
            let mut x = relu(first[group][start..][..width].to_vec());
            for layer in 1..spec.network.expert_layers.len() {
                x = relu(dense(t, Layer::Expert { expert, layer }, &x));
            }
            x
        })
        .collect();
    let mixture = |task: usize| {
        if !spec.has_gates() {
            return outputs[own_expert(spec, task)].clone();
        }
        let mut u = first[0][gate_place(spec, task)].to_vec();
        for layer in 1..=spec.network.gate_layers.len() {
            u = dense(t, Layer::Gate { task, layer }, &relu(u));
        }
        if spec.network.gate == Gate::Attention {
            let least = 2f32.powi(-40);
            let terms = |output: &Vec<f32>| {
                u.iter().zip(output).fold(0.0, |sum, (q, k)| {
                    let q = q.clamp(-1.0 / least, 1.0 / least);
                    let counts = q.abs() >= least && *k >= least;
                    sum + if counts { q * k } else { 0.0 }
                })
            };
            u = outputs.iter().map(terms).collect();
        }
        mixed(&u, &outputs)
    };
    let mixture = |task: usize| upper(spec, t, &mixture, task);
    let mut logits: Vec<Option<f32>> = vec![None; spec.tasks.len()];
    while logits.iter().any(Option::is_none) {
        for (i, task) in spec.tasks.iter().enumerate() {
            let known: Option<Vec<f32>> = task
                .inputs
                .iter()
                .map(|fed| {
                    let z = logits[usize::from(fed.task)]?.clamp(-30.0, 30.0);
                    Some(match fed.value {
                        FedValue::Probability => sigmoid(z),
                        FedValue::Logit if z.abs() < 2f32.powi(-40) => 0.0,
                        FedValue::Logit => z,
                    })
                })
                .collect();
            let Some(known) = known else { continue };
            let towers = (0..task.tower_layers.len()).map(|layer| Layer::Tower { task: i, layer });
            let mut x = mixture(i);
            for layer in towers.chain([Layer::Head { task: i }]) {
                if let (TaskKind::Steps { ordered: true, .. }, Layer::Head { .. }) =
                    (task.kind, layer)
                {
                    x = one_sum(t, layer, &x, &known);
                    continue;
                }
                x = dense(t, layer, &x);
                for (weights, value) in t.fed(layer).iter().zip(&known) {
                    x.iter_mut().zip(weights).for_each(|(x, w)| *x += w * value);
                }
                if !matches!(layer, Layer::Head { .. }) {
                    x = relu(x);
                }
            }
            logits[i] = Some(match task.kind {
                TaskKind::Steps { .. } => {
                    let steps = t.floats(Tensor::Steps(i));
                    let worth = steps.iter().zip(&x);
                    worth.fold(0.0, |sum, (step, z)| sum + step * sigmoid(*z))
                }
                _ => x[0],
            });
        }
    }
    let tasks = spec.tasks.iter().zip(logits).enumerate();
    tasks
        .map(|(i, (task, z))| link(t, i, task, z.unwrap()))
        .collect()
}
