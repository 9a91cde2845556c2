//! Opening, and the functions with an open model and one output.

use core::ptr::{null, null_mut};

use pocketrank::ffi::*;

use super::super::values::*;
use super::off;

#[test]
fn every_wrong_argument_of_open_has_its_status() {
    let file = super::super::tiny_model::tiny_model();
    let bytes = Opened::open().memory.bytes;
    let mut memory = Memory::new(bytes + 64);
    let at = memory.ptr();
    let options: pkr_open_options = sized(); // PKR_CPU_AUTO
    let mut out: *mut pkr_model = null_mut();
    let mut detail: pkr_error_detail = sized();
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
                kind: PKR_KEY_ID,
                id: 5,
                ..sized()
            };
            unsafe { pkr_row_of(m, &key, out.cast()) }
        }),
        ("pkr_hash_text", false, |m, out| {
            // Has no model: the handle's own bytes stand for a text that an output would overlap.
            unsafe { pkr_hash_text(m.cast(), 8, out.cast()) }
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
