//! How much memory a piece of work takes at its peak.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn add(size: usize) {
    // A thread that ends may allocate when its counters are gone already.
    let _ = NOW.try_with(|now| {
        now.set(now.get().wrapping_add(size));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

// SAFETY: the system's allocator does the work; the counters are plain numbers of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        let _ = NOW.try_with(|now| now.set(now.get().wrapping_sub(layout.size())));
        // SAFETY: the caller's promise; `start` came from the system's allocator.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does some work, which must not take more than `limit` bytes at a time.
pub(super) fn at_most<T>(limit: usize, work: impl FnOnce() -> T) -> T {
    let before = NOW.get();
    // Memory of other threads may have been freed in this one.
    NOW.set(1 << 40);
    PEAK.set(1 << 40);
    let result = work();
    let taken = PEAK.get() - (1 << 40);
    NOW.set(before);
    assert!(taken <= limit, "{taken} bytes of memory instead of at most {limit}");
    result
}
