//! A watch: ranks the requests of a file on a Cortex-M with a floating-point unit, through the C ABI. Model and requests lie in
//! flash, memory is static, nothing is allocated. Prints by semihosting what `../c/rank.c` prints of the requests of at most 64
//! candidates, and on standard error what memory it took; it fails if that is more than a watch has.
//!
//! `PKR_MODEL=FILE.pkr PKR_REQUESTS=FILE.req` name the files when it is built, by absolute paths.
#![no_std]
#![no_main]

mod lines;
mod memory;
mod requests;

use core::ptr::{null, null_mut};

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hio};
use pocketrank::ffi::*;

use lines::Lines;
use requests::Reader;

/// Flash and memory that any number may be read from in place.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("PKR_MODEL")));
static REQUESTS: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("PKR_REQUESTS")));

const CANDIDATES: usize = 64;
const COLUMNS: usize = 32;
const TASKS: usize = 8;
/// What the models at hand need at most; a model that needs more is refused.
const SCRATCH_BYTES: usize = 8 << 10;

/// All memory beside the stack.
struct Ram {
    model: Aligned<[u8; size_of::<pkr_model>()]>,
    scratch: Aligned<[u8; SCRATCH_BYTES]>,
    columns: [pkr_column; COLUMNS],
    order: [u32; CANDIDATES],
    fused: [f32; CANDIDATES],
    scores: [f32; CANDIDATES * TASKS],
}

impl Ram {
    const EMPTY: Self = Self {
        model: Aligned([0; _]),
        scratch: Aligned([0; _]),
        columns: [requests::MISSING; _],
        order: [0; _],
        fused: [0.0; _],
        scores: [0.0; _],
    };
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    end(false)
}

fn end(well: bool) -> ! {
    loop {
        debug::exit(if well {
            debug::EXIT_SUCCESS
        } else {
            debug::EXIT_FAILURE
        });
    }
}

#[entry]
fn main() -> ! {
    let well = run().and_then(|scratch_bytes| memory::report(MODEL.0.len(), scratch_bytes));
    end(well == Some(true))
}

/// Bytes of scratch that the model needs.
fn run() -> Option<usize> {
    let ram = cortex_m::singleton!(: Ram = Ram::EMPTY)?;
    let mut out = Lines::new(hio::hstdout().ok()?);
    let (mut model, mut scratch) = (null_mut(), null_mut());
    let mut scratch_bytes = 0;
    let mut about = pkr_model_information {
        struct_size: size_of::<pkr_model_information>() as u32,
        num_features: 0,
        num_tasks: 0,
        num_terms: 0,
        num_labels: 0,
        candidates_max: 0,
        digest: 0,
        state_bytes: 0,
        name: null(),
        name_bytes: 0,
        isa: null(),
        isa_bytes: 0,
        item_sums_bytes: 0,
    };
    // SAFETY: every pointer leads to memory of the stated size: flash, or statics that nobody else uses and that stay.
    unsafe {
        let file = (MODEL.0.as_ptr(), MODEL.0.len());
        let handle = (ram.model.0.as_mut_ptr(), ram.model.0.len());
        good(pkr_model_open(
            file.0,
            file.1,
            handle.0,
            handle.1,
            null(),
            &mut model,
            null_mut(),
        ))?;
        good(pkr_model_info(model, &mut about))?;
        good(pkr_scratch_bytes(
            model,
            CANDIDATES as u32,
            &mut scratch_bytes,
        ))?;
        let memory = (ram.scratch.0.as_mut_ptr(), ram.scratch.0.len());
        good(pkr_scratch_init(
            model,
            CANDIDATES as u32,
            memory.0,
            memory.1,
            &mut scratch,
        ))?;
    }
    let tasks = about.num_tasks as usize;
    let mut file = Reader(&REQUESTS.0);
    for i in 0..file.count()? {
        let request = file.request(&mut ram.columns)?;
        let n = request.num_candidates as usize;
        if n > CANDIDATES {
            continue;
        }
        let order = ram.order.get_mut(..n)?;
        let fused = ram.fused.get_mut(..n)?;
        let scores = ram.scores.get_mut(..n * tasks)?;
        let mut result = pkr_result {
            struct_size: size_of::<pkr_result>() as u32,
            scored: 0,
            order: order.as_mut_ptr(),
            order_len: n,
            fused: fused.as_mut_ptr(),
            fused_len: n,
            scores: scores.as_mut_ptr(),
            scores_len: scores.len(),
            missing: 0,
            not_finite: 0,
            unknown_ids: 0,
            cut_lists: 0,
            terms: null_mut(),
            terms_len: 0,
        };
        // SAFETY: model and scratch are open, the request's columns lie in flash, the result's arrays are as long as stated.
        let status = unsafe { pkr_rank(model, scratch, &request, &mut result, null_mut()) };
        out.request(i, status, &result, (order, fused, scores))
            .ok()?;
    }
    out.flush().ok()?;
    Some(scratch_bytes)
}

fn good(status: pkr_status) -> Option<()> {
    (status == PKR_OK).then_some(())
}
