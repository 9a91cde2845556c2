//! Packages pocketrank's C ABI (`pocketrank::ffi`) as a static or dynamic library.
//!
//! The functions live in the `pocketrank` crate; this one only brings them into a library and adds what a library
//! without `std` must have. `build.sh` beside it makes the libraries; `kotlin/native.sh` makes those for Java's virtual machines
//! (`jni`).
#![no_std]

pub use pocketrank::ffi::*;

#[cfg(feature = "jni")]
#[allow(unsafe_code, non_snake_case)]
pub mod jni;

#[cfg(all(feature = "sdk", target_vendor = "apple"))]
#[allow(unsafe_code)] // two instructions before a jump to memset
mod apple;

// An unwinding library without std would not link, and would drag tables into the app if it did.
#[cfg(all(feature = "sdk", panic = "unwind", not(test)))]
compile_error!("feature `sdk` is for C libraries: build with --profile sdk, which aborts on panic");

// No code of the library can panic, and CI counts the references: this satisfies the compiler and is dropped by the linker.
#[cfg(all(feature = "sdk", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
