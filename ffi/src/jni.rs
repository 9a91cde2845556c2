//! The JNI library of `ffi/kotlin`: what class `dev.pocketrank.Native` declares, each a call of the C ABI (`pkr_*`).
//!
//! - Nothing is copied but numbers: files and handles are in direct buffers, columns and results in primitive arrays that are
//!   pinned (`GetPrimitiveArrayCritical`) for the length of one call.
//! - Handles are passed as the buffers that they live in, not as numbers: an argument can't be collected during its call.
//! - Every array's length is held against what Kotlin states, `null` and buffers that are not direct are statuses: whatever is
//!   passed, no memory is touched outside of what the machine gave.
//! - No ranking happens here, and nothing that could panic.

mod env;
mod handle;
mod info;
mod list;
mod request;
mod state;

pub use env::{Env, Object};
pub use handle::*;
pub use info::*;
pub use list::*;
pub use request::*;
pub use state::*;

/// JNI 1.6: what Android has, and every Java since 6.
const JNI_VERSION_1_6: i32 = 0x0001_0006;

/// Tells the virtual machine what version of JNI the library needs.
#[unsafe(no_mangle)]
pub extern "system" fn JNI_OnLoad(_machine: Object, _reserved: Object) -> i32 {
    JNI_VERSION_1_6
}
