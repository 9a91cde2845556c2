//! The tiny model opened through the C ABI, and requests to it.

use core::ptr::{null, null_mut};

use pocketrank::engine::{Column, Lists, Model, OpenOptions, Output, Request, Scratch};
use pocketrank::ffi::*;

use super::tiny_model::{self, ITEM};

/// Column indices of the tiny model.
pub const USER: usize = 0;
pub const TAGS: usize = 2;
pub const SCORE: usize = 3;
pub const VECTOR: usize = 4;

/// Bytes aligned as malloc's are.
pub struct Memory {
    pub words: Vec<u64>,
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

/// A struct of the ABI: zeros, with its size.
pub fn sized<T>() -> T {
    unsafe {
        let mut value = core::mem::zeroed::<T>();
        (&raw mut value).cast::<u32>().write(size::<T>());
        value
    }
}

impl Opened {
    pub fn open() -> Self {
        Self::open_file(tiny_model::tiny_model())
    }

    pub fn open_file(file: Vec<u8>) -> Self {
        let mut need: pkr_requirements = sized();
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
        let mut info: pkr_model_information = sized();
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
        // Missing ones.
        let mut columns = vec![sized::<pkr_column>(); 5];
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
            num_candidates: N as u32,
            time: 1_000_000,
            columns: columns.as_ptr(),
            num_columns: columns.len(),
            state: self.state.as_ptr(),
            state_bytes: self.state.len(),
            weights: self.weights.as_ptr(),
            num_weights: 2,
            ..sized()
        }
    }

    /// The same by the engine: order, bits of the fused and of all scores.
    pub fn by_engine(&self, file: &[u8]) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
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
            terms: &mut [],
        };
        model.rank(&request, &mut scratch, &mut output).unwrap();
        (order.to_vec(), bits(&fused), bits(&scores))
    }
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

pub fn result(order: &mut [u32], fused: &mut [f32], scores: &mut [f32]) -> pkr_result {
    pkr_result {
        order: order.as_mut_ptr(),
        order_len: order.len(),
        fused: fused.as_mut_ptr(),
        fused_len: fused.len(),
        scores: scores.as_mut_ptr(),
        scores_len: scores.len(),
        ..sized()
    }
}

/// A text id of the tiny model's items.
pub fn item_key(item: &str) -> pkr_key {
    pkr_key {
        feature: ITEM as u32,
        kind: PKR_KEY_TEXT,
        text: item.as_ptr(),
        text_bytes: item.len(),
        ..sized()
    }
}

/// A click on what `key` names.
pub fn click_event(key: &pkr_key, time: i64) -> pkr_event {
    pkr_event {
        time,
        value: 1.0,
        keys: key,
        num_keys: 1,
        ..sized()
    }
}

/// Adds a click to the values' state.
pub fn click(opened: &Opened, values: &mut Values, item: &str, time: i64) -> pkr_status {
    let key = item_key(item);
    let event = click_event(&key, time);
    let (state, len) = (values.state.as_mut_ptr(), values.state.len());
    unsafe { pkr_state_apply(opened.model, state, len, &event, null_mut()) }
}
