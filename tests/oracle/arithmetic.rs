//! The few functions of real numbers, engine against oracle on stated bit patterns; and proof that the comparison sees
//! small errors: they are planted in copies of the oracle.

use std::path::Path;

use pocketrank::math;
use serde_json::{Value, json};

use super::agree::engine_and_script_agree;
use super::model::Random;
use super::planted::planted;
use super::{bits, features, python, score_py};

/// An input that tells a constant of exp (C0 to C8) or log1p (L1 to L4, HI, LO) of `docs/numerics.md` from one that is
/// `ulps` larger in its bits, found by search. C3 and L4 are the slightest terms: one ulp of C3 changes no result at
/// all (every f32 was tried), one of L4 none between 2^-5 and 2^19.
const TELLING: &[(&str, i32, u32)] = &[
    ("3FB8AA3B", 1, 0xC0D2_B77B),
    ("3FB8AA3B", -1, 0x4280_3B74),
    ("3F318000", 1, 0x3EB1_721A),
    ("3F318000", -1, 0x3EB1_7221),
    ("B95E8083", 1, 0xBFB1_666C),
    ("B95E8083", -1, 0x3F31_4243),
    ("39506967", 2, 0xBE9C_239B),
    ("39506967", -2, 0xBEA8_C883),
    ("3AB743CF", 1, 0x3E71_E3EA),
    ("3AB743CF", -1, 0xBE63_F2DF),
    ("3C088908", 1, 0x3E3A_B787),
    ("3C088908", -1, 0xBE2D_0CD0),
    ("3D2AA9C1", 1, 0xBDB3_C044),
    ("3D2AA9C1", -1, 0x3D8B_4335),
    ("3E2AAAAA", 1, 0xBD80_4F7D),
    ("3E2AAAAA", -1, 0x3D80_6071),
    ("3F000000", 1, 0x3D80_05CC),
    ("3F000000", -1, 0x3D80_03CD),
    ("3F2AAAAA", 1, 0x3D00_95A6),
    ("3F2AAAAA", -1, 0x3D00_62EB),
    ("3ECCCE13", 1, 0x3D49_7B6E),
    ("3ECCCE13", -1, 0xBD57_F984),
    ("3E91E9EE", 1, 0xBE67_9733),
    ("3E91E9EE", -1, 0xBE2B_0433),
    ("3E789E26", 4, 0xBE96_3BF7),
    ("3E789E26", -2, 0x3EE3_CC6E),
    ("3F317180", 1, 0xBE95_F61B),
    ("3F317180", -1, 0xBE95_F61B),
    ("3717F7D1", 1, 0xBEA0_0145),
    ("3717F7D1", -1, 0xBE9F_4C43),
];

/// Words that every function gets, where it is defined: zeros, the least and largest numbers, powers of two, thresholds.
fn edges() -> Vec<f32> {
    let mut edges = vec![0.0, f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1)];
    edges.extend((-40..=40).map(|n| (n as f32).exp2()));
    edges.extend([20.0, 30.0, 87.0, 88.0, 0.41421357, 0.29289323]);
    edges.extend([0x3ED4_13D0, 0x3E95_F619, 0x3380_0000].map(f32::from_bits));
    let near = |x: &f32| [x.next_down(), *x, x.next_up()];
    let positive: Vec<f32> = edges
        .iter()
        .flat_map(near)
        .filter(|x| x.is_finite())
        .collect();
    positive.iter().flat_map(|x| [*x, -*x]).collect()
}

struct Inputs {
    exp: Vec<f32>,
    sigmoid: Vec<f32>,
    log1p: Vec<f32>,
    softmax: Vec<Vec<f32>>,
    quantize: Vec<Vec<f32>>,
}

/// Edges, stated words, and some `many` random inputs a function.
fn inputs(many: usize) -> Inputs {
    let mut random = Random::new(11);
    let edges = edges();
    let any = |random: &mut Random| f32::from_bits((random.below(1 << 32)) as u32);
    let mut exp = edges.clone();
    exp.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    exp.extend((0..many).map(|_| random.float(-90.0, 90.0)));
    exp.extend((0..many / 2).map(|_| any(&mut random)));
    let mut sigmoid = exp.clone();
    // Where round(x log2 e) is a tie, or nearly.
    exp.extend((-126..126).map(|n| (n as f32 + 0.5) * core::f32::consts::LN_2));
    let mut log1p = edges.clone();
    log1p.extend((0..many).map(|_| random.float(-1.0, 3.0)));
    log1p.extend((0..many / 2).map(|_| any(&mut random)));
    for (_, _, input) in TELLING {
        exp.push(f32::from_bits(*input));
        log1p.push(f32::from_bits(*input));
    }
    sigmoid.retain(|x| !x.is_nan());
    log1p.retain(|x| *x > -1.0 && x.is_finite());
    let rows = |random: &mut Random, n: usize, low: f32, high: f32| -> Vec<Vec<f32>> {
        let mut row = || {
            let len = 1 + random.below(16);
            let far = (random.float(-8.0, 8.0)).exp2();
            (0..len).map(|_| random.float(low, high) * far).collect()
        };
        (0..n).map(|_| row()).collect()
    };
    let mut softmax = rows(&mut random, many, -4.0, 4.0);
    // Found by search: the first three tell the sum's rounding, the others that of the quotient.
    for word in [
        0xBFA6_85A8,
        0xBF13_64F0,
        0xBF40_CBA0,
        0xBEE4_1B18,
        0xBBB2_00DE,
        0xBFBC_5200,
    ] {
        softmax.push(vec![0.0, f32::from_bits(word)]);
    }
    softmax.push(vec![7.0; 3]);
    softmax.push(vec![-0.0, 0.0, -1e30, 1e30]);
    softmax.push(vec![5.0, -15.0, -15.000001, f32::MIN]);
    let mut quantize = rows(&mut random, many, 0.0, 4.0);
    let least = math::ACTIVATION_MIN;
    quantize.extend(
        [least.next_down(), least, math::ACTIVATION_MAX].map(|most| vec![0.0, most, most / 254.0]),
    );
    quantize.push(vec![0.0; 5]);
    // Ties, and near ones.
    quantize.extend((0..127).map(|n| vec![127.0, n as f32 + 0.5]));
    for n in 0..500 {
        let most = random.float(1.0, 2.0);
        quantize.push(vec![most, most * ((n % 127) as f32 + 0.5) / 127.0]);
    }
    Inputs {
        exp,
        sigmoid,
        log1p,
        softmax,
        quantize,
    }
}

/// What the engine makes of the inputs.
fn by_engine(inputs: &Inputs) -> Value {
    let each = |x: &[f32], f: fn(f32) -> f32| x.iter().map(|x| f(*x).to_bits()).collect::<Vec<_>>();
    let softmax = inputs.softmax.iter().map(|logits| {
        let mut weights = vec![0; logits.len()];
        math::softmax_q15(logits, &mut weights);
        weights
    });
    let quantize = inputs.quantize.iter().map(|row| {
        let mut bytes = vec![0; row.len()];
        let scale = math::quantize_row(row, &mut bytes);
        (bytes, scale.to_bits())
    });
    json!({
        "exp": each(&inputs.exp, math::exp), "sigmoid": each(&inputs.sigmoid, math::sigmoid),
        "log1p": each(&inputs.log1p, libm::log1pf), "softmax": softmax.collect::<Vec<_>>(),
        "quantize": quantize.collect::<Vec<_>>(),
    })
}

/// What a script makes of them.
fn by_script(script: &Path, inputs: &Inputs) -> Option<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inputs.json");
    let rows = |rows: &[Vec<f32>]| rows.iter().map(|row| bits(row)).collect::<Vec<_>>();
    let words = json!({
        "exp": bits(&inputs.exp), "sigmoid": bits(&inputs.sigmoid), "log1p": bits(&inputs.log1p),
        "softmax": rows(&inputs.softmax), "quantize": rows(&inputs.quantize),
    });
    std::fs::write(&path, words.to_string()).unwrap();
    let printed = python(script, &[Path::new("--math"), &path])?;
    Some(serde_json::from_str(&printed).unwrap())
}

#[test]
fn functions_equal_the_oracle_on_thousands_of_stated_inputs() {
    let inputs = inputs(3000);
    let ours = by_engine(&inputs);
    let Some(theirs) = by_script(&score_py(), &inputs) else {
        return;
    };
    for (name, ours) in ours.as_object().unwrap() {
        let (ours, theirs) = (ours.as_array().unwrap(), theirs[name].as_array().unwrap());
        assert!(
            ours.len() > 3000 && ours.len() == theirs.len(),
            "{name}: {}",
            ours.len()
        );
        for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            assert_eq!(ours, theirs, "{name}, input {i}");
        }
    }
}

#[test]
fn errors_planted_in_the_arithmetic_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(300);
    let ours = by_engine(&inputs);
    let mut plants: Vec<(String, String)> = TELLING
        .iter()
        .map(|(word, ulps, _)| {
            let wrong = u32::from_str_radix(word, 16)
                .unwrap()
                .wrapping_add_signed(*ulps);
            (format!("0x{word}"), format!("0x{wrong:08X}"))
        })
        .collect();
    let others = [
        ("total = f32(total + x)", "total = total + x"),
        (
            "total = f32(total + x)\n    weights",
            "total = sum(e)\n    weights",
        ),
        (
            "round(f32(f32(x / total) * 32768.0))",
            "round(x / total * 32768.0)",
        ),
        ("weights[list(logits).index(most)] +=", "weights[0] +="),
        ("inv = f32(127.0 / most)", "inv = 127.0 / most"),
        ("if most < LEAST:", "if most <= LEAST:"),
        ("f32(1.0 / f32(1.0 + exp(", "f32(1.0 / (1.0 + exp("),
        ("exp(-clamp(x, -30.0, 30.0))", "exp(-clamp(x, -30.5, 30.0))"),
        (
            "exp(clamp(f32(g - most), -20.0, 0.0))",
            "exp(clamp(f32(g - most), -9.0, 0.0))",
        ),
    ];
    plants.extend(others.map(|(from, to)| (from.into(), to.into())));
    for (from, to) in plants {
        let script = planted(folder.path(), &from, &to);
        let Some(theirs) = by_script(&script, &inputs) else {
            return;
        };
        assert!(ours != theirs, "not seen: {from} -> {to}");
    }
}

#[test]
fn errors_planted_in_the_counting_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = features::every_feature(1);
    for (from, to) in [
        ("refused[0] if refused", "refused[-1] if refused"),
        ("row >= table[\"rows\"]", "row > table[\"rows\"]"),
        (
            "if end - start > e[\"max_len\"]:",
            "if end - start >= e[\"max_len\"]:",
        ),
        (
            "for k in range(start, min(end, start + e[\"max_len\"])):",
            "for k in range(start, end):",
        ),
        ("8 * half for byte", "half for byte"),
        ("if right == 0:", "if left == 0:"),
        (
            "overflowing(left / right)",
            "overflowing(left / right + 0.25)",
        ),
        (
            "product(left, right) if op == \"product\"",
            "product(left, left) if op == \"product\"",
        ),
        (
            "else difference(left, right)",
            "else difference(right, left)",
        ),
        (
            "hash_int(self.bucket(i, self.raw_number(i, candidate)))",
            "hash_int(self.bucket(i, self.column_number(i, candidate)))",
        ),
        ("(byte % 16, byte // 16)", "(byte // 16, byte % 16)"),
        (
            "elif abs(x) == float(\"inf\"):",
            "elif x == float(\"inf\"):",
        ),
        (
            "for c in range(scored)]:",
            "for c in range(request.request[\"candidates\"])]:",
        ),
    ] {
        let script = planted(folder.path(), from, to);
        let seen = std::panic::catch_unwind(|| {
            engine_and_script_agree(&script, "planted", &file, 80, 3);
        });
        if python(&score_py(), &[Path::new("--self-test")]).is_some() {
            assert!(seen.is_err(), "not seen: {from} -> {to}");
        }
    }
}
