//! For `misc/dev asan`, in a module built with the feature `test-memory`: mistakes with memory that a
//! client can ask for, which prove that it reports them; and what httpd holds for us, so that it is
//! not reported as long as httpd holds it rightly.

use std::hint::black_box;
use std::process;
use std::sync::{Mutex, Once, PoisonError};

use super::request::Record;

/// Addresses that only httpd's pools know. APR maps the memory of its pools, and a sanitizer does
/// not look for addresses there. Who is let go of is overwritten: a copy of the address that is
/// left anywhere would hide a leak.
static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    address: usize,
    /// The process that has to end the value before it exits; 0 where none has to.
    process: u32,
}

/// Says that a pool of httpd holds the value at `address`. A pool of this process that is not
/// destroyed by its end makes the value a leak.
pub(super) fn held(address: usize) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // The sanitizer was there first, so it looks for leaks after this.
        // SAFETY: a function without arguments, in a module that is never unloaded (-z nodelete).
        let _ = unsafe { libc::atexit(forget_ours) };
    });
    hold(Held { address, process: process::id() });
}

/// Says that httpd holds the value at `address` until the process ends.
pub(super) fn kept(address: usize) {
    hold(Held { address, process: 0 });
}

/// Says that httpd has let go of it: whoever has it now must end it.
pub(super) fn released(address: usize) {
    replace(|held| held.address == address);
}

fn hold(new: Held) {
    let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    match all.iter_mut().find(|held| **held == Held::default()) {
        Some(free) => *free = new,
        None => all.push(new),
    }
}

fn replace(is_over: impl Fn(&Held) -> bool) {
    let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    for held in all.iter_mut().filter(|held| is_over(held)) {
        *held = Held::default();
    }
}

extern "C" fn forget_ours() {
    let own = process::id();
    super::guard::guard(|_| (), || replace(|held| held.process == own));
}

/// Makes the mistake that the client's header `X-Jk-Test-Memory` names: `use-after-free`,
/// `leak` or `forgotten-pool`.
pub(super) fn spoil_if_asked(record: &Record<'_>) {
    match record.headers_in().get(c"X-Jk-Test-Memory") {
        Some(b"use-after-free") => use_after_free(),
        Some(b"leak") => leak(),
        Some(b"forgotten-pool") => forgotten_pool(),
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

/// What a value is in a pool that nobody destroys.
#[inline(never)]
fn forgotten_pool() {
    for _ in 0..16 {
        held(black_box(Box::into_raw(Box::new([7_u8; 1_000]))).addr());
    }
}
