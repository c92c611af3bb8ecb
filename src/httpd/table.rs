//! APR tables: header fields, environment, notes.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::ffi;
use super::pool::{self, Pool, Text};

/// A table of a request that lives for `'r`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'r> {
    raw: *mut ffi::apr_table_t,
    life: PhantomData<&'r ()>,
}

/// A name and a value.
pub(super) type Entry<'r> = (&'r [u8], &'r [u8]);

impl<'r> Table<'r> {
    /// # Safety
    /// `raw` is a live table of a request whose pool outlives `'r`.
    pub(super) unsafe fn new(raw: *mut ffi::apr_table_t) -> Self {
        Self { raw, life: PhantomData }
    }

    /// First value of a name, case ignored.
    pub(super) fn get(self, name: &CStr) -> Option<&'r [u8]> {
        // SAFETY: a live table and a C string.
        let value = unsafe { ffi::apr_table_get(self.raw, name.as_ptr()) };
        // SAFETY: values of a table are C strings in a pool that outlives 'r.
        unsafe { pool::text(value) }
    }

    /// Sets a name to a copy of the value.
    pub(super) fn set(self, pool: Pool<'_>, name: &'static CStr, value: &[u8]) {
        let value = pool.copy(value);
        // SAFETY: a live table; name and value live as long as its pool.
        unsafe { ffi::apr_table_setn(self.raw, name.as_ptr(), value) }
    }

    /// Adds a value that lives as long as the table under a name that it does not have yet: cheaper
    /// than [`Table::set`], which looks for the name.
    pub(super) fn add(self, name: &'static CStr, value: Text<'r>) {
        // SAFETY: a live table; name and value live as long as its pool.
        unsafe { ffi::apr_table_addn(self.raw, name.as_ptr(), value.raw()) }
    }

    /// Sets a name to the parts joined.
    pub(super) fn set_joined(self, pool: Pool<'r>, name: &'static CStr, parts: &[&[u8]]) {
        let value = pool.concat(parts);
        // SAFETY: a live table; name and value live as long as its pool.
        unsafe { ffi::apr_table_setn(self.raw, name.as_ptr(), value) }
    }

    /// Sets a name to a copy of the value, name copied as well.
    pub(super) fn set_copy(self, pool: Pool<'_>, name: &[u8], value: &[u8]) {
        let (name, value) = (pool.copy(name), pool.copy(value));
        // SAFETY: a live table; name and value were copied into its pool.
        unsafe { ffi::apr_table_setn(self.raw, name, value) }
    }

    /// Adds another value of a name, both copied.
    pub(super) fn add_copy(self, pool: Pool<'_>, name: &[u8], value: &[u8]) {
        let (name, value) = (pool.copy(name), pool.copy(value));
        // SAFETY: a live table; name and value were copied into its pool.
        unsafe { ffi::apr_table_addn(self.raw, name, value) }
    }

    /// Removes a name.
    pub(super) fn unset(self, name: &CStr) {
        // SAFETY: a live table and a C string.
        unsafe { ffi::apr_table_unset(self.raw, name.as_ptr()) }
    }

    /// Removes everything.
    pub(super) fn clear(self) {
        // SAFETY: a live table.
        unsafe { ffi::apr_table_clear(self.raw) }
    }

    /// The raw entries, for their identity.
    pub(super) fn raw_entries(self) -> &'r [ffi::apr_table_entry_t] {
        // SAFETY: a live table; its array stays where it is until the table is changed.
        let array = unsafe { ffi::apr_table_elts(self.raw) };
        // SAFETY: it is an array of table entries, which we do not change while we walk it.
        unsafe { pool::elements(array) }
    }

    /// All names and values in their order.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'r>> + Clone {
        self.raw_entries().iter().filter_map(entry)
    }
}

/// Name of a raw entry.
pub(super) fn name(raw: &ffi::apr_table_entry_t) -> Option<&[u8]> {
    // SAFETY: keys of a table are C strings in a pool that outlives the entry's borrow.
    unsafe { pool::text(raw.key) }
}

/// Name and value of a raw entry.
pub(super) fn entry<'r>(raw: &'r ffi::apr_table_entry_t) -> Option<Entry<'r>> {
    // SAFETY: values of a table are C strings in a pool that outlives the entry's borrow.
    let value = unsafe { pool::text(raw.val) };
    name(raw).zip(value)
}
