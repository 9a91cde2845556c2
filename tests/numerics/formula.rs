//! Formulas in the engine against the desktop's evaluator, which never sees a program.

use pocketrank::engine::{Model, Output, Request};
use pocketrank::error::Status;
use pocketrank::features;
use pocketrank::fusion::{self, formula as device};
use pocketrank::spec::{Calibration, Encoding, Side, Spec};
use pocketrank::train::formula::{Formula, Weight};
use pocketrank::train::golden::{self, GoldenModel};
use pocketrank::train::quantize::quantize;
use pocketrank::train::requests::{OwnedColumn, OwnedRequest};

use super::ranked::{open, rank_owned, with_scratch};

const N: usize = 29;

/// Scores `[candidates, tasks]`.
fn scores(model: &Model<'_>, request: &OwnedRequest) -> Vec<f32> {
    let columns = request.columns();
    let mut scores = vec![0.0; request.num_candidates * model.spec().tasks.len()];
    with_scratch(model, request.num_candidates, |scratch| {
        let request = Request {
            weights: None,
            ..request.as_request(&columns)
        };
        model.score(&request, scratch, &mut scores).unwrap();
    });
    scores
}

/// The model without calibrations, whose scores are raw ones.
fn raw_twin(golden: &GoldenModel) -> Vec<u8> {
    let mut spec = golden.spec.clone();
    for task in &mut spec.tasks {
        task.calibration = Calibration::None;
    }
    quantize(&spec, &golden.parameters, &golden.lookups).unwrap()
}

/// Every input of a formula for every candidate, by definitions.
fn inputs(
    formula: &device::Formula<'_>,
    model: &Model<'_>,
    request: &OwnedRequest,
    raw: &[f32],
) -> Vec<Vec<f32>> {
    let (spec, served) = (model.spec(), scores(model, request));
    let tasks = spec.tasks.len();
    let all = |scores: &[f32], task: usize, entire: bool| -> Vec<f32> {
        let value = |row: &[f32]| match entire {
            true => fusion::entire(spec, row, task),
            false => row[task],
        };
        scores.chunks_exact(tasks).map(value).collect()
    };
    let input = |input: &device::Input| match *input {
        device::Input::Feature(i) => feature(spec, request, usize::from(i)),
        device::Input::Score { task, entire, form } => {
            let scores = if form == device::Form::Raw {
                raw
            } else {
                &served
            };
            let values: Vec<f32> = all(scores, usize::from(task), entire)
                .into_iter()
                .map(device::settle)
                .collect();
            let rank = |x: &f32| {
                let below = values.iter().filter(|y| *y < x).count();
                let equal = values.iter().filter(|y| *y == x).count();
                (2 * below + equal) as f32 / (2 * values.len()) as f32
            };
            match form {
                device::Form::Raw | device::Form::Calibrated => values,
                device::Form::Rank => values.iter().map(rank).collect(),
                device::Form::Quantile => {
                    let mut tables = model.quantiles().iter();
                    let table = tables
                        .find(|q| q.task == task && q.entire == entire)
                        .unwrap();
                    values.iter().map(|x| table.at(*x)).collect()
                }
            }
        }
    };
    formula.inputs().iter().map(input).collect()
}

fn feature(spec: &Spec<'_>, request: &OwnedRequest, i: usize) -> Vec<f32> {
    let f = &spec.features[i];
    let Encoding::Number { default, .. } = f.encoding else {
        panic!("no number");
    };
    let value = |candidate: usize| {
        let at = if f.side == Side::User { 0 } else { candidate };
        let raw = match request.columns.get(i) {
            Some(OwnedColumn::Floats(x)) => x[at],
            _ => f32::NAN,
        };
        let raw = if raw.is_nan() { default } else { raw };
        raw.clamp(-device::FEATURE_MOST, device::FEATURE_MOST)
    };
    (0..request.num_candidates).map(value).collect()
}

#[test]
fn fused_scores_are_bit_for_bit_those_of_the_desktop() {
    let mut forms = [0; 5];
    for seed in 0..60 {
        let golden = golden::model(seed);
        let twin = raw_twin(&golden);
        let golden = golden::with_formula(&golden, seed);
        let model = open(&golden.bytes);
        let compiled = golden::formula(&golden.spec, seed);
        let own = model.formula().unwrap();
        assert_eq!(own.text(), compiled.text);
        let request = OwnedRequest {
            weights: (seed % 2 == 1).then(|| vec![0.5, 2.0, 1.5]),
            max_candidates: 0,
            strict: false,
            ..golden::request(&golden, seed, N)
        };
        let raw = scores(&open(&twin), &request);
        let inputs = inputs(own, &model, &request, &raw);
        for input in own.inputs() {
            forms[match input {
                device::Input::Feature(_) => 4,
                device::Input::Score { form, .. } => *form as usize,
            }] += 1;
        }
        let weight = |i: usize| match &request.weights {
            Some(weights) => weights[i],
            None => compiled.weights[i].value,
        };
        let columns = request.columns();
        let terms = own.terms().count();
        let (mut order, mut fused) = (vec![0; N], vec![0.0; N]);
        let mut by_term = vec![7.0; N * terms];
        with_scratch(&model, N, |scratch| {
            let mut output = Output {
                order: &mut order,
                fused: &mut fused,
                scores: &mut [],
                terms: &mut by_term,
            };
            model
                .rank(&request.as_request(&columns), scratch, &mut output)
                .unwrap();
        });
        for c in 0..N {
            let expected = compiled.evaluate(&|i| inputs[i][c], &weight);
            let got = &by_term[c * terms..(c + 1) * terms];
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(got), bits(&expected), "seed {seed} {}", own.text());
            let sum = got[1..]
                .iter()
                .fold(got[0], |sum, x| device::settle(sum + x));
            assert_eq!(sum.to_bits(), fused[c].to_bits());
            assert!(sum.is_finite() && (sum == 0.0 || sum.abs() >= 1e-20));
        }
        // With all scores asked for nothing changes, and neither if they were made in parts.
        let whole = rank_owned(&model, &request);
        assert_eq!(whole.order, order);
        let mut again = (vec![0; N], vec![0.0; N]);
        let served = scores(&model, &request);
        let parts = with_scratch(&model, N, |scratch| {
            let mut output = Output {
                order: &mut again.0,
                fused: &mut again.1,
                ..Output::default()
            };
            model.order(&request.as_request(&columns), &served, scratch, &mut output)
        });
        let reads_raw = compiled.text.contains("raw(");
        match parts {
            Ok(()) => assert_eq!(again, (order, fused)),
            Err(e) => assert!(reads_raw && e.status == Status::FormulaScores, "{e:?}"),
        }
    }
    assert!(forms.iter().all(|n| *n >= 10), "{forms:?}");
}

#[test]
fn ranks_are_among_the_candidates_that_are_scored() {
    let golden = golden::model(4);
    let model = open(&golden.bytes);
    let task = golden.spec.tasks[0].name;
    let formula = Formula::compile(&format!("rank(`{task}`)"), &golden.spec, &[]).unwrap();
    let file = formula.file().unwrap();
    let formula = model.open_formula(&file).unwrap();
    let owned = OwnedRequest {
        weights: None,
        ..golden::request(&golden, 4, N)
    };
    let columns = owned.columns();
    let only = [3, 4, 9, 20];
    let request = Request {
        only: Some(&only),
        formula: Some(&formula),
        ..owned.as_request(&columns)
    };
    let mut fused = vec![0.0; N];
    with_scratch(&model, N, |scratch| {
        let mut output = Output {
            fused: &mut fused,
            ..Output::default()
        };
        model.rank(&request, scratch, &mut output).unwrap();
    });
    let mut ranks: Vec<f32> = only.iter().map(|c| fused[*c as usize]).collect();
    ranks.sort_by(f32::total_cmp);
    assert_eq!(ranks, [0.125, 0.375, 0.625, 0.875]);
    assert_eq!(
        fused.iter().filter(|x| **x == f32::NEG_INFINITY).count(),
        N - 4
    );
    // It belongs to its model.
    let other = golden::model(8);
    let other_model = open(&other.bytes);
    let owned = golden::request(&other, 1, 5);
    let columns = owned.columns();
    let request = Request {
        formula: Some(&formula),
        weights: None,
        ..owned.as_request(&columns)
    };
    let refused = with_scratch(&other_model, 5, |scratch| {
        other_model.rank(&request, scratch, &mut Output::default())
    });
    assert_eq!(refused.unwrap_err().status, Status::FormulaModel);
}

#[test]
fn weights_of_a_request_stay_within_their_bounds() {
    let golden = golden::model(4);
    let model = open(&golden.bytes);
    let task = golden.spec.tasks[0].name;
    let weights =
        [("a", 1.0, 0.0, 2.0), ("b", -1.0, -3.0, -0.5)].map(|(name, value, least, most)| Weight {
            name: name.to_string(),
            value,
            least,
            most,
        });
    let text = format!("a * `{task}` + b");
    let file = Formula::compile(&text, &golden.spec, &weights)
        .unwrap()
        .file()
        .unwrap();
    let formula = model.open_formula(&file).unwrap();
    let status = |w: &[f32]| formula.check_weights(Some(w)).map_err(|e| e.status);
    assert_eq!(status(&[2.0, -3.0]), Ok(()));
    assert_eq!(status(&[2.1, -1.0]), Err(Status::BadWeight));
    assert_eq!(status(&[1.0, f32::NAN]), Err(Status::BadWeight));
    assert_eq!(status(&[1.0]), Err(Status::UnknownTask));
    // Perturbed weights are log-normal around their own, the same for the same user, and others for another.
    let mut logs = Vec::new();
    for user in 0..2000 {
        let mut out = [0.0; 2];
        formula.perturb(None, (user, 7), 0.1, &mut out).unwrap();
        let mut again = [0.0; 2];
        formula.perturb(None, (user, 7), 0.1, &mut again).unwrap();
        assert_eq!(out, again);
        assert_eq!(status(&out), Ok(()));
        logs.push(f64::from(out[0]).ln());
        logs.push(f64::from(-out[1]).ln());
    }
    let mean = logs.iter().sum::<f64>() / 4000.0;
    let sd = (logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
    // Errors of the mean and of the deviation are 0.0016 and 0.0011.
    assert!(
        mean.abs() < 0.006 && (sd - 0.1).abs() < 0.005,
        "{mean} {sd}"
    );
    let mut out = [0.0; 2];
    formula.perturb(None, (1, 8), 0.0, &mut out).unwrap();
    assert_eq!(out, [1.0, -1.0]);
    formula.perturb(None, (1, 8), 4.0, &mut out).unwrap();
    assert_eq!(status(&out), Ok(()));
    let refused = formula.perturb(None, (1, 8), f32::NAN, &mut out);
    assert_eq!(refused.unwrap_err().status, Status::BadWeight);
}

#[test]
fn a_changed_formula_is_refused_or_has_finite_values() {
    let golden = golden::model(12);
    let golden = golden::with_formula(&golden, 12);
    let model = open(&golden.bytes);
    let mut seed = 1u64;
    let mut draw = move || {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    let (mut opened, mut statuses) = (0, std::collections::BTreeMap::new());
    for i in 0..60 {
        let file = golden::formula(&golden.spec, i).file().unwrap();
        let code = file.len() - model_code_len(&model, &file);
        for _ in 0..400 {
            let mut changed = file.clone();
            for _ in 0..1 + draw() % 3 {
                let at = code + draw() % (changed.len() - code);
                changed[at] = match draw() % 3 {
                    0 => draw() as u8,
                    1 => (16 + draw() % 40) as u8,
                    _ => changed[code + draw() % (file.len() - code)],
                };
            }
            let digest = xxh3(&changed[16..]);
            changed[8..16].copy_from_slice(&digest.to_le_bytes());
            match model.open_formula(&changed) {
                Ok(formula) => {
                    opened += 1;
                    extremes(&model, &formula);
                }
                Err(e) => *statuses.entry(e.status as u16).or_insert(0) += 1,
            }
        }
    }
    assert!(opened > 1000, "{opened}");
    for status in [Status::FormulaCode, Status::FormulaRange] {
        assert!(statuses[&(status as u16)] > 100, "{statuses:?}");
    }
}

fn model_code_len(model: &Model<'_>, file: &[u8]) -> usize {
    model.open_formula(file).unwrap().code().len()
}

fn xxh3(bytes: &[u8]) -> u64 {
    // The library's own hash of text is XXH3-64.
    features::hash_text(bytes)
}

/// Runs a program on the ends of its inputs' and weights' ranges, and between.
fn extremes(model: &Model<'_>, formula: &device::Formula<'_>) {
    let spec = model.spec();
    for round in 0..24u32 {
        let pick = |i: u8, low: f32, high: f32| match (u32::from(i) * 7 + round) % 5 {
            0 => low,
            1 => high,
            2 => (low + high) / 2.0,
            3 => low + (high - low) * 1e-6,
            _ => 0.0f32.clamp(low, high),
        };
        let input = &mut |i: u8, to: &mut device::Lanes| {
            let (low, high) = match formula.inputs()[usize::from(i)] {
                device::Input::Feature(_) => (-device::FEATURE_MOST, device::FEATURE_MOST),
                device::Input::Score { task, form, .. } => {
                    let duration = spec.tasks[usize::from(task)].kind;
                    let unit = duration == pocketrank::spec::TaskKind::Binary
                        || matches!(form, device::Form::Rank | device::Form::Quantile);
                    let scale = spec.tasks[usize::from(task)].score_scale;
                    (0.0, if unit { 1.0 } else { 4.85e8 * scale })
                }
            };
            to.fill(pick(i, low, high));
        };
        let weight = |i: u8| {
            let w = &formula.weights()[usize::from(i)];
            pick(i + 50, w.least, w.most)
        };
        device::run(formula.code(), input, &weight, &mut |values| {
            assert!(
                values
                    .iter()
                    .all(|x| x.is_finite() && x.abs() <= device::MOST)
            );
        });
    }
}
