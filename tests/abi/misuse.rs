//! Every pointer argument x {NULL, misaligned, short, overlapping, huge, stale}: the right status, outputs untouched.

use core::ptr::{null, null_mut};

use pocketrank::ffi::*;

use super::ITEM;
use super::values::*;

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

fn off<T>(pointer: *const T) -> *const T {
    pointer.cast::<u8>().wrapping_add(1).cast()
}

/// Elements whose bytes overflow.
const HUGE: usize = usize::MAX / 2;

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
            struct_size: size::<pkr_error_detail>(),
            status: 7777,
            feature: 0,
            candidate: 0,
            offset: 0,
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

#[test]
fn every_wrong_argument_of_open_has_its_status() {
    let file = super::tiny_model::tiny_model();
    let bytes = Opened::open().memory.bytes;
    let mut memory = Memory::new(bytes + 64);
    let at = memory.ptr();
    let options = pkr_open_options {
        struct_size: size::<pkr_open_options>(),
        cpu: PKR_CPU_AUTO,
    };
    let mut out: *mut pkr_model = null_mut();
    let mut detail = pkr_error_detail {
        struct_size: size::<pkr_error_detail>(),
        status: 0,
        feature: 0,
        candidate: 0,
        offset: 0,
    };
    let out_at = &raw mut out;
    let open = |bytes_at: *const u8, len, memory, memory_bytes, options, out, detail| unsafe {
        pkr_model_open(bytes_at, len, memory, memory_bytes, options, out, detail)
    };
    let (file_at, len, ok) = (file.as_ptr(), file.len(), &raw const options);
    let nothing = null_mut();
    let cpu = |cpu| pkr_open_options { cpu, ..options };
    let (portable, unknown) = (cpu(PKR_CPU_PORTABLE), cpu(77));
    let short = pkr_open_options {
        struct_size: 4,
        ..options
    };
    let inside = at.cast::<*mut pkr_model>();
    let cases = [
        (
            "file NULL",
            PKR_ERR_NULL_POINTER,
            open(null(), len, at, bytes, ok, out_at, nothing),
        ),
        (
            "file NULL and 0",
            PKR_ERR_TRUNCATED,
            open(null(), 0, at, bytes, ok, out_at, nothing),
        ),
        (
            "file huge",
            PKR_ERR_LENGTH_OVERFLOW,
            open(file_at, usize::MAX, at, bytes, ok, out_at, nothing),
        ),
        (
            "file cut",
            PKR_ERR_TRUNCATED,
            open(file_at, len - 1, at, bytes, ok, out_at, nothing),
        ),
        (
            "file is memory",
            PKR_ERR_OVERLAP,
            open(at, bytes, at, bytes, ok, out_at, nothing),
        ),
        (
            "memory NULL",
            PKR_ERR_NULL_POINTER,
            open(file_at, len, nothing.cast(), bytes, ok, out_at, nothing),
        ),
        (
            "memory misaligned",
            PKR_ERR_MISALIGNED,
            open(file_at, len, at.wrapping_add(4), bytes, ok, out_at, nothing),
        ),
        (
            "memory short",
            PKR_ERR_BUFFER_TOO_SMALL,
            open(file_at, len, at, bytes - 1, ok, out_at, &raw mut detail),
        ),
        (
            "memory huge",
            PKR_ERR_LENGTH_OVERFLOW,
            open(file_at, len, at, usize::MAX, ok, out_at, nothing),
        ),
        (
            "options misaligned",
            PKR_ERR_MISALIGNED,
            open(file_at, len, at, bytes, off(ok), out_at, nothing),
        ),
        (
            "options short",
            PKR_ERR_STRUCT_SIZE,
            open(file_at, len, at, bytes, &raw const short, out_at, nothing),
        ),
        (
            "cpu unknown",
            PKR_ERR_BAD_OPTION,
            open(file_at, len, at, bytes, &raw const unknown, out_at, nothing),
        ),
        (
            "out NULL",
            PKR_ERR_NULL_POINTER,
            open(file_at, len, at, bytes, ok, nothing.cast(), nothing),
        ),
        (
            "out misaligned",
            PKR_ERR_MISALIGNED,
            open(file_at, len, at, bytes, ok, off(out_at).cast_mut(), nothing),
        ),
        (
            "out in memory",
            PKR_ERR_OVERLAP,
            open(file_at, len, at, bytes, ok, inside, nothing),
        ),
        (
            "detail in out",
            PKR_ERR_MISALIGNED,
            open(
                file_at,
                len,
                at,
                bytes,
                ok,
                out_at,
                off(&raw const detail).cast_mut(),
            ),
        ),
    ];
    for (name, expected, status) in cases {
        assert_eq!(status_name(status), status_name(expected), "{name}");
    }
    assert_eq!(
        (detail.status, detail.offset),
        (PKR_ERR_BUFFER_TOO_SMALL, bytes as u64)
    );
    assert!(out.is_null());
    assert_eq!(
        open(
            file_at,
            len,
            at,
            bytes,
            &raw const portable,
            out_at,
            nothing
        ),
        PKR_OK
    );
    assert_eq!(unsafe { pkr_model_close(out) }, PKR_OK);
    assert_eq!(unsafe { pkr_model_close(out) }, PKR_ERR_STALE);
    assert_eq!(unsafe { pkr_model_close(null_mut()) }, PKR_ERR_NULL_POINTER);
    assert_eq!(
        unsafe { pkr_model_close(off(out).cast_mut()) },
        PKR_ERR_MISALIGNED
    );
}

/// The functions with an open model and one output: the same table for each.
#[test]
fn every_wrong_argument_of_the_small_functions_has_its_status() {
    type Query = fn(*const pkr_model, *mut u8) -> pkr_status;
    let functions: [(&str, bool, Query); 12] = [
        ("pkr_model_info", true, |m, out| unsafe {
            pkr_model_info(m, out.cast())
        }),
        ("pkr_feature_info", true, |m, out| unsafe {
            pkr_feature_info(m, 0, out.cast())
        }),
        ("pkr_task_info", true, |m, out| unsafe {
            pkr_task_info(m, 0, out.cast())
        }),
        ("pkr_term_info", true, |m, out| unsafe {
            pkr_term_info(m, 0, out.cast())
        }),
        ("pkr_label_info", true, |m, out| unsafe {
            pkr_label_info(m, 0, out.cast())
        }),
        ("pkr_feature_index", false, |m, out| unsafe {
            pkr_feature_index(m, b"user".as_ptr(), 4, out.cast())
        }),
        ("pkr_task_index", false, |m, out| unsafe {
            pkr_task_index(m, b"watch".as_ptr(), 5, out.cast())
        }),
        ("pkr_term_index", false, |m, out| unsafe {
            pkr_term_index(m, b"watch".as_ptr(), 5, out.cast())
        }),
        ("pkr_label_index", false, |m, out| unsafe {
            pkr_label_index(m, b"click".as_ptr(), 5, out.cast())
        }),
        ("pkr_scratch_bytes", false, |m, out| unsafe {
            pkr_scratch_bytes(m, 5, out.cast())
        }),
        ("pkr_row_of", false, |m, out| {
            let key = pkr_key {
                struct_size: size::<pkr_key>(),
                feature: 0,
                kind: PKR_KEY_ID,
                number: 0.0,
                id: 5,
                text: null(),
                text_bytes: 0,
            };
            unsafe { pkr_row_of(m, &key, out.cast()) }
        }),
        ("pkr_hash_text", false, |m, out| {
            // Has no model: the handle's own first byte stands for a text that an output would overlap.
            match m.is_null() || !m.is_aligned() {
                true => unsafe { pkr_hash_text(m.cast(), 1, out.cast()) },
                false => unsafe { pkr_hash_text(m.cast(), 8, out.cast()) },
            }
        }),
    ];
    let mut opened = Opened::open();
    let mut copy = opened.memory.copy();
    for (name, has_struct, call) in functions {
        let has_model = name != "pkr_hash_text";
        let mut out = Memory::new(256);
        let sizes = [
            ("pkr_model_info", size::<pkr_model_information>()),
            ("pkr_feature_info", size::<pkr_feature_information>()),
            ("pkr_task_info", size::<pkr_task_information>()),
            ("pkr_term_info", size::<pkr_term_information>()),
            ("pkr_label_info", size::<pkr_label_information>()),
        ];
        let struct_size = sizes.iter().find(|s| s.0 == name).map_or(0xABAB, |s| s.1);
        let set = |out: &mut Memory, size: u32| unsafe { out.ptr().cast::<u32>().write(size) };
        set(&mut out, struct_size);
        let before = out.words.clone();
        let model = opened.model.cast_const();
        let at = out.ptr();
        let mut cases = vec![
            ("out NULL", PKR_ERR_NULL_POINTER, call(model, null_mut())),
            (
                "out misaligned",
                PKR_ERR_MISALIGNED,
                call(model, at.wrapping_add(1)),
            ),
            ("model NULL", PKR_ERR_NULL_POINTER, call(null(), at)),
        ];
        if has_model {
            cases.push(("model misaligned", PKR_ERR_MISALIGNED, call(off(model), at)));
            cases.push(("model copied", PKR_ERR_STALE, call(copy.ptr().cast(), at)));
        }
        if has_struct {
            set(&mut out, struct_size - 4);
            cases.push(("struct_size", PKR_ERR_STRUCT_SIZE, call(model, at)));
            set(&mut out, struct_size);
        } else {
            let inside = opened.memory.ptr();
            cases.push(("out in the model", PKR_ERR_OVERLAP, call(model, inside)));
        }
        for (case, expected, status) in cases {
            assert_eq!(status_name(status), status_name(expected), "{name}: {case}");
        }
        assert!(out.words == before, "{name}: out was written");
        assert_eq!(call(model, at), PKR_OK, "{name}");
        assert!(out.words != before, "{name}: out was not written");
    }
}

#[test]
fn every_wrong_argument_of_scratch_and_state_has_its_status() {
    let opened = Opened::open();
    let m = opened.model;
    let (mut bytes, mut scratch) = (0, null_mut());
    assert_eq!(unsafe { pkr_scratch_bytes(m, 5, &mut bytes) }, PKR_OK);
    for n in [0, 4097, u32::MAX] {
        let mut untouched = 1;
        let status = unsafe { pkr_scratch_bytes(m, n, &mut untouched) };
        assert_eq!((status, untouched), (PKR_ERR_CANDIDATE_COUNT, 1));
    }
    let mut memory = Memory::new(bytes);
    let at = memory.ptr();
    let model_at = m.cast::<u8>();
    let init = |at: *mut u8, len, out: *mut *mut pkr_scratch| unsafe {
        pkr_scratch_init(m, 5, at, len, out)
    };
    assert_eq!(init(null_mut(), bytes, &mut scratch), PKR_ERR_NULL_POINTER);
    assert_eq!(
        init(at.wrapping_add(1), bytes, &mut scratch),
        PKR_ERR_MISALIGNED
    );
    assert_eq!(init(at, bytes - 1, &mut scratch), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(init(at, 0, &mut scratch), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(init(at, usize::MAX, &mut scratch), PKR_ERR_LENGTH_OVERFLOW);
    assert_eq!(init(model_at, bytes, &mut scratch), PKR_ERR_OVERLAP);
    assert_eq!(init(at, bytes, at.cast()), PKR_ERR_OVERLAP);
    assert_eq!(init(at, bytes, null_mut()), PKR_ERR_NULL_POINTER);
    assert!(scratch.is_null());
    assert_eq!(init(at, bytes, &mut scratch), PKR_OK);
    assert_eq!(unsafe { pkr_scratch_close(scratch) }, PKR_OK);
    assert!(
        memory.words.iter().all(|w| *w == 0),
        "a closed scratch keeps nothing"
    );
    assert_eq!(unsafe { pkr_scratch_close(scratch) }, PKR_ERR_STALE);
    assert_eq!(
        unsafe { pkr_scratch_close(null_mut()) },
        PKR_ERR_NULL_POINTER
    );

    let state_bytes = opened.info().state_bytes;
    let mut state = vec![0u8; state_bytes];
    let reset = |state: *mut u8, len| unsafe { pkr_state_reset(m, state, len) };
    assert_eq!(reset(null_mut(), state_bytes), PKR_ERR_NULL_POINTER);
    assert_eq!(
        reset(state.as_mut_ptr(), usize::MAX),
        PKR_ERR_LENGTH_OVERFLOW
    );
    assert_eq!(
        reset(state.as_mut_ptr(), state_bytes - 1),
        PKR_ERR_BUFFER_TOO_SMALL
    );
    assert_eq!(reset(model_at, state_bytes), PKR_ERR_OVERLAP);
    assert_eq!(reset(state.as_mut_ptr(), state_bytes), PKR_OK);

    let key = item_key("x");
    let event = click_event(&key, 5);
    type Spoil = fn(&mut pkr_event, &mut pkr_key);
    let cases: [(&str, pkr_status, Spoil); 17] = [
        ("event short", PKR_ERR_STRUCT_SIZE, |e, _| e.struct_size = 8),
        ("reserved", PKR_ERR_BAD_OPTION, |e, _| e.reserved = 1),
        ("label", PKR_ERR_UNKNOWN_LABEL, |e, _| e.label = 1),
        ("label over a byte", PKR_ERR_UNKNOWN_LABEL, |e, _| {
            e.label = 256
        }),
        ("time", PKR_ERR_BAD_TIME, |e, _| e.time = i64::MAX),
        ("keys NULL", PKR_ERR_NULL_POINTER, |e, _| e.keys = null()),
        ("keys misaligned", PKR_ERR_MISALIGNED, |e, _| {
            e.keys = off(e.keys)
        }),
        ("keys huge", PKR_ERR_LENGTH_OVERFLOW, |e, _| {
            e.num_keys = HUGE
        }),
        ("key short", PKR_ERR_STRUCT_SIZE, |_, k| k.struct_size = 0),
        ("key of no feature", PKR_ERR_UNKNOWN_FEATURE, |_, k| {
            k.feature = 7
        }),
        ("key over a byte", PKR_ERR_UNKNOWN_FEATURE, |_, k| {
            k.feature = 256 + ITEM as u32
        }),
        ("key of a vector", PKR_ERR_WRONG_FORM, |_, k| {
            k.feature = VECTOR as u32
        }),
        ("text key of an int", PKR_ERR_WRONG_FORM, |_, k| {
            k.feature = USER as u32
        }),
        ("number key of an id", PKR_ERR_WRONG_FORM, |_, k| {
            k.kind = PKR_KEY_NUMBER
        }),
        ("key kind", PKR_ERR_BAD_OPTION, |_, k| k.kind = 3),
        ("text NULL", PKR_ERR_NULL_POINTER, |_, k| k.text = null()),
        ("text huge", PKR_ERR_LENGTH_OVERFLOW, |_, k| {
            k.text_bytes = usize::MAX
        }),
    ];
    let before = state.clone();
    for (name, expected, spoil) in cases {
        let (mut event, mut key) = (event, key);
        event.keys = &raw const key;
        spoil(&mut event, &mut key);
        let (at, len) = (state.as_mut_ptr(), state.len());
        let status = unsafe { pkr_state_apply(m, at, len, &event, null_mut()) };
        assert_eq!(status_name(status), status_name(expected), "{name}");
        assert!(state == before, "{name}: state was written");
    }
    let (at, len) = (state.as_mut_ptr(), state.len());
    assert_eq!(
        unsafe { pkr_state_apply(m, at, len, null(), null_mut()) },
        PKR_ERR_NULL_POINTER
    );
    assert_eq!(
        unsafe { pkr_state_apply(m, null_mut(), len, &event, null_mut()) },
        PKR_ERR_NULL_POINTER
    );
    assert_eq!(
        unsafe { pkr_state_apply(m, at, len, at.cast(), null_mut()) },
        if at.cast::<pkr_event>().is_aligned() {
            PKR_ERR_OVERLAP
        } else {
            PKR_ERR_MISALIGNED
        }
    );
    assert_eq!(
        unsafe { pkr_state_apply(m, at, len, &event, null_mut()) },
        PKR_OK
    );
    assert!(state != before);
}
