use super::isotonic::pool;
use super::*;
use crate::spec::TaskKind;
use crate::train::loss::loss;
use crate::train::random::Key;

/// `n` rows with logits of a normal distribution, labels drawn with probability `p(logit)` and weights from 0.5 to 1.5.
fn planted(seed: u64, n: u64, p: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let key = Key::new(seed);
    let z: Vec<f64> = (0..n)
        .map(|i| 1.5 * key.at(0).at(i).normal() - 1.0)
        .collect();
    let y = z
        .iter()
        .zip(0..)
        .map(|(z, i)| f64::from(key.at(1).at(i).chance(p(*z))));
    let w = (0..n).map(|i| 0.5 + key.at(2).at(i).uniform());
    let (y, w) = (y.collect(), w.collect());
    (z, y, w)
}

fn linear(map: Result<Calibration, String>) -> (f64, f64) {
    match map {
        Ok(Calibration::Linear { scale, bias }) => (scale, bias),
        other => core::panic!("{other:?}"),
    }
}

/// The objective of Platt's fit, written anew.
fn objective(z: &[f64], y: &[f64], w: &[f64], a: f64, b: f64) -> f64 {
    let scale = z.len() as f64 / w.iter().sum::<f64>();
    let of = |label: f64| {
        let rows = y.iter().zip(w).filter(|(y, _)| **y == label);
        rows.map(|(_, w)| w * scale).sum::<f64>()
    };
    let (up, down) = ((of(1.0) + 1.0) / (of(1.0) + 2.0), 1.0 / (of(0.0) + 2.0));
    (0..z.len())
        .map(|i| {
            let t = if y[i] == 1.0 { up } else { down };
            w[i] * scale * loss(TaskKind::Binary, 1.0, a * z[i] + b, t).0
        })
        .sum()
}

#[test]
fn platt_finds_the_planted_line() {
    let (z, y, w) = planted(1, 50_000, |z| sigmoid(0.6 * z - 0.8));
    let (a, b) = linear(platt(&z, &y, &w));
    assert!((a - 0.6).abs() < 0.03 && (b + 0.8).abs() < 0.03, "{a} {b}");
    let (z, y, w) = planted(2, 50_000, |z| sigmoid(2.0 * z));
    let (a, b) = linear(temperature(&z, &y, &w));
    assert!((a - 2.0).abs() < 0.06 && b == 0.0, "{a} {b}");
}

#[test]
fn fit_is_where_the_slope_of_the_objective_is_zero() {
    for (seed, shift, stretch) in [
        (1, 0.0, 1.0),
        (2, 50.0, 1.0),
        (3, 0.0, 1e-3),
        (4, 0.0, 30.0),
    ] {
        let (z, y, w) = planted(seed, 300, |z| sigmoid(0.6 * z - 0.8));
        let z: Vec<f64> = z.iter().map(|z| z * stretch + shift).collect();
        let (a, b) = linear(platt(&z, &y, &w));
        let at = |a: f64, b: f64| objective(&z, &y, &w, a, b);
        // By ln a and by b; the distance to the optimum is the slope over the curvature.
        let distance = |f: &dyn Fn(f64) -> f64| {
            let (h, low, here, high) = (1e-4, f(-1e-4), f(0.0), f(1e-4));
            (high - low) / 2.0 / h / ((high - 2.0 * here + low) / h / h)
        };
        let (by_a, by_b) = (
            distance(&|h| at(a * libm::exp(h), b)),
            distance(&|h| at(a, b + h)),
        );
        assert!(
            by_a.abs() < 1e-7 && by_b.abs() < 1e-7,
            "{seed} {by_a} {by_b}"
        );
        if shift == 0.0 {
            let (a, _) = linear(temperature(&z, &y, &w));
            let by_a = distance(&|h| at(a * libm::exp(h), 0.0));
            assert!(by_a.abs() < 1e-7, "{seed} {by_a}");
        }
    }
}

#[test]
fn four_rows_give_the_line_computed_by_hand() {
    // Logits -1 and 1, each with two rows: one positive of two at -1 would be p = 1/2; targets are 3/4 (three positives:
    // 4/5) and 1/3 (one negative). At 1: p = 4/5, so a + b = ln 4; at -1: p = (4/5 + 1/3) / 2 = 17/30, b - a = ln(17/13).
    let (a, b) = linear(platt(
        &[-1.0, -1.0, 1.0, 1.0],
        &[0.0, 1.0, 1.0, 1.0],
        &[1.0; 4],
    ));
    let (up, down) = (libm::log(4.0), libm::log(17.0 / 13.0));
    assert!((a - (up - down) / 2.0).abs() < 1e-12 && (b - (up + down) / 2.0).abs() < 1e-12);
}

#[test]
fn separable_rows_have_a_finite_line() {
    let (a, b) = linear(platt(
        &[-2.0, -1.0, 1.0, 2.0],
        &[0.0, 0.0, 1.0, 1.0],
        &[1.0; 4],
    ));
    assert!(a > 0.5 && a < 10.0 && b.abs() < 1e-9, "{a} {b}");
    let (a, _) = linear(temperature(
        &[-2.0, -1.0, 1.0, 2.0],
        &[0.0, 0.0, 1.0, 1.0],
        &[1.0; 4],
    ));
    assert!(a > 0.5 && a < 10.0, "{a}");
}

#[test]
fn unit_of_weights_and_rows_without_weight_do_not_matter() {
    let (mut z, mut y, mut w) = planted(6, 200, sigmoid);
    let maps = [platt(&z, &y, &w), isotonic(&z, &y, &w)];
    w.iter_mut().for_each(|w| *w *= 1024.0);
    z.push(9.0);
    y.push(0.0);
    w.push(0.0);
    let again = [platt(&z, &y, &w), isotonic(&z, &y, &w)];
    for (map, again) in maps.into_iter().zip(again) {
        let (map, again) = (map.expect("a map"), again.expect("a map"));
        for z in [-3.0, -1.0, 0.2, 2.0] {
            assert!((map.apply(z) - again.apply(z)).abs() < 1e-9, "{z}");
        }
    }
}

#[test]
fn rows_that_cannot_be_fitted_are_answered_with_what_would_be_right() {
    type Rows = (&'static [f64], &'static [f64], &'static [f64]);
    let cases: [(Rows, &str); 9] = [
        ((&[], &[], &[]), "0 of 0 rows are positive"),
        (
            (&[0.3], &[1.0], &[1.0]),
            "1 of 1 rows are positive, but calibration needs rows of both labels",
        ),
        ((&[0.3, 0.4], &[0.0, 0.0], &[1.0, 1.0]), "0 of 2 rows"),
        ((&[0.3, 0.4], &[0.0, 1.0], &[1.0, 0.0]), "0 of 1 rows"),
        (
            (&[0.3, 0.3], &[0.0, 1.0], &[1.0, 1.0]),
            "all 2 rows have logit 0.3",
        ),
        (
            (&[0.3, f64::NAN], &[0.0, 1.0], &[1.0, 1.0]),
            "a logit is NaN",
        ),
        ((&[0.3, 0.4], &[0.0, 0.5], &[1.0, 1.0]), "a label is 0.5"),
        ((&[0.3, 0.4], &[0.0, 1.0], &[1.0, -1.0]), "a weight is -1"),
        (
            (&[0.3, 0.4], &[0.0], &[1.0, 1.0]),
            "2 logits, 1 labels and 2 weights",
        ),
    ];
    for ((z, y, w), message) in cases {
        for fit in [platt, temperature, isotonic] {
            let error = fit(z, y, w).expect_err(message);
            assert!(error.contains(message), "{error}");
        }
    }
    let (z, y, w) = ([-1.0, 0.0, 1.0, 2.0], [1.0, 1.0, 0.0, 0.0], [1.0; 4]);
    assert!(platt(&z, &y, &w).is_err_and(|e| e.contains("slope")));
    assert!(temperature(&z, &y, &w).is_err_and(|e| e.contains("slope")));
    assert!(isotonic(&z, &y, &w).is_err_and(|e| e.contains("constant")));
}

/// The least weighted squared error of never falling values that are constant on blocks, over all partitions of rows of
/// rising, different logits.
fn exhaustive(y: &[f64], w: &[f64]) -> f64 {
    let n = y.len();
    let mut best = f64::INFINITY;
    for cuts in 0..1u32 << (n - 1) {
        let (mut error, mut start, mut last, mut falls) = (0.0, 0, f64::NEG_INFINITY, false);
        for end in 1..=n {
            if end < n && cuts >> (end - 1) & 1 == 0 {
                continue;
            }
            let weight: f64 = w[start..end].iter().sum();
            let mean = (start..end).map(|i| w[i] * y[i]).sum::<f64>() / weight;
            error += (start..end)
                .map(|i| w[i] * (y[i] - mean).powi(2))
                .sum::<f64>();
            falls |= mean < last;
            last = mean;
            start = end;
        }
        if !falls {
            best = best.min(error);
        }
    }
    best
}

#[test]
fn pooling_has_the_error_of_an_exhaustive_search() {
    for case in 0..400 {
        let key = Key::new(case);
        let n = 1 + case % 7;
        let z: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let y: Vec<f64> = (0..n)
            .map(|i| f64::from(key.at(0).at(i).chance(0.5)))
            .collect();
        let w: Vec<f64> = (0..n).map(|i| 0.1 + key.at(1).at(i).uniform()).collect();
        let blocks = pool(&z, &y, &w);
        let fit = |z: f64| {
            let block = blocks.iter().find(|b| b.low <= z && z <= b.high);
            block.map_or(f64::NAN, |b| b.mean())
        };
        let error: f64 = (0..z.len())
            .map(|i| w[i] * (y[i] - fit(z[i])).powi(2))
            .sum();
        assert!((error - exhaustive(&y, &w)).abs() < 1e-12, "{case}");
        assert!(
            blocks
                .windows(2)
                .all(|b| b[0].mean() < b[1].mean() && b[0].high < b[1].low)
        );
    }
}

#[test]
fn isotonic_map_of_six_rows_is_the_one_computed_by_hand() {
    // Labels 0 1 0 0 1 1 at logits 0 to 5: 0 | 1 0 0 -> 1/3 | 1 1; rows of one logit count as one.
    let map = isotonic(
        &[5.0, 0.0, 1.0, 2.0, 3.0, 4.0],
        &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0],
        &[1.0; 6],
    );
    let (low, high) = (MIN_PROBABILITY, 1.0 - MIN_PROBABILITY);
    assert_eq!(
        map,
        Ok(Calibration::Isotonic {
            logits: vec![0.0, 1.0, 3.0, 4.0, 5.0],
            probabilities: vec![low, 1.0 / 3.0, 1.0 / 3.0, high, high],
        })
    );
    let map = map.expect("a map");
    for (z, p) in [
        (-9.0, low),
        (2.2, 1.0 / 3.0),
        (3.5, (1.0 / 3.0 + high) / 2.0),
        (99.0, high),
    ] {
        assert!((map.apply(z) - p).abs() < 1e-12, "{z}");
    }
    assert!(map.apply(f64::NAN).is_nan());
}

#[test]
fn isotonic_map_never_falls_and_few_knots_cost_little() {
    for seed in 0..5 {
        // No sigmoid of a line fits this.
        let truth = |z: f64| {
            if z < -1.0 {
                0.05
            } else {
                0.1 + 0.5 * sigmoid(3.0 * z)
            }
        };
        let (z, y, w) = planted(seed, 20_000, truth);
        let map = isotonic(&z, &y, &w).expect("a map");
        let Calibration::Isotonic {
            logits,
            probabilities,
        } = &map
        else {
            core::panic!("{map:?}");
        };
        assert!(logits.len() <= MAX_KNOTS && logits.len() == probabilities.len());
        assert!(logits.is_sorted_by(|a, b| a < b) && probabilities.is_sorted());
        let bounds = MIN_PROBABILITY..=1.0 - MIN_PROBABILITY;
        assert!(probabilities.iter().all(|p| bounds.contains(p)));
        let grid: Vec<f64> = (-8000..8000)
            .map(|i| map.apply(f64::from(i) * 1e-3))
            .collect();
        assert!(grid.is_sorted());
        let nats = |p: &dyn Fn(f64) -> f64| {
            let row =
                |i: usize| w[i] * libm::log(if y[i] == 1.0 { p(z[i]) } else { 1.0 - p(z[i]) });
            -(0..z.len()).map(row).sum::<f64>() / w.iter().sum::<f64>()
        };
        let blocks = pool(&z, &y, &w);
        let fit = |z: f64| {
            let at = blocks.partition_point(|b| b.high < z);
            blocks[at]
                .mean()
                .clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY)
        };
        let line = platt(&z, &y, &w).expect("a line");
        let (mapped, exact, line) = (
            nats(&|z| map.apply(z)),
            nats(&fit),
            nats(&|z| line.apply(z)),
        );
        assert!(
            mapped - exact < 1e-3 && mapped < line - 1e-3,
            "{mapped} {exact} {line}"
        );
        // Where rows are: within two standard deviations.
        let common = z.iter().filter(|z| (**z + 1.0).abs() < 3.0);
        let worst = common
            .map(|z| (map.apply(*z) - truth(*z)).abs())
            .fold(0.0, f64::max);
        assert!(worst < 0.1, "{worst}");
    }
}

#[test]
fn bins_hold_equal_counts_and_keep_ties_together() {
    let scores: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
    let labels: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
    let ten = bins(&scores, &labels, &[1.0; 100], 10);
    assert!(ten.len() == 10 && ten.iter().all(|b| b.rows == 10 && b.mean_label == 0.5));
    // |0.045 + 0.1 i - 0.5|: 0.455, 0.355, 0.255, 0.155, 0.055, then 0.045 to 0.445; the mean is 0.25.
    assert!(expected_calibration_error(&ten).is_some_and(|e| (e - 0.25).abs() < 1e-12));
    let tied = bins(
        &[0.2, 0.5, 0.5, 0.5, 0.9, 0.1],
        &[0.0, 1.0, 0.0, 1.0, 1.0, 0.0],
        &[1.0; 6],
        3,
    );
    assert_eq!(tied.iter().map(|b| b.rows).collect::<Vec<_>>(), [2, 3, 1]);
    // A tie that reaches over the next bin's end.
    let long = bins(&[0.5, 0.5, 0.5, 0.5, 0.5, 0.9], &[0.0; 6], &[1.0; 6], 3);
    assert_eq!(long.iter().map(|b| b.rows).collect::<Vec<_>>(), [5, 1]);
    let weighted = bins(&[0.2, 0.4], &[0.0, 1.0], &[3.0, 1.0], 1);
    assert!((weighted[0].mean_score - 0.25).abs() < 1e-12 && weighted[0].mean_label == 0.25);
    assert_eq!(expected_calibration_error(&bins(&[], &[], &[], 10)), None);
    assert_eq!(bins(&[0.5], &[1.0], &[2.0], 10).len(), 1);
}

#[test]
fn calibration_removes_the_error_it_was_fitted_to() {
    let (z, y, w) = planted(8, 20_000, |z| sigmoid(0.5 * z - 1.0));
    let error = |p: &dyn Fn(f64) -> f64| {
        let scores: Vec<f64> = z.iter().map(|z| p(*z)).collect();
        expected_calibration_error(&bins(&scores, &y, &w, 10)).expect("rows")
    };
    let plain = error(&sigmoid);
    for fit in [platt, isotonic] {
        let map = fit(&z, &y, &w).expect("a map");
        let after = error(&|z| map.apply(z));
        assert!(after < 0.015 && plain > 0.05, "{plain} {after}");
    }
    let map = platt(&z, &y, &w).expect("a map");
    let bytes = postcard::to_allocvec(&map).expect("encodes");
    assert_eq!(postcard::from_bytes::<Calibration>(&bytes), Ok(map));
}
