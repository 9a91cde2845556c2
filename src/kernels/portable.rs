//! Plain Rust kernels, on every CPU. What they return is the specification of the others.

use crate::spec::{GROUP, PANEL};

/// Sums of one input row against one panel of weights; see [`super::panel`].
#[inline]
pub(super) fn panel(input: &[u8], weight: &[u8]) -> [i32; PANEL] {
    let mut acc = [0i32; PANEL];
    let weights = weight.as_chunks::<{ PANEL * GROUP }>().0;
    for (x, w) in input.as_chunks::<GROUP>().0.iter().zip(weights) {
        let x = x.map(i32::from);
        for (acc, w) in acc.iter_mut().zip(w.as_chunks::<GROUP>().0) {
            // Four products of at most 127 x 127 in magnitude: no order of adding can overflow.
            let w = w.map(|w| i32::from(w as i8));
            *acc = acc.wrapping_add(x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3]);
        }
    }
    acc
}

/// Dot product; see [`super::dot`].
#[inline]
pub(super) fn dot(input: &[u8], weight: &[u8]) -> i32 {
    input.iter().zip(weight).fold(0i32, |acc, (x, w)| {
        acc.wrapping_add(i32::from(*x) * i32::from(*w as i8))
    })
}
