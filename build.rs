//! Finds httpd through `apxs`, generates its bindings, compiles the C shim.
//!
//! `APXS=path` names another apxs. What is missing is said in one sentence with its package.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a build script talks to cargo on its standard output")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything of httpd and APR that the module calls, in one place (spec/windows.md).
const FUNCTIONS: &[&str] = &[
    "ap_add_common_vars",
    "ap_add_version_component",
    "ap_bucket_error_create",
    "ap_check_cmd_context",
    "ap_content_type_tolower",
    "ap_destroy_sub_req",
    "ap_get_brigade",
    "ap_get_remote_host",
    "ap_get_server_banner",
    "ap_get_server_name",
    "ap_get_server_port",
    "ap_get_status_line",
    "ap_getword_conf",
    "ap_hook_check_authz",
    "ap_hook_check_config",
    "ap_hook_child_init",
    "ap_hook_fixups",
    "ap_hook_handler",
    "ap_hook_log_transaction",
    "ap_hook_map_to_storage",
    "ap_hook_post_config",
    "ap_hook_post_read_request",
    "ap_hook_translate_name",
    "ap_mpm_query",
    "ap_open_piped_log",
    "ap_os_escape_path",
    "ap_pass_brigade",
    "ap_piped_log_write_fd",
    "ap_retained_data_create",
    "ap_retained_data_get",
    "ap_run_default_port",
    "ap_rwrite",
    "ap_server_root_relative",
    "ap_set_content_length",
    "ap_set_content_type",
    "ap_set_last_modified",
    "ap_setup_client_block",
    "ap_sub_req_method_uri",
    "ap_update_mtime",
    "apr_brigade_cleanup",
    "apr_brigade_create",
    "apr_brigade_flatten",
    "apr_brigade_length",
    "apr_brigade_write",
    "apr_bucket_eos_create",
    "apr_bucket_flush_create",
    "apr_bucket_transient_create",
    "apr_date_parse_http",
    "apr_pmemdup",
    "apr_pool_cleanup_null",
    "apr_pool_cleanup_register",
    "apr_palloc",
    "apr_off_t_toa",
    "apr_pstrmemdup",
    "apr_filepath_merge",
    "apr_os_file_get",
    "apr_stat",
    "apr_strftime",
    "apr_table_addn",
    "apr_table_clear",
    "apr_table_elts",
    "apr_table_get",
    "apr_table_setn",
    "apr_table_unset",
    "apr_time_exp_lt",
    "apr_time_now",
    "apr_uri_unparse",
    "jk_shim_.*",
];
const TYPES: &[&str] = &[
    "apr_bucket_brigade",
    "ap_directive_t",
    "apr_array_header_t",
    "apr_table_entry_t",
    "apr_time_exp_t",
    "cmd_parms",
    "command_rec",
    "conn_rec",
    "module",
    "request_rec",
    "server_rec",
];
const CONSTANTS: &[&str] = &[
    "AP_AUTH_INTERNAL_PER_CONF",
    "AP_CONN_CLOSE",
    "AP_MODE_READBYTES",
    "APR_BLOCK_READ",
    "APR_NONBLOCK_READ",
    "ap_conftree",
    "ap_listeners",
    "ap_loaded_modules",
    "ap_server_root",
    "AP_FILTER_ERROR",
    "AP_MPMQ_HARD_LIMIT_DAEMONS",
    "AP_MPMQ_HARD_LIMIT_THREADS",
    "AP_MPMQ_MAX_DAEMONS",
    "AP_MPMQ_MAX_THREADS",
    "APLOG_.*",
    "APR_EAGAIN",
    "APR_ENOSPC",
    "APR_ECONNABORTED",
    "APR_ECONNRESET",
    "APR_EGENERAL",
    "APR_EINVAL",
    "APR_EOF",
    "APR_EPIPE",
    "APR_INCOMPLETE",
    "APR_FILEPATH_.*",
    "APR_FINFO_TYPE",
    "APR_HOOK_.*",
    "APR_TIMEUP",
    "DECLINED",
    "GLOBAL_ONLY",
    "HTTP_.*",
    "M_.*",
    "MODULE_MAGIC_.*",
    "NOT_IN_.*",
    "OK",
    "OR_.*",
    "ACCESS_CONF",
    "RSRC_CONF",
    "REMOTE_HOST",
    "REQUEST_CHUNKED_DECHUNK",
];

fn main() {
    if env::var_os("CARGO_FEATURE_HTTPD").is_none() {
        return;
    }
    if let Err(sentence) = build() {
        println!("cargo::error={sentence}");
    }
}

fn build() -> Result<(), String> {
    for changed in ["src/httpd/shim.c", "src/httpd/shim.h", "build.rs"] {
        println!("cargo:rerun-if-changed={changed}");
    }
    for variable in ["APXS", "LIBCLANG_PATH"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    // Unloading a module whose threads or panics have left traces makes httpd grow at restarts.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // So a copy under another name stays beside the first one; each is to use its own record.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");

    let httpd = Httpd::find()?;
    println!(
        "cargo:warning=building for httpd {} found by {}",
        httpd.version,
        httpd.apxs.display()
    );
    compile_shim(&httpd)?;
    generate_bindings(&httpd)
}

struct Httpd {
    apxs: PathBuf,
    version: String,
    flags: Vec<String>,
}

impl Httpd {
    fn find() -> Result<Self, String> {
        let candidates = match env::var_os("APXS") {
            Some(path) => vec![PathBuf::from(path)],
            None => ["apxs", "apxs2", "/usr/sbin/apxs"].map(PathBuf::from).to_vec(),
        };
        let tried: Vec<String> = candidates.iter().map(|c| c.display().to_string()).collect();
        let apxs = candidates
            .into_iter()
            .find(|apxs| query(apxs, "INCLUDEDIR").is_ok())
            .ok_or_else(|| {
                format!(
                    "apxs not found (tried {}); install apache2-dev (Debian, Ubuntu) or \
                     httpd-devel (Red Hat, SUSE: apache2-devel), or set APXS to its path",
                    tried.join(", ")
                )
            })?;
        let include = query(&apxs, "INCLUDEDIR")?;
        if !Path::new(&include).join("httpd.h").exists() {
            return Err(format!(
                "{} names {include}, but httpd.h is not there; install apache2-dev",
                apxs.display()
            ));
        }
        let apr = query(&apxs, "APR_CONFIG")?;
        let apr = run(Path::new(&apr), &["--includes", "--cppflags"]).map_err(|e| {
            format!("{apr} of apxs does not work ({e}); install libapr1-dev with apache2-dev")
        })?;
        let mut flags = vec![format!("-I{include}")];
        flags.extend(apr.split_whitespace().map(str::to_owned));
        flags.extend(query(&apxs, "EXTRA_CPPFLAGS")?.split_whitespace().map(str::to_owned));
        let version = query(&apxs, "HTTPD_VERSION").unwrap_or_else(|_| "(unknown version)".into());
        Ok(Self { apxs, version, flags })
    }
}

fn query(apxs: &Path, variable: &str) -> Result<String, String> {
    run(apxs, &["-q", variable])
}

fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{} {}: {}", program.display(), arguments.join(" "), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn compile_shim(httpd: &Httpd) -> Result<(), String> {
    let here = env::current_dir().map_err(|e| format!("the current directory: {e}"))?;
    let mut compiler = cc::Build::new();
    compiler
        .file("src/httpd/shim.c")
        .flag_if_supported("-fstack-protector-strong")
        .flag_if_supported("-fvisibility=hidden")
        .flag_if_supported(format!("-ffile-prefix-map={}=.", here.display()))
        .warnings(true)
        .extra_warnings(false);
    for flag in &httpd.flags {
        compiler.flag(flag);
    }
    compiler.try_compile("jk_shim").map_err(|e| {
        format!(
            "the C compiler does not work ({}); install gcc (Debian: gcc libc6-dev) and \
             apache2-dev",
            first_line(&e)
        )
    })
}

/// What fits into the one sentence that cargo shows.
fn first_line(e: &impl ToString) -> String {
    e.to_string().lines().next().unwrap_or_default().to_owned()
}

fn generate_bindings(httpd: &Httpd) -> Result<(), String> {
    let mut builder = bindgen::Builder::default()
        .header("src/httpd/shim.h")
        .clang_args(&httpd.flags)
        .layout_tests(true)
        .generate_comments(false)
        .derive_debug(false)
        .derive_default(true)
        .prepend_enum_name(false)
        .merge_extern_blocks(true)
        .wrap_unsafe_ops(true)
        .rust_edition(bindgen::RustEdition::Edition2024);
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(name);
    }
    // Without libclang, bindgen panics rather than returning an error.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let generated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.generate()));
    std::panic::set_hook(hook);
    let bindings = generated
        .map_err(|_| {
            "libclang not found, which generates the bindings to httpd; install libclang-dev \
             (Debian, Ubuntu) or clang-devel (Red Hat), or set LIBCLANG_PATH"
                .to_owned()
        })?
        .map_err(|e| {
            format!("httpd's headers cannot be read ({}); install apache2-dev", first_line(&e))
        })?;
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; run cargo")?;
    let path = Path::new(&out).join("bindings.rs");
    bindings.write_to_file(&path).map_err(|e| format!("{}: {e}", path.display()))
}
