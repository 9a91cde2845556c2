//! Oracles here are naive: they share no code with what they test.
#![allow(clippy::unwrap_used)]
