//! One suite for all instruction sets of this CPU: against loops over i64, and bit by bit against what `math` says.

use super::*;
use crate::math;
use crate::spec::{GROUP, limits};
use std::prelude::v1::*;

#[cfg(unix)]
mod guard;
mod layer;

/// What this CPU has, also what only a caller can know, and the kernel for `vpdpbusd` without the instruction.
#[allow(unsafe_code)]
fn isas() -> Vec<Isa> {
    #[allow(unused_mut)]
    let mut isas: Vec<Isa> = Isa::available().into_iter().collect();
    #[cfg(target_arch = "x86_64")]
    if let Some(Kind::Avx2(avx2)) = isas.get(1).map(|isa| isa.0) {
        isas.push(Isa(Kind::Avx2(avx2.with_emulated_vnni())));
    }
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    {
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            // SAFETY: the CPU has it.
            isas.push(unsafe { Isa::dotprod() });
        }
        #[cfg(feature = "i8mm")]
        if std::arch::is_aarch64_feature_detected!("i8mm") {
            // SAFETY: the CPU has it.
            isas.push(unsafe { Isa::i8mm() });
        }
    }
    isas
}

/// Says which instruction sets the other tests hold to the definition, and which not: `--nocapture` shows it.
#[test]
fn instruction_sets_of_this_machine() {
    let names: Vec<_> = isas().iter().map(|isa| isa.name()).collect();
    std::println!("kernels: {}", names.join(" "));
    #[cfg(target_arch = "x86_64")]
    for name in ["avx2", "avx-vnni", "avx512-vnni"] {
        if !names.contains(&name) {
            std::println!("skipped: {name} (this CPU has none)");
        }
    }
    #[cfg(not(unix))]
    std::println!("skipped: guard pages (not a Unix)");
}

/// Numbers from a linear congruential generator (Knuth's MMIX).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn byte(&mut self) -> u8 {
        (self.next() % 128) as u8
    }

    fn weight(&mut self) -> i8 {
        ((self.next() % 255) as i16 - 127) as i8
    }

    fn float(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 31) as f32 * 2.0 - 1.0
    }
}

/// Bytes at an address that is no multiple of 2, with nothing behind them that a kernel could read without notice.
struct Odd(Vec<u8>);

impl Odd {
    fn new(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut all = vec![0xff];
        all.extend(bytes);
        Self(all)
    }

    fn get(&self) -> &[u8] {
        &self.0[1..]
    }
}

#[test]
fn rows_are_quantized_as_math_says() {
    let mut draws = Draws(3);
    for isa in isas() {
        for width in 1..=1024usize {
            for size in [1.0, 1e-20, 1e13, 0.0] {
                let (stride, group) = (width + 3, width.next_multiple_of(GROUP));
                let mut values: Vec<f32> = (0..3 * stride).map(|_| draws.float() * size).collect();
                // Some rows have what no layer should.
                let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40];
                if let (Some(x), 1) = (odd.get(width % 8), width / 8 % 2) {
                    values[stride + width / 2] = *x;
                }
                // One byte more than three rows.
                let (mut bytes, mut scales) = (vec![9; 3 * group + 1], [7.0; 3]);
                quantize(isa, &values, (stride, width), &mut bytes, &mut scales);
                assert_eq!(bytes.pop(), Some(9));
                for (r, (bytes, scale)) in bytes.chunks(group).zip(scales).enumerate() {
                    let row = values[r * stride..].iter().take(width);
                    let clamped: Vec<f32> = row.map(|x| math::relu(*x)).collect();
                    let mut want = vec![0; group];
                    let want_scale = math::quantize_row(&clamped, &mut want[..width]);
                    assert_eq!(
                        (scale.to_bits(), bytes),
                        (want_scale.to_bits(), &*want),
                        "{} {width} {size}",
                        isa.name(),
                    );
                }
            }
        }
    }
}

#[test]
fn a_softmax_of_a_block_is_that_of_its_rows() {
    let mut draws = Draws(4);
    for isa in isas() {
        for experts in 1..=limits::EXPERTS {
            for size in [0.0, 1.0, 40.0] {
                let logits: Vec<[f32; BLOCK]> = (0..experts)
                    .map(|_| core::array::from_fn(|_| draws.float() * size))
                    .collect();
                let mut weights = vec![[9.0; BLOCK]; experts];
                softmax_lanes(isa, &logits, &mut weights);
                for r in 0..BLOCK {
                    let row: Vec<f32> = logits.iter().map(|logits| logits[r]).collect();
                    let mut want = vec![0; experts];
                    math::softmax_q15(&row, &mut want);
                    let got: Vec<f32> = weights.iter().map(|weights| weights[r]).collect();
                    let want: Vec<f32> = want.into_iter().map(f32::from).collect();
                    assert_eq!(got, want, "{} {experts} {size}", isa.name());
                }
            }
        }
    }
}

#[test]
fn mixtures_and_dot_products_are_exact() {
    let mut draws = Draws(5);
    for isa in isas() {
        for experts in 1..=5 {
            let row = experts % BLOCK;
            let weights: Vec<[f32; BLOCK]> = (0..experts)
                .map(|e| {
                    let mut weights = [7.0; BLOCK];
                    weights[row] = if e == 2 { 0 } else { draws.next() % 32769 } as f32;
                    weights
                })
                .collect();
            // Panels by four, and by themselves.
            let (width, stride) = (6 * PANEL, 6 * PANEL + 7);
            let values: Vec<f32> = (0..experts * stride).map(|_| draws.float().abs()).collect();
            let mut mixture = vec![f32::NAN; width];
            let of = Mixture {
                weights: &weights,
                row,
                experts: &values,
                stride,
            };
            mix(isa, &of, &mut mixture);
            for (j, got) in mixture.iter().enumerate() {
                let mut want = 0.0f32;
                for (e, w) in weights.iter().enumerate() {
                    want += w[row] / 32768.0 * values[e * stride + j];
                }
                assert_eq!(got.to_bits(), want.to_bits(), "{} {experts}", isa.name());
            }
        }
        for len in 0..=1024 {
            let (x, w) = (
                Odd::new((0..len).map(|_| draws.byte()).collect::<Vec<_>>()),
                Odd::new((0..len).map(|_| draws.weight() as u8).collect::<Vec<_>>()),
            );
            let want: i64 = x
                .get()
                .iter()
                .zip(w.get())
                .map(|(x, w)| i64::from(*x) * i64::from(*w as i8))
                .sum();
            assert_eq!(
                i64::from(dot(isa, x.get(), w.get())),
                want,
                "{} {len}",
                isa.name()
            );
        }
    }
}

#[test]
fn sigmoids_of_rows_are_those_of_their_values() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40];
    for isa in isas() {
        for first in 0..8000 {
            let len = first % 18;
            let mut values: Vec<f32> = (0..len)
                .map(|i| (first as f32 + i as f32 / 17.0) / 100.0 - 40.0)
                .collect();
            if let (Some(x), Some(at)) = (odd.get(first % 7), (first / 7).checked_rem(len)) {
                values[at] = *x;
            }
            let want: Vec<u32> = values.iter().map(|x| math::sigmoid(*x).to_bits()).collect();
            sigmoid(isa, &mut values);
            let got: Vec<u32> = values.iter().map(|x| x.to_bits()).collect();
            assert_eq!(got, want, "{} {first}", isa.name());
        }
    }
}

#[test]
fn a_row_that_is_not_there_is_taken_as_zero() {
    for isa in isas() {
        let (mut bytes, mut scales) = ([9; 32], [7.0; 2]);
        quantize(isa, &[1.0; 31], (16, 16), &mut bytes, &mut scales);
        assert_eq!(scales[1], 0.0, "{}", isa.name());
        assert_eq!(bytes[16..], [0; 16], "{}", isa.name());
    }
}

#[test]
fn the_best_instruction_set_is_the_last_one() {
    assert_eq!(Isa::available().first(), Some(&Isa::PORTABLE));
    assert_eq!(Isa::available().last(), Some(&Isa::detect()));
    #[cfg(target_arch = "x86_64")]
    assert_eq!(
        Isa::detect().name(),
        if is_x86_feature_detected!("avx512vnni") {
            "avx512-vnni"
        } else if is_x86_feature_detected!("avxvnni") {
            "avx-vnni"
        } else if is_x86_feature_detected!("avx2") {
            "avx2"
        } else {
            "portable"
        },
    );
}
