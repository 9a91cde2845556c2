//! Item sums that were kept, requests in parts, sessions: each gives bit for bit what a plain request gives.

use pocketrank::engine::{ItemSums, Model, OpenOptions, Output, Request, Session, SessionMemory};
use pocketrank::error::Status;
use pocketrank::features::{Event, Key, hash_int, key_features};
use pocketrank::kernels::Isa;
use pocketrank::spec::{Side, Spec};
use pocketrank::train::golden;
use pocketrank::train::requests::{OwnedColumn, OwnedRequest};

use super::ranked::{Ranked, each_with_quantiles, open, rank, rank_owned, with_scratch};
use super::subset::subset;

/// The item sums of all candidates.
fn item_sums(model: &Model<'_>, request: &Request<'_>) -> Vec<u8> {
    let mut out = vec![0xA5; request.num_candidates * model.item_sums_bytes()];
    with_scratch(model, request.num_candidates, |scratch| {
        model.item_sums(request, scratch, &mut out).unwrap();
    });
    out
}

fn has_item_side(spec: &Spec<'_>) -> bool {
    spec.features.iter().any(|f| f.side == Side::Item)
}

/// Without what only item sums are made of.
fn without_items(spec: &Spec<'_>, request: &OwnedRequest) -> OwnedRequest {
    let mut request = request.clone();
    for (i, column) in request.columns.iter_mut().enumerate() {
        if spec.features[i].side == Side::Item && !spec.is_part(i) && !spec.is_grouping(i) {
            *column = OwnedColumn::Missing;
        }
    }
    request
}

/// Numbers for what has no reason to be one or the other.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    *seed >> 33
}

#[test]
fn kept_item_sums_give_the_same_bits() {
    let mut with_items = 0;
    each_with_quantiles(0..60, |seed, golden, model| {
        let n = [1, 7, 8, 9, 33][seed as usize % 5];
        let owned = golden::request(golden, seed, n);
        let plain = rank_owned(model, &owned);
        if !has_item_side(&golden.spec) {
            assert_eq!(model.item_sums_bytes(), 0);
            return;
        }
        with_items += 1;
        let columns = owned.columns();
        let sums = item_sums(model, &owned.as_request(&columns));
        let len = model.item_sums_bytes();
        // All, with nothing else known of the items.
        let bare = without_items(&golden.spec, &owned);
        let bare_columns = bare.columns();
        let kept = ItemSums {
            bytes: &sums,
            slots: &[],
        };
        let request = Request {
            item_sums: Some(kept),
            ..bare.as_request(&bare_columns)
        };
        let ranked = rank(model, &request, n).unwrap();
        assert_eq!(
            (&ranked.order, &ranked.fused, &ranked.scores),
            (&plain.order, &plain.fused, &plain.scores),
            "seed {seed}"
        );
        // Some, in slots of another order, with others between them.
        let mut state = seed;
        for _ in 0..4 {
            let mut arena = vec![0x5A; (2 * n + 1) * len];
            let slots: Vec<u32> = (0..n)
                .map(|candidate| {
                    if draw(&mut state).is_multiple_of(3) {
                        return ItemSums::NONE;
                    }
                    let slot = 2 * (n - candidate) - 1;
                    arena[slot * len..][..len].copy_from_slice(&sums[candidate * len..][..len]);
                    slot as u32
                })
                .collect();
            let kept = ItemSums {
                bytes: &arena,
                slots: &slots,
            };
            let request = Request {
                item_sums: Some(kept),
                ..owned.as_request(&columns)
            };
            let ranked = rank(model, &request, n).unwrap();
            assert_eq!(
                (ranked.fused, ranked.scores),
                (plain.fused.clone(), plain.scores.clone()),
                "seed {seed} {slots:?}"
            );
        }
    });
    assert!(with_items > 20, "{with_items}");
}

#[test]
fn item_sums_are_the_same_bytes_on_every_instruction_set() {
    each_with_quantiles(0..30, |seed, golden, model| {
        if !has_item_side(&golden.spec) {
            return;
        }
        let owned = golden::request(golden, seed, 9);
        let columns = owned.columns();
        let expected = item_sums(model, &owned.as_request(&columns));
        for isa in Isa::available() {
            let mut other = Box::new(Model::new());
            other
                .open(&golden.bytes, &OpenOptions { isa: Some(isa) })
                .unwrap();
            let sums = item_sums(&other, &owned.as_request(&columns));
            assert!(sums == expected, "seed {seed} {}", isa.name());
        }
    });
}

#[test]
fn changed_foreign_and_misplaced_item_sums_are_never_used() {
    let golden = golden::model(3);
    assert!(has_item_side(&golden.spec));
    let model = open(&golden.bytes);
    let owned = golden::request(&golden, 1, 3);
    let columns = owned.columns();
    let request = owned.as_request(&columns);
    let sums = item_sums(&model, &request);
    let len = model.item_sums_bytes();
    let status = |model: &Model<'_>, bytes: &[u8], slots: &[u32]| {
        let kept = ItemSums { bytes, slots };
        let request = Request {
            item_sums: Some(kept),
            ..request
        };
        let error = rank(model, &request, 3).map(|_| ()).unwrap_err();
        (error.status, error.candidate)
    };
    for at in (0..32).chain((32..len).step_by(37)).chain([len - 1]) {
        for bit in 0..8 {
            let mut changed = sums.clone();
            changed[len + at] ^= 1 << bit;
            assert_eq!(
                status(&model, &changed, &[]),
                (Status::StaleSums, 1),
                "byte {at} bit {bit}"
            );
            // One that is not asked about may be anything.
            let kept = ItemSums {
                bytes: &changed,
                slots: &[0, ItemSums::NONE, 2],
            };
            let request = Request {
                item_sums: Some(kept),
                ..request
            };
            assert_eq!(
                rank(&model, &request, 3).unwrap().scores,
                rank_owned(&model, &owned).scores
            );
        }
    }
    for bytes in [&sums[..3 * len - 1], &sums[..2 * len], &[]] {
        assert_eq!(status(&model, bytes, &[]).0, Status::BadIndex);
    }
    assert_eq!(status(&model, &sums, &[0, 3, 1]), (Status::BadIndex, 1));
    assert_eq!(
        status(&model, &sums, &[0, u32::MAX - 1, 1]),
        (Status::BadIndex, 1)
    );
    assert_eq!(status(&model, &sums, &[0, 1]).0, Status::ColumnLength);
    // The same network, one byte of whose weights is another: another file, whose sums are as long.
    let other = (64..golden.bytes.len()).rev().find_map(|at| {
        let mut bytes = golden.bytes.clone();
        bytes[at] ^= 1;
        pocketrank::format::seal(&mut bytes);
        let opened = Model::new().open(&bytes, &OpenOptions::default());
        opened.is_ok().then_some(bytes)
    });
    let other = other.unwrap();
    assert_eq!(status(&open(&other), &sums, &[]), (Status::StaleSums, 0));
}

#[test]
fn some_candidates_alone_score_as_in_a_request_of_their_own() {
    each_with_quantiles(0..40, |seed, golden, model| {
        let n = [9, 17, 33, 40][seed as usize % 4];
        let owned = golden::request(golden, seed, n);
        let columns = owned.columns();
        let tasks = golden.spec.tasks.len();
        let mut state = seed;
        let only: Vec<u32> = (0..n as u32).filter(|_| draw(&mut state) % 5 < 3).collect();
        let request = Request {
            only: Some(&only),
            ..owned.as_request(&columns)
        };
        let part = rank(model, &request, n).unwrap();
        assert_eq!(part.summary.scored as usize, only.len());
        let alone = subset(&golden.spec, &owned, &only);
        let alone = if only.is_empty() {
            return;
        } else {
            rank_owned(model, &alone)
        };
        let order: Vec<u32> = alone.order.iter().map(|i| only[*i as usize]).collect();
        assert_eq!(part.order[..only.len()], order, "seed {seed}");
        for candidate in 0..n {
            let scores = &part.scores[candidate * tasks..][..tasks];
            match only.binary_search(&(candidate as u32)) {
                Ok(i) => {
                    assert_eq!(scores, &alone.scores[i * tasks..][..tasks], "seed {seed}");
                    assert_eq!(part.fused[candidate], alone.fused[i]);
                }
                Err(_) => {
                    assert!(scores.iter().all(|s| *s == 0));
                    assert_eq!(part.fused[candidate], f32::NEG_INFINITY.to_bits());
                }
            }
        }
        assert_eq!(part.summary.missing, alone.summary.missing);
        assert_eq!(part.summary.unknown_ids, alone.summary.unknown_ids);
        for bad in [vec![1, 1], vec![2, 1], vec![n as u32], vec![0, u32::MAX]] {
            let request = Request {
                only: Some(&bad),
                ..owned.as_request(&columns)
            };
            assert_eq!(
                rank(model, &request, n).unwrap_err().status,
                Status::BadIndex,
                "{bad:?}"
            );
        }
    });
}

#[test]
fn a_request_in_parts_is_the_request() {
    each_with_quantiles(0..20, |seed, golden, model| {
        let n = 29;
        let owned = golden::request(golden, seed, n);
        let whole = rank_owned(model, &owned);
        let columns = owned.columns();
        let (all, tasks): (Vec<u32>, _) = ((0..n as u32).collect(), golden.spec.tasks.len());
        for cut in [1, 8, 13, 28] {
            let mut scores = vec![7.0; n * tasks];
            let (a, b) = scores.split_at_mut(cut * tasks);
            for (only, scores) in [(&all[..cut], a), (&all[cut..], b)] {
                let request = Request {
                    only: Some(only),
                    ..owned.as_request(&columns)
                };
                with_scratch(model, n, |scratch| {
                    model.score(&request, scratch, scores).unwrap();
                });
            }
            let (mut order, mut fused) = (vec![7; 5], vec![7.0; n]);
            with_scratch(model, n, |scratch| {
                let mut output = Output {
                    order: &mut order,
                    fused: &mut fused,
                    scores: &mut [],
                    terms: &mut [],
                };
                model
                    .order(&owned.as_request(&columns), &scores, scratch, &mut output)
                    .unwrap();
            });
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(
                (&order[..], bits(&fused), bits(&scores)),
                (&whole.order[..5], whole.fused.clone(), whole.scores.clone())
            );
            let mut refused = |scores: &[f32], weights: Option<&[f32]>| {
                let mut output = Output {
                    order: &mut order,
                    fused: &mut fused,
                    scores: &mut [],
                    terms: &mut [],
                };
                let request = Request {
                    weights,
                    ..owned.as_request(&columns)
                };
                with_scratch(model, n, |scratch| {
                    model.order(&request, scores, scratch, &mut output)
                })
                .unwrap_err()
            };
            scores[7 * tasks] = f32::NAN;
            let error = refused(&scores, None);
            assert_eq!((error.status, error.candidate), (Status::NotFinite, 7));
            assert_eq!(refused(&[], None).status, Status::CandidateCount);
            scores[7 * tasks] = 0.0;
            assert_eq!(
                refused(&scores, Some(&[f32::NAN; 99])).status,
                Status::UnknownTask
            );
            if tasks > 1 {
                assert_eq!(refused(&scores[1..], None).status, Status::CandidateCount);
            }
        }
    });
}

#[test]
fn a_session_is_a_fresh_request_about_what_is_left() {
    let mut events = 0;
    each_with_quantiles(0..40, |seed, golden, model| {
        let (spec, n) = (&golden.spec, 21);
        let mut owned = golden::request(golden, seed, n);
        let columns = owned.columns();
        let mut memory = (
            vec![1; model.state_bytes()],
            vec![2; n * model.item_sums_bytes()],
            vec![3; n],
        );
        let begun = with_scratch(model, n, |scratch| {
            let memory = SessionMemory {
                state: &mut memory.0,
                item_sums: &mut memory.1,
                left: &mut memory.2,
            };
            Session::begin(model, &owned.as_request(&columns), scratch, memory)
        });
        let (mut session, _) = begun.unwrap();
        let (mut state, mut left): (_, Vec<u32>) = (seed, (0..n as u32).collect());
        let mut mine = owned.state.take().unwrap_or_else(|| {
            let mut state = vec![0; model.state_bytes()];
            model.state_reset(&mut state).unwrap();
            state
        });
        let today = without_items(spec, &owned);
        let today_columns = today.columns();
        while left.len() > 1 {
            let shown = left.remove(draw(&mut state) as usize % left.len());
            session.shown(shown).unwrap();
            assert_eq!(session.shown(shown).unwrap_err().status, Status::BadIndex);
            if !spec.labels.is_empty() {
                let keys: Vec<Key> = key_features(spec)
                    .map(|feature| Key {
                        feature: feature as u8,
                        hash: hash_int(draw(&mut state) % 50),
                    })
                    .collect();
                let event = Event {
                    time: owned.time + draw(&mut state) as i64 % 100,
                    label: (draw(&mut state) % spec.labels.len() as u64) as u8,
                    value: 1.0,
                    keys: &keys,
                };
                session.feedback(model, &event).unwrap();
                model.state_apply(&mut mine, &event).unwrap();
                events += 1;
            }
            assert_eq!((session.left(), session.state()), (&left[..], &mine[..]));
            let (mut order, mut scores) = (vec![7; left.len()], vec![7.0; n * spec.tasks.len()]);
            let summary = with_scratch(model, n, |scratch| {
                let mut output = Output {
                    order: &mut order,
                    fused: &mut [],
                    scores: &mut scores,
                    terms: &mut [],
                };
                session
                    .rerank(
                        model,
                        &today.as_request(&today_columns),
                        scratch,
                        &mut output,
                    )
                    .unwrap()
            });
            assert_eq!(summary.scored as usize, left.len());
            let fresh: Ranked = rank_owned(
                model,
                &OwnedRequest {
                    state: Some(mine.clone()),
                    ..subset(spec, &owned, &left)
                },
            );
            let expected: Vec<u32> = fresh.order.iter().map(|i| left[*i as usize]).collect();
            assert_eq!(order, expected, "seed {seed}");
            let tasks = spec.tasks.len();
            let bits = left
                .iter()
                .flat_map(|c| &scores[*c as usize * tasks..][..tasks]);
            assert_eq!(
                bits.map(|s| s.to_bits()).collect::<Vec<_>>(),
                fresh.scores,
                "seed {seed}"
            );
        }
        // What would be about something else is refused.
        let other = golden::model(seed + 1);
        let other = open(&other.bytes);
        let mut output = Output {
            order: &mut [],
            fused: &mut [],
            scores: &mut [],
            terms: &mut [],
        };
        with_scratch(&other, n, |scratch| {
            let request = Request {
                num_candidates: n,
                ..Request::default()
            };
            let error = session
                .rerank(&other, &request, scratch, &mut output)
                .unwrap_err();
            assert_eq!(error.status, Status::StaleSums);
        });
        with_scratch(model, n, |scratch| {
            for (request, status) in [
                (
                    Request {
                        num_candidates: n - 1,
                        ..Request::default()
                    },
                    Status::CandidateCount,
                ),
                (
                    Request {
                        num_candidates: n,
                        state: Some(&mine),
                        ..Request::default()
                    },
                    Status::BadOption,
                ),
                (
                    Request {
                        num_candidates: n,
                        only: Some(&[]),
                        ..Request::default()
                    },
                    Status::BadOption,
                ),
            ] {
                let error = session
                    .rerank(model, &request, scratch, &mut output)
                    .unwrap_err();
                assert_eq!(error.status, status);
            }
        });
    });
    assert!(events > 100, "{events}");
}
