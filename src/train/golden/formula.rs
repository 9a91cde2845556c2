//! Random formulas for golden models, and distributions of scores that they may read.
use std::prelude::v1::*;

use super::{Draw, GoldenModel};
use crate::format::{self, REQUIRED, SectionKind, Writer};
use crate::fusion::formula::QuantilesHead;
use crate::spec::{Encoding, Feature, Source, Spec};
use crate::train::formula::{Formula, Weight};
use crate::train::quantize::quantize;
use crate::train::random::Key;

/// Weights of a request, within the bounds of those.
pub(super) const OTHER_WEIGHTS: [f32; 3] = [3.0, 0.5, -1.5];

/// Weights of every formula; each uses some of them.
fn weights() -> Vec<Weight> {
    let weight = |(name, value, least, most): (&str, f32, f32, f32)| Weight {
        name: name.to_string(),
        value,
        least,
        most,
    };
    [
        ("w0", 1.0, 0.0, 10.0),
        ("w1", 0.25, 0.125, 4.0),
        ("w2", -0.5, -2.0, 2.0),
    ]
    .map(weight)
    .to_vec()
}

/// Formula number `seed` for models like `spec`: of one to five terms, with every operation and form of a score in some.
pub fn formula(spec: &Spec<'_>, seed: u64) -> Formula {
    let root = Draw(Key::new(seed).at(0x666f_726d_756c_6100));
    let text = |attempt: usize| {
        let draw = root.at(attempt);
        let terms = draw.at(0).int(1, 5);
        let terms = (0..terms).map(|i| expression(spec, draw.at(i + 1), 4));
        terms.collect::<Vec<_>>().join(" + ")
    };
    let compile = |attempt| Formula::compile(&text(attempt), spec, &weights()).ok();
    (0..)
        .find_map(compile)
        .expect("one in a few attempts has bounds")
}

/// A term; some have no bounds.
fn expression(spec: &Spec<'_>, draw: Draw, depth: usize) -> String {
    let part = |i: usize| expression(spec, draw.at(10 + i), depth.saturating_sub(1));
    let kind = match depth {
        0 => 0,
        _ => draw.at(1).int(0, 23),
    };
    match kind {
        0..5 => leaf(spec, draw.at(2)),
        5 => format!("({} + {})", part(0), part(1)),
        6 => format!("({} - {})", part(0), part(1)),
        7 | 8 => format!("{} * {}", part(0), part(1)),
        9 => format!("{} / max({}, 0.125)", part(0), part(1)),
        10 => format!("min({}, {})", part(0), part(1)),
        11 => format!("max({}, {}, {})", part(0), part(1), part(2)),
        12 => format!(
            "max(0, min({}, 100)) ^ max(0, min(3, {}))",
            part(0),
            part(1)
        ),
        13 => format!("({} < {})", part(0), part(1)),
        14 => format!(
            "({} >= {} and not {} == {})",
            part(0),
            part(1),
            part(2),
            part(0)
        ),
        15 => format!("({} <= {} or {} != 0)", part(0), part(1), part(2)),
        16 => format!("-abs({})", part(0)),
        17 => format!("exp(min({}, 8))", part(0)),
        18 => format!("log(max({}, 0.001))", part(0)),
        19 => format!("log1p(max({}, 0))", part(0)),
        20 => format!("sqrt(max({}, 0))", part(0)),
        21 => format!("sigmoid({})", part(0)),
        22 => format!("logit(max(0, min(1, {})))", part(0)),
        _ => format!("if({}, {}, {})", part(0), part(1), part(2)),
    }
}

fn leaf(spec: &Spec<'_>, draw: Draw) -> String {
    let is_number = |f: &&Feature<'_>| {
        matches!(f.encoding, Encoding::Number { .. }) && f.source == Source::Column
    };
    let numbers = spec.features.iter().filter(is_number);
    let numbers: Vec<&str> = numbers.map(|f| f.name).collect();
    let task = spec.tasks[draw.at(0).int(0, spec.tasks.len() - 1)].name;
    match draw.at(1).int(0, 11) {
        0 => format!("`{task}`"),
        1 => format!("entire(`{task}`)"),
        2 => format!("raw(`{task}`)"),
        3 => format!("rank(`{task}`)"),
        4 => format!("rank(entire(`{task}`))"),
        5 => format!("quantile(`{task}`)"),
        6 => format!("quantile(entire(`{task}`))"),
        7 | 8 if !numbers.is_empty() => {
            let at = draw.at(2).int(0, numbers.len() - 1);
            // Raw values are far apart.
            format!("min(max(`{}`, -50), 50)", numbers[at])
        }
        9 => format!("{}", draw.at(3).int(1, 64) as f32 / 16.0),
        _ => format!("w{}", draw.at(4).int(0, 2)),
    }
}

/// `model` with formula number `seed` in place of its terms, and with distributions of all scores, of 2 to 9 knots each.
pub fn with_formula(model: &GoldenModel, seed: u64) -> GoldenModel {
    let mut spec = model.spec.clone();
    spec.fusion.clear();
    let made = quantize(&spec, &model.parameters, &model.lookups).and_then(|file| {
        let formula = formula(&spec, seed).section()?;
        let tables = quantiles(&spec, seed)?;
        let sections = [
            (SectionKind::Formula, REQUIRED, formula),
            (SectionKind::Quantiles, 0, tables),
        ];
        let sections = sections.map(|(kind, flags, section)| (kind as u16, flags, section));
        format::append(&file, sections.into())
    });
    GoldenModel {
        bytes: made.expect("golden models are valid"),
        spec,
        ..model.clone()
    }
}

fn quantiles(spec: &Spec<'_>, seed: u64) -> crate::error::Result<Writer> {
    let root = Draw(Key::new(seed).at(0x7175_616e_7469_6c65));
    let mut tables = Writer::default();
    let all: Vec<(usize, bool)> = (0..spec.tasks.len())
        .flat_map(|t| [(t, false), (t, true)])
        .filter(|(t, entire)| !entire || spec.tasks[*t].given.is_some())
        .collect();
    tables.record(&(all.len() as u16))?;
    for (i, (task, entire)) in all.into_iter().enumerate() {
        let draw = root.at(i);
        let knots = draw.at(0).int(2, 9);
        tables.record(&QuantilesHead {
            task: task as u8,
            entire,
            knots: knots as u16,
        })?;
        let increasing = |draw: Draw, least: usize, most: usize| {
            let mut sum = 0;
            let steps = (0..knots).map(|k| {
                sum += draw.at(k).int(least, most);
                sum as f32 / 1024.0
            });
            steps.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()
        };
        tables.bytes(&increasing(draw.at(1), 1, 200));
        tables.bytes(&increasing(draw.at(2), 0, 100));
    }
    Ok(tables)
}
