/* What Rust cannot reach of httpd and APR: macros and functions with variable arguments.
 * Every function here does one thing and is named after what it stands for. */
#ifndef MOD_JK_SHIM_H
#define MOD_JK_SHIM_H

#include "httpd.h"
#include "http_config.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_script.h"
#include "ap_listen.h"
#include "ap_mpm.h"
#include "unixd.h"
#include "apr_buckets.h"
#include "apr_date.h"
#include "apr_optional.h"
#include "apr_optional_hooks.h"
#include "apr_strings.h"
#include "apr_tables.h"
#include "apr_time.h"

/* ap_log_rerror / ap_log_error with one finished text. */
void jk_shim_log_request(const char *file, int line, int module_index, int level,
                         const request_rec *r, const char *text);
void jk_shim_log_server(const char *file, int line, int module_index, int level,
                        const server_rec *s, const char *text);
/* Whether a line of this level would be written: APLOG_R_MODULE_IS_LEVEL, APLOG_MODULE_IS_LEVEL. */
int jk_shim_request_logs(const request_rec *r, int module_index, int level);
int jk_shim_server_logs(const server_rec *s, int module_index, int level);

/* Most threads of mod_http2 in one process, which serve requests beside the MPM's; 0 without it. */
int jk_shim_http2_threads(server_rec *s);

/* Whether the running configuration came by a graceful restart: ap_unixd_mpm_get_retained_data. */
int jk_shim_was_graceful(void);

/* Has mod_status, where it is loaded, ask for a section of its page: APR_OPTIONAL_HOOK. */
void jk_shim_hook_status(int (*section)(request_rec *r, int flags));

/* Bucket brigade macros. */
void jk_shim_brigade_append(apr_bucket_brigade *bb, apr_bucket *b);
int jk_shim_brigade_ends_in_eos(apr_bucket_brigade *bb);

/* ap_get_module_config is a macro or a function, depending on the build. */
void *jk_shim_module_config(const ap_conf_vector_t *vector, const module *m);
void jk_shim_set_module_config(ap_conf_vector_t *vector, const module *m, void *value);

#endif
