//! What memory it took: by the linker's symbols, and of the stack by the paint that is left on it.

use core::fmt::Write;
use core::ptr::addr_of;

use cortex_m_rt::STACK_PAINT_VALUE;
use cortex_m_semihosting::hio;

/// Most that the stack may take, in bytes.
const STACK_MAX: usize = 8 << 10;
/// Most that all memory may take, in bytes: static and stack.
const RAM_MAX: usize = 64 << 10;

unsafe extern "C" {
    static __stext: u32;
    static __etext: u32;
    static __sdata: u32;
    static __edata: u32;
    static __sbss: u32;
    static __ebss: u32;
    static _stack_end: u32;
    static _stack_start: u32;
}

/// Prints the figures on the host's standard error: the ranking's lines stay alone. Whether they are within the limits.
pub fn report(model_bytes: usize, scratch_bytes: usize) -> Option<bool> {
    // Before anything is printed: what formatting takes is counted too, since the ranking's lines were formatted.
    let stack = stack_bytes();
    let code = between(addr_of!(__stext), addr_of!(__etext));
    let statics =
        between(addr_of!(__sdata), addr_of!(__edata)) + between(addr_of!(__sbss), addr_of!(__ebss));
    let mut to = hio::hstderr().ok()?;
    let well = stack <= STACK_MAX && statics + stack <= RAM_MAX;
    writeln!(to, "# flash: model {model_bytes} bytes, code {code} bytes").ok()?;
    writeln!(
        to,
        "# ram: static {statics} bytes (model handle {}, scratch {scratch_bytes} of {}), heap 0",
        size_of::<pocketrank::ffi::pkr_model>(),
        crate::SCRATCH_BYTES
    )
    .ok()?;
    writeln!(
        to,
        "# stack: {stack} bytes at most, limit {STACK_MAX}; all ram {} bytes, limit {RAM_MAX}{}",
        statics + stack,
        if well { "" } else { ": TOO MUCH" }
    )
    .ok()?;
    Some(well)
}

/// Bytes of the stack that were ever written since the start-up code painted it.
fn stack_bytes() -> usize {
    let (mut at, top) = (addr_of!(_stack_end), addr_of!(_stack_start));
    // SAFETY: `at` stays below the stack's top, in memory; the part that is read is not written by others.
    while at < top && unsafe { at.read_volatile() } == STACK_PAINT_VALUE {
        at = at.wrapping_add(1);
    }
    between(at, top)
}

fn between(from: *const u32, to: *const u32) -> usize {
    to.addr() - from.addr()
}
