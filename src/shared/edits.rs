//! Changes that an administrator makes at run time, as bytes that all processes see.
//!
//! ```text
//! word  0        version; its lowest bit tells the buffer that holds
//! word  1        process that is writing, 0 for nobody
//! then           two buffers: length, checksum, bytes
//! ```
//!
//! A writer fills the buffer that nobody reads and then counts the version up, so readers never
//! wait, and a writer that is killed leaves nothing behind but its process number, which the next
//! one takes over.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread;
use std::time::Duration;

use super::Memory;
use crate::config::WorkerConfig;

/// Version and writer.
const CONTROL: usize = 2;
/// Length and checksum of a buffer.
const HEAD: usize = 2;
/// Words of a buffer that there are in any case, and for each engine.
const BASE: usize = 64;
const PER_ENGINE: usize = 32;
const WORD: usize = 8;

/// How often a writer looks whether another one is done, and how long it waits in between.
const LOOKS: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(1);

/// Words that a board for so many engines takes.
pub fn words(engines: usize) -> usize {
    let buffer = HEAD.saturating_add(BASE).saturating_add(PER_ENGINE.saturating_mul(engines));
    CONTROL.saturating_add(buffer.saturating_mul(2))
}

/// For how many engines a worker's board is; `None` where it has none.
pub fn engines(worker: &WorkerConfig) -> Option<usize> {
    match worker {
        WorkerConfig::Ajp13(_) => Some(1),
        // One for the balancer itself.
        WorkerConfig::Balancer(balancer) => balancer.members.len().checked_add(1),
        WorkerConfig::Status(_) => None,
    }
}

/// Where the edits of one worker are.
#[derive(Debug, Clone, Copy)]
pub struct Board<'m> {
    version: &'m AtomicU64,
    writer: &'m AtomicU64,
    buffers: [&'m [AtomicU64]; 2],
}

/// Why edits cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// Another process is writing.
    #[error("another process is making changes to this worker; try again")]
    Occupied,
    /// They take more room than there is.
    #[error(
        "all changes of this worker together take {needed} bytes, there is room for {room}; make \
         some of them in the file"
    )]
    Full {
        /// Bytes.
        needed: usize,
        /// Bytes.
        room: usize,
    },
}

/// The right to write. Dropping it gives it back.
#[derive(Debug)]
pub struct Writer<'m>(Board<'m>);

impl<'m> Board<'m> {
    /// The board at a position, which has [`words`] for that many engines. `None` where the memory
    /// ends before.
    pub fn new(memory: &'m dyn Memory, at: usize, engines: usize) -> Option<Self> {
        let words = memory.edits().get(at..at.checked_add(words(engines))?)?;
        let ([version, writer], rest) = words.split_first_chunk::<CONTROL>()?;
        let (first, second) = rest.split_at(rest.len().checked_div(2)?);
        Some(Self { version, writer, buffers: [first, second] })
    }

    /// The board of a worker at a position.
    pub fn of(memory: &'m dyn Memory, at: usize, worker: &WorkerConfig) -> Option<Self> {
        Self::new(memory, at, engines(worker)?)
    }

    /// Counts the changes. Another number than last time: there are other edits.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn buffer(&self, version: u64) -> &'m [AtomicU64] {
        let [even, odd] = self.buffers;
        if version & 1 == 0 { even } else { odd }
    }

    /// The edits, with their version. `None` where no writer can have left them so, or where they
    /// change all the time.
    pub fn read(&self) -> Option<(u64, Vec<u8>)> {
        let versions = (0..LOOKS).map(|_| self.version());
        for version in versions {
            let edits = self.read_version(version);
            if edits.is_some() || self.version() == version {
                return edits;
            }
        }
        None
    }

    /// The edits of a version, while it is the last one.
    fn read_version(&self, version: u64) -> Option<(u64, Vec<u8>)> {
        if version == 0 {
            return Some((0, Vec::new()));
        }
        let ([length, sum], words) = self.buffer(version).split_first_chunk::<HEAD>()?;
        let length = usize::try_from(length.load(Ordering::Relaxed)).ok()?;
        let sum = sum.load(Ordering::Relaxed);
        let taken = words.get(..length.div_ceil(WORD))?;
        let bytes = taken.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        let bytes: Vec<u8> = bytes.take(length).collect();
        fence(Ordering::Acquire);
        let is_whole = self.version.load(Ordering::Relaxed) == version;
        (is_whole && sum == checksum(version, &bytes)).then_some((version, bytes))
    }

    /// Takes the right to write back that an earlier process with this number left behind. For a
    /// process that does not write yet.
    pub fn release(&self, process: u32) {
        let (set, seen) = (Ordering::AcqRel, Ordering::Relaxed);
        let _ = self.writer.compare_exchange(u64::from(process), 0, set, seen);
    }

    /// Keeps other writers out. `process`: the caller's.
    ///
    /// # Errors
    /// [`BoardError::Occupied`] after about a second.
    pub fn lock(self, process: u32, memory: &dyn Memory) -> Result<Writer<'m>, BoardError> {
        for _ in 0..LOOKS {
            let holder = self.writer.load(Ordering::Relaxed);
            let is_free =
                holder == 0 || !u32::try_from(holder).is_ok_and(|pid| memory.is_alive(pid));
            let (set, seen) = (Ordering::Acquire, Ordering::Relaxed);
            if is_free
                && self.writer.compare_exchange(holder, u64::from(process), set, seen).is_ok()
            {
                return Ok(Writer(self));
            }
            thread::sleep(PAUSE);
        }
        Err(BoardError::Occupied)
    }
}

impl Writer<'_> {
    /// Replaces all edits.
    ///
    /// # Errors
    /// [`BoardError::Full`]; nothing is changed.
    pub fn write(&self, bytes: &[u8]) -> Result<(), BoardError> {
        let Board { version, .. } = self.0;
        // Zero says that nothing was ever written.
        let next = version.load(Ordering::Relaxed).wrapping_add(1).max(1);
        let buffer = self.0.buffer(next);
        let room = buffer.len().saturating_sub(HEAD).saturating_mul(WORD);
        let full = BoardError::Full { needed: bytes.len(), room };
        let ([length, sum], words) = buffer.split_first_chunk::<HEAD>().ok_or(full)?;
        if bytes.len() > room {
            return Err(full);
        }
        // A reader that sees any of what follows sees as well that its version is outdated.
        fence(Ordering::Release);
        length.store(u64::try_from(bytes.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        sum.store(checksum(next, bytes), Ordering::Relaxed);
        for (word, chunk) in words.iter().zip(bytes.chunks(WORD)) {
            let mut whole = [0; WORD];
            for (to, from) in whole.iter_mut().zip(chunk) {
                *to = *from;
            }
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        version.store(next, Ordering::Release);
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.0.writer.store(0, Ordering::Release);
    }
}

/// FNV-1a of 64 bits.
fn checksum(version: u64, bytes: &[u8]) -> u64 {
    let all = version.to_le_bytes().into_iter().chain(bytes.iter().copied());
    all.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::shared::{Heap, Layout};

    fn heap() -> Heap {
        Heap::new(Layout { edits: words(1), ..Layout::default() })
    }

    fn write(memory: &Heap, bytes: &[u8]) -> Result<(), BoardError> {
        Board::new(memory, 0, 1).unwrap().lock(std::process::id(), memory)?.write(bytes)
    }

    #[test]
    fn what_was_written_is_read() {
        let memory = heap();
        let board = Board::new(&memory, 0, 1).unwrap();
        assert_eq!(board.read(), Some((0, Vec::new())));
        for (version, bytes) in [&b"one"[..], b"", b"three and more"].into_iter().enumerate() {
            write(&memory, bytes).unwrap();
            assert_eq!(board.read(), Some((version as u64 + 1, bytes.to_vec())));
            assert_eq!(board.version(), version as u64 + 1);
        }
        assert!(Board::new(&memory, 1, 1).is_none());
    }

    #[test]
    fn what_has_no_room_changes_nothing() {
        let memory = heap();
        let room = (BASE + PER_ENGINE) * WORD;
        write(&memory, &vec![7; room]).unwrap();
        let needed = room + 1;
        assert_eq!(write(&memory, &vec![8; needed]), Err(BoardError::Full { needed, room }));
        let board = Board::new(&memory, 0, 1).unwrap();
        assert_eq!(board.read(), Some((1, vec![7; room])));
    }

    #[test]
    fn the_right_of_a_killed_writer_is_taken_over() {
        let memory = heap();
        let board = Board::new(&memory, 0, 1).unwrap();
        // The heap knows one process only, so any other one is gone.
        std::mem::forget(board.lock(u32::MAX, &memory).unwrap());
        board.release(1);
        let held = board.lock(std::process::id(), &memory).unwrap();
        assert_eq!(board.lock(1, &memory).unwrap_err(), BoardError::Occupied);
        drop(held);
        std::mem::forget(board.lock(std::process::id(), &memory).unwrap());
        board.release(std::process::id());
        assert!(board.lock(1, &memory).is_ok());
    }

    #[test]
    fn garbage_is_no_edit() {
        let memory = heap();
        for at in 0..memory.edits().len() {
            for value in [1, 3, u64::MAX] {
                write(&memory, b"something of use").unwrap();
                memory.edits()[at].store(value, Ordering::Relaxed);
                let read = Board::new(&memory, 0, 1).unwrap().read();
                assert!(read.is_none_or(|(_, bytes)| bytes == b"something of use"), "{at}");
                memory.edits().iter().for_each(|word| word.store(0, Ordering::Relaxed));
            }
        }
    }

    #[test]
    fn nobody_reads_half_of_a_change() {
        let memory = heap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let board = Board::new(&memory, 0, 1).unwrap();
                    let mut seen = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let (version, bytes) = board.read().unwrap();
                        assert!(version >= seen && bytes.windows(2).all(|w| w[0] == w[1]));
                        seen = version;
                    }
                });
            }
            for n in 0..2000_usize {
                write(&memory, &vec![u8::try_from(n % 251).unwrap(); n % 300]).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
