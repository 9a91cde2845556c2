//! Any bytes: opened or refused, never a panic.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pocketrank::engine::{Model, OpenOptions};

fuzz_target!(|bytes: &[u8]| {
    let mut model = Box::new(Model::new());
    let _ = model.open(bytes, &OpenOptions::default());
});
