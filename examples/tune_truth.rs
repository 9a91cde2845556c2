//! Holds `pocketrank tune` against the truth of the simulated feed: `tune_truth FILE.pkr MODEL.toml LOG [SEED]` tunes on the
//! log alone, searches the truth of fresh requests exhaustively, and closes the loop with both and with each task alone.
//! docs/tuning.md has the figures and what they were made of.

use std::path::Path;
use std::process::ExitCode;

use rayon::prelude::*;

use pocketrank::engine::{Model, OpenOptions};
use pocketrank::rerank;
use pocketrank::train::description::Description;
use pocketrank::train::policy::FeedRanker;
use pocketrank::train::simulate::measure::{INTERACTION_SECONDS, utility};
use pocketrank::train::simulate::{Feed, PolicyReport, RequestView, SimulateOptions, run_policy};
use pocketrank::train::tune::fuser::{Fuser, Terms};
use pocketrank::train::tune::{self, Options};

/// Sessions whose requests the truth is known of, and sessions of the closed loop.
const SESSIONS: [u64; 2] = [300, 2_000];
/// Rows that a user may view.
const VIEWS: usize = 12;
/// Factors on a term's weight, against that with which it adds as much as the first term: powers of 2.
const POWERS: core::ops::Range<i32> = -3..7;
const UTILITY: &str = "watch_seconds + 20 * like + 60 * comment + 40 * favourite + 60 * share";

type Failed = Box<dyn core::error::Error>;

/// A fresh request: scores, and what each candidate would bring at each position.
struct Fresh {
    scores: Vec<f32>,
    /// `[candidates][position]`: utility, watch seconds and likes, of an impression.
    truth: Vec<[[f64; 3]; VIEWS]>,
}

/// Share of the requests whose user views position `p`: 8 to 12 rows, each as often.
fn viewed(p: usize) -> f64 {
    (1.0 - (p as f64 - 7.0) / 5.0).min(1.0)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, model, log, rest @ ..] = args.as_slice() else {
        eprintln!("usage: tune_truth FILE.pkr MODEL.toml LOG [SEED]");
        return ExitCode::from(2);
    };
    let seed = rest.first().and_then(|s| s.parse().ok()).unwrap_or(1);
    match measure(file.as_ref(), model.as_ref(), log.as_ref(), seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tune_truth: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(file: &Path, description: &Path, log: &Path, seed: u64) -> Result<(), Failed> {
    let d = Description::read(description)?;
    let bytes = std::fs::read(file)?;
    let mut model = Box::new(Model::new());
    model
        .open(&bytes, &OpenOptions::default())
        .map_err(|e| format!("{}: {:?}", file.display(), e.status))?;
    let feed = Feed::new(SimulateOptions {
        rows: 200_000,
        seed: seed + 500,
        ..SimulateOptions::default()
    })?;
    let fresh = fresh_requests(&d, &model, &feed, seed + 600)?;
    let all: Vec<f32> = fresh.iter().flat_map(|f| f.scores.clone()).collect();
    let terms = Terms::new(model.spec(), &all, model.spec().tasks.len());
    let defaults: Vec<f32> = terms.weights().iter().map(|w| w.default as f32).collect();
    println!("{} fresh requests", fresh.len());

    // Every weight on a grid, whatever is asked for below.
    let grid = grid(&terms);
    let values: Vec<[f64; 3]> = grid.par_iter().map(|w| value(&terms, &fresh, w)).collect();

    let equal = vec![1.0; defaults.len()];
    let comments: Vec<f32> = terms
        .weights()
        .iter()
        .map(|w| {
            if w.name == "comment" {
                6000.0
            } else {
                w.default as f32
            }
        })
        .collect();
    let truth = Truth {
        terms: &terms,
        fresh: &fresh,
        grid: &grid,
        values: &values,
    };
    for (maximise, goal, current, factor) in [
        (UTILITY, 0, &equal, 1.0),
        (UTILITY, 0, &comments, 1.0),
        ("watch_seconds", 1, &defaults, 1.0),
        ("watch_seconds", 1, &defaults, 1.01),
    ] {
        let constraint = [format!("like >= {factor} * current")];
        println!("\nmaximise {maximise}, {} from {current:?}", constraint[0]);
        let options = Options {
            data: Some(log),
            maximise,
            subject_to: &constraint,
            random: Some("policy == 'random'"),
            position: Some("position"),
            all: true,
            current: Some(current),
            seed,
            ..Options::default()
        };
        let report = match tune::tune(&d, (&model, file), &options) {
            Ok(report) => report,
            Err(e) => {
                println!("{e}");
                continue;
            }
        };
        let tuned = report.policies[1].weights.clone().unwrap_or_default();
        truth.judge(goal, factor, [current, &defaults, &tuned]);
        println!(
            "on the log's own rest: current {:.4?}, tuned {:.4?}, kept by {:+.5} with an error of {:.5}; {:.0} effective rows searched",
            report.policies[0].measured.rewards[0],
            report.policies[1].measured.rewards[0],
            report.kept[0].slack,
            report.kept[0].error,
            report.parts[0].effective
        );
        if goal == 0 && current == &equal {
            loops(&d, &model, &feed, &terms, &tuned, seed + 700)?;
        }
    }
    Ok(())
}

/// What is known of the fresh requests.
struct Truth<'t> {
    terms: &'t Terms<'t, 't>,
    fresh: &'t [Fresh],
    grid: &'t [Vec<f32>],
    values: &'t [[f64; 3]],
}

impl Truth<'_> {
    /// Holds tuned weights against the current ones and the best that keep `factor` times the current likes: from the grid, and
    /// from all that are at hand, by a coordinate descent.
    fn judge(&self, goal: usize, factor: f64, weights: [&Vec<f32>; 3]) {
        let value = |w: &[f32]| value(self.terms, self.fresh, w);
        let least = factor * value(weights[0])[2];
        let of = |v: &[f64; 3]| match v[2] >= least {
            true => v[goal],
            false => v[2] - least - 1e3,
        };
        let of_grid = self.grid.iter().zip(self.values);
        let best = of_grid.max_by(|a, b| of(a.1).total_cmp(&of(b.1)));
        let starts = best.map(|b| b.0).into_iter().chain(weights);
        let refined = starts.map(|w| refine(self.terms, self.fresh, w.clone(), &of));
        let Some((best, top)) = refined.max_by(|a, b| of(&a.1).total_cmp(&of(&b.1))) else {
            return;
        };
        let named = [
            ("current", weights[0]),
            ("tuned", weights[2]),
            ("best", &best),
        ];
        for (name, w) in named {
            let v = value(w);
            println!(
                "{name:8} {:.4} a row ({:.2} % of the best), likes {:.5} ({:+.2} % above the bound)  {w:.1?}",
                v[goal],
                100.0 * v[goal] / top[goal],
                v[2],
                100.0 * (v[2] / least - 1.0)
            );
        }
    }
}

/// Scores of the model and the truth, for requests whose users have seen what the server's score puts on top.
fn fresh_requests(
    d: &Description,
    model: &Model<'_>,
    feed: &Feed,
    seed: u64,
) -> Result<Vec<Fresh>, Failed> {
    let mut ranker = FeedRanker::new(d, model)?;
    let (mut fresh, mut failed) = (Vec::new(), None);
    let by_server = |view: &RequestView<'_>| {
        if let Err(e) = ranker.rank(view) {
            failed.get_or_insert(e);
        }
        let candidates = &view.request.candidates;
        let of = |index: u32| {
            core::array::from_fn(|p| {
                let position = p as u32;
                let latent = view.request.predict_latent(view.feed, index, position);
                let valid = 0.93 - 0.015 * f64::from(position);
                latent.map_or([0.0; 3], |l| {
                    let each = [
                        utility(&l),
                        l.click * l.watch_mean,
                        l.click * l.interactions[0],
                    ];
                    each.map(|x| x * valid)
                })
            })
        };
        fresh.push(Fresh {
            scores: ranker.results().scores.clone(),
            truth: (0..candidates.len() as u32).map(of).collect(),
        });
        let scores: Vec<f32> = candidates.iter().map(|c| c.server_score as f32).collect();
        let mut order = vec![0; candidates.len()];
        rerank::top_k(&scores, &mut order);
        order
    };
    run_policy(feed, by_server, SESSIONS[0], seed)?;
    match failed {
        Some(e) => Err(e.into()),
        None => Ok(fresh),
    }
}

/// Means a viewed row, by the truth.
fn value(terms: &Terms<'_, '_>, fresh: &[Fresh], weights: &[f32]) -> [f64; 3] {
    let (mut sums, mut rows) = ([0.0; 3], 0.0);
    let mut fused = Vec::new();
    for request in fresh {
        fused.resize(request.truth.len(), 0.0);
        terms.fuse(weights, &request.scores, &mut fused);
        let mut order = [0; VIEWS];
        rerank::top_k(&fused, &mut order);
        for (p, index) in order.iter().enumerate() {
            let truth = request.truth[*index as usize][p];
            for (sum, value) in sums.iter_mut().zip(truth) {
                *sum += value * viewed(p);
            }
            rows += viewed(p);
        }
    }
    sums.map(|s| s / rows)
}

fn grid(terms: &Terms<'_, '_>) -> Vec<Vec<f32>> {
    let mut all = vec![Vec::new()];
    for weight in terms.weights() {
        let levels: Vec<f64> = match weight.fixed {
            true => vec![weight.default],
            false => POWERS
                .map(|k| weight.at(0.5) * libm::exp2(f64::from(k)))
                .collect(),
        };
        all = all
            .into_iter()
            .flat_map(|w: Vec<f32>| {
                let longer = levels
                    .iter()
                    .map(move |l| [w.clone(), vec![*l as f32]].concat());
                longer.collect::<Vec<_>>()
            })
            .collect();
    }
    all
}

/// Steps of ever smaller factors in each weight while they help.
fn refine(
    terms: &Terms<'_, '_>,
    fresh: &[Fresh],
    mut best: Vec<f32>,
    goal: &dyn Fn(&[f64; 3]) -> f64,
) -> (Vec<f32>, [f64; 3]) {
    let mut top = value(terms, fresh, &best);
    for factor in [1.5f32, 1.2, 1.1, 1.05] {
        let mut better = true;
        while better {
            better = false;
            for (i, by) in (0..best.len()).flat_map(|i| [(i, factor), (i, 1.0 / factor)]) {
                let mut next = best.clone();
                next[i] *= by;
                let value = value(terms, fresh, &next);
                if goal(&value) > goal(&top) {
                    (best, top, better) = (next, value, true);
                }
            }
        }
    }
    (best, top)
}

/// The closed loop with the tuned weights, with the file's, and with each task alone.
fn loops(
    d: &Description,
    model: &Model<'_>,
    feed: &Feed,
    terms: &Terms<'_, '_>,
    tuned: &[f32],
    seed: u64,
) -> Result<(), Failed> {
    let tasks = model.spec().tasks.len();
    let defaults: Vec<f32> = terms.weights().iter().map(|w| w.default as f32).collect();
    let run = |name: &str, fuse: &dyn Fn(&[f32], &mut [f32])| -> Result<(), Failed> {
        let mut ranker = FeedRanker::new(d, model)?;
        let mut failed = None;
        let report: PolicyReport = run_policy(
            feed,
            |view| {
                if let Err(e) = ranker.rank(view) {
                    failed.get_or_insert(e);
                }
                let n = view.request.candidates.len();
                let (mut fused, mut order) = (vec![0.0; n], vec![0; n]);
                fuse(&ranker.results().scores, &mut fused);
                rerank::top_k(&fused, &mut order);
                order
            },
            SESSIONS[1],
            seed,
        )?;
        if let Some(e) = failed {
            return Err(e.into());
        }
        let seconds = INTERACTION_SECONDS.iter().zip(report.interactions);
        let worth = report.watch_seconds + seconds.map(|(s, n)| s * n).sum::<f64>();
        println!(
            "  {name:10} utility {worth:.0} a session, {:.3} a viewed row; {:.1} requests, {:.0} s, {:.2} likes",
            worth / report.views,
            report.requests,
            report.watch_seconds,
            report.interactions[0]
        );
        Ok(())
    };
    println!("closed loop, {} sessions", SESSIONS[1]);
    run("tuned", &|scores, fused| terms.fuse(tuned, scores, fused))?;
    run("the file's", &|scores, fused| {
        terms.fuse(&defaults, scores, fused);
    })?;
    for (t, task) in model.spec().tasks.iter().enumerate() {
        run(task.name, &|scores, fused| {
            for (fused, row) in fused.iter_mut().zip(scores.chunks_exact(tasks)) {
                *fused = row[t];
            }
        })?;
    }
    Ok(())
}
