//! What library, models and formulas say about themselves.

use core::ffi::{CStr, c_char};
use core::ptr::{null, null_mut};

use pocketrank::ffi::*;

use super::env::{Arrays, Env, Object};

// `what` of a description and of an index; the same numbers in Native.kt.
const VERSION: i32 = 0;
const STATUS: i32 = 1;
const MODEL: i32 = 2;
const FEATURE: i32 = 3;
const TASK: i32 = 4;
const TERM: i32 = 5;
const LABEL: i32 = 6;
const FORMULA: i32 = 7;
const WEIGHT: i32 = 8;
const TERM_TEXT: i32 = 9;

/// A text of the C ABI.
///
/// # Safety
/// `at` leads to `bytes` bytes that live as long as they are used.
unsafe fn text<'a>(at: *const c_char, bytes: usize) -> &'a [u8] {
    match at.is_null() {
        true => &[],
        // SAFETY: by this function's contract.
        false => unsafe { core::slice::from_raw_parts(at.cast(), bytes) },
    }
}

/// `pkr_abi_version`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_abiVersion(_env: Env, _class: Object) -> i32 {
    pkr_abi_version() as i32
}

/// Describes `what` number `index`: the status and numbers in `note`, texts one behind the other in the array that is returned,
/// the length of the first in `note[1]`. `null` if there is none.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_describe(
    env: Env,
    _class: Object,
    what: i32,
    index: i32,
    model: Object,
    formula: Object,
    note: Object,
) -> Object {
    let (model, formula) = (env.handle(model), env.handle(formula));
    let mut numbers = [0; 16];
    // SAFETY: handles are NULL or open in buffers that the arguments keep, so their texts live as long as the call.
    let texts = unsafe { describe(what, index as u32, (model, formula), &mut numbers) };
    match texts {
        Ok(texts) => {
            let [first, ..] = texts;
            if let Some(slot) = numbers.get_mut(1) {
                *slot = first.len() as i64;
            }
            env.note(note, &numbers);
            env.texts(&texts)
        }
        Err(status) => {
            env.note(note, &[status.into()]);
            null_mut()
        }
    }
}

/// The texts of a description; its numbers go to `numbers[2..]`.
///
/// # Safety
/// Handles are NULL or open, and stay so as long as the texts are used.
#[inline(always)]
unsafe fn describe<'a>(
    what: i32,
    index: u32,
    (model, formula): (*const pkr_model, *const pkr_formula),
    numbers: &mut [i64; 16],
) -> Result<[&'a [u8]; 2], pkr_status> {
    let [_, _, numbers @ ..] = numbers;
    let mut say = |values: &[i64]| {
        for (slot, value) in numbers.iter_mut().zip(values) {
            *slot = *value;
        }
    };
    let ok = |status: pkr_status| match status {
        PKR_OK => Ok(()),
        status => Err(status),
    };
    // SAFETY: by this function's contract; the structs are this function's, with their sizes.
    unsafe {
        match what {
            VERSION => Ok([CStr::from_ptr(pkr_version()).to_bytes(), &[]]),
            STATUS => Ok([CStr::from_ptr(pkr_status_name(index)).to_bytes(), &[]]),
            MODEL => {
                let mut out = sized::<pkr_model_information>();
                ok(pkr_model_info(model, &mut out))?;
                say(&[
                    out.num_features.into(),
                    out.num_tasks.into(),
                    out.num_terms.into(),
                    out.num_labels.into(),
                    out.candidates_max.into(),
                    out.digest as i64,
                    out.state_bytes as i64,
                    out.item_sums_bytes as i64,
                ]);
                Ok([text(out.name, out.name_bytes), text(out.isa, out.isa_bytes)])
            }
            FEATURE => {
                let mut out = sized::<pkr_feature_information>();
                ok(pkr_feature_info(model, index, &mut out))?;
                say(&[
                    out.side.into(),
                    out.kind.into(),
                    out.id_type.into(),
                    out.derived.into(),
                    out.max_len.into(),
                    out.weighted.into(),
                    out.dim.into(),
                    out.num_embeddings.into(),
                ]);
                Ok([text(out.name, out.name_bytes), &[]])
            }
            TASK => {
                let mut out = sized::<pkr_task_information>();
                ok(pkr_task_info(model, index, &mut out))?;
                say(&[out.kind.into(), out.given.into()]);
                Ok([
                    text(out.name, out.name_bytes),
                    text(out.unit, out.unit_bytes),
                ])
            }
            TERM => {
                let mut out = sized::<pkr_term_information>();
                ok(pkr_term_info(model, index, &mut out))?;
                say(&[
                    out.task.into(),
                    out.entire.into(),
                    out.weight.to_bits().into(),
                ]);
                Ok([text(out.name, out.name_bytes), &[]])
            }
            LABEL => {
                let mut out = sized::<pkr_label_information>();
                ok(pkr_label_info(model, index, &mut out))?;
                say(&[out.log1p.into()]);
                Ok([text(out.name, out.name_bytes), &[]])
            }
            FORMULA => {
                let mut out = sized::<pkr_formula_information>();
                ok(pkr_formula_info(model, formula, &mut out))?;
                say(&[
                    out.num_weights.into(),
                    out.num_terms.into(),
                    out.cost.into(),
                ]);
                Ok([text(out.text, out.text_bytes), &[]])
            }
            WEIGHT => {
                let mut out = sized::<pkr_weight_information>();
                ok(pkr_weight_info(model, formula, index, &mut out))?;
                say(&[
                    out.value.to_bits().into(),
                    out.least.to_bits().into(),
                    out.most.to_bits().into(),
                ]);
                Ok([text(out.name, out.name_bytes), &[]])
            }
            TERM_TEXT => {
                let (mut at, mut bytes) = (null(), 0);
                ok(pkr_term_text(model, formula, index, &mut at, &mut bytes))?;
                Ok([text(at, bytes), &[]])
            }
            _ => Err(PKR_ERR_BAD_OPTION),
        }
    }
}

/// A struct of the ABI, empty but for its size.
///
/// # Safety
/// `T` begins with `struct_size: u32`, and all of it may be 0.
unsafe fn sized<T>() -> T {
    let mut out = core::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: by this function's contract.
    unsafe {
        out.as_mut_ptr().cast::<u32>().write(size_of::<T>() as u32);
        out.assume_init()
    }
}

/// The index of the FEATURE, TASK, TERM, LABEL or WEIGHT called `name`, in `note[0]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_pocketrank_Native_indexOf(
    env: Env,
    _class: Object,
    what: i32,
    model: Object,
    formula: Object,
    name: Object,
    note: Object,
) -> i32 {
    let (model, formula) = (env.handle(model), env.handle(formula));
    let mut arrays = Arrays::<1>::new(env);
    if let Err(status) = arrays.read_whole(name).and_then(|()| arrays.pin()) {
        return status as i32;
    }
    let (name, len) = arrays.at::<u8>(0);
    let mut index = 0;
    // SAFETY: handles are NULL or open in buffers that the arguments keep; the array is pinned.
    let status = unsafe {
        match what {
            FEATURE => pkr_feature_index(model, name, len, &mut index),
            TASK => pkr_task_index(model, name, len, &mut index),
            TERM => pkr_term_index(model, name, len, &mut index),
            LABEL => pkr_label_index(model, name, len, &mut index),
            WEIGHT => pkr_weight_index(model, formula, name, len, &mut index),
            _ => PKR_ERR_BAD_OPTION,
        }
    };
    drop(arrays);
    env.answer(note, status, index.into())
}
