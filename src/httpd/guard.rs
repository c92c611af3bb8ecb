//! The frame around every function that httpd calls: a panic ends here and becomes a decision.
//!
//! Anything that the closure owned has been dropped when `on_panic` runs; nothing of it is used
//! again (DESIGN.md 3).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
