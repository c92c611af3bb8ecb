//! Sockets to the engine: TCP and Unix, with deadlines. std and socket2, no unsafe code.
#![forbid(unsafe_code)]

mod addresses;
mod connect;
mod names;
mod probe;
mod stream;

pub use connect::{ConnectError, Connector, Notice};
pub use names::{NameCache, Names};
pub use probe::IdleState;
pub use stream::{Deadline, SendError, Stream, is_timeout};
