//! Working memory: one a thread.

use core::mem::{MaybeUninit, needs_drop, offset_of};

use super::model::{PKR_MEMORY_ALIGNMENT, open_model, pkr_model};
use super::pointer::{Outputs, Span, call};
use super::status::pkr_status;
use crate::engine::{Column, Model, Scratch, ScratchLen};
use crate::error::{Error, Result, Status};
use crate::spec::limits;

const MAGIC: u64 = u64::from_le_bytes(*b"pkrScrch");

/// Activation bytes start on a cache line wherever the caller's memory does: for speed only.
const LINE: usize = 64;

/// Working memory of `pkr_rank`, in memory of the caller. One a thread: it may move between threads, but no two may
/// use it at once. Its contents never influence a result. A copy answers PKR_ERR_STALE.
pub struct pkr_scratch(Content);

/// In C's order, for the reason given at [`super::handle::Borrowing`].
#[repr(C)]
struct Content {
    magic: u64,
    address: usize,
    total_bytes: usize,
    candidates_max: usize,
    num_columns: usize,
    len: ScratchLen,
}

const _: () = assert!(offset_of!(pkr_scratch, 0) == 0 && offset_of!(Content, address) == 8);
const _: () =
    assert!(align_of::<pkr_scratch>() <= PKR_MEMORY_ALIGNMENT && !needs_drop::<pkr_scratch>());
const _: () =
    assert!(align_of::<Column<'_>>() <= PKR_MEMORY_ALIGNMENT && !needs_drop::<Column<'_>>());
// Each part of the layout follows the one before without a gap.
const _: () = assert!(size_of::<pkr_scratch>().is_multiple_of(align_of::<Column<'_>>()));
const _: () = assert!(
    align_of::<pkr_scratch>() >= align_of::<Column<'_>>()
        && align_of::<Column<'_>>() >= align_of::<f32>()
);

/// Header, columns, floats, up to a line of padding, bytes.
fn total_bytes(num_columns: usize, len: ScratchLen) -> Option<usize> {
    let columns = num_columns.checked_mul(size_of::<Column<'_>>())?;
    let floats = len.floats.checked_mul(size_of::<f32>())?;
    size_of::<pkr_scratch>()
        .checked_add(columns)?
        .checked_add(floats)?
        .checked_add(LINE)?
        .checked_add(len.bytes)
}

/// What [`pkr_scratch`] must hold for `model`: (columns, floats and bytes, all of it in bytes).
fn needs(model: &Model<'_>, candidates_max: u32) -> Result<(usize, ScratchLen, usize)> {
    let candidates_max = candidates_max as usize;
    if !(1..=limits::CANDIDATES).contains(&candidates_max) {
        return Err(Error::at(Status::CandidateCount, limits::CANDIDATES));
    }
    let num_columns = model.spec().features.len();
    let len = model.scratch_len(candidates_max);
    let total = total_bytes(num_columns, len).ok_or(Error::new(Status::LengthOverflow))?;
    Ok((num_columns, len, total))
}

/// The parts of a scratch.
pub(super) struct Parts<'s> {
    pub(super) candidates_max: usize,
    pub(super) columns: &'s mut [MaybeUninit<Column<'s>>],
    pub(super) scratch: Scratch<'s>,
}

/// Claims the scratch behind a handle.
///
/// # Safety
/// Unless NULL or misaligned, `handle` leads to memory that [`pkr_scratch_init`] was given, not freed since, that
/// nobody else uses while `'s` lasts.
pub(super) unsafe fn open_scratch<'s>(
    outputs: &mut Outputs,
    handle: *mut pkr_scratch,
) -> Result<Parts<'s>> {
    Span::of(handle, 1)?;
    // SAFETY: not NULL and aligned; live by this function's contract; integers only.
    let (magic, address) = unsafe { ((*handle).0.magic, (*handle).0.address) };
    if magic != MAGIC || address != handle.addr() {
        return Err(Error::new(Status::Stale));
    }
    // SAFETY: the magic is written last by `pkr_scratch_init`, so the header is initialised; it holds plain integers.
    let header = unsafe { handle.read() }.0;
    outputs.claim(handle.cast::<u8>(), header.total_bytes)?;
    // SAFETY: `pkr_scratch_init` found `total_bytes` in this memory, so each part below lies within it, one after the
    // other in the order of `total_bytes()`; the asserts above make every part aligned; `pkr_scratch_init` zeroed
    // floats and bytes; nobody else uses the memory by this function's contract.
    unsafe {
        let columns = handle.add(1).cast::<MaybeUninit<Column<'s>>>();
        let floats = columns.add(header.num_columns).cast::<f32>();
        let after = floats.add(header.len.floats).cast::<u8>();
        let bytes = after.add(after.addr().wrapping_neg() % LINE);
        Ok(Parts {
            candidates_max: header.candidates_max,
            columns: core::slice::from_raw_parts_mut(columns, header.num_columns),
            scratch: Scratch {
                floats: core::slice::from_raw_parts_mut(floats, header.len.floats),
                bytes: core::slice::from_raw_parts_mut(bytes, header.len.bytes),
            },
        })
    }
}

/// Tells how many bytes of memory a scratch needs for requests of up to `candidates_max` candidates to `model`.
///
/// Threads: any. Cost: none.
/// Errors: PKR_ERR_CANDIDATE_COUNT (0, or more than 4,096), 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_scratch_bytes(
    model: *const pkr_model,
    candidates_max: u32,
    out: *mut usize,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(core::ptr::null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            let (_, _, total) = needs(open_model(outputs.seal(), model)?, candidates_max)?;
            out.write(total);
            Ok(())
        })
    }
}

/// Makes a scratch in `memory[memory_bytes]`, aligned to PKR_MEMORY_ALIGNMENT, at least as large as
/// `pkr_scratch_bytes` says. It serves any model that needs no more than this one (a newer version of the same model,
/// say); `pkr_rank` answers PKR_ERR_BUFFER_TOO_SMALL for one that does.
///
/// Threads: any. Lifetimes: `memory` is borrowed until `pkr_scratch_close`; the model is not. Cost: zeroes the memory.
/// Errors: PKR_ERR_BUFFER_TOO_SMALL, PKR_ERR_CANDIDATE_COUNT, other 1xx. `*out` is written on success only.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_scratch_init(
    model: *const pkr_model,
    candidates_max: u32,
    memory: *mut u8,
    memory_bytes: usize,
    out: *mut *mut pkr_scratch,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(core::ptr::null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            let handle = memory.cast::<pkr_scratch>();
            Span::of(handle, 1)?;
            outputs.claim(memory, memory_bytes)?;
            let (num_columns, len, total_bytes) =
                needs(open_model(outputs.seal(), model)?, candidates_max)?;
            if memory_bytes < total_bytes {
                return Err(Error::at(Status::BufferTooSmall, total_bytes));
            }
            memory.write_bytes(0, total_bytes);
            let candidates_max = candidates_max as usize;
            handle.write(pkr_scratch(Content {
                magic: MAGIC,
                address: handle.addr(),
                total_bytes,
                candidates_max,
                num_columns,
                len,
            }));
            out.write(handle);
            Ok(())
        })
    }
}

/// Wipes a scratch: nothing of any request stays in its memory, which is the caller's again.
///
/// Threads: no other call on this scratch may run or follow. Cost: zeroes the memory.
/// Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
///
/// # Safety
/// `scratch` is NULL, misaligned, or leads to memory that `pkr_scratch_init` was given, not freed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_scratch_close(scratch: *mut pkr_scratch) -> pkr_status {
    // SAFETY: by this function's contract; `total_bytes` were found in the memory by `pkr_scratch_init`.
    unsafe {
        call(core::ptr::null_mut(), |outputs| {
            open_scratch(outputs, scratch)?;
            let total_bytes = (*scratch).0.total_bytes;
            scratch.cast::<u8>().write_bytes(0, total_bytes);
            Ok(())
        })
    }
}
