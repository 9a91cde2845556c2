//! The desktop side: from logs to one model file.
