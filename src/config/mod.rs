//! Configuration: what the files say, and what is meant by it.
//!
//! [`Properties`] holds what the lines of a file say, as bytes. [`validate`] turns that into
//! [`Workers`], whose types cannot hold anything that makes no sense. Both put everything that they
//! find wrong into [`Problems`]. Nothing here opens a file, reads the environment or knows the time.
#![forbid(unsafe_code)]

mod ajp13;
pub mod balancer;
mod describe;
pub mod edit;
mod edit_field;
mod effects;
pub mod error;
mod exposed;
pub mod ivy;
pub mod keys;
mod line;
mod pings;
pub mod properties;
mod reader;
mod references;
mod settings;
pub mod status;
mod target;
pub mod text;
pub mod value;
pub mod worker;
pub mod workers;

pub use balancer::{Activation, BalanceLock, BalanceMethod, BalancerConfig, Member};
pub use error::{Place, Problem, Problems, Severity};
pub use exposed::warn_of_missing_secrets;
pub use properties::{Environment, Properties, Property};
pub use status::{MemberHealth, Rating, StatusConfig};
pub use worker::{
    Ajp13Config, ConnectOptions, Label, PacketSize, RecoveryOptions, Secret, StatusFailure,
    StatusList, Target, WorkerConfig, WorkerMount, WorkerName, WorkerNameError, Workers,
};
pub use workers::{Defaults, validate};
