//! Balancing over real connections: the same choices as C mod_jk for the same requests, and what
//! follows when an engine fails (spec/mod_jk.md 6).

mod cluster;
mod distribution;
mod failover;
mod front_ends;
mod killed;
pub(crate) mod load;
mod options;
mod random;
mod restart;
mod scale;
mod scene;
mod sequences;
mod sessions;
mod stickiness;
mod tomcats;
mod trio;
