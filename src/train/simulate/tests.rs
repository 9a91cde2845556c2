//! The simulator against independent oracles, and the figures that docs/simulator.md quotes.

mod figures;
mod files;
mod filter;
mod policy;
