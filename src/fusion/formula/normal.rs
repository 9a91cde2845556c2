//! Inputs whose meaning outlives a model: a score's rank in its request, and its quantile.

use crate::error::{Error, Result, Status};
use crate::format::{Reader, SectionKind};
use crate::spec::{Spec, limits};
use serde::{Deserialize, Serialize};

/// Knots of a quantile table, at most.
pub const KNOTS: usize = 128;

/// The distribution of a score, as the exporter saw it: P(score <= x) at some x, linear between.
#[derive(Clone, Copy, Debug)]
pub struct Quantiles<'a> {
    /// Task index.
    pub task: u8,
    /// Of the score per impression.
    pub entire: bool,
    /// Increasing scores, then their probabilities: little-endian f32.
    knots: &'a [u8],
}

/// What stands before the knots of a table.
#[derive(Serialize, Deserialize)]
pub(crate) struct QuantilesHead {
    pub task: u8,
    pub entire: bool,
    pub knots: u16,
}

impl<'a> Quantiles<'a> {
    /// Share of impressions whose score is at most `score`, by the table: in [0, 1], and 0 or 1 outside.
    pub fn at(&self, score: f32) -> f32 {
        let (x, p) = self.columns();
        let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
        // The first knot above the score.
        let above = x.partition_point(|x| number(x) <= score);
        let knot = |i: usize| Some((number(x.get(i)?), number(p.get(i)?)));
        match (above.checked_sub(1).and_then(knot), knot(above)) {
            (Some(left), Some(right)) => {
                let share = (score - left.0) / (right.0 - left.0);
                left.1 + (right.1 - left.1) * share
            }
            (Some(last), None) => last.1,
            (None, Some(first)) => first.1,
            (None, None) => 0.0,
        }
    }

    fn columns(&self) -> (&'a [[u8; 4]], &'a [[u8; 4]]) {
        let (x, p) = self
            .knots
            .split_at_checked(self.knots.len() / 2)
            .unwrap_or_default();
        (x.as_chunks::<4>().0, p.as_chunks::<4>().0)
    }

    /// The tables of a section, each handed to `put`.
    ///
    /// # Errors
    /// [`Status::BadRecord`], [`Status::NotCanonical`], [`Status::Inconsistent`] for a table of no task or one of two,
    /// [`Status::BadScale`] for knots that do not increase.
    pub(crate) fn read(
        mut reader: Reader<'a>,
        spec: &Spec<'_>,
        put: &mut dyn FnMut(Quantiles<'a>) -> Result<()>,
    ) -> Result<()> {
        let count: u16 = reader.record()?;
        // By task and kind, in increasing order.
        let mut least = 0;
        for _ in 0..count {
            let here = reader.offset();
            let head: QuantilesHead = reader.record()?;
            let place = usize::from(head.task) * 2 + usize::from(head.entire);
            if place < least || usize::from(head.task) >= spec.tasks.len() {
                return Err(Error::at(Status::Inconsistent, here));
            }
            least = place + 1;
            let knots = usize::from(head.knots);
            if !(2..=KNOTS).contains(&knots) {
                return Err(Error::at(Status::OverLimit, here));
            }
            let knots = reader.bytes(knots * 8)?;
            if !are_valid(knots) {
                return Err(Error::at(Status::BadScale, here));
            }
            put(Quantiles {
                task: head.task,
                entire: head.entire,
                knots,
            })?;
        }
        reader.finish()
    }
}

/// Scores within [0, 2^40] increase by a millionth of themselves or more, probabilities do not fall.
fn are_valid(knots: &[u8]) -> bool {
    let (x, p) = knots.split_at_checked(knots.len() / 2).unwrap_or_default();
    let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    let usual = |x: f32| x == 0.0 || x >= super::op::LEAST;
    let (mut last_x, mut last_p) = (-1.0, 0.0);
    for (x, p) in x.as_chunks::<4>().0.iter().zip(p.as_chunks::<4>().0) {
        let (x, p) = (number(x), number(p));
        let rises = x > last_x && x - last_x >= x * 1e-6 && x <= (1u64 << 40) as f32;
        if !(rises && usual(x) && p >= last_p && p <= 1.0 && usual(p)) {
            return false;
        }
        (last_x, last_p) = (x, p);
    }
    true
}

/// Replaces scores by their ranks within the request: (scores below + half of those equal, its own among them) / all, in
/// (0, 1). `sorted` and `spare` are as long. Scores are not negative.
///
/// By radix, 8 bits at a time: the bits of floats that are not negative have the order of the floats.
pub fn rank(scores: &mut [f32], sorted: &mut [f32], spare: &mut [f32]) {
    // Not `copy_from_slice`, whose panic a compiler for wasm leaves in.
    for (to, from) in sorted.iter_mut().zip(&*scores) {
        *to = *from;
    }
    let (mut from, mut to) = (&mut *sorted, spare);
    for shift in [0, 8, 16, 24] {
        let digit = |x: f32| (x.to_bits() >> shift & 255) as u8;
        let mut starts = [0u16; 256];
        for x in &*from {
            if let Some(start) = starts.get_mut(usize::from(digit(*x))) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            (sum, *start) = (sum + *start, sum);
        }
        for x in &*from {
            if let Some(start) = starts.get_mut(usize::from(digit(*x))) {
                if let Some(to) = to.get_mut(usize::from(*start)) {
                    *to = *x;
                }
                *start += 1;
            }
        }
        core::mem::swap(&mut from, &mut to);
    }
    // After four passes the order stands where it began.
    let count = (2 * from.len()) as f32;
    for score in scores {
        let below = from.partition_point(|x| *x < *score);
        let not_above = from.partition_point(|x| *x <= *score);
        *score = (below + not_above) as f32 / count;
    }
}

const _: () = assert!(limits::CANDIDATES <= u16::MAX as usize);
const _: () = assert!(SectionKind::Quantiles as u16 == 17);
