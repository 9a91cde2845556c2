//! What the user does, and ids: events and their keys.

use core::mem::MaybeUninit;
use core::ptr::null;

use pocketrank::ffi::*;

use super::env::{Arrays, Env, Object, nowhere};

/// Keys of an event at most.
const KEYS: usize = 128;
/// Numbers of a key: feature, PKR_KEY_*, bytes of its text.
const KEY: usize = 3;

/// Keys as Kotlin's class `Event` has them: three ints each in `heads`; in `ids` the id, or the bits of the number; the texts one
/// behind the other in `text`.
struct Keys {
    count: i32,
    heads: Object,
    ids: Object,
    text: Object,
}

impl Keys {
    /// Pins `state` and the keys, and calls with the state's address and length and the keys.
    fn run(
        &self,
        env: Env,
        state: Object,
        call: impl FnOnce((*mut u8, usize), &[pkr_key]) -> pkr_status,
    ) -> pkr_status {
        let mut heads = [0; KEY * KEYS];
        let (heads, _) = env.ints(self.heads, &mut heads).as_chunks::<KEY>();
        let Some(heads) = heads.get(..self.count as u32 as usize) else {
            return PKR_ERR_OVER_LIMIT;
        };
        let mut arrays = Arrays::<3>::new(env);
        let held = (arrays.write(state))
            .and_then(|()| arrays.read(self.ids, heads.len() as i32))
            .and_then(|()| arrays.read_whole(self.text))
            .and_then(|()| arrays.pin());
        if let Err(status) = held {
            return status;
        }
        let (ids, _) = arrays.at::<u64>(1);
        let (texts, all_bytes) = arrays.at::<u8>(2);
        let mut keys = [const { MaybeUninit::<pkr_key>::uninit() }; KEYS];
        let mut at = 0_usize;
        for (i, (slot, [feature, kind, text_bytes])) in keys.iter_mut().zip(heads).enumerate() {
            // SAFETY: `read` found as many ids as heads.
            let id = unsafe { ids.add(i).read() };
            let text_bytes = *text_bytes as u32 as usize;
            let text = texts.wrapping_add(at).cast_const();
            at = at.saturating_add(text_bytes);
            if at > all_bytes {
                return PKR_ERR_BUFFER_TOO_SMALL;
            }
            slot.write(pkr_key {
                struct_size: size_of::<pkr_key>() as u32,
                feature: *feature as u32,
                kind: *kind as u32,
                number: f32::from_bits(id as u32),
                id,
                text: if text_bytes == 0 { null() } else { text },
                text_bytes,
            });
        }
        let keys = keys.get(..heads.len()).unwrap_or_default();
        // SAFETY: the loop wrote one for each head.
        call(arrays.at(0), unsafe { keys.assume_init_ref() })
    }
}

/// `pkr_state_reset` of the whole byte array `state`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_stateReset(
    env: Env,
    _class: Object,
    model: Object,
    state: Object,
) -> i32 {
    let model = env.handle(model);
    let mut arrays = Arrays::<1>::new(env);
    if let Err(status) = arrays.write(state).and_then(|()| arrays.pin()) {
        return status as i32;
    }
    let (at, len) = arrays.at(0);
    // SAFETY: the model is NULL or open in a buffer that the argument keeps; the array is pinned.
    unsafe { pkr_state_reset(model, at, len) as i32 }
}

/// An event for the byte array `state` (`pkr_state_apply`) or, where that is `null`, for `session` (`pkr_session_feedback`).
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "one call an event")]
pub extern "system" fn Java_dev_pocketrank_Native_event(
    env: Env,
    _class: Object,
    model: Object,
    session: Object,
    state: Object,
    label: i32,
    time: i64,
    value: f32,
    keys: i32,
    heads: Object,
    ids: Object,
    text: Object,
    note: Object,
) -> i32 {
    let (model, session) = (env.handle(model), env.handle(session));
    let mut detail = nowhere();
    let keys = Keys {
        count: keys,
        heads,
        ids,
        text,
    };
    let status = keys.run(env, state, |(at, len), keys| {
        let event = pkr_event {
            struct_size: size_of::<pkr_event>() as u32,
            label: label as u32,
            time,
            value,
            reserved: 0,
            keys: keys.as_ptr(),
            num_keys: keys.len(),
        };
        // SAFETY: handles are NULL or open in buffers that the arguments keep, and `Gate` in Kotlin keeps other threads from the
        // session; the arrays are pinned.
        unsafe {
            match state.is_null() {
                true => pkr_session_feedback(model, session, &event, &mut detail),
                false => pkr_state_apply(model, at, len, &event, &mut detail),
            }
        }
    });
    env.refuse(note, status, &detail)
}

/// `pkr_row_of` the first key of `heads`, in `note[0]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_rowOf(
    env: Env,
    _class: Object,
    model: Object,
    heads: Object,
    ids: Object,
    text: Object,
    note: Object,
) -> i32 {
    let model = env.handle(model);
    let mut row = 0;
    let keys = Keys {
        count: 1,
        heads,
        ids,
        text,
    };
    let status = keys.run(env, core::ptr::null_mut(), |_, keys| match keys {
        // SAFETY: the model is NULL or open in a buffer that the argument keeps; the key's text is pinned.
        [key] => unsafe { pkr_row_of(model, key, &mut row) },
        _ => PKR_ERR_BAD_OPTION,
    });
    env.answer(note, status, row.into())
}

/// `pkr_hash_text` of the whole byte array `text`, in `note[0]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_hashText(
    env: Env,
    _class: Object,
    text: Object,
    note: Object,
) -> i32 {
    let mut hash = 0;
    let mut arrays = Arrays::<1>::new(env);
    let status = match arrays.read_whole(text).and_then(|()| arrays.pin()) {
        Ok(()) => {
            let (at, len) = arrays.at::<u8>(0);
            // SAFETY: the array is pinned.
            unsafe { pkr_hash_text(at, len, &mut hash) }
        }
        Err(status) => status,
    };
    drop(arrays);
    env.answer(note, status, hash as i64)
}
