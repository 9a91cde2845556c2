//! What the C ABI adds to the Rust API, on one request of 200 candidates to the reference model:
//! `cargo bench --features ffi --bench call_overhead -- WORK/reference.pkr WORK/reference.req` (`.ci/run` makes both files).
//!
//! `pkr_rank` checks every pointer, length and overlap, and turns the caller's columns into the engine's; then it calls what the Rust
//! API calls. Rounds take both in turns, and the ratio of a round is that of two calls next to each other: the median of many is
//! steady where times are not. Where valgrind is installed the instructions of both are counted too, which are exact: the run
//! fails if those of the C ABI are more than 1 % over.
#![allow(missing_docs)]
#![allow(unsafe_code)] // an app's side of the C ABI

use core::ffi::c_void;
use core::hint::black_box;
use core::ptr::{null, null_mut};
use std::process::{Command, ExitCode};
use std::time::Instant;

use pocketrank::engine::{Column, Lists, Model, OpenOptions, Output, Request, Scratch};
use pocketrank::ffi::*;

const CANDIDATES: usize = 200;
const ROUNDS: usize = 4000;

/// The parts of a file of requests (examples/README.md), each on a multiple of 8 bytes. Little-endian machines only.
struct Parts<'f> {
    file: &'f [u64],
    at: usize,
}

impl<'f> Parts<'f> {
    fn take<T>(&mut self, count: usize) -> &'f [T] {
        let bytes = count * size_of::<T>();
        let part = &self.file[self.at..][..bytes.div_ceil(8)];
        self.at += part.len();
        // SAFETY: the part has that many bytes, is aligned for 8, and `T` is an integer or a float.
        unsafe { core::slice::from_raw_parts(part.as_ptr().cast(), count) }
    }
}

/// One request, for both APIs.
struct Asked<'f> {
    head: [u32; 8],
    columns: Vec<Column<'f>>,
    c_columns: Vec<pkr_column>,
}

fn next_request<'f>(parts: &mut Parts<'f>) -> Asked<'f> {
    let head: [u32; 8] = parts.take(8).try_into().expect("eight numbers");
    let forms = parts.take::<u32>(6 * head[5] as usize);
    let (mut columns, mut c_columns) = (Vec::new(), Vec::new());
    for form in forms.chunks_exact(6) {
        let [form, count, num_offsets, num_lists, num_weights] =
            [0, 1, 2, 3, 4].map(|i| form[i] as usize);
        let values = parts.file[parts.at..].as_ptr().cast::<c_void>();
        let start = parts.at;
        match form as u32 {
            PKR_FORM_MISSING => {}
            PKR_FORM_IDS => drop(parts.take::<u64>(count)),
            PKR_FORM_ROWS | PKR_FORM_FLOATS => drop(parts.take::<u32>(count)),
            _ => drop(parts.take::<u8>(count)),
        }
        let mut again = Parts {
            file: parts.file,
            at: start,
        };
        let offsets = parts.take::<u32>(num_offsets);
        let list_offsets = parts.take::<u32>(num_lists);
        let weights = parts.take::<f32>(num_weights);
        let lists = (num_lists > 0).then_some(Lists {
            offsets: list_offsets,
            weights: (num_weights > 0).then_some(weights),
        });
        columns.push(match form as u32 {
            PKR_FORM_MISSING => Column::Missing,
            PKR_FORM_IDS => Column::Ids {
                ids: again.take(count),
                lists,
            },
            PKR_FORM_TEXT => Column::Text {
                utf8: again.take(count),
                offsets,
                lists,
            },
            PKR_FORM_ROWS => Column::Rows {
                rows: again.take(count),
                lists,
            },
            PKR_FORM_FLOATS => Column::Floats(again.take(count)),
            _ => Column::Bytes(again.take(count)),
        });
        let or_null = |len: usize, pointer: *const u32| if len == 0 { null() } else { pointer };
        c_columns.push(pkr_column {
            struct_size: size_of::<pkr_column>() as u32,
            form: form as u32,
            values: if form == 0 { null() } else { values },
            count,
            offsets: or_null(num_offsets, offsets.as_ptr()),
            num_offsets,
            list_offsets: or_null(num_lists, list_offsets.as_ptr()),
            num_list_offsets: num_lists,
            weights: or_null(num_weights, weights.as_ptr().cast()).cast(),
            num_weights,
        });
    }
    assert_eq!((head[6], head[7]), (0, 0), "requests without state and weights");
    Asked {
        head,
        columns,
        c_columns,
    }
}

/// Memory of one side.
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

    fn bits(&self) -> (Vec<u32>, Vec<u32>) {
        let floats = self.fused.iter().chain(&self.scores);
        (self.order.clone(), floats.map(|x| x.to_bits()).collect())
    }
}

/// The file's bytes, aligned for every number in it.
fn read(path: &str) -> (Vec<u64>, usize) {
    let bytes = std::fs::read(path).expect("a file that can be read");
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    (words.collect(), bytes.len())
}

fn aligned(bytes: usize) -> Vec<u64> {
    vec![0; bytes.div_ceil(8)]
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let (Some(model_path), Some(requests_path)) = (args.first(), args.get(1)) else {
        println!("call_overhead: skipped: no files; -- WORK/reference.pkr WORK/reference.req");
        return ExitCode::SUCCESS;
    };
    let ((model_words, model_len), (words, _)) = (read(model_path), read(requests_path));
    // SAFETY: the words hold that many bytes.
    let model_bytes = unsafe { core::slice::from_raw_parts(model_words.as_ptr().cast::<u8>(), model_len) };
    let mut parts = Parts { file: &words, at: 1 };
    let count = parts.take::<u32>(2)[0];
    let asked = (0..count)
        .map(|_| next_request(&mut parts))
        .find(|asked| asked.head[2] as usize == CANDIDATES && asked.head[3] == 0)
        .expect("a request of 200 candidates");
    let time = i64::from(asked.head[0]) | i64::from(asked.head[1]) << 32;

    // The Rust API.
    let mut model = Box::new(Model::new());
    let opened = model.open(model_bytes, &OpenOptions::default());
    opened.expect("a valid file");
    let tasks = model.spec().tasks.len();
    let need = model.scratch_len(CANDIDATES);
    let (mut floats, mut bytes) = (vec![0.0; need.floats], vec![0; need.bytes]);
    let request = Request {
        num_candidates: CANDIDATES,
        columns: &asked.columns,
        time,
        ..Request::default()
    };
    let mut by_rust = Results::new(tasks);
    let mut rust = |out: &mut Results| {
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        let mut output = Output {
            order: &mut out.order,
            fused: &mut out.fused,
            scores: &mut out.scores,
            terms: &mut [],
        };
        let ranked = model.rank(black_box(&request), &mut scratch, &mut output);
        black_box(ranked.expect("a valid request"));
    };

    // The C ABI.
    let mut c_need = pkr_requirements {
        struct_size: size_of::<pkr_requirements>() as u32,
        alignment: 0,
        model_bytes: 0,
    };
    let (mut c_model, mut c_scratch, mut scratch_bytes) = (null_mut(), null_mut(), 0);
    // SAFETY: pointers lead to live memory of the stated sizes, which stays where it is until the end of `main`.
    let (_model_memory, _scratch_memory) = unsafe {
        assert_eq!(pkr_model_query(model_bytes.as_ptr(), model_len, &mut c_need), PKR_OK);
        let mut memory = aligned(c_need.model_bytes);
        let at = memory.as_mut_ptr().cast();
        let opened = pkr_model_open(model_bytes.as_ptr(), model_len, at, c_need.model_bytes, null(), &mut c_model, null_mut());
        assert_eq!(opened, PKR_OK);
        assert_eq!(pkr_scratch_bytes(c_model, CANDIDATES as u32, &mut scratch_bytes), PKR_OK);
        let mut scratch = aligned(scratch_bytes);
        let made = pkr_scratch_init(c_model, CANDIDATES as u32, scratch.as_mut_ptr().cast(), scratch_bytes, &mut c_scratch);
        assert_eq!(made, PKR_OK);
        (memory, scratch)
    };
    // SAFETY: integers and raw pointers, of which zeros are none.
    let (mut c_request, mut result) = unsafe { core::mem::zeroed::<(pkr_request, pkr_result)>() };
    c_request.struct_size = size_of::<pkr_request>() as u32;
    c_request.num_candidates = CANDIDATES as u32;
    c_request.time = time;
    c_request.columns = asked.c_columns.as_ptr();
    c_request.num_columns = asked.c_columns.len();
    result.struct_size = size_of::<pkr_result>() as u32;
    let mut by_c = Results::new(tasks);
    let mut c = |out: &mut Results| {
        result.order = out.order.as_mut_ptr();
        result.fused = out.fused.as_mut_ptr();
        result.scores = out.scores.as_mut_ptr();
        (result.order_len, result.fused_len, result.scores_len) = (CANDIDATES, CANDIDATES, out.scores.len());
        // SAFETY: as above; nobody else uses the scratch or the outputs.
        let status = unsafe { pkr_rank(c_model, c_scratch, black_box(&c_request), &mut result, null_mut()) };
        assert_eq!(black_box(status), PKR_OK);
    };

    if let [_, _, count, which, times] = &args[..]
        && count == "--count"
    {
        for _ in 0..times.parse().unwrap_or(0) {
            if which == "c" { c(&mut by_c) } else { rust(&mut by_rust) }
        }
        return ExitCode::SUCCESS;
    }
    rust(&mut by_rust);
    c(&mut by_c);
    assert!(by_rust.bits() == by_c.bits(), "the same order and bits");

    let timed = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64()
    };
    let (mut ratios, mut rust_least, mut c_least) = (Vec::new(), f64::MAX, f64::MAX);
    for round in 0..ROUNDS {
        let (a, b) = if round % 2 == 0 {
            let a = timed(&mut || rust(&mut by_rust));
            (a, timed(&mut || c(&mut by_c)))
        } else {
            let b = timed(&mut || c(&mut by_c));
            (timed(&mut || rust(&mut by_rust)), b)
        };
        ratios.push(b / a);
        (rust_least, c_least) = (rust_least.min(a), c_least.min(b));
    }
    ratios.sort_by(f64::total_cmp);
    println!("request of {CANDIDATES} candidates, {} columns, {}, {ROUNDS} rounds", asked.columns.len(), model.isa().name());
    println!("least time: Rust {:.1} us, C {:.1} us, ratio {:.4}", rust_least * 1e6, c_least * 1e6, c_least / rust_least);
    println!("median of the rounds' ratios: {:.4}", ratios[ROUNDS / 2]);
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
        text.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok())
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
