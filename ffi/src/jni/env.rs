//! What the virtual machine gives: its table of functions, arrays and direct buffers.
//!
//! The table is typed here instead of by a crate: of its 229 functions twelve are used, their places are asserted below and held
//! against the JDK's own jni.h by `ffi/kotlin/test.sh`.

use core::ffi::c_void;
use core::mem::{MaybeUninit, offset_of};
use core::ptr::null_mut;

use pocketrank::ffi::*;

/// A reference to an object of Java, NULL for `null`.
pub type Object = *mut c_void;

/// The table of functions, up to the last that is used.
#[repr(C)]
struct Functions {
    before_frames: [usize; 19],
    push_local_frame: unsafe extern "system" fn(Env, i32) -> i32,
    pop_local_frame: unsafe extern "system" fn(Env, Object) -> Object,
    before_arrays: [usize; 150],
    get_array_length: unsafe extern "system" fn(Env, Object) -> i32,
    new_object_array: usize,
    get_object_array_element: unsafe extern "system" fn(Env, Object, i32) -> Object,
    before_new_arrays: [usize; 2],
    new_byte_array: unsafe extern "system" fn(Env, i32) -> Object,
    before_regions: [usize; 26],
    get_int_array_region: unsafe extern "system" fn(Env, Object, i32, i32, *mut i32),
    before_set_regions: [usize; 4],
    set_byte_array_region: unsafe extern "system" fn(Env, Object, i32, i32, *const i8),
    before_set_long: [usize; 3],
    set_long_array_region: unsafe extern "system" fn(Env, Object, i32, i32, *const i64),
    before_critical: [usize; 9],
    get_primitive_array_critical: unsafe extern "system" fn(Env, Object, *mut u8) -> *mut c_void,
    release_primitive_array_critical: unsafe extern "system" fn(Env, Object, *mut c_void, i32),
    before_buffers: [usize; 6],
    get_direct_buffer_address: unsafe extern "system" fn(Env, Object) -> *mut c_void,
    get_direct_buffer_capacity: unsafe extern "system" fn(Env, Object) -> i64,
}

const SLOT: usize = size_of::<usize>();
const _: () = assert!(offset_of!(Functions, push_local_frame) == 19 * SLOT);
const _: () = assert!(offset_of!(Functions, pop_local_frame) == 20 * SLOT);
const _: () = assert!(offset_of!(Functions, get_array_length) == 171 * SLOT);
const _: () = assert!(offset_of!(Functions, get_object_array_element) == 173 * SLOT);
const _: () = assert!(offset_of!(Functions, new_byte_array) == 176 * SLOT);
const _: () = assert!(offset_of!(Functions, get_int_array_region) == 203 * SLOT);
const _: () = assert!(offset_of!(Functions, set_byte_array_region) == 208 * SLOT);
const _: () = assert!(offset_of!(Functions, set_long_array_region) == 212 * SLOT);
const _: () = assert!(offset_of!(Functions, get_primitive_array_critical) == 222 * SLOT);
const _: () = assert!(offset_of!(Functions, release_primitive_array_critical) == 223 * SLOT);
const _: () = assert!(offset_of!(Functions, get_direct_buffer_address) == 230 * SLOT);
const _: () = assert!(offset_of!(Functions, get_direct_buffer_capacity) == 231 * SLOT);

/// The environment of the calling thread: a `JNIEnv *`. Only the virtual machine makes one, so it and its table are live.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Env(*const *const Functions);

/// A direct buffer. Its address never changes, and it lives as long as the object: the call that it is an argument of.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) at: *mut u8,
    pub(super) bytes: usize,
}

impl Memory {
    const NONE: Self = Self {
        at: null_mut(),
        bytes: 0,
    };

    /// The part of it that is aligned for a handle: buffers of some virtual machines begin anywhere.
    pub(super) fn aligned(self) -> Self {
        let skip = self.at.addr().wrapping_neg() % PKR_MEMORY_ALIGNMENT;
        match self.bytes.checked_sub(skip) {
            // In bounds: `skip` bytes of it are there.
            Some(bytes) if !self.at.is_null() => Self {
                at: self.at.wrapping_add(skip),
                bytes,
            },
            _ => Self::NONE,
        }
    }
}

impl Env {
    fn table(self) -> &'static Functions {
        // SAFETY: an `Env` is what the virtual machine passed, whose table lives as long as it; the entries that have types
        // here are functions in every version since JNI 1.4, and the others are plain words.
        unsafe { &**self.0 }
    }

    /// A direct buffer; NULL and no bytes for `null` and for buffers that are not direct.
    pub(super) fn memory(self, buffer: Object) -> Memory {
        let table = self.table();
        if buffer.is_null() {
            return Memory::NONE;
        }
        // SAFETY: `buffer` is a live reference to a buffer, by the types of the native methods.
        unsafe {
            let at = (table.get_direct_buffer_address)(self, buffer).cast();
            let capacity = (table.get_direct_buffer_capacity)(self, buffer);
            let bytes = usize::try_from(capacity).unwrap_or(0);
            Memory { at, bytes }
        }
    }

    /// The memory of a handle: what was opened in it, or NULL.
    pub(super) fn handle<T>(self, buffer: Object) -> *mut T {
        self.memory(buffer).aligned().at.cast()
    }

    pub(super) fn array_len(self, array: Object) -> usize {
        if array.is_null() {
            return 0;
        }
        // SAFETY: `array` is a live reference to an array, by the types of the native methods.
        let len = unsafe { (self.table().get_array_length)(self, array) };
        usize::try_from(len).unwrap_or(0)
    }

    /// Copies the first `into.len()` ints of an array, or as many as it has; returns those.
    pub(super) fn ints(self, array: Object, into: &mut [i32]) -> &[i32] {
        let len = self.array_len(array).min(into.len());
        let into = into.get_mut(..len).unwrap_or_default();
        if len > 0 {
            // SAFETY: the array has `len` ints, and `into` has room for them.
            unsafe {
                (self.table().get_int_array_region)(self, array, 0, len as i32, into.as_mut_ptr())
            };
        }
        into
    }

    /// Writes numbers to the beginning of a long array that has room for them.
    pub(super) fn note(self, array: Object, numbers: &[i64]) {
        let len = numbers.len().min(self.array_len(array));
        if len > 0 {
            // SAFETY: both have `len` longs.
            unsafe {
                (self.table().set_long_array_region)(self, array, 0, len as i32, numbers.as_ptr())
            };
        }
    }

    /// Writes the one number that a call is about, and returns its status.
    pub(super) fn answer(self, array: Object, status: pkr_status, number: i64) -> i32 {
        self.note(array, &[number]);
        status as i32
    }

    /// Writes where an error happened, and returns its status.
    pub(super) fn refuse(self, array: Object, status: pkr_status, at: &pkr_error_detail) -> i32 {
        let place = [at.feature.into(), at.candidate.into(), at.offset as i64];
        self.note(array, &place);
        status as i32
    }

    /// A byte array of texts, one behind the other; NULL, with an exception, if there is no memory for it.
    pub(super) fn texts(self, texts: &[&[u8]]) -> Object {
        let table = self.table();
        let total = texts.iter().map(|text| text.len()).sum::<usize>();
        // SAFETY: the array is of `total` bytes, and the texts fill it.
        unsafe {
            let array = (table.new_byte_array)(self, total as i32);
            let mut at = 0;
            for text in texts {
                if array.is_null() {
                    break;
                }
                let len = text.len() as i32;
                (table.set_byte_array_region)(self, array, at, len, text.as_ptr().cast());
                at += len;
            }
            array
        }
    }
}

/// A frame of local references: what is got from an array of objects is let go at its end, since a loop that calls native code
/// once a frame would else fill the table of a thread that never returns to Java.
pub(super) struct Frame(Env);

impl Frame {
    pub(super) fn new(env: Env, references: usize) -> Result<Self, pkr_status> {
        // SAFETY: any thread may push a frame; it is popped by `drop`.
        match unsafe { (env.table().push_local_frame)(env, references as i32) } {
            0 => Ok(Self(env)),
            _ => Err(PKR_ERR_BUFFER_TOO_SMALL), // OutOfMemoryError is pending
        }
    }

    /// An element of an array of objects; NULL past its end.
    pub(super) fn element(&self, array: Object, index: usize) -> Object {
        if index >= self.0.array_len(array) {
            return null_mut();
        }
        // SAFETY: `index` is within the array.
        unsafe { (self.0.table().get_object_array_element)(self.0, array, index as i32) }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: `new` pushed the frame that is popped, on this thread.
        unsafe { (self.0.table().pop_local_frame)(self.0, null_mut()) };
    }
}

/// An array of numbers that is used during a call.
#[derive(Clone, Copy)]
struct Held {
    array: Object,
    at: *mut c_void,
    len: usize,
    written: bool,
}

/// The arrays of one call, in the order in which they were held. First every length is asked for; then `pin` gets all addresses,
/// and nothing of the virtual machine may be called before the arrays are dropped.
pub(super) struct Arrays<const N: usize> {
    env: Env,
    held: [MaybeUninit<Held>; N],
    len: usize,
    pinned: usize,
}

impl<const N: usize> Arrays<N> {
    #[inline(always)]
    pub(super) fn new(env: Env) -> Self {
        Self {
            env,
            held: [const { MaybeUninit::uninit() }; N],
            len: 0,
            pinned: 0,
        }
    }

    fn hold(&mut self, array: Object, len: usize, written: bool) -> Result<(), pkr_status> {
        let slot = self.held.get_mut(self.len).ok_or(PKR_ERR_OVER_LIMIT)?;
        slot.write(Held {
            array,
            at: null_mut(),
            len,
            written,
        });
        self.len += 1;
        Ok(())
    }

    /// An array that is read, of which `len` elements are used; negative: none is there.
    pub(super) fn read(&mut self, array: Object, len: i32) -> Result<(), pkr_status> {
        let Ok(len) = usize::try_from(len) else {
            return self.hold(null_mut(), 0, false);
        };
        if array.is_null() {
            return Err(PKR_ERR_NULL_POINTER);
        }
        if len > self.env.array_len(array) {
            return Err(PKR_ERR_BUFFER_TOO_SMALL);
        }
        self.hold(array, len, false)
    }

    /// An array that is read, whole.
    pub(super) fn read_whole(&mut self, array: Object) -> Result<(), pkr_status> {
        self.read(array, self.env.array_len(array) as i32)
    }

    /// An array that is written, whole; `null` is not wanted.
    pub(super) fn write(&mut self, array: Object) -> Result<(), pkr_status> {
        self.hold(array, self.env.array_len(array), true)
    }

    /// Gets the addresses. From here on the collector waits: the call is short, and nothing else of the machine is called.
    pub(super) fn pin(&mut self) -> Result<(), pkr_status> {
        let table = self.env.table();
        let held = self.held.get_mut(..self.len).unwrap_or_default();
        for slot in held {
            // SAFETY: the first `len` are written.
            let held = unsafe { slot.assume_init_mut() };
            if !held.array.is_null() {
                // SAFETY: a live reference to an array of numbers; released by `drop`.
                held.at = unsafe {
                    (table.get_primitive_array_critical)(self.env, held.array, null_mut())
                };
                if held.at.is_null() {
                    return Err(PKR_ERR_NULL_POINTER); // OutOfMemoryError is pending
                }
            }
            self.pinned += 1;
        }
        Ok(())
    }

    /// Address and length of the `index`th array; NULL and 0 if none is there.
    pub(super) fn at<T>(&self, index: usize) -> (*mut T, usize) {
        match self.held.get(..self.pinned).and_then(|all| all.get(index)) {
            // SAFETY: the first `pinned` are written.
            Some(held) => unsafe {
                let held = held.assume_init_ref();
                (held.at.cast(), held.len)
            },
            None => (null_mut(), 0),
        }
    }
}

impl<const N: usize> Drop for Arrays<N> {
    fn drop(&mut self) {
        const ABORT: i32 = 2; // what was only read is not copied back
        let held = self.held.get(..self.pinned).unwrap_or_default();
        for slot in held.iter().rev() {
            // SAFETY: the first `pinned` are written, and `pin` got an address of each that has an array.
            unsafe {
                let held = slot.assume_init_ref();
                let mode = if held.written { 0 } else { ABORT };
                if !held.array.is_null() {
                    let release = self.env.table().release_primitive_array_critical;
                    release(self.env, held.array, held.at, mode);
                }
            }
        }
    }
}

/// A detail to be filled.
pub(super) fn nowhere() -> pkr_error_detail {
    pkr_error_detail {
        struct_size: size_of::<pkr_error_detail>() as u32,
        status: PKR_OK,
        feature: PKR_NOWHERE,
        candidate: PKR_NOWHERE,
        offset: u64::MAX,
    }
}
