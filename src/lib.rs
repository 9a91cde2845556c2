//! Multi-objective ranking on the phone.
#![no_std]
extern crate no_std_compat as std;

#[cfg(feature = "train")]
pub mod train;
