//! Memory that httpd's children inherit: anonymous, so there is no file that others could read.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, AtomicU64};

use crate::shared::{
    BalancerState, CommonState, Layout, MemberState, Memory, ProcessState, RequestState,
    WorkerState,
};

/// Zeroed memory for the states of workers and balancers, shared with all children of this process.
#[derive(Debug)]
pub(super) struct SharedMemory {
    start: NonNull<Region>,
    layout: Layout,
    places: Places,
}

/// Where each kind of record begins, in units; requests ask for it several times.
#[derive(Debug, Clone, Copy)]
struct Places {
    workers: usize,
    members: usize,
    balancers: usize,
    requests: usize,
    processes: usize,
    connections: usize,
    edits: usize,
    end: usize,
}

/// The unit in which records of any kind are laid out one after the other: each kind begins where
/// its own records may begin.
#[repr(C, align(64))]
struct Region([u8; 64]);

// SAFETY: the memory stays mapped as long as the value lives and holds nothing but atomics.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

/// Units that `count` records of type `T` take.
const fn units<T>(count: usize) -> usize {
    const { assert!(align_of::<T>() <= align_of::<Region>()) };
    size_of::<T>().saturating_mul(count).div_ceil(size_of::<Region>())
}

impl Places {
    fn of(layout: Layout) -> Self {
        let mut end = 0usize;
        let mut place = |units: usize| {
            let start = end;
            end = start.saturating_add(units);
            start
        };
        place(units::<CommonState>(1));
        Self {
            workers: place(units::<WorkerState>(layout.workers)),
            members: place(units::<MemberState>(layout.members)),
            balancers: place(units::<BalancerState>(layout.balancers)),
            requests: place(units::<RequestState>(layout.requests)),
            processes: place(units::<ProcessState>(layout.processes)),
            connections: place(units::<AtomicU16>(layout.connections())),
            edits: place(units::<AtomicU64>(layout.edits)),
            end,
        }
    }

    /// Bytes that all records take.
    fn bytes(self) -> usize {
        self.end.saturating_mul(size_of::<Region>())
    }
}

impl SharedMemory {
    /// Maps memory for that many records.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(layout: Layout) -> io::Result<Self> {
        let places = Places::of(layout);
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANON);
        // SAFETY: a new mapping at an address of the system's choice takes no memory from anybody.
        let start = unsafe { libc::mmap(ptr::null_mut(), places.bytes(), access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(start.cast())
            .map(|start| Self { start, layout, places })
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
    }

    /// The layout that it has room for.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// The records of one kind that begin `units` after the start.
    ///
    /// # Safety
    /// They lie within the mapping, apart from those of other kinds, and zeros are valid records.
    unsafe fn records<T>(&self, units: usize, count: usize) -> &[T] {
        // SAFETY: the caller's promise.
        let start = unsafe { self.start.add(units) };
        // SAFETY: the caller's promise; a unit is at least as aligned as a record.
        unsafe { std::slice::from_raw_parts(start.as_ptr().cast(), count) }
    }
}

impl Memory for SharedMemory {
    fn workers(&self) -> &[WorkerState] {
        // SAFETY: the mapping has room for them behind the common record; they are atomics.
        unsafe { self.records(self.places.workers, self.layout.workers) }
    }

    fn requests(&self) -> &[RequestState] {
        // SAFETY: the mapping has room for them behind the balancers; they are atomics.
        unsafe { self.records(self.places.requests, self.layout.requests) }
    }

    fn processes(&self) -> &[ProcessState] {
        // SAFETY: the mapping has room for them behind the requests; they are atomics.
        unsafe { self.records(self.places.processes, self.layout.processes) }
    }

    fn connections(&self) -> &[AtomicU16] {
        // SAFETY: the mapping has room for them behind the processes; they are atomics.
        unsafe { self.records(self.places.connections, self.layout.connections()) }
    }

    fn edits(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has room for them at the end; they are atomics.
        unsafe { self.records(self.places.edits, self.layout.edits) }
    }

    /// One that may not be asked is somebody else's, and alive.
    fn is_alive(&self, process: u32) -> bool {
        let Ok(process) = libc::pid_t::try_from(process) else {
            return false;
        };
        // SAFETY: signal 0 does nothing to the process.
        let answer = unsafe { libc::kill(process, 0) };
        answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
    }

    fn common(&self) -> &CommonState {
        // SAFETY: the mapping begins with it, at a page; it is an atomic.
        unsafe { self.start.cast().as_ref() }
    }

    fn balancers(&self) -> &[BalancerState] {
        // SAFETY: the mapping has room for them behind the members; they are atomics.
        unsafe { self.records(self.places.balancers, self.layout.balancers) }
    }

    fn members(&self) -> &[MemberState] {
        // SAFETY: the mapping has room for them behind the workers; they are atomics.
        unsafe { self.records(self.places.members, self.layout.members) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; nobody has a reference into it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.places.bytes()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::shared::requests::{Count, take};
    use crate::shared::{State, connections};

    #[test]
    fn every_record_has_a_place_of_its_own() {
        let layout =
            Layout { workers: 7, balancers: 3, members: 5, requests: 9, processes: 2, edits: 11 };
        let memory = SharedMemory::new(layout).unwrap();
        for (at, worker) in memory.workers().iter().enumerate() {
            worker.used.store(100 + at as u64, Ordering::Relaxed);
        }
        for (at, balancer) in memory.balancers().iter().enumerate() {
            balancer.maintained.store(200 + at as u64, Ordering::Relaxed);
        }
        for (at, member) in memory.members().iter().enumerate() {
            member.lb_value.store(300 + at as u64, Ordering::Relaxed);
            member.set_state(State::Busy);
        }
        for word in memory.edits() {
            word.store(u64::MAX, Ordering::Relaxed);
        }
        for process in [1, 2] {
            let row = connections::row(&memory, process).unwrap();
            assert!((0..=process).all(|_| connections::open(&memory, row, 6)));
        }
        memory.common().repaired.store(400, Ordering::Relaxed);
        let take = |at| take(memory.requests(), at, 1, Count::Busy(6));
        let tickets: Vec<_> = (0..9).filter_map(take).collect();
        let excess = crate::shared::requests::excess(&memory);
        assert_eq!((tickets.len(), excess.get(6)), (9, Some(&(Count::Busy(6), -9))));
        assert_eq!((connections::of(&memory, 6), connections::of(&memory, 5)), (5, 0));
        assert_eq!(memory.common().repaired.load(Ordering::Relaxed), 400);
        let load = |atomic: &AtomicU64| atomic.load(Ordering::Relaxed);
        let used: Vec<u64> = memory.workers().iter().map(|w| load(&w.used)).collect();
        let values: Vec<u64> = memory.members().iter().map(|m| load(&m.lb_value)).collect();
        let times: Vec<u64> = memory.balancers().iter().map(|b| load(&b.maintained)).collect();
        assert_eq!(used, [100, 101, 102, 103, 104, 105, 106]);
        assert_eq!(times, [200, 201, 202]);
        assert_eq!(values, [300, 301, 302, 303, 304]);
        assert!(memory.members().iter().all(|m| m.state() == State::Busy));
        assert_eq!(memory.edits().len(), 11);
    }

    #[test]
    fn a_thousand_members_take_less_than_a_mebibyte() {
        let edits = crate::shared::edits::words(1001);
        let requests = 16 * 1024;
        let layout =
            Layout { workers: 1000, balancers: 1, members: 1000, requests, processes: 32, edits };
        let bytes = Places::of(layout).bytes();
        assert!(bytes < 1 << 20, "{bytes}");
    }

    #[test]
    fn who_is_alive_is_known() {
        let memory = SharedMemory::new(Layout::default()).unwrap();
        assert!(memory.is_alive(std::process::id()) && memory.is_alive(1));
        assert!(!memory.is_alive(u32::MAX) && !memory.is_alive(i32::MAX as u32));
    }
}
