#![allow(clippy::unwrap_used)]
use core::slice;

use super::fuser::Weight;
use super::*;
use crate::train::random::Key;

/// Fused = sum of weight x score.
struct Linear {
    weights: Vec<Weight>,
}

impl Linear {
    fn new(weights: usize) -> Self {
        let weight = |i| Weight {
            name: format!("w{i}"),
            default: 1.0,
            range: [1e-3, 1e3],
            log: true,
            fixed: i == 0,
        };
        Self {
            weights: (0..weights).map(weight).collect(),
        }
    }
}

impl Fuser for Linear {
    fn weights(&self) -> &[Weight] {
        &self.weights
    }
    fn fuse(&self, weights: &[f32], scores: &[f32], fused: &mut [f32]) {
        for (fused, row) in fused.iter_mut().zip(scores.chunks_exact(weights.len())) {
            *fused = row.iter().zip(weights).map(|(s, w)| s * w).sum();
        }
    }
    fn describe(&self, weights: &[f32]) -> String {
        format!("{weights:?}")
    }
}

const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// Three items of known worth, positions that are examined as known: every random order once is the whole expectation.
#[test]
fn the_estimate_of_every_order_is_its_value_in_a_known_world() {
    let (worth, examined) = ([8.0, 3.0, 1.0], [1.0, 0.5, 0.25]);
    for policy in ORDERS {
        let mut sample = Sample::new(1, 1);
        for shown in ORDERS {
            // The policy's first item has the highest score.
            let score = |item| 3.0 - policy.iter().position(|i| *i == item).unwrap() as f32;
            let scores = shown.map(score);
            let rows = (0..3).map(|p| {
                let reward = examined[p] * worth[shown[p]];
                (slice::from_ref(&scores[p]), vec![reward])
            });
            sample.push(rows);
        }
        let found = placement::examination(&sample.by_position());
        for (found, truth) in found.iter().zip(examined) {
            assert!((found - truth).abs() < 1e-12, "{found} {truth}");
        }
        let placement = Placement::position_based(&found, 10.0);
        let values = sample.values(&placement, &Linear::new(1), &[1.0]);
        let truth: f64 = (0..3).map(|p| examined[p] * worth[policy[p]]).sum();
        assert!((values.mean(0) - truth / 3.0).abs() < 1e-12, "{policy:?}");
    }
}

#[test]
fn counts_are_clipped_and_have_mean_one() {
    // 9, 1, 1, 1 over their mean are 3 and thirds; cut at 2, their mean is 3/4.
    let counts = Placement::position_based(&[9.0, 1.0, 1.0, 1.0], 2.0);
    let expected = [8.0 / 3.0, 4.0 / 9.0, 4.0 / 9.0, 4.0 / 9.0];
    for (count, expected) in counts.of(4).iter().zip(expected) {
        assert!((count - expected).abs() < 1e-12, "{:?}", counts.of(4));
    }
    let free = Placement::position_based(&[9.0, 1.0, 1.0, 1.0], 10.0);
    assert!((free.of(4)[0] - 3.0).abs() < 1e-12);
    // (4)^2 / (9 + 3/9), by list; equal counts are worth all their rows.
    let effective = free.effective([4, 4].into_iter());
    assert!((effective - 2.0 * 16.0 / (9.0 + 1.0 / 3.0)).abs() < 1e-9);
    let flat = Placement::position_based(&[1.0; 7], 10.0);
    assert!((flat.effective([7, 5].into_iter()) - 12.0).abs() < 1e-12);
    // 1 and 1 / log2(3), over their mean.
    let replay = Placement::replay(2);
    let second = 1.0 / 3f64.log2();
    assert!((replay.of(2)[0] - 2.0 / (1.0 + second)).abs() < 1e-12);
}

#[test]
fn examination_never_rises_and_begins_with_one() {
    // 3 and 5 are pooled to their mean over rows, 4; then 4 and 4 stay one block.
    let found = placement::examination(&[(8.0, 10), (3.0, 10), (5.0, 10), (4.0, 7), (0.0, 7)]);
    assert_eq!(found, [1.0, 0.5, 0.5, 0.5, 0.02]);
    assert_eq!(placement::examination(&[(-1.0, 5), (-2.0, 5)]), [1.0, 1.0]);
}

/// Lists in which one score promises the utility and the other a second reward, with noise; each position has 0.7 of the
/// rewards of the one above.
fn world(lists: usize, seed: u64) -> read::Lists {
    let part = |part: u64| {
        let mut sample = Sample::new(2, 2);
        for list in 0..lists {
            let key = Key::new(seed).at(part).at(list as u64);
            let rows: Vec<([f32; 2], Vec<f64>)> = (0..8)
                .map(|row| {
                    let key = key.at(row);
                    let scores = [key.at(0).uniform(), key.at(1).uniform()];
                    let rewards = [
                        scores[0] + 0.2 * scores[1] + 0.3 * key.at(2).normal(),
                        scores[1] - 0.5 * scores[0] + 0.3 * key.at(3).normal(),
                    ];
                    let examined = libm::pow(0.7, row as f64);
                    (
                        scores.map(|s| s as f32),
                        rewards.map(|r| r * examined).to_vec(),
                    )
                })
                .collect();
            sample.push(rows.iter().map(|(s, r)| (s.as_slice(), r.clone())));
        }
        sample
    };
    read::Lists {
        parts: [part(0), part(1)],
        single: 0,
    }
}

fn tuned(lists: &read::Lists, constraints: &[&str], options: Options<'_>) -> Result<Report> {
    let constraints: Vec<String> = constraints.iter().map(|c| (*c).to_string()).collect();
    let options = Options {
        maximise: "u",
        pareto: Some("c"),
        subject_to: &constraints,
        starts: 2,
        ..options
    };
    let goals = Goals::parse(&options)?;
    let none = Inputs {
        file: Vec::new(),
        of_formula: 0,
        learned: Vec::new(),
    };
    found(&Linear::new(2), &["u", "c"], &none, lists, &goals, &options)
}

fn randomised() -> Options<'static> {
    Options {
        random: Some("random"),
        ..Options::default()
    }
}

#[test]
fn the_best_weights_are_found_and_a_constraint_holds_them_back() {
    let lists = world(2000, 3);
    // u is 1 : 0.2 in the scores.
    let free = tuned(&lists, &[], randomised()).unwrap();
    let weights = |r: &Report| r.policies[1].weights.clone().unwrap()[1];
    assert!((0.1..0.4).contains(&weights(&free)), "{free:?}");
    let held = tuned(&lists, &["c >= 0.97 * current"], randomised()).unwrap();
    let c = |r: &Report, i: usize| r.policies[i].measured.rewards[1].mean;
    // Free, c falls below the bound; held, it stays on the lists searched, and on the rest but for their noise.
    let bound = 0.97 * c(&free, 0);
    assert!(c(&free, 1) < bound - 0.01, "{} {bound}", c(&free, 1));
    assert!(held.policies[1].searched[1] >= 0.97 * held.policies[0].searched[1]);
    let kept = &held.kept[0];
    assert!(
        kept.slack > -2.0 * kept.error && kept.error > 0.0,
        "{kept:?}"
    );
    assert!((c(&held, 1) - bound - kept.slack).abs() < 1e-9);
    assert!(
        (weights(&free) + 0.05..0.95).contains(&weights(&held)),
        "{}",
        weights(&held)
    );
    // To keep all of c, which rises with the second weight alone, the weights must stay or go up.
    let all = tuned(&lists, &["c >= current"], randomised()).unwrap();
    assert!((1.0..1.3).contains(&weights(&all)), "{}", weights(&all));
}

#[test]
fn bounds_hold_from_either_side_and_what_none_keeps_is_refused() {
    let lists = world(500, 4);
    let c = |r: &Report| r.policies[1].searched[1];
    let of_current = |r: &Report| c(r) / r.policies[0].searched[1];
    let low = tuned(&lists, &["c <= 0.9 * current"], randomised()).unwrap();
    let high = tuned(&lists, &["c >= 1.05 * current"], randomised()).unwrap();
    let shares = [of_current(&low), of_current(&high)];
    assert!(shares[0] <= 0.9 && shares[1] >= 1.05, "{shares:?}");
    let bound = format!("c >= {}", c(&high));
    let number = tuned(&lists, &[&bound], randomised()).unwrap();
    assert!(c(&number) >= c(&high));
    for none in ["c >= 2", "c >= 9 * current"] {
        let error = tuned(&lists, &[none], randomised()).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.message.contains(none), "{error}");
    }
}

#[test]
fn a_search_begins_at_the_current_weights_whatever_their_measure() {
    let lists = world(50, 8);
    let (placement, fuser) = (Placement::replay(8), Linear::new(2));
    let start = |from: &[f32]| {
        let current = lists.parts[0].values(&placement, &fuser, from);
        let problem = Problem {
            fuser: &fuser,
            sample: &lists.parts[0],
            placement: &placement,
            checks: &[],
            current: &current,
            from,
            margin: 0.0,
        };
        problem.start()[0]
    };
    // 10 is two thirds of the way from 1/1000 to 1000 by its logarithm.
    for from in [[1.0, 10.0], [0.25, 2.5], [4.0, 40.0]] {
        assert!((start(&from) - 2.0 / 3.0).abs() < 1e-6, "{from:?}");
    }
}

#[test]
fn a_margin_keeps_weights_where_the_log_cannot_tell() {
    let lists = world(60, 5);
    let with = |margin| {
        let options = Options {
            margin,
            random: None,
            ..Options::default()
        };
        let report = tuned(&lists, &[], options).unwrap();
        report.policies[1].weights.clone().unwrap()[1]
    };
    assert_eq!(with(10.0), 1.0);
    assert_ne!(with(0.0), 1.0);
}

#[test]
fn fewer_than_500_effective_rows_are_refused_in_random_order_only() {
    // A list of 8 rows whose counts fall by 0.7 is worth 5.
    let few = world(80, 6);
    let error = tuned(&few, &[], randomised()).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains("of at least 500"), "{error}");
    assert!(tuned(&few, &[], Options::default()).is_ok());
    assert!(tuned(&world(130, 6), &[], randomised()).is_ok());
    let none = world(0, 6);
    assert_eq!(
        tuned(&none, &[], randomised()).unwrap_err().kind,
        Kind::Data
    );
}

#[test]
fn the_report_does_not_depend_on_threads_but_on_the_seed() {
    let lists = world(600, 7);
    let run = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let options = Options {
            seed,
            ..randomised()
        };
        let report = pool
            .build()
            .unwrap()
            .install(|| tuned(&lists, &[], options));
        report.unwrap()
    };
    let one = run(1, 1);
    assert_eq!(one, run(3, 1));
    assert_ne!(one.policies[1], run(1, 2).policies[1]);
}

/// 300 samples of 80 lists of a mean that is known, of lengths that go with it: the mean a row of a list of n rows is n, so
/// rows have 2 x 2/6 + 4 x 4/6 = 10/3.
#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let mut held = 0;
    for seed in 0..300 {
        let key = Key::new(seed);
        let (mut lists, mut rows) = (Vec::new(), Vec::new());
        for list in 0..80 {
            let key = key.at(list);
            let n: f64 = if key.at(0).chance(0.5) { 2.0 } else { 4.0 };
            rows.push(n);
            lists.push(n * n + 3.0 * key.at(1).normal());
        }
        let values = Values::new(1, lists, rows);
        let [low, high] = bootstrap(&[values], 1, 400, seed)[0].rewards[0].interval;
        held += u32::from(low <= 10.0 / 3.0 && 10.0 / 3.0 <= high);
    }
    assert!((272..=297).contains(&held), "{held} of 300");
}

#[test]
fn a_difference_has_the_error_of_the_ratio() {
    // Differences 1, 5 over 2 and 2 rows: mean 6/4; residuals 1 - 3 and 5 - 3: sqrt(8) / 4.
    let values = Values::new(1, vec![3.0, 8.0], vec![2.0, 2.0]);
    let (mean, error) = values.difference(0, [2.0, 3.0].into_iter());
    assert!((mean - 1.5).abs() < 1e-12 && (error - 8f64.sqrt() / 4.0).abs() < 1e-12);
}

#[test]
fn the_front_has_what_none_beats_and_both_ends() {
    let point = |u: f64, c: f64| Point {
        weights: vec![u as f32],
        means: vec![u, c],
        gain: 0.0,
        missing: 0.0,
    };
    let points = [
        (1.0, 9.0),
        (2.0, 8.0),
        (2.0, 7.0),
        (3.0, 8.0),
        (4.0, 1.0),
        (3.5, 0.5),
        (4.0, 0.0),
    ];
    let of = |more, most| -> Vec<(f64, f64)> {
        let points = points.map(|(u, c)| point(u, if more { c } else { -c }));
        let front = search::front(points.to_vec(), (1, more), most);
        front
            .iter()
            .map(|p| (p.means[0], p.means[1].abs()))
            .collect()
    };
    assert_eq!(of(true, 50), [(1.0, 9.0), (3.0, 8.0), (4.0, 1.0)]);
    assert_eq!(of(false, 50), of(true, 50));
    assert_eq!(of(true, 2), [(1.0, 9.0), (4.0, 1.0)]);
}

#[test]
fn weights_and_places_are_inverse_and_cut_at_the_ends() {
    let weight = |log, range| Weight {
        name: String::new(),
        default: 0.5,
        range,
        log,
        fixed: false,
    };
    for (w, middle) in [
        (weight(true, [0.01, 100.0]), 1.0),
        (weight(true, [-0.01, -100.0]), -1.0),
        (weight(false, [-1.0, 3.0]), 1.0),
    ] {
        assert!((w.at(0.5) - middle).abs() < 1e-12);
        for x in [0.0, 0.3, 1.0] {
            assert!((w.place(w.at(x)) - x).abs() < 1e-12, "{w:?} {x}");
        }
        assert_eq!(w.place(w.at(1.0) * 10.0), 1.0);
    }
    assert_eq!(weight(true, [0.01, 100.0]).place(0.0), 0.0);
    assert_eq!(weight(true, [-0.01, -100.0]).place(5.0), 0.0);
}
