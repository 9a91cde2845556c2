//! Golden models opened, ranked and traced.

use pocketrank::engine::{Model, OpenOptions, Output, Request, Scratch, Summary, Trace};
use pocketrank::error::Result;
use pocketrank::train::golden::{self, GoldenModel};
use pocketrank::train::requests::OwnedRequest;

pub fn open(bytes: &[u8]) -> Box<Model<'_>> {
    let mut model = Box::new(Model::new());
    model.open(bytes, &OpenOptions::default()).unwrap();
    model
}

/// Scratch of exactly the size that the model asks for, with contents that would show in any result.
pub fn with_scratch<T>(
    model: &Model<'_>,
    candidates: usize,
    run: impl FnOnce(&mut Scratch<'_>) -> T,
) -> T {
    let need = model.scratch_len(candidates);
    let (mut floats, mut bytes) = (vec![f32::NAN; need.floats], vec![0xAA; need.bytes]);
    run(&mut Scratch {
        floats: &mut floats,
        bytes: &mut bytes,
    })
}

#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    pub order: Vec<u32>,
    pub fused: Vec<u32>,
    pub scores: Vec<u32>,
    pub summary: Summary,
}

pub fn rank(model: &Model<'_>, request: &Request<'_>, top: usize) -> Result<Ranked> {
    let (n, tasks) = (request.num_candidates, model.spec().tasks.len());
    let (mut order, mut fused, mut scores) = (vec![7; top], vec![7.0; n], vec![7.0; n * tasks]);
    let summary = with_scratch(model, n, |scratch| {
        let mut output = Output {
            order: &mut order,
            fused: &mut fused,
            scores: &mut scores,
            terms: &mut [],
        };
        model.rank(request, scratch, &mut output)
    })?;
    let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect();
    Ok(Ranked {
        order,
        fused: bits(fused),
        scores: bits(scores),
        summary,
    })
}

pub fn rank_owned(model: &Model<'_>, request: &OwnedRequest) -> Ranked {
    let columns = request.columns();
    rank(model, &request.as_request(&columns), request.num_candidates).unwrap()
}

/// Input bytes of a group by side.
pub type Sides = [Vec<u8>; 4];

/// Input bytes by group and side, and scores, of each candidate.
pub fn traced(model: &Model<'_>, request: &OwnedRequest) -> Vec<(Vec<Sides>, Vec<f32>)> {
    let columns = request.columns();
    let trace = |candidate| {
        let groups = model.spec().groups();
        let mut all = (vec![Sides::default(); groups], Vec::new());
        with_scratch(model, 1, |scratch| {
            model.trace(
                &request.as_request(&columns),
                candidate,
                scratch,
                &mut |step| match step {
                    Trace::Inputs(group, side, bytes) => {
                        all.0[group][side as usize] = bytes.to_vec();
                    }
                    Trace::Scores(scores) => all.1 = scores.to_vec(),
                    Trace::Sums { .. } => {}
                },
            )
        })
        .unwrap();
        all
    };
    (0..request.num_candidates).map(trace).collect()
}

pub fn each_golden(
    seeds: core::ops::Range<u64>,
    mut run: impl FnMut(u64, &GoldenModel, &Model<'_>),
) {
    for seed in seeds {
        let golden = golden::model(seed);
        run(seed, &golden, &open(&golden.bytes));
        let headed = golden::with_heads(&golden, seed);
        run(300 + seed, &headed, &open(&headed.bytes));
        if seed % 3 == 0 {
            let golden = golden::attending(seed);
            run(seed, &golden, &open(&golden.bytes));
        }
        if seed % 3 == 1 {
            let golden = golden::with_levels(seed);
            run(seed, &golden, &open(&golden.bytes));
        }
    }
}

/// The same, and those with tasks of quantiles.
pub fn each_with_quantiles(
    seeds: core::ops::Range<u64>,
    mut run: impl FnMut(u64, &GoldenModel, &Model<'_>),
) {
    each_golden(seeds.clone(), &mut run);
    for seed in seeds.step_by(2) {
        let golden = golden::with_quantiles(&golden::model(seed), seed);
        run(400 + seed, &golden, &open(&golden.bytes));
    }
}
