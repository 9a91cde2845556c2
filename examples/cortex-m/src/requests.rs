//! A file of requests (`../README.md`), read in place from flash: the processor is little-endian, as the file.

use core::ptr::null;

use pocketrank::ffi::*;

pub const MISSING: pkr_column = pkr_column {
    struct_size: size_of::<pkr_column>() as u32,
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

/// What is left of the file.
pub struct Reader(pub &'static [u8]);

impl Reader {
    /// Number of requests, from the head of the file.
    pub fn count(&mut self) -> Option<u32> {
        let [_, _, count, _] = self.heads::<4>()?;
        Some(count)
    }

    /// The next request; its columns are written to `columns`.
    pub fn request(&mut self, columns: &mut [pkr_column]) -> Option<pkr_request> {
        let [low, high, candidates, most, flags, count, state, weights] = self.heads::<8>()?;
        let columns = columns.get_mut(..count as usize)?;
        let mut heads = Reader(self.part(24 * columns.len())?);
        for to in &mut *columns {
            *to = self.column(heads.take::<6>()?)?;
        }
        let state = self.part(state as usize)?;
        let weights = self.part(4 * weights as usize)?;
        Some(pkr_request {
            struct_size: size_of::<pkr_request>() as u32,
            flags,
            num_candidates: candidates,
            max_candidates: most,
            time: i64::from(high) << 32 | i64::from(low),
            columns: columns.as_ptr(),
            num_columns: columns.len(),
            state: start(state),
            state_bytes: state.len(),
            weights: start(weights),
            num_weights: weights.len() / 4,
            only: null(),
            num_only: 0,
            item_sums: null(),
            item_sums_bytes: 0,
            item_slots: null(),
            num_item_slots: 0,
            formula: null(),
            without: null(),
            num_without: 0,
        })
    }

    fn column(&mut self, head: [u32; 6]) -> Option<pkr_column> {
        let [form, count, offsets, list_offsets, weights, _] = head;
        let value_bytes = [0, 8, 1, 4, 4, 1].get(form as usize)?;
        let values = self.part(count as usize * value_bytes)?;
        let offsets = self.part(4 * offsets as usize)?;
        let lists = self.part(4 * list_offsets as usize)?;
        let weights = self.part(4 * weights as usize)?;
        Some(pkr_column {
            form,
            // An empty list has somewhere to be: with NULL in every pointer the column would be missing.
            values: if form == PKR_FORM_MISSING {
                null()
            } else {
                values.as_ptr().cast()
            },
            count: count as usize,
            offsets: start(offsets),
            num_offsets: offsets.len() / 4,
            list_offsets: start(lists),
            num_list_offsets: lists.len() / 4,
            weights: start(weights),
            num_weights: weights.len() / 4,
            ..MISSING
        })
    }

    /// The next `bytes` bytes; behind them are zeros up to a multiple of 8.
    fn part(&mut self, bytes: usize) -> Option<&'static [u8]> {
        let (part, rest) = self.0.split_at_checked(bytes.next_multiple_of(8))?;
        self.0 = rest;
        part.get(..bytes)
    }

    /// The next `N` numbers of a part.
    fn take<const N: usize>(&mut self) -> Option<[u32; N]> {
        let (numbers, rest) = self.0.split_at_checked(4 * N)?;
        self.0 = rest;
        let mut out = [0; N];
        for (to, from) in out.iter_mut().zip(numbers.chunks_exact(4)) {
            *to = u32::from_le_bytes(from.try_into().ok()?);
        }
        Some(out)
    }

    /// A part of `N` numbers.
    fn heads<const N: usize>(&mut self) -> Option<[u32; N]> {
        Reader(self.part(4 * N)?).take()
    }
}

/// NULL for nothing. The file lies on a multiple of 8 bytes, and so does every part.
fn start<T>(part: &[u8]) -> *const T {
    if part.is_empty() {
        null()
    } else {
        part.as_ptr().cast()
    }
}
