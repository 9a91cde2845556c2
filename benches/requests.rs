//! Requests by instruction set and number of candidates: `cargo bench --features train --bench requests [FILTER]`.
//!
//! The model is `golden::reference`: the network of `benches/peers`. Ids are `what/isa/candidates`. Compare lines of one run. Where a
//! request's time goes by stage, `pocketrank bench` prints.
#![allow(missing_docs)]

use core::hint::black_box;
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use pocketrank::engine::{ItemSums, Model, OpenOptions, Output, Request, Scratch};
use pocketrank::kernels::Isa;
use pocketrank::spec::Side;
use pocketrank::train::golden::{self, GoldenModel};
use pocketrank::train::requests::{OwnedColumn, OwnedRequest};

fn main() {
    divan::main();
}

static MODEL: LazyLock<GoldenModel> = LazyLock::new(golden::reference);

const CANDIDATES: [usize; 4] = [1, 50, 200, 500];

/// Instruction sets of this CPU; the last is the best.
fn isas() -> Vec<&'static str> {
    Isa::available().iter().map(|isa| isa.name()).collect()
}

fn open(name: &str) -> Box<Model<'static>> {
    open_file(name, &MODEL.bytes)
}

fn open_file<'a>(name: &str, bytes: &'a [u8]) -> Box<Model<'a>> {
    let isa = Isa::available().into_iter().find(|isa| isa.name() == name);
    let mut model = Box::new(Model::new());
    model
        .open(bytes, &OpenOptions { isa })
        .expect("a valid file");
    model
}

/// Memory of one thread.
struct Buffers {
    floats: Vec<f32>,
    bytes: Vec<u8>,
    order: Vec<u32>,
    scores: Vec<f32>,
}

impl Buffers {
    fn new(model: &Model<'_>, candidates: usize) -> Self {
        let need = model.scratch_len(candidates);
        Self {
            floats: vec![0.0; need.floats],
            bytes: vec![0; need.bytes],
            order: vec![0; candidates],
            scores: vec![0.0; candidates * model.spec().tasks.len()],
        }
    }

    fn scratch(&mut self) -> Scratch<'_> {
        Scratch {
            floats: &mut self.floats,
            bytes: &mut self.bytes,
        }
    }

    fn rank(&mut self, model: &Model<'_>, request: &Request<'_>) {
        let mut scratch = Scratch {
            floats: &mut self.floats,
            bytes: &mut self.bytes,
        };
        let mut output = Output {
            order: &mut self.order,
            fused: &mut [],
            scores: &mut self.scores,
            terms: &mut [],
        };
        let ranked = model.rank(black_box(request), &mut scratch, &mut output);
        black_box(ranked.expect("a valid request"));
    }
}

#[divan::bench]
fn opening(bencher: Bencher<'_, '_>) {
    let mut model = Box::new(Model::new());
    bencher.bench_local(|| {
        let opened = model.open(black_box(&MODEL.bytes), &OpenOptions::default());
        opened.expect("a valid file");
    });
}

#[divan::bench(args = isas(), consts = CANDIDATES)]
fn request<const N: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let model = open(name);
    let owned = golden::request(&MODEL, 1, N);
    let columns = owned.columns();
    let request = owned.as_request(&columns);
    let mut buffers = Buffers::new(&model, N);
    bencher
        .counter(ItemsCount::new(N))
        .bench_local(|| buffers.rank(&model, &request));
}

/// Rows of a user's list.
const ROWS: [usize; 4] = [10, 50, 100, 256];

/// 200 candidates, of a model that has a list of so many items more.
fn with_list(bencher: Bencher<'_, '_>, name: &str, rows: usize, attends: bool) {
    const N: usize = 200;
    let golden = golden::reference_with_list(rows, attends);
    let model = open_file(name, &golden.bytes);
    let mut owned = golden::request(&golden, 1, N);
    let of = golden.spec.feature("recent").expect("it has the list");
    owned.columns[of] = OwnedColumn::Ids {
        ids: (0..rows as u64).collect(),
        lists: None,
    };
    let columns = owned.columns();
    let request = owned.as_request(&columns);
    let mut buffers = Buffers::new(&model, N);
    bencher
        .counter(ItemsCount::new(N))
        .bench_local(|| buffers.rank(&model, &request));
}

/// By rows of the list.
#[divan::bench(args = isas(), consts = ROWS)]
fn mean_of_rows<const ROWS: usize>(bencher: Bencher<'_, '_>, name: &str) {
    with_list(bencher, name, ROWS, false);
}

/// The same with attention to the list.
#[divan::bench(args = isas(), consts = ROWS)]
fn attention_to_rows<const ROWS: usize>(bencher: Bencher<'_, '_>, name: &str) {
    with_list(bencher, name, ROWS, true);
}

/// Item sums of a request's candidates.
fn sums(model: &Model<'_>, request: &OwnedRequest) -> Vec<u8> {
    let mut sums = vec![0; request.num_candidates * model.item_sums_bytes()];
    let columns = request.columns();
    let mut buffers = Buffers::new(model, request.num_candidates);
    let made = model.item_sums(
        &request.as_request(&columns),
        &mut buffers.scratch(),
        &mut sums,
    );
    made.expect("a valid request");
    sums
}

#[divan::bench(args = isas(), consts = CANDIDATES)]
fn request_with_kept_item_sums<const N: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let model = open(name);
    let mut owned = golden::request(&MODEL, 1, N);
    let bytes = sums(&model, &owned);
    for (column, feature) in owned.columns.iter_mut().zip(&model.spec().features) {
        if feature.side == Side::Item {
            *column = OwnedColumn::Missing;
        }
    }
    let columns = owned.columns();
    let request = Request {
        item_sums: Some(ItemSums {
            bytes: &bytes,
            slots: &[],
        }),
        ..owned.as_request(&columns)
    };
    let mut buffers = Buffers::new(&model, N);
    bencher
        .counter(ItemsCount::new(N))
        .bench_local(|| buffers.rank(&model, &request));
}

#[divan::bench(args = isas(), consts = [50])]
fn item_sums<const N: usize>(bencher: Bencher<'_, '_>, name: &str) {
    let model = open(name);
    let owned = golden::request(&MODEL, 1, N);
    bencher
        .counter(ItemsCount::new(N))
        .bench_local(|| black_box(sums(&model, &owned)));
}
