//! APR pools: strings that httpd reads after we have returned, and Rust values that end with one.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::mem;
use std::process;
use std::ptr::{self, NonNull};

use super::ffi;

/// A pool that lives at least as long as `'p`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool<'p> {
    raw: *mut ffi::apr_pool_t,
    life: PhantomData<&'p ()>,
}

struct Parked<T> {
    /// A forked child inherits the parent's cleanups, but not the right to end its values while
    /// threads of its own may still use them.
    process: u32,
    value: T,
}

/// A C string in a pool that lives at least as long as `'p`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'p> {
    raw: *const c_char,
    life: PhantomData<&'p ()>,
}

impl<'p> Text<'p> {
    /// The string for a call into APR.
    pub(super) fn raw(self) -> *const c_char {
        self.raw
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> &'p [u8] {
        // SAFETY: a C string in a pool that outlives 'p.
        unsafe { text(self.raw) }.unwrap_or_default()
    }
}

impl<'p> Pool<'p> {
    /// # Safety
    /// `raw` is a pool that is not destroyed before `'p` ends.
    pub(super) unsafe fn new(raw: *mut ffi::apr_pool_t) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The pool for a call into APR.
    pub(super) fn raw(self) -> *mut ffi::apr_pool_t {
        self.raw
    }

    /// Copies bytes and puts a zero byte behind them.
    pub(super) fn copy(self, bytes: &[u8]) -> *mut c_char {
        // SAFETY: apr_pstrmemdup reads exactly `len` bytes and allocates in a live pool.
        unsafe { ffi::apr_pstrmemdup(self.raw, bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Joins bytes and puts a zero byte behind them.
    pub(super) fn concat(self, parts: &[&[u8]]) -> *const c_char {
        let length = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        // SAFETY: a live pool; httpd ends the process rather than return null.
        let start = unsafe { ffi::apr_palloc(self.raw, length.saturating_add(1)) }.cast::<u8>();
        let mut at = start;
        for part in parts {
            // SAFETY: the parts together are as long as the allocation but for its last byte.
            unsafe { at.copy_from_nonoverlapping(part.as_ptr(), part.len()) };
            // SAFETY: still within the allocation.
            at = unsafe { at.add(part.len()) };
        }
        // SAFETY: the last byte of the allocation.
        unsafe { at.write(0) };
        start.cast()
    }

    /// Copies bytes into the pool, where they live as long as it.
    pub(super) fn keep(self, bytes: &[u8]) -> &'p [u8] {
        let copy = self.copy(bytes);
        // SAFETY: apr_pstrmemdup has just made `len` bytes in a pool that outlives 'p.
        unsafe { std::slice::from_raw_parts(copy.cast(), bytes.len()) }
    }

    /// A number in decimal. The formatting of the standard library would be more code, for each
    /// request, than all that reads and writes a packet.
    pub(super) fn number(self, n: u64) -> Text<'p> {
        let n = ffi::apr_off_t::try_from(n).unwrap_or(ffi::apr_off_t::MAX);
        // SAFETY: a live pool; httpd ends the process rather than return null.
        let raw = unsafe { ffi::apr_off_t_toa(self.raw, n) };
        Text { raw, life: PhantomData }
    }

    /// Bytes as text, up to a zero byte if there is one.
    pub(super) fn text(self, bytes: &[u8]) -> Text<'p> {
        Text { raw: self.copy(bytes), life: PhantomData }
    }

    /// Copies plain values into the pool, where they live as long as it.
    pub(super) fn keep_all<T: Copy>(self, values: &[T]) -> &'p [T] {
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        let copy = {
            // SAFETY: copies as many bytes as the slice has, into a live pool.
            unsafe { ffi::apr_pmemdup(self.raw, values.as_ptr().cast(), size_of_val(values)) }
        };
        // SAFETY: apr_pmemdup has just made a copy of all of them, aligned to 8 bytes.
        unsafe { std::slice::from_raw_parts(copy.cast(), values.len()) }
    }

    /// Puts a plain value into the pool, where it lives as long as it; nothing of it is dropped.
    pub(super) fn hold<T>(self, value: T) -> &'p T {
        const { assert!(!mem::needs_drop::<T>(), "nobody would drop it") };
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        // SAFETY: a live pool; httpd ends the process rather than return null.
        let place = unsafe { ffi::apr_palloc(self.raw, size_of::<T>()) }.cast::<T>();
        // SAFETY: fresh memory of the right size and alignment.
        unsafe { place.write(value) };
        // SAFETY: written just now, in a pool that outlives 'p, and known to nobody else.
        unsafe { &*place }
    }

    /// Moves a value to the heap; it is dropped when the pool ends in this process.
    pub(super) fn park<T: 'static>(self, value: T) -> NonNull<T> {
        let parked = Box::leak(Box::new(Parked { process: process::id(), value }));
        let parked = NonNull::from(parked);
        #[cfg(feature = "test-memory")]
        super::test_memory::held(parked.addr().get());
        // SAFETY: `parked` comes from a Box of the type that `drop_parked::<T>` expects, and a
        // pool runs its cleanup exactly once.
        unsafe {
            ffi::apr_pool_cleanup_register(
                self.raw,
                parked.as_ptr().cast(),
                Some(drop_parked::<T>),
                Some(ffi::apr_pool_cleanup_null),
            );
        }
        // SAFETY: the value was leaked a moment ago and has no other reference.
        let value = unsafe { &mut (*parked.as_ptr()).value };
        NonNull::from(value)
    }
}

unsafe extern "C" fn drop_parked<T>(data: *mut c_void) -> ffi::apr_status_t {
    super::guard::guard(
        |_| 0,
        || {
            let parked: *mut Parked<T> = data.cast();
            // SAFETY: `park` registered this pointer with this type; it is alive until here.
            let creator = unsafe { (*parked).process };
            if creator == process::id() {
                #[cfg(feature = "test-memory")]
                super::test_memory::released(parked.addr());
                // SAFETY: it came from Box::into_raw and this cleanup runs once.
                drop(unsafe { Box::from_raw(parked) });
            }
            0
        },
    )
}

/// The bytes of a C string; `None` for a null pointer.
///
/// # Safety
/// `text` is null or points to a string with a zero byte that is unchanged during `'a`.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// The bytes of an APR array of `T`.
///
/// # Safety
/// `array` is null or a live array of `T` that is not changed during `'a`.
pub(super) unsafe fn elements<'a, T>(array: *const ffi::apr_array_header_t) -> &'a [T] {
    if array.is_null() {
        return &[];
    }
    // SAFETY: not null, so by the caller's promise a live array header.
    let header = unsafe { &*array };
    let len = usize::try_from(header.nelts).unwrap_or(0);
    if len == 0 || header.elts.is_null() {
        return &[];
    }
    // SAFETY: APR keeps `nelts` initialised elements of the array's type at `elts`.
    unsafe { std::slice::from_raw_parts(header.elts.cast(), len) }
}

/// A C int of httpd that cannot overflow ours.
pub(super) fn int<T: TryInto<c_int>>(n: T) -> c_int {
    n.try_into().unwrap_or(c_int::MAX)
}

/// Whether a status of APR says that the client's connection is of no use any more.
pub(super) fn is_connection_lost(status: ffi::apr_status_t) -> bool {
    [
        int(ffi::APR_ECONNABORTED),
        int(ffi::APR_ECONNRESET),
        int(ffi::APR_EOF),
        int(ffi::APR_EPIPE),
        int(ffi::APR_INCOMPLETE),
        int(ffi::APR_TIMEUP),
    ]
    .contains(&status)
}

/// A null pointer for an optional argument.
pub(super) fn nothing<T>() -> *mut T {
    ptr::null_mut()
}
