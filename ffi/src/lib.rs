//! Packages pocketrank's C ABI (`pocketrank::ffi`) as a static or dynamic library.
#![no_std]
