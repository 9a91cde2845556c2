//! Runs of the real program that are killed, starved, raced and fed badly: what is promised is there afterwards, byte
//! for byte.
//!
//! The long run: `POCKETRANK_KILLS` (12) kills at random moments, which `POCKETRANK_KILL_SEED` (1) draws, and
//! `POCKETRANK_ALL_FAULTS=1` for every error, once and for ever, at every operation instead of every second one:
//!
//! ```sh
//! POCKETRANK_KILLS=1000 POCKETRANK_ALL_FAULTS=1 cargo test --release --features train --test robust -- --nocapture
//! ```
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "robust/compare.rs"]
mod compare;
#[path = "robust/degenerate.rs"]
mod degenerate;
#[cfg(target_os = "linux")]
#[path = "robust/faults.rs"]
mod faults;
#[path = "robust/formula.rs"]
mod formula;
#[cfg(target_os = "linux")]
#[path = "robust/kill.rs"]
mod kill;
#[path = "robust/logs.rs"]
mod logs;
#[cfg(target_os = "linux")]
#[path = "robust/output.rs"]
mod output;
#[path = "robust/program.rs"]
mod program;
#[path = "robust/requests.rs"]
mod requests;
#[path = "robust/slices.rs"]
mod slices;
#[cfg(unix)]
#[path = "robust/starts.rs"]
mod starts;
#[path = "robust/tune.rs"]
mod tune;
#[path = "robust/warm.rs"]
mod warm;
