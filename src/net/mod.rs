//! Sockets to the engine: TCP and Unix, with deadlines. std and socket2, no unsafe code.
#![forbid(unsafe_code)]

mod connect;
mod probe;
mod stream;

pub use connect::{ConnectError, Connector, KnownAddress, resolve};
pub use probe::IdleState;
pub use stream::{Deadline, SendError, Stream, is_timeout};
