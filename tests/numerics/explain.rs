//! What explains an order is exact.

use pocketrank::engine::Request;
use pocketrank::error::Status;

use pocketrank::spec::{Side, Source};
use pocketrank::train::explain::explain;
use pocketrank::train::golden;
use pocketrank::train::replay::Ranker;
use pocketrank::train::requests::{OwnedColumn, OwnedRequest};

use super::ranked::{each_with_quantiles, open, rank, rank_owned, with_scratch};

const N: usize = 17;

#[test]
fn terms_add_up_to_the_fused_score_to_the_bit() {
    each_with_quantiles(0..20, |seed, golden, model| {
        let request = golden::request(golden, seed, N);
        let mut ranker = Ranker::new(model);
        ranker.rank(&request).unwrap();
        let width = model.num_terms();
        for (terms, fused) in ranker.terms.chunks(width).zip(&ranker.fused) {
            let sum = terms.iter().fold(0.0, |sum, t| sum + t);
            assert_eq!(sum.to_bits(), fused.to_bits(), "seed {seed}");
        }
    });
}

#[test]
fn without_a_group_is_the_request_with_its_defaults() {
    let mut changed = 0;
    each_with_quantiles(0..40, |seed, golden, model| {
        let spec = &golden.spec;
        let request = golden::request(golden, seed, N);
        let columns = request.columns();
        let without = |features: &[u32]| {
            let request = Request {
                without: features,
                ..request.as_request(&columns)
            };
            rank(model, &request, N).unwrap()
        };
        let whole = rank_owned(model, &request);
        // Columns of every third feature.
        let is_column = |i: &usize| spec.features[*i].source == Source::Column;
        let group: Vec<u32> = (seed as usize % 3..spec.features.len())
            .step_by(3)
            .filter(is_column)
            .map(|i| i as u32)
            .collect();
        let mut fewer = request.clone();
        for i in &group {
            fewer.columns[*i as usize] = OwnedColumn::Missing;
        }
        let ablated = without(&group);
        let expected = rank_owned(model, &fewer);
        assert_eq!(ablated.scores, expected.scores, "seed {seed}");
        assert_eq!(
            (&ablated.order, &ablated.fused),
            (&expected.order, &expected.fused)
        );
        changed += usize::from(ablated.scores != whole.scores);
        // All that is made of the user's past.
        let past: Vec<u32> = (0..spec.features.len())
            .filter(|i| {
                !matches!(
                    spec.features[*i].source,
                    Source::Column
                        | Source::Cross { .. }
                        | Source::Combine { .. }
                        | Source::Attention { .. }
                )
            })
            .map(|i| i as u32)
            .collect();
        let fresh = OwnedRequest {
            state: None,
            ..request.clone()
        };
        assert_eq!(without(&past).scores, rank_owned(model, &fresh).scores);
        assert_eq!(without(&[]).scores, whole.scores);
        let refused = |request: &Request<'_>| rank(model, request, N).unwrap_err().status;
        let unknown = Request {
            without: &[spec.features.len() as u32],
            ..request.as_request(&columns)
        };
        assert_eq!(refused(&unknown), Status::UnknownFeature);
        if spec.side_inputs(Side::Item) > 0 {
            let both = Request {
                without: &group,
                item_sums: Some(pocketrank::engine::ItemSums::default()),
                ..request.as_request(&columns)
            };
            assert_eq!(refused(&both), Status::BadOption);
        }
    });
    assert!(changed > 20, "{changed}");
}

#[test]
fn gates_are_shares_of_the_experts() {
    each_with_quantiles(0..20, |seed, golden, model| {
        let request = golden::request(golden, seed, N);
        let mut ranker = Ranker::new(model);
        let gates = ranker.gates(&request, 3).unwrap();
        let experts = usize::from(golden.spec.network.num_experts);
        for (task, row) in gates.chunks(experts).enumerate() {
            assert_eq!(row.iter().sum::<f32>(), 1.0);
            if !golden.spec.has_gates() {
                let own = if golden.spec.has_own_experts() {
                    task
                } else {
                    0
                };
                assert_eq!(row[own], 1.0);
            }
        }
        let columns = request.columns();
        let status = |candidate, len: usize| {
            with_scratch(model, N, |scratch| {
                model.gates(
                    &request.as_request(&columns),
                    candidate,
                    scratch,
                    &mut vec![0.0; len],
                )
            })
            .map_err(|e| e.status)
        };
        assert_eq!(status(N, gates.len()), Err(Status::CandidateCount));
        assert_eq!(status(0, gates.len() + 1), Err(Status::BufferTooSmall));
        // Of a part of a request: the shares of the candidate itself, not of the one at its place in the part.
        let part = Request {
            only: Some(&[0, 3, 9]),
            ..request.as_request(&columns)
        };
        let mut of_part = vec![0.0; gates.len()];
        with_scratch(model, N, |scratch| {
            model.gates(&part, 3, scratch, &mut of_part)
        })
        .unwrap();
        assert_eq!(of_part, gates, "seed {seed}");
    });
}

#[test]
fn an_explanation_has_the_differences() {
    let golden = golden::with_formula(&golden::model(8), 8);
    let model = open(&golden.bytes);
    let request = OwnedRequest {
        weights: None,
        ..golden::request(&golden, 8, N)
    };
    let groups: Vec<(String, Vec<u32>)> = (0..golden.spec.features.len() as u32)
        .map(|i| (i.to_string(), vec![i]))
        .collect();
    let mut ranker = Ranker::new(&model);
    let e = explain(&mut ranker, &golden.spec, &request, 5, &groups).unwrap();
    let whole = rank_owned(&model, &request);
    assert_eq!(whole.order[e.rank - 1], 5);
    assert_eq!(whole.fused[5], e.fused.to_bits());
    let columns = request.columns();
    for (group, features) in e.groups.iter().zip(&groups) {
        let request = Request {
            without: &features.1,
            ..request.as_request(&columns)
        };
        let ablated = rank(&model, &request, N).unwrap();
        assert_eq!(ablated.fused[5], group.fused.to_bits());
        assert_eq!(ablated.order[group.rank - 1], 5);
    }
    assert!(e.groups.iter().any(|g| g.fused != e.fused));
}
