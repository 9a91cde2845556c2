//! Scratch, states and events.

use core::ptr::{null, null_mut};

use pocketrank::ffi::*;

use super::super::ITEM;
use super::super::values::*;
use super::{HUGE, off};

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
