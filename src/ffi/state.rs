//! User state: what the user did earlier, kept by the app as bytes.

use core::ptr::null_mut;

use heapless::Vec;

use super::model::{open_model, pkr_model};
use super::pointer::{Inputs, Outputs, Span, Versioned, call};
use super::status::{pkr_error_detail, pkr_status};
use crate::engine::{Column, Model};
use crate::error::{Error, Result, Status};
use crate::features::{self, Event, Key};
use crate::spec::{Encoding, IdType, Lookup, limits};

/// `id` is what PKR_FORM_IDS takes: an int, or for a feature of texts what `pkr_hash_text` made. UINT64_MAX: missing.
pub const PKR_KEY_ID: u32 = 0;
/// `text[text_bytes]` is an id in UTF-8. Empty: missing.
pub const PKR_KEY_TEXT: u32 = 1;
/// `number` is the raw value of a number with buckets. NaN: missing.
pub const PKR_KEY_NUMBER: u32 = 2;

/// The value that one impression had of one feature.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_key {
    /// sizeof(pkr_key).
    pub struct_size: u32,
    /// Feature index.
    pub feature: u32,
    /// PKR_KEY_*.
    pub kind: u32,
    /// For PKR_KEY_NUMBER.
    pub number: f32,
    /// For PKR_KEY_ID.
    pub id: u64,
    /// For PKR_KEY_TEXT.
    pub text: *const u8,
    /// Bytes of it.
    pub text_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, numbers and raw pointers only.
unsafe impl Versioned for pkr_key {}

/// One label of one past impression, as it becomes known.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_event {
    /// sizeof(pkr_event).
    pub struct_size: u32,
    /// Label index.
    pub label: u32,
    /// When it became known, Unix seconds.
    pub time: i64,
    /// The label's value; binary labels 0 or 1.
    pub value: f32,
    /// 0.
    pub reserved: u32,
    /// What the impression showed, for the features that derived features use as keys.
    pub keys: *const pkr_key,
    /// Keys, at most 128.
    pub num_keys: usize,
}

// SAFETY: repr(C), begins with struct_size, numbers and raw pointers only.
unsafe impl Versioned for pkr_event {}

/// The key of one value; `None` if it is missing.
///
/// # Safety
/// `text` is NULL or leads to `text_bytes` live bytes.
unsafe fn key(inputs: Inputs<'_>, model: &Model<'_>, key: &pkr_key) -> Result<Option<Key>> {
    let index = key.feature as usize;
    let feature = u8::try_from(key.feature).map_err(|_| Error::new(Status::UnknownFeature))?;
    let encoding = model
        .spec()
        .features
        .get(index)
        .ok_or(Error::new(Status::UnknownFeature))?
        .encoding;
    let table = match encoding {
        Encoding::Row { table, .. } | Encoding::Rows { table, .. } => Some(table),
        Encoding::Number { buckets, .. } => buckets,
        Encoding::Vector { .. } => None,
    };
    let lookup = table
        .and_then(|t| model.spec().tables.get(usize::from(t)))
        .map(|t| t.lookup);
    let hash = match (key.kind, lookup) {
        (PKR_KEY_ID, Some(Lookup::Hash(id_type) | Lookup::Vocabulary(id_type))) => {
            if key.id == Column::NO_ID {
                return Ok(None);
            }
            match id_type {
                IdType::Int => features::hash_int(key.id),
                IdType::Text => key.id,
            }
        }
        (PKR_KEY_TEXT, Some(Lookup::Hash(IdType::Text) | Lookup::Vocabulary(IdType::Text))) => {
            // SAFETY: by this function's contract.
            let text = unsafe { inputs.slice(key.text, key.text_bytes)? };
            if text.is_empty() {
                return Ok(None);
            }
            features::hash_text(text)
        }
        (PKR_KEY_NUMBER, Some(Lookup::Buckets)) => {
            features::hash_int(u64::from(model.bucket_row(index, key.number)))
        }
        (PKR_KEY_ID | PKR_KEY_TEXT | PKR_KEY_NUMBER, _) => {
            return Err(Error::feature(Status::WrongForm, index));
        }
        _ => return Err(Error::feature(Status::BadOption, index)),
    };
    Ok(Some(Key { feature, hash }))
}

/// Hashes a text id to what PKR_FORM_IDS and PKR_KEY_ID take for a feature of texts: XXH3-64 of its bytes. For apps
/// that keep hashes instead of texts.
///
/// Threads: any. Cost: linear in `len`. Errors: 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_hash_text(text: *const u8, len: usize, out: *mut u64) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            out.write(features::hash_text(outputs.seal().slice(text, len)?));
            Ok(())
        })
    }
}

/// Finds the row of an id, for apps that look up once and then send PKR_FORM_ROWS. An unknown id has row 0.
///
/// Threads: any. Cost: at most two cache lines of the vocabulary.
/// Errors: PKR_ERR_UNKNOWN_FEATURE, PKR_ERR_WRONG_FORM (the feature has no such ids), PKR_ERR_MISSING_VALUE; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_row_of(
    model: *const pkr_model,
    value: *const pkr_key,
    out: *mut u32,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            let inputs = outputs.seal();
            let model = open_model(inputs, model)?;
            let value = inputs.structure(value)?;
            let index = value.feature as usize;
            let key =
                key(inputs, model, &value)?.ok_or(Error::feature(Status::MissingValue, index))?;
            out.write(match value.kind {
                PKR_KEY_NUMBER => model.bucket_row(index, value.number),
                _ => model
                    .row_of(index, key.hash)
                    .ok_or(Error::feature(Status::WrongForm, index))?,
            });
            Ok(())
        })
    }
}

/// Hands the engine's view of an event to `apply`.
///
/// # Safety
/// Unless NULL or misaligned, `event` and every pointer in it lead to as much live memory as is stated.
pub(super) unsafe fn with_event(
    inputs: Inputs<'_>,
    model: &Model<'static>,
    event: *const pkr_event,
    apply: impl FnOnce(&Event<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: by this function's contract.
    unsafe {
        let event = inputs.structure(event)?;
        if event.reserved != 0 {
            return Err(Error::new(Status::BadOption));
        }
        let label = u8::try_from(event.label).map_err(|_| Error::new(Status::UnknownLabel))?;
        inputs.apart(Span::of(event.keys, event.num_keys)?)?;
        let mut keys = Vec::<Key, { limits::FEATURES }>::new();
        for i in 0..event.num_keys {
            let value = inputs.structure(event.keys.add(i))?;
            if let Some(key) = key(inputs, model, &value)? {
                keys.push(key)
                    .map_err(|_| Error::at(Status::OverLimit, limits::FEATURES))?;
            }
        }
        apply(&Event {
            time: event.time,
            label,
            value: event.value,
            keys: &keys,
        })
    }
}

/// The user state behind a pointer, for writing.
///
/// # Safety
/// As [`Outputs::slice`].
unsafe fn open_state<'s>(
    outputs: &mut Outputs,
    state: *mut u8,
    bytes: usize,
) -> Result<&'s mut [u8]> {
    // An empty state is a state too: that of a model without derived features. NULL stays an error otherwise.
    Span::of(state, bytes)?;
    // SAFETY: by this function's contract.
    unsafe { outputs.slice(state, bytes) }
}

/// Makes `state[state_bytes]` that of a user without a past. `pkr_model_info` says how many bytes a state has.
///
/// States are plain bytes: the app may store and copy them. They belong to models with the same derived features;
/// another model answers PKR_ERR_STATE_LAYOUT.
///
/// Threads: any, one a state. Cost: writes the state. Errors: PKR_ERR_BUFFER_TOO_SMALL; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_state_reset(
    model: *const pkr_model,
    state: *mut u8,
    state_bytes: usize,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            let state = open_state(outputs, state, state_bytes)?;
            open_model(outputs.seal(), model)?.state_reset(state)
        })
    }
}

/// Adds one label of one past impression to `state[state_bytes]`. Apply events in the order in which they became
/// known. On any error the state is as before. `detail` may be NULL.
///
/// Threads: any, one a state. Cost: independent of how many events came before.
/// Errors: 6xx; PKR_ERR_UNKNOWN_FEATURE, PKR_ERR_WRONG_FORM for a key; PKR_ERR_BAD_OPTION; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_state_apply(
    model: *const pkr_model,
    state: *mut u8,
    state_bytes: usize,
    event: *const pkr_event,
    detail: *mut pkr_error_detail,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(detail, |outputs| {
            let state = open_state(outputs, state, state_bytes)?;
            let inputs = outputs.seal();
            let model = open_model(inputs, model)?;
            with_event(inputs, model, event, |event| {
                model.state_apply(state, event)
            })
        })
    }
}
