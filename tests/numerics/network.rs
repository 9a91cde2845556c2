//! The network of a model file, naively: element by element, from docs/numerics.md and the file's tensors.

use pocketrank::format::{File, SectionKind};
use pocketrank::spec::{Encoding, Layer, Pooling, Side, Spec, TaskKind, Tensor, TensorSection};
use pocketrank::train::parameters::Parameters;

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
        let Some((_, rows, cols, data)) = self.get(Tensor::Weight(layer)) else {
            return Vec::new();
        };
        let head = matches!(layer, Layer::Head { .. });
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

fn link(kind: TaskKind, scale: f32, logit: f32) -> f32 {
    match kind {
        TaskKind::Binary => 1.0 / (1.0 + exp(-logit.clamp(-30.0, 30.0))),
        TaskKind::Duration => (exp(logit.clamp(0.0, 20.0)) - 1.0) * scale,
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

fn relu(row: Vec<f32>) -> Vec<f32> {
    row.into_iter()
        .map(|x| x.clamp(0.0, 2f32.powi(40)))
        .collect()
}

/// Scores by task from the input bytes of each side, in the arithmetic of the device.
pub fn exact(spec: &Spec<'_>, t: &Tensors<'_>, inputs: &[Vec<u8>; 4]) -> Vec<f32> {
    let mut first = t.floats(Tensor::Bias(Layer::First(Side::User)));
    for (side, bytes) in Side::ALL.into_iter().zip(inputs) {
        if bytes.is_empty() {
            continue;
        }
        let scale = t.floats(Tensor::Scale(Layer::First(side)));
        let zero: Vec<i64> = (t.bytes(Tensor::ZeroBias(side)).chunks(4))
            .map(|b| i32::from_le_bytes(b.try_into().unwrap()).into())
            .collect();
        let x: Vec<i64> = bytes.iter().map(|b| (*b).into()).collect();
        for (o, w) in t.weights(Layer::First(side)).iter().enumerate() {
            first[o] += (dot(w, &x) + zero[o]) as f32 * scale[o];
        }
    }
    let experts = usize::from(spec.network.num_experts);
    let width = usize::from(spec.network.expert_layers[0]);
    let outputs: Vec<Vec<f32>> = (0..experts)
        .map(|e| {
            let mut x = relu(first[e * width..][..width].to_vec());
            for layer in 1..spec.network.expert_layers.len() {
                x = relu(dense(t, Layer::Expert { expert: e, layer }, &x));
            }
            x
        })
        .collect();
    let task = |(i, task): (usize, &pocketrank::spec::Task<'_>)| {
        let logits = &first[experts * width + i * experts..][..experts];
        let max = logits.iter().copied().fold(f32::MIN, f32::max);
        let e: Vec<f32> = logits.iter().map(|z| exp((z - max).max(-20.0))).collect();
        let sum = e.iter().fold(0.0, |a, b| a + b);
        let mut gate: Vec<i32> = e
            .iter()
            .map(|e| (e / sum * 32768.0).round_ties_even() as i32)
            .collect();
        let best = logits.iter().position(|z| *z == max).unwrap();
        gate[best] += 32768 - gate.iter().sum::<i32>();
        let mut x = vec![0.0f32; outputs[0].len()];
        for (g, row) in gate.iter().zip(&outputs) {
            for (x, from) in x.iter_mut().zip(row) {
                *x += (*g as f32 / 32768.0) * from;
            }
        }
        for layer in 0..task.tower_layers.len() {
            x = relu(dense(t, Layer::Tower { task: i, layer }, &x));
        }
        link(
            task.kind,
            task.score_scale,
            dense(t, Layer::Head { task: i }, &x)[0],
        )
    };
    spec.tasks.iter().enumerate().map(task).collect()
}

/// A value, and how far from it the device's u7 activations and 2^-15 gates may be.
#[derive(Clone, Copy)]
pub struct Bounded {
    pub value: f64,
    pub error: f64,
}

/// Weights `[outputs][inputs]` and biases.
type Layered = (Vec<Vec<f64>>, Vec<f64>);

/// Real weights and biases by layer; of the first, all sides together.
pub struct Real {
    first: Layered,
    experts: Vec<Vec<Layered>>,
    towers: Vec<Vec<Layered>>,
    heads: Vec<Layered>,
}

/// Value of every input byte: (byte - zero point) x scale.
pub fn values(spec: &Spec<'_>, t: &Tensors<'_>, inputs: &[Vec<u8>; 4]) -> Vec<f64> {
    let mut all = Vec::new();
    for (side, bytes) in Side::ALL.into_iter().zip(inputs) {
        for input in spec.inputs(side) {
            for d in 0..input.dim {
                let byte = f64::from(bytes[input.offset + d]);
                let encoding = spec.features[input.feature].encoding;
                let (scale, zero) = match (input.table, encoding) {
                    (Some(table), _) => {
                        let scale = f64::from(t.floats(Tensor::TableScale(table))[d]);
                        let zero = t.bytes(Tensor::TableZeroPoint(table))[d];
                        match encoding {
                            Encoding::Rows {
                                pooling: Pooling::Sum,
                                divisor,
                                ..
                            } => (scale * f64::from(divisor), zero),
                            _ => (scale, zero),
                        }
                    }
                    (
                        None,
                        Encoding::Number {
                            value: Some(grid), ..
                        },
                    ) => {
                        let zero = (usize::from(grid.zero_point) + d) / usize::from(grid.bytes);
                        (1.0 / f64::from(grid.inv_scale), zero as u8)
                    }
                    (None, Encoding::Vector { grid, .. }) => {
                        (1.0 / f64::from(grid.inv_scale), grid.zero_point)
                    }
                    _ => unreachable!(),
                };
                all.push((byte - f64::from(zero)) * scale);
            }
        }
    }
    all
}

impl Real {
    /// The network that trained the file; a number's weight is that of each of its bytes.
    pub fn of_parameters(spec: &Spec<'_>, p: &Parameters<f32>) -> Self {
        let of_bytes = |row: Vec<f64>| {
            let mut row = row.into_iter();
            let mut all = Vec::new();
            for input in Side::ALL.into_iter().flat_map(|side| spec.inputs(side)) {
                let values: Vec<f64> = row.by_ref().take(input.values).collect();
                all.extend((0..input.dim).map(|d| values[d % values.len()]));
            }
            all
        };
        let real = |d: &pocketrank::train::parameters::Dense<f32>| {
            let rows = d
                .weight
                .chunks(d.inputs)
                .map(|r| r.iter().map(|w| f64::from(*w)).collect());
            (
                rows.collect::<Vec<Vec<f64>>>(),
                d.bias.iter().map(|b| f64::from(*b)).collect::<Vec<f64>>(),
            )
        };
        let first = p
            .experts
            .iter()
            .map(|e| &e[0])
            .chain(p.gates.iter().flatten())
            .map(real);
        let (weight, bias): (Vec<_>, Vec<_>) = first.unzip();
        Self {
            first: (
                weight.concat().into_iter().map(of_bytes).collect(),
                bias.concat(),
            ),
            experts: p
                .experts
                .iter()
                .map(|e| e[1..].iter().map(real).collect())
                .collect(),
            towers: p
                .towers
                .iter()
                .map(|e| e.iter().map(real).collect())
                .collect(),
            heads: p.heads.iter().map(real).collect(),
        }
    }

    /// The network of the file: first-layer weights per unit of value, where an input's scale is not 0.
    pub fn of_file(spec: &Spec<'_>, t: &Tensors<'_>) -> Self {
        let real = |layer: Layer| {
            let scale = t.floats(Tensor::Scale(layer));
            let rows = t.weights(layer).into_iter().zip(&scale);
            let rows = rows.map(|(w, s)| w.iter().map(|w| *w as f64 * f64::from(*s)).collect());
            let bias = t
                .floats(Tensor::Bias(layer))
                .into_iter()
                .map(f64::from)
                .collect();
            (rows.collect(), bias)
        };
        let one = Side::ALL.map(|side| vec![1u8; spec.inputs(side).map(|i| i.dim).sum()]);
        let zero = Side::ALL.map(|side| vec![0u8; spec.inputs(side).map(|i| i.dim).sum()]);
        let (one, zero) = (values(spec, t, &one), values(spec, t, &zero));
        let steps: Vec<f64> = one.iter().zip(&zero).map(|(a, b)| a - b).collect();
        let outputs = spec.first_outputs();
        let mut weight = vec![Vec::new(); outputs];
        for side in Side::ALL
            .into_iter()
            .filter(|s| spec.inputs(*s).next().is_some())
        {
            let scale = t.floats(Tensor::Scale(Layer::First(side)));
            for (o, w) in t.weights(Layer::First(side)).iter().enumerate() {
                for w in w {
                    let step = steps[weight[o].len()];
                    let real = *w as f64 * f64::from(scale[o]) / step;
                    weight[o].push(if step > 0.0 { real } else { 0.0 });
                }
            }
        }
        let bias = t.floats(Tensor::Bias(Layer::First(Side::User)));
        let bias = bias.into_iter().take(outputs).map(f64::from).collect();
        let experts = usize::from(spec.network.num_experts);
        Self {
            first: (weight, bias),
            experts: (0..experts)
                .map(|expert| {
                    let layers = 1..spec.network.expert_layers.len();
                    layers
                        .map(|layer| real(Layer::Expert { expert, layer }))
                        .collect()
                })
                .collect(),
            towers: (0..spec.tasks.len())
                .map(|task| {
                    let layers = 0..spec.tasks[task].tower_layers.len();
                    layers
                        .map(|layer| real(Layer::Tower { task, layer }))
                        .collect()
                })
                .collect(),
            heads: (0..spec.tasks.len())
                .map(|task| real(Layer::Head { task }))
                .collect(),
        }
    }

    /// Logits by task of input values, with bounds of what quantized activations may change.
    pub fn logits(&self, spec: &Spec<'_>, inputs: &[f64]) -> Vec<Bounded> {
        let first = forward(
            &self.first,
            &inputs
                .iter()
                .map(|x| Bounded {
                    value: *x,
                    error: 0.0,
                })
                .collect::<Vec<_>>(),
            false,
        );
        let experts = usize::from(spec.network.num_experts);
        let width = usize::from(spec.network.expert_layers[0]);
        let outputs: Vec<Vec<Bounded>> = (0..experts)
            .map(|e| {
                let x = real_relu(first[e * width..][..width].to_vec());
                self.experts[e]
                    .iter()
                    .fold(x, |x, layer| real_relu(forward(layer, &x, true)))
            })
            .collect();
        (0..spec.tasks.len())
            .map(|task| {
                let z = &first[experts * width + task * experts..][..experts];
                let max = z.iter().map(|z| z.value).fold(f64::MIN, f64::max);
                let sum: f64 = z.iter().map(|z| (z.value - max).exp()).sum();
                let mut x = vec![
                    Bounded {
                        value: 0.0,
                        error: 0.0
                    };
                    outputs[0].len()
                ];
                for (z, row) in z.iter().zip(&outputs) {
                    let gate = (z.value - max).exp() / sum;
                    // Half a step of rounding each, all leftovers on one expert, and f32 arithmetic.
                    let off = (experts as f64 / 2.0 + 0.6) / 32768.0 + 1e-5;
                    for (x, from) in x.iter_mut().zip(row) {
                        x.value += gate * from.value;
                        x.error += (gate + off) * from.error + off * from.value.abs();
                    }
                }
                let x = self.towers[task]
                    .iter()
                    .fold(x, |x, layer| real_relu(forward(layer, &x, true)));
                forward(&self.heads[task], &x, true)[0]
            })
            .collect()
    }
}

fn real_relu(row: Vec<Bounded>) -> Vec<Bounded> {
    row.into_iter()
        .map(|x| Bounded {
            value: x.value.max(0.0),
            error: x.error,
        })
        .collect()
}

fn forward(layer: &Layered, x: &[Bounded], quantized: bool) -> Vec<Bounded> {
    // A u7 byte is off by half a step, the row's maximum / 254, at most.
    let max = x.iter().map(|x| x.value + x.error).fold(0.0, f64::max);
    let half = if quantized { max / 254.0 } else { 0.0 };
    let rows = layer.0.iter().zip(&layer.1);
    rows.map(|(w, bias)| {
        let value: f64 = w.iter().zip(x).map(|(w, x)| w * x.value).sum();
        let size: f64 = w.iter().zip(x).map(|(w, x)| (w * x.value).abs()).sum();
        let error: f64 = w
            .iter()
            .zip(x)
            .map(|(w, x)| w.abs() * (x.error + half))
            .sum();
        // The last term is f32 arithmetic.
        Bounded {
            value: value + bias,
            error: error + 1e-5 * (size + bias.abs()),
        }
    })
    .collect()
}

/// Score of a logit in f64.
pub fn real_link(kind: TaskKind, scale: f32, logit: f64) -> f64 {
    match kind {
        TaskKind::Binary => 1.0 / (1.0 + (-logit).exp()),
        TaskKind::Duration => (logit.clamp(0.0, 20.0).exp() - 1.0) * f64::from(scale),
    }
}
