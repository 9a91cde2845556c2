//! The C ABI, called as C calls it: right calls give what the engine gives, and every wrong pointer gets its own status
//! and leaves the outputs as they were.
#![cfg(feature = "ffi")]
#![allow(
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    unsafe_code
)]

#[path = "abi/misuse.rs"]
mod misuse;
#[cfg(feature = "session")]
#[path = "abi/session.rs"]
mod session;
#[path = "abi/threads.rs"]
mod threads;
#[path = "abi/tiny_model.rs"]
mod tiny_model;

use core::mem::offset_of;
use core::ptr::{null, null_mut};

use pocketrank::engine::{Column, Lists, Model, OpenOptions, Output, Request, Scratch};
use pocketrank::ffi::*;
use tiny_model::ITEM;

/// Column indices of the tiny model.
pub const USER: usize = 0;
pub const TAGS: usize = 2;
pub const SCORE: usize = 3;
pub const VECTOR: usize = 4;

/// Bytes aligned as malloc's are.
pub struct Memory {
    words: Vec<u64>,
    pub bytes: usize,
}

impl Memory {
    pub fn new(bytes: usize) -> Self {
        Self {
            words: vec![0; bytes.div_ceil(8) + 1],
            bytes,
        }
    }
    pub fn ptr(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }
    pub fn copy(&self) -> Self {
        Self {
            words: self.words.clone(),
            bytes: self.bytes,
        }
    }
}

/// A model opened through the C ABI.
pub struct Opened {
    pub file: Vec<u8>,
    pub memory: Memory,
    pub model: *mut pkr_model,
}

pub fn size<T>() -> u32 {
    size_of::<T>() as u32
}

impl Opened {
    pub fn open() -> Self {
        Self::open_file(tiny_model::tiny_model())
    }

    pub fn open_file(file: Vec<u8>) -> Self {
        let mut need = pkr_requirements {
            struct_size: size::<pkr_requirements>(),
            alignment: 0,
            model_bytes: 0,
        };
        let status = unsafe { pkr_model_query(file.as_ptr(), file.len(), &mut need) };
        assert_eq!((status, need.alignment), (PKR_OK, 8));
        let mut memory = Memory::new(need.model_bytes);
        let mut model = null_mut();
        let status = unsafe {
            let memory_ptr = memory.ptr();
            let options = null();
            pkr_model_open(
                file.as_ptr(),
                file.len(),
                memory_ptr,
                need.model_bytes,
                options,
                &mut model,
                null_mut(),
            )
        };
        assert_eq!(status, PKR_OK, "{:?}", status_name(status));
        Self {
            file,
            memory,
            model,
        }
    }

    /// Scratch for `n` candidates.
    pub fn scratch(&self, n: u32) -> (Memory, *mut pkr_scratch) {
        let (mut bytes, mut scratch) = (0, null_mut());
        assert_eq!(
            unsafe { pkr_scratch_bytes(self.model, n, &mut bytes) },
            PKR_OK
        );
        let mut memory = Memory::new(bytes);
        let status = unsafe { pkr_scratch_init(self.model, n, memory.ptr(), bytes, &mut scratch) };
        assert_eq!(status, PKR_OK);
        (memory, scratch)
    }

    pub fn info(&self) -> pkr_model_information {
        let mut info: pkr_model_information = unsafe { core::mem::zeroed() };
        info.struct_size = size::<pkr_model_information>();
        assert_eq!(unsafe { pkr_model_info(self.model, &mut info) }, PKR_OK);
        info
    }
}

/// Values of a request to the tiny model.
pub struct Values {
    pub user: [u64; 1],
    pub item_utf8: Vec<u8>,
    pub item_offsets: Vec<u32>,
    pub tags: Vec<u64>,
    pub tag_offsets: Vec<u32>,
    pub tag_weights: Vec<f32>,
    pub score: Vec<f32>,
    pub vector: Vec<u8>,
    pub state: Vec<u8>,
    pub weights: [f32; 2],
}

pub const N: usize = 5;

impl Values {
    pub fn new(opened: &Opened) -> Self {
        let mut state = vec![0; opened.info().state_bytes];
        let status = unsafe { pkr_state_reset(opened.model, state.as_mut_ptr(), state.len()) };
        assert_eq!(status, PKR_OK);
        Self {
            user: [7],
            item_utf8: b"abbcccdddd".to_vec(),
            item_offsets: vec![0, 1, 3, 6, 10, 10],
            tags: vec![1, 2, 3, 4, 5, 6, 7],
            tag_offsets: vec![0, 2, 2, 6, 7, 7],
            tag_weights: vec![1.0, 0.5, 0.25, 1.0, 1.0, 0.0, 1.0],
            score: vec![0.5, -1.0, f32::NAN, f32::INFINITY, 2.0],
            vector: (0..4 * N as u8).collect(),
            state,
            weights: [1.0, 0.5],
        }
    }

    pub fn columns(&self) -> Vec<pkr_column> {
        let mut columns = vec![
            pkr_column {
                struct_size: size::<pkr_column>(),
                form: PKR_FORM_MISSING,
                values: null(),
                count: 0,
                offsets: null(),
                num_offsets: 0,
                list_offsets: null(),
                num_list_offsets: 0,
                weights: null(),
                num_weights: 0,
            };
            5
        ];
        let mut set = |i: usize, form, values: *const u8, count| {
            (columns[i].form, columns[i].values, columns[i].count) = (form, values.cast(), count);
        };
        set(USER, PKR_FORM_IDS, self.user.as_ptr().cast(), 1);
        set(
            ITEM,
            PKR_FORM_TEXT,
            self.item_utf8.as_ptr(),
            self.item_utf8.len(),
        );
        set(
            TAGS,
            PKR_FORM_IDS,
            self.tags.as_ptr().cast(),
            self.tags.len(),
        );
        set(SCORE, PKR_FORM_FLOATS, self.score.as_ptr().cast(), N);
        set(
            VECTOR,
            PKR_FORM_BYTES,
            self.vector.as_ptr(),
            self.vector.len(),
        );
        columns[ITEM].offsets = self.item_offsets.as_ptr();
        columns[ITEM].num_offsets = self.item_offsets.len();
        columns[TAGS].list_offsets = self.tag_offsets.as_ptr();
        columns[TAGS].num_list_offsets = self.tag_offsets.len();
        columns[TAGS].weights = self.tag_weights.as_ptr();
        columns[TAGS].num_weights = self.tag_weights.len();
        columns
    }

    pub fn request(&self, columns: &[pkr_column]) -> pkr_request {
        pkr_request {
            struct_size: size::<pkr_request>(),
            flags: 0,
            num_candidates: N as u32,
            max_candidates: 0,
            time: 1_000_000,
            columns: columns.as_ptr(),
            num_columns: columns.len(),
            state: self.state.as_ptr(),
            state_bytes: self.state.len(),
            weights: self.weights.as_ptr(),
            num_weights: 2,
            only: null(),
            num_only: 0,
            item_sums: null(),
            item_sums_bytes: 0,
            item_slots: null(),
            num_item_slots: 0,
        }
    }

    /// The same by the engine: order, bits of the fused and of all scores.
    fn by_engine(&self, file: &[u8]) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let mut model = Box::new(Model::new());
        model.open(file, &OpenOptions::default()).unwrap();
        let lists = Lists {
            offsets: &self.tag_offsets,
            weights: Some(&self.tag_weights),
        };
        let columns = [
            Column::Ids {
                ids: &self.user,
                lists: None,
            },
            Column::Text {
                utf8: &self.item_utf8,
                offsets: &self.item_offsets,
                lists: None,
            },
            Column::Ids {
                ids: &self.tags,
                lists: Some(lists),
            },
            Column::Floats(&self.score),
            Column::Bytes(&self.vector),
        ];
        let request = Request {
            num_candidates: N,
            columns: &columns,
            state: Some(&self.state),
            time: 1_000_000,
            weights: Some(&self.weights),
            ..Request::default()
        };
        let len = model.scratch_len(N);
        let (mut floats, mut bytes) = (vec![0.0; len.floats], vec![0; len.bytes]);
        let (mut order, mut fused, mut scores) = ([0; N], [0.0; N], [0.0; 2 * N]);
        let mut scratch = Scratch {
            floats: &mut floats,
            bytes: &mut bytes,
        };
        let mut output = Output {
            order: &mut order,
            fused: &mut fused,
            scores: &mut scores,
        };
        model.rank(&request, &mut scratch, &mut output).unwrap();
        (order.to_vec(), bits(&fused), bits(&scores))
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

pub fn result(order: &mut [u32], fused: &mut [f32], scores: &mut [f32]) -> pkr_result {
    pkr_result {
        struct_size: size::<pkr_result>(),
        scored: 0,
        order: order.as_mut_ptr(),
        order_len: order.len(),
        fused: fused.as_mut_ptr(),
        fused_len: fused.len(),
        scores: scores.as_mut_ptr(),
        scores_len: scores.len(),
        missing: 0,
        not_finite: 0,
        unknown_ids: 0,
        cut_lists: 0,
    }
}

fn click(opened: &Opened, values: &mut Values, item: &str, time: i64) -> pkr_status {
    let key = pkr_key {
        struct_size: size::<pkr_key>(),
        feature: ITEM as u32,
        kind: PKR_KEY_TEXT,
        number: 0.0,
        id: 0,
        text: item.as_ptr(),
        text_bytes: item.len(),
    };
    let event = pkr_event {
        struct_size: size::<pkr_event>(),
        label: 0,
        time,
        value: 1.0,
        reserved: 0,
        keys: &key,
        num_keys: 1,
    };
    let (state, len) = (values.state.as_mut_ptr(), values.state.len());
    unsafe { pkr_state_apply(opened.model, state, len, &event, null_mut()) }
}

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
        let mut info: pkr_feature_information = unsafe { core::mem::zeroed() };
        info.struct_size = size::<pkr_feature_information>();
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
    let mut tags: pkr_feature_information = unsafe { core::mem::zeroed() };
    tags.struct_size = size::<pkr_feature_information>();
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
    let mut task: pkr_task_information = unsafe { core::mem::zeroed() };
    task.struct_size = size::<pkr_task_information>();
    assert_eq!(unsafe { pkr_task_info(opened.model, 1, &mut task) }, PKR_OK);
    assert_eq!((task.kind, task.given), (PKR_TASK_DURATION, 0));
    assert_eq!(text(task.unit, task.unit_bytes), "s");
    let mut label: pkr_label_information = unsafe { core::mem::zeroed() };
    label.struct_size = size::<pkr_label_information>();
    assert_eq!(
        unsafe { pkr_label_info(opened.model, 0, &mut label) },
        PKR_OK
    );
    assert_eq!(text(label.name, label.name_bytes), "click");
    let mut term: pkr_term_information = unsafe { core::mem::zeroed() };
    term.struct_size = size::<pkr_term_information>();
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

/// The figures of tests/abi/layout.c, as the library has them.
#[test]
fn layout_is_what_the_header_promises() {
    const P: usize = size_of::<usize>();
    assert_eq!(size_of::<pkr_error_detail>(), 24);
    assert_eq!(size_of::<pkr_requirements>(), 8 + P);
    assert_eq!(size_of::<pkr_open_options>(), 8);
    assert_eq!(size_of::<pkr_column>(), 8 + 8 * P);
    assert_eq!(size_of::<pkr_request>(), 24 + 12 * P);
    assert_eq!(size_of::<pkr_result>(), 24 + 6 * P);
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
    assert_eq!(offset_of!(pkr_result, cut_lists), 20 + 6 * P);
    assert_eq!(offset_of!(pkr_model_information, digest), 24);
    assert_eq!(offset_of!(pkr_model_information, isa), 32 + 3 * P);
    assert_eq!(
        offset_of!(pkr_model_information, item_sums_bytes),
        32 + 5 * P
    );
    assert_eq!(offset_of!(pkr_event, value), 16);
    assert_eq!(offset_of!(pkr_key, text), 24);
}
