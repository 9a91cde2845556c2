//! What LLVM calls to fill memory with zeros on Apple's systems, `_bzero` and on x86-64 `___bzero`, as `memset`: so that the library
//! needs nothing but `mem*` there too. Local to the object; a function in Rust would be compiled into a call of itself.

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".private_extern _bzero",
    ".p2align 2",
    "_bzero:",
    "mov x2, x1",
    "mov w1, #0",
    "b _memset",
);

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".private_extern _bzero",
    ".private_extern ___bzero",
    ".p2align 4",
    "_bzero:",
    "___bzero:",
    "mov rdx, rsi",
    "xor esi, esi",
    "jmp _memset",
);
