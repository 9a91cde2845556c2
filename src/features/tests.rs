//! Oracles here are naive: they share no code with what they test.
#![allow(clippy::unwrap_used)]
use std::collections::HashMap;
use std::prelude::v1::*;

use super::*;
use crate::spec::{IdType, Lookup, NumberGrid, Pooling, Table, Transform};

mod state;

/// splitmix64 (Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub(super) struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }
}

/// The input of xxHash's own test vectors: `XSUM_fillTestBuffer` in `cli/xsum_sanity_check.c` of Cyan4973/xxHash 0.8.
fn published_input(len: usize) -> Vec<u8> {
    let mut state = 2_654_435_761_u64;
    let mut bytes = Vec::new();
    for _ in 0..len {
        bytes.push((state >> 56) as u8);
        state = state.wrapping_mul(11_400_714_785_074_694_797);
    }
    bytes
}

#[test]
fn two_numbers_make_one_or_are_missing() {
    use crate::spec::Operation::{Difference, Product, Ratio};
    let (inf, nan, least) = (f32::INFINITY, f32::NAN, 1e-40);
    for (operation, left, right, expected) in [
        (Product, 3.0, -0.5, -1.5),
        (Difference, 3.0, -0.5, 3.5),
        (Ratio, 3.0, -0.5, -6.0),
        (Product, nan, 1.0, nan),
        (Difference, 1.0, nan, nan),
        (Ratio, nan, 0.0, nan),
        // 0 has no ratio, and neither has what counts as 0.
        (Ratio, 1.0, 0.0, nan),
        (Ratio, 0.0, -0.0, nan),
        (Ratio, 1.0, least, nan),
        (Ratio, least, 1.0, 0.0),
        (Product, 1e30, 1e30, inf),
        (Ratio, -1e30, 1e-30, -inf),
        (Product, inf, 0.0, nan),
        (Product, inf, least, nan),
        (Difference, inf, inf, nan),
        (Difference, inf, 1.0, inf),
        (Ratio, inf, inf, nan),
        (Ratio, 1.0, inf, 0.0),
        // Below 2^-100.
        (Product, 1e-20, 1e-20, 0.0),
        (Product, 1e-15, 1e-15, 1e-15 * 1e-15),
    ] {
        let x = operation.apply(left, right);
        let same = x == expected || (x.is_nan() && expected.is_nan());
        assert!(same, "{operation:?} of {left} and {right} is {x}");
    }
}

/// Ids that share a row of the first hash must not be more likely to share one of the second: over all pairs, those that share
/// both are as many as two independent hashes would have.
#[test]
fn an_id_crossed_with_itself_is_a_second_independent_hash() {
    const IDS: u64 = 20_000;
    const ROWS: u64 = 1000;
    let texts = |i: u64| hash_text(format!("video {i}").as_bytes());
    let spread = |i: u64| hash_int(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let keys: [(&str, &dyn Fn(u64) -> u64); 3] = [
        ("ints", &hash_int),
        ("spread ints", &spread),
        ("texts", &texts),
    ];
    for (ids, key) in keys {
        let [mut first, mut second, mut both] = [(); 3].map(|()| HashMap::<u64, u64>::new());
        let mut equal = 0;
        for i in 0..IDS {
            let key = key(i);
            let rows = [part(key, ROWS), part(hash_cross(key, key), ROWS)];
            *first.entry(rows[0]).or_default() += 1;
            *second.entry(rows[1]).or_default() += 1;
            *both.entry(rows[0] * ROWS + rows[1]).or_default() += 1;
            equal += u64::from(rows[0] == rows[1]);
        }
        let pairs = |of: &HashMap<u64, u64>| of.values().map(|n| n * (n - 1) / 2).sum::<u64>();
        let all = (IDS * (IDS - 1) / 2) as f64;
        let (rows, ids_) = (ROWS as f64, IDS as f64);
        for (found, expected, what) in [
            (pairs(&first), all / rows, "pairs by the first hash"),
            (pairs(&second), all / rows, "pairs by the second hash"),
            (pairs(&both), all / (rows * rows), "pairs by both"),
            (equal, ids_ / rows, "ids with one row twice"),
        ] {
            // Counts of rare events: their variance is their mean. Keys are fixed, so that this holds always or never.
            let off = (found as f64 - expected) / expected.sqrt();
            assert!(
                off.abs() < 4.0,
                "{ids}, {what}: {found}, expected {expected:.0}"
            );
        }
    }
}

#[test]
fn hashes_are_the_published_xxh3_64() {
    // `XSUM_XXH3_testdata`, seed 0: `cli/xsum_sanity_check.c` (0.8.0), and lengths 8 and 16 from
    // `tests/sanity_test_vectors.h` (0.8.2).
    for (len, hash) in [
        (0, 0x2D06_8005_38D3_94C2),
        (1, 0xC44B_DFF4_074E_ECDB),
        (6, 0x27B5_6A84_CD2D_7325),
        (8, 0x24CC_C9AC_AA9F_65E4),
        (12, 0xA713_DAF0_DFBB_77E7),
        (16, 0x981B_17D3_6C74_98C9),
        (24, 0xA3FE_70BF_9D35_10EB),
        (48, 0x397D_A259_ECBA_1F11),
        (80, 0xBCDE_FBBB_2C47_C90A),
        (195, 0xCD94_217E_E362_EC3A),
        (403, 0xCDEB_804D_65C6_DEA4),
        (2048, 0xDD59_E2C3_A5F0_38E0),
        (2367, 0xCB37_AEB9_E5D3_61ED),
    ] {
        let input = published_input(len);
        assert_eq!(hash_text(&input), hash, "{len} bytes");
        let word = |at: usize| u64::from_le_bytes(input[at..at + 8].try_into().unwrap());
        if len == 8 {
            assert_eq!(hash_int(word(0)), hash);
        }
        if len == 16 {
            assert_eq!(hash_cross(word(0), word(8)), hash);
        }
    }
    // Eight zero bytes.
    assert_eq!(hash_int(0), 0xC77B_3ABB_6F87_ACD9);
}

#[test]
fn an_int_never_aliases_its_decimal_text() {
    let mut random = Random(1);
    // Eight digits are as long as the int's own bytes: the only lengths that meet.
    let eight = (0..20_000).map(|i| 10_000_000 + i * 4_499);
    let any = (0..20_000).map(|_| random.next() >> (random.next() % 64));
    for id in eight.chain(any.collect::<Vec<_>>()).chain([0, 1, u64::MAX]) {
        assert_ne!(hash_int(id), hash_text(format!("{id}").as_bytes()), "{id}");
    }
}

#[test]
fn a_cross_has_an_order() {
    assert_ne!(hash_cross(1, 2), hash_cross(2, 1));
    assert_ne!(hash_cross(0, 0), 0);
}

fn table(num_embeddings: u32, lookup: Lookup) -> Table<'static> {
    Table {
        name: "t",
        num_embeddings,
        embedding_dim: 4,
        bits: 8,
        lookup,
    }
}

#[test]
fn hash_rows_spread_over_all_but_row_0() {
    let hashed = |rows: u32, key| table_row(&table(rows, Lookup::Hash(IdType::Int)), None, key, 3);
    assert_eq!(hashed(11, None), (3, false));
    assert_eq!(hashed(1, Some(u64::MAX)), (0, false));
    assert_eq!(hashed(11, Some(0)), (1, false));
    assert_eq!(hashed(11, Some(u64::MAX)), (10, false));
    let mut counts = [0; 11];
    for id in 0..10_000 {
        let (row, unknown) = hashed(11, Some(hash_int(id)));
        assert!(!unknown);
        counts[row as usize] += 1;
    }
    assert_eq!(counts[0], 0);
    assert!(
        counts[1..].iter().all(|n| (880..1120).contains(n)),
        "{counts:?}"
    );
}

#[test]
fn keys_without_a_vocabulary_are_unknown() {
    for lookup in [Lookup::Buckets, Lookup::Vocabulary(IdType::Text)] {
        assert_eq!(table_row(&table(9, lookup), None, Some(7), 5), (0, true));
        assert_eq!(table_row(&table(9, lookup), None, None, 5), (5, false));
        let empty = Vocabulary::default();
        assert_eq!(
            table_row(&table(9, lookup), Some(&empty), Some(7), 5),
            (0, true)
        );
    }
}

const ODD: [f32; 12] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    0.0,
    -0.0,
    f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    f32::MAX,
    f32::MIN,
    -1.0,
    1.0,
];

#[test]
fn a_transform_clips_then_takes_the_logarithm_then_scales() {
    let t = Transform {
        low: -0.5,
        high: 100.0,
        log1p: true,
        shift: 2.0,
        scale: 0.25,
    };
    let plain = Transform { log1p: false, ..t };
    let mut random = Random(2);
    for i in 0..20_000 {
        let x = ODD.get(i).copied().unwrap_or((random.unit() - 0.3) * 300.0);
        let clipped = if x.is_nan() {
            -0.5
        } else {
            x.clamp(-0.5, 100.0)
        };
        // Zeros and subnormals are one zero.
        let clipped = if clipped.abs() < f32::MIN_POSITIVE {
            0.0
        } else {
            clipped
        };
        assert_eq!(t.clip(x).to_bits(), clipped.to_bits());
        assert_eq!(plain.apply(x), (clipped - 2.0) * 0.25);
        // Numbers whose products are rounded: an order of operations of its own would be seen.
        let uneven = Transform {
            shift: 1.7,
            scale: 0.3,
            ..plain
        };
        assert_eq!(uneven.apply(x), (clipped - 1.7) * 0.3);
        for t in [t, plain, uneven] {
            let (mut each, one) = ([x, 5.0], t.apply(x));
            t.apply_each(&mut each);
            assert_eq!(
                each.map(f32::to_bits),
                [one, t.apply(5.0)].map(f32::to_bits)
            );
        }
        let exact = (f64::from(clipped).ln_1p() - 2.0) * 0.25;
        assert!((f64::from(t.apply(x)) - exact).abs() < 3e-7, "{x}");
    }
}

#[test]
fn a_bucket_row_counts_the_boundaries_not_above_the_clipped_value() {
    let mut random = Random(3);
    for n in (0..=254).step_by(2) {
        let mut boundaries: Vec<f32> = (0..n).map(|_| (random.unit() * 40.0).floor()).collect();
        boundaries.sort_by(f32::total_cmp);
        let mut bytes: Vec<u8> = boundaries.iter().flat_map(|b| b.to_le_bytes()).collect();
        // A cut last boundary is not read.
        bytes.extend([0; 3]);
        let t = Transform {
            low: 2.0,
            high: 35.0,
            log1p: true,
            shift: 9.0,
            scale: 7.0,
        };
        let values = ODD
            .into_iter()
            .chain((0..100).map(|_| (random.unit() * 90.0).floor() / 2.0));
        for x in values {
            let clipped = x.clamp(2.0, 35.0);
            let naive = 1 + boundaries.iter().filter(|b| **b <= clipped).count() as u32;
            let row = bucket_row(&t, &bytes, x);
            assert_eq!(
                row,
                if x.is_nan() { 0 } else { naive },
                "{x} {boundaries:?}"
            );
        }
    }
}

#[test]
fn a_number_rounds_half_to_even_saturates_and_spreads_over_its_bytes() {
    let mut random = Random(4);
    for i in 0..100_000 {
        let bytes = 1 + random.below(8) as u8;
        let most = 127 * u16::from(bytes);
        let grid = NumberGrid {
            inv_scale: [0.5, 1.0, 4.0, 31.7][i % 4],
            zero_point: [0, 1, most / 2, most][i / 4 % 4],
            bytes,
        };
        let halves = random.below(2000) as f32 / 2.0 - 500.0;
        let x = ODD
            .get(i / 16)
            .copied()
            .unwrap_or([halves, random.unit() * 9.0 - 4.0][i % 2]);
        let steps = f64::from(x * grid.inv_scale).round_ties_even() + f64::from(grid.zero_point);
        let naive = if steps > f64::from(most) {
            most
        } else if steps > 0.0 {
            steps as u16
        } else {
            0
        };
        assert_eq!(grid.steps(x), naive, "{x} {grid:?}");
        let mut all = [0xFF; 9];
        let (to, beyond) = all.split_at_mut(usize::from(bytes));
        grid.quantize(&[x], 1, (to, usize::from(bytes)));
        let (least, largest) = (*to.iter().min().unwrap(), *to.iter().max().unwrap());
        assert!(largest <= 127 && largest - least <= 1, "{to:?}");
        assert_eq!(to.iter().map(|b| u16::from(*b)).sum::<u16>(), naive);
        assert!(beyond.iter().all(|b| *b == 0xFF));
    }
    // Rows of a block, and none but those.
    for bytes in 1..=8u8 {
        let grid = NumberGrid {
            inv_scale: 40.0,
            zero_point: 9,
            bytes,
        };
        let values: [f32; 8] = core::array::from_fn(|i| i as f32 * 3.1 - 2.0);
        let (width, stride) = (usize::from(bytes), usize::from(bytes) + 3);
        let mut all = [0xFF; 8 * 11];
        grid.quantize(&values, 7, (&mut all, stride));
        for (r, row) in all.chunks(stride).enumerate().take(8) {
            let want = |j| match r < 7 && j < width {
                true => grid.byte(grid.steps(values[r]), j),
                false => 0xFF,
            };
            for (j, byte) in row.iter().enumerate() {
                assert_eq!(*byte, want(j), "{bytes} bytes, row {r}, byte {j}");
            }
        }
    }
    let grid = NumberGrid {
        inv_scale: 12.5,
        zero_point: 300,
        bytes: 4,
    };
    for steps in 0..=508 {
        assert_eq!(grid.steps(grid.dequantize(steps)), steps);
    }
    assert_eq!(grid.dequantize(300), 0.0);
}

/// n / d rounded half to even, by trying: the nearest integer, and the even one of two equally near.
fn nearest(n: i128, d: i128) -> i128 {
    let near = |q: &i128| ((q * d - n).abs(), q % 2 != 0);
    let middle = (n as f64 / d as f64) as i128;
    (middle - 2..=middle + 2).min_by_key(near).unwrap()
}

#[test]
fn pooling_is_the_rounded_rational_in_any_order() {
    let mut random = Random(5);
    for case in 0..4_000 {
        let dim = [1, 3, 16, 256][case % 4];
        let len = [0, 1, 2, 3, 7, 40, 256][case % 7];
        let weighted = case % 3 > 0;
        let pooling = [Pooling::Mean, Pooling::Sum][case % 2];
        let divisor = [1, 2, 3, 16, 40, u16::MAX][case % 6];
        let extreme = case % 11 == 0;
        let byte = |random: &mut Random| {
            if extreme {
                127
            } else {
                random.below(128) as u8
            }
        };
        let zero_points: Vec<u8> = (0..dim).map(|_| random.below(128) as u8).collect();
        let mut rows: Vec<(Vec<u8>, u16)> = (0..len)
            .map(|_| {
                let row = (0..dim).map(|_| byte(&mut random)).collect();
                let weight = [0, 32_768, 16_384, random.below(32_769) as u16];
                (
                    row,
                    if weighted {
                        weight[random.below(4) as usize]
                    } else {
                        1
                    },
                )
            })
            .collect();
        if case % 13 == 0 && weighted {
            rows.iter_mut().for_each(|(_, w)| *w = 0);
        }
        let unit = if weighted { 32_768 } else { 1 };
        let total: i128 = rows.iter().map(|(_, w)| i128::from(*w)).sum();
        let naive: Vec<u8> = (0..dim)
            .map(|d| {
                let z = i128::from(zero_points[d]);
                let sum = |zero: i128| -> i128 {
                    rows.iter()
                        .map(|(row, w)| i128::from(*w) * (i128::from(row[d]) - zero))
                        .sum()
                };
                let pooled = match pooling {
                    _ if total == 0 => z,
                    Pooling::Mean => nearest(sum(0), total),
                    Pooling::Sum => z + nearest(sum(z), i128::from(divisor) * unit),
                };
                pooled.clamp(0, 127) as u8
            })
            .collect();
        for _ in 0..2 {
            let mut pool = Pool::new(pooling, divisor);
            for (row, weight) in &rows {
                pool.add(Embedding::whole(row), weighted.then_some(*weight));
            }
            let mut pooled = vec![255; dim];
            pool.finish(&zero_points, &mut pooled);
            assert_eq!(pooled, naive, "{case}: {pooling:?} / {divisor}, {len} rows");
            rows.reverse();
        }
    }
}

#[test]
fn a_pool_of_halves_goes_to_the_even_byte() {
    let mean = |a: u8, b: u8| {
        let mut pool = Pool::new(Pooling::Mean, 1);
        pool.add(Embedding::whole(&[a]), None);
        pool.add(Embedding::whole(&[b]), None);
        let mut to = [0];
        pool.finish(&[9], &mut to);
        to[0]
    };
    assert_eq!(
        [mean(2, 3), mean(3, 4), mean(0, 1), mean(126, 127)],
        [2, 4, 0, 126]
    );
}

#[test]
fn weights_are_rounded_to_q15() {
    for (w, q15) in [
        (0.0, 0),
        (1.0, 32_768),
        (0.5, 16_384),
        (2.0, 32_768),
        (-1.0, 0),
        (f32::NAN, 0),
        (f32::INFINITY, 32_768),
        (f32::NEG_INFINITY, 0),
        (0.5 / 32_768.0, 0),
        (1.5 / 32_768.0, 2),
        (2.5 / 32_768.0, 2),
        (1e-45, 0),
    ] {
        assert_eq!(weight_q15(w), q15, "{w}");
    }
}
