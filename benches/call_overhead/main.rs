//! What the C ABI adds to the Rust API, on one request of 200 candidates to the reference model:
//! `cargo bench --features ffi --bench call_overhead -- WORK/reference.pkr WORK/reference.req` (`.ci/run` makes both files).
//!
//! `pkr_rank` checks every pointer, length and overlap, and turns the caller's columns into the engine's; then it calls what the
//! Rust API calls. Rounds take both in turns, and the ratio of a round is that of two calls next to each other. Where memory
//! happens to lie changes a time by 2 % either way, so both sides get other memory again and again, and the median over all
//! places counts. Where valgrind is installed instructions are counted too, which are exact: the run fails if those of the C
//! ABI are more than 1 % over.
#![allow(missing_docs)]
#![allow(unsafe_code)] // an app's side of the C ABI

mod request;

use core::hint::black_box;
use core::ptr::{null, null_mut};
use std::process::{Command, ExitCode};
use std::time::Instant;

use pocketrank::engine::{Model, OpenOptions, Output, Request, Scratch};
use pocketrank::ffi::*;
use request::{Asked, Parts, next_request};

const CANDIDATES: usize = 200;
const PLACES: usize = 40;
const ROUNDS: usize = 150;
const LINE: usize = 64;

/// Where a call's results go.
struct Results {
    order: Vec<u32>,
    fused: Vec<f32>,
    scores: Vec<f32>,
}

impl Results {
    fn new(tasks: usize) -> Self {
        Self {
            order: vec![0; CANDIDATES],
            fused: vec![0.0; CANDIDATES],
            scores: vec![0.0; CANDIDATES * tasks],
        }
    }

    fn bits(&self) -> Vec<u32> {
        let floats = self.fused.iter().chain(&self.scores).map(|x| x.to_bits());
        self.order.iter().copied().chain(floats).collect()
    }
}

/// The Rust API, with scratch that begins `place` lines later than its memory.
struct Rust<'f> {
    model: &'f Model<'f>,
    request: Request<'f>,
    floats: Vec<f32>,
    bytes: Vec<u8>,
    skip: (usize, usize),
    out: Results,
}

impl<'f> Rust<'f> {
    fn new(model: &'f Model<'f>, asked: &'f Asked<'f>, place: usize) -> Self {
        let need = model.scratch_len(CANDIDATES);
        let bytes = vec![0; need.bytes + (place + 1) * LINE];
        // The C ABI puts these on a cache line; an app in Rust that measures does so too.
        let line = bytes.as_ptr().align_offset(LINE);
        Self {
            model,
            request: Request {
                num_candidates: CANDIDATES,
                columns: &asked.columns,
                time: asked.time(),
                state: (!asked.state.is_empty()).then_some(asked.state),
                weights: (!asked.weights.is_empty()).then_some(asked.weights),
                ..Request::default()
            },
            floats: vec![0.0; need.floats + place * LINE],
            bytes,
            skip: (place * LINE, line + place * LINE),
            out: Results::new(model.spec().tasks.len()),
        }
    }

    fn call(&mut self) {
        let need = self.model.scratch_len(CANDIDATES);
        let mut scratch = Scratch {
            floats: &mut self.floats[self.skip.0..][..need.floats],
            bytes: &mut self.bytes[self.skip.1..][..need.bytes],
        };
        let mut output = Output {
            order: &mut self.out.order,
            fused: &mut self.out.fused,
            scores: &mut self.out.scores,
            terms: &mut [],
        };
        let ranked = self
            .model
            .rank(black_box(&self.request), &mut scratch, &mut output);
        black_box(ranked.expect("a valid request"));
    }
}

/// The C ABI, with scratch that begins `place` lines later than its memory.
struct C {
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: pkr_request,
    result: pkr_result,
    out: Results,
    _memory: Vec<u64>,
}

impl C {
    fn new(model: *const pkr_model, asked: &Asked<'_>, (tasks, place): (usize, usize)) -> Self {
        let (mut scratch, mut bytes) = (null_mut(), 0);
        // SAFETY: the model is open; pointers lead to live memory of the stated sizes, which `C` keeps.
        let memory = unsafe {
            let told = pkr_scratch_bytes(model, CANDIDATES as u32, &mut bytes);
            assert_eq!(told, PKR_OK);
            let mut memory = vec![0_u64; bytes.div_ceil(8) + place * LINE / 8];
            let at = memory[place * LINE / 8..].as_mut_ptr().cast();
            let made = pkr_scratch_init(model, CANDIDATES as u32, at, bytes, &mut scratch);
            assert_eq!(made, PKR_OK);
            memory
        };
        // SAFETY: integers and raw pointers, of which zeros are none.
        let (mut request, mut result) = unsafe { core::mem::zeroed::<(pkr_request, pkr_result)>() };
        request.struct_size = size_of::<pkr_request>() as u32;
        request.num_candidates = CANDIDATES as u32;
        request.time = asked.time();
        request.columns = asked.c_columns.as_ptr();
        request.num_columns = asked.c_columns.len();
        if !asked.state.is_empty() {
            (request.state, request.state_bytes) = (asked.state.as_ptr(), asked.state.len());
        }
        if !asked.weights.is_empty() {
            (request.weights, request.num_weights) = (asked.weights.as_ptr(), asked.weights.len());
        }
        result.struct_size = size_of::<pkr_result>() as u32;
        Self {
            model,
            scratch,
            request,
            result,
            out: Results::new(tasks),
            _memory: memory,
        }
    }

    fn call(&mut self) {
        let (r, out) = (&mut self.result, &mut self.out);
        (r.order, r.order_len) = (out.order.as_mut_ptr(), CANDIDATES);
        (r.fused, r.fused_len) = (out.fused.as_mut_ptr(), CANDIDATES);
        (r.scores, r.scores_len) = (out.scores.as_mut_ptr(), out.scores.len());
        let request = black_box(&raw const self.request);
        // SAFETY: what the request and the result lead to outlives the call; nobody else uses the scratch or the outputs.
        let status = unsafe { pkr_rank(self.model, self.scratch, request, r, null_mut()) };
        assert_eq!(black_box(status), PKR_OK);
    }
}

/// A file's bytes, aligned for every number in it.
fn read(path: &str) -> (Vec<u64>, usize) {
    let bytes = std::fs::read(path).expect("a file that can be read");
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    (words.collect(), bytes.len())
}

/// Opens the model for the C ABI, in memory that must stay where it is.
fn open(bytes: &[u8]) -> (*const pkr_model, Vec<u64>) {
    let mut need = pkr_requirements {
        struct_size: size_of::<pkr_requirements>() as u32,
        alignment: 0,
        model_bytes: 0,
    };
    let mut model = null_mut();
    let (at, len) = (bytes.as_ptr(), bytes.len());
    // SAFETY: pointers lead to live memory of the stated sizes.
    let memory = unsafe {
        assert_eq!(pkr_model_query(at, len, &mut need), PKR_OK);
        let mut memory = vec![0_u64; need.model_bytes.div_ceil(8)];
        let to = memory.as_mut_ptr().cast();
        let opened = pkr_model_open(
            at,
            len,
            to,
            need.model_bytes,
            null(),
            &mut model,
            null_mut(),
        );
        assert_eq!(opened, PKR_OK);
        memory
    };
    (model, memory)
}

fn timed(call: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let args: Vec<String> = args.collect();
    let [model_path, requests_path, rest @ ..] = &args[..] else {
        println!("call_overhead: skipped: no files; -- WORK/reference.pkr WORK/reference.req");
        return ExitCode::SUCCESS;
    };
    let ((model_words, len), (words, _)) = (read(model_path), read(requests_path));
    // SAFETY: the words hold that many bytes.
    let bytes = unsafe { core::slice::from_raw_parts(model_words.as_ptr().cast::<u8>(), len) };
    let mut parts = Parts {
        file: &words,
        at: 1,
    };
    let count = parts.take::<u32>(2)[0];
    let asked = (0..count)
        .map(|_| next_request(&mut parts))
        .find(|asked| asked.head[2] as usize == CANDIDATES && asked.head[3] == 0)
        .expect("a request of 200 candidates");
    let mut model = Box::new(Model::new());
    let opened = model.open(bytes, &OpenOptions::default());
    opened.expect("a valid file");
    let tasks = model.spec().tasks.len();
    let (c_model, _memory) = open(bytes);

    if let [_, which, times] = rest {
        let (mut rust, mut c) = (
            Rust::new(&model, &asked, 0),
            C::new(c_model, &asked, (tasks, 0)),
        );
        for _ in 0..times.parse().unwrap_or(0) {
            if which == "c" { c.call() } else { rust.call() }
        }
        return ExitCode::SUCCESS;
    }
    let (mut ratios, mut of_places) = (Vec::new(), Vec::new());
    for place in 0..PLACES {
        let mut rust = Rust::new(&model, &asked, place);
        let mut c = C::new(c_model, &asked, (tasks, 7 * place % PLACES));
        rust.call();
        c.call();
        assert!(
            rust.out.bits() == c.out.bits(),
            "the same order, the same bits"
        );
        let mut here = Vec::new();
        for round in 0..ROUNDS {
            let first = (round % 2 == 0).then(|| timed(&mut || rust.call()));
            let of_c = timed(&mut || c.call());
            let of_rust = first.unwrap_or_else(|| timed(&mut || rust.call()));
            here.push(of_c / of_rust);
        }
        of_places.push(median(&mut here));
        ratios.append(&mut here);
    }
    let all = median(&mut ratios);
    median(&mut of_places);
    println!(
        "{CANDIDATES} candidates, {} columns, {}: C / Rust {all:.4}, by place {:.4} to {:.4}; {PLACES} places, {ROUNDS} rounds",
        asked.columns.len(),
        model.isa().name(),
        of_places[0],
        of_places[PLACES - 1],
    );
    count_instructions(model_path, requests_path)
}

/// Instructions of one warm request each way: what a second one adds.
fn count_instructions(model: &str, requests: &str) -> ExitCode {
    let run = |which: &str, times: &str| -> Option<u64> {
        let told = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args([model, requests, "--count", which, times])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&told.stderr).into_owned();
        let count = text
            .lines()
            .find_map(|line| line.split("Collected : ").nth(1));
        count?.trim().parse().ok()
    };
    let warm = |which| Some(run(which, "2")? - run(which, "1")?);
    let (Some(rust), Some(c)) = (warm("rust"), warm("c")) else {
        println!("instructions: skipped: valgrind is not installed or did not run");
        return ExitCode::SUCCESS;
    };
    let ratio = c as f64 / rust as f64;
    println!("instructions: Rust {rust}, C {c}, ratio {ratio:.5}");
    ExitCode::from(u8::from(ratio > 1.01))
}
