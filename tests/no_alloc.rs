//! Opening a model and ranking allocate nothing.
#![cfg(feature = "train")]
#![allow(unsafe_code, clippy::unwrap_used, missing_docs)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use pocketrank::engine::{Model, OpenOptions, Output, Scratch};
use pocketrank::features::{Event, Key};
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
    for seed in 0..12 {
        let golden = golden::model(seed);
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
                    terms: &mut [],
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
