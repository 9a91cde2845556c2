#![allow(clippy::unwrap_used)]
use super::*;
use crate::train::metrics;
use crate::train::random::Key;

/// A loss of one logit a row by its name.
type Loss = fn(&[f64], &[f64], &mut [f64]) -> Option<f64>;

const LOSSES: [(&str, Loss); 7] = [
    ("pairwise", pairwise),
    ("listnet", list_net),
    ("softmax", softmax),
    ("lambdarank", |z, u, d| lambda_rank(z, u, 0, d)),
    ("lambdarank at 3", |z, u, d| lambda_rank(z, u, 3, d)),
    ("rcr", |z, u, d| regression_compatible(z, u, d)),
    ("taught", |z, t, d| as_taught(z, t, 2.5, d)),
];

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} {b}");
}

fn draw(seed: u64, n: usize) -> (Vec<f64>, Vec<f64>) {
    let key = Key::new(seed);
    let z = (0..n).map(|i| 2.0 * key.at(1).at(i as u64).normal());
    let u = (0..n).map(|i| (key.at(2).at(i as u64).bits() % 4) as f64 * 0.75);
    (z.collect(), u.collect())
}

#[test]
fn derivatives_are_those_of_finite_differences() {
    for (name, loss) in LOSSES {
        for seed in 0..20 {
            let (mut z, u) = draw(seed, 2 + seed as usize % 9);
            let mut d = vec![0.0; z.len()];
            let Some(_) = loss(&z, &u, &mut d) else {
                continue;
            };
            let h = 1e-6;
            for i in 0..z.len() {
                let mut at = |x: f64| {
                    z[i] += x;
                    let mut unused = vec![0.0; z.len()];
                    let loss = loss(&z, &u, &mut unused).unwrap();
                    z[i] -= x;
                    loss
                };
                let slope = (at(h) - at(-h)) / (2.0 * h);
                assert!(
                    (slope - d[i]).abs() < 1e-8,
                    "{name} {seed} {i}: {slope} {}",
                    d[i]
                );
            }
        }
    }
}

#[test]
fn derivatives_of_two_logits_are_those_of_finite_differences() {
    for seed in 0..20 {
        let (z, u) = draw(seed, 2 + seed as usize % 7);
        let (level, _) = draw(seed + 100, z.len());
        let labels: Vec<f64> = u.iter().map(|u| f64::from(u8::from(*u > 1.0))).collect();
        let mut both = [z, level];
        let mut d = [vec![0.0; labels.len()], vec![0.0; labels.len()]];
        let of = |both: &[Vec<f64>; 2], d: &mut [Vec<f64>; 2]| {
            let [d, d_level] = d;
            jrc(&both[0], &both[1], &labels, d, d_level).unwrap()
        };
        of(&both, &mut d);
        let mut unused = d.clone();
        for part in 0..2 {
            for i in 0..labels.len() {
                let mut at = |x: f64| {
                    both[part][i] += x;
                    let loss = of(&both, &mut unused);
                    both[part][i] -= x;
                    loss
                };
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((slope - d[part][i]).abs() < 1e-8, "{seed} {part} {i}");
            }
        }
    }
}

/// Logits ln 1, ln 2, ln 3 with utilities 0, 2, 1.
#[test]
fn losses_of_three_rows_are_those_computed_by_hand() {
    let z = [0.0, libm::log(2.0), libm::log(3.0)];
    let u = [0.0, 2.0, 1.0];
    let mut d = [0.0; 3];
    let ln = libm::log;
    // Pairs (1, 0): odds 2, weight 2; (2, 0): odds 3, weight 1; (1, 2): odds 2/3, weight 1.
    let loss = pairwise(&z, &u, &mut d).unwrap();
    close(loss, (2.0 * ln(1.5) + ln(4.0 / 3.0) + ln(2.5)) / 4.0);
    close(d[0], (2.0 / 3.0 + 0.25) / 4.0);
    close(d[1], (-2.0 / 3.0 - 0.6) / 4.0);
    // Shares 1/6, 2/6, 3/6 against 0, 2/3, 1/3.
    let loss = softmax(&z, &u, &mut d).unwrap();
    close(loss, 2.0 / 3.0 * ln(3.0) + ln(2.0) / 3.0);
    close(d[1], 1.0 / 3.0 - 2.0 / 3.0);
    // Against e^0, e^2, e^1 over their sum.
    let loss = list_net(&z, &u, &mut d).unwrap();
    let (one, e, ee) = (1.0, libm::exp(1.0), libm::exp(2.0));
    let sum = one + e + ee;
    close(loss, (one * ln(6.0) + ee * ln(3.0) + e * ln(2.0)) / sum);
    close(d[0], 1.0 / 6.0 - one / sum);
    // Places by logit: row 2 first, row 1 second, row 0 third; discounts 1, 1 / log2 3, 1 / 2.
    let second = 1.0 / libm::log2(3.0);
    let weights = [2.0 * (second - 0.5), 1.0 - 0.5, 1.0 - second];
    let loss = lambda_rank(&z, &u, 0, &mut d).unwrap();
    let losses = [ln(1.5), ln(4.0 / 3.0), ln(2.5)];
    let sum: f64 = weights.iter().zip(losses).map(|(w, l)| w * l).sum();
    close(loss, sum / weights.iter().sum::<f64>());
    // Of the first place alone, the pair of rows 1 and 0 lies outside.
    let loss = lambda_rank(&z, &u, 1, &mut d).unwrap();
    close(loss, (ln(4.0 / 3.0) + ln(2.5)) / 2.0);
    // sigmoid is 1/2, 2/3, 3/4, of 23/12 in all; one positive.
    let loss = regression_compatible(&z, &[0.0, 1.0, 0.0], &mut d).unwrap();
    close(loss, -ln(2.0 / 3.0 / (23.0 / 12.0)));
    // Levels 0: z1 = z / 2 and z0 = -z / 2, so shares are of sqrt(odds).
    let (s2, s3) = (libm::sqrt(2.0), libm::sqrt(3.0));
    let up = 1.0 + s2 + s3;
    let down = 1.0 + 1.0 / s2 + 1.0 / s3;
    let loss = jrc(&z, &[0.0; 3], &[0.0, 1.0, 0.0], &mut d, &mut [0.0; 3]).unwrap();
    close(
        loss,
        -(ln(1.0 / down) + ln(s2 / up) + ln(1.0 / s3 / down)) / 3.0,
    );
    // A teacher of logits 0, 2 at T = 2 says sigmoid(1); the student sigmoid(0).
    let mut d = [0.0; 2];
    let loss = as_taught(&[5.0, 5.0], &[0.0, 2.0], 2.0, &mut d).unwrap();
    close(loss, 4.0 * ln(2.0));
    close(d[1], 2.0 * (0.5 - 1.0 / (1.0 + libm::exp(-1.0))));
}

#[test]
fn binary_utilities_make_the_pairwise_loss_that_of_ranknet() {
    let (z, u) = draw(3, 12);
    let y: Vec<f64> = u.iter().map(|u| f64::from(u8::from(*u > 1.0))).collect();
    let (mut sum, mut pairs) = (0.0, 0.0);
    for i in 0..12 {
        for j in (0..12).filter(|j| y[i] > y[*j]) {
            sum += libm::log1p(libm::exp(z[j] - z[i]));
            pairs += 1.0;
        }
    }
    close(pairwise(&z, &y, &mut [0.0; 12]).unwrap(), sum / pairs);
}

/// The weights of LambdaRank's pairs are changes of the metric that is reported.
#[test]
fn lambda_weights_are_changes_of_ndcg() {
    let (z, u) = draw(5, 9);
    for places in [3, 10] {
        let before = metrics::ndcg(&z, &u, places).unwrap();
        let change = |i: usize, j: usize| {
            let mut swapped = z.clone();
            swapped.swap(i, j);
            (metrics::ndcg(&swapped, &u, places).unwrap() - before).abs()
        };
        let mut d = vec![0.0; 9];
        let got = lambda_rank(&z, &u, places, &mut d).unwrap();
        let better = |i: usize, j: usize| if u[i] > u[j] { change(i, j) } else { 0.0 };
        let want = over_pairs(&z, &mut d, better).unwrap();
        close(got, want);
    }
}

#[test]
fn equal_copies_of_a_request_weigh_as_the_request() {
    let (z, u) = draw(7, 5);
    let twice = |x: &[f64]| [x, x].concat();
    let scaled: Vec<f64> = u.iter().map(|u| 40.0 * u).collect();
    for (loss, unit) in [
        (pairwise as Loss, true),
        (softmax, true),
        (list_net, false),
        (regression_compatible, true),
    ] {
        let of = |z: &[f64], u: &[f64]| loss(z, u, &mut vec![0.0; z.len()]).unwrap();
        let one = of(&z, &u);
        let two = of(&twice(&z), &twice(&u));
        // A softmax of twice as many rows has ln 2 more entropy; pairs and their weights have the same means.
        let extra = two - one;
        assert!(
            extra.abs() < 1e-12 || (extra - libm::log(2.0)).abs() < 1e-12,
            "{extra}"
        );
        if unit {
            close(of(&z, &scaled), one);
        }
    }
}

#[test]
fn degenerate_requests_are_finite_or_have_no_loss() {
    let far = [-1e30, -700.0, 0.0, 700.0, 1e30];
    let u = [0.0, 3.0, 0.0, 1.0, 0.5];
    for (name, loss) in LOSSES {
        let mut d = [0.0; 5];
        let value = loss(&far, &u, &mut d).unwrap();
        assert!(
            value.is_finite() && d.iter().all(|d| d.is_finite()),
            "{name} {value}"
        );
        for (z, u) in [(&[][..], &[][..]), (&[1.0][..], &[0.0][..])] {
            let mut d = vec![0.0; z.len()];
            let value = loss(z, u, &mut d);
            assert!(value.is_none_or(f64::is_finite), "{name} {value:?}");
        }
    }
    let (mut d, mut e) = ([0.0; 5], [0.0; 5]);
    let labels = [0.0, 1.0, 0.0, 1.0, 1.0];
    let value = jrc(&far, &[0.0; 5], &labels, &mut d, &mut e).unwrap();
    assert!(value.is_finite() && d.iter().chain(&e).all(|d| d.is_finite()));
    assert_eq!(pairwise(&[1.0, 2.0], &[2.0, 2.0], &mut [0.0; 2]), None);
    assert_eq!(softmax(&[1.0, 2.0], &[0.0, 0.0], &mut [0.0; 2]), None);
    assert!(!ListLoss::Softmax.counts(&[1.0, 1.0]) && ListLoss::Softmax.counts(&[1.0, 0.0]));
    assert!(ListLoss::Jrc(0.5).counts(&[1.0, 1.0]) && !ListLoss::Jrc(0.5).counts(&[1.0]));
    // What diverged stays visible.
    let mut d = [0.0; 2];
    assert!(
        pairwise(&[f64::NAN, 2.0], &[0.0, 1.0], &mut d)
            .unwrap()
            .is_nan()
    );
}

/// `tests/jax/lists.py` made the values.
#[test]
fn losses_and_derivatives_are_those_of_automatic_differentiation() {
    let path = format!("{}/tests/jax/lists.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let numbers =
        |v: &serde_json::Value| -> Vec<f64> { serde_json::from_value(v.clone()).unwrap() };
    let same = |got: &[f64], want: &[f64]| {
        assert_eq!(got.len(), want.len());
        got.iter().zip(want).for_each(|(g, w)| close(*g, *w));
    };
    assert_eq!(cases.len(), 4);
    for case in &cases {
        let [z, level, u, y, t] = ["z", "level", "u", "y", "t"].map(|name| numbers(&case[name]));
        let losses = case["losses"].as_object().unwrap();
        assert_eq!(losses.len(), 8);
        for (name, want) in losses {
            let (mut d, mut d_level) = (vec![0.0; z.len()], vec![0.0; z.len()]);
            let got = match name.as_str() {
                "pairwise" => pairwise(&z, &u, &mut d),
                "listnet" => list_net(&z, &u, &mut d),
                "softmax" => softmax(&z, &u, &mut d),
                "lambdarank" => lambda_rank(&z, &u, 0, &mut d),
                "lambdarank at 4" => lambda_rank(&z, &u, 4, &mut d),
                "rcr" => regression_compatible(&z, &y, &mut d),
                "taught" => as_taught(&z, &t, 2.5, &mut d),
                _ => jrc(&z, &level, &y, &mut d, &mut d_level),
            };
            close(got.unwrap(), want["value"].as_f64().unwrap());
            same(&d, &numbers(&want["by_z"]));
            if name == "jrc" {
                same(&d_level, &numbers(&want["by_level"]));
            }
        }
    }
}
