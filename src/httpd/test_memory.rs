//! For `misc/dev asan`, in a module built with the feature `test-memory`: mistakes with memory that a
//! client can ask for, which prove that it reports them; and what httpd holds for us, so that it is
//! not reported.

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use super::request::Record;

/// Addresses that only httpd's pools know. APR maps the memory of its pools, and a sanitizer does
/// not look for addresses there.
static HELD: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Says that httpd holds the value at `address`.
pub(super) fn held(address: usize) {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).push(address);
}

/// Says that httpd has let go of it: whoever has it now must end it.
pub(super) fn released(address: usize) {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != address);
}

/// Makes the mistake that the client's header `X-Jk-Test-Memory` names: `use-after-free` or
/// `leak`.
pub(super) fn spoil_if_asked(record: &Record<'_>) {
    match record.headers_in().get(c"X-Jk-Test-Memory") {
        Some(b"use-after-free") => use_after_free(),
        Some(b"leak") => leak(),
        _ => {}
    }
}

#[inline(never)]
fn use_after_free() {
    let freed = Box::into_raw(Box::new([7_u8; 64]));
    // SAFETY: made by into_raw in the line above.
    drop(unsafe { Box::from_raw(freed) });
    // SAFETY: there is none: this is the mistake that the sanitizer has to report.
    black_box(unsafe { black_box(freed).cast::<u8>().read_volatile() });
}

#[inline(never)]
fn leak() {
    for _ in 0..16 {
        black_box(Box::into_raw(Box::new([7_u8; 1_000])));
    }
}
