//! The desktop side: from logs to one model file.

pub mod dataset;
pub mod parameters;
pub mod vocabulary;
pub mod gradient;
pub mod loss;
pub mod network;
pub mod options;
pub mod random;
pub mod real;
pub mod evaluate;
pub mod initialize;
pub mod metrics;
pub mod optimizer;
pub mod checkpoint;
pub mod trainer;
