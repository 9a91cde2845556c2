//! Opening a model and ranking allocate nothing.
#![cfg(feature = "train")]
#![allow(unsafe_code, clippy::unwrap_used, missing_docs)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use pocketrank::engine::{Model, OpenOptions, Output, Scratch};
use pocketrank::features::{Event, Key};
use pocketrank::rerank::{self, Decay, Diversity, Exploration, Rules, Slot, Spacing};
use pocketrank::train::golden;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every method is System's own; counting touches a const-initialized thread local, which does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = CALLS.try_with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's contract is System's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let _ = CALLS.try_with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's contract is System's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> usize {
    let before = CALLS.with(Cell::get);
    run();
    CALLS.with(Cell::get) - before
}

#[test]
fn open_state_and_rank_allocate_nothing() {
    assert!(
        allocations(|| drop(core::hint::black_box(Box::new(1)))) > 0,
        "the counter counts"
    );
    for seed in 0..24 {
        let mut golden = golden::model(seed % 12);
        if seed >= 12 {
            golden = golden::with_formula(&golden, seed);
        }
        if seed % 5 == 4 {
            golden = golden::attending(seed);
        }
        if seed % 5 == 3 {
            golden = golden::with_levels(seed);
        }
        if seed % 5 == 1 {
            golden = golden::with_quantiles(&golden, seed);
        }
        let request = golden::request(&golden, seed, 30);
        let columns = request.columns();
        let mut model = Box::new(Model::new());
        let opened = allocations(|| model.open(&golden.bytes, &OpenOptions::default()).unwrap());
        assert_eq!(opened, 0);

        let mut state = vec![0; model.state_bytes()];
        let keys: Vec<Key> = (0..golden.spec.features.len() as u8)
            .map(|feature| Key { feature, hash: 5 })
            .collect();
        let event = Event {
            time: 9,
            label: 1,
            value: 3.0,
            keys: &keys,
        };
        let applied = allocations(|| {
            model.state_reset(&mut state).unwrap();
            model.state_apply(&mut state, &event).unwrap();
        });
        assert_eq!(applied, 0);

        let need = model.scratch_len(30);
        let (mut floats, mut bytes) = (vec![0.0; need.floats], vec![0; need.bytes]);
        let (mut order, mut fused) = (vec![0; 30], vec![0.0; 30]);
        let mut scores = vec![0.0; 30 * golden.spec.tasks.len()];
        let mut terms = vec![0.0; 30 * model.num_terms()];
        for strict in [false, true] {
            let request = pocketrank::engine::Request {
                strict,
                ..request.as_request(&columns)
            };
            let ranked = allocations(|| {
                let mut scratch = Scratch {
                    floats: &mut floats,
                    bytes: &mut bytes,
                };
                let mut output = Output {
                    order: &mut order,
                    fused: &mut fused,
                    scores: &mut scores,
                    terms: &mut terms,
                };
                let answer = model.rank(&request, &mut scratch, &mut output);
                assert!(strict || answer.is_ok());
            });
            assert_eq!(ranked, 0);
        }
        let mut cut = golden.bytes.clone();
        cut.pop();
        let mut other = Box::new(Model::new());
        assert_eq!(
            allocations(|| assert!(other.open(&cut, &OpenOptions::default()).is_err())),
            0
        );
    }
}

#[test]
fn lists_under_rules_allocate_nothing() {
    const N: usize = 60;
    let keys: Vec<u64> = (0..N as u64).map(|i| i * i % 7).collect();
    let fused: Vec<f32> = (0..N).map(|i| (i * 29 % 60) as f32 - 30.0).collect();
    let vectors: Vec<i8> = (0..N * 8).map(|i| (i * 37 % 255) as u8 as i8).collect();
    let sigma = vec![0.5; N];
    let spacings = [Spacing::gap(&keys, 4), Spacing::gap(&keys, 9)];
    let decays = [Decay {
        keys: &keys,
        factor: 0.5,
        floor: 0.1,
    }];
    let need = rerank::scratch_len(N, 40, 8);
    let (mut floats, mut words) = (vec![0.0; need.floats], vec![0; need.words]);
    let mut slots = vec![Slot::default(); 40];
    for exploration in [
        Exploration::None,
        Exploration::Thompson {
            seed: 1,
            sigma: &sigma,
        },
    ] {
        for diversity in [
            Diversity::Mmr { lambda: 0.5 },
            Diversity::Dpp { theta: 1.0 },
        ] {
            let rules = Rules {
                spacings: &spacings,
                decays: &decays,
                diversity,
                vectors: &vectors,
                dim: 8,
                exploration,
                ..Rules::default()
            };
            let made = allocations(|| {
                let mut scratch = rerank::Scratch {
                    floats: &mut floats,
                    words: &mut words,
                };
                rerank::rerank(&rules, &fused, &mut scratch, &mut slots).unwrap();
            });
            assert_eq!(made, 0);
        }
    }
    let golden = golden::model(3);
    let request = golden::request(&golden, 3, 30);
    let columns = request.columns();
    let mut model = Box::new(Model::new());
    model.open(&golden.bytes, &OpenOptions::default()).unwrap();
    for feature in 0..golden.spec.features.len() {
        if let Ok(dim) = model.vector_dim(feature) {
            let mut out = vec![0; 30 * dim];
            let request = request.as_request(&columns);
            let made = allocations(|| {
                model.vectors(&request, feature, &mut out).unwrap();
            });
            assert_eq!(made, 0);
        }
    }
}
