//! Scores against independent arithmetic, and what they must not depend on.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "numerics/attention.rs"]
mod attention;
#[path = "numerics/explain.rs"]
mod explain;
#[path = "numerics/formula.rs"]
mod formula;
#[path = "numerics/live.rs"]
mod live;
#[path = "numerics/network.rs"]
mod network;
#[path = "numerics/ranked.rs"]
mod ranked;
#[path = "numerics/real.rs"]
mod real;
#[path = "numerics/session.rs"]
mod session;
#[path = "numerics/subset.rs"]
mod subset;

use network::{Tensors, exact};
use pocketrank::engine::{Output, Request, Scratch};
use pocketrank::error::Status;
use pocketrank::spec::{Encoding, Side, Spec};
use pocketrank::train::golden;
use pocketrank::train::requests::{OwnedColumn, OwnedLists, OwnedRequest};
use ranked::{Sides, each_golden, rank, rank_owned, traced, with_scratch};
use real::{Real, real_link, values};

/// Input values by group.
fn all_values(spec: &Spec<'_>, tensors: &Tensors<'_>, inputs: &[Sides]) -> Vec<Vec<f64>> {
    let groups = inputs.iter().enumerate();
    groups.map(|(g, x)| values(spec, tensors, g, x)).collect()
}

#[test]
fn scores_are_bit_for_bit_those_of_naive_integers() {
    each_golden(0..40, |seed, golden, model| {
        let tensors = Tensors::read(&golden.bytes, &golden.spec);
        let request = golden::request(golden, seed, 5);
        let ranked = rank_owned(model, &request);
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        let mut naive = Vec::new();
        for (inputs, scores) in traced(model, &request) {
            let here = exact(&golden.spec, &tensors, &inputs);
            assert_eq!(bits(&here), bits(&scores), "seed {seed}");
            naive.extend(bits(&here));
        }
        assert_eq!(naive, ranked.scores, "seed {seed}");
    });
}

#[test]
fn scoring_is_ranking_without_an_order() {
    each_golden(0..10, |seed, golden, model| {
        let owned = golden::request(golden, seed, 11);
        let columns = owned.columns();
        let request = owned.as_request(&columns);
        let ranked = rank_owned(model, &owned);
        let mut scores = vec![7.0; ranked.scores.len() + 1];
        with_scratch(model, 11, |scratch| {
            let short = model.score(&request, scratch, &mut scores).unwrap_err();
            assert_eq!(short.status, Status::BufferTooSmall);
            assert!(scores.iter().all(|s| *s == 7.0));
            scores.pop();
            let endless = Request {
                num_candidates: usize::MAX,
                ..request
            };
            assert!(model.score(&endless, scratch, &mut scores).is_err());
            let summary = model.score(&request, scratch, &mut scores).unwrap();
            assert_eq!(summary, ranked.summary);
        });
        let bits: Vec<u32> = scores.iter().map(|s| s.to_bits()).collect();
        assert_eq!(bits, ranked.scores, "seed {seed}");
    });
}

/// Scores lie where real arithmetic on the file's own weights and inputs says, give or take what bytes for
/// activations (half a step, max / 254, of each row) can do at most.
#[test]
fn scores_are_within_the_bounds_of_real_arithmetic() {
    let (mut off, mut room) = (0.0, Vec::new());
    each_golden(0..40, |seed, golden, model| {
        let spec: &Spec<'_> = &golden.spec;
        let tensors = Tensors::read(&golden.bytes, spec);
        let real = Real::of_file(spec, &tensors);
        for (inputs, scores) in traced(model, &golden::request(golden, seed, 5)) {
            let logits = real.logits(spec, &all_values(spec, &tensors, &inputs));
            let tasks = spec.tasks.iter().zip(&golden.lookups.knots);
            for ((z, score), (task, knots)) in logits.iter().zip(scores).zip(tasks) {
                let at = |z: f64| real_link(task, knots, z);
                let (low, high) = (at(z.value - z.error), at(z.value + z.error));
                let slack = 1e-6 * (1.0 + high);
                let score = f64::from(score);
                assert!(
                    low - slack <= score && score <= high + slack,
                    "seed {seed}: {score} not in {low}..{high}"
                );
                off += (score - at(z.value)).abs() / (1.0 + at(z.value));
                room.push((high - low) / (1.0 + at(z.value)));
            }
        }
    });
    // The bounds say something, and rounding errors mostly cancel within them.
    room.sort_by(f64::total_cmp);
    let (median, mean) = (room[room.len() / 2], off / room.len() as f64);
    println!("half of the bounds are below {median:.4}, scores are off by {mean:.5}");
    assert!(median < 0.2 && mean < 0.002, "{median} {mean}");
}

#[test]
fn the_file_is_the_parameters_to_the_precision_of_eight_bit_weights() {
    let (mut sum, mut count) = (0.0, 0.0);
    each_golden(0..40, |seed, golden, model| {
        let spec: &Spec<'_> = &golden.spec;
        let tensors = Tensors::read(&golden.bytes, spec);
        let (file, trained) = (
            Real::of_file(spec, &tensors),
            Real::of_parameters(spec, &golden.parameters),
        );
        for (inputs, _) in traced(model, &golden::request(golden, seed, 5)) {
            let values = all_values(spec, &tensors, &inputs);
            for (a, b) in file
                .logits(spec, &values)
                .iter()
                .zip(trained.logits(spec, &values))
            {
                // Weights are off by half a step, max / 254, at most: a wrong order or scale is off by far more.
                let off = (a.value - b.value).abs() / (1.0 + b.value.abs());
                assert!(off < 0.2, "seed {seed}: {} {}", a.value, b.value);
                sum += off;
                count += 1.0;
            }
        }
    });
    assert!(sum / count < 0.02, "{}", sum / count);
}

#[test]
fn embedding_bytes_are_within_half_a_step_and_zero_is_exact() {
    each_golden(0..40, |_, golden, _| {
        let tensors = Tensors::read(&golden.bytes, &golden.spec);
        for (t, rows) in golden.parameters.tables.iter().enumerate() {
            use pocketrank::spec::Tensor;
            // A row of the file holds the embeddings of all groups.
            let groups = golden.spec.groups();
            let (t, group) = (t / groups, t % groups);
            let dim = usize::from(golden.spec.tables[t].embedding_dim);
            let scale = tensors.floats(Tensor::TableScale(t));
            let zero = tensors.bytes(Tensor::TableZeroPoint(t));
            let bytes = tensors.bytes(Tensor::TableRows(t));
            for (i, x) in rows.iter().enumerate() {
                let (row, d) = (i / dim * groups + group, i % dim);
                let (byte, step) = match golden.spec.tables[t].bits {
                    8 => (bytes[row * dim + d], 1.0),
                    _ => {
                        let pair = bytes[row * dim.div_ceil(2) + d / 2];
                        ([pair % 16, pair / 16][d % 2] * 8, 8.0)
                    }
                };
                let at = group * dim + d;
                let (scale, zero) = (f64::from(scale[at]), f64::from(zero[at]));
                let off = (f64::from(*x) - scale * (f64::from(byte) - zero)).abs();
                // Rounding the zero point may clip the end of the range by another half step.
                assert!(off <= step * scale * 1.001 + 1e-12, "{off} {scale}");
                assert!(*x != 0.0 || off == 0.0);
            }
        }
    });
}

/// The request with candidate `i` alone.
fn alone(spec: &Spec<'_>, request: &OwnedRequest, i: usize) -> OwnedRequest {
    let columns = request
        .columns
        .iter()
        .zip(&spec.features)
        .map(|(column, f)| {
            if f.side == Side::User {
                return column.clone();
            }
            let cut = |lists: &Option<OwnedLists>| {
                let range = lists.as_ref().map_or(i..i + 1, |l| {
                    l.offsets[i] as usize..l.offsets[i + 1] as usize
                });
                let lists = lists.as_ref().map(|l| OwnedLists {
                    offsets: vec![0, range.len() as u32],
                    weights: l.weights.as_ref().map(|w| w[range.clone()].to_vec()),
                });
                (range, lists)
            };
            match column {
                OwnedColumn::Missing => OwnedColumn::Missing,
                OwnedColumn::Ids { ids, lists } => {
                    let (range, lists) = cut(lists);
                    OwnedColumn::Ids {
                        ids: ids[range].to_vec(),
                        lists,
                    }
                }
                OwnedColumn::Rows { rows, lists } => {
                    let (range, lists) = cut(lists);
                    OwnedColumn::Rows {
                        rows: rows[range].to_vec(),
                        lists,
                    }
                }
                OwnedColumn::Text {
                    utf8,
                    offsets,
                    lists,
                } => {
                    let (range, lists) = cut(lists);
                    let offsets = &offsets[range.start..=range.end];
                    let (start, end) = (offsets[0], offsets[offsets.len() - 1]);
                    OwnedColumn::Text {
                        utf8: utf8[start as usize..end as usize].to_vec(),
                        offsets: offsets.iter().map(|o| o - start).collect(),
                        lists,
                    }
                }
                OwnedColumn::Floats(x) => OwnedColumn::Floats(vec![x[i]]),
                OwnedColumn::Bytes(x) => {
                    let Encoding::Vector { dim, .. } = f.encoding else {
                        unreachable!()
                    };
                    let dim = usize::from(dim);
                    OwnedColumn::Bytes(x[i * dim..(i + 1) * dim].to_vec())
                }
            }
        });
    OwnedRequest {
        num_candidates: 1,
        columns: columns.collect(),
        ..request.clone()
    }
}

#[test]
fn a_candidate_scores_the_same_alone_and_in_any_place_of_any_block() {
    each_golden(0..24, |seed, golden, model| {
        for candidates in [1, 2, 7, 8, 9, 17] {
            let request = golden::request(golden, seed, candidates);
            let ranked = rank_owned(model, &request);
            let tasks = golden.spec.tasks.len();
            for i in 0..candidates {
                let one = rank_owned(model, &alone(&golden.spec, &request, i));
                assert_eq!(
                    one.scores,
                    ranked.scores[i * tasks..(i + 1) * tasks],
                    "seed {seed}, {i} of {candidates}"
                );
                assert_eq!(one.fused[0], ranked.fused[i]);
            }
        }
    });
}

#[test]
fn results_do_not_depend_on_what_scratch_held_or_how_large_it_is() {
    each_golden(0..12, |seed, golden, model| {
        let request = golden::request(golden, seed, 11);
        let columns = request.columns();
        let want = rank_owned(model, &request);
        let need = model.scratch_len(4096);
        for (float, byte) in [(0.0, 0), (f32::INFINITY, 0xFF), (-1e30, 0x7F)] {
            let (mut floats, mut bytes) = (vec![float; need.floats], vec![byte; need.bytes]);
            let mut scratch = Scratch {
                floats: &mut floats,
                bytes: &mut bytes,
            };
            let (mut order, mut scores) = (vec![0; 11], vec![0.0; 11 * golden.spec.tasks.len()]);
            let mut output = Output {
                order: &mut order,
                fused: &mut [],
                scores: &mut scores,
                terms: &mut [],
            };
            model
                .rank(&request.as_request(&columns), &mut scratch, &mut output)
                .unwrap();
            assert_eq!(order, want.order);
            assert_eq!(
                scores.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                want.scores
            );
        }
    });
}

#[test]
fn a_deadline_scores_a_prefix_and_keeps_the_rest_in_order_behind_it() {
    each_golden(0..12, |seed, golden, model| {
        let all = golden::request(golden, seed, 19);
        let want = rank_owned(model, &all);
        let tasks = golden.spec.tasks.len();
        for most in [1, 7, 8, 12, 19, 30] {
            let some = rank_owned(
                model,
                &OwnedRequest {
                    max_candidates: most,
                    ..all.clone()
                },
            );
            let scored = most.min(19);
            assert_eq!(some.summary.scored as usize, scored);
            assert_eq!(some.scores[..scored * tasks], want.scores[..scored * tasks]);
            assert!(some.scores[scored * tasks..].iter().all(|x| *x == 0));
            assert_eq!(some.fused[..scored], want.fused[..scored]);
            assert!(some.order[scored..].iter().copied().eq(scored as u32..19));
        }
    });
}

#[test]
fn the_top_k_are_the_first_k_of_a_stable_sort() {
    each_golden(0..12, |seed, golden, model| {
        let request = golden::request(golden, seed, 23);
        let columns = request.columns();
        let fused: Vec<f32> = rank_owned(model, &request)
            .fused
            .into_iter()
            .map(f32::from_bits)
            .collect();
        let mut sorted: Vec<u32> = (0..23).collect();
        sorted.sort_by(|a, b| fused[*b as usize].partial_cmp(&fused[*a as usize]).unwrap());
        for top in 0..=23 {
            let ranked = rank(model, &request.as_request(&columns), top).unwrap();
            assert_eq!(ranked.order, sorted[..top], "seed {seed}");
        }
    });
}

#[test]
fn dirty_values_never_make_a_score_that_is_not_finite() {
    each_golden(0..12, |_, golden, model| {
        for seed in 0..40 {
            let ranked = rank_owned(model, &golden::request(golden, 1000 + seed, 9));
            let values = ranked.scores.iter().chain(&ranked.fused);
            assert!(values.map(|x| f32::from_bits(*x)).all(f32::is_finite));
        }
    });
}

#[test]
fn a_refused_request_leaves_outputs_as_they_were() {
    let (mut refused, mut ranked) = (0, 0);
    each_golden(0..12, |_, golden, model| {
        for seed in 0..30 {
            let request = OwnedRequest {
                strict: true,
                ..golden::request(golden, seed, 1 + seed as usize % 20)
            };
            let columns = request.columns();
            let (n, tasks) = (request.num_candidates, golden.spec.tasks.len());
            let (mut order, mut fused, mut scores) =
                (vec![77; n], vec![7.5; n], vec![7.5; n * tasks]);
            let answer = with_scratch(model, n, |scratch| {
                let mut output = Output {
                    order: &mut order,
                    fused: &mut fused,
                    scores: &mut scores,
                    terms: &mut [],
                };
                model.rank(&request.as_request(&columns), scratch, &mut output)
            });
            match answer {
                Ok(_) => ranked += 1,
                Err(error) => {
                    refused += 1;
                    assert!((500..600).contains(&(error.status as u16)));
                    assert!(order.iter().all(|x| *x == 77));
                    assert!(fused.iter().chain(&scores).all(|x| *x == 7.5));
                }
            }
        }
    });
    assert!(refused > 100 && ranked > 0, "{refused} {ranked}");
}

#[test]
fn only_the_buffers_given_are_touched() {
    each_golden(0..6, |seed, golden, model| {
        let request = golden::request(golden, seed, 13);
        let columns = request.columns();
        let need = model.scratch_len(13);
        let tasks = golden.spec.tasks.len();
        let (mut floats, mut bytes) =
            (vec![9.25f32; need.floats + 64], vec![0x5A; need.bytes + 64]);
        let (mut order, mut scores) = (vec![99u32; 5 + 64], vec![9.25f32; 13 * tasks + 64]);
        let mut scratch = Scratch {
            floats: &mut floats[32..32 + need.floats],
            bytes: &mut bytes[32..32 + need.bytes],
        };
        let mut output = Output {
            order: &mut order[32..37],
            fused: &mut [],
            scores: &mut scores[32..32 + 13 * tasks],
            terms: &mut [],
        };
        model
            .rank(&request.as_request(&columns), &mut scratch, &mut output)
            .unwrap();
        let ends = |n: usize| (0..32).chain(n - 32..n);
        assert!(
            ends(floats.len()).all(|i| floats[i] == 9.25)
                && ends(bytes.len()).all(|i| bytes[i] == 0x5A)
        );
        assert!(
            ends(order.len()).all(|i| order[i] == 99)
                && ends(scores.len()).all(|i| scores[i] == 9.25)
        );
        // One element less is refused, beyond those for columns of a formula, which this request does not have.
        let columns_of_a_formula = (tasks + 2) * 13;
        let (mut floats, mut bytes) = (
            vec![0.0; need.floats - columns_of_a_formula - 1],
            vec![0; need.bytes],
        );
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        let mut output = Output {
            order: &mut [],
            fused: &mut [],
            scores: &mut [],
            terms: &mut [],
        };
        assert!(
            model
                .rank(&request.as_request(&columns), &mut scratch, &mut output)
                .is_err()
        );
    });
}
