//! What a file has for its fusion besides the spec's terms: distributions of scores, and the formula.
use std::prelude::v1::*;

use super::{Options, Run, open, refused_file, replay};
use crate::format::{self, REQUIRED, SectionKind, Writer};
use crate::fusion::{self, formula::QuantilesHead};
use crate::spec::Spec;
use crate::train::error::Result;
use crate::train::formula::Formula;

/// Shares of a distribution at which a table has knots: each 48th, and halves of them towards both ends, since the best
/// candidates of a request are there.
fn shares() -> Vec<f64> {
    const STEPS: i32 = 48;
    let end = 1.0 / f64::from(STEPS);
    let halves = (1..=6).map(|k| end / f64::from(1 << k));
    let mut shares: Vec<f64> = halves.clone().rev().collect();
    shares.extend((1..STEPS).map(|i| f64::from(i) * end));
    shares.extend(halves.map(|share| 1.0 - share));
    shares
}

/// Bytes that the sections of a fusion take at most, with what stands between sections.
pub(super) fn bytes_max(spec: &Spec<'_>, options: &Options) -> usize {
    // At most three knots for two shares.
    let table = 8 + 12 * (shares().len() + 1);
    let quantiles = match options.quantiles {
        true => 2 * spec.tasks.len() * table + format::ALIGN + format::ENTRY_BYTES,
        false => 0,
    };
    let formula = options.formula.as_ref().and_then(|f| f.section().ok());
    quantiles
        + formula.map_or(0, |f| {
            f.as_bytes().len() + format::ALIGN + format::ENTRY_BYTES
        })
}

/// `file` with the distributions of its own scores over the calibration rows, if they are wanted, and the formula.
pub(super) fn attach(run: &mut Run<'_>, options: &Options, file: Vec<u8>) -> Result<Vec<u8>> {
    let mut sections = Vec::new();
    if options.quantiles {
        let model = open(&file)?;
        let replayed = replay(&model, run.calibration)?;
        let section = quantiles(model.spec(), &replayed.scores).map_err(|e| refused_file(&e))?;
        sections.push((SectionKind::Quantiles as u16, 0, section));
    }
    with_formula(file, options.formula.as_ref(), sections)
}

/// `file` with these sections, and the formula in front of them.
pub(super) fn with_formula(
    file: Vec<u8>,
    formula: Option<&Formula>,
    mut sections: Vec<(u16, u32, Writer)>,
) -> Result<Vec<u8>> {
    if let Some(formula) = formula {
        let section = formula.section().map_err(|e| refused_file(&e))?;
        sections.insert(0, (SectionKind::Formula as u16, REQUIRED, section));
    }
    match sections.is_empty() {
        true => Ok(file),
        false => format::append(&file, sections).map_err(|e| refused_file(&e)),
    }
}

/// The section of distributions of scores `[rows, tasks]`.
///
/// # Errors
/// Those of [`Writer::record`].
pub fn quantiles(spec: &Spec<'_>, scores: &[f32]) -> crate::error::Result<Writer> {
    let tasks = spec.tasks.len();
    let mut tables = Vec::new();
    for (t, task) in spec.tasks.iter().enumerate() {
        for entire in [false, true] {
            if entire && task.given.is_none() {
                continue;
            }
            let scores = scores.chunks_exact(tasks);
            let of = |scores: &[f32]| match entire {
                true => fusion::entire(spec, scores, t),
                false => scores[t],
            };
            tables.push((t, entire, knots(scores.map(of).collect())));
        }
    }
    tables.retain(|(_, _, knots)| knots.len() >= 2);
    let mut writer = Writer::default();
    writer.record(&(tables.len() as u16))?;
    for (task, entire, knots) in tables {
        writer.record(&QuantilesHead {
            task: task as u8,
            entire,
            knots: knots.len() as u16,
        })?;
        for x in knots.iter().map(|k| k.0).chain(knots.iter().map(|k| k.1)) {
            writer.bytes(&x.to_le_bytes());
        }
    }
    Ok(writer)
}

/// Knots (score, share of scores below it and half of those equal) of a distribution. Many rows may have one score, at which the
/// share then leaps: it has a knot in the middle of the leap, and one right before and behind it.
fn knots(mut scores: Vec<f32>) -> Vec<(f32, f32)> {
    scores.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let at = (share * scores.len() as f64) as usize;
        scores.get(at).map(|x| fusion::formula::settle(*x))
    };
    // Shares by score; scores nearer to each other than the format lets knots be are one.
    let mut groups: Vec<(f32, Vec<f32>)> = Vec::new();
    for share in shares() {
        let Some(score) = at(share) else {
            return Vec::new();
        };
        match groups.last_mut() {
            Some((last, equal)) if score - *last <= NEAR * score => equal.push(share as f32),
            _ => groups.push((score, vec![share as f32])),
        }
    }
    let mut knots: Vec<(f32, f32)> = Vec::new();
    let mut push = |score: f32, share: f32, most: f32| {
        let last = knots.last().map_or(-1.0, |k| k.0);
        if score >= 0.0 && score - last > NEAR / 4.0 * score && most - score > NEAR / 4.0 * most {
            knots.push((score, share));
        }
    };
    for (i, (score, equal)) in groups.iter().enumerate() {
        let next = groups.get(i + 1).map_or(f32::MAX, |g| g.0);
        let (Some(first), Some(last)) = (equal.first(), equal.last()) else {
            continue;
        };
        let leaps = equal.len() > 1;
        if leaps && *score > 0.0 {
            push(score - score * (NEAR / 2.0), *first, *score);
        }
        push(*score, (first + last) / 2.0, next);
        if leaps {
            push(score + (score * (NEAR / 2.0)).max(1e-12), *last, next);
        }
    }
    knots
}

/// Distance of two scores, as a share of the greater, below which they are one: eight times what the format asks for, so that a
/// leap has room for its knots.
const NEAR: f32 = 8e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knots_follow_the_distribution_and_merge_where_scores_are_equal() {
        let uniform = knots((0..10_000).map(|i| i as f32 / 10_000.0).collect());
        assert_eq!(uniform.len(), shares().len());
        for (x, p) in &uniform {
            assert!((x - p).abs() < 2e-4, "{x} {p}");
        }
        // A third of the scores is 0.5.
        let mut atom: Vec<f32> = (0..6_000).map(|i| i as f32 / 6_000.0).collect();
        atom.extend([0.5; 3_000]);
        let atom = knots(atom);
        let at = atom.iter().find(|k| k.0 == 0.5).map(|k| k.1);
        assert!(at.is_some_and(|p| (p - 0.5).abs() < 0.01), "{at:?}");
        assert!(atom.windows(2).all(|k| k[0].0 < k[1].0 && k[0].1 <= k[1].1));
        // Right before and behind the leap are its ends.
        let near = |x: f32| atom.iter().find(|k| (k.0 - x).abs() < 1e-7).map(|k| k.1);
        let ends = (near(0.499_998), near(0.500_002));
        assert!(
            ends.0.is_some_and(|p| (p - 0.35).abs() < 0.02)
                && ends.1.is_some_and(|p| (p - 0.65).abs() < 0.02),
            "{ends:?} {atom:?}"
        );
        assert_eq!(knots(vec![0.25; 100]).len(), 3);
        assert_eq!(knots(vec![0.0; 100]).len(), 2);
        assert!(knots(Vec::new()).is_empty());
    }
}
