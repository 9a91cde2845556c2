//! All that `pkr_rank` is given.

use core::ptr::{null, null_mut};

use pocketrank::ffi::*;

use super::super::ITEM;
use super::super::values::*;
use super::{HUGE, off};

/// All that a call of `pkr_rank` takes, to be spoiled.
struct Call<'c> {
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    columns: Vec<pkr_column>,
    request: pkr_request,
    request_at: *const pkr_request,
    result: pkr_result,
    result_at: *mut pkr_result,
    detail: pkr_error_detail,
    detail_at: *mut pkr_error_detail,
    opened: &'c mut Opened,
    /// Copies of both handles, at other addresses.
    copies: [Memory; 2],
    values: &'c mut Values,
    bytes: *mut u8,
}

type Spoil = fn(&mut Call<'_>);

#[rustfmt::skip]
const RANK: &[(&str, pkr_status, Spoil)] = &[
    ("nothing", PKR_OK, |_| ()),
    ("model NULL", PKR_ERR_NULL_POINTER, |c| c.model = null()),
    ("model misaligned", PKR_ERR_MISALIGNED, |c| c.model = off(c.model)),
    ("model copied", PKR_ERR_STALE, |c| c.model = c.copies[0].ptr().cast()),
    ("model closed", PKR_ERR_STALE, |c| assert_eq!(unsafe { pkr_model_close(c.opened.model) }, PKR_OK)),
    ("model is a scratch", PKR_ERR_STALE, |c| c.model = c.copies[1].ptr().cast()),
    ("scratch NULL", PKR_ERR_NULL_POINTER, |c| c.scratch = null_mut()),
    ("scratch misaligned", PKR_ERR_MISALIGNED, |c| c.scratch = off(c.scratch).cast_mut()),
    ("scratch copied", PKR_ERR_STALE, |c| c.scratch = c.copies[1].ptr().cast()),
    ("scratch closed", PKR_ERR_STALE, |c| assert_eq!(unsafe { pkr_scratch_close(c.scratch) }, PKR_OK)),
    ("request NULL", PKR_ERR_NULL_POINTER, |c| c.request_at = null()),
    ("request misaligned", PKR_ERR_MISALIGNED, |c| c.request_at = off(c.request_at)),
    ("request of size 0", PKR_ERR_STRUCT_SIZE, |c| c.request.struct_size = 0),
    ("request short", PKR_ERR_STRUCT_SIZE, |c| c.request.struct_size -= 8),
    ("request of a later version", PKR_ERR_STRUCT_SIZE, |c| c.request.struct_size += 8),
    ("request in an output", PKR_ERR_OVERLAP, |c| c.result.scores = (&raw mut c.request).cast()),
    ("result NULL", PKR_ERR_NULL_POINTER, |c| c.result_at = null_mut()),
    ("result misaligned", PKR_ERR_MISALIGNED, |c| c.result_at = off(c.result_at).cast_mut()),
    ("result short", PKR_ERR_STRUCT_SIZE, |c| c.result.struct_size -= 8),
    ("result of a later version", PKR_ERR_STRUCT_SIZE, |c| c.result.struct_size = u32::MAX),
    ("result in an output", PKR_ERR_OVERLAP, |c| c.result.order = (&raw mut c.result).cast()),
    ("detail NULL", PKR_OK, |c| c.detail_at = null_mut()),
    ("detail misaligned", PKR_ERR_MISALIGNED, |c| c.detail_at = off(c.detail_at).cast_mut()),
    ("detail of size 0", PKR_ERR_STRUCT_SIZE, |c| c.detail.struct_size = 0),
    ("detail in the request", PKR_ERR_OVERLAP, |c| {
        c.request.struct_size = size::<pkr_error_detail>();
        c.detail_at = (&raw mut c.request).cast();
    }),
    ("columns NULL", PKR_ERR_NULL_POINTER, |c| c.request.columns = null()),
    ("columns misaligned", PKR_ERR_MISALIGNED, |c| c.request.columns = off(c.request.columns)),
    ("columns huge", PKR_ERR_UNKNOWN_FEATURE, |c| c.request.num_columns = HUGE),
    ("columns more than features", PKR_ERR_UNKNOWN_FEATURE, |c| c.request.num_columns = 8),
    ("columns fewer", PKR_OK, |c| c.request.num_columns = 1),
    ("column of size 0", PKR_ERR_STRUCT_SIZE, |c| c.columns[SCORE].struct_size = 0),
    ("column of unknown form", PKR_ERR_BAD_OPTION, |c| c.columns[SCORE].form = 6),
    ("columns in an output", PKR_ERR_OVERLAP, |c| c.result.fused = c.columns.as_mut_ptr().cast()),
    ("ids NULL", PKR_ERR_NULL_POINTER, |c| c.columns[USER].values = null()),
    ("ids misaligned", PKR_ERR_MISALIGNED, |c| c.columns[USER].values = off(c.columns[USER].values.cast::<u64>()).cast()),
    ("ids short", PKR_ERR_COLUMN_LENGTH, |c| c.columns[USER].count = 0),
    ("ids huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.columns[USER].count = HUGE),
    ("ids with text offsets", PKR_ERR_WRONG_FORM, |c| c.columns[USER].offsets = c.values.item_offsets.as_ptr()),
    ("text NULL", PKR_ERR_NULL_POINTER, |c| c.columns[ITEM].values = null()),
    ("text huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.columns[ITEM].count = usize::MAX),
    ("text short", PKR_ERR_BAD_OFFSETS, |c| c.columns[ITEM].count -= 1),
    ("text offsets NULL", PKR_ERR_NULL_POINTER, |c| c.columns[ITEM].offsets = null()),
    ("text offsets misaligned", PKR_ERR_MISALIGNED, |c| c.columns[ITEM].offsets = off(c.columns[ITEM].offsets)),
    ("text offsets huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.columns[ITEM].num_offsets = HUGE),
    ("text offsets short", PKR_ERR_COLUMN_LENGTH, |c| c.columns[ITEM].num_offsets -= 1),
    ("text offsets decrease", PKR_ERR_BAD_OFFSETS, |c| c.values.item_offsets[2] = 0),
    ("text in an output", PKR_ERR_OVERLAP, |c| { c.result.order = c.bytes.cast(); c.columns[ITEM].values = c.bytes.cast() }),
    ("lists NULL", PKR_ERR_NULL_POINTER, |c| c.columns[TAGS].list_offsets = null()),
    ("lists misaligned", PKR_ERR_MISALIGNED, |c| c.columns[TAGS].list_offsets = off(c.columns[TAGS].list_offsets)),
    ("lists huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.columns[TAGS].num_list_offsets = HUGE),
    ("lists short", PKR_ERR_COLUMN_LENGTH, |c| c.columns[TAGS].num_list_offsets -= 1),
    ("list weights NULL", PKR_ERR_NULL_POINTER, |c| c.columns[TAGS].weights = null()),
    ("list weights misaligned", PKR_ERR_MISALIGNED, |c| c.columns[TAGS].weights = off(c.columns[TAGS].weights)),
    ("list weights huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.columns[TAGS].num_weights = HUGE),
    ("list weights short", PKR_ERR_COLUMN_LENGTH, |c| c.columns[TAGS].num_weights -= 1),
    ("list weights without lists", PKR_ERR_WRONG_FORM, |c| {
        c.columns[TAGS].list_offsets = null();
        c.columns[TAGS].num_list_offsets = 0;
    }),
    ("floats misaligned", PKR_ERR_MISALIGNED, |c| c.columns[SCORE].values = off(c.columns[SCORE].values.cast::<f32>()).cast()),
    ("floats NULL", PKR_ERR_NULL_POINTER, |c| c.columns[SCORE].values = null()),
    ("floats NULL and none", PKR_OK, |c| (c.columns[SCORE].values, c.columns[SCORE].count) = (null(), 0)),
    ("floats short", PKR_ERR_COLUMN_LENGTH, |c| c.columns[SCORE].count -= 1),
    ("floats huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.columns[SCORE].count = HUGE),
    ("floats with lists", PKR_ERR_WRONG_FORM, |c| c.columns[SCORE].num_list_offsets = 1),
    ("floats in the scratch", PKR_ERR_OVERLAP, |c| c.columns[SCORE].values = c.scratch.cast_const().cast()),
    ("vectors NULL", PKR_ERR_NULL_POINTER, |c| c.columns[VECTOR].values = null()),
    ("vectors short", PKR_ERR_COLUMN_LENGTH, |c| c.columns[VECTOR].count -= 1),
    ("vectors huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.columns[VECTOR].count = usize::MAX),
    ("vector byte", PKR_ERR_VECTOR_BYTE, |c| c.values.vector[3] = 128),
    ("ids for a number", PKR_ERR_WRONG_FORM, |c| c.columns[SCORE] = pkr_column { count: 5, ..c.columns[USER] }),
    ("state NULL", PKR_ERR_NULL_POINTER, |c| c.request.state = null()),
    ("state huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.request.state_bytes = usize::MAX),
    ("state short", PKR_ERR_BUFFER_TOO_SMALL, |c| c.request.state_bytes -= 1),
    ("state in an output", PKR_ERR_OVERLAP, |c| { c.result.fused = c.bytes.cast(); c.request.state = c.bytes }),
    ("state damaged", PKR_ERR_STATE_CORRUPT, |c| *c.values.state.last_mut().unwrap() ^= 1),
    ("weights NULL", PKR_ERR_NULL_POINTER, |c| c.request.weights = null()),
    ("weights misaligned", PKR_ERR_MISALIGNED, |c| c.request.weights = off(c.request.weights)),
    ("weights short", PKR_ERR_UNKNOWN_TASK, |c| c.request.num_weights = 1),
    ("weights huge", PKR_ERR_LENGTH_OVERFLOW, |c| c.request.num_weights = HUGE),
    ("weights in an output", PKR_ERR_OVERLAP, |c| { c.result.fused = c.bytes.cast(); c.request.weights = c.bytes.cast() }),
    ("weight NaN", PKR_ERR_BAD_WEIGHT, |c| c.values.weights[0] = f32::NAN),
    ("no candidates", PKR_ERR_CANDIDATE_COUNT, |c| c.request.num_candidates = 0),
    ("too many candidates", PKR_ERR_CANDIDATE_COUNT, |c| c.request.num_candidates = N as u32 + 1),
    ("all too many candidates", PKR_ERR_CANDIDATE_COUNT, |c| c.request.num_candidates = u32::MAX),
    ("unknown flag", PKR_ERR_BAD_OPTION, |c| c.request.flags = 2),
    ("strict", PKR_ERR_MISSING_VALUE, |c| c.request.flags = PKR_STRICT),
    ("order NULL", PKR_ERR_NULL_POINTER, |c| c.result.order = null_mut()),
    ("order not wanted", PKR_OK, |c| (c.result.order, c.result.order_len) = (null_mut(), 0)),
    ("order misaligned", PKR_ERR_MISALIGNED, |c| c.result.order = off(c.result.order).cast_mut()),
    ("order shorter: top 2", PKR_OK, |c| c.result.order_len = 2),
    ("order longer", PKR_OK, |c| c.result.order_len = usize::MAX),
    ("order in fused", PKR_ERR_OVERLAP, |c| c.result.order = c.result.fused.cast()),
    ("order in the scratch", PKR_ERR_OVERLAP, |c| c.result.order = c.scratch.cast()),
    ("order in the model", PKR_ERR_OVERLAP, |c| c.result.order = c.opened.model.cast()),
    ("order in the detail", PKR_ERR_OVERLAP, |c| c.result.order = c.detail_at.cast()),
    ("fused NULL", PKR_ERR_NULL_POINTER, |c| c.result.fused = null_mut()),
    ("fused not wanted", PKR_OK, |c| (c.result.fused, c.result.fused_len) = (null_mut(), 0)),
    ("fused misaligned", PKR_ERR_MISALIGNED, |c| c.result.fused = off(c.result.fused).cast_mut()),
    ("fused short", PKR_ERR_BUFFER_TOO_SMALL, |c| c.result.fused_len = N - 1),
    ("fused in the file", PKR_ERR_OVERLAP, |c| {
        let file = c.opened.file.as_ptr();
        c.result.fused = file.wrapping_add(file.align_offset(4)).cast_mut().cast();
    }),
    ("scores NULL", PKR_ERR_NULL_POINTER, |c| c.result.scores = null_mut()),
    ("scores not wanted", PKR_OK, |c| (c.result.scores, c.result.scores_len) = (null_mut(), 0)),
    ("scores misaligned", PKR_ERR_MISALIGNED, |c| c.result.scores = off(c.result.scores).cast_mut()),
    ("scores short", PKR_ERR_BUFFER_TOO_SMALL, |c| c.result.scores_len = 2 * N - 1),
    ("scores in order", PKR_ERR_OVERLAP, |c| c.result.scores = c.result.order.cast()),
];

#[test]
fn every_wrong_argument_of_rank_has_its_status_and_harms_nothing() {
    for (name, expected, spoil) in RANK {
        let mut opened = Opened::open();
        let mut values = Values::new(&opened);
        let (scratch_memory, scratch) = opened.scratch(N as u32);
        let columns = values.columns();
        let request = values.request(&columns);
        let (mut order, mut fused, mut scores) = ([7u32; N], [7f32; N], [7f32; 2 * N]);
        let mut bytes = Memory::new(4096);
        let detail = pkr_error_detail {
            status: 7777,
            ..sized()
        };
        let copies = [opened.memory.copy(), scratch_memory.copy()];
        let mut call = Call {
            model: opened.model,
            scratch,
            columns,
            request,
            request_at: null(),
            result: result(&mut order, &mut fused, &mut scores),
            result_at: null_mut(),
            detail,
            detail_at: null_mut(),
            opened: &mut opened,
            copies,
            values: &mut values,
            bytes: bytes.ptr(),
        };
        call.request_at = &raw const call.request;
        call.result_at = &raw mut call.result;
        call.detail_at = &raw mut call.detail;
        spoil(&mut call);
        let given = (call.request_at, call.result_at, call.detail_at);
        let before = bytes_of(&call.result);
        let status = unsafe { pkr_rank(call.model, call.scratch, given.0, given.1, given.2) };
        assert_eq!(status_name(status), status_name(*expected), "{name}");
        if status != PKR_OK {
            assert!(
                bytes_of(&call.result) == before,
                "{name}: result was written"
            );
            let detail_is_good = core::ptr::eq(given.2, &call.detail);
            let told = detail_is_good
                && call.detail.struct_size == size::<pkr_error_detail>()
                && status != PKR_ERR_OVERLAP;
            assert_eq!(
                call.detail.status,
                if told { status } else { 7777 },
                "{name}"
            );
            assert_eq!(
                (order, fused, scores),
                ([7; N], [7.0; N], [7.0; 2 * N]),
                "{name}"
            );
        } else {
            assert_eq!(call.detail.status, 7777, "{name}: detail was written");
        }
        drop(scratch_memory);
    }
}

fn bytes_of<T>(value: &T) -> Vec<u8> {
    // SAFETY: the structs compared have no padding between fields that matters; both sides are read the same way.
    unsafe { core::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) }
        .to_vec()
}
