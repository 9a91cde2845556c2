//! Any bytes as the programs of a formula whose records are right: if it opens for the model, every term of it is finite for any
//! input and weight within their bounds. (Any bytes as records are what `open_sealed` feeds models with formulas.)
#![no_main]
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use pocketrank::engine::{Model, OpenOptions};
use pocketrank::features::hash_text;
use pocketrank::format::Writer;
use pocketrank::fusion::formula::{
    CODE_BYTES, Code, ENVELOPE_BYTES, Form, LANES, MAGIC, MOST, Named, Term, VERSION, Weight, range, run,
};
use pocketrank::spec::{Encoding, Feature, Spec};

#[path = "../../abi/tiny_model.rs"]
mod tiny_model;

static FILE: OnceLock<Vec<u8>> = OnceLock::new();

/// A value of [low, high]: an end of it, or between.
fn between(low: f32, high: f32, byte: u8) -> f32 {
    match byte {
        0 => low,
        255 => high,
        _ => (low + (high - low) * f32::from(byte) / 255.0).clamp(low, high),
    }
}

/// Scores in two forms and a feature as inputs, a positive weight and one of any sign, as many terms as the code ends.
fn records(spec: &Spec<'_>, code: &[u8]) -> pocketrank::error::Result<Writer> {
    let (mut terms, mut rest) = (0u8, code);
    while let Some((instruction, after)) = Code::next(rest) {
        terms = terms.saturating_add(u8::from(instruction == Code::End));
        rest = after;
    }
    let is_number = |f: &&Feature<'_>| matches!(f.encoding, Encoding::Number { .. });
    let number = spec.features.iter().find(is_number).map_or("", |f| f.name);
    let mut body = Writer::default();
    body.record(&(1u16, 3u8, 2u8, terms, code.len() as u16))?;
    body.bytes(b"a");
    for (task, form) in [(0, Form::Calibrated), (1, Form::Raw)] {
        body.record(&Named::Score { task: spec.tasks[task].name, entire: false, form })?;
    }
    body.record(&Named::Feature { feature: number })?;
    for (name, least) in [("v", 0.5), ("w", -2.0)] {
        body.record(&Weight { name, value: 1.0, least, most: 2.0 })?;
    }
    for _ in 0..terms {
        body.record(&Term { start: 0, end: 1 })?;
    }
    body.bytes(code);
    Ok(body)
}

fuzz_target!(|bytes: &[u8]| {
    let mut model = Box::new(Model::new());
    model.open(FILE.get_or_init(tiny_model::tiny_model), &OpenOptions::default()).expect("a valid file");
    let code = &bytes[..bytes.len().min(CODE_BYTES)];
    let body = records(model.spec(), code).expect("names are short");
    let mut rest = VERSION.to_le_bytes().to_vec();
    rest.extend_from_slice(&((ENVELOPE_BYTES + body.as_bytes().len()) as u32).to_le_bytes());
    rest.extend_from_slice(body.as_bytes());
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&hash_text(&rest).to_le_bytes());
    file.extend_from_slice(&rest);
    let Ok(formula) = model.open_formula(&file) else {
        return;
    };
    let byte = |i: usize| bytes[(i * 7 + 3) % bytes.len()];
    for round in 0..8 {
        let mut terms = 0;
        run(
            formula.code(),
            &mut |input, to| {
                let bounds = range(model.spec(), formula.inputs()[usize::from(input)]).expect("it was opened");
                for (lane, to) in to.iter_mut().enumerate() {
                    *to = between(bounds.low, bounds.high, byte(round * LANES + lane + usize::from(input)));
                }
            },
            &|weight| {
                let weight = formula.weights()[usize::from(weight)];
                between(weight.least, weight.most, byte(round))
            },
            &mut |values| {
                terms += 1;
                assert!(values.iter().all(|x| x.abs() <= MOST));
            },
        );
        assert_eq!(terms, formula.terms().count());
    }
});
