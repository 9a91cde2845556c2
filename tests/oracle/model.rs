//! Model files of random numbers, written through the public writer alone.

use heapless::Vec as List;
use pocketrank::features::{hash_int, hash_text};
use pocketrank::format::{REQUIRED, SectionKind, Writer, assemble};
use pocketrank::spec::{
    Decay, Dtype, Encoding, Feature, Grid, IdType, Label, Layer, Lookup, NumberGrid, Pooling, Side,
    Source, Spec, Table, Task, TaskKind, Tensor, TensorSection, Term, Transform,
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
            let data = match tensor {
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
                Tensor::TableRows(_) => (0..rows * cols).map(|_| random.below(128) as u8).collect(),
                Tensor::Weight(_) => {
                    inputs_before = cols.max(1);
                    weights = (0..rows * cols)
                        .map(|_| random.below(255) as i32 - 127)
                        .collect();
                    packed(dtype, &weights, rows, cols)
                }
                Tensor::Scale(layer) => {
                    // Random signs: a sum of n products of two numbers of about 73 is about 73 x 73 x sqrt(n).
                    let usual = 1.0 / (73.0 * (inputs_before as f32).sqrt());
                    let usual = if matches!(layer, Layer::First(_)) {
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
                Tensor::ZeroBias(side) => {
                    let mut zeros = Vec::new();
                    for input in spec.inputs(side) {
                        match (input.table, spec.features[input.feature].encoding) {
                            (Some(table), _) => zeros.extend(&zero_points[table]),
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
                Tensor::Bias(_) => floats((0..cols).map(|_| random.float(-0.4, 0.6)).collect()),
            };
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
        lookup,
    }
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

/// Every source, encoding, look-up, pooling, decay and task kind.
pub fn every_feature(seed: u64) -> Vec<u8> {
    use Encoding::{Row, Rows, Vector};
    use Source::{Column, Count, Cross, KeyRate, LastIds, Previous, Rate, Since};
    let mut spec = Spec {
        name: "every feature",
        ..Spec::default()
    };
    spec.tables = list(&[
        table(
            "int words",
            VOCABULARY + 1,
            3,
            Lookup::Vocabulary(IdType::Int),
        ),
        table("int hash", 17, 5, Lookup::Hash(IdType::Int)),
        table(
            "text words",
            VOCABULARY + 1,
            2,
            Lookup::Vocabulary(IdType::Text),
        ),
        table("text hash", 2, 1, Lookup::Hash(IdType::Text)),
        table("buckets", 9, 3, Lookup::Buckets),
        table("two buckets", 2, 2, Lookup::Buckets),
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
        table("ages", 4, 1, Lookup::Buckets),
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
