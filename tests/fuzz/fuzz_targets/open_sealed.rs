//! Any bytes behind a right envelope: what the digest would have stopped must still be refused or be harmless.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pocketrank::engine::{Model, OpenOptions};
use pocketrank_fuzz::sealed;

fuzz_target!(|bytes: &[u8]| {
    let file = sealed(bytes);
    let mut model = Box::new(Model::new());
    let _ = model.open(&file, &OpenOptions::default());
});
