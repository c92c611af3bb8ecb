//! `recovery_options` set by hand (spec/mod_jk.md 5.5 as amended by spec/reliability.md 0): what may
//! be sent to the engine again although it may have been processed.
//!
//! | bit | effect |
//! |---|---|
//! | 1 | not where the engine fails before it answers |
//! | 2 | not where it fails after status and headers |
//! | 4 | none: a connection is always closed at once when the client fails |
//! | 8 | HEAD is always sent again where the engine fails before it answers |
//! | 16 | GET likewise, also beside 8 |
//!
//! The caller sees to what holds for all bits: nothing of an answer is committed, and the request
//! can be replayed as no more of its body than the first packet has gone out.
#![forbid(unsafe_code)]

use super::error::{Failure, Phase};
use crate::ajp::ProtocolError;
use crate::config::RecoveryOptions;

const NOT_BEFORE_HEADERS: u32 = 1;
const NOT_AFTER_HEADERS: u32 = 2;
const ALWAYS_HEAD: u32 = 8;
const ALWAYS_GET: u32 = 16;

/// Whether a request that failed in `phase` may be sent again because the administrator says so.
pub(super) fn allows(
    options: RecoveryOptions,
    failure: &Failure,
    phase: Phase,
    method: &[u8],
) -> bool {
    let Some(bits) = options.0 else {
        return false;
    };
    let has = |bit| bits & bit != 0;
    let is_failed_answer = match failure {
        // C mod_jk does not either: nobody knows whose answer the second one is.
        Failure::Protocol(ProtocolError::DoubleHead) => false,
        Failure::Closed { .. }
        | Failure::Reset(_)
        | Failure::SocketTimeout(_)
        | Failure::ReplyTimeout(_)
        | Failure::Protocol(_)
        | Failure::BodySend(_)
        | Failure::StatusFatal { .. }
        | Failure::Status { .. } => true,
        _ => false,
    };
    let bits_allow = match phase {
        Phase::Stream => !has(NOT_AFTER_HEADERS),
        _ => {
            !has(NOT_BEFORE_HEADERS)
                || has(ALWAYS_HEAD) && method == b"HEAD"
                || has(ALWAYS_GET) && method == b"GET"
        }
    };
    is_failed_answer && bits_allow
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CLOSED: Failure = Failure::Closed { partial: 0, missing: 4 };

    fn allowed(bits: Option<u32>, phase: Phase, method: &str) -> bool {
        allows(RecoveryOptions(bits), &CLOSED, phase, method.as_bytes())
    }

    #[test]
    fn bits_mean_what_they_mean_in_c() {
        // bits, then whether POST, GET, HEAD before headers and GET after them are sent again
        let table = [
            (None, [false, false, false, false]),
            (Some(0), [true, true, true, true]),
            (Some(1), [false, false, false, true]),
            (Some(2), [true, true, true, false]),
            (Some(3), [false, false, false, false]),
            (Some(4), [true, true, true, true]),
            (Some(7), [false, false, false, false]),
            (Some(11), [false, false, true, false]),
            (Some(19), [false, true, false, false]),
            (Some(27), [false, true, true, false]),
        ];
        for (bits, expected) in table {
            let found = [
                allowed(bits, Phase::Head, "POST"),
                allowed(bits, Phase::Head, "GET"),
                allowed(bits, Phase::Head, "HEAD"),
                allowed(bits, Phase::Stream, "GET"),
            ];
            assert_eq!(found, expected, "{bits:?}");
        }
    }

    #[test]
    fn only_a_failing_engine_gets_a_request_again() {
        let second = Duration::from_secs(1);
        let list = || "503".to_owned();
        let table = [
            (Failure::ReplyTimeout(second), true),
            (Failure::SocketTimeout(second), true),
            (Failure::Protocol(ProtocolError::EndWithoutHead), true),
            (Failure::Protocol(ProtocolError::DoubleHead), false),
            (Failure::StatusFatal { status: 503, list: list() }, true),
            (Failure::Status { status: 503, list: list() }, true),
            (Failure::Busy { limit: 1 }, false),
            (Failure::NoEndpoint { size: 1, waited: second }, false),
            (Failure::BadMethod, false),
        ];
        for (failure, expected) in table {
            let found = allows(RecoveryOptions(Some(0)), &failure, Phase::Stream, b"GET");
            assert_eq!(found, expected, "{failure}");
        }
    }
}
