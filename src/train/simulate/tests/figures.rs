//! What the world is like: the bound, what falls short of it, and how one objective alone goes wrong.

use std::prelude::v1::*;

use super::super::measure::{ScoredRow, expected_auc, single_objective};
use super::super::world::NUM_INTERACTIONS;
use super::super::{Feed, Generator, Knobs, Prediction, SimulateOptions};

const NUM_INPUTS: usize = 1 + 6 + 3 + 8 + 4 + 12 + 6;

/// Expected AUC on the last 30 % of a log. Tasks: click, complete, like, comment, favourite, share.
struct Bounds {
    visible: [f64; 6],
    profile: [f64; 6],
    latent: [f64; 6],
    click_popularity: f64,
    click_logistic: f64,
}

struct Row {
    item: usize,
    inputs: [f64; NUM_INPUTS],
    clicked: bool,
    latent: Prediction,
    visible: Prediction,
    profile: Prediction,
}

fn tasks(p: &Prediction) -> [f64; 6] {
    let [like, comment, favourite, share] = p.interactions;
    [p.click, p.complete, like, comment, favourite, share]
}

fn valid_rows(feed: &Feed) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut seen = 0;
    for logged in Generator::new(feed) {
        for row in &logged.rows {
            seen += 1;
            if !row.feedback.valid {
                continue;
            }
            let request = &logged.request;
            let candidate = request.candidates[row.index as usize];
            let item = request.item(feed, row.index).unwrap();
            let mut inputs = [0.0; NUM_INPUTS];
            inputs[0] = 1.0;
            let mut at = 1;
            for (level, levels) in request
                .profile
                .iter()
                .zip([6, 3, 8, 4])
                .chain([(&item.topic, 12)])
            {
                inputs[at + *level as usize] = 1.0;
                at += levels;
            }
            let z = libm::log(f64::from(item.length_seconds)) - 3.7;
            let position = libm::log1p(f64::from(row.position));
            inputs[at..].copy_from_slice(&[
                item.quality,
                item.bait,
                z,
                z * z,
                position,
                candidate.server_score,
            ]);
            rows.push(Row {
                item: candidate.item_id as usize,
                inputs,
                clicked: row.feedback.click,
                latent: request
                    .predict_latent(feed, row.index, row.position)
                    .unwrap(),
                visible: request
                    .predict_visible(feed, row.index, row.position)
                    .unwrap(),
                profile: request
                    .predict_profile(feed, row.index, row.position)
                    .unwrap(),
            });
        }
        if seen >= feed.options().rows {
            return rows;
        }
    }
    rows
}

fn auc(rows: &[Row], task: usize, score: impl Fn(&Row) -> f64) -> f64 {
    let mut scored: Vec<ScoredRow> = rows
        .iter()
        .map(|row| {
            let space = if task == 0 { 1.0 } else { row.latent.click };
            ScoredRow::new(score(row), tasks(&row.latent)[task], space)
        })
        .collect();
    expected_auc(&mut scored).unwrap()
}

fn bounds(feed: &Feed) -> Bounds {
    let rows = valid_rows(feed);
    let (train, test) = rows.split_at(rows.len() * 7 / 10);
    let rate = train.iter().filter(|row| row.clicked).count() as f64 / train.len() as f64;
    let mut popularity = vec![(20.0 * rate, 20.0); feed.items().len()];
    for row in train {
        popularity[row.item].0 += f64::from(u8::from(row.clicked));
        popularity[row.item].1 += 1.0;
    }
    let weights = fit_logistic(train);
    let every = |score: &dyn Fn(&Row) -> [f64; 6]| {
        core::array::from_fn(|t| auc(test, t, |row| score(row)[t]))
    };
    Bounds {
        visible: every(&|row| tasks(&row.visible)),
        profile: every(&|row| tasks(&row.profile)),
        latent: every(&|row| tasks(&row.latent)),
        click_popularity: auc(test, 0, |row| {
            popularity[row.item].0 / popularity[row.item].1
        }),
        click_logistic: auc(test, 0, |row| dot(&weights, &row.inputs)),
    }
}

fn dot(a: &[f64; NUM_INPUTS], b: &[f64; NUM_INPUTS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Newton's method with a ridge of 1: 6 steps are past convergence.
fn fit_logistic(rows: &[Row]) -> [f64; NUM_INPUTS] {
    let mut weights = [0.0; NUM_INPUTS];
    for _ in 0..6 {
        let mut gradient = weights.map(|w: f64| -w);
        let mut hessian = vec![[0.0; NUM_INPUTS]; NUM_INPUTS];
        (0..NUM_INPUTS).for_each(|i| hessian[i][i] = 1.0);
        for row in rows {
            let p = 1.0 / (1.0 + libm::exp(-dot(&weights, &row.inputs)));
            let error = f64::from(u8::from(row.clicked)) - p;
            for i in 0..NUM_INPUTS {
                let x = row.inputs[i];
                if x != 0.0 {
                    gradient[i] += error * x;
                    (0..NUM_INPUTS)
                        .for_each(|j| hessian[i][j] += p * (1.0 - p) * x * row.inputs[j]);
                }
            }
        }
        // Gauss elimination; the ridge keeps every pivot positive.
        for i in 0..NUM_INPUTS {
            let pivot = hessian[i];
            for j in i + 1..NUM_INPUTS {
                let factor = hessian[j][i] / pivot[i];
                (i..NUM_INPUTS).for_each(|c| hessian[j][c] -= factor * pivot[c]);
                gradient[j] -= factor * gradient[i];
            }
        }
        for i in (0..NUM_INPUTS).rev() {
            let known: f64 = (i + 1..NUM_INPUTS)
                .map(|j| hessian[i][j] * gradient[j])
                .sum();
            gradient[i] = (gradient[i] - known) / hessian[i][i];
        }
        weights
            .iter_mut()
            .zip(gradient)
            .for_each(|(w, step)| *w += step);
    }
    weights
}

fn feed(rows: u64, seed: u64, knobs: Knobs) -> Feed {
    Feed::new(SimulateOptions {
        rows,
        seed,
        knobs,
        ..SimulateOptions::default()
    })
    .unwrap()
}

/// Prints the figures of docs/simulator.md.
/// `ROWS=1000000 cargo test --release --features train simulator_figures -- --ignored --nocapture`
#[test]
#[ignore = "prints figures"]
fn simulator_figures() {
    let rows = std::env::var("ROWS").map_or(200_000, |rows| rows.parse().unwrap());
    let world = feed(rows, 1, Knobs::default());
    let logs: Vec<_> = Generator::new(&world).take(rows as usize / 10).collect();
    let seen: Vec<_> = logs
        .iter()
        .flat_map(|l| &l.rows)
        .map(|r| &r.feedback)
        .filter(|f| f.valid)
        .collect();
    let clicked: Vec<_> = seen.iter().filter(|f| f.click).collect();
    let num = seen.len() as f64;
    let clicks = clicked.len() as f64;
    std::println!("valid {num}  click {:.4}", clicks / num);
    std::println!(
        "complete|click {:.4}",
        clicked.iter().filter(|f| f.complete).count() as f64 / clicks
    );
    std::println!(
        "watch|click {:.2} s",
        clicked.iter().map(|f| f.watch_seconds).sum::<f64>() / clicks
    );
    for j in 0..NUM_INTERACTIONS {
        let made = clicked.iter().filter(|f| f.interactions[j]).count() as f64;
        std::println!(
            "{} {:.5} per impression, {made} in all",
            super::super::INTERACTIONS[j],
            made / num
        );
    }
    let sessions = logs.iter().filter(|l| l.request.session_starts).count() as f64;
    let last = logs.last().unwrap().request.time - logs[0].request.time;
    std::println!(
        "requests/session {:.2}  days {:.2}",
        logs.len() as f64 / sessions,
        last as f64 / 86400.0
    );
    drop(logs);
    let b = bounds(&world);
    std::println!(
        "visible {:.4?}\nprofile {:.4?}\nlatent  {:.4?}",
        b.visible,
        b.profile,
        b.latent
    );
    std::println!(
        "click: popularity {:.4}  logistic {:.4}",
        b.click_popularity,
        b.click_logistic
    );
    for report in super::policy::three_policies(&world, 2_000) {
        std::println!("{report:.4?}");
    }
    std::println!("default {:.3?}", single_objective(&world, 2000, 2000));
    let default = Knobs::default();
    for knobs in [
        Knobs {
            bait: 0.0,
            ..default
        },
        Knobs {
            length: 0.0,
            ..default
        },
        Knobs {
            completion: 0.0,
            ..default
        },
        Knobs {
            task_correlation: 0.0,
            ..default
        },
    ] {
        std::println!(
            "{knobs:?} {:.3?}",
            single_objective(&feed(50_000, 1, knobs), 2000, 2000)
        );
    }
}

#[test]
fn bound_is_above_popularity_logistic_regression_and_profile() {
    let b = bounds(&feed(60_000, 4, Knobs::default()));
    let bound = b.visible[0];
    assert!((0.70..=0.85).contains(&bound), "{bound}");
    assert!(b.click_popularity <= bound - 0.04, "{}", b.click_popularity);
    assert!(b.click_logistic <= bound - 0.02, "{}", b.click_logistic);
    assert!(b.profile[0] <= bound - 0.02, "{}", b.profile[0]);
    for t in 0..6 {
        assert!(
            b.visible[t] > b.profile[t] && b.latent[t] > b.visible[t],
            "task {t}"
        );
    }
}

#[test]
fn one_objective_alone_goes_wrong_only_with_its_knob() {
    let ratios = |knobs| single_objective(&feed(10_000, 4, knobs), 200, 500);
    let default = Knobs::default();
    let on = ratios(default);
    assert!(on.click_bait >= 2.0, "{on:?}");
    assert!(on.duration_length >= 1.5, "{on:?}");
    assert!(on.completion_length <= 0.6, "{on:?}");
    let vanishes = |ratio: f64| (0.85..=1.15).contains(&ratio);
    let off = ratios(Knobs {
        bait: 0.0,
        ..default
    });
    assert!(vanishes(off.click_bait), "{off:?}");
    let off = ratios(Knobs {
        length: 0.0,
        ..default
    });
    assert!(vanishes(off.duration_length), "{off:?}");
    let off = ratios(Knobs {
        completion: 0.0,
        ..default
    });
    assert!(vanishes(off.completion_length), "{off:?}");
}
