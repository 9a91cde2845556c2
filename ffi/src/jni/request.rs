//! Calls about a request: its arrays are pinned, its structs made on the stack, one function of the C ABI called.

use core::mem::MaybeUninit;
use core::ptr::null_mut;

use pocketrank::ffi::*;

use super::env::{Arrays, Env, Frame, Object, nowhere};

/// Features of a model at most, and so columns.
const COLUMNS: usize = 128;
/// Numbers of `head` before those of the columns: flags, candidates, candidates to score at most, columns, and how many elements
/// `state`, `weights`, `only`, `item_slots` and `without` have.
const HEAD: usize = 9;
/// Of each column: form, and how many values, text offsets, list offsets and list weights; -1: none.
const COLUMN_HEAD: usize = 5;
/// Arrays of `parts` before those of the columns.
const PARTS: usize = 5;
/// Arrays of each column.
const COLUMN_PARTS: usize = 4;
/// Outputs of a call, which are held first.
const OUTPUTS: usize = 5;
const ARRAYS: usize = OUTPUTS + PARTS + COLUMNS * COLUMN_PARTS;

/// A request as Kotlin's class of that name keeps it: numbers in `head`, arrays in `parts`, buffers by themselves.
struct Asked {
    model: Object,
    scratch: Object,
    formula: Object,
    item_sums: Object,
    head: Object,
    parts: Object,
    time: i64,
}

/// Pointers of one call.
struct Call<'a> {
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: &'a pkr_request,
    arrays: &'a Arrays<ARRAYS>,
    detail: &'a mut pkr_error_detail,
}

impl Asked {
    /// Makes the request with `outputs` and runs `call` with it; `note` gets what it leaves, or where an error was.
    #[inline(always)]
    fn run(
        &self,
        env: Env,
        outputs: [Object; OUTPUTS],
        note: Object,
        call: impl FnOnce(Call<'_>, &mut [i64; 5]) -> pkr_status,
    ) -> i32 {
        let mut detail = nowhere();
        let mut numbers = [0; 5];
        let status = match self.pinned(env, outputs, &mut detail, &mut numbers, call) {
            Ok(status) | Err(status) => status,
        };
        if status != PKR_OK {
            return env.refuse(note, status, &detail);
        }
        env.note(note, &numbers);
        PKR_OK as i32
    }

    #[inline(always)]
    fn pinned(
        &self,
        env: Env,
        outputs: [Object; OUTPUTS],
        detail: &mut pkr_error_detail,
        numbers: &mut [i64; 5],
        call: impl FnOnce(Call<'_>, &mut [i64; 5]) -> pkr_status,
    ) -> Result<pkr_status, pkr_status> {
        let mut head = [0; HEAD + COLUMN_HEAD * COLUMNS];
        let head = env.ints(self.head, &mut head);
        let (own, columns_head) = head.split_at_checked(HEAD).ok_or(PKR_ERR_NULL_POINTER)?;
        let [
            flags,
            num_candidates,
            max_candidates,
            num_columns,
            counts @ ..,
        ] = own
        else {
            return Err(PKR_ERR_NULL_POINTER);
        };
        let num_columns = usize::try_from(*num_columns).unwrap_or(usize::MAX);
        let (column_heads, _) = columns_head.as_chunks::<COLUMN_HEAD>();
        let column_heads = column_heads
            .get(..num_columns)
            .ok_or(PKR_ERR_UNKNOWN_FEATURE)?;
        // Everything that may be asked of the virtual machine is asked before the first array is pinned.
        let (model, scratch) = (env.handle(self.model), env.handle(self.scratch));
        let item_sums = env.memory(self.item_sums);
        let formula = env.handle::<pkr_formula>(self.formula);
        let frame = Frame::new(env, PARTS + num_columns * COLUMN_PARTS)?;
        let mut arrays = Arrays::<ARRAYS>::new(env);
        for output in outputs {
            arrays.write(output)?;
        }
        let mut part = 0;
        let mut hold = |count: i32| {
            let array = match count {
                0.. => frame.element(self.parts, part),
                _ => null_mut(),
            };
            part += 1;
            arrays.read(array, count)
        };
        for count in counts {
            hold(*count)?;
        }
        for (feature, [_, parts @ ..]) in column_heads.iter().enumerate() {
            for count in parts {
                hold(*count).inspect_err(|_| detail.feature = feature as u32)?;
            }
        }
        arrays.pin()?;
        let mut columns = [const { MaybeUninit::<pkr_column>::uninit() }; COLUMNS];
        for (i, (slot, [form, ..])) in columns.iter_mut().zip(column_heads).enumerate() {
            let first = OUTPUTS + PARTS + i * COLUMN_PARTS;
            let (values, count) = arrays.at(first);
            let (offsets, num_offsets) = arrays.at(first + 1);
            let (list_offsets, num_list_offsets) = arrays.at(first + 2);
            let (weights, num_weights) = arrays.at(first + 3);
            slot.write(pkr_column {
                struct_size: size_of::<pkr_column>() as u32,
                form: *form as u32,
                values,
                count,
                offsets,
                num_offsets,
                list_offsets,
                num_list_offsets,
                weights,
                num_weights,
            });
        }
        let (state, state_bytes) = arrays.at(OUTPUTS);
        let (weights, num_weights) = arrays.at(OUTPUTS + 1);
        let (only, num_only) = arrays.at(OUTPUTS + 2);
        let (item_slots, num_item_slots) = arrays.at(OUTPUTS + 3);
        let (without, num_without) = arrays.at(OUTPUTS + 4);
        let request = pkr_request {
            struct_size: size_of::<pkr_request>() as u32,
            flags: *flags as u32,
            num_candidates: *num_candidates as u32,
            max_candidates: *max_candidates as u32,
            time: self.time,
            columns: columns.as_ptr().cast(),
            num_columns,
            state,
            state_bytes,
            weights,
            num_weights,
            only,
            num_only,
            item_sums: item_sums.at,
            item_sums_bytes: item_sums.bytes,
            item_slots,
            num_item_slots,
            formula,
            without,
            num_without,
        };
        let status = call(
            Call {
                model,
                scratch,
                request: &request,
                arrays: &arrays,
                detail,
            },
            numbers,
        );
        // Here, as in every return above, arrays are released before the frame that has their references.
        Ok(status)
    }
}

impl Call<'_> {
    /// The result that the first four outputs make.
    fn result(&self) -> pkr_result {
        let (order, order_len) = self.arrays.at(0);
        let (fused, fused_len) = self.arrays.at(1);
        let (scores, scores_len) = self.arrays.at(2);
        let (terms, terms_len) = self.arrays.at(3);
        pkr_result {
            struct_size: size_of::<pkr_result>() as u32,
            scored: 0,
            order,
            order_len,
            fused,
            fused_len,
            scores,
            scores_len,
            missing: 0,
            not_finite: 0,
            unknown_ids: 0,
            cut_lists: 0,
            terms,
            terms_len,
        }
    }
}

/// What happened, as Kotlin's class `Ranking` reads it.
fn summary(result: &pkr_result) -> [i64; 5] {
    [
        result.scored.into(),
        result.missing.into(),
        result.not_finite.into(),
        result.unknown_ids.into(),
        result.cut_lists.into(),
    ]
}

// `what` of a request; the same numbers in Native.kt.
const RANK: i32 = 0;
const SCORE: i32 = 1;
const ORDER: i32 = 2;
const ITEM_SUMS: i32 = 3;
const GATES: i32 = 4;
const VECTORS: i32 = 5;
const SESSION_BEGIN: i32 = 6;
const SESSION_RERANK: i32 = 7;

/// One call about a request. `index` is the candidate of GATES, the feature of VECTORS, the number of scores of ORDER; `memory`
/// the session's or where item sums go, whole. Arrays are written whole as far as the call has results for them, `null` where
/// none are wanted: GATES writes `scores`, VECTORS `bytes`; ORDER reads `scores`.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "one call a request")]
pub extern "system" fn Java_dev_pocketrank_Native_request(
    env: Env,
    _class: Object,
    what: i32,
    index: i32,
    model: Object,
    scratch: Object,
    memory: Object,
    formula: Object,
    item_sums: Object,
    head: Object,
    parts: Object,
    time: i64,
    order: Object,
    fused: Object,
    scores: Object,
    terms: Object,
    bytes: Object,
    note: Object,
) -> i32 {
    let asked = Asked {
        model,
        scratch,
        formula,
        item_sums,
        head,
        parts,
        time,
    };
    let outputs = [order, fused, scores, terms, bytes];
    let memory = env.memory(memory);
    asked.run(env, outputs, note, |call, numbers| {
        let (model, scratch, request) = (call.model, call.scratch, call.request);
        let detail: *mut pkr_error_detail = call.detail;
        let arrays = call.arrays;
        let mut result = call.result();
        let handle = memory.aligned();
        // SAFETY: handles are NULL or in direct buffers that the arguments keep alive, and so are item sums; arrays are pinned
        // and as long as stated; `Gate` in Kotlin keeps other threads from scratch and session, and closing from what is used.
        let status = unsafe {
            match what {
                RANK => pkr_rank(model, scratch, request, &mut result, detail),
                SCORE => pkr_score(model, scratch, request, &mut result, detail),
                ORDER => {
                    let (scores, num_scores) = (result.scores, index as u32 as usize);
                    if num_scores > result.scores_len {
                        return PKR_ERR_BUFFER_TOO_SMALL;
                    }
                    (result.scores, result.scores_len) = (null_mut(), 0);
                    let result = &mut result;
                    pkr_order(model, scratch, request, scores, num_scores, result, detail)
                }
                ITEM_SUMS => {
                    pkr_item_sums(model, scratch, request, memory.at, memory.bytes, detail)
                }
                GATES => {
                    let (out, len) = (result.scores, result.scores_len);
                    pkr_gates(model, scratch, request, index as u32, out, len, detail)
                }
                VECTORS => {
                    let (out, len) = arrays.at(4);
                    pkr_vectors(model, scratch, request, index as u32, out, len, detail)
                }
                SESSION_BEGIN => {
                    let (at, bytes, out) = (handle.at, handle.bytes, &mut null_mut());
                    pkr_session_begin(model, scratch, request, at, bytes, out, detail)
                }
                SESSION_RERANK => {
                    let session = handle.at.cast();
                    pkr_session_rerank(model, session, scratch, request, &mut result, detail)
                }
                _ => PKR_ERR_BAD_OPTION,
            }
        };
        *numbers = summary(&result);
        status
    })
}
