//! Kernels by instruction set and shape: `cargo bench --bench kernels [FILTER]`.
//!
//! Ids are `kernel/isa/shape`. Compare lines of one run: machines differ and are busy.
#![allow(missing_docs)]

use core::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use pocketrank::kernels::{self, Affine, BLOCK, Isa, Mixture, Part, Rows, Start};
use pocketrank::spec::PANEL;

fn main() {
    divan::main();
}

/// Instruction sets of this CPU; the last is the best.
fn isas() -> Vec<&'static str> {
    Isa::available().iter().map(|isa| isa.name()).collect()
}

fn isa(name: &str) -> Isa {
    let found = Isa::available().into_iter().find(|isa| isa.name() == name);
    found.unwrap_or(Isa::PORTABLE)
}

/// Eight rows of so many inputs, 64 outputs; items are multiply-adds. `fit`: four products may be added in 16 bits.
fn affine(bencher: Bencher<'_, '_>, isa: Isa, inputs: usize, fit: bool) {
    const OUTPUTS: usize = 4 * PANEL;
    let bytes = vec![3; BLOCK * inputs];
    let weight = vec![if fit { 5 } else { 100 }; OUTPUTS * inputs];
    let scale: Vec<u8> = [1.0f32.to_le_bytes(); OUTPUTS].concat();
    let mut out = vec![0.0; BLOCK * OUTPUTS];
    let parts = [Part {
        bytes: &bytes,
        stride: inputs,
        weight: &weight,
        scale: &scale,
        zero: &[],
        quads: kernels::quads_fit(&weight, inputs),
    }];
    let layer = Affine {
        parts: &parts,
        start: Start::Floats(&[0.0; OUTPUTS]),
        rows: Rows {
            count: BLOCK,
            stride: OUTPUTS,
            scales: &[],
        },
        column: 0,
        columns: OUTPUTS,
        relu: true,
    };
    bencher
        .counter(ItemsCount::new(BLOCK * OUTPUTS * inputs))
        .bench_local(|| {
            kernels::affine(isa, black_box(&layer), &mut out);
            black_box(&mut out);
        });
}

const INPUTS: [usize; 4] = [16, 64, 128, 512];

#[divan::bench(args = isas(), consts = INPUTS)]
fn affine_quads<const K: usize>(bencher: Bencher<'_, '_>, name: &str) {
    affine(bencher, isa(name), K, true);
}

#[divan::bench(args = isas(), consts = INPUTS)]
fn affine_pairs<const K: usize>(bencher: Bencher<'_, '_>, name: &str) {
    affine(bencher, isa(name), K, false);
}

/// Eight rows of so many values.
#[divan::bench(args = isas(), consts = [64, 128])]
fn quantize<const WIDTH: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let isa = isa(name);
    let values: Vec<f32> = (0..BLOCK * WIDTH).map(|i| (i % 97) as f32).collect();
    let (mut bytes, mut scales) = (vec![0; BLOCK * WIDTH], [0.0; BLOCK]);
    bencher
        .counter(ItemsCount::new(BLOCK * WIDTH))
        .bench_local(|| {
            let sizes = (WIDTH, WIDTH);
            kernels::quantize(isa, black_box(&values), sizes, &mut bytes, &mut scales);
            black_box(&mut bytes);
        });
}

/// So many outputs whose sums are known.
#[divan::bench(args = isas(), consts = [128, 528])]
fn add_sums<const OUTPUTS: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let isa = isa(name);
    let (start, sums, scale) = ([0.0; OUTPUTS], vec![1; 4 * OUTPUTS], vec![0; 4 * OUTPUTS]);
    let mut out = [0.0; OUTPUTS];
    bencher.counter(ItemsCount::new(OUTPUTS)).bench_local(|| {
        kernels::add_sums(isa, black_box(&start), black_box(&sums), &scale, &mut out);
        black_box(&mut out);
    });
}

/// One row of 64 values of so many experts.
#[divan::bench(args = isas(), consts = [4, 16])]
fn mix<const EXPERTS: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let isa = isa(name);
    let experts = vec![1.0; EXPERTS * 64];
    let weights = [[(32768 / EXPERTS) as f32; BLOCK]; EXPERTS];
    let mut mixture = [0.0; 64];
    bencher.bench_local(|| {
        let of = Mixture {
            weights: black_box(&weights),
            row: 0,
            experts: &experts,
            stride: 64,
        };
        kernels::mix(isa, &of, &mut mixture);
        black_box(&mut mixture);
    });
}

/// Eight rows of gates over so many experts.
#[divan::bench(args = isas(), consts = [4, 16])]
fn softmax<const EXPERTS: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let isa = isa(name);
    let logits = [[0.5; BLOCK]; EXPERTS];
    let mut weights = [[0.0; BLOCK]; EXPERTS];
    bencher.bench_local(|| {
        kernels::softmax_lanes(isa, black_box(&logits), &mut weights);
        black_box(&mut weights);
    });
}
