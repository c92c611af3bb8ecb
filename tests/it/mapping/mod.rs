//! Which path belongs to whom: random rules and paths against a naive model and against the C mod_jk,
//! and the paths of each advisory.

mod advisories;
mod ask;
mod differential;
mod extensions;
mod model;
mod plan;
mod random;
