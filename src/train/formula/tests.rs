#![allow(clippy::unwrap_used)]
use super::*;
use crate::fusion::formula::settle;
use crate::spec::{Encoding, Feature, Side, Source, Task, TaskKind, Transform};

/// Tasks click, duration and like (given a click), hide; features length and age; weights a and b.
fn spec() -> Box<Spec<'static>> {
    let mut spec = Box::new(Spec::default());
    for name in ["length", "age", "author"] {
        let number = Encoding::Number {
            transform: Transform::UNIT,
            default: 0.0,
            value: None,
            buckets: None,
        };
        let id = Encoding::Row {
            table: 0,
            default_row: 0,
        };
        let feature = Feature {
            name,
            side: Side::Candidate,
            source: Source::Column,
            encoding: if name == "author" { id } else { number },
        };
        spec.features.push(feature).unwrap();
    }
    for (name, kind, given) in [
        ("click", TaskKind::Binary, None),
        ("duration", TaskKind::Duration, Some(0)),
        ("like", TaskKind::Binary, Some(0)),
        ("hide", TaskKind::Binary, None),
    ] {
        let task = Task {
            name,
            unit: "",
            kind,
            given,
            tower_layers: heapless::Vec::new(),
            inputs: heapless::Vec::new(),
            calibration: crate::spec::Calibration::None,
            score_scale: 1.0,
        };
        spec.tasks.push(task).unwrap();
    }
    spec
}

fn weights() -> Vec<Weight> {
    [("a", 1.0, 0.0, 10.0), ("b", -1.0, -5.0, 5.0)]
        .map(|(name, value, least, most)| Weight {
            name: name.to_string(),
            value,
            least,
            most,
        })
        .to_vec()
}

fn compile(text: &str) -> Result<Formula, Mistake> {
    Formula::compile(text, &spec(), &weights())
}

/// Value of a formula, every input of which is `x`.
fn value(text: &str, x: f32) -> f32 {
    let formula = compile(text).unwrap();
    let terms = formula.evaluate(&|_| x, &|i| formula.weights[i].value);
    terms[1..].iter().fold(terms[0], |sum, t| settle(sum + t))
}

#[test]
fn operators_bind_as_in_mathematics() {
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 2 - 3", 5.0),
        ("10 - (2 - 3)", 11.0),
        ("12 / 2 / 3", 2.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ 3 ^ 0", 2.0),
        ("2 * -3", -6.0),
        ("1 < 2 and 2 < 1 or 3 >= 3", 1.0),
        ("not 1 < 2", 0.0),
        ("not 1 == 2 and 1", 1.0),
        ("1 != 1", 0.0),
        ("if(2 > 1, 5, 6)", 5.0),
        ("max(1, 7, 3) - min(4, 2, 9)", 5.0),
        ("1e-3 * 1e+3", 1.0),
        ("abs(-3) + sqrt(16)", 7.0),
        ("a + b", 0.0),
        ("`click` + click", 0.5),
        ("if(length >= 10, entire(duration), 0)", 0.0),
    ] {
        let got = value(text, 0.25);
        assert!((got - expected).abs() < 1e-5, "{text}: {got}");
    }
}

#[test]
fn a_sum_at_the_top_is_terms() {
    let formula = compile("a * click - (like + hide) + 2").unwrap();
    let texts: Vec<&str> = formula
        .terms
        .iter()
        .map(|(span, _)| &formula.text[span.clone()])
        .collect();
    assert_eq!(texts, ["a * click", "(like + hide)", "2"]);
    assert_eq!(formula.evaluate(&|_| 0.5, &|_| 1.0), [0.5, -1.0, 2.0]);
}

#[test]
fn mistakes_name_their_position_and_what_would_be_right() {
    for (text, position, part) in [
        ("", 1, "empty"),
        ("click +", 8, "expected"),
        ("click & like", 7, "operator"),
        ("click = 1", 7, "=="),
        ("(click", 7, ")"),
        ("click like", 7, "operator or the end"),
        ("watch * 2", 1, "tasks are click, duration, like, hide"),
        ("author", 1, "no number"),
        ("1 / length", 1, "max(..., 0.001)"),
        ("2 + log(click)", 5, "log1p"),
        ("logit(duration)", 1, "probability"),
        ("exp(length)", 1, "min(..., 60)"),
        ("sqrt(b)", 1, "max(..., 0)"),
        ("b ^ 2", 1, "raise max(..., 0)"),
        ("click ^ b", 1, "negative power"),
        ("length ^ 3", 1, "max(..., 0)"),
        ("max(length, 0) ^ 3", 1, "2^100"),
        ("rank(length)", 6, "no task"),
        ("rank(click + 1)", 6, "expected a task"),
        ("quantile(click, like)", 1, "one task"),
        ("foo(1)", 1, "no function foo of 1"),
        ("1x", 1, "no number"),
        ("`click", 1, "closing"),
        ("1e40", 1, "2^100"),
    ] {
        let mistake = compile(text).unwrap_err();
        assert!(
            mistake.position == position && mistake.message.contains(part),
            "{text}: {mistake:?}"
        );
    }
    let deep = "(".repeat(100_000) + "click";
    assert!(compile(&deep).unwrap_err().message.contains("4096"));
    let deep = "(".repeat(100) + "click" + &")".repeat(100);
    assert!(compile(&deep).unwrap_err().message.contains("nesting"));
    let long = vec!["click * 2"; 33].join(" + ");
    assert!(compile(&long).unwrap_err().message.contains("terms"));
    let costly = vec!["click ^ a"; 50].join(" * ");
    assert!(compile(&costly).unwrap_err().message.contains("additions"));
    let right = "1 + (".repeat(20) + "click" + &")".repeat(20);
    assert!(
        compile(&right)
            .unwrap_err()
            .message
            .contains("values at a time")
    );
    let mut same = weights();
    same[0].name = "click".to_string();
    let mistake = Formula::compile("click", &spec(), &same).unwrap_err();
    assert!(mistake.message.contains("another name"), "{mistake:?}");
}

#[test]
fn every_operation_is_the_real_one_within_its_rounding() {
    // f64 by std, beside f32 as the device has it.
    fn real(op: Op, x: f64, y: f64, z: f64) -> f64 {
        let truth = |b: bool| f64::from(u8::from(b));
        match op {
            Op::Add => x + y,
            Op::Sub => x - y,
            Op::Mul => x * y,
            Op::Div => x / y,
            Op::Min => x.min(y),
            Op::Max => x.max(y),
            Op::Pow => x.powf(y),
            Op::Less => truth(x < y),
            Op::LessEqual => truth(x <= y),
            Op::Equal => truth(x == y),
            Op::And => truth(x != 0.0 && y != 0.0),
            Op::Or => truth(x != 0.0 || y != 0.0),
            Op::Neg => -x,
            Op::Abs => x.abs(),
            Op::Exp => x.exp(),
            Op::Log => x.ln(),
            Op::Log1p => x.ln_1p(),
            Op::Sqrt => x.sqrt(),
            Op::Sigmoid => 1.0 / (1.0 + (-x.clamp(-30.0, 30.0)).exp()),
            Op::Logit => {
                let p = x.clamp(1e-6, 1.0 - 1e-6);
                (p / (1.0 - p)).ln()
            }
            Op::Not => truth(x == 0.0),
            Op::If => {
                if x != 0.0 {
                    y
                } else {
                    z
                }
            }
        }
    }
    let values = [
        0.0, 1e-9, 1e-6, 0.1, 0.25, 0.5, 0.999, 1.0, 1.5, 2.0, 3.25, 17.0, 60.0, 1000.0, 1e9,
        -1e-6, -0.5, -1.0, -2.5, -40.0, -1e6,
    ];
    let mut counts = [0; Op::ALL.len()];
    for (i, op) in Op::ALL.into_iter().enumerate() {
        for x in values {
            for y in values {
                let point = |v: f32| Range::new(v, v).unwrap();
                let z = 7.0f32;
                let Some(range) = Range::of(op, [point(x), point(y), point(z)]) else {
                    continue;
                };
                let got = op.apply([x, y, z]);
                let expected = real(op, x.into(), y.into(), z.into());
                // A logarithm's error is multiplied by the exponent; f32 has no probability nearer to 1 than 6e-8.
                let exponent = if op == Op::Pow {
                    (f64::from(y) * f64::from(x).ln()).abs().min(100.0)
                } else {
                    1.0
                };
                let slack = match op {
                    Op::Logit => 5e-2 * f64::from(u8::from(x > 0.9999)) + 1e-6,
                    _ => 3e-7 * (1.0 + exponent),
                };
                let error = (f64::from(got) - expected).abs();
                assert!(
                    error <= slack * expected.abs().max(1e-18) + 1e-18,
                    "{op:?} {x} {y}: {got} {expected}"
                );
                assert!(
                    got >= range.low && got <= range.high,
                    "{op:?} {x} {y}: {got} {range:?}"
                );
                counts[i] += 1;
            }
        }
    }
    assert!(counts.iter().all(|n| *n > 40), "{counts:?}");
}

#[test]
fn bounds_hold_what_is_between_them() {
    let mut seed = 3u64;
    let mut draw = move || {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let unit = (seed >> 40) as f32 / 16_777_216.0;
        let size = [1e-9f32, 1e-3, 1.0, 30.0, 1e6][(seed >> 35) as usize % 5];
        (unit - 0.5) * size
    };
    for op in Op::ALL {
        let mut accepted = 0;
        for _ in 0..4000 {
            let mut pair = || {
                let (x, y) = (draw(), draw());
                let low = if op == Op::Logit { 0.0 } else { x.min(y) };
                // Half of them without negative numbers.
                let (low, high) = if y > 0.0 {
                    (low.abs(), low.abs() + y)
                } else {
                    (low, x.max(y))
                };
                Range::new(low, high)
            };
            let (Some(x), Some(y), Some(z)) = (pair(), pair(), pair()) else {
                continue;
            };
            let Some(range) = Range::of(op, [x, y, z]) else {
                continue;
            };
            accepted += 1;
            for i in 0..27 {
                let at =
                    |r: Range, k: usize| settle(r.low + (r.high - r.low) * [0.0, 0.37, 1.0][k]);
                let at = |r: Range, k: usize| at(r, k).clamp(r.low, r.high);
                let got = op.apply([at(x, i % 3), at(y, i / 3 % 3), at(z, i / 9)]);
                assert!(
                    got >= range.low && got <= range.high,
                    "{op:?} {x:?} {y:?}: {got} {range:?}"
                );
            }
        }
        assert!(accepted > 100, "{op:?} {accepted}");
    }
}

#[test]
fn lints_see_signs_and_units() {
    let lint = |text: &str| {
        crate::train::lint::of_formula(
            &compile(text).unwrap(),
            &spec(),
            &[false, false, false, true],
        )
    };
    for fine in [
        "a * click + entire(duration)",
        "click * duration",
        "click ^ a * duration ^ 0.5",
        "quantile(duration) + rank(like)",
        "if(duration > 3, click, 0)",
        "click * (like + 1) * duration - hide",
        "click / (1 + hide)",
        "click * (1 - hide)",
    ] {
        assert_eq!(lint(fine), Vec::<String>::new(), "{fine}");
    }
    for (text, part) in [
        ("click + duration", "entire(duration)"),
        ("click * like + duration", "\"duration\""),
        ("max(duration, 3)", "\"duration\""),
        ("click + hide", "\"hide\""),
        ("click - b * hide", "\"hide\""),
        ("click + a * quantile(hide)", "\"hide\""),
        ("if(hide > 0.5, click, 0)", "\"hide\""),
    ] {
        let all = lint(text);
        assert!(all.len() == 1 && all[0].contains(part), "{text}: {all:?}");
    }
}
