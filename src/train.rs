//! The desktop side: from logs to one model file.

pub mod dataset;
pub mod parameters;
pub mod vocabulary;
