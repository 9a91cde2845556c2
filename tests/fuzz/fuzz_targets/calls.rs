//! Calls of the C ABI in any order with any arguments that its contract allows: NULL, misaligned, closed, of another
//! kind, too short, overlapping. Every answer is a known status; outputs are whole on success and untouched otherwise.
#![no_main]
use core::cell::UnsafeCell;
use core::ptr::{null, null_mut};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use pocketrank::ffi::*;
use pocketrank_fuzz::sealed;

#[path = "calls/choices.rs"]
mod choices;
#[path = "calls/request.rs"]
mod request;
#[path = "../../abi/tiny_model.rs"]
mod tiny_model;

use choices::{Choices, sized};

/// Most candidates of a request, and so the size of all buffers.
const N: usize = 20;
const TASKS: usize = 2;
const FILL: u32 = 0x5A5A_5A5A;
const WORDS: usize = 512;

/// Memory aligned as malloc's, written through pointers alone.
type Memory = Box<[UnsafeCell<u64>]>;

fn memory(words: Vec<u64>) -> Memory {
    words.into_iter().map(UnsafeCell::new).collect()
}

struct Run {
    files: [Vec<u8>; 2],
    /// The file from which the model in each memory was last opened.
    opened_from: [usize; 2],
    models: [Memory; 2],
    scratches: [Memory; 2],
    session: Memory,
    /// Item sums, as they were last made.
    sums: Vec<u8>,
    states: [Vec<u8>; 2],
    /// Values that columns point into.
    arena: Memory,
}

fn known(status: pkr_status) -> pkr_status {
    assert_ne!(status_name(status), c"PKR_ERR_UNKNOWN", "{status}");
    status
}

impl Run {
    fn model(&self, c: &mut Choices<'_>, slot: usize) -> *const pkr_model {
        let at = if c.one_in(16) { self.scratches[slot].as_ptr() } else { self.models[slot].as_ptr() };
        c.pointer(at.cast())
    }

    fn scratch(&self, c: &mut Choices<'_>, slot: usize) -> *mut pkr_scratch {
        let at = if c.one_in(16) { self.models[slot].as_ptr() } else { self.scratches[slot].as_ptr() };
        c.pointer(at.cast::<pkr_scratch>()).cast_mut()
    }

    fn open(&mut self, c: &mut Choices<'_>) {
        let (file, slot) = (c.below(4).min(1), c.below(2));
        let mut need: pkr_requirements = sized(c);
        let len = c.count(self.files[file].len(), self.files[file].len().min(255));
        let len = if len == 255 { self.files[file].len() } else { len };
        let bytes = c.pointer(self.files[file].as_ptr());
        // One byte further there is one byte less.
        let len = if bytes > self.files[file].as_ptr() { len.saturating_sub(1) } else { len };
        if len > self.files[file].len() {
            return;
        }
        let mut detail: pkr_error_detail = sized(c);
        let mut options: pkr_open_options = sized(c);
        options.cpu = c.below(4) as u32;
        let options = if c.one_in(2) { &raw const options } else { null() };
        let memory = c.pointer(self.models[slot].as_ptr().cast::<u8>()).cast_mut();
        let room = if c.one_in(8) { c.byte().into() } else { self.models[slot].len() * 8 - 8 };
        let before = core::ptr::dangling_mut::<pkr_model>();
        let mut handle = before;
        // SAFETY: what is neither NULL nor misaligned is live and as long as stated, and nothing else uses it.
        unsafe {
            known(pkr_model_query(bytes, len, &mut need));
            let detail = if c.one_in(2) { &raw mut detail } else { null_mut() };
            let status = known(pkr_model_open(bytes, len, memory, room, options, &mut handle, detail));
            assert_eq!(handle == before, status != PKR_OK);
            if status == PKR_OK {
                self.opened_from[slot] = file;
            }
        }
    }

    fn start_scratch(&mut self, c: &mut Choices<'_>) {
        let slot = c.below(2);
        let most = if c.one_in(8) { c.word() as u32 } else { (N - c.below(N + 1)) as u32 };
        let model = self.model(c, slot);
        let memory = c.pointer(self.scratches[slot].as_ptr().cast::<u8>()).cast_mut();
        let room = if c.one_in(8) { c.byte().into() } else { self.scratches[slot].len() * 8 - 8 };
        let mut bytes = 0;
        let mut handle = null_mut();
        // SAFETY: as in `open`.
        unsafe {
            known(pkr_scratch_bytes(model, most, &mut bytes));
            known(pkr_scratch_init(model, most, memory, room, &mut handle));
        }
    }

    /// What an app does that ranks a feed more than once.
    fn session(&mut self, c: &mut Choices<'_>) {
        let (slot, n) = (c.below(2), self.candidates(c));
        let columns = self.columns(c, n);
        let request = self.request(c, n, &columns);
        let request_at = c.pointer(&raw const request);
        let (model, scratch) = (self.model(c, slot), self.scratch(c, slot));
        let at = if c.one_in(16) { self.models[slot].as_ptr() } else { self.session.as_ptr() };
        let session = c.pointer(at.cast::<pkr_session>()).cast_mut();
        let mut scores = [f32::from_bits(FILL); N * TASKS];
        let mut order = [FILL; N];
        let mut result: pkr_result = sized(c);
        let untouched = |x: &f32| x.to_bits() == FILL;
        let is_whole = |scores: &[f32], len: usize| {
            scores[..len].iter().all(|x| x.is_finite()) && scores[len..].iter().all(untouched)
        };
        // SAFETY: as in `open`; what is written over nobody uses but these calls.
        unsafe {
            match c.below(8) {
                0 => {
                    let mut bytes = 0;
                    known(pkr_session_bytes(model, n, &mut bytes));
                    let room = if c.one_in(8) { c.byte().into() } else { self.session.len() * 8 - 8 };
                    let mut handle = null_mut();
                    let memory = c.pointer(self.session.as_ptr().cast::<u8>()).cast_mut();
                    known(pkr_session_begin(model, scratch, request_at, memory, room, &mut handle, null_mut()));
                }
                1 => drop(known(pkr_session_shown(session, c.below(N) as u32))),
                2 => {
                    let mut event: pkr_event = sized(c);
                    event.label = c.below(3) as u32 / 2;
                    (event.time, event.value) = (c.byte().into(), 1.0);
                    known(pkr_session_feedback(model, session, c.pointer(&event), null_mut()));
                }
                3 => {
                    let state = &mut self.states[c.below(2)];
                    let room = c.count(state.len(), state.len());
                    known(pkr_session_state(session, c.pointer(state.as_ptr()).cast_mut(), room));
                }
                4 if c.one_in(4) => drop(known(pkr_session_close(session))),
                4 | 5 => {
                    (result.scores, result.scores_len) = (scores.as_mut_ptr(), scores.len());
                    let status = known(pkr_session_rerank(model, session, scratch, request_at, &mut result, null_mut()));
                    assert!(is_whole(&scores, if status == PKR_OK { n as usize * TASKS } else { 0 }));
                }
                6 => {
                    let room = c.count(self.sums.len(), self.sums.len().min(255));
                    let room = if room == 255 { self.sums.len() } else { room };
                    known(pkr_item_sums(model, scratch, request_at, self.sums.as_mut_ptr(), room, null_mut()));
                }
                _ => {
                    (result.scores, result.scores_len) = (scores.as_mut_ptr(), c.count(scores.len(), scores.len()));
                    let status = known(pkr_score(model, scratch, request_at, &mut result, null_mut()));
                    let rows = if request.only.is_null() { n as usize } else { request.num_only };
                    let written = status == PKR_OK && result.scores_len != 0;
                    assert!(is_whole(&scores, if written { rows * TASKS } else { 0 }));
                    if c.one_in(4) {
                        scores.fill(f32::from_bits(c.word() as u32));
                    }
                    let mut ordered: pkr_result = sized(c);
                    (ordered.order, ordered.order_len) = (order.as_mut_ptr(), N);
                    let scores = c.pointer(scores.as_ptr());
                    known(pkr_order(model, scratch, request_at, scores, c.count(N * TASKS, N * TASKS), &mut ordered, null_mut()));
                }
            }
        }
    }

    fn rank(&mut self, c: &mut Choices<'_>) {
        let slot = c.below(2);
        let n = self.candidates(c);
        let columns = self.columns(c, n);
        let request = self.request(c, n, &columns);
        let mut order = [FILL; N];
        let (mut fused, mut scores) = ([f32::from_bits(FILL); N], [f32::from_bits(FILL); N * TASKS]);
        let mut result: pkr_result = sized(c);
        (result.order, result.order_len) = (order.as_mut_ptr(), c.count(N, N));
        (result.fused, result.fused_len) = (fused.as_mut_ptr(), c.count(N, N));
        (result.scores, result.scores_len) = (scores.as_mut_ptr(), c.count(N * TASKS, N * TASKS));
        let (model, scratch) = (self.model(c, slot), self.scratch(c, slot));
        // More room than there is may be stated only where the call needs at most what there is.
        if n as usize > N {
            result.order_len = result.order_len.min(N);
            result.fused_len = result.fused_len.min(N);
            result.scores_len = result.scores_len.min(N * TASKS);
        }
        let mut must_fail = false;
        if c.one_in(4) {
            let forbidden: [*const u8; 5] = [
                (&raw const request).cast(),
                model.cast(),
                scratch.cast(),
                self.files[self.opened_from[slot]].as_ptr(),
                columns.as_ptr().cast(),
            ];
            // Without columns there is no memory where they would stand.
            let choices = if columns.is_empty() { 4 } else { 5 };
            let at = forbidden[c.below(choices)].wrapping_add(c.below(3) * 4).cast_mut();
            match c.below(3) {
                0 => (result.order, result.order_len) = (at.cast(), N),
                1 => (result.fused, result.fused_len) = (at.cast(), N),
                _ => (result.scores, result.scores_len) = (at.cast(), N * TASKS),
            }
            must_fail = true;
        }
        let mut detail: pkr_error_detail = sized(c);
        detail.status = FILL;
        let detail_at = if c.one_in(2) { &raw mut detail } else { null_mut() };
        let result_at = c.pointer(&raw const result).cast_mut();
        let request_at = c.pointer(&raw const request);
        // SAFETY: as in `open`; what is written over nobody uses but this call.
        let status = known(unsafe { pkr_rank(model, scratch, request_at, result_at, detail_at) });
        let untouched = |x: &f32| x.to_bits() == FILL;
        if status != PKR_OK {
            assert!(order.iter().all(|x| *x == FILL) && fused.iter().chain(&scores).all(untouched));
            assert!(detail_at.is_null() || [FILL, status].contains(&detail.status));
            return;
        }
        assert!(!must_fail && detail.status == FILL);
        let n = n as usize;
        let scored = result.scored as usize;
        let only = !request.only.is_null() || request.num_only != 0;
        assert!(scored <= n && (only || scored > 0));
        let used = |len: usize, all: usize| if len == 0 { 0 } else { all };
        let (kept, rest) = order.split_at(result.order_len.min(n));
        let mut seen = vec![false; n];
        for candidate in kept {
            assert!(!core::mem::replace(&mut seen[*candidate as usize], true));
        }
        assert!(rest.iter().all(|x| *x == FILL));
        let (kept, rest) = fused.split_at(used(result.fused_len, n));
        assert!(only || kept.iter().take(scored).all(|x| x.is_finite()));
        assert_eq!(kept.iter().filter(|x| x.is_finite()).count(), scored.min(kept.len()));
        assert!(kept.iter().all(|x| x.is_finite() || *x == f32::NEG_INFINITY) && rest.iter().all(untouched));
        let (kept, rest) = scores.split_at(used(result.scores_len, n * TASKS));
        assert!(kept.iter().all(|x| x.is_finite()) && rest.iter().all(untouched));
    }

    fn state(&mut self, c: &mut Choices<'_>) {
        let slot = c.below(2);
        let model = self.model(c, slot);
        let state = c.below(2);
        let room = c.count(self.states[state].len(), self.states[state].len());
        let at = match self.states[state].as_mut_ptr() {
            _ if c.one_in(16) => null_mut(),
            at => at,
        };
        let keys: Vec<pkr_key> = (0..c.below(4))
            .map(|_| {
                let mut key: pkr_key = sized(c);
                key.feature = if c.one_in(16) { c.word() as u32 } else { c.below(8) as u32 };
                key.kind = c.below(4) as u32;
                (key.id, key.number) = (c.byte().into(), f32::from_bits(c.word() as u32));
                key.text = c.pointer(self.arena.as_ptr().cast());
                key.text_bytes = c.count(3, 200);
                key
            })
            .collect();
        let mut event: pkr_event = sized(c);
        event.label = c.below(3) as u32 / 2;
        event.time = if c.one_in(4) { c.word() as i64 } else { c.byte().into() };
        event.value = if c.one_in(4) { f32::from_bits(c.word() as u32) } else { 1.0 };
        event.reserved = u32::from(c.one_in(32));
        event.keys = c.pointer(keys.as_ptr());
        event.num_keys = if c.one_in(16) { usize::MAX } else { keys.len() };
        let before = self.states[state].clone();
        // SAFETY: as in `open`.
        unsafe {
            let mut row = 0;
            for key in &keys {
                known(pkr_row_of(model, key, &mut row));
            }
            let status = match c.one_in(3) {
                true => pkr_state_reset(model, at, room),
                false => pkr_state_apply(model, at, room, c.pointer(&event), null_mut()),
            };
            assert!(known(status) == PKR_OK || self.states[state] == before);
        }
        if c.one_in(16) {
            let at = c.word() as usize % before.len();
            self.states[state][at] ^= 1 << c.below(8);
        }
    }

    fn ask(&self, c: &mut Choices<'_>) {
        let slot = c.below(2);
        let (model, index) = (self.model(c, slot), c.below(9) as u32);
        let (name, len) = (c.pointer(self.arena.as_ptr().cast::<u8>()), c.count(4, 100));
        let (mut found, mut hash) = (0, 0);
        // SAFETY: as in `open`.
        unsafe {
            known(pkr_model_info(model, &mut sized(c)));
            known(pkr_feature_info(model, index, &mut sized(c)));
            known(pkr_task_info(model, index, &mut sized(c)));
            known(pkr_term_info(model, index, &mut sized(c)));
            known(pkr_label_info(model, index, &mut sized(c)));
            known(pkr_feature_index(model, name, len, &mut found));
            known(pkr_label_index(model, name, len, &mut found));
            known(pkr_hash_text(name, len, &mut hash));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    static GOOD: OnceLock<(Vec<u8>, usize, usize, usize)> = OnceLock::new();
    let (good, model_bytes, state_bytes, item_sums_bytes) = GOOD.get_or_init(|| {
        let file = tiny_model::tiny_model();
        let mut model = Box::new(pocketrank::engine::Model::new());
        model.open(&file, &Default::default()).expect("a good file");
        let state_bytes = model.state_bytes();
        let mut need = pkr_requirements { struct_size: size_of::<pkr_requirements>() as u32, alignment: 0, model_bytes: 0 };
        // SAFETY: the file and the struct are live.
        assert_eq!(unsafe { pkr_model_query(file.as_ptr(), file.len(), &mut need) }, PKR_OK);
        let item_sums_bytes = model.item_sums_bytes();
        (file.clone(), need.model_bytes, state_bytes, item_sums_bytes)
    });
    let mut c = Choices(bytes);
    let mut other = good.clone();
    let edits = c.below(3);
    for _ in 0..edits {
        let at = 64 + c.word() as usize % (other.len() - 64);
        other[at] = c.byte();
    }
    let mut arena = vec![0u64; WORDS + 2];
    let noise = c.word();
    for (i, word) in arena.iter_mut().enumerate() {
        *word = noise.wrapping_mul(i as u64 * 2 + 1).rotate_left(i as u32);
    }
    for each in 1..4 {
        for i in 0..32 {
            let offset = ((i * each) as u64) << (i % 2 * 32);
            let word = &mut arena[WORDS / 2 + 16 * each + i / 2];
            *word = if i % 2 == 0 { offset } else { *word | offset };
        }
    }
    let mut run = Run {
        files: [good.clone(), if edits == 0 { other } else { sealed(&other) }],
        opened_from: [0; 2],
        models: [0; 2].map(|_| memory(vec![0; model_bytes / 8 + 2])),
        scratches: [0; 2].map(|_| memory(vec![0; 2 << 10])),
        session: memory(vec![0; 4 << 10]),
        sums: vec![0; item_sums_bytes * 3],
        states: [1, 3].map(|more| vec![0; state_bytes + more]),
        arena: memory(arena),
    };
    // Mostly with a model and a scratch to begin with: the choices of nothing are the right ones.
    if !c.one_in(8) {
        run.open(&mut Choices(&[]));
        run.start_scratch(&mut Choices(&[]));
    }
    for _ in 0..20 {
        match c.below(12) {
            // Also where the choices run out.
            0 => break,
            1 => run.open(&mut c),
            2 => run.start_scratch(&mut c),
            3 => run.state(&mut c),
            4 => run.ask(&mut c),
            9.. => run.session(&mut c),
            5 => {
                let slot = c.below(2);
                // SAFETY: the memory is live, and nothing else runs.
                let status = match c.one_in(2) {
                    true => unsafe { pkr_scratch_close(run.scratch(&mut c, slot)) },
                    false => unsafe { pkr_model_close(run.model(&mut c, slot).cast_mut()) },
                };
                known(status);
            }
            _ => run.rank(&mut c),
        }
    }
});
