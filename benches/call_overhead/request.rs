//! A file of requests (examples/README.md), for both APIs. Little-endian machines only.

use core::ffi::c_void;
use core::ptr::null;

use pocketrank::engine::{Column, Lists};
use pocketrank::ffi::*;

/// The parts of a file of requests (examples/README.md), each on a multiple of 8 bytes.
pub struct Parts<'f> {
    pub file: &'f [u64],
    pub at: usize,
}

impl<'f> Parts<'f> {
    /// The next `count` integers or floats.
    pub fn take<T>(&mut self, count: usize) -> &'f [T] {
        let bytes = count * size_of::<T>();
        let part = &self.file[self.at..][..bytes.div_ceil(8)];
        self.at += part.len();
        // SAFETY: the part has that many bytes, is aligned for 8, and `T` is an integer or a float.
        unsafe { core::slice::from_raw_parts(part.as_ptr().cast(), count) }
    }
}

/// One request, for both APIs.
pub struct Asked<'f> {
    /// As the file has it: time in two halves, candidates, candidates to score at most, flags.
    pub head: [u32; 8],
    pub columns: Vec<Column<'f>>,
    pub c_columns: Vec<pkr_column>,
    pub state: &'f [u8],
    pub weights: &'f [f32],
}

/// The next request; its columns are views of the file.
pub fn next_request<'f>(parts: &mut Parts<'f>) -> Asked<'f> {
    let head: [u32; 8] = parts.take(8).try_into().expect("eight numbers");
    let forms = parts.take::<u32>(6 * head[5] as usize);
    let (mut columns, mut c_columns) = (Vec::new(), Vec::new());
    for form in forms.chunks_exact(6) {
        let [form, count, num_offsets, num_lists, num_weights] =
            [0, 1, 2, 3, 4].map(|i| form[i] as usize);
        let width = [0, 8, 1, 4, 4, 1][form]; // by PKR_FORM_*
        let mut values = Parts {
            file: parts.take((count * width).div_ceil(8)),
            at: 0,
        };
        let c_values = values.file.as_ptr().cast::<c_void>();
        let offsets = parts.take::<u32>(num_offsets);
        let list_offsets = parts.take::<u32>(num_lists);
        let weights = parts.take::<f32>(num_weights);
        let lists = (num_lists > 0).then_some(Lists {
            offsets: list_offsets,
            weights: (num_weights > 0).then_some(weights),
        });
        columns.push(match form as u32 {
            PKR_FORM_MISSING => Column::Missing,
            PKR_FORM_IDS => Column::Ids {
                ids: values.take(count),
                lists,
            },
            PKR_FORM_TEXT => Column::Text {
                utf8: values.take(count),
                offsets,
                lists,
            },
            PKR_FORM_ROWS => Column::Rows {
                rows: values.take(count),
                lists,
            },
            PKR_FORM_FLOATS => Column::Floats(values.take(count)),
            _ => Column::Bytes(values.take(count)),
        });
        let or_null = |len: usize, pointer: *const u32| if len == 0 { null() } else { pointer };
        c_columns.push(pkr_column {
            struct_size: size_of::<pkr_column>() as u32,
            form: form as u32,
            values: if form == 0 { null() } else { c_values },
            count,
            offsets: or_null(num_offsets, offsets.as_ptr()),
            num_offsets,
            list_offsets: or_null(num_lists, list_offsets.as_ptr()),
            num_list_offsets: num_lists,
            weights: or_null(num_weights, weights.as_ptr().cast()).cast(),
            num_weights,
        });
    }
    Asked {
        head,
        columns,
        c_columns,
        state: parts.take(head[6] as usize),
        weights: parts.take(head[7] as usize),
    }
}

impl Asked<'_> {
    /// Unix seconds.
    pub fn time(&self) -> i64 {
        i64::from(self.head[0]) | i64::from(self.head[1]) << 32
    }
}
