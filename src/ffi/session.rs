//! What an app needs that ranks one feed more than once, or by several threads. In libraries built with feature `session`.

use core::mem::{needs_drop, offset_of};
use core::ptr::{addr_of_mut, null_mut};

use super::model::{PKR_MEMORY_ALIGNMENT, open_model, pkr_model};
use super::pointer::{Outputs, Span, call};
use super::rank::{Ranking, all_candidates, pkr_request, pkr_result, request_of};
use super::scratch::{open_scratch, pkr_scratch};
use super::state::{pkr_event, with_event};
use super::status::{pkr_error_detail, pkr_status};
use crate::engine::{Model, Session, SessionMemory, Summary};
use crate::error::{Error, Result, Status};
use crate::spec::limits;

/// Computes what the first layer makes of the item features of the request's candidates (of `only`, if it is there), to be
/// kept by the app and passed back in later requests: `out[out_bytes]` is a slot of `item_sums_bytes` of `pkr_model_info` for
/// each. Only columns of item features are read. Slots may be kept in memory or files and copied one by one; they belong to
/// this model file alone: with any other `pkr_rank` answers PKR_ERR_STALE_SUMS. Scores with kept sums are the same bits.
///
/// Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates. `detail` may be NULL.
/// Errors: those of `pkr_rank`; PKR_ERR_BUFFER_TOO_SMALL unless `out_bytes` is exactly that; PKR_ERR_BAD_OPTION for a model
/// without item features and for a request that brings item sums.
///
/// # Safety
/// As `pkr_rank`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_item_sums(
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    out: *mut u8,
    out_bytes: usize,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let mut parts = open_scratch(outputs, scratch)?;
            let out = outputs.slice(out, out_bytes)?;
            let inputs = outputs.seal();
            let model = open_model(inputs, model)?;
            let into = (parts.candidates_max, parts.columns);
            let request = request_of(inputs, request, model, into)?;
            model.item_sums(&request, &mut parts.scratch, out)?;
            Ok(())
        })
    }
}

/// Scores a part of a request, without an order: that of one thread, say, whose candidates `only` names. `result->scores` gets
/// a row of scores for each of them, in their order; `order` and `fused` must be NULL. When all parts have been scored,
/// `pkr_order` does what is left. Scores don't depend on how a request is divided.
///
/// Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: linear in the candidates. `detail` may be NULL.
/// Errors: those of `pkr_rank`; PKR_ERR_BAD_OPTION for another output.
///
/// # Safety
/// As `pkr_rank`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_score(
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    result: *mut pkr_result,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let ranking = Ranking {
                model,
                scratch,
                request,
                result,
            };
            let rows = |request: &pkr_request| match request.only.is_null() && request.num_only == 0
            {
                true => all_candidates(request),
                false => request.num_only,
            };
            ranking.run(outputs, rows, |_, model, request, scratch, output| {
                match output.order.is_empty() && output.fused.is_empty() {
                    true => model.score(request, scratch, output.scores),
                    false => Err(Error::new(Status::BadOption)),
                }
            })
        })
    }
}

/// Fuses and orders the candidates of `request` by their scores, `scores[num_scores]` = `[num_candidates, num_tasks]` (of the
/// first `max_candidates`, if there is a limit) row by row, as `pkr_score` wrote them: `order`, `fused` and `terms` of `result` are those that `pkr_rank` gives; its `scores` must be
/// NULL. The request's columns are read only if a formula reads features; its `only` and item sums do not matter here.
///
/// Threads: any, one scratch each. Lifetimes: nothing is kept. Cost: that of checking the request and of sorting. `detail` may
/// be NULL.
/// Errors: those of `pkr_rank`; PKR_ERR_CANDIDATE_COUNT for another number of scores; PKR_ERR_NOT_FINITE with the candidate;
/// PKR_ERR_FORMULA_SCORES for a formula that reads scores before calibration.
///
/// # Safety
/// As `pkr_rank`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_order(
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    scores: *const f32,
    num_scores: usize,
    result: *mut pkr_result,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let ranking = Ranking {
                model,
                scratch,
                request,
                result,
            };
            ranking.run(
                outputs,
                all_candidates,
                |inputs, model, request, scratch, output| {
                    let scores = inputs.slice(scores, num_scores)?;
                    model.order(request, scores, scratch, output)?;
                    Ok(Summary {
                        scored: (scores.len() / model.spec().tasks.len().max(1)) as u32,
                        ..Summary::default()
                    })
                },
            )
        })
    }
}

const MAGIC: u64 = u64::from_le_bytes(*b"pkrSessn");

/// A feed while it is shown, in memory of the caller: the user's state, the candidates' item sums, and which of them are
/// still to be shown. It belongs to one thread at a time. A copy answers PKR_ERR_STALE.
pub struct pkr_session(Content);

/// In C's order, for the reason given at [`super::handle::Borrowing`].
#[repr(C)]
#[derive(Clone, Copy)]
struct Content {
    magic: u64,
    address: usize,
    digest: u64,
    total_bytes: usize,
    num_candidates: usize,
    num_left: usize,
    state_bytes: usize,
    item_sums_bytes: usize,
}

const _: () = assert!(offset_of!(pkr_session, 0) == 0 && offset_of!(Content, address) == 8);
const _: () =
    assert!(align_of::<pkr_session>() <= PKR_MEMORY_ALIGNMENT && !needs_drop::<pkr_session>());

/// Bytes of a session of `model`: header, candidates, state, item sums.
fn session_bytes(model: &Model<'_>, candidates: u32) -> Result<usize> {
    let candidates = candidates as usize;
    if !(1..=limits::CANDIDATES).contains(&candidates) {
        return Err(Error::at(Status::CandidateCount, limits::CANDIDATES));
    }
    let each = size_of::<u32>() + model.item_sums_bytes();
    let all = candidates.checked_mul(each);
    all.and_then(|all| all.checked_add(size_of::<pkr_session>() + model.state_bytes()))
        .ok_or(Error::new(Status::LengthOverflow))
}

/// The parts of the memory behind a session's header.
///
/// # Safety
/// `handle` leads to memory that `pkr_session_begin` was given, of the sizes in `content`, that nobody else uses while `'s`
/// lasts.
unsafe fn memory_of<'s>(handle: *mut pkr_session, content: &Content) -> SessionMemory<'s> {
    // SAFETY: `pkr_session_begin` found `session_bytes` in this memory, in which the parts lie one after the other; a header
    // ends on a multiple of 8. It zeroed them before they were first used.
    unsafe {
        let left = handle.add(1).cast::<u32>();
        let state = left.add(content.num_candidates).cast::<u8>();
        let sums = state.add(content.state_bytes);
        SessionMemory {
            left: core::slice::from_raw_parts_mut(left, content.num_candidates),
            state: core::slice::from_raw_parts_mut(state, content.state_bytes),
            item_sums: core::slice::from_raw_parts_mut(sums, content.item_sums_bytes),
        }
    }
}

/// Claims the session behind a handle.
///
/// # Safety
/// Unless NULL or misaligned, `handle` leads to memory that [`pkr_session_begin`] was given, not freed since, that nobody
/// else uses while `'s` lasts.
unsafe fn open_session<'s>(outputs: &mut Outputs, handle: *mut pkr_session) -> Result<Session<'s>> {
    Span::of(handle, 1)?;
    // SAFETY: not NULL and aligned; live by this function's contract; integers only.
    let (magic, address) = unsafe { ((*handle).0.magic, (*handle).0.address) };
    if magic != MAGIC || address != handle.addr() {
        return Err(Error::new(Status::Stale));
    }
    // SAFETY: the magic is written last by `pkr_session_begin`, so the header is initialised; it holds plain integers.
    let content = unsafe { handle.read() }.0;
    outputs.claim(handle.cast::<u8>(), content.total_bytes)?;
    Ok(Session {
        // SAFETY: by this function's contract.
        memory: unsafe { memory_of(handle, &content) },
        digest: content.digest,
        num_candidates: content.num_candidates,
        num_left: content.num_left,
    })
}

/// Tells how many bytes of memory a session of `num_candidates` candidates needs.
///
/// Threads: any. Cost: none. Errors: PKR_ERR_CANDIDATE_COUNT (0, or more than 4,096), 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_session_bytes(
    model: *const pkr_model,
    num_candidates: u32,
    out: *mut usize,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            let model = open_model(outputs.seal(), model)?;
            out.write(session_bytes(model, num_candidates)?);
            Ok(())
        })
    }
}

/// Begins a session of all candidates of `request`, of which the state and the columns of item features are read, in
/// `memory[memory_bytes]`, aligned to PKR_MEMORY_ALIGNMENT, at least as large as `pkr_session_bytes` says. Then
/// `pkr_session_feedback` and `pkr_session_shown` tell it what the user does, and `pkr_session_rerank` orders what is left:
/// the same bits as a fresh request about those candidates with that state.
///
/// Threads: any. Lifetimes: `memory` is borrowed until `pkr_session_close`; model and scratch are not. Cost: that of
/// `pkr_item_sums`. `detail` may be NULL. On an error `*out` is as before and the contents of `memory` are unspecified.
/// Errors: those of `pkr_rank`; PKR_ERR_BAD_OPTION for a request with `only` or item sums.
///
/// # Safety
/// As `pkr_rank`; nobody else uses `memory` until the session is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_session_begin(
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    memory: *mut u8,
    memory_bytes: usize,
    out: *mut *mut pkr_session,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let mut parts = open_scratch(outputs, scratch)?;
            outputs.claim(out, 1)?;
            let handle = memory.cast::<pkr_session>();
            Span::of(handle, 1)?;
            outputs.claim(memory, memory_bytes)?;
            let inputs = outputs.seal();
            let model = open_model(inputs, model)?;
            let into = (parts.candidates_max, parts.columns);
            let request = request_of(inputs, request, model, into)?;
            let total_bytes = session_bytes(model, request.num_candidates as u32)?;
            if memory_bytes < total_bytes {
                return Err(Error::at(Status::BufferTooSmall, total_bytes));
            }
            memory.write_bytes(0, total_bytes);
            let content = Content {
                magic: MAGIC,
                address: handle.addr(),
                digest: model.digest(),
                total_bytes,
                num_candidates: request.num_candidates,
                num_left: request.num_candidates,
                state_bytes: model.state_bytes(),
                item_sums_bytes: request.num_candidates * model.item_sums_bytes(),
            };
            let contents = memory_of(handle, &content);
            Session::begin(model, &request, &mut parts.scratch, contents)?;
            handle.write(pkr_session(content));
            out.write(handle);
            Ok(())
        })
    }
}

/// Adds one label of one impression to the session's state, as `pkr_state_apply` does to a state of the app. On any error the
/// state is as before. `detail` may be NULL.
///
/// Threads: one a session. Cost: independent of candidates and of how many events came before.
/// Errors: those of `pkr_state_apply`; PKR_ERR_STALE_SUMS for another model.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_session_feedback(
    model: *const pkr_model,
    session: *mut pkr_session,
    event: *const pkr_event,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let mut session = open_session(outputs, session)?;
            let inputs = outputs.seal();
            let model = open_model(inputs, model)?;
            with_event(inputs, model, event, |event| session.feedback(model, event))
        })
    }
}

/// Takes `candidate` out of those still to be shown.
///
/// Threads: one a session. Cost: at most a move of 4 bytes a candidate.
/// Errors: PKR_ERR_BAD_INDEX if it is none of them; PKR_ERR_STALE.
///
/// # Safety
/// `session` is NULL, misaligned, or leads to memory that `pkr_session_begin` was given, not freed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_session_shown(
    session: *mut pkr_session,
    candidate: u32,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            let mut opened = open_session(outputs, session)?;
            opened.shown(candidate)?;
            addr_of_mut!((*session).0.num_left).write(opened.num_left);
            Ok(())
        })
    }
}

/// Orders what is still to be shown by the session's state, as `pkr_rank` does. `request` is that of the beginning with its
/// candidates' columns and the time as they are now, and without a state; columns of item features are read only where other
/// features, or groups of quantiles, are made of them. Indices in `result` are those of the beginning; what was shown has no
/// score and comes last.
///
/// Threads: one a session, any scratch. Lifetimes: nothing is kept. Cost: linear in the candidates left. `detail` may be NULL.
/// Errors: those of `pkr_rank`; PKR_ERR_STALE_SUMS for another model; PKR_ERR_CANDIDATE_COUNT for another number of
/// candidates; PKR_ERR_BAD_OPTION for a request with a state, `only` or item sums.
///
/// # Safety
/// As `pkr_rank`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_session_rerank(
    model: *const pkr_model,
    session: *mut pkr_session,
    scratch: *mut pkr_scratch,
    request: *const pkr_request,
    result: *mut pkr_result,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: the pointers are as `Outputs` and `Inputs` need them by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let session = open_session(outputs, session)?;
            let ranking = Ranking {
                model,
                scratch,
                request,
                result,
            };
            ranking.run(
                outputs,
                all_candidates,
                |_, model, request, scratch, output| {
                    session.rerank(model, request, scratch, output)
                },
            )
        })
    }
}

/// Copies the session's state to `state[state_bytes]`, to be kept when the feed ends: `state_bytes` of `pkr_model_info`.
///
/// Threads: one a session. Cost: that of the copy. Errors: PKR_ERR_BUFFER_TOO_SMALL, other 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_session_state(
    session: *mut pkr_session,
    state: *mut u8,
    state_bytes: usize,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            let session = open_session(outputs, session)?;
            let from = session.state();
            if state_bytes < from.len() {
                return Err(Error::at(Status::BufferTooSmall, from.len()));
            }
            for (to, from) in outputs.slice(state, state_bytes)?.iter_mut().zip(from) {
                *to = *from;
            }
            Ok(())
        })
    }
}

/// Wipes a session: its memory is the caller's again.
///
/// Threads: no other call on this session may run or follow. Cost: zeroes the memory.
/// Errors: PKR_ERR_STALE if it was closed before or is a copy; PKR_ERR_NULL_POINTER, PKR_ERR_MISALIGNED.
///
/// # Safety
/// `session` is NULL, misaligned, or leads to memory that `pkr_session_begin` was given, not freed since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_session_close(session: *mut pkr_session) -> pkr_status {
    // SAFETY: by this function's contract; `total_bytes` were found in the memory by `pkr_session_begin`.
    unsafe {
        call(null_mut(), |outputs| {
            open_session(outputs, session)?;
            let total_bytes = (*session).0.total_bytes;
            session.cast::<u8>().write_bytes(0, total_bytes);
            Ok(())
        })
    }
}
