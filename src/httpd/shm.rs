//! Memory that httpd's children inherit: anonymous, so there is no file that others could read.

use std::io;
use std::ptr::{self, NonNull};

use crate::shared::{Memory, WorkerState};

/// Zeroed memory for the states of some workers, shared with all children of this process.
#[derive(Debug)]
pub(super) struct SharedMemory {
    start: NonNull<WorkerState>,
    workers: usize,
}

// SAFETY: the memory stays mapped as long as the value lives and holds nothing but atomics.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps memory for `workers` workers, at least one.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(workers: usize) -> io::Result<Self> {
        let workers = workers.max(1);
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANON);
        // SAFETY: a new mapping at an address of the system's choice takes no memory from anybody.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), Self::bytes(workers), access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(start.cast())
            .map(|start| Self { start, workers })
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
    }

    fn bytes(workers: usize) -> usize {
        size_of::<WorkerState>().saturating_mul(workers)
    }
}

impl Memory for SharedMemory {
    fn workers(&self) -> &[WorkerState] {
        // SAFETY: the mapping begins at a page, has room for that many, and zeros are valid states.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.workers) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; nobody has a reference into it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), Self::bytes(self.workers)) };
    }
}
