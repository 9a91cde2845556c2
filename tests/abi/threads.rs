//! Any number of threads on one model, each with its own scratch, give the bits that one thread gives; also while another
//! thread opens the next model and swaps it in, the way an app does it: the old one is closed after its last call.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use pocketrank::ffi::*;

use super::tiny_model;
use super::values::*;

/// A model for all threads, closed when the last lets go of it.
struct Shared {
    opened: Opened,
    /// What one thread alone ranks.
    alone: Bits,
}

// SAFETY: a model is immutable until it is closed, and `&mut Opened` is taken only before it is shared.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: nobody holds this model any more.
        assert_eq!(unsafe { pkr_model_close(self.opened.model) }, PKR_OK);
    }
}

type Bits = (Vec<u32>, Vec<u32>, Vec<u32>);

fn rank(opened: &Opened, values: &Values, scratch: *mut pkr_scratch) -> Bits {
    let columns = values.columns();
    let request = values.request(&columns);
    let (mut order, mut fused, mut scores) = ([9; N], [9.0; N], [9.0; 2 * N]);
    let mut result = result(&mut order, &mut fused, &mut scores);
    // SAFETY: all memory is live, and the scratch is this thread's.
    let status = unsafe { pkr_rank(opened.model, scratch, &request, &mut result, null_mut()) };
    assert_eq!(status, PKR_OK, "{:?}", status_name(status));
    (order.to_vec(), bits(&fused), bits(&scores))
}

/// A user with a past.
fn values(opened: &Opened) -> Values {
    let mut values = Values::new(opened);
    assert_eq!(click(opened, &mut values, "bb", 2000), PKR_OK);
    values
}

fn shared(seed: u64) -> Arc<Shared> {
    let opened = Opened::open_file(tiny_model::seeded(seed));
    let (_memory, scratch) = opened.scratch(N as u32);
    let alone = rank(&opened, &values(&opened), scratch);
    Arc::new(Shared { opened, alone })
}

#[test]
fn one_to_sixty_four_threads_on_one_model_give_the_same_bits() {
    let model = shared(1);
    for threads in (0..=6).map(|n| 1 << n) {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let values = values(&model.opened);
                    let (_memory, scratch) = model.opened.scratch(N as u32);
                    for _ in 0..20 {
                        assert_eq!(rank(&model.opened, &values, scratch), model.alone);
                    }
                });
            }
        });
    }
}

#[test]
fn a_model_swapped_in_while_threads_rank_gives_its_own_bits() {
    let (first, second) = (shared(1), shared(2));
    assert_ne!(first.alone, second.alone);
    for threads in (0..=6).map(|n| 1 << n) {
        let current = RwLock::new(first.clone());
        let ranked = [AtomicUsize::new(0), AtomicUsize::new(0)];
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let values = values(&first.opened);
                    // One scratch serves both models.
                    let (_memory, scratch) = first.opened.scratch(N as u32);
                    // Until both models have been met by some thread.
                    let mut rounds = 0;
                    while rounds < 10 || ranked.iter().any(|n| n.load(Ordering::Relaxed) == 0) {
                        let model = current.read().unwrap().clone();
                        assert_eq!(rank(&model.opened, &values, scratch), model.alone);
                        let which = usize::from(model.alone == second.alone);
                        ranked[which].fetch_add(1, Ordering::Relaxed);
                        rounds += 1;
                    }
                });
            }
            let mut seeds = [2, 1].into_iter().cycle();
            let mut swaps = 0;
            while swaps < 6 || ranked.iter().any(|n| n.load(Ordering::Relaxed) == 0) {
                *current.write().unwrap() = shared(seeds.next().unwrap());
                swaps += 1;
            }
        });
    }
}
