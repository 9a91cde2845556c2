//! Model files of random numbers, written through the public writer alone.

use pocketrank::features::{hash_int, hash_text};
use pocketrank::format::{REQUIRED, SectionKind, Writer, assemble};
use pocketrank::spec::{Dtype, Encoding, IdType, Layer, Lookup, Spec, Tensor, TensorSection};
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
pub fn file(spec: &Spec<'_>, seed: u64) -> Vec<u8> {
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
pub fn file_of(
    spec: &Spec<'_>,
    seed: u64,
    extremes: bool,
    given: &[(Tensor, Vec<f32>)],
) -> Vec<u8> {
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
        (SectionKind::Attention, TensorSection::Attention),
    ] {
        if kind == SectionKind::Attention && spec.attentions().next().is_none() {
            continue;
        }
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
                Tensor::Weight(_) | Tensor::ProjectionWeight(..) => {
                    inputs_before = cols.max(1);
                    weights = (0..rows * cols)
                        .map(|_| random.below(255) as i32 - 127)
                        .collect();
                    packed(dtype, &weights, rows, cols)
                }
                Tensor::Scale(_) | Tensor::ProjectionScale(..) if extremes => {
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
                Tensor::ProjectionScale(..) => {
                    floats((0..cols).map(|_| random.float(0.0001, 0.003)).collect())
                }
                Tensor::ProjectionZeroBias(feature, _) => {
                    let table = spec
                        .attentions()
                        .find(|(i, _)| *i == feature)
                        .unwrap()
                        .1
                        .table;
                    zero_biases(&weights, &zero_points[usize::from(table)], cols)
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
                    zero_biases(&weights, &zeros, cols)
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
                Tensor::Steps(_) if rows > 1 => {
                    let rising = |_| {
                        let mut last = 0.0;
                        let mut next = || {
                            last += random.float(-1.0, 3.0).max(0.0);
                            last
                        };
                        (0..cols).map(|_| next()).collect::<Vec<f32>>()
                    };
                    floats((0..rows).flat_map(rising).collect())
                }
                // Of a feature without buckets there are none.
                Tensor::Steps(_) => {
                    floats((0..rows * cols).map(|_| random.float(0.0, 3.0)).collect())
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

/// -(sum of weight x zero point) of each output, `cols` with the padding.
fn zero_biases(weights: &[i32], zeros: &[u8], cols: usize) -> Vec<u8> {
    let of = |w: &[i32]| {
        let products = w.iter().zip(zeros).map(|(w, z)| w * i32::from(*z));
        -products.sum::<i32>()
    };
    let mut biases: Vec<i32> = weights.chunks(zeros.len()).map(of).collect();
    biases.resize(cols, 0);
    biases.iter().flat_map(|b| b.to_le_bytes()).collect()
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
