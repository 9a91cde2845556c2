//! Tiny random models and requests, for tests: the same for the same seed on every machine, and over the seeds every
//! kind of feature, look-up, encoding, side, depth of network and chain of tasks.
//!
//! A model has at most [`BYTES_MAX`] bytes and some thousand multiply-adds a candidate; seeds divisible by 4 have
//! every feature. Draws come from integers and exact scaling wherever they decide a byte of a request.
use std::prelude::v1::*;

mod attention;
mod features;
mod formula;
mod heads;
mod levels;
mod reference;
mod requests;

pub use attention::attending;
pub use formula::{formula, with_formula};
pub use heads::{with_heads, with_quantiles};
pub use levels::with_levels;
pub use reference::{reference, reference_with_list};
pub use requests::{request, request_for, varied};

use crate::spec::{Calibration, Fed, FedValue, Gate, NetworkKind, Spec, Task, TaskKind, Term};
use crate::train::parameters::{Dense, Parameters, Projections, num_inputs};
use crate::train::quantize::{Lookups, quantize};
use crate::train::random::Key;

/// Bytes of a golden model's file at most.
pub const BYTES_MAX: usize = 16 << 10;

/// A model with all that it was made from.
#[derive(Clone, Debug)]
pub struct GoldenModel {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its records.
    pub spec: Spec<'static>,
    /// Its parameters before quantization.
    pub parameters: Parameters<f32>,
    /// Its vocabularies and boundaries.
    pub lookups: Lookups,
}

/// Draws from named places of one stream.
#[derive(Clone, Copy)]
struct Draw(Key);

impl Draw {
    fn at(self, i: usize) -> Self {
        Self(self.0.at(i as u64))
    }

    /// An integer in `low..=high`.
    fn int(self, low: usize, high: usize) -> usize {
        low + (self.0.bits() % (high - low + 1) as u64) as usize
    }

    fn chance(self, percent: usize) -> bool {
        self.int(0, 99) < percent
    }

    /// About normal, in [-4, 4]: a sum of integers, so that no libm decides its bits.
    fn normal(self) -> f32 {
        let sum: usize = (0..12).map(|i| self.at(i).int(0, 1 << 16)).sum();
        ((sum as f64 / 65536.0 - 6.0) as f32).clamp(-4.0, 4.0)
    }
}

/// Model number `seed`.
pub fn model(seed: u64) -> GoldenModel {
    small(Draw(Key::new(seed)), |draw| {
        let (spec, lookups) = build_spec(draw, seed.is_multiple_of(4));
        Some(finish(spec, lookups, draw))
    })
}

/// The first attempt that gives a model, and a small one.
fn small(root: Draw, build: impl Fn(Draw) -> Option<GoldenModel>) -> GoldenModel {
    (0..)
        .filter_map(|attempt| build(root.at(attempt)))
        .find(|model| model.bytes.len() <= BYTES_MAX)
        .expect("one in a few attempts is small")
}

fn build_spec(draw: Draw, all_features: bool) -> (Spec<'static>, Lookups) {
    let (mut spec, mut lookups) = features::spec(draw.at(0), all_features);
    network(&mut spec, draw.at(1));
    feed(&mut spec, draw.at(3));
    lookups.knots = knots(&spec, draw.at(4));
    (spec, lookups)
}

/// Parameters for a spec, and the file of both.
fn finish(spec: Spec<'static>, lookups: Lookups, draw: Draw) -> GoldenModel {
    let parameters = parameters(&spec, draw.at(2));
    packed(spec, lookups, parameters)
}

fn packed(spec: Spec<'static>, lookups: Lookups, parameters: Parameters<f32>) -> GoldenModel {
    let bytes = quantize(&spec, &parameters, &lookups).expect("a golden model is valid");
    GoldenModel {
        bytes,
        spec,
        parameters,
        lookups,
    }
}

fn network(spec: &mut Spec<'static>, draw: Draw) {
    const NAMES: [&str; 7] = [
        "click",
        "watch",
        "complete",
        "like",
        "comment",
        "favourite",
        "share",
    ];
    let width = |draw: Draw| draw.int(1, 9) as u16;
    let tasks = draw.at(2).int(1, 7);
    let kind = draw.at(3).int(0, 9);
    spec.network.kind = match kind {
        0 => NetworkKind::SharedBottom,
        1 => NetworkKind::SharedEmbedding,
        2 => NetworkKind::Single,
        _ => NetworkKind::Mmoe,
    };
    spec.network.num_experts = match kind {
        0 => 1,
        1 | 2 => tasks as u8,
        _ => draw.at(0).int(1, 4) as u8,
    };
    if spec.network.kind == NetworkKind::Mmoe && draw.at(4).chance(60) {
        if draw.at(5).chance(50) {
            spec.network.gate = Gate::Attention;
        }
        for layer in 0..draw.at(6).int(0, 2) {
            let _ = spec.network.gate_layers.push(width(draw.at(30 + layer)));
        }
    }
    for layer in 0..draw.at(1).int(1, 4) {
        let _ = spec.network.expert_layers.push(width(draw.at(10 + layer)));
    }
    for (i, name) in NAMES.iter().enumerate().take(tasks) {
        let draw = draw.at(100 + i);
        let duration = draw.at(0).chance(30);
        let mut task = Task {
            name,
            unit: if duration { "s" } else { "probability" },
            kind: if duration {
                TaskKind::Duration
            } else {
                TaskKind::Binary
            },
            given: None,
            tower_layers: Default::default(),
            inputs: Default::default(),
            calibration: Calibration::None,
            score_scale: if duration {
                0.5 + draw.at(1).int(0, 8) as f32 / 8.0
            } else {
                1.0
            },
        };
        if i > 0 && draw.at(2).chance(60) {
            let given = draw.at(3).int(0, i - 1);
            if spec.tasks[given].kind == TaskKind::Binary {
                task.given = Some(given as u8);
            }
        }
        for layer in 0..draw.at(4).int(0, 3) {
            let _ = task.tower_layers.push(width(draw.at(20 + layer)));
        }
        if !duration && draw.at(8).chance(40) {
            task.calibration = if draw.at(9).chance(50) {
                let (scale, offset) = (draw.at(10).int(1, 24), draw.at(11).int(0, 16));
                Calibration::Platt {
                    scale: scale as f32 / 8.0,
                    offset: offset as f32 / 4.0 - 2.0,
                }
            } else {
                let knots = draw.at(10).int(2, 9) as u8;
                Calibration::Isotonic { knots }
            };
        }
        let _ = spec.tasks.push(task);
        if i == 0 || draw.at(5).chance(70) {
            let _ = spec.fusion.push(Term {
                name,
                task: i as u8,
                entire: draw.at(6).chance(50),
                weight: draw.at(7).int(0, 16) as f32 / 4.0 - 1.0,
            });
        }
    }
}

/// Tasks are fed forwards or backwards, so never in a circle.
fn feed(spec: &mut Spec<'static>, draw: Draw) {
    let (tasks, backwards) = (spec.tasks.len(), draw.at(0).chance(50));
    for (from, to) in (0..tasks).flat_map(|i| (0..i).map(move |j| (j, i))) {
        let (from, to) = if backwards { (to, from) } else { (from, to) };
        let draw = draw.at(1 + from * tasks + to);
        if draw.at(0).chance(15) {
            let probability = spec.tasks[from].kind == TaskKind::Binary && draw.at(1).chance(50);
            let value = if probability {
                FedValue::Probability
            } else {
                FedValue::Logit
            };
            let task = from as u8;
            let _ = spec.tasks[to].inputs.push(Fed { task, value });
        }
    }
}

/// Knots of the isotonic calibrations by task.
fn knots(spec: &Spec<'_>, draw: Draw) -> Vec<Vec<f32>> {
    let of = |(task, t): (usize, &Task<'_>)| {
        let Calibration::Isotonic { knots } = t.calibration else {
            return Vec::new();
        };
        let draw = draw.at(task);
        let rise = |draw: Draw, first: f32, unit: f32| {
            (0..usize::from(knots)).scan(first, move |x, i| {
                let now = *x;
                *x += draw.at(i).int(1, 8) as f32 * unit;
                Some(now)
            })
        };
        let logits = rise(draw.at(0), -3.0, 0.125);
        logits
            .chain(rise(draw.at(1), 0.0625, 1.0 / 128.0))
            .collect()
    };
    spec.tasks.iter().enumerate().map(of).collect()
}

fn parameters(spec: &Spec<'_>, draw: Draw) -> Parameters<f32> {
    let groups = spec.groups();
    let tables = (0..spec.tables.len() * groups).map(|t| {
        let (draw, table) = (draw.at(t), &spec.tables[t / groups]);
        let (rows, dim) = (
            table.num_embeddings as usize,
            usize::from(table.embedding_dim),
        );
        let value = |i: usize| {
            let (column, x) = (draw.at(i % dim), draw.at(1000 + i).normal());
            // Dimensions of unequal spread, some of one sign, some dead.
            let spread = column.at(0).int(1, 12) as f32 / 4.0;
            match column.at(1).int(0, 9) {
                0 => 0.0,
                1 => x.abs() * spread,
                2 => -x.abs() * spread,
                _ => x * spread,
            }
        };
        (0..rows * dim).map(value).collect()
    });
    let inputs = num_inputs(spec);
    let experts = usize::from(spec.network.num_experts);
    let stack = |draw: Draw, widths: &[u16], mut inputs: usize| {
        let layers = widths.iter().enumerate().map(|(i, width)| {
            let layer = dense(draw.at(i), usize::from(*width), inputs);
            inputs = layer.outputs;
            layer
        });
        layers.collect::<Vec<_>>()
    };
    let tasks = || spec.tasks.iter().enumerate();
    let upper = |count: usize| 0..spec.own_experts().map_or(0, |_| count);
    let gate_layers: Vec<u16> = (0..=spec.network.gate_layers.len())
        .map(|layer| spec.gate_width(layer) as u16)
        .collect();
    Parameters {
        tables: tables.collect(),
        experts: (0..experts)
            .map(|e| stack(draw.at(100 + e), &spec.network.expert_layers, inputs))
            .collect(),
        gates: (0..if spec.has_gates() {
            spec.input_gates()
        } else {
            0
        })
            .map(|t| stack(draw.at(200 + t), &gate_layers, inputs))
            .collect(),
        upper_experts: upper(experts)
            .map(|e| {
                let widths = &spec.network.expert_layers;
                stack(draw.at(1000 + e), widths, spec.mixture_width())
            })
            .collect(),
        upper_gates: upper(spec.tasks.len())
            .map(|t| stack(draw.at(1100 + t), &gate_layers, spec.mixture_width()))
            .collect(),
        towers: tasks()
            .map(|(t, task)| {
                let inputs = spec.mixture_width() + task.inputs.len();
                stack(draw.at(300 + t), &task.tower_layers, inputs)
            })
            .collect(),
        heads: tasks()
            .map(|(t, task)| {
                let inputs = task
                    .tower_layers
                    .last()
                    .map_or(spec.mixture_width() + task.inputs.len(), |w| {
                        usize::from(*w)
                    });
                dense(draw.at(400 + t), task.kind.logits(), inputs)
            })
            .collect(),
        steps: tasks()
            .map(|(t, task)| heads::steps(spec, task.kind, draw.at(500 + t)))
            .collect(),
        attention: spec
            .attentions()
            .map(|(feature, a)| {
                let draw = draw.at(500 + feature);
                let matrix = |draw: Draw| Dense {
                    bias: Vec::new(),
                    ..dense(draw, a.dim, a.width)
                };
                Projections {
                    query: matrix(draw.at(0)),
                    key: matrix(draw.at(1)),
                }
            })
            .collect(),
        bias: Vec::new(),
    }
}

fn dense(draw: Draw, outputs: usize, inputs: usize) -> Dense<f32> {
    // Kept near unit variance without a square root: the largest power of two below 1.5 / sqrt(inputs).
    let mut scale = 1.0;
    while scale * scale * inputs as f32 > 2.25 {
        scale /= 2.0;
    }
    let values =
        |draw: Draw, n: usize, scale: f32| (0..n).map(|i| draw.at(i).normal() * scale).collect();
    Dense {
        outputs,
        inputs,
        weight: values(draw.at(0), outputs * inputs, scale),
        bias: values(draw.at(1), outputs, 0.25),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::requests::VARIED;
    use super::*;
    use crate::engine::{Model, OpenOptions};
    use crate::spec::{Encoding, Source};
    use crate::train::inspect::multiply_adds;

    #[test]
    fn the_reference_model_is_that_of_the_benchmark() {
        let golden = reference();
        let mut opened = Model::new();
        opened.open(&golden.bytes, &OpenOptions::default()).unwrap();
        // benches/peers: 140,384 a candidate and 75,456 a request.
        let cost = multiply_adds(&golden.spec);
        assert_eq!((cost.candidate, cost.request), (140_384, 75_456));
        assert_eq!(reference().bytes, golden.bytes);
    }

    #[test]
    fn requests_vary_in_size_and_options_pairwise() {
        let golden = model(7);
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..VARIED as u64 {
            let request = varied(&golden, i);
            let most = match request.max_candidates {
                0 => 0,
                most if most < request.num_candidates => 1,
                _ => 2,
            };
            let options = [
                request.num_candidates,
                most,
                usize::from(request.strict),
                usize::from(request.weights.is_some()),
            ];
            for (a, x) in options.iter().enumerate() {
                for (b, y) in options.iter().enumerate().skip(a + 1) {
                    seen.insert((a, *x, b, *y));
                }
            }
        }
        // 8 sizes, 3 limits (of one candidate none is smaller), strict or not, weights or not.
        assert_eq!(seen.len(), (8 * 3 - 1) + 8 * 2 * 2 + 3 * 2 * 2 + 2 * 2);
    }

    #[test]
    fn golden_models_are_small_open_and_cover_every_kind() {
        let mut kinds = std::collections::BTreeSet::new();
        let mut depths = std::collections::BTreeSet::new();
        let mut packings = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let golden = model(seed);
            let mut opened = Model::new();
            opened.open(&golden.bytes, &OpenOptions::default()).unwrap();
            let cost = multiply_adds(&golden.spec);
            assert!(golden.bytes.len() <= BYTES_MAX && cost.request + cost.candidate < 20_000);
            for f in &golden.spec.features {
                let source = match f.source {
                    Source::Column => "column",
                    Source::Cross { .. } => "cross",
                    Source::LastIds { .. } => "last_ids",
                    Source::Count { .. } => "count",
                    Source::Rate { .. } => "rate",
                    Source::KeyRate { .. } => "key_rate",
                    Source::Since { .. } => "since",
                    Source::Previous { .. } => "previous",
                    Source::Combine { .. } => "combine",
                    Source::Attention { .. } => "attention",
                };
                let encoding = match f.encoding {
                    Encoding::Row { .. } => "row",
                    Encoding::Rows { weighted: true, .. } => "weighted rows",
                    Encoding::Rows { .. } => "rows",
                    Encoding::Number {
                        value: Some(_),
                        buckets: Some(_),
                        ..
                    } => "both",
                    Encoding::Number { value: Some(_), .. } => "value",
                    Encoding::Number { .. } => "bucket",
                    Encoding::Vector { .. } => "vector",
                };
                kinds.insert(format!("{:?} {source} {encoding}", f.side));
            }
            let network = &golden.spec.network;
            for table in &golden.spec.tables {
                let odd = usize::from(table.embedding_dim % 2);
                packings.insert((table.bits, odd, golden.spec.groups() > 1));
            }
            depths.insert((0, network.expert_layers.len()));
            let kind = match network.kind {
                NetworkKind::Mmoe => 0,
                NetworkKind::SharedBottom => 1,
                NetworkKind::SharedEmbedding => 2,
                NetworkKind::Single => 3,
                NetworkKind::Progressive { .. } => 4,
            };
            depths.insert((4, kind));
            depths.insert((5, network.gate as usize));
            depths.insert((6, network.gate_layers.len()));
            for task in &golden.spec.tasks {
                let calibration = match task.calibration {
                    Calibration::None => 0,
                    Calibration::Platt { .. } => 1,
                    Calibration::Isotonic { .. } => 2,
                };
                depths.insert((7, calibration));
                for fed in &task.inputs {
                    depths.insert((8, fed.value as usize));
                }
                depths.insert((1, task.tower_layers.len()));
                depths.insert((2, usize::from(task.given.is_some())));
            }
            depths.insert((3, golden.spec.tasks.len()));
        }
        assert!(kinds.len() >= 22, "{kinds:?}");
        assert_eq!(
            depths.len(),
            4 + 4 + 2 + 7 + 4 + 2 + 3 + 3 + 2,
            "{depths:?}"
        );
        // Four and eight bits, even and odd lengths, one group and several.
        assert_eq!(packings.len(), 8, "{packings:?}");
        assert_eq!(model(7).bytes, model(7).bytes);
    }
}
