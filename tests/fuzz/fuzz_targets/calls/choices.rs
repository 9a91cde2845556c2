//! What the fuzzer's bytes choose: mostly what is right, at times what is not.

use core::ptr::null;

/// The fuzzer's choices; zeros when they run out.
pub struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|_| self.byte()))
    }
    /// `right`, mostly; else anything that memory of `most` elements has, or what no memory has.
    pub fn count(&mut self, right: usize, most: usize) -> usize {
        match self.below(8) {
            6 => self.below(most + 1),
            7 => usize::MAX,
            _ => right.min(most),
        }
    }
    /// `at`, mostly; else NULL or one byte further.
    pub fn pointer<T>(&mut self, at: *const T) -> *const T {
        match self.below(16) {
            14 => null(),
            15 => at.wrapping_byte_add(1),
            _ => at,
        }
    }
}

/// `T` of zeros with its size.
pub fn sized<T>(choices: &mut Choices<'_>) -> T {
    // SAFETY: structs of the ABI are integers, floats and raw pointers, and begin with a u32.
    unsafe {
        let mut value: T = core::mem::zeroed();
        let size = if choices.one_in(32) { choices.byte().into() } else { size_of::<T>() as u32 };
        (&raw mut value).cast::<u32>().write(size);
        value
    }
}
