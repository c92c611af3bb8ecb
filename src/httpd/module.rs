//! The module record, the one symbol that httpd looks for, and the hooks behind it.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use super::directives::COMMANDS;
use super::ffi;
use super::guard::guard;
use super::pool::{Pool, int, nothing};
use super::server::{RawConfig, ServerConfig};
use super::{handler, lifecycle, status, translate};

/// What `LoadModule jk_module …` loads. httpd writes into it while it loads and registers us.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, unreachable_pub, reason = "httpd looks the symbol up by this name")]
pub static mut jk_module: ffi::module = ffi::module {
    version: ffi::MODULE_MAGIC_NUMBER_MAJOR as c_int,
    minor_version: ffi::MODULE_MAGIC_NUMBER_MINOR as c_int,
    module_index: -1,
    name: c"mod_jk.c".as_ptr(),
    dynamic_load_handle: ptr::null_mut(),
    next: ptr::null_mut(),
    magic: ffi::MODULE_MAGIC_COOKIE as std::ffi::c_ulong,
    rewrite_args: None,
    create_dir_config: None,
    merge_dir_config: None,
    create_server_config: Some(create_server_config),
    merge_server_config: Some(merge_server_config),
    cmds: COMMANDS.0.as_ptr(),
    register_hooks: Some(register_hooks),
    flags: 0,
};

/// The record's address, for httpd's functions.
fn record() -> *mut ffi::module {
    &raw mut jk_module
}

/// Our place in every configuration vector; also what httpd's `LogLevel jk:…` goes by.
pub(super) fn index() -> c_int {
    let record = record();
    // SAFETY: httpd writes the index while it loads us, before anything here can run, and never
    // again while we are loaded.
    unsafe { (*record).module_index }
}

/// The record that we keep in a configuration vector; `None` where there is none yet.
///
/// # Safety
/// `vector` is null or the `module_config` of a live server, and `T` is what we keep there.
pub(super) unsafe fn config<T>(vector: *const ffi::ap_conf_vector_t) -> Option<NonNull<T>> {
    if vector.is_null() {
        return None;
    }
    // SAFETY: a live vector and our own record.
    NonNull::new(unsafe { ffi::jk_shim_module_config(vector, record()) }.cast())
}

/// Puts a record into a configuration vector.
///
/// # Safety
/// `vector` is a live vector; `value` lives as long as it.
pub(super) unsafe fn set_config<T>(vector: *mut ffi::ap_conf_vector_t, value: NonNull<T>) {
    // SAFETY: the caller's promise.
    unsafe { ffi::jk_shim_set_module_config(vector, record(), value.as_ptr().cast()) }
}

unsafe extern "C" fn create_server_config(
    pool: *mut ffi::apr_pool_t,
    server: *mut ffi::server_rec,
) -> *mut c_void {
    guard(
        |_| ptr::null_mut(),
        || {
            // SAFETY: httpd passes the configuration pool, in which the record shall live.
            let pool = unsafe { Pool::new(pool) };
            // SAFETY: null or the server that the record is for.
            let is_virtual = unsafe { server.as_ref() }.is_some_and(|s| s.is_virtual != 0);
            let raw = if is_virtual { RawConfig::default() } else { RawConfig::main() };
            pool.park(ServerConfig::from(raw)).as_ptr().cast()
        },
    )
}

unsafe extern "C" fn merge_server_config(
    pool: *mut ffi::apr_pool_t,
    base: *mut c_void,
    own: *mut c_void,
) -> *mut c_void {
    guard(
        |_| ptr::null_mut(),
        || {
            // SAFETY: httpd passes the configuration pool, in which the record shall live.
            let pool = unsafe { Pool::new(pool) };
            // SAFETY: both come from create_server_config and are alive; nobody writes to them now.
            let base = unsafe { base.cast::<ServerConfig>().as_ref() };
            // SAFETY: as above.
            let own = unsafe { own.cast::<ServerConfig>().as_ref() };
            let (Some(base), Some(own)) = (base, own) else {
                return ptr::null_mut();
            };
            pool.park(ServerConfig::from(own.raw.inherit(&base.raw))).as_ptr().cast()
        },
    )
}

unsafe extern "C" fn register_hooks(_pool: *mut ffi::apr_pool_t) {
    super::guard::silence_panics();
    // Without hooks httpd would start and let every request pass: better not at all.
    guard(|_| std::process::abort(), add_hooks);
}

fn add_hooks() {
    let first = int(ffi::APR_HOOK_REALLY_FIRST);
    let middle = int(ffi::APR_HOOK_MIDDLE);
    let last = int(ffi::APR_HOOK_LAST);
    let (before, after) = (nothing(), nothing());
    // The MPM's own check settles the number of threads, so ours comes last.
    // SAFETY: a hook function of the right type that lives as long as the module; so below.
    unsafe { ffi::ap_hook_check_config(Some(lifecycle::check_config), before, after, last) };
    // SAFETY: as above.
    unsafe { ffi::ap_hook_post_config(Some(lifecycle::post_config), before, after, middle) };
    // SAFETY: as above.
    unsafe { ffi::ap_hook_child_init(Some(lifecycle::child_init), before, after, middle) };
    // Before any other module adds a header.
    // SAFETY: as above.
    unsafe {
        ffi::ap_hook_post_read_request(Some(translate::post_read_request), before, after, first)
    };
    // SAFETY: as above.
    unsafe { ffi::ap_hook_translate_name(Some(translate::translate_name), before, after, middle) };
    // SAFETY: as above.
    unsafe { ffi::ap_hook_map_to_storage(Some(translate::map_to_storage), before, after, middle) };
    // Any other kind of hook would make httpd authenticate every subrequest anew.
    let kind = int(ffi::AP_AUTH_INTERNAL_PER_CONF);
    // SAFETY: as above.
    unsafe { ffi::ap_hook_check_authz(Some(translate::user_is_known), before, after, first, kind) };
    // SAFETY: as above.
    unsafe { ffi::ap_hook_fixups(Some(translate::user_is_known), before, after, first) };
    // SAFETY: as above.
    unsafe { ffi::ap_hook_handler(Some(handler::handler), before, after, middle) };
    // SAFETY: as above.
    unsafe { ffi::ap_hook_log_transaction(Some(handler::log_transaction), before, after, middle) };
    // SAFETY: as above.
    unsafe { ffi::jk_shim_hook_status(Some(status::section)) };
}
