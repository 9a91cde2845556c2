//! Values that calls refuse, and what they say of them: statuses, details, outputs untouched. `matrix.rs` has every pointer.

#[path = "misuse/open.rs"]
mod open;
#[path = "misuse/rank.rs"]
mod rank;
#[path = "misuse/state.rs"]
mod state;

fn off<T>(pointer: *const T) -> *const T {
    pointer.cast::<u8>().wrapping_add(1).cast()
}

/// Elements whose bytes overflow.
const HUGE: usize = usize::MAX / 2;
