//! The C ABI: `pkr_*` functions over the engine, for apps in C, C++, Swift and Kotlin.
//!
//! Rules of every function, after the "API Conventions" of rustls-ffi's README:
//! - It answers with a [`pkr_status`]; results go through out-pointers, and only when the status is `PKR_OK`.
//! - Every pointer is checked before it is used: NULL where something is expected, misaligned, counts that overflow,
//!   outputs that overlap inputs or each other, handles that were closed or copied. NULL with a count of 0 is empty.
//! - Every struct begins with `struct_size`, set by the caller to its `sizeof`: it tells versions apart.
//! - Parameters are fixed-width integers, never Rust enums or bools: a wrong value is a status, not undefined.
//! - All memory is the caller's. There are no allocations, threads, locks, clocks, files, globals or strings to free.
//!
//! The first lines of a function turn pointers into references (`pointer`); what follows is safe code.
//! `include/pocketrank.h` is generated from this module by cbindgen and kept in step by a test.

mod formula;
#[cfg(feature = "formula")]
mod fusion;
mod handle;
mod info;
mod model;
mod pointer;
mod rank;
#[cfg(feature = "rerank")]
mod rerank;
mod scratch;
#[cfg(feature = "session")]
mod session;
mod state;
mod status;

pub use formula::pkr_formula;
#[cfg(feature = "formula")]
pub use fusion::*;
pub use info::*;
pub use model::*;
pub use rank::*;
#[cfg(feature = "rerank")]
pub use rerank::*;
pub use scratch::*;
#[cfg(feature = "session")]
pub use session::*;
pub use state::*;
pub use status::*;
