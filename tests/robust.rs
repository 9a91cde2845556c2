//! Runs of the real program that are killed, starved, raced and fed badly: what is promised is there afterwards, byte
//! for byte.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "robust/degenerate.rs"]
mod degenerate;
#[cfg(target_os = "linux")]
#[path = "robust/faults.rs"]
mod faults;
#[cfg(target_os = "linux")]
#[path = "robust/kill.rs"]
mod kill;
#[path = "robust/logs.rs"]
mod logs;
#[path = "robust/program.rs"]
mod program;
#[path = "robust/slices.rs"]
mod slices;
#[cfg(unix)]
#[path = "robust/starts.rs"]
mod starts;
#[path = "robust/warm.rs"]
mod warm;
