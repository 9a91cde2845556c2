//! The command line: arguments and printing only.
fn main() {}
