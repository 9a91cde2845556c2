//! Opening and closing. What is opened lives in a direct buffer that Kotlin's object of that name keeps.

use core::ptr::{null, null_mut};

use pocketrank::ffi::*;

use super::env::{Arrays, Env, Object, nowhere};

/// `pkr_model_query`: bytes of memory in `note[0]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_modelBytes(
    env: Env,
    _class: Object,
    bytes: Object,
    note: Object,
) -> i32 {
    let file = env.memory(bytes);
    let mut need = pkr_requirements {
        struct_size: size_of::<pkr_requirements>() as u32,
        alignment: 0,
        model_bytes: 0,
    };
    // SAFETY: the buffer is an argument, so it lives; `need` is this function's.
    let status = unsafe { pkr_model_query(file.at, file.bytes, &mut need) };
    env.answer(note, status, need.model_bytes as i64)
}

/// `pkr_model_open` in `memory`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_modelOpen(
    env: Env,
    _class: Object,
    bytes: Object,
    memory: Object,
    cpu: i32,
    note: Object,
) -> i32 {
    let file = env.memory(bytes);
    let memory = env.memory(memory).aligned();
    let options = pkr_open_options {
        struct_size: size_of::<pkr_open_options>() as u32,
        cpu: cpu as u32,
    };
    let mut detail = nowhere();
    // SAFETY: both buffers are kept by the model's object while it is open and used, and nobody else has the memory.
    let status = unsafe {
        pkr_model_open(
            file.at,
            file.bytes,
            memory.at,
            memory.bytes,
            &options,
            &mut null_mut(),
            &mut detail,
        )
    };
    env.refuse(note, status, &detail)
}

/// `pkr_model_close`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_modelClose(
    env: Env,
    _class: Object,
    model: Object,
) -> i32 {
    // SAFETY: NULL, or what `modelOpen` was given; `Gate` in Kotlin lets no other call run.
    unsafe { pkr_model_close(env.handle(model)) as i32 }
}

/// `pkr_scratch_bytes`, in `note[0]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_scratchBytes(
    env: Env,
    _class: Object,
    model: Object,
    candidates: i32,
    note: Object,
) -> i32 {
    let mut bytes = 0;
    // SAFETY: NULL, or what `modelOpen` was given.
    let status = unsafe { pkr_scratch_bytes(env.handle(model), candidates as u32, &mut bytes) };
    env.answer(note, status, bytes as i64)
}

/// `pkr_scratch_init` in `memory`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_scratchInit(
    env: Env,
    _class: Object,
    model: Object,
    candidates: i32,
    memory: Object,
) -> i32 {
    let memory = env.memory(memory).aligned();
    let (model, out) = (env.handle(model), &mut null_mut());
    // SAFETY: the ranker's object keeps the memory while it is open and used, and nobody else has it.
    unsafe { pkr_scratch_init(model, candidates as u32, memory.at, memory.bytes, out) as i32 }
}

/// `pkr_scratch_close`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_scratchClose(
    env: Env,
    _class: Object,
    scratch: Object,
) -> i32 {
    // SAFETY: NULL, or what `scratchInit` was given; `Gate` lets no other call run.
    unsafe { pkr_scratch_close(env.handle(scratch)) as i32 }
}

/// `pkr_formula_bytes`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_formulaBytes(_env: Env, _class: Object) -> i32 {
    pkr_formula_bytes() as i32
}

/// `pkr_formula_open` in `memory`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_formulaOpen(
    env: Env,
    _class: Object,
    model: Object,
    bytes: Object,
    memory: Object,
    note: Object,
) -> i32 {
    let (file, memory) = (env.memory(bytes), env.memory(memory).aligned());
    let mut detail = nowhere();
    // SAFETY: both buffers are kept by the formula's object while it is open and used, and nobody else has the memory.
    let status = unsafe {
        pkr_formula_open(
            env.handle(model),
            file.at,
            file.bytes,
            memory.at,
            memory.bytes,
            &mut null_mut(),
            &mut detail,
        )
    };
    env.refuse(note, status, &detail)
}

/// `pkr_formula_close`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_formulaClose(
    env: Env,
    _class: Object,
    formula: Object,
) -> i32 {
    // SAFETY: NULL, or what `formulaOpen` was given; `Gate` lets no other call run.
    unsafe { pkr_formula_close(env.handle(formula)) as i32 }
}

/// `pkr_session_bytes`, in `note[0]`. A session is begun by `request`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_sessionBytes(
    env: Env,
    _class: Object,
    model: Object,
    candidates: i32,
    note: Object,
) -> i32 {
    let mut bytes = 0;
    // SAFETY: NULL, or what `modelOpen` was given.
    let status = unsafe { pkr_session_bytes(env.handle(model), candidates as u32, &mut bytes) };
    env.answer(note, status, bytes as i64)
}

/// `pkr_session_shown`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_sessionShown(
    env: Env,
    _class: Object,
    session: Object,
    candidate: i32,
) -> i32 {
    // SAFETY: NULL, or what SESSION_BEGIN was given; `Gate` keeps other threads away.
    unsafe { pkr_session_shown(env.handle(session), candidate as u32) as i32 }
}

/// `pkr_session_state`, to the whole byte array `state`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_sessionState(
    env: Env,
    _class: Object,
    session: Object,
    state: Object,
) -> i32 {
    let session = env.handle(session);
    let mut arrays = Arrays::<1>::new(env);
    if let Err(status) = arrays.write(state).and_then(|()| arrays.pin()) {
        return status as i32;
    }
    let (at, len) = arrays.at(0);
    // SAFETY: as `sessionShown`; the array is pinned.
    unsafe { pkr_session_state(session, at, len) as i32 }
}

/// `pkr_session_close`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_sessionClose(
    env: Env,
    _class: Object,
    session: Object,
) -> i32 {
    // SAFETY: NULL, or what SESSION_BEGIN was given; `Gate` lets no other call run.
    unsafe { pkr_session_close(env.handle(session)) as i32 }
}

/// `pkr_weights_perturb`: `weights` may be `null`; the whole of `out` is written.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "those of the C function")]
pub extern "system" fn Java_dev_pocketrank_Native_perturb(
    env: Env,
    _class: Object,
    model: Object,
    formula: Object,
    weights: Object,
    seed: i64,
    salt: i64,
    sigma: f32,
    out: Object,
) -> i32 {
    let (model, formula) = (
        env.handle::<pkr_model>(model),
        env.handle::<pkr_formula>(formula),
    );
    let num_weights = match weights.is_null() {
        true => -1,
        false => env.array_len(weights) as i32,
    };
    let mut arrays = Arrays::<2>::new(env);
    let held = (arrays.write(out))
        .and_then(|()| arrays.read(weights, num_weights))
        .and_then(|()| arrays.pin());
    if let Err(status) = held {
        return status as i32;
    }
    let (out, out_len) = arrays.at(0);
    let (weights, num_weights) = arrays.at::<f32>(1);
    let weights = if num_weights == 0 {
        null()
    } else {
        weights.cast_const()
    };
    let (seed, salt) = (seed as u64, salt as u64);
    // SAFETY: handles are NULL or open in buffers that the arguments keep; the arrays are pinned.
    unsafe {
        pkr_weights_perturb(
            model,
            formula,
            weights,
            num_weights,
            seed,
            salt,
            sigma,
            out,
            out_len,
        ) as i32
    }
}
