//! Item sums, parts of requests and sessions through the C ABI: the bits of `pkr_rank`, and a status for every wrong argument.

use core::ptr::{null, null_mut};

use pocketrank::ffi::*;

use super::tiny_model;
use super::values::*;

/// Scores and order of a plain request.
type Bits = (Vec<u32>, Vec<u32>, Vec<u32>);

fn rank(opened: &Opened, scratch: *mut pkr_scratch, request: &pkr_request) -> (pkr_status, Bits) {
    let (mut order, mut fused, mut scores) = ([7; N], [7.0; N], [7.0; 2 * N]);
    let mut result = result(&mut order, &mut fused, &mut scores);
    let status = unsafe { pkr_rank(opened.model, scratch, request, &mut result, null_mut()) };
    (status, (order.to_vec(), bits(&fused), bits(&scores)))
}

fn empty_result() -> pkr_result {
    result(&mut [], &mut [], &mut [])
}

/// A request, its item sums and what it ranks.
struct Case {
    opened: Opened,
    _scratch_memory: Memory,
    scratch: *mut pkr_scratch,
    values: Values,
    sums: Vec<u8>,
    plain: Bits,
}

impl Case {
    fn new() -> Self {
        let opened = Opened::open();
        let (scratch_memory, scratch) = opened.scratch(N as u32);
        let mut values = Values::new(&opened);
        assert_eq!(click(&opened, &mut values, "bb", 2000), PKR_OK);
        let columns = values.columns();
        let request = values.request(&columns);
        let mut sums = vec![0xAA; N * opened.info().item_sums_bytes];
        let status = unsafe {
            pkr_item_sums(
                opened.model,
                scratch,
                &request,
                sums.as_mut_ptr(),
                sums.len(),
                null_mut(),
            )
        };
        assert_eq!(status, PKR_OK);
        let (status, plain) = rank(&opened, scratch, &request);
        assert_eq!(status, PKR_OK);
        Self {
            opened,
            _scratch_memory: scratch_memory,
            scratch,
            values,
            sums,
            plain,
        }
    }

    /// Columns without those that only item sums are made of.
    fn bare_columns(&self) -> Vec<pkr_column> {
        let mut columns = self.values.columns();
        for i in [TAGS, VECTOR] {
            columns[i] = pkr_column {
                form: PKR_FORM_MISSING,
                ..columns[i]
            };
        }
        columns
    }

    fn with_sums(&self, columns: &[pkr_column]) -> pkr_request {
        pkr_request {
            item_sums: self.sums.as_ptr(),
            item_sums_bytes: self.sums.len(),
            ..self.values.request(columns)
        }
    }
}

#[test]
fn kept_item_sums_rank_alike_and_stale_ones_are_refused() {
    let mut case = Case::new();
    let len = case.opened.info().item_sums_bytes;
    let columns = case.bare_columns();
    let request = case.with_sums(&columns);
    assert_eq!(
        rank(&case.opened, case.scratch, &request),
        (PKR_OK, case.plain.clone())
    );
    let slots = [3, 1, PKR_NO_SLOT, 0, 4];
    let all = case.values.columns();
    let mut arena = case.sums.clone();
    for (candidate, slot) in slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| **slot != PKR_NO_SLOT)
    {
        let to = *slot as usize * len;
        arena[to..to + len].copy_from_slice(&case.sums[candidate * len..][..len]);
    }
    let request = pkr_request {
        item_sums: arena.as_ptr(),
        item_slots: slots.as_ptr(),
        num_item_slots: N,
        ..case.with_sums(&all)
    };
    assert_eq!(
        rank(&case.opened, case.scratch, &request),
        (PKR_OK, case.plain.clone())
    );

    case.sums[2 * len + 40] ^= 1;
    let request = case.with_sums(&columns);
    let mut where_: pkr_error_detail = sized();
    let (mut order, mut result) = ([7; N], empty_result());
    (result.order, result.order_len) = (order.as_mut_ptr(), N);
    let status = unsafe {
        pkr_rank(
            case.opened.model,
            case.scratch,
            &request,
            &mut result,
            &mut where_,
        )
    };
    assert_eq!(
        (status, where_.status, where_.candidate),
        (PKR_ERR_STALE_SUMS, PKR_ERR_STALE_SUMS, 2)
    );
    assert_eq!(order, [7; N]);

    type Spoil = fn(&mut pkr_request);
    let wrong: [(&str, pkr_status, Spoil); 9] = [
        ("sums NULL", PKR_ERR_NULL_POINTER, |r| r.item_sums = null()),
        ("sums short", PKR_ERR_BAD_INDEX, |r| r.item_sums_bytes -= 1),
        ("sums huge", PKR_ERR_LENGTH_OVERFLOW, |r| {
            r.item_sums_bytes = usize::MAX
        }),
        ("slots NULL", PKR_ERR_NULL_POINTER, |r| r.num_item_slots = N),
        ("slots misaligned", PKR_ERR_MISALIGNED, |r| {
            (r.item_slots, r.num_item_slots) = (null::<u8>().wrapping_add(1).cast(), N);
        }),
        ("slots short", PKR_ERR_COLUMN_LENGTH, |r| {
            (r.item_slots, r.num_item_slots) = (r.columns.cast(), N - 1);
        }),
        ("only NULL", PKR_ERR_NULL_POINTER, |r| r.num_only = 1),
        ("only misaligned", PKR_ERR_MISALIGNED, |r| {
            (r.only, r.num_only) = (null::<u8>().wrapping_add(1).cast(), 1);
        }),
        ("only past the end", PKR_ERR_BAD_INDEX, |r| {
            (r.only, r.num_only) = (&raw const r.num_candidates, 1)
        }),
    ];
    case.sums[2 * len + 40] ^= 1;
    for (name, expected, spoil) in wrong {
        let mut request = case.with_sums(&columns);
        spoil(&mut request);
        let (status, outputs) = rank(&case.opened, case.scratch, &request);
        assert_eq!(status_name(status), status_name(expected), "{name}");
        assert_eq!(outputs.0, [7; N], "{name}");
    }
    let mut out = vec![0; case.sums.len() + 1];
    let plain = case.values.request(&all);
    let sums = |request: &pkr_request, out: *mut u8, bytes| unsafe {
        pkr_item_sums(
            case.opened.model,
            case.scratch,
            request,
            out,
            bytes,
            null_mut(),
        )
    };
    let at = out.as_mut_ptr();
    assert_eq!(sums(&plain, at, N * len + 1), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(sums(&plain, at, N * len - 1), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(sums(&plain, null_mut(), N * len), PKR_ERR_NULL_POINTER);
    assert_eq!(sums(&plain, case.scratch.cast(), N * len), PKR_ERR_OVERLAP);
    assert_eq!(
        sums(&plain, case.values.vector.as_ptr().cast_mut(), N * len),
        PKR_ERR_OVERLAP
    );
    assert_eq!(sums(&case.with_sums(&all), at, N * len), PKR_ERR_BAD_OPTION);
    assert_eq!(
        sums(
            &pkr_request {
                flags: PKR_STRICT,
                ..plain
            },
            at,
            N * len
        ),
        PKR_ERR_MISSING_VALUE
    );
    assert!(out.iter().all(|b| *b == 0));
}

/// What one thread scores.
struct Part {
    model: *const pkr_model,
    scratch: *mut pkr_scratch,
    request: pkr_request,
}

// SAFETY: the model is shared and immutable, the scratch is this thread's, and what the request points to is not written.
unsafe impl Send for Part {}

impl Part {
    fn score(self, scores: &mut [f32]) {
        let mut result = result(&mut [], &mut [], scores);
        let status = unsafe {
            pkr_score(
                self.model,
                self.scratch,
                &self.request,
                &mut result,
                null_mut(),
            )
        };
        assert_eq!(status, PKR_OK);
        assert_eq!(result.scored as usize, self.request.num_only);
    }
}

#[test]
fn two_threads_share_a_request() {
    let case = Case::new();
    let columns = case.values.columns();
    let mut scores = [7f32; 2 * N];
    let (first, second) = scores.split_at_mut(2 * 2);
    let only: [u32; N] = [0, 1, 2, 3, 4];
    let scratches = [(); 2].map(|()| case.opened.scratch(N as u32));
    let parts = [(&only[..2], first), (&only[2..], second)];
    std::thread::scope(|scope| {
        for ((only, scores), (_, scratch)) in parts.into_iter().zip(&scratches) {
            let request = pkr_request {
                only: only.as_ptr(),
                num_only: only.len(),
                ..case.values.request(&columns)
            };
            let part = Part {
                model: case.opened.model,
                scratch: *scratch,
                request,
            };
            scope.spawn(move || part.score(scores));
        }
    });
    let (mut order, mut fused) = ([7; N], [7.0; N]);
    let mut result = result(&mut order, &mut fused, &mut []);
    let request = case.values.request(&columns);
    let mut run = |scores: *const f32, num_scores, num_weights| unsafe {
        let request = pkr_request {
            num_weights,
            ..request
        };
        pkr_order(
            case.opened.model,
            case.scratch,
            &request,
            scores,
            num_scores,
            &mut result,
            null_mut(),
        )
    };
    let at = scores.as_ptr();
    assert_eq!(run(at, 0, 2), PKR_ERR_CANDIDATE_COUNT);
    assert_eq!(run(at, 2 * N - 2, 2), PKR_ERR_CANDIDATE_COUNT);
    assert_eq!(run(null(), 2 * N, 2), PKR_ERR_NULL_POINTER);
    assert_eq!(run(at, 2 * N, 1), PKR_ERR_UNKNOWN_TASK);
    assert_eq!(
        run([f32::NAN; 2 * N].as_ptr(), 2 * N, 2),
        PKR_ERR_NOT_FINITE
    );
    assert_eq!(run(at, 2 * N, 2), PKR_OK);
    assert_eq!((order.to_vec(), bits(&fused), bits(&scores)), case.plain);
}

#[test]
fn a_session_reranks_what_is_left() {
    let mut case = Case::new();
    let model = case.opened.model;
    let columns = case.values.columns();
    let request = case.values.request(&columns);
    let mut bytes = 0;
    assert_eq!(
        unsafe { pkr_session_bytes(model, N as u32, &mut bytes) },
        PKR_OK
    );
    assert_eq!(
        unsafe { pkr_session_bytes(model, 0, &mut bytes) },
        PKR_ERR_CANDIDATE_COUNT
    );
    let mut memory = Memory::new(bytes);
    let mut session = null_mut();
    let scratch = case.scratch;
    let mut begin = |request: &pkr_request, memory: *mut u8, bytes| unsafe {
        pkr_session_begin(
            model,
            scratch,
            request,
            memory,
            bytes,
            &mut session,
            null_mut(),
        )
    };
    assert_eq!(begin(&request, null_mut(), bytes), PKR_ERR_NULL_POINTER);
    assert_eq!(
        begin(&request, memory.ptr().wrapping_add(4), bytes),
        PKR_ERR_MISALIGNED
    );
    assert_eq!(
        begin(&request, memory.ptr(), bytes - 1),
        PKR_ERR_BUFFER_TOO_SMALL
    );
    assert_eq!(begin(&request, scratch.cast(), bytes), PKR_ERR_OVERLAP);
    assert_eq!(
        begin(&case.with_sums(&columns), memory.ptr(), bytes),
        PKR_ERR_BAD_OPTION
    );
    assert_eq!(begin(&request, memory.ptr(), bytes), PKR_OK);

    let today = case.bare_columns();
    let stateless = pkr_request {
        state: null(),
        state_bytes: 0,
        ..case.values.request(&today)
    };
    let rerank = |session, request: &pkr_request| {
        let (mut order, mut fused, mut scores) = ([7; N], [7.0; N], [7.0; 2 * N]);
        let mut result = result(&mut order, &mut fused, &mut scores);
        let status = unsafe {
            pkr_session_rerank(model, session, scratch, request, &mut result, null_mut())
        };
        (status, (order.to_vec(), bits(&fused), bits(&scores)))
    };
    assert_eq!(rerank(session, &stateless), (PKR_OK, case.plain.clone()));
    assert_eq!(rerank(session, &request).0, PKR_ERR_BAD_OPTION);
    let fewer = pkr_request {
        num_candidates: 3,
        ..stateless
    };
    assert_eq!(rerank(session, &fewer).0, PKR_ERR_CANDIDATE_COUNT);

    // The first is shown, and clicked.
    let first = case.plain.0[0];
    assert_eq!(unsafe { pkr_session_shown(session, first) }, PKR_OK);
    assert_eq!(
        unsafe { pkr_session_shown(session, first) },
        PKR_ERR_BAD_INDEX
    );
    let key = item_key("bb");
    let event = click_event(&key, 3000);
    assert_eq!(
        unsafe { pkr_session_feedback(model, session, &event, null_mut()) },
        PKR_OK
    );
    let bad = pkr_event { label: 99, ..event };
    assert_eq!(
        unsafe { pkr_session_feedback(model, session, &bad, null_mut()) },
        PKR_ERR_UNKNOWN_LABEL
    );
    assert_eq!(click(&case.opened, &mut case.values, "bb", 3000), PKR_OK);
    let mut state = vec![0; case.values.state.len()];
    let copy =
        |state: &mut [u8]| unsafe { pkr_session_state(session, state.as_mut_ptr(), state.len()) };
    assert_eq!(copy(&mut state[1..]), PKR_ERR_BUFFER_TOO_SMALL);
    assert_eq!(copy(&mut state), PKR_OK);
    assert!(state == case.values.state);
    let left: Vec<u32> = (0..N as u32).filter(|c| *c != first).collect();
    let columns = case.values.columns();
    let fresh = pkr_request {
        only: left.as_ptr(),
        num_only: left.len(),
        ..case.values.request(&columns)
    };
    let fresh = rank(&case.opened, scratch, &fresh);
    assert_eq!(rerank(session, &stateless), fresh);
    assert_ne!(fresh.1.2, case.plain.2, "the click changes scores");
    assert_eq!(fresh.1.0[N - 1], first);

    let other = Opened::open_file(tiny_model::seeded(2));
    for (model, expected) in [
        (other.model, PKR_ERR_STALE_SUMS),
        (scratch.cast(), PKR_ERR_STALE), // no model at all
    ] {
        let mut plain = empty_result();
        let (request, event) = (&raw const stateless, &raw const event);
        let (reranked, fed) = unsafe {
            (
                pkr_session_rerank(model, session, scratch, request, &mut plain, null_mut()),
                pkr_session_feedback(model, session, event, null_mut()),
            )
        };
        assert_eq!((reranked, fed), (expected, expected));
    }
    assert_eq!(rerank(session, &stateless), fresh);
    let mut copied = memory.copy();
    assert_eq!(rerank(copied.ptr().cast(), &stateless).0, PKR_ERR_STALE);
    assert_eq!(rerank(null_mut(), &stateless).0, PKR_ERR_NULL_POINTER);
    assert_eq!(rerank(scratch.cast(), &stateless).0, PKR_ERR_STALE);
    assert_eq!(unsafe { pkr_session_close(session) }, PKR_OK);
    assert_eq!(unsafe { pkr_session_close(session) }, PKR_ERR_STALE);
    assert_eq!(rerank(session, &stateless).0, PKR_ERR_STALE);
    let wiped = unsafe { core::slice::from_raw_parts(memory.ptr(), bytes) };
    assert!(wiped.iter().all(|b| *b == 0));
}
