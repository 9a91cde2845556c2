//! What a model says about itself: features, tasks, fusion terms, labels.
//!
//! Names are borrowed from the model file and are not NUL-terminated: a pointer and a length, valid until the model is
//! closed.

use core::ffi::c_char;
use core::ptr::null_mut;

use super::model::{open_model, pkr_model};
use super::pointer::{Versioned, call};
use super::status::{PKR_NOWHERE, pkr_status};
use crate::engine::Model;
use crate::error::{Error, Result, Status};
use crate::spec::{Encoding, IdType, Lookup, Side, Source, Spec, TaskKind, limits};

/// A model as a whole.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_model_information {
    /// sizeof(pkr_model_information).
    pub struct_size: u32,
    /// Features, and so columns of a request.
    pub num_features: u32,
    /// Tasks, and so scores of a candidate.
    pub num_tasks: u32,
    /// Terms of the fusion: weights of a request, unless the file has a formula, which has weights of its own.
    pub num_terms: u32,
    /// Labels that feed the user state.
    pub num_labels: u32,
    /// Candidates that a request may have at most.
    pub candidates_max: u32,
    /// XXH3-64 of the file: names it.
    pub digest: u64,
    /// Bytes of a user's state; 0: the model has no derived features.
    pub state_bytes: usize,
    /// Name of the model; not NUL-terminated.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_bytes: usize,
    /// Instruction set that runs, as "portable"; not NUL-terminated.
    pub isa: *const c_char,
    /// Bytes of it.
    pub isa_bytes: usize,
    /// Bytes of one item's kept sums; 0: the model has no item features, or the library no sessions.
    pub item_sums_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_model_information {}

/// The same for the whole request: one value (or list) a column.
pub const PKR_SIDE_USER: u32 = 0;
/// Belongs to the candidate alone and is stable.
pub const PKR_SIDE_ITEM: u32 = 1;
/// Belongs to the candidate in this request.
pub const PKR_SIDE_CANDIDATE: u32 = 2;
/// Derived from user and candidate.
pub const PKR_SIDE_CROSS: u32 = 3;

/// One id a value: PKR_FORM_IDS, PKR_FORM_TEXT or PKR_FORM_ROWS.
pub const PKR_FEATURE_ID: u32 = 0;
/// A list of ids a value: the same forms with `list_offsets`.
pub const PKR_FEATURE_IDS: u32 = 1;
/// A number: PKR_FORM_FLOATS.
pub const PKR_FEATURE_NUMBER: u32 = 2;
/// A vector: PKR_FORM_BYTES.
pub const PKR_FEATURE_VECTOR: u32 = 3;

/// The feature takes no ids.
pub const PKR_ID_NONE: u32 = 0;
/// Ids are 64-bit integers.
pub const PKR_ID_INT: u32 = 1;
/// Ids are UTF-8 texts.
pub const PKR_ID_TEXT: u32 = 2;

/// One feature.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_feature_information {
    /// sizeof(pkr_feature_information).
    pub struct_size: u32,
    /// PKR_SIDE_*.
    pub side: u32,
    /// PKR_FEATURE_*.
    pub kind: u32,
    /// PKR_ID_*.
    pub id_type: u32,
    /// 1: computed from other features or the user state, its column must be missing; 0: the app sends it.
    pub derived: u32,
    /// Ids of a list that are used; 1 for all but lists.
    pub max_len: u32,
    /// 1: a list takes weights.
    pub weighted: u32,
    /// Bytes of a vector, values of an embedding row; 1 for a number without buckets.
    pub dim: u32,
    /// Rows of the table, 0 without one.
    pub num_embeddings: u32,
    /// 0.
    pub reserved: u32,
    /// Name; not NUL-terminated.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_feature_information {}

/// Its score is a probability.
pub const PKR_TASK_BINARY: u32 = 0;
/// Its score is a quantity in `unit`, at least 0: a duration, or the mean of the levels that a user reaches.
pub const PKR_TASK_DURATION: u32 = 1;

/// One task.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_task_information {
    /// sizeof(pkr_task_information).
    pub struct_size: u32,
    /// PKR_TASK_*.
    pub kind: u32,
    /// The task whose positives are this one's sample space: the score is conditional on it. PKR_NOWHERE: the score is
    /// per impression.
    pub given: u32,
    /// 0.
    pub reserved: u32,
    /// Name; not NUL-terminated.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_bytes: usize,
    /// Unit of the score; not NUL-terminated.
    pub unit: *const c_char,
    /// Bytes of it.
    pub unit_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_task_information {}

/// One term of the fusion.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_term_information {
    /// sizeof(pkr_term_information).
    pub struct_size: u32,
    /// Task index.
    pub task: u32,
    /// 1: uses the score per impression; 0: the conditional one.
    pub entire: u32,
    /// Weight in the file.
    pub weight: f32,
    /// Name; not NUL-terminated.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, numbers and raw pointers only.
unsafe impl Versioned for pkr_term_information {}

/// One label that feeds the user state.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pkr_label_information {
    /// sizeof(pkr_label_information).
    pub struct_size: u32,
    /// 1: the state keeps ln(1 + value).
    pub log1p: u32,
    /// Name; not NUL-terminated.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_bytes: usize,
}

// SAFETY: repr(C), begins with struct_size, integers and raw pointers only.
unsafe impl Versioned for pkr_label_information {}

/// Fills `out`, whose `struct_size` the caller has set, with what `describe` says of an open model.
///
/// # Safety
/// As the functions below.
unsafe fn describe<T: Versioned>(
    model: *const pkr_model,
    out: *mut T,
    describe: impl FnOnce(&Model<'static>) -> Result<T>,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.structure(out)?;
            let described = describe(open_model(outputs.seal(), model)?)?;
            out.write(described);
            Ok(())
        })
    }
}

/// Describes a model.
///
/// Threads: any. Lifetimes: names live until the model is closed. Cost: none. Errors: 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_model_info(
    model: *const pkr_model,
    out: *mut pkr_model_information,
) -> pkr_status {
    let info = |model: &Model<'static>| {
        let spec = model.spec();
        Ok(pkr_model_information {
            struct_size: size_of::<pkr_model_information>() as u32,
            num_features: spec.features.len() as u32,
            num_tasks: spec.tasks.len() as u32,
            num_terms: model.num_terms() as u32,
            num_labels: spec.labels.len() as u32,
            candidates_max: limits::CANDIDATES as u32,
            digest: model.digest(),
            state_bytes: model.state_bytes(),
            name: spec.name.as_ptr().cast(),
            name_bytes: spec.name.len(),
            isa: model.isa().name().as_ptr().cast(),
            isa_bytes: model.isa().name().len(),
            #[cfg(feature = "session")]
            item_sums_bytes: model.item_sums_bytes(),
            #[cfg(not(feature = "session"))]
            item_sums_bytes: 0,
        })
    };
    // SAFETY: by this function's contract.
    unsafe { describe(model, out, info) }
}

fn feature_information(model: &Model<'static>, index: u32) -> Result<pkr_feature_information> {
    let spec = model.spec();
    let unknown = Error::new(Status::UnknownFeature);
    let feature = spec.features.get(index as usize).ok_or(unknown)?;
    let (kind, max_len, weighted, table) = match feature.encoding {
        Encoding::Row { table, .. } => (PKR_FEATURE_ID, 1, 0, Some(table)),
        Encoding::Rows {
            table,
            max_len,
            weighted,
            ..
        } => (
            PKR_FEATURE_IDS,
            max_len.into(),
            weighted.into(),
            Some(table),
        ),
        Encoding::Number { buckets, .. } => (PKR_FEATURE_NUMBER, 1, 0, buckets),
        Encoding::Vector { .. } => (PKR_FEATURE_VECTOR, 1, 0, None),
    };
    let table = table.and_then(|t| spec.tables.get(usize::from(t)));
    Ok(pkr_feature_information {
        struct_size: size_of::<pkr_feature_information>() as u32,
        side: match feature.side {
            Side::User => PKR_SIDE_USER,
            Side::Item => PKR_SIDE_ITEM,
            Side::Candidate => PKR_SIDE_CANDIDATE,
            Side::Cross => PKR_SIDE_CROSS,
        },
        kind,
        id_type: match table.map(|t| t.lookup) {
            Some(Lookup::Hash(IdType::Int) | Lookup::Vocabulary(IdType::Int)) => PKR_ID_INT,
            Some(Lookup::Hash(IdType::Text) | Lookup::Vocabulary(IdType::Text)) => PKR_ID_TEXT,
            Some(Lookup::Buckets) | None => PKR_ID_NONE,
        },
        derived: u32::from(feature.source != Source::Column),
        max_len,
        weighted,
        dim: match (feature.encoding, table) {
            (Encoding::Vector { dim, .. }, _) => dim.into(),
            (_, Some(table)) => table.embedding_dim.into(),
            (_, None) => 1,
        },
        num_embeddings: table.map_or(0, |t| t.num_embeddings),
        reserved: 0,
        name: feature.name.as_ptr().cast(),
        name_bytes: feature.name.len(),
    })
}

/// Describes feature `index`, 0 to `num_features - 1`.
///
/// Threads: any. Lifetimes: the name lives until the model is closed. Cost: none.
/// Errors: PKR_ERR_UNKNOWN_FEATURE; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_feature_info(
    model: *const pkr_model,
    index: u32,
    out: *mut pkr_feature_information,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe { describe(model, out, |model| feature_information(model, index)) }
}

/// Describes task `index`, 0 to `num_tasks - 1`.
///
/// Threads: any. Lifetimes: texts live until the model is closed. Cost: none. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_task_info(
    model: *const pkr_model,
    index: u32,
    out: *mut pkr_task_information,
) -> pkr_status {
    let info = |model: &Model<'static>| {
        let unknown = Error::new(Status::UnknownTask);
        let task = model.spec().tasks.get(index as usize).ok_or(unknown)?;
        Ok(pkr_task_information {
            struct_size: size_of::<pkr_task_information>() as u32,
            kind: match task.kind {
                TaskKind::Binary => PKR_TASK_BINARY,
                _ => PKR_TASK_DURATION,
            },
            given: task.given.map_or(PKR_NOWHERE, u32::from),
            reserved: 0,
            name: task.name.as_ptr().cast(),
            name_bytes: task.name.len(),
            unit: task.unit.as_ptr().cast(),
            unit_bytes: task.unit.len(),
        })
    };
    // SAFETY: by this function's contract.
    unsafe { describe(model, out, info) }
}

/// Describes fusion term `index`, 0 to `num_terms - 1`: the meaning of a request's `weights[index]`. Of a file with a formula,
/// whose terms have texts and no names (`pkr_term_text`), there is none: PKR_ERR_UNKNOWN_TASK for every index.
///
/// Threads: any. Lifetimes: the name lives until the model is closed. Cost: none. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_term_info(
    model: *const pkr_model,
    index: u32,
    out: *mut pkr_term_information,
) -> pkr_status {
    let info = |model: &Model<'static>| {
        let unknown = Error::new(Status::UnknownTask);
        let term = model.spec().fusion.get(index as usize).ok_or(unknown)?;
        Ok(pkr_term_information {
            struct_size: size_of::<pkr_term_information>() as u32,
            task: term.task.into(),
            entire: term.entire.into(),
            weight: term.weight,
            name: term.name.as_ptr().cast(),
            name_bytes: term.name.len(),
        })
    };
    // SAFETY: by this function's contract.
    unsafe { describe(model, out, info) }
}

/// Describes label `index`, 0 to `num_labels - 1`: the meaning of an event's `label`.
///
/// Threads: any. Lifetimes: the name lives until the model is closed. Cost: none. Errors: PKR_ERR_UNKNOWN_LABEL; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_label_info(
    model: *const pkr_model,
    index: u32,
    out: *mut pkr_label_information,
) -> pkr_status {
    let info = |model: &Model<'static>| {
        let unknown = Error::new(Status::UnknownLabel);
        let label = model.spec().labels.get(index as usize).ok_or(unknown)?;
        Ok(pkr_label_information {
            struct_size: size_of::<pkr_label_information>() as u32,
            log1p: label.log1p.into(),
            name: label.name.as_ptr().cast(),
            name_bytes: label.name.len(),
        })
    };
    // SAFETY: by this function's contract.
    unsafe { describe(model, out, info) }
}

/// Name of a record by index.
type Names = for<'a> fn(&Spec<'a>, usize) -> Option<&'a str>;

/// Finds the index of the record that has the name (pointer and bytes).
///
/// # Safety
/// As the functions below.
unsafe fn find(
    model: *const pkr_model,
    name: (*const u8, usize),
    out: *mut u32,
    names: Names,
    unknown: Status,
) -> pkr_status {
    // SAFETY: by this function's contract.
    unsafe {
        call(null_mut(), |outputs| {
            outputs.claim(out, 1)?;
            let inputs = outputs.seal();
            let spec = open_model(inputs, model)?.spec();
            let name = inputs.slice(name.0, name.1)?;
            // Counts are far below 2^16.
            let found = (0..1 << 16)
                .map_while(|i| names(spec, i))
                .position(|n| n.as_bytes() == name);
            out.write(found.ok_or(Error::new(unknown))? as u32);
            Ok(())
        })
    }
}

/// Index of the feature called `name[name_bytes]`.
///
/// Threads: any. Cost: linear in the features: call it when the model is opened, not for each request.
/// Errors: PKR_ERR_UNKNOWN_FEATURE; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_feature_index(
    model: *const pkr_model,
    name: *const u8,
    name_bytes: usize,
    out: *mut u32,
) -> pkr_status {
    let names: Names = |spec, i| Some(spec.features.get(i)?.name);
    // SAFETY: by this function's contract.
    unsafe {
        find(
            model,
            (name, name_bytes),
            out,
            names,
            Status::UnknownFeature,
        )
    }
}

/// Index of the task called `name[name_bytes]`.
///
/// Threads: any. Cost: linear in the tasks. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_task_index(
    model: *const pkr_model,
    name: *const u8,
    name_bytes: usize,
    out: *mut u32,
) -> pkr_status {
    let names: Names = |spec, i| Some(spec.tasks.get(i)?.name);
    // SAFETY: by this function's contract.
    unsafe { find(model, (name, name_bytes), out, names, Status::UnknownTask) }
}

/// Index of the fusion term called `name[name_bytes]`.
///
/// Threads: any. Cost: linear in the terms. Errors: PKR_ERR_UNKNOWN_TASK; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_term_index(
    model: *const pkr_model,
    name: *const u8,
    name_bytes: usize,
    out: *mut u32,
) -> pkr_status {
    let names: Names = |spec, i| Some(spec.fusion.get(i)?.name);
    // SAFETY: by this function's contract.
    unsafe { find(model, (name, name_bytes), out, names, Status::UnknownTask) }
}

/// Index of the label called `name[name_bytes]`.
///
/// Threads: any. Cost: linear in the labels. Errors: PKR_ERR_UNKNOWN_LABEL; 1xx.
///
/// # Safety
/// Every pointer is NULL, misaligned, or leads to live memory of the stated size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pkr_label_index(
    model: *const pkr_model,
    name: *const u8,
    name_bytes: usize,
    out: *mut u32,
) -> pkr_status {
    let names: Names = |spec, i| Some(spec.labels.get(i)?.name);
    // SAFETY: by this function's contract.
    unsafe { find(model, (name, name_bytes), out, names, Status::UnknownLabel) }
}
