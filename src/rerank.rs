//! From fused scores to an order.

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

fn sift_down(fused: &[f32], heap: &mut [u32], mut at: usize, len: usize) {
    loop {
        let mut worst = at;
        for child in [2 * at + 1, 2 * at + 2] {
            if child < len
                && let (Some(c), Some(w)) = (heap.get(child), heap.get(worst))
                && precedes(fused, *w, *c)
            {
                worst = child;
            }
        }
        if worst == at {
            return;
        }
        swap(heap, at, worst);
        at = worst;
    }
}

fn swap(heap: &mut [u32], a: usize, b: usize) {
    if let Ok([x, y]) = heap.get_disjoint_mut([a, b]) {
        core::mem::swap(x, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn top_k_equals_a_stable_sort() {
        let mut seed = 7u64;
        for n in 0..70 {
            for levels in [1, 3, 1000] {
                let fused: Vec<f32> = (0..n)
                    .map(|_| {
                        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                        match (seed >> 33) % levels {
                            0 => f32::NEG_INFINITY,
                            1 => -0.0,
                            v => v as f32 - 5.0,
                        }
                    })
                    .collect();
                let mut sorted: Vec<u32> = (0..n).collect();
                sorted.sort_by(|a, b| {
                    fused[*b as usize]
                        .partial_cmp(&fused[*a as usize])
                        .expect("no NaN")
                });
                for k in 0..=n as usize {
                    let mut order = vec![9; k];
                    top_k(&fused, &mut order);
                    assert_eq!(order, sorted[..k], "n {n} k {k}");
                }
            }
        }
    }
}
