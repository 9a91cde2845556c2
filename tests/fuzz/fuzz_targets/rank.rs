//! A right envelope, then a request from the same bytes: if the file opens, scores are finite.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pocketrank::engine::{Model, OpenOptions, Output, Request, Scratch};
use pocketrank_fuzz::{columns, sealed};

fuzz_target!(|bytes: &[u8]| {
    let file = sealed(bytes);
    let mut model = Box::new(Model::new());
    if model.open(&file, &OpenOptions::default()).is_err() {
        return;
    }
    let candidates = 1 + usize::from(bytes.first().copied().unwrap_or(0)) % 20;
    let need = model.scratch_len(candidates);
    let (mut floats, mut scratch) = (vec![f32::NAN; need.floats], vec![0xaa; need.bytes]);
    let (mut order, mut fused) = (vec![0; candidates], vec![0.0; candidates]);
    let mut scores = vec![0.0; candidates * model.spec().tasks.len()];
    columns(model.spec(), candidates, bytes, |columns| {
        let request = Request { num_candidates: candidates, columns, time: 1_700_000_000, ..Request::default() };
        let mut output = Output { order: &mut order, fused: &mut fused, scores: &mut scores, terms: &mut [] };
        let mut scratch = Scratch { floats: &mut floats, bytes: &mut scratch };
        if model.rank(&request, &mut scratch, &mut output).is_ok() {
            assert!(output.scores.iter().chain(&*output.fused).all(|x| x.is_finite()));
            let mut seen = output.order.to_vec();
            seen.sort_unstable();
            assert!(seen.iter().enumerate().all(|(i, c)| i as u32 == *c));
        }
    });
});
