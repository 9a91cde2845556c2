//! Layers: sums of products, scaled and added, against their formula in i64 and f32.
use super::*;

fn le<const N: usize>(words: impl IntoIterator<Item = [u8; N]>) -> Odd {
    Odd::new(words.into_iter().flatten())
}

/// A layer of parts with so many inputs each, and weights `[part][output][input]`.
pub(super) struct Case {
    pub weights: Vec<Vec<Vec<i8>>>,
    pub panels: Vec<Odd>,
    pub bytes: Vec<Odd>,
    pub scales: Vec<Odd>,
    pub zeros: Vec<Odd>,
    pub bias: Odd,
    pub row_scales: Vec<f32>,
    pub rows: usize,
    pub outputs: usize,
}

impl Case {
    pub fn new(
        draws: &mut Draws,
        rows: usize,
        outputs: usize,
        inputs: &[usize],
        extreme: Option<i8>,
    ) -> Self {
        let weights: Vec<Vec<Vec<i8>>> = inputs
            .iter()
            .map(|n| {
                (0..outputs)
                    .map(|_| {
                        (0..*n)
                            .map(|_| extreme.unwrap_or_else(|| draws.weight()))
                            .collect()
                    })
                    .collect()
            })
            .collect();
        let pack = |w: &Vec<Vec<i8>>, n: usize| {
            let mut bytes = vec![0u8; outputs * n];
            for (o, row) in w.iter().enumerate() {
                for (i, w) in row.iter().enumerate() {
                    let at = (o / PANEL * (n / GROUP) + i / GROUP) * PANEL * GROUP;
                    bytes[at + o % PANEL * GROUP + i % GROUP] = *w as u8;
                }
            }
            Odd::new(bytes)
        };
        Self {
            panels: weights
                .iter()
                .zip(inputs)
                .map(|(w, n)| pack(w, *n))
                .collect(),
            bytes: inputs
                .iter()
                .map(|n| {
                    Odd::new(
                        (0..rows * n)
                            .map(|_| if extreme.is_some() { 127 } else { draws.byte() })
                            .collect::<Vec<_>>(),
                    )
                })
                .collect(),
            scales: inputs
                .iter()
                .map(|_| {
                    le((0..outputs)
                        .map(|_| draws.float().to_le_bytes())
                        .collect::<Vec<_>>())
                })
                .collect(),
            zeros: inputs
                .iter()
                .map(|_| {
                    le((0..outputs)
                        .map(|_| (draws.next() as i32 >> 12).to_le_bytes())
                        .collect::<Vec<_>>())
                })
                .collect(),
            bias: le((0..outputs)
                .map(|_| draws.float().to_le_bytes())
                .collect::<Vec<_>>()),
            row_scales: (0..rows).map(|_| draws.float()).collect(),
            weights,
            rows,
            outputs,
        }
    }

    /// By definition, in i64.
    pub fn naive(&self, with_row_scales: bool, relu: bool) -> Vec<u32> {
        self.by(with_row_scales, relu, |sum, acc, scale, row_scale| {
            sum + acc * (scale * row_scale)
        })
    }

    /// With another rule for what is done with a sum: `rule(before, sum, scale, row scale)`.
    fn by(
        &self,
        with_row_scales: bool,
        relu: bool,
        rule: impl Fn(f32, f32, f32, f32) -> f32,
    ) -> Vec<u32> {
        let float = |bytes: &Odd, at: usize| {
            f32::from_le_bytes(*bytes.get()[4 * at..].first_chunk().expect("4 bytes"))
        };
        let mut out = Vec::new();
        for r in 0..self.rows {
            for o in 0..self.outputs {
                let mut sum = float(&self.bias, o);
                for (part, weights) in self.weights.iter().enumerate() {
                    let n = weights[o].len();
                    let row = &self.bytes[part].get()[r * n..(r + 1) * n];
                    let zero = i32::from_le_bytes(
                        *self.zeros[part].get()[4 * o..]
                            .first_chunk()
                            .expect("4 bytes"),
                    );
                    let products = row
                        .iter()
                        .zip(&weights[o])
                        .map(|(x, w)| i64::from(*x) * i64::from(*w));
                    let acc =
                        i32::try_from(i64::from(zero) + products.sum::<i64>()).expect("an i32");
                    let row_scale = if with_row_scales {
                        self.row_scales[r]
                    } else {
                        1.0
                    };
                    sum = rule(sum, acc as f32, float(&self.scales[part], o), row_scale);
                }
                out.push(if relu { math::relu(sum) } else { sum }.to_bits());
            }
        }
        out
    }

    fn run(&self, isa: Isa, with_row_scales: bool, relu: bool) -> Vec<u32> {
        let parts: Vec<Part<'_>> = (0..self.weights.len())
            .map(|part| Part {
                bytes: self.bytes[part].get(),
                stride: self.weights[part][0].len(),
                weight: self.panels[part].get(),
                scale: self.scales[part].get(),
                zero: self.zeros[part].get(),
                quads: quads_fit(self.panels[part].get(), self.weights[part][0].len()),
            })
            .collect();
        // A part without scales is left out, whatever else it has.
        let mut with_empty = vec![Part {
            scale: &[],
            ..parts[0]
        }];
        with_empty.extend(&parts);
        let stride = self.outputs + 2 * PANEL;
        let mut out = vec![f32::NAN; self.rows * stride];
        let layer = Affine {
            parts: &with_empty,
            start: Start::Bytes(self.bias.get()),
            rows: Rows {
                count: self.rows,
                stride,
                scales: if with_row_scales {
                    &self.row_scales
                } else {
                    &[]
                },
            },
            column: PANEL,
            columns: self.outputs,
            relu,
        };
        affine(isa, &layer, &mut out);
        let mut inside = Vec::new();
        for row in out.chunks(stride) {
            let (before, rest) = row.split_at(PANEL);
            let (own, after) = rest.split_at(self.outputs);
            assert!(
                before.iter().chain(after).all(|x| x.is_nan()),
                "written outside of its columns"
            );
            inside.extend(own.iter().map(|x| x.to_bits()));
        }
        inside
    }
}

#[test]
fn layers_are_what_their_formula_says() {
    let mut draws = Draws(1);
    for isa in isas() {
        for rows in (1..=9).chain([17]) {
            for inputs in [
                &[4][..],
                &[8],
                &[12, 4],
                &[60],
                &[128, 40],
                &[4, 0, 20],
                &[1024],
            ] {
                for outputs in [16, 48] {
                    let case = Case::new(&mut draws, rows, outputs, inputs, None);
                    for (with_row_scales, relu) in [(false, false), (true, false), (true, true)] {
                        assert_eq!(
                            case.run(isa, with_row_scales, relu),
                            case.naive(with_row_scales, relu),
                            "{} rows {rows} inputs {inputs:?} outputs {outputs}",
                            isa.name(),
                        );
                    }
                }
            }
        }
    }
}

/// Bit by bit: also where that is -0.
#[test]
fn a_layer_without_parts_is_what_it_starts_from() {
    let start: Vec<f32> = (0..2 * PANEL)
        .map(|at| [-0.0, 0.0, -1.5, 3e38][at % 4])
        .collect();
    for isa in isas() {
        for (count, relu) in [(1, false), (9, false), (9, true)] {
            let layer = Affine {
                parts: &[Part::default()],
                start: Start::Floats(&start),
                rows: Rows {
                    count,
                    stride: 3 * PANEL,
                    scales: &[],
                },
                column: PANEL,
                columns: 2 * PANEL,
                relu,
            };
            let mut out = vec![f32::NAN; count * 3 * PANEL];
            affine(isa, &layer, &mut out);
            for row in out.chunks(3 * PANEL) {
                let (before, own) = row.split_at(PANEL);
                assert!(before.iter().all(|x| x.is_nan()), "{}", isa.name());
                for (got, x) in own.iter().zip(&start) {
                    let want = if relu { math::relu(*x) } else { *x };
                    assert_eq!(got.to_bits(), want.to_bits(), "{} {x} {relu}", isa.name());
                }
            }
        }
    }
}

/// Rules that look the same and are not: what the comparisons above are there to catch. Whoever writes one of them gets
/// other bits in these very layers.
#[test]
fn fused_swapped_and_reordered_sums_would_be_seen() {
    let mut draws = Draws(1);
    let case = Case::new(&mut draws, 9, 48, &[128, 40, 20], None);
    let want = case.naive(true, false);
    assert_eq!(case.run(Isa::PORTABLE, true, false), want);
    let fused = case.by(true, false, |sum, acc, scale, row_scale| {
        acc.mul_add(scale * row_scale, sum)
    });
    let products_first = case.by(true, false, |sum, acc, scale, row_scale| {
        sum + acc * scale * row_scale
    });
    for (name, other) in [("fused", fused), ("products first", products_first)] {
        let differ = other.iter().zip(&want).filter(|(a, b)| a != b).count();
        assert!(
            differ > want.len() / 8,
            "{name}: {differ} of {}",
            want.len()
        );
    }
    // Sides in another order, and two outputs, rows or inputs that change places.
    let mut swapped = Case::new(&mut Draws(1), 9, 48, &[128, 40, 20], None);
    swapped.weights.swap(0, 1);
    swapped.bytes.swap(0, 1);
    swapped.scales.swap(0, 1);
    swapped.zeros.swap(0, 1);
    let differ = swapped.naive(true, false) != want;
    assert!(differ, "sides in another order");
    for (a, b) in [(0, 1), (3, 4), (7, 8), (126, 127)] {
        let mut swapped = Case::new(&mut Draws(1), 9, 48, &[128, 40, 20], None);
        swapped.weights[0].iter_mut().for_each(|row| row.swap(a, b));
        assert_ne!(swapped.naive(true, false), want, "inputs {a} and {b}");
    }
    for (a, b) in [(0, 1), (15, 16), (3, 4)] {
        let mut swapped = Case::new(&mut Draws(1), 9, 48, &[128, 40, 20], None);
        swapped.weights[2].swap(a, b);
        assert_ne!(swapped.naive(true, false), want, "outputs {a} and {b}");
    }
}

/// One panel, since outputs do not depend on their number; rows of tiles of every height: 8, 4, 2 and 1.
#[test]
fn layers_of_every_length_are_what_their_formula_says() {
    let mut draws = Draws(7);
    for inputs in (0..=1024).step_by(GROUP) {
        let case = Case::new(&mut draws, 15, PANEL, &[inputs], None);
        let want = case.naive(true, false);
        for isa in isas() {
            assert_eq!(case.run(isa, true, false), want, "{} {inputs}", isa.name());
        }
    }
}

/// Weights of at most 64 fit (4 x 64 = 256), and are compared with those that do not.
#[test]
fn four_products_are_added_in_16_bits_only_where_they_fit() {
    let mut draws = Draws(6);
    for isa in isas() {
        for (inputs, weight) in [
            (4, 64),
            (8, 64),
            (8, -64),
            (12, 64),
            (128, -64),
            (128, 65),
            (8, 65),
        ] {
            let case = Case::new(&mut draws, 6, 32, &[inputs], Some(weight));
            let fit = quads_fit(case.panels[0].get(), inputs);
            // A group by itself has no other to be added to.
            assert_eq!(
                fit,
                cfg!(target_arch = "x86_64") && (weight != 65 || inputs == 4),
                "{inputs} {weight}"
            );
            assert_eq!(
                case.run(isa, true, false),
                case.naive(true, false),
                "{} {inputs} {weight}",
                isa.name()
            );
        }
    }
}

#[test]
fn no_sum_saturates_at_the_extremes() {
    let mut draws = Draws(2);
    for isa in isas() {
        for weight in [-127, 127] {
            for inputs in [4, 8, 1024] {
                let case = Case::new(&mut draws, 5, 16, &[inputs], Some(weight));
                assert_eq!(
                    case.run(isa, false, false),
                    case.naive(false, false),
                    "{} {weight}",
                    isa.name()
                );
            }
        }
    }
}

#[test]
fn every_byte_meets_every_weight_in_every_place() {
    // Tiles of every height: 8, 4, 2 and 1.
    const COUNT: usize = 15;
    for isa in isas() {
        for place in 0..8 {
            for x in 0..=127u8 {
                let (mut bytes, mut weight) = ([0; COUNT * 8], vec![0u8; 2 * PANEL * GROUP]);
                for row in bytes.chunks_mut(8) {
                    row[place] = x;
                }
                for first in (-127..=127i32).step_by(PANEL) {
                    for j in 0..PANEL {
                        let w = (first + j as i32).min(127) as i8;
                        weight[(place / GROUP * PANEL + j) * GROUP + place % GROUP] = w as u8;
                    }
                    let ones = [1.0f32.to_le_bytes(); PANEL].concat();
                    let part = Part {
                        bytes: &bytes,
                        stride: 8,
                        weight: &weight,
                        scale: &ones,
                        zero: &[],
                        quads: quads_fit(&weight, 8),
                    };
                    let layer = Affine {
                        parts: &[part],
                        start: Start::Floats(&[0.0; PANEL]),
                        rows: Rows {
                            count: COUNT,
                            stride: PANEL,
                            scales: &[],
                        },
                        column: 0,
                        columns: PANEL,
                        relu: false,
                    };
                    let mut out = [0.0; COUNT * PANEL];
                    affine(isa, &layer, &mut out);
                    for (at, product) in out.iter().enumerate() {
                        let w = (first + (at % PANEL) as i32).min(127);
                        assert_eq!(
                            *product,
                            (i32::from(x) * w) as f32,
                            "{} {x} x {w} at {place}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}
