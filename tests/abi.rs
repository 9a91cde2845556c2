//! The C ABI, called as C calls it: right calls give what the engine gives, and every wrong pointer gets its own status
//! and leaves the outputs as they were.
#![cfg(feature = "ffi")]
#![allow(
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    unsafe_code
)]

#[cfg(all(feature = "formula", feature = "session", feature = "rerank"))]
#[path = "abi/calls.rs"]
mod calls;
#[cfg(feature = "formula")]
#[path = "abi/formula.rs"]
mod formula;
#[cfg(all(feature = "formula", feature = "session", feature = "rerank"))]
#[path = "abi/header.rs"]
mod header;
#[cfg(all(feature = "formula", feature = "session", feature = "rerank"))]
#[path = "abi/matrix.rs"]
mod matrix;
#[path = "abi/misuse.rs"]
mod misuse;
#[cfg(feature = "rerank")]
#[path = "abi/rerank.rs"]
mod rerank;
#[cfg(feature = "session")]
#[path = "abi/session.rs"]
mod session;
#[path = "abi/threads.rs"]
mod threads;
#[path = "abi/tiny_model.rs"]
mod tiny_model;
#[path = "abi/values.rs"]
mod values;
#[cfg(all(feature = "formula", feature = "session", feature = "rerank"))]
#[path = "abi/world.rs"]
mod world;

use core::mem::offset_of;
use core::ptr::null_mut;

use pocketrank::ffi::*;
use tiny_model::ITEM;
use values::*;

#[test]
fn a_ranking_through_c_is_the_engines_bit_for_bit() {
    let opened = Opened::open();
    let mut values = Values::new(&opened);
    let mut seen = Vec::new();
    for round in 0..3 {
        let columns = values.columns();
        let request = values.request(&columns);
        let (_memory, scratch) = opened.scratch(N as u32);
        let (mut order, mut fused, mut scores) = ([9; N], [9.0; N], [9.0; 2 * N]);
        let mut result = result(&mut order, &mut fused, &mut scores);
        let status = unsafe { pkr_rank(opened.model, scratch, &request, &mut result, null_mut()) };
        assert_eq!(status, PKR_OK, "{:?}", status_name(status));
        let by_engine = values.by_engine(&opened.file);
        assert_eq!((order.to_vec(), bits(&fused), bits(&scores)), by_engine);
        assert_eq!(result.scored, N as u32);
        assert_eq!(
            (result.missing, result.not_finite, result.cut_lists),
            (2, 1, 1)
        );
        seen.push(by_engine);
        // What the user did changes the scores of the next round: state reaches the engine.
        assert_eq!(click(&opened, &mut values, "bb", 2000 + round), PKR_OK);
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2]);
}

#[test]
fn larger_outputs_than_needed_are_written_as_far_as_needed() {
    let opened = Opened::open();
    let values = Values::new(&opened);
    let columns = values.columns();
    let request = values.request(&columns);
    let (_memory, scratch) = opened.scratch(40);
    let (mut order, mut fused, mut scores) = ([77; N + 2], [77.0; N + 2], [77.0; 2 * N + 2]);
    let mut result = result(&mut order, &mut fused, &mut scores);
    assert_eq!(
        unsafe { pkr_rank(opened.model, scratch, &request, &mut result, null_mut()) },
        PKR_OK
    );
    let (want_order, want_fused, want_scores) = values.by_engine(&opened.file);
    assert_eq!((&order[..N], &order[N..]), (&want_order[..], &[77, 77][..]));
    assert_eq!(
        (bits(&fused[..N]), &fused[N..]),
        (want_fused, &[77.0, 77.0][..])
    );
    assert_eq!(
        (bits(&scores[..2 * N]), &scores[2 * N..]),
        (want_scores, &[77.0, 77.0][..])
    );
}

#[test]
fn a_model_describes_itself() {
    let opened = Opened::open();
    let text = |p: *const core::ffi::c_char, len| unsafe {
        String::from_utf8(core::slice::from_raw_parts(p.cast::<u8>(), len).to_vec()).unwrap()
    };
    let info = opened.info();
    assert_eq!(text(info.name, info.name_bytes), "tiny");
    let counts = (
        info.num_features,
        info.num_tasks,
        info.num_terms,
        info.num_labels,
    );
    assert_eq!(counts, (7, 2, 2, 1));
    assert_eq!(
        info.digest,
        u64::from_le_bytes(opened.file[8..16].try_into().unwrap())
    );
    assert!(!text(info.isa, info.isa_bytes).is_empty());

    for (i, feature) in tiny_model::spec().features.iter().enumerate() {
        let mut info: pkr_feature_information = sized();
        assert_eq!(
            unsafe { pkr_feature_info(opened.model, i as u32, &mut info) },
            PKR_OK
        );
        assert_eq!(text(info.name, info.name_bytes), feature.name);
        assert_eq!(info.side, feature.side as u32);
        let (name, mut index) = (feature.name, 99);
        let status =
            unsafe { pkr_feature_index(opened.model, name.as_ptr(), name.len(), &mut index) };
        assert_eq!((status, index), (PKR_OK, i as u32));
    }
    let mut tags: pkr_feature_information = sized();
    assert_eq!(
        unsafe { pkr_feature_info(opened.model, TAGS as u32, &mut tags) },
        PKR_OK
    );
    let got = (
        tags.kind,
        tags.id_type,
        tags.max_len,
        tags.weighted,
        tags.dim,
        tags.derived,
    );
    assert_eq!(got, (PKR_FEATURE_IDS, PKR_ID_INT, 3, 1, 4, 0));

    let mut index = 99;
    let found = |name: &str, index: &mut u32| unsafe {
        (
            pkr_task_index(opened.model, name.as_ptr(), name.len(), index),
            pkr_term_index(opened.model, name.as_ptr(), name.len(), index),
        )
    };
    assert_eq!((found("watch", &mut index), index), ((PKR_OK, PKR_OK), 1));
    index = 99;
    let unknown = (PKR_ERR_UNKNOWN_TASK, PKR_ERR_UNKNOWN_TASK);
    assert_eq!((found("like", &mut index), index), (unknown, 99));
    let mut task: pkr_task_information = sized();
    assert_eq!(unsafe { pkr_task_info(opened.model, 1, &mut task) }, PKR_OK);
    assert_eq!((task.kind, task.given), (PKR_TASK_DURATION, 0));
    assert_eq!(text(task.unit, task.unit_bytes), "s");
    let mut label: pkr_label_information = sized();
    assert_eq!(
        unsafe { pkr_label_info(opened.model, 0, &mut label) },
        PKR_OK
    );
    assert_eq!(text(label.name, label.name_bytes), "click");
    let mut term: pkr_term_information = sized();
    assert_eq!(unsafe { pkr_term_info(opened.model, 1, &mut term) }, PKR_OK);
    assert_eq!((term.task, term.entire, term.weight), (1, 1, 0.1));
}

/// Rows found by `pkr_row_of` rank as the ids do; a text's hash finds the row of the text.
#[test]
fn a_resolved_row_is_the_same_as_its_id() {
    let opened = Opened::open();
    let values = Values::new(&opened);
    let key = |feature: usize, kind, id, text: &[u8]| pkr_key {
        struct_size: size::<pkr_key>(),
        feature: feature as u32,
        kind,
        number: 0.0,
        id,
        text: text.as_ptr(),
        text_bytes: text.len(),
    };
    let row = |key: pkr_key| {
        let mut row = 0;
        (unsafe { pkr_row_of(opened.model, &key, &mut row) }, row)
    };
    let mut hash = 0;
    assert_eq!(
        unsafe { pkr_hash_text(b"abc".as_ptr(), 3, &mut hash) },
        PKR_OK
    );
    let by_text = row(key(ITEM, PKR_KEY_TEXT, 0, b"abc"));
    assert_eq!(
        (by_text.0, by_text),
        (PKR_OK, row(key(ITEM, PKR_KEY_ID, hash, b"")))
    );
    assert_eq!(
        row(key(ITEM, PKR_KEY_TEXT, 0, b"")).0,
        PKR_ERR_MISSING_VALUE
    );

    let rows = values
        .tags
        .iter()
        .map(|tag| row(key(TAGS, PKR_KEY_ID, *tag, b"")).1);
    let rows: Vec<u32> = rows.collect();
    let mut columns = values.columns();
    let mut ranked = Vec::new();
    for by_rows in [false, true] {
        if by_rows {
            (columns[TAGS].form, columns[TAGS].values) = (PKR_FORM_ROWS, rows.as_ptr().cast());
        }
        let request = values.request(&columns);
        let (_memory, scratch) = opened.scratch(N as u32);
        let (mut order, mut fused, mut scores) = ([9; N], [9.0; N], [9.0; 2 * N]);
        let mut result = result(&mut order, &mut fused, &mut scores);
        let status = unsafe { pkr_rank(opened.model, scratch, &request, &mut result, null_mut()) };
        assert_eq!(status, PKR_OK);
        ranked.push((order, bits(&fused), bits(&scores)));
    }
    assert_eq!(ranked[0], ranked[1]);
}

/// Every status of the core has a constant of its number and its name in the ABI.
#[test]
fn every_status_has_a_constant_and_a_name() {
    let core = include_str!("../src/error.rs");
    let abi = include_str!("../src/ffi/status.rs");
    let variants = core
        .split("pub enum Status {")
        .nth(1)
        .unwrap()
        .split("\n}")
        .next()
        .unwrap();
    let mut checked = 0;
    for line in variants
        .lines()
        .map(str::trim)
        .filter(|l| !l.starts_with("///"))
    {
        let Some((name, number)) = line.trim_end_matches(',').split_once(" = ") else {
            continue;
        };
        let mut constant = String::from("PKR_");
        if name != "Ok" {
            constant.push_str("ERR");
        }
        for c in name.chars() {
            if c.is_uppercase() && name != "Ok" {
                constant.push('_');
            }
            constant.push(c.to_ascii_uppercase());
        }
        let defined = format!("pub const {constant}: pkr_status = {number};");
        assert!(abi.contains(&defined), "{defined}");
        let named = status_name(number.parse().unwrap());
        assert_eq!(named.to_str().unwrap(), constant);
        checked += 1;
    }
    assert!(checked > 40);
    assert_eq!(abi.matches(": pkr_status = ").count(), checked);
    assert_eq!(status_name(9999).to_str().unwrap(), "PKR_ERR_UNKNOWN");
}

/// `cargo test --no-default-features --features std,ffi --test abi`
#[cfg(not(feature = "session"))]
#[test]
fn a_library_without_sessions_refuses_what_needs_them() {
    let opened = Opened::open();
    assert_eq!(opened.info().item_sums_bytes, 0);
    let (_memory, scratch) = opened.scratch(N as u32);
    let values = Values::new(&opened);
    let columns = values.columns();
    let request = values.request(&columns);
    let all: [u32; N] = [0, 1, 2, 3, 4];
    let rank = |request: &pkr_request| {
        let (mut order, mut fused, mut scores) = ([7; N], [7.0; N], [7.0; 2 * N]);
        let mut result = result(&mut order, &mut fused, &mut scores);
        unsafe { pkr_rank(opened.model, scratch, request, &mut result, null_mut()) }
    };
    assert_eq!(rank(&request), PKR_OK);
    let only = pkr_request {
        only: all.as_ptr(),
        num_only: N,
        ..request
    };
    assert_eq!(rank(&only), PKR_ERR_BAD_OPTION);
    let kept = pkr_request {
        item_sums: values.vector.as_ptr(),
        item_sums_bytes: values.vector.len(),
        ..request
    };
    assert_eq!(rank(&kept), PKR_ERR_BAD_OPTION);
}

/// The same command.
#[cfg(not(feature = "levels"))]
#[test]
fn a_library_without_levels_refuses_a_network_that_has_two() {
    use pocketrank::engine::{Model, OpenOptions};
    let mut bytes = tiny_model::tiny_model();
    // Kind, experts, layers of 8 and 6.
    let network = [0, 2, 2, 8, 6];
    let mut places = bytes.windows(5).enumerate().filter(|(_, b)| *b == network);
    let (at, _) = places.next().unwrap();
    assert!(places.next().is_none());
    bytes[at] = 4;
    pocketrank::format::seal(&mut bytes);
    let refused = Model::new().open(&bytes, &OpenOptions::default());
    assert_eq!(
        refused.unwrap_err().status,
        pocketrank::error::Status::BadRecord
    );
}

/// The figures of tests/abi/layout.c, as the library has them.
#[test]
fn layout_is_what_the_header_promises() {
    const P: usize = size_of::<usize>();
    assert_eq!(size_of::<pkr_error_detail>(), 24);
    assert_eq!(size_of::<pkr_requirements>(), 8 + P);
    assert_eq!(size_of::<pkr_open_options>(), 8);
    assert_eq!(size_of::<pkr_column>(), 8 + 8 * P);
    // 15 pointers, and up to the alignment of a time.
    assert_eq!(size_of::<pkr_request>(), 32 + 14 * P);
    assert_eq!(size_of::<pkr_result>(), 24 + 8 * P);
    assert_eq!(size_of::<pkr_key>(), 24 + 2 * P);
    assert_eq!(size_of::<pkr_event>(), 24 + 2 * P);
    assert_eq!(size_of::<pkr_feature_information>(), 40 + 2 * P);
    assert_eq!(size_of::<pkr_task_information>(), 16 + 4 * P);
    assert_eq!(size_of::<pkr_term_information>(), 16 + 2 * P);
    assert_eq!(size_of::<pkr_label_information>(), 8 + 2 * P);
    assert_eq!(offset_of!(pkr_column, weights), 8 + 6 * P);
    assert_eq!(offset_of!(pkr_request, time), 16);
    assert_eq!(offset_of!(pkr_request, num_weights), 24 + 5 * P);
    assert_eq!(offset_of!(pkr_request, num_item_slots), 24 + 11 * P);
    assert_eq!(offset_of!(pkr_request, formula), 24 + 12 * P);
    assert_eq!(offset_of!(pkr_request, num_without), 24 + 14 * P);
    assert_eq!(offset_of!(pkr_result, cut_lists), 20 + 6 * P);
    assert_eq!(offset_of!(pkr_result, terms_len), 24 + 7 * P);
    assert_eq!(offset_of!(pkr_model_information, digest), 24);
    assert_eq!(offset_of!(pkr_model_information, isa), 32 + 3 * P);
    assert_eq!(
        offset_of!(pkr_model_information, item_sums_bytes),
        32 + 5 * P
    );
    assert_eq!(offset_of!(pkr_event, value), 16);
    assert_eq!(offset_of!(pkr_key, text), 24);
}
