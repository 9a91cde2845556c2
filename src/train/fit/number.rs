//! What numbers learn from the training rows: transform, default, grid, buckets; and the means of labels.
use std::io;
use std::path::Path;
use std::prelude::v1::*;

use super::values::Values;
use super::{FittedFeature, IDENTITY};
use crate::spec::{NumberGrid, Transform};
use crate::train::description::{DefaultValue, Feature as Described, FeatureKind, TransformStep};

/// Input bytes of a number's value. With 1, the grid of numbers was the largest source of noise in the scores of the
/// simulated feed; docs/numerics.md has the figures.
pub(super) fn number_bytes(f: &Described) -> u8 {
    f.bytes.unwrap_or(4)
}

/// The grid of the values that a transform lets through, if the value is an input.
pub(super) fn grid(f: &Described, t: &Transform) -> Option<NumberGrid> {
    if f.value == Some(false) {
        return None;
    }
    // 0 lies inside, so that it has bytes of its own.
    let (least, most) = (t.apply(t.low).min(0.0), t.apply(t.high).max(0.0));
    let range = f64::from(most) - f64::from(least);
    let bytes = number_bytes(f);
    let steps = 127.0 * f64::from(bytes);
    let inv_scale = if range > 1e-9 { steps / range } else { 1.0 } as f32;
    let zero_point = libm::rint(f64::from(-least) * f64::from(inv_scale)).clamp(0.0, steps) as u16;
    Some(NumberGrid {
        inv_scale,
        zero_point,
        bytes,
    })
}

/// The steps of a number's transform; derived kinds have some of their own.
pub(crate) fn steps(f: &Described) -> &[TransformStep] {
    let default: &[TransformStep] = match f.kind {
        FeatureKind::Count | FeatureKind::Since => {
            &[TransformStep::Log1p, TransformStep::Standardize]
        }
        FeatureKind::Rate | FeatureKind::KeyRate | FeatureKind::Previous | FeatureKind::Combine => {
            &[TransformStep::Standardize]
        }
        _ => &[],
    };
    f.transform.as_deref().unwrap_or(default)
}

/// Factor that makes a spread 1; a constant feature has none and becomes 0.
fn scale(spread: f64) -> f32 {
    if spread > 1e-10 {
        (1.0 / spread) as f32
    } else {
        1.0
    }
}

/// Shift and scale of (x - mean) / deviation.
pub(super) fn standardize(t: &mut Transform, [mean, deviation]: [f64; 2]) {
    (t.shift, t.scale) = (mean as f32, scale(deviation));
}

/// Shift and scale that make the range of what the transform lets through 0 to 1.
pub(super) fn minmax(t: &mut Transform) {
    (t.shift, t.scale) = (0.0, 1.0);
    let (least, most) = (t.apply(t.low), t.apply(t.high));
    (t.shift, t.scale) = (least, scale(f64::from(most) - f64::from(least)));
}

/// A label's value as the user state keeps it.
pub(super) fn kept_label(x: f32, log1p: bool) -> f64 {
    let kept = if log1p {
        libm::log1p(x.into())
    } else {
        x.into()
    };
    kept.clamp(0.0, 65535.0)
}

/// Transform, default, grid and buckets of raw values; NaN is missing.
///
/// The transform clips to the range of these values (within the description's clip), so that what the grid cannot
/// hold saturates in f32 training as it does on the device.
pub(super) fn learn_number(
    f: &Described,
    fitted: &mut FittedFeature,
    values: Values,
    previous: Option<&FittedFeature>,
    folder: Option<&Path>,
) -> io::Result<()> {
    if let Some(previous) = previous {
        (fitted.transform, fitted.default) = (previous.transform, previous.default);
        fitted.boundaries.clone_from(&previous.boundaries);
        fitted.value = grid(f, &fitted.transform);
        return Ok(());
    }
    let steps = steps(f);
    let log1p = steps.contains(&TransformStep::Log1p);
    let mut t = Transform { log1p, ..IDENTITY };
    if log1p {
        t.low = 0.0;
    }
    if let Some([low, high]) = f.clip {
        (t.low, t.high) = (low, high);
    }
    // Adding 0 makes 0 of -0, so that equal values have one bit pattern.
    let raw = values.sorted(|x| (!x.is_nan()).then(|| t.clip(x) + 0.0), folder)?;
    let count = raw.len().max(1) as f64;
    let mean = raw.sum(f64::from)? / count;
    let given = match &f.default {
        Some(DefaultValue::Number(x)) => Some(*x as f32),
        _ => None,
    };
    fitted.default = given.unwrap_or(mean as f32);
    let middle = t.clip(fitted.default);
    let (mut low, mut high) = match (raw.at(0)?, raw.at(raw.len().saturating_sub(1))?) {
        (Some(first), Some(last)) => (first, last),
        _ => (middle, middle),
    };
    if given.is_some() {
        (low, high) = (low.min(middle), high.max(middle));
    }
    (t.low, t.high) = (low, high);
    if steps.contains(&TransformStep::Standardize) {
        let mean = raw.sum(|x| f64::from(t.apply(x)))? / count;
        let square = |x: f32| (f64::from(t.apply(x)) - mean) * (f64::from(t.apply(x)) - mean);
        let variance = raw.sum(square)? / count;
        standardize(&mut t, [mean, libm::sqrt(variance)]);
    } else if steps.contains(&TransformStep::Minmax) {
        minmax(&mut t);
    }
    fitted.transform = t;
    fitted.value = grid(f, &t);
    if let Some(buckets) = f.buckets.map(usize::from) {
        let mut last = low;
        for i in 1..buckets {
            let Some(b) = raw.at(i * raw.len() / buckets)? else {
                continue;
            };
            // Hosts may take a subnormal number for 0. A boundary at the least value would leave a bucket empty.
            let b = if b.is_subnormal() { 0.0 } else { b };
            if b > last {
                fitted.boundaries.push(b);
                last = b;
            }
        }
    }
    Ok(())
}
