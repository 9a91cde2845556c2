//! From fused scores to an order, or to a list under rules: feature `rerank`.
//!
//! ```text
//! fused scores -> boosts -> decays -> diversity -> objective -> the best that spacing rules allow, position by position
//!                             ^          ^                            |
//!                             +----------+------ what is in the list -+
//! ```

#[cfg(feature = "rerank")]
mod chance;
#[cfg(feature = "rerank")]
mod choose;
#[cfg(feature = "rerank")]
mod list;
#[cfg(feature = "rerank")]
mod plan;
#[cfg(feature = "rerank")]
mod rules;
#[cfg(feature = "rerank")]
mod spacing;
#[cfg(feature = "rerank")]
mod spread;
#[cfg(test)]
mod tests;
#[cfg(feature = "rerank")]
mod values;

#[cfg(feature = "rerank")]
pub use chance::PROPENSITY_MIN;
#[cfg(feature = "rerank")]
pub use list::{Report, Scratch, ScratchLen, Slot, rerank, scratch_len};
#[cfg(feature = "rerank")]
pub use plan::SEARCH_STEPS;
#[cfg(feature = "rerank")]
pub use rules::{
    DECAYS, Decay, Diversity, Exploration, FACTOR_MAX, NO_CANDIDATE, NO_KEY, POSITIONS, Part, Pin,
    Rules, SCORE_MAX, SPACINGS, Spacing, THETA_MAX, WINDOW,
};
#[cfg(feature = "rerank")]
pub use spread::RESIDUAL_MIN;

/// Writes the `order.len()` best candidates, best first: higher score first, equal scores by lower index, which is
/// the server's order. Scores must not be NaN. O(n log k), in place.
pub fn top_k(fused: &[f32], order: &mut [u32]) {
    let len = order.len();
    for (i, slot) in order.iter_mut().enumerate() {
        *slot = i as u32;
    }
    // A heap of the k best so far with the worst of them on top.
    for root in (0..len / 2).rev() {
        sift_down(fused, order, root, len);
    }
    for candidate in len..fused.len() {
        let candidate = candidate as u32;
        if let Some(worst) = order.first_mut()
            && precedes(fused, candidate, *worst)
        {
            *worst = candidate;
            sift_down(fused, order, 0, len);
        }
    }
    // The worst goes to the end of a shrinking heap.
    for end in (1..len).rev() {
        swap(order, 0, end);
        sift_down(fused, order, 0, end);
    }
}

fn precedes(fused: &[f32], a: u32, b: u32) -> bool {
    let score = |i: u32| fused.get(i as usize).copied().unwrap_or(f32::NEG_INFINITY);
    let (x, y) = (score(a), score(b));
    x > y || (x == y && a < b)
}

/// Moves what is at `at` down to its place among the first `len`: what is worse comes up instead, a step at a time.
fn sift_down(fused: &[f32], heap: &mut [u32], mut at: usize, len: usize) {
    let heap = heap.get_mut(..len).unwrap_or_default();
    let Some(moved) = heap.get(at).copied() else {
        return;
    };
    while let Some(left) = heap.get(2 * at + 1).copied() {
        let (mut child, mut worst) = (2 * at + 1, left);
        if let Some(right) = heap.get(child + 1).copied()
            && precedes(fused, worst, right)
        {
            (child, worst) = (child + 1, right);
        }
        if !precedes(fused, moved, worst) {
            break;
        }
        if let Some(to) = heap.get_mut(at) {
            *to = worst;
        }
        at = child;
    }
    if let Some(to) = heap.get_mut(at) {
        *to = moved;
    }
}

fn swap(heap: &mut [u32], a: usize, b: usize) {
    if let Ok([x, y]) = heap.get_disjoint_mut([a, b]) {
        core::mem::swap(x, y);
    }
}
