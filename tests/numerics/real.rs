//! The same network in real numbers, of a file or of trained parameters, with bounds of what quantized activations may change.

use core::ops::Range;

use pocketrank::spec::{
    Calibration, Encoding, FedValue, Gate, Layer, NetworkKind, Pooling, Side, Spec, Task, TaskKind,
    Tensor,
};
use pocketrank::train::parameters::Parameters;

use super::network::{Tensors, expert_place, gate_place, own_expert, read_by};

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
    /// By group.
    first: Vec<Layered>,
    experts: Vec<Vec<Layered>>,
    gates: Vec<Vec<Layered>>,
    upper_experts: Vec<Vec<Layered>>,
    upper_gates: Vec<Vec<Layered>>,
    towers: Vec<Vec<Layered>>,
    heads: Vec<Layered>,
    /// By task of several logits: what being above each threshold is worth.
    steps: Vec<Vec<f64>>,
}

/// Value of every input byte of a group: (byte - zero point) x scale.
pub fn values(spec: &Spec<'_>, t: &Tensors<'_>, group: usize, inputs: &[Vec<u8>; 4]) -> Vec<f64> {
    let mut all = Vec::new();
    for (side, bytes) in Side::ALL.into_iter().zip(inputs) {
        for input in spec.inputs(side) {
            for d in 0..input.dim {
                let byte = f64::from(bytes[input.offset + d]);
                let encoding = spec.features[input.feature].encoding;
                let (scale, zero) = match (input.table, encoding) {
                    (Some(table), _) => {
                        let scale =
                            f64::from(t.floats(Tensor::TableScale(table))[group * input.dim + d]);
                        let zero = t.bytes(Tensor::TableZeroPoint(table))[group * input.dim + d];
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
        let joined = |layers: Vec<Layered>| {
            let (weight, bias): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
            let weight = weight.concat().into_iter().map(of_bytes);
            (weight.collect(), bias.concat())
        };
        // The parameters' queries are not yet scaled.
        let query = |layers: &Vec<pocketrank::train::parameters::Dense<f32>>| {
            let mut all: Vec<Layered> = layers.iter().map(real).collect();
            if spec.network.gate == Gate::Attention {
                let width = f64::from(*spec.network.expert_layers.last().unwrap());
                let (weight, bias) = all.last_mut().unwrap();
                let all = weight.iter_mut().flatten().chain(bias);
                all.for_each(|w| *w /= width.sqrt());
            }
            all
        };
        let all = |layers: &Vec<_>| layers.iter().map(real).collect();
        let mut gates: Vec<Vec<Layered>> = p.gates.iter().map(query).collect();
        let experts: Vec<Layered> = p.experts.iter().map(|e| real(&e[0])).collect();
        let first = if spec.network.kind == NetworkKind::Single {
            experts.into_iter().map(|e| joined(vec![e])).collect()
        } else {
            let gates = gates.iter_mut().map(|layers| layers.remove(0));
            vec![joined(experts.into_iter().chain(gates).collect())]
        };
        Self {
            first,
            gates,
            upper_experts: p.upper_experts.iter().map(all).collect(),
            upper_gates: p.upper_gates.iter().map(all).collect(),
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
            heads: spec
                .tasks
                .iter()
                .zip(p.heads.iter().map(real))
                .map(|(task, (weight, mut bias))| {
                    if let TaskKind::Steps { ordered: true, .. } = task.kind {
                        for m in 1..bias.len() {
                            bias[m] = bias[m - 1] - bias[m].exp().ln_1p();
                        }
                        return (vec![weight[0].clone(); bias.len()], bias);
                    }
                    (weight, bias)
                })
                .collect(),
            steps: p
                .steps
                .iter()
                .map(|s| s.bias.iter().map(|s| f64::from(*s)).collect())
                .collect(),
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
        let outputs = spec.first_outputs();
        let first = |group: usize| {
            let (one, zero) = (values(spec, t, group, &one), values(spec, t, group, &zero));
            let steps: Vec<f64> = one.iter().zip(&zero).map(|(a, b)| a - b).collect();
            let mut weight = vec![Vec::new(); outputs];
            for side in Side::ALL
                .into_iter()
                .filter(|s| spec.inputs(*s).next().is_some())
            {
                let layer = Layer::First { group, side };
                let scale = t.floats(Tensor::Scale(layer));
                for (o, w) in t.weights(layer).iter().enumerate() {
                    for w in w {
                        let step = steps[weight[o].len()];
                        let real = *w as f64 * f64::from(scale[o]) / step;
                        weight[o].push(if step > 0.0 { real } else { 0.0 });
                    }
                }
            }
            let side = Side::User;
            let bias = t.floats(Tensor::Bias(Layer::First { group, side }));
            let bias = bias.into_iter().take(outputs).map(f64::from).collect();
            (weight, bias)
        };
        // What is fed comes behind a layer's own inputs.
        let with_fed = |layer: Layer| {
            let (mut weight, bias): Layered = real(layer);
            for fed in t.fed(layer) {
                let rows = weight.iter_mut().zip(fed);
                rows.for_each(|(row, w)| row.push(f64::from(w)));
            }
            (weight, bias)
        };
        let stack = |layers: Range<usize>, name: &dyn Fn(usize) -> Layer| -> Vec<Layered> {
            layers.map(|layer| with_fed(name(layer))).collect()
        };
        let (depth, gate_depth) = (
            spec.network.expert_layers.len(),
            spec.network.gate_layers.len() + 1,
        );
        let upper = |count: usize| 0..spec.own_experts().map_or(0, |_| count);
        let gates = if spec.has_gates() {
            spec.input_gates()
        } else {
            0
        };
        let experts = usize::from(spec.network.num_experts);
        Self {
            first: (0..spec.groups()).map(first).collect(),
            upper_experts: upper(experts)
                .map(|expert| stack(0..depth, &|layer| Layer::UpperExpert { expert, layer }))
                .collect(),
            upper_gates: upper(spec.tasks.len())
                .map(|task| stack(0..gate_depth, &|layer| Layer::UpperGate { task, layer }))
                .collect(),
            gates: (0..gates)
                .map(|task| stack(1..gate_depth, &|layer| Layer::Gate { task, layer }))
                .collect(),
            experts: (0..experts)
                .map(|expert| stack(1..depth, &|layer| Layer::Expert { expert, layer }))
                .collect(),
            towers: (0..spec.tasks.len())
                .map(|task| {
                    let layers = 0..spec.tasks[task].tower_layers.len();
                    stack(layers, &|layer| Layer::Tower { task, layer })
                })
                .collect(),
            heads: (0..spec.tasks.len())
                .map(|task| {
                    let (weight, bias) = with_fed(Layer::Head { task });
                    (weight.into_iter().cycle().take(bias.len()).collect(), bias)
                })
                .collect(),
            steps: spec
                .tasks
                .iter()
                .enumerate()
                .map(|(i, task)| match task.kind {
                    TaskKind::Steps { .. } => {
                        let steps = t.floats(Tensor::Steps(i)).into_iter();
                        steps.map(f64::from).collect()
                    }
                    _ => Vec::new(),
                })
                .collect(),
        }
    }

    /// Logits by task of input values by group, with bounds of what quantized activations may change.
    pub fn logits(&self, spec: &Spec<'_>, inputs: &[Vec<f64>]) -> Vec<Bounded> {
        let exact = |value: &f64| Bounded {
            value: *value,
            error: 0.0,
        };
        let groups = self.first.iter().zip(inputs);
        let first: Vec<Vec<Bounded>> = groups
            .map(|(layer, x)| {
                let x: Vec<Bounded> = x.iter().map(exact).collect();
                forward(layer, &x, &[], false)
            })
            .collect();
        let experts = usize::from(spec.network.num_experts);
        let width = usize::from(spec.network.expert_layers[0]);
        let outputs: Vec<Vec<Bounded>> = (0..experts)
            .map(|e| {
                let (group, start) = expert_place(spec, e);
                let x = real_relu(first[group][start..][..width].to_vec());
                self.experts[e]
                    .iter()
                    .fold(x, |x, layer| real_relu(forward(layer, &x, &[], true)))
            })
            .collect();
        let mixture = |task: usize| {
            if !spec.has_gates() {
                return outputs[own_expert(spec, task)].clone();
            }
            let mut z = first[0][gate_place(spec, task)].to_vec();
            for layer in &self.gates[task] {
                z = forward(layer, &real_relu(z), &[], true);
            }
            if spec.network.gate == Gate::Attention {
                z = outputs.iter().map(|output| product(&z, output)).collect();
            }
            mix(&z, &outputs)
        };
        let mixture = |task: usize| {
            let NetworkKind::Progressive { own } = spec.network.kind else {
                return mixture(task);
            };
            let experts = self.upper_experts.iter().enumerate();
            let outputs: Vec<Vec<Bounded>> = experts
                .map(|(e, layers)| {
                    let x = mixture(read_by(spec, own, e));
                    layers
                        .iter()
                        .fold(x, |x, layer| real_relu(forward(layer, &x, &[], true)))
                })
                .collect();
            let z = self.upper_gates[task]
                .iter()
                .fold(mixture(task), |z, layer| {
                    forward(layer, &real_relu(z), &[], true)
                });
            mix(&z, &outputs)
        };
        let mut logits: Vec<Option<Bounded>> = vec![None; spec.tasks.len()];
        while logits.iter().any(Option::is_none) {
            for (task, t) in spec.tasks.iter().enumerate() {
                let fed = t.inputs.iter().map(|fed| {
                    let z = logits[usize::from(fed.task)]?;
                    Some(match fed.value {
                        FedValue::Logit => Bounded {
                            value: z.value.clamp(-30.0, 30.0),
                            ..z
                        },
                        // The slope of a sigmoid is at most 1/4.
                        FedValue::Probability => Bounded {
                            value: 1.0 / (1.0 + (-z.value).exp()),
                            error: z.error / 4.0 + 1e-6,
                        },
                    })
                });
                let Some(fed) = fed.collect::<Option<Vec<Bounded>>>() else {
                    continue;
                };
                let (mut x, mut fed) = (mixture(task), &fed[..]);
                for layer in &self.towers[task] {
                    x = real_relu(forward(layer, &x, fed, true));
                    fed = &[];
                }
                let z = forward(&self.heads[task], &x, fed, true);
                let together = Bounded {
                    value: 0.0,
                    error: 0.0,
                };
                // The slope of a sigmoid is at most 1/4.
                let add = |sum: Bounded, (step, z): (&f64, &Bounded)| Bounded {
                    value: sum.value + step / (1.0 + (-z.value).exp()),
                    error: sum.error + step * (z.error / 4.0 + 1e-6),
                };
                logits[task] = Some(match t.kind {
                    TaskKind::Steps { .. } => self.steps[task].iter().zip(&z).fold(together, add),
                    _ => z[0],
                });
            }
        }
        logits.into_iter().flatten().collect()
    }
}

/// An attention logit.
fn product(query: &[Bounded], key: &[Bounded]) -> Bounded {
    let mut sum = Bounded {
        value: 0.0,
        error: 0.0,
    };
    for (q, k) in query.iter().zip(key) {
        sum.value += q.value * k.value;
        let (q_most, k_most) = (q.value.abs() + q.error, k.value.abs() + k.error);
        sum.error += q.error * k_most + q_most * k.error + 1e-5 * q_most * k_most;
    }
    sum
}

/// The mixture of experts by gate logits.
fn mix(z: &[Bounded], outputs: &[Vec<Bounded>]) -> Vec<Bounded> {
    let max = z.iter().map(|z| z.value).fold(f64::MIN, f64::max);
    let sum: f64 = z.iter().map(|z| (z.value - max).exp()).sum();
    let zero = Bounded {
        value: 0.0,
        error: 0.0,
    };
    let mut mixed = vec![zero; outputs[0].len()];
    // Logits off by at most d multiply a weight by between e^-2d and e^2d.
    let most = z.iter().map(|z| z.error).fold(0.0, f64::max);
    for (z, row) in z.iter().zip(outputs) {
        let gate = (z.value - max).exp() / sum;
        let moved = (gate * (2.0 * most).exp_m1()).min(1.0);
        // Half a step of rounding each, all leftovers on one expert, and f32 arithmetic.
        let off = moved + (outputs.len() as f64 / 2.0 + 0.6) / 32768.0 + 1e-5;
        for (x, from) in mixed.iter_mut().zip(row) {
            x.value += gate * from.value;
            x.error += (gate + off) * from.error + off * from.value.abs();
        }
    }
    mixed
}

fn real_relu(row: Vec<Bounded>) -> Vec<Bounded> {
    row.into_iter()
        .map(|x| Bounded {
            value: x.value.max(0.0),
            error: x.error,
        })
        .collect()
}

/// A layer of x, and of values `fed`, which are not quantized.
fn forward(layer: &Layered, x: &[Bounded], fed: &[Bounded], quantized: bool) -> Vec<Bounded> {
    // A u7 byte is off by half a step, the row's maximum / 254, at most.
    let max = x.iter().map(|x| x.value + x.error).fold(0.0, f64::max);
    let half = if quantized { max / 254.0 } else { 0.0 };
    let rounding = core::iter::repeat_n(half, x.len()).chain(core::iter::repeat(0.0));
    let rounding: Vec<f64> = rounding.take(x.len() + fed.len()).collect();
    let x = &[x, fed].concat();
    let rows = layer.0.iter().zip(&layer.1);
    rows.map(|(w, bias)| {
        let value: f64 = w.iter().zip(x).map(|(w, x)| w * x.value).sum();
        let size: f64 = w.iter().zip(x).map(|(w, x)| (w * x.value).abs()).sum();
        let error: f64 = w
            .iter()
            .zip(x)
            .zip(&rounding)
            .map(|((w, x), half)| w.abs() * (x.error + half))
            .sum();
        // The last term is f32 arithmetic.
        Bounded {
            value: value + bias,
            error: error + 1e-5 * (size + bias.abs()),
        }
    })
    .collect()
}

/// Score of a logit in f64, with the task's knots.
pub fn real_link(task: &Task<'_>, knots: &[f32], logit: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match (task.kind, task.calibration) {
        (TaskKind::Duration, _) => {
            (logit.clamp(0.0, 20.0).exp() - 1.0) * f64::from(task.score_scale)
        }
        (TaskKind::Odds, _) => logit.clamp(-30.0, 20.0).exp() * f64::from(task.score_scale),
        (TaskKind::Steps { .. }, _) => logit * f64::from(task.score_scale),
        (_, Calibration::None) => sigmoid(logit),
        (_, Calibration::Platt { scale, offset }) => {
            sigmoid(logit * f64::from(scale) + f64::from(offset))
        }
        (_, Calibration::Isotonic { .. }) => {
            let (x, y) = knots.split_at(knots.len() / 2);
            let (x, y) = (|i: usize| f64::from(x[i]), |i: usize| f64::from(y[i]));
            let logit = logit.clamp(x(0), x(knots.len() / 2 - 1));
            let i = (1..knots.len() / 2).find(|i| logit <= x(*i)).unwrap();
            y(i - 1) + (y(i) - y(i - 1)) * (logit - x(i - 1)) / (x(i) - x(i - 1))
        }
    }
}
