//! A request whose columns, state, weights, subset and sums are mostly as the model wants them.

use pocketrank::ffi::*;

use super::choices::{Choices, sized};
use super::{N, Run, WORDS};

impl Run {
    fn column(&self, c: &mut Choices<'_>, feature: usize, n: usize) -> pkr_column {
        let mut column: pkr_column = sized(c);
        let right = [PKR_FORM_IDS, PKR_FORM_TEXT, PKR_FORM_IDS, PKR_FORM_FLOATS, PKR_FORM_BYTES];
        column.form = match right.get(feature) {
            Some(form) if !c.one_in(4) => *form,
            _ => c.below(8) as u32,
        };
        let values = if feature == 0 { 1 } else { n };
        let each = 1 + c.below(3);
        let words = self.arena.as_ptr();
        // Regular offsets stand in the second half; anything in the first.
        let offsets = |c: &mut Choices<'_>, each: usize| {
            let at = if c.one_in(8) { 0 } else { WORDS / 2 + 16 * each };
            // SAFETY: within the arena.
            c.pointer(unsafe { words.add(at) }.cast::<u32>())
        };
        let (count, most) = match column.form {
            PKR_FORM_TEXT => (values * each, WORDS * 8),
            PKR_FORM_IDS | PKR_FORM_ROWS if feature == 2 => (values * each, WORDS),
            PKR_FORM_BYTES => (values * 4, WORDS * 8),
            _ => (values, WORDS),
        };
        column.values = c.pointer(words.cast());
        column.count = c.count(count, most.min(255) - 8);
        if column.form == PKR_FORM_TEXT || c.one_in(32) {
            column.offsets = offsets(c, each);
            column.num_offsets = c.count(values + 1, 60);
        }
        if feature == 2 || c.one_in(32) {
            column.list_offsets = offsets(c, each);
            column.num_list_offsets = c.count(values + 1, 60);
            if c.one_in(2) {
                column.weights = c.pointer(words.cast());
                column.num_weights = c.count(column.count.min(60), 60);
            }
        }
        column
    }

    pub fn candidates(&self, c: &mut Choices<'_>) -> u32 {
        if c.one_in(16) { c.word() as u32 } else { 1 + c.below(N) as u32 }
    }

    pub fn columns(&self, c: &mut Choices<'_>, n: u32) -> Vec<pkr_column> {
        let given = c.below(10);
        (0..given).map(|i| self.column(c, i, n as usize % 32)).collect()
    }

    pub fn request(&self, c: &mut Choices<'_>, n: u32, columns: &[pkr_column]) -> pkr_request {
        let mut request: pkr_request = sized(c);
        request.num_candidates = n;
        request.flags = [0, 0, PKR_STRICT, 6][c.below(4)];
        request.max_candidates = c.below(N) as u32;
        request.time = c.word() as i64;
        request.columns = c.pointer(columns.as_ptr());
        request.num_columns = columns.len();
        if c.one_in(2) {
            let state = &self.states[c.below(2)];
            request.state = c.pointer(state.as_ptr());
            request.state_bytes = c.count(state.len(), state.len() - 1);
        }
        if c.one_in(3) {
            request.weights = c.pointer(self.arena.as_ptr().cast());
            request.num_weights = c.count(2, 60);
        }
        if c.one_in(4) {
            const ALL: [u32; N] = {
                let mut all = [0; N];
                let mut i = 0;
                while i < N {
                    all[i] = i as u32;
                    i += 1;
                }
                all
            };
            let first = c.below(N);
            request.only = c.pointer(ALL[first..].as_ptr());
            request.num_only = c.count(c.0.len() % 4, N - first - 1);
        }
        if c.one_in(3) {
            request.item_sums = c.pointer(self.sums.as_ptr());
            request.item_sums_bytes = c.count(self.sums.len(), self.sums.len().min(255));
            if request.item_sums > self.sums.as_ptr() {
                request.item_sums_bytes = request.item_sums_bytes.min(self.sums.len().saturating_sub(1));
            }
            if c.one_in(3) {
                request.item_slots = c.pointer(self.arena.as_ptr().cast());
                request.num_item_slots = c.count(n as usize, 60);
            }
        }
        request
    }
}
