//! Multi-objective ranking on the phone.
#![no_std]
extern crate no_std_compat as std;

pub mod engine;
pub mod error;
pub mod features;
pub mod format;
pub mod fusion;
pub mod kernels;
pub mod math;
pub mod rerank;
pub mod spec;

#[cfg(feature = "ffi")]
#[allow(unsafe_code, non_camel_case_types)]
pub mod ffi;

#[cfg(feature = "train")]
pub mod train;
