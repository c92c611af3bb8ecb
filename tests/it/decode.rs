//! Decoding allocates nothing (DESIGN.md 3): counted, thread by thread, by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mod_jk::ajp::exchange::{Event, Exchange, RequestBody, Step};
use mod_jk::ajp::forward::Received;

use crate::support::packet::{answer, get_body_chunk};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator with a counter.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may allocate when its counter is gone already.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; `start` came from the system's allocator.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let result = work();
    (ALLOCATIONS.get() - before, result)
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(vec![1; 10])).0, 1);
}

#[test]
fn an_answer_is_decoded_without_an_allocation() {
    let headers = [("Content-Type", "text/plain"), ("Set-Cookie", "a=b"), ("X-Own", "value")];
    let bytes = [get_body_chunk(100), answer(200, &headers, &[7; 5000])].concat();
    let (count, (names, body)) = allocations(|| {
        let mut exchange = Exchange::new(false, RequestBody::Unknown, 8192);
        let (mut at, mut names, mut body) = (0, 0, 0);
        loop {
            let Ok(Step::Event { consumed, event }) = exchange.next(&bytes[at..]) else {
                return (names, body);
            };
            at += consumed;
            match event {
                Event::Head(head) => names += head.headers().count(),
                Event::Body(data) => body += data.len(),
                Event::BodyWanted(_) => exchange.body_sent(0),
                Event::End(_) => return (names, body),
                _ => {}
            }
        }
    });
    assert_eq!((names, body), (3, 5000));
    assert_eq!(count, 0);
}

#[test]
fn a_request_is_decoded_without_an_allocation() {
    let packet = b"\x02\x02\0\x08HTTP/1.1\0\0\x02/a\0\0\x03::1\0\xff\xff\0\x01h\0\0\x50\0\0\x01\xa0\x0b\0\x01h\0\x0c\0\x01s\0\xff";
    let (count, seen) = allocations(|| {
        let received = Received::decode(packet).ok()?;
        Some((received.headers().count(), received.attributes().count()))
    });
    assert_eq!((count, seen), (0, Some((1, 1))));
}
