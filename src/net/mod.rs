//! Sockets to the engine: TCP and Unix, with deadlines. std and socket2, no unsafe code.
#![forbid(unsafe_code)]

mod addresses;
mod connect;
mod probe;
mod stream;

pub use connect::{ConnectError, Connector, Names, Notice, resolve};
pub use probe::IdleState;
pub use stream::{Deadline, SendError, Stream, is_timeout};
