//! Model files of random numbers, written through the public writer alone.

use heapless::Vec as List;
use pocketrank::features::{hash_int, hash_text};
use pocketrank::format::{REQUIRED, SectionKind, Writer, assemble};
use pocketrank::spec::{
    Calibration, Decay, Dtype, Encoding, Feature, Fed, FedValue, Gate, Grid, IdType, Label, Layer,
    Lookup, Network, NetworkKind, NumberGrid, Operation, Pooling, Side, Source, Spec, Table, Task,
    TaskKind, Tensor, TensorSection, Term, Transform,
};
use pocketrank::train::vocabulary;
use serde::Serialize;

/// Ids of a vocabulary: 0 and every other number below twice this.
pub const VOCABULARY: usize = 40;

/// xorshift64* (Vigna, 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    pub fn float(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.next() >> 40) as f32 / 16_777_216.0)
    }
}

/// A text id.
pub fn text(id: u64) -> Vec<u8> {
    // Lengths from 1 byte to past the 240 at which XXH3 changes its ways.
    format!("é{id}")
        .repeat(1 + id as usize % 7 * 9)
        .into_bytes()
}

#[derive(Serialize)]
struct Head<'a> {
    name: &'a str,
    features: u8,
    tables: u8,
    labels: u8,
    tasks: u8,
    terms: u8,
}

/// The file of `spec` with random tensors of a usual size.
fn file(spec: &Spec<'_>, seed: u64) -> Vec<u8> {
    file_of(spec, seed, false, &[])
}

/// A number of any size that the file may hold, up to `most`, often at an end.
fn extreme(random: &mut Random, most: f32) -> f32 {
    let least = 2.0f32.powi(-40);
    let size = [0.0, least, 2.0 * least, 1e-6, 1.0, most][random.below(6)];
    (size * random.float(1.0, 1.9)).min(most)
}

/// The same with scales, biases and weights of fed values at the ends of what is allowed if `extremes`, and with the
/// numbers `given` for some tensors.
fn file_of(spec: &Spec<'_>, seed: u64, extremes: bool, given: &[(Tensor, Vec<f32>)]) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut records = Writer::default();
    let head = Head {
        name: spec.name,
        features: spec.features.len() as u8,
        tables: spec.tables.len() as u8,
        labels: spec.labels.len() as u8,
        tasks: spec.tasks.len() as u8,
        terms: spec.fusion.len() as u8,
    };
    records.record(&head).unwrap();
    spec.features
        .iter()
        .for_each(|r| records.record(r).unwrap());
    spec.tables.iter().for_each(|r| records.record(r).unwrap());
    spec.labels.iter().for_each(|r| records.record(r).unwrap());
    records.record(&spec.network).unwrap();
    spec.tasks.iter().for_each(|r| records.record(r).unwrap());
    spec.fusion.iter().for_each(|r| records.record(r).unwrap());

    let mut sections = vec![(SectionKind::Spec as u16, REQUIRED, records)];
    let mut zero_points: Vec<Vec<u8>> = vec![Vec::new(); spec.tables.len()];
    let mut weights = Vec::new();
    let mut inputs_before = 1;
    for (kind, section) in [
        (SectionKind::Lookups, TensorSection::Lookups),
        (SectionKind::Embeddings, TensorSection::Embeddings),
        (SectionKind::Layers, TensorSection::Layers),
    ] {
        let mut writer = Writer::default();
        spec.tensors(section, &mut |tensor, dtype, rows, cols| {
            let mut rows = rows;
            let floats = |values: Vec<f32>| {
                values
                    .iter()
                    .flat_map(|x| x.to_le_bytes())
                    .collect::<Vec<u8>>()
            };
            let mut data = match tensor {
                Tensor::Vocabulary(table) => {
                    let of = match spec.tables[table].lookup {
                        Lookup::Vocabulary(IdType::Text) => |id: u64| hash_text(&text(id)),
                        _ => hash_int,
                    };
                    let mut keys: Vec<u64> = (0..VOCABULARY as u64).map(|id| of(2 * id)).collect();
                    let bytes = vocabulary::build(&mut keys);
                    rows = bytes.len() / 64;
                    bytes
                }
                Tensor::Boundaries(_) => {
                    let mut last = -3.0;
                    floats(
                        (0..cols)
                            .map(|i| {
                                last = if i == 1 {
                                    0.0
                                } else {
                                    last + random.float(0.1, 40.0)
                                };
                                if i == 0 { -2.0 } else { last }
                            })
                            .collect(),
                    )
                }
                Tensor::TableScale(_) => {
                    floats((0..cols).map(|_| random.float(0.001, 0.1)).collect())
                }
                Tensor::TableZeroPoint(table) => {
                    zero_points[table] = (0..cols).map(|_| random.below(128) as u8).collect();
                    zero_points[table].clone()
                }
                Tensor::TableRows(_) if dtype == Dtype::U4 => (0..rows)
                    .flat_map(|_| (0..cols).step_by(2))
                    .map(|col| random.below(if col + 1 < cols { 256 } else { 16 }) as u8)
                    .collect(),
                Tensor::TableRows(_) => (0..rows * cols).map(|_| random.below(128) as u8).collect(),
                Tensor::Weight(_) => {
                    inputs_before = cols.max(1);
                    weights = (0..rows * cols)
                        .map(|_| random.below(255) as i32 - 127)
                        .collect();
                    packed(dtype, &weights, rows, cols)
                }
                Tensor::Scale(_) if extremes => {
                    floats((0..cols).map(|_| extreme(&mut random, 1024.0)).collect())
                }
                Tensor::Scale(layer) => {
                    // Random signs: a sum of n products of two numbers of about 73 is about 73 x 73 x sqrt(n).
                    let usual = 1.0 / (73.0 * (inputs_before as f32).sqrt());
                    let usual = if matches!(layer, Layer::First { .. }) {
                        usual / 40.0
                    } else {
                        usual
                    };
                    floats(
                        (0..cols)
                            .map(|_| {
                                if random.below(20) == 0 && cols > 1 {
                                    0.0
                                } else {
                                    usual * random.float(0.3, 3.0)
                                }
                            })
                            .collect(),
                    )
                }
                Tensor::ZeroBias { group, side } => {
                    let mut zeros = Vec::new();
                    for input in spec.inputs(side) {
                        match (input.table, spec.features[input.feature].encoding) {
                            (Some(table), _) => {
                                zeros.extend(&zero_points[table][group * input.dim..][..input.dim]);
                            }
                            (None, Encoding::Vector { grid, .. }) => {
                                zeros.extend(vec![grid.zero_point; input.dim]);
                            }
                            (
                                None,
                                Encoding::Number {
                                    value: Some(grid), ..
                                },
                            ) => {
                                zeros.extend((0..input.dim).map(|j| grid.byte(grid.zero_point, j)));
                            }
                            _ => {}
                        }
                    }
                    let mut biases: Vec<i32> = weights
                        .chunks(zeros.len())
                        .map(|w| {
                            -w.iter()
                                .zip(&zeros)
                                .map(|(w, z)| w * i32::from(*z))
                                .sum::<i32>()
                        })
                        .collect();
                    biases.resize(cols, 0);
                    biases.iter().flat_map(|b| b.to_le_bytes()).collect()
                }
                Tensor::Bias(_) | Tensor::Fed(_) if extremes => {
                    let mut number = || {
                        let size = extreme(&mut random, (1 << 20) as f32);
                        // The least bias is smaller than the least weight of a fed value.
                        let bias = matches!(tensor, Tensor::Bias(_));
                        let size = size * if bias { 0.5 } else { 1.0 };
                        if random.below(2) == 0 { -size } else { size }
                    };
                    floats((0..rows * cols).map(|_| number()).collect())
                }
                Tensor::Bias(_) => floats((0..cols).map(|_| random.float(-0.4, 0.6)).collect()),
                Tensor::Fed(_) => {
                    floats((0..rows * cols).map(|_| random.float(-0.7, 0.7)).collect())
                }
                Tensor::Knots(_) => {
                    let mut rise = |first: f32, step: f32| {
                        let mut last = first;
                        let mut next = || {
                            last += random.float(0.0, step) + 1e-5;
                            last
                        };
                        (0..cols).map(|_| next()).collect::<Vec<f32>>()
                    };
                    let logits = rise(-1.5, 6.0 / cols as f32);
                    floats([logits, rise(0.0, 0.9 / cols as f32)].concat())
                }
            };
            if let Some((_, numbers)) = given.iter().find(|(of, _)| *of == tensor) {
                data = floats(numbers.clone());
            }
            writer.tensor(dtype, rows, cols, &data)
        })
        .unwrap();
        sections.push((kind as u16, REQUIRED, writer));
    }
    // A section of a later version, which readers skip.
    let mut later = Writer::default();
    later.record(&"later").unwrap();
    sections.push((19, 0, later));
    assemble(&sections).unwrap()
}

/// `[rows, cols]` weights in the packing of `dtype`.
fn packed(dtype: Dtype, weights: &[i32], rows: usize, cols: usize) -> Vec<u8> {
    let mut data = vec![0; dtype.bytes(rows, cols).unwrap()];
    for row in 0..rows {
        for col in 0..cols {
            let at = match dtype {
                Dtype::I8Panel => {
                    ((row / 16) * cols.div_ceil(4) + col / 4) * 64 + row % 16 * 4 + col % 4
                }
                _ => row * cols + col,
            };
            data[at] = weights[row * cols + col] as i8 as u8;
        }
    }
    data
}

fn list<T: Clone, const N: usize>(items: &[T]) -> List<T, N> {
    List::from_slice(items).ok().unwrap()
}

fn table(name: &'static str, rows: usize, dim: u16, lookup: Lookup) -> Table<'static> {
    Table {
        name,
        num_embeddings: rows as u32,
        embedding_dim: dim,
        bits: 8,
        lookup,
    }
}

/// The same with two values a byte.
fn four_bits(table: Table<'static>) -> Table<'static> {
    Table { bits: 4, ..table }
}

fn feature(name: &'static str, side: Side, source: Source, encoding: Encoding) -> Feature<'static> {
    Feature {
        name,
        side,
        source,
        encoding,
    }
}

fn number(log1p: bool, value: bool, buckets: Option<u8>) -> Encoding {
    Encoding::Number {
        transform: Transform {
            low: if log1p { -0.9 } else { -50.0 },
            high: 250.0,
            log1p,
            shift: 1.25,
            scale: if log1p { 0.7 } else { 0.03 },
        },
        default: 3.3,
        value: value.then_some(NumberGrid {
            inv_scale: 65.1,
            zero_point: 112,
            bytes: 3,
        }),
        buckets,
    }
}

fn task(name: &'static str, kind: TaskKind, given: Option<u8>, layers: &[u16]) -> Task<'static> {
    Task {
        name,
        unit: "u",
        kind,
        given,
        tower_layers: list(layers),
        inputs: List::new(),
        calibration: Calibration::None,
        score_scale: 1.5,
    }
}

fn term(name: &'static str, task: u8, entire: bool, weight: f32) -> Term<'static> {
    Term {
        name,
        task,
        entire,
        weight,
    }
}

/// Every source, encoding, look-up, pooling and decay.
fn with_every_feature(name: &'static str) -> Spec<'static> {
    use Encoding::{Row, Rows, Vector};
    use Source::{Column, Combine, Count, Cross, KeyRate, LastIds, Previous, Rate, Since};
    let mut spec = Spec {
        name,
        ..Spec::default()
    };
    spec.tables = list(&[
        four_bits(table(
            "int words",
            VOCABULARY + 1,
            11,
            Lookup::Vocabulary(IdType::Int),
        )),
        table("int hash", 17, 5, Lookup::Hash(IdType::Int)),
        four_bits(table(
            "text words",
            VOCABULARY + 1,
            2,
            Lookup::Vocabulary(IdType::Text),
        )),
        table("text hash", 2, 1, Lookup::Hash(IdType::Text)),
        table("buckets", 9, 3, Lookup::Buckets),
        four_bits(table("two buckets", 2, 3, Lookup::Buckets)),
    ]);
    spec.labels = list(&[
        Label {
            name: "click",
            log1p: false,
        },
        Label {
            name: "watch",
            log1p: true,
        },
    ]);
    let rows = |table, pooling, weighted, divisor| Rows {
        table,
        max_len: 5,
        pooling,
        weighted,
        divisor,
    };
    let rate = |decay| Rate {
        label: 1,
        decay,
        prior: 0.3,
        strength: 5.5,
    };
    let key_rate = |key, buckets, decay| KeyRate {
        label: 0,
        key,
        buckets,
        decay,
        prior: 0.1,
        strength: 2.0,
    };
    spec.features = list(&[
        feature(
            "user",
            Side::User,
            Column,
            Row {
                table: 0,
                default_row: 2,
            },
        ),
        feature(
            "item",
            Side::Item,
            Column,
            Row {
                table: 1,
                default_row: 0,
            },
        ),
        feature(
            "author",
            Side::Candidate,
            Column,
            Row {
                table: 2,
                default_row: 7,
            },
        ),
        feature("age", Side::Candidate, Column, number(true, true, Some(4))),
        feature("tags", Side::Item, Column, rows(2, Pooling::Mean, true, 1)),
        feature("seen", Side::User, Column, rows(1, Pooling::Sum, true, 3)),
        feature(
            "words",
            Side::Cross,
            Column,
            rows(3, Pooling::Sum, false, 1),
        ),
        feature("hour", Side::User, Column, number(false, false, Some(4))),
        feature("any", Side::Item, Column, number(false, true, Some(5))),
        feature(
            "user x author",
            Side::Cross,
            Cross { left: 0, right: 2 },
            Row {
                table: 1,
                default_row: 3,
            },
        ),
        feature(
            "hour x item",
            Side::Cross,
            Cross { left: 7, right: 1 },
            Row {
                table: 0,
                default_row: 0,
            },
        ),
        feature(
            "last",
            Side::User,
            LastIds {
                label: 0,
                key: 1,
                len: 4,
            },
            rows(1, Pooling::Mean, false, 1),
        ),
        feature(
            "last watched",
            Side::User,
            LastIds {
                label: 1,
                key: 2,
                len: 7,
            },
            rows(2, Pooling::Sum, false, 2),
        ),
        feature(
            "clicks",
            Side::User,
            Count { label: 0 },
            number(true, true, None),
        ),
        feature(
            "rate",
            Side::User,
            rate(Decay::None),
            number(false, true, None),
        ),
        feature(
            "recent rate",
            Side::User,
            rate(Decay::Events(700)),
            number(false, true, Some(4)),
        ),
        feature(
            "late rate",
            Side::User,
            rate(Decay::Seconds(5_000)),
            number(true, true, None),
        ),
        feature(
            "author rate",
            Side::Cross,
            key_rate(2, 8, Decay::Seconds(86_400)),
            number(false, true, None),
        ),
        feature(
            "age rate",
            Side::Cross,
            key_rate(3, 5, Decay::Events(256)),
            number(false, true, None),
        ),
        feature(
            "hour rate",
            Side::Cross,
            key_rate(7, 3, Decay::None),
            number(false, false, Some(4)),
        ),
        feature(
            "since",
            Side::User,
            Since { label: 1 },
            number(true, true, None),
        ),
        feature(
            "previous",
            Side::User,
            Previous { label: 1 },
            number(false, true, Some(5)),
        ),
        feature(
            "vector",
            Side::Item,
            Column,
            Vector {
                dim: 3,
                grid: Grid {
                    inv_scale: 9.0,
                    zero_point: 64,
                },
            },
        ),
    ]);
    let of = |name| spec.features.iter().position(|f| f.name == name).unwrap() as u8;
    let combine = |left, right, operation| Combine {
        left: of(left),
        right: of(right),
        operation,
    };
    let combined = [
        feature(
            "age x rate",
            Side::Cross,
            combine("age", "recent rate", Operation::Product),
            number(false, true, None),
        ),
        feature(
            "any less age",
            Side::Candidate,
            combine("any", "age", Operation::Difference),
            number(false, true, Some(4)),
        ),
        feature(
            "since / previous",
            Side::User,
            combine("since", "previous", Operation::Ratio),
            number(true, true, None),
        ),
        feature(
            "author rate / age",
            Side::Cross,
            combine("author rate", "age", Operation::Ratio),
            number(false, true, None),
        ),
    ];
    spec.features.extend(combined);
    let of = |name| spec.features.iter().position(|f| f.name == name).unwrap() as u8;
    let crossed = feature(
        "any less age x rate",
        Side::Cross,
        Cross {
            left: of("any less age"),
            right: of("recent rate"),
        },
        Row {
            table: 1,
            default_row: 3,
        },
    );
    spec.features.push(crossed).unwrap();
    spec
}

/// Every feature, and tasks of both kinds.
pub fn every_feature(seed: u64) -> Vec<u8> {
    let mut spec = with_every_feature("every feature");
    spec.network.num_experts = 3;
    spec.network.expert_layers = list(&[7, 6, 5]);
    spec.tasks = list(&[
        task("click", TaskKind::Binary, None, &[6]),
        task("watch", TaskKind::Duration, Some(0), &[]),
        task("like", TaskKind::Binary, Some(0), &[4, 18]),
        task("share", TaskKind::Binary, Some(2), &[3]),
    ]);
    spec.fusion = list(&[
        term("click", 0, true, 1.0),
        term("watch", 1, true, 0.02),
        term("like", 2, false, -0.5),
        term("share", 3, true, 3.0),
    ]);
    file(&spec, seed)
}

/// Layers of several panels.
pub fn wide(seed: u64) -> Vec<u8> {
    let mut spec = Spec {
        name: "wide",
        ..Spec::default()
    };
    spec.tables = list(&[table("ids", 100, 16, Lookup::Hash(IdType::Int))]);
    spec.labels = list(&[Label {
        name: "click",
        log1p: false,
    }]);
    let row = Encoding::Row {
        table: 0,
        default_row: 0,
    };
    spec.features = list(&[
        feature("user", Side::User, Source::Column, row),
        feature("item", Side::Item, Source::Column, row),
        feature("author", Side::Item, Source::Column, row),
        feature(
            "both",
            Side::Cross,
            Source::Cross { left: 0, right: 1 },
            row,
        ),
    ]);
    spec.network.num_experts = 4;
    spec.network.expert_layers = list(&[64, 32]);
    spec.tasks = list(&[
        task("click", TaskKind::Binary, None, &[32]),
        task("watch", TaskKind::Duration, Some(0), &[32]),
    ]);
    spec.fusion = list(&[term("watch", 1, true, 1.0)]);
    file(&spec, seed)
}

/// One expert of one layer, whose outputs are not quantized before the mixture; heads on the mixture; no fusion.
pub fn shallow(seed: u64) -> Vec<u8> {
    let mut spec = Spec {
        name: "",
        ..Spec::default()
    };
    spec.tables = list(&[
        table("ids", VOCABULARY + 1, 4, Lookup::Vocabulary(IdType::Int)),
        four_bits(table("ages", 4, 1, Lookup::Buckets)),
    ]);
    spec.labels = list(&[Label {
        name: "click",
        log1p: false,
    }]);
    let rate = Source::Rate {
        label: 0,
        decay: Decay::Events(512),
        prior: 0.5,
        strength: 1.0,
    };
    spec.features = list(&[
        feature(
            "item",
            Side::Item,
            Source::Column,
            Encoding::Row {
                table: 0,
                default_row: 1,
            },
        ),
        feature(
            "age",
            Side::Candidate,
            Source::Column,
            number(true, true, Some(1)),
        ),
        feature("rate", Side::User, rate, number(false, true, None)),
    ]);
    spec.network.num_experts = 1;
    spec.network.expert_layers = list(&[9]);
    spec.tasks = list(&[
        task("click", TaskKind::Binary, None, &[]),
        task("watch", TaskKind::Duration, Some(0), &[]),
    ]);
    file(&spec, seed)
}

/// A network for the tasks of [`linked`].
fn network(kind: NetworkKind, expert_layers: &[u16], gate: Gate, gate_layers: &[u16]) -> Network {
    Network {
        kind,
        num_experts: match kind {
            NetworkKind::Mmoe => 3,
            NetworkKind::SharedBottom => 1,
            NetworkKind::SharedEmbedding | NetworkKind::Single => 4,
        },
        expert_layers: list(expert_layers),
        gate,
        gate_layers: list(gate_layers),
    }
}

/// Every kind of network, of gate and of gate depth.
fn networks() -> Vec<(&'static str, Network)> {
    use Gate::{Attention, Softmax};
    use NetworkKind::{Mmoe, SharedBottom, SharedEmbedding, Single};
    vec![
        ("softmax", network(Mmoe, &[7, 5], Softmax, &[])),
        ("softmax 1", network(Mmoe, &[6], Softmax, &[18])),
        ("softmax 2", network(Mmoe, &[7, 17], Softmax, &[6, 9])),
        ("attention", network(Mmoe, &[9, 5], Attention, &[])),
        ("attention 1", network(Mmoe, &[5], Attention, &[17])),
        (
            "attention 2",
            network(Mmoe, &[7, 6, 18], Attention, &[5, 4]),
        ),
        ("bottom", network(SharedBottom, &[9, 18], Softmax, &[])),
        ("embedding", network(SharedEmbedding, &[7, 5], Softmax, &[])),
        ("single", network(Single, &[17], Softmax, &[])),
        ("single, deep", network(Single, &[5, 6, 7], Softmax, &[])),
    ]
}

/// Tasks fed with each other's logit and probability, with and without tower layers, in and against their order; every
/// calibration.
fn linked(mut spec: Spec<'static>, network: Network) -> Spec<'static> {
    use FedValue::{Logit, Probability};
    use TaskKind::{Binary, Duration};
    let fed = |task, value| Fed { task, value };
    spec.network = network;
    spec.tasks = list(&[
        task("click", Binary, None, &[17, 5]),
        task("watch", Duration, Some(0), &[]),
        task("like", Binary, Some(0), &[6]),
        task("share", Binary, Some(2), &[]),
    ]);
    let [click, watch, like, share] = &mut spec.tasks[..] else {
        unreachable!()
    };
    click.inputs = list(&[fed(3, Logit), fed(2, Probability)]);
    watch.inputs = list(&[fed(2, Probability), fed(0, Logit), fed(3, Probability)]);
    like.inputs = list(&[fed(3, Probability)]);
    like.calibration = Calibration::Isotonic { knots: 7 };
    click.calibration = Calibration::Platt {
        scale: 1.3,
        offset: -0.7,
    };
    share.calibration = Calibration::Isotonic { knots: 2 };
    spec.fusion = list(&[
        term("click", 0, true, 1.0),
        term("watch", 1, true, 0.02),
        term("share", 3, true, 3.0),
    ]);
    spec
}

/// A model of every kind of network, its tasks [`linked`].
pub fn every_network(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let model = |(name, network)| {
        let spec = linked(with_every_feature(name), network);
        (name, file(&spec, seed))
    };
    networks().into_iter().map(model).collect()
}

/// One item and a number.
fn with_two_features(name: &'static str) -> Spec<'static> {
    let mut spec = Spec {
        name,
        ..Spec::default()
    };
    spec.tables = list(&[four_bits(table("ids", 20, 3, Lookup::Hash(IdType::Int)))]);
    let row = Encoding::Row {
        table: 0,
        default_row: 1,
    };
    spec.features = list(&[
        feature("item", Side::Item, Source::Column, row),
        feature("age", Side::User, Source::Column, number(true, true, None)),
    ]);
    spec
}

/// Small models of every kind of network whose numbers are as large, as small and as often 0 as a file may hold.
pub fn extremes(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let model = |(i, (name, network)): (usize, (&'static str, Network))| {
        let mut spec = linked(with_two_features(name), network);
        // A logit beyond 10^6 is a score of 1/2.
        let platt = |offset| Calibration::Platt {
            scale: 1e-3,
            offset,
        };
        let isotonic = Calibration::Isotonic { knots: 5 };
        let calibrations = [Calibration::None, isotonic, platt(-1e3), platt(1e3)];
        spec.tasks[0].calibration = calibrations[(seed as usize + i) % 4];
        spec.tasks[3].calibration = calibrations[(seed as usize + i + 2) % 4];
        (name, file_of(&spec, seed * 100 + i as u64, true, &[]))
    };
    networks().into_iter().enumerate().map(model).collect()
}

/// Attention whose dot products lose digits, and attention all of whose terms are too small to count: in even places
/// large values of the experts meet small ones of the query, in odd places the other way around.
pub fn attention(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    // 3 x 5 + 4 x 4 outputs of the first layer, and two panels of all others.
    let network = network(NetworkKind::Mmoe, &[5, 20], Gate::Attention, &[4]);
    let mut random = Random::new(seed);
    let mut each = |numbers: &dyn Fn(usize, f32) -> f32| {
        let numbers = (0..32).map(|i| numbers(i, random.float(1.0, 1.9)));
        numbers.collect::<Vec<f32>>()
    };
    let sign = |i: usize| if i % 4 < 2 { 1.0 } else { -1.0 };
    let tiny = 2.0f32.powi(-41);
    let (mut cancelling, mut small) = (Vec::new(), Vec::new());
    for expert in 0..3 {
        let layer = Layer::Expert { expert, layer: 1 };
        cancelling.push((Tensor::Scale(layer), each(&|_, x| 1e-7 * x)));
        cancelling.push((Tensor::Bias(layer), vec![1.0; 32]));
        let scale = each(&|i, _| if i % 2 == 0 { 1024.0 } else { 0.0 });
        small.push((Tensor::Scale(layer), scale));
        small.push((
            Tensor::Bias(layer),
            each(&|i, x| if i % 2 == 0 { 0.0 } else { tiny * x }),
        ));
    }
    for task in 0..4 {
        let layer = Layer::Gate { task, layer: 1 };
        cancelling.push((Tensor::Scale(layer), vec![0.0; 32]));
        cancelling.push((Tensor::Bias(layer), each(&|i, x| sign(i) * 3000.0 + x)));
        let scale = each(&|i, _| if i % 2 == 0 { 0.0 } else { 1024.0 });
        small.push((Tensor::Scale(layer), scale));
        let bias = each(&|i, x| if i % 2 == 0 { sign(i) * tiny * x } else { 0.0 });
        small.push((Tensor::Bias(layer), bias));
    }
    for side in [Side::User, Side::Item] {
        let layer = Layer::First { group: 0, side };
        small.push((Tensor::Scale(layer), vec![1024.0; 32]));
    }
    // A difference of knots that is rounded.
    let knots = vec![-9.7, 1.012_345_7, 2.0f32.powi(-40), 0.987_654_3];
    cancelling.push((Tensor::Knots(3), knots));
    // A logit too small to count, however large its weight.
    small.push((Tensor::Scale(Layer::Head { task: 3 }), vec![0.0]));
    small.push((Tensor::Bias(Layer::Head { task: 3 }), vec![1.5 * tiny]));
    let tower = Layer::Tower { task: 0, layer: 0 };
    small.push((Tensor::Scale(tower), vec![0.0; 32]));
    small.push((Tensor::Bias(tower), vec![0.0; 32]));
    let fed = [each(&|_, x| 500_000.0 * x), vec![0.0; 32]];
    small.push((Tensor::Fed(tower), fed.concat()));
    let model = |name, given: &[(Tensor, Vec<f32>)]| {
        let spec = linked(with_two_features(name), network.clone());
        (name, file_of(&spec, seed, false, given))
    };
    vec![model("cancelling", &cancelling), model("small", &small)]
}

/// A name, the status with which it is refused (`"Ok"` if it is not), and a file: what is checked of networks and tasks.
pub fn checked(seed: u64) -> Vec<(String, &'static str, Vec<u8>)> {
    use Calibration::{Isotonic, Platt};
    use FedValue::{Logit, Probability};
    let base = |network: &str| {
        let (name, network) = networks().into_iter().find(|n| n.0 == network).unwrap();
        linked(with_two_features(name), network)
    };
    let fed = |task, value| Fed { task, value };
    let mut all: Vec<(String, &'static str, Vec<u8>)> = Vec::new();
    type Change = fn(&mut Spec<'static>);
    let changes: &[(&str, &str, &'static str, Change)] = &[
        ("bottom", "two experts", "Inconsistent", |s| {
            s.network.num_experts = 2
        }),
        ("single", "three experts", "Inconsistent", |s| {
            s.network.num_experts = 3
        }),
        ("embedding", "five experts", "Inconsistent", |s| {
            s.network.num_experts = 5
        }),
        ("embedding", "no expert", "OverLimit", |s| {
            s.network.num_experts = 0
        }),
        ("softmax", "16 experts", "Ok", |s| {
            s.network.num_experts = 16
        }),
        ("softmax", "17 experts", "OverLimit", |s| {
            s.network.num_experts = 17
        }),
        ("bottom", "gate without gates", "Inconsistent", |s| {
            s.network.gate = Gate::Attention
        }),
        ("single", "layer without gates", "Inconsistent", |s| {
            s.network.gate_layers = list(&[3])
        }),
        ("softmax 1", "wide gate", "Ok", |s| {
            s.network.gate_layers = list(&[1024])
        }),
        ("softmax 1", "too wide a gate", "OverLimit", |s| {
            s.network.gate_layers = list(&[1025])
        }),
        ("softmax 2", "no width", "OverLimit", |s| {
            s.network.gate_layers = list(&[3, 0])
        }),
    ];
    for (of, name, status, change) in changes {
        let mut spec = base(of);
        change(&mut spec);
        all.push((format!("{of}: {name}"), status, file(&spec, seed)));
    }
    let calibrations: &[(usize, Calibration, &'static str)] = &[
        (
            1,
            Platt {
                scale: 1.0,
                offset: 0.0,
            },
            "Inconsistent",
        ),
        (1, Isotonic { knots: 2 }, "Inconsistent"),
        (0, Isotonic { knots: 1 }, "Inconsistent"),
        (0, Isotonic { knots: 2 }, "Ok"),
        (0, Isotonic { knots: 32 }, "Ok"),
        (0, Isotonic { knots: 33 }, "Inconsistent"),
        (
            0,
            Platt {
                scale: 1e-3,
                offset: -1e3,
            },
            "Ok",
        ),
        (
            0,
            Platt {
                scale: 1e3,
                offset: 1e3,
            },
            "Ok",
        ),
        (
            0,
            Platt {
                scale: 0.99e-3,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: 1.01e3,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: -1.0,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: f32::NAN,
                offset: 0.0,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: 1.0,
                offset: 1.01e3,
            },
            "BadNumber",
        ),
        (
            0,
            Platt {
                scale: 1.0,
                offset: 1e-40,
            },
            "BadNumber",
        ),
    ];
    for (task, calibration, status) in calibrations {
        let mut spec = base("single");
        spec.tasks[*task].calibration = *calibration;
        all.push((
            format!("{task}: {calibration:?}"),
            status,
            file(&spec, seed),
        ));
    }
    let inputs: &[(usize, &[Fed], &'static str)] = &[
        (3, &[fed(4, Logit)], "Inconsistent"),
        (3, &[fed(3, Logit)], "Inconsistent"),
        (0, &[fed(1, Logit)], "Inconsistent"),
        (3, &[fed(2, Logit)], "Inconsistent"),
        (3, &[fed(1, Logit)], "Inconsistent"),
        (2, &[fed(3, Logit), fed(3, Probability)], "Inconsistent"),
        (0, &[fed(3, Logit), fed(2, Logit)], "Ok"),
        (1, &[fed(0, Logit), fed(3, Logit), fed(2, Logit)], "Ok"),
    ];
    for (task, inputs, status) in inputs {
        let mut spec = base("attention 1");
        spec.tasks[*task].inputs = list(inputs);
        all.push((format!("{task}: {inputs:?}"), status, file(&spec, seed)));
    }
    let mut spec = base("attention");
    (spec.tasks[1].inputs, spec.tasks[2].inputs) = (List::new(), list(&[fed(1, Probability)]));
    all.push((
        "probability of a duration".into(),
        "Inconsistent",
        file(&spec, seed),
    ));
    spec.tasks[2].inputs = list(&[fed(1, Logit)]);
    all.push(("logit of a duration".into(), "Ok", file(&spec, seed)));

    let (least, gap) = (2.0f32.powi(-40), 2.0f32.powi(-20));
    let mut numbers = |tensor, numbers: &[f32], status| {
        let given = [(tensor, numbers.to_vec())];
        let bytes = file_of(&base("attention"), seed, false, &given);
        all.push((format!("{tensor:?}: {numbers:?}"), status, bytes));
    };
    // Two knots of task 3, and the weights of what task 1's head is fed.
    for (knots, status) in [
        ([-100.0, 100.0, least, 1.0], "Ok"),
        ([-100.00001, 100.0, least, 1.0], "BadScale"),
        ([-100.0, 100.00001, least, 1.0], "BadScale"),
        ([-100.0, 100.0, least.next_down(), 1.0], "BadScale"),
        ([-100.0, 100.0, 0.0, 1.0], "BadScale"),
        ([-100.0, 100.0, 0.5, 1.0f32.next_up()], "BadScale"),
        ([0.0, gap, 0.5, 0.5], "Ok"),
        ([0.0, gap.next_down(), 0.5, 0.5], "BadScale"),
        ([1.0, 1.0 + gap, 0.5, 0.5], "Ok"),
        ([1.0, (1.0 + gap).next_down(), 0.5, 0.5], "BadScale"),
        ([64.0, 64.0, 0.5, 0.5], "Ok"),
        ([64.0, 64.0f32.next_down(), 0.5, 0.5], "BadScale"),
        ([0.0, 1.0, 0.5, 0.5f32.next_down()], "BadScale"),
        ([f32::NAN, 1.0, 0.5, 0.5], "BadScale"),
        ([0.0, 1.0, 0.5, f32::NAN], "BadScale"),
        ([1e-40, 1.0, 0.5, 0.5], "BadScale"),
        ([-0.0, 1.0, 0.5, 0.5], "Ok"),
    ] {
        numbers(Tensor::Knots(3), &knots, status);
    }
    let most = (1 << 20) as f32;
    for (weights, status) in [
        ([least, -least, 0.0], "Ok"),
        ([most, -most, -0.0], "Ok"),
        ([1.0, least.next_down(), 1.0], "BadScale"),
        ([1.0, 1.0, -least.next_down()], "BadScale"),
        ([most.next_up(), 1.0, 1.0], "BadScale"),
        ([1.0, 1.0, -most.next_up()], "BadScale"),
        ([1.0, f32::NAN, 1.0], "BadScale"),
        ([f32::INFINITY, 1.0, 1.0], "BadScale"),
        ([1.0, 1.0, 1e-40], "BadScale"),
    ] {
        numbers(Tensor::Fed(Layer::Head { task: 1 }), &weights, status);
    }
    all
}
