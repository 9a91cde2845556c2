//! What lists are worth by the truth, and the weights with which they are worth most.

use pocketrank::fusion::formula::Formula;
use pocketrank::rerank::top_k;
use pocketrank::train::description::Description;
use pocketrank::train::formula::{self as text, Weight};
use pocketrank::train::policy::FeedRanker;
use pocketrank::train::simulate::{Feed, Knobs, SimulateOptions, run_policy};

use crate::fusions::{Fusion, WORTH};
use crate::models::{open, status};
use crate::{Result, TOP};

/// One request: what the model makes of its candidates, and what each is worth at each place of the top by the truth.
pub struct List {
    /// `[candidates, inputs]` of each fusion.
    inputs: Vec<Vec<f32>>,
    /// `[candidates, TOP]`: utility, watch time, likes, bait.
    truth: Vec<[[f64; 4]; TOP]>,
}

/// Requests of fresh users, the same for every model since the server's order is shown.
pub fn lists(
    d: &Description,
    file: &[u8],
    fusions: &[Fusion; 3],
    sessions: u64,
    seed: u64,
) -> Result<Vec<List>> {
    let feed = Feed::new(SimulateOptions {
        rows: 200_000,
        seed,
        knobs: Knobs::default(),
        ..SimulateOptions::default()
    })?;
    let model = open(file)?;
    // Without the weights, so that the terms' values come out.
    let files = fusions
        .iter()
        .map(|f| {
            let bare = f.terms.join(" + ").replace("+ -", "- ");
            let bare = text::Formula::compile(&bare, model.spec(), &[]);
            bare.map_err(|e| e.message)?.file().map_err(status)
        })
        .collect::<core::result::Result<Vec<_>, String>>()?;
    let opened: Vec<Formula<'_>> = files
        .iter()
        .map(|f| model.open_formula(f).map_err(status))
        .collect::<core::result::Result<_, _>>()?;
    let mut rankers = Vec::new();
    for formula in &opened {
        rankers.push(FeedRanker::with(d, &model, Some(formula))?);
    }
    let mut lists = Vec::new();
    run_policy(
        &feed,
        |view| {
            let n = view.request.candidates.len();
            let inputs = rankers.iter_mut().map(|ranker| {
                ranker.rank(view).expect("the model fits the feed");
                ranker.results().terms.clone()
            });
            let inputs = inputs.collect();
            let truth = (0..n as u32).map(|c| {
                core::array::from_fn(|position| {
                    let p = view.request.predict_latent(view.feed, c, position as u32);
                    let (Some(p), Some(item)) = (p, view.item(c)) else {
                        return [0.0; 4];
                    };
                    let mut worth = p.watch_mean;
                    for (worth_of, p) in WORTH[2..].iter().zip(p.interactions) {
                        worth += f64::from(*worth_of) * p;
                    }
                    let bait = f64::from(u8::from(item.is_bait())) / TOP as f64;
                    [
                        p.click * worth,
                        p.click * p.watch_mean,
                        p.click * p.interactions[0],
                        bait,
                    ]
                })
            });
            lists.push(List {
                inputs,
                truth: truth.collect(),
            });
            let mut by_server: Vec<u32> = (0..n as u32).collect();
            let score = |c: &u32| view.request.candidates[*c as usize].server_score;
            by_server.sort_by(|a, b| score(b).total_cmp(&score(a)));
            by_server
        },
        sessions,
        seed,
    )?;
    Ok(lists)
}

/// Means over lists of utility, watch time, likes and bait share of the top.
pub fn measure(fusion: &Fusion, f: usize, weights: &[f64], lists: &[List]) -> [f64; 4] {
    let width = fusion.weights.len();
    let mut sums = [0.0; 4];
    for list in lists {
        let value = |terms: &[f32]| -> f32 {
            let terms = terms.iter().zip(weights);
            terms.map(|(x, w)| w * f64::from(*x)).sum::<f64>() as f32
        };
        let fused: Vec<f32> = list.inputs[f].chunks_exact(width).map(value).collect();
        let mut order = [0; TOP];
        top_k(&fused, &mut order);
        for (position, c) in order.iter().enumerate() {
            for (sum, x) in sums.iter_mut().zip(list.truth[*c as usize][position]) {
                *sum += x;
            }
        }
    }
    sums.map(|sum| sum / lists.len() as f64)
}

/// The weights with the greatest utility by the truth: CMA-ES from three starts.
pub fn tune(fusion: &Fusion, f: usize, lists: &[List]) -> Vec<f64> {
    // By their square root, so that small ones are found as well.
    let point = |x: &[f64]| -> Vec<f64> {
        let of = |(x, w): (&f64, &Weight)| x.clamp(0.0, 1.0).powi(2) * f64::from(w.most);
        x.iter().zip(&fusion.weights).map(of).collect()
    };
    let weights = fusion.weights.iter();
    let start: Vec<f64> = weights
        .map(|w| f64::from(w.value / w.most).sqrt())
        .collect();
    let utility = |x: &[f64]| measure(fusion, f, &point(x), lists)[0];
    let mut best = (utility(&start), start.clone());
    for seed in 1..=3 {
        let search = cmaes::CMAESOptions::new(start.clone(), 0.15)
            .seed(seed)
            .max_function_evals(500 * start.len())
            .build(|x: &cmaes::DVector<f64>| -utility(x.as_slice()));
        let Ok(mut search) = search else { continue };
        if let Some(found) = search.run().overall_best
            && -found.value > best.0
        {
            best = (-found.value, found.point.as_slice().to_vec());
        }
    }
    point(&best.1)
}
