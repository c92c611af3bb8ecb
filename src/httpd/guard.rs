//! The frame around every function that httpd calls: a panic ends here and becomes a decision.
//!
//! Anything that the closure owned has been dropped when `on_panic` runs; nothing of it is used
//! again (DESIGN.md 3).

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes panics silent: what is to be said about one is said once, in the log, by whoever catches
/// it. Without this the standard library writes lines of its own to httpd's error log.
pub(super) fn silence_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        // Within another panic's hook nothing more can be done.
        let _ = PLACE.try_with(|last| {
            if let Ok(mut last) = last.try_borrow_mut() {
                *last = place;
            }
        });
    }));
}

/// Source file and line of this thread's last panic.
pub(super) fn panic_place() -> String {
    PLACE.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

/// Runs `body`; where it panics, `on_panic` gets the message and decides what httpd is told.
pub(super) fn guard<T>(on_panic: impl FnOnce(&str) -> T, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            let value = on_panic(message(&*payload));
            // Dropping a payload can panic again, and nothing could catch that.
            std::mem::forget(payload);
            value
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value() {
        assert_eq!(guard(|_| 1, || 2), 2);
        let seen = guard(|m| m.to_owned(), || panic!("index {} out of bounds", 7));
        assert_eq!(seen, "index 7 out of bounds");
    }

    #[test]
    fn what_the_body_owned_is_dropped() {
        struct Flag<'f>(&'f std::cell::Cell<bool>);
        impl Drop for Flag<'_> {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = std::cell::Cell::new(false);
        guard(
            |_| (),
            || {
                let _held = Flag(&dropped);
                panic!("boom");
            },
        );
        assert!(dropped.get());
    }
}
