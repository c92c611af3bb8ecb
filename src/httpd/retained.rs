//! What the parent process keeps across graceful restarts, when all that belongs to a
//! configuration ends.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;

use super::ffi;
use super::server::WorkerSet;

/// The name of [`Retained`] among what httpd retains for its modules. What it holds never changes
/// its layout under this name: another build of the module may have made it.
const KEY: &CStr = c"mod_jk generation";

/// Its address tells which copy of the module is running. Copies stay where they are
/// (-z nodelete): a file of another name is loaded beside them, and one that was replaced under
/// its name is not loaded before httpd was stopped.
static COPY: u8 = 0;

#[repr(C)]
struct Retained {
    /// The copy of the module that knows what `value` is.
    copy: *const u8,
    /// From `Arc::into_raw`, or null.
    value: *const c_void,
}

/// What an earlier generation has left.
pub(super) enum Legacy {
    /// Nothing: httpd starts.
    Nothing,
    /// Something of another build of the module, which is not touched.
    Foreign,
    /// The generation before this one.
    Known(Arc<WorkerSet>),
}

/// Whether this generation follows another one by a graceful restart.
pub(super) fn is_graceful() -> bool {
    // SAFETY: the parent process asks in its only thread; httpd keeps the answer as long as it runs.
    unsafe { ffi::jk_shim_was_graceful() != 0 }
}

fn slot() -> *mut Retained {
    // SAFETY: the parent process has one thread; httpd keeps what it returns for as long as it runs.
    let known = unsafe { ffi::ap_retained_data_get(KEY.as_ptr()) };
    if known.is_null() {
        // SAFETY: as above; the memory is zeroed, which is a valid value, and aligned to 8 bytes.
        return unsafe { ffi::ap_retained_data_create(KEY.as_ptr(), size_of::<Retained>()) }.cast();
    }
    known.cast()
}

/// Keeps the workers of this generation for the next one, and returns those of the one before. For
/// the parent process while it starts.
pub(super) fn replace(workers: Arc<WorkerSet>) -> Legacy {
    let slot = slot();
    #[cfg(feature = "test-memory")]
    super::test_memory::held(Arc::as_ptr(&workers).addr());
    let own = Retained { copy: &raw const COPY, value: Arc::into_raw(workers).cast() };
    // SAFETY: memory that httpd keeps for us, of this type and used by this thread only.
    let before = unsafe { slot.replace(own) };
    #[cfg(feature = "test-memory")]
    super::test_memory::released(before.value.addr());
    if before.value.is_null() {
        Legacy::Nothing
    } else if ptr::eq(before.copy, &raw const COPY) {
        // SAFETY: this copy of the module put it there by `into_raw`, and it was just taken out.
        Legacy::Known(unsafe { Arc::from_raw(before.value.cast()) })
    } else {
        Legacy::Foreign
    }
}
