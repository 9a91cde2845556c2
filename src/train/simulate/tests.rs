//! The simulator against independent oracles, and the figures that docs/simulator.md quotes.
#![allow(clippy::unwrap_used)]

mod figures;
mod files;
mod filter;
mod policy;
