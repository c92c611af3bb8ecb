//! What the Axon Ivy Engine's own files and a JkIvyEngine line say.
#![forbid(unsafe_code)]

mod engine;
mod files;
mod front_end;
mod line;
mod yaml;

pub use engine::Engine;
pub use files::{EngineFiles, Found, Source, check_user_header};
pub use front_end::{FrontEnd, check_base_url};
pub use line::{DEFAULT_WORKER, EngineLine};
pub use yaml::MAX_FILE;
