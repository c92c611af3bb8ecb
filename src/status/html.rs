//! The page for people.
#![forbid(unsafe_code)]

use super::answer::{Asked, Document, Source};
use super::query::Query;
use crate::config::status::StatusConfig;

pub(super) fn write(
    _status: &StatusConfig,
    _document: &Document<'_>,
    _asked: &Asked<'_>,
    _query: &Query,
    _source: &impl Source,
) -> Vec<u8> {
    Vec::new()
}
