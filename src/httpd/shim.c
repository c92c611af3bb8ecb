/* Before any header, which all would miss it. Without optimisation the C library has nothing to check, and says so. */
#if defined(__OPTIMIZE__) && (!defined(_FORTIFY_SOURCE) || _FORTIFY_SOURCE < 2)
#undef _FORTIFY_SOURCE
#define _FORTIFY_SOURCE 2
#endif

#include "shim.h"
#include "mod_status.h"

/* No call here leaves a trace of it in the module, so what cannot be tested there is tested here. */
#if defined(__OPTIMIZE__) && defined(__GLIBC__) && (!defined(__USE_FORTIFY_LEVEL) || __USE_FORTIFY_LEVEL < 2)
#error "the C library does not check its calls: _FORTIFY_SOURCE has no effect here"
#endif

void jk_shim_log_request(const char *file, int line, int module_index, int level,
                         const request_rec *r, const char *text)
{
    ap_log_rerror_(file, line, module_index, level, 0, r, "%s", text);
}

void jk_shim_log_server(const char *file, int line, int module_index, int level,
                        const server_rec *s, const char *text)
{
    ap_log_error_(file, line, module_index, level, 0, s, "%s", text);
}

int jk_shim_request_logs(const request_rec *r, int module_index, int level)
{
    return APLOG_R_MODULE_IS_LEVEL(r, module_index, level);
}

int jk_shim_server_logs(const server_rec *s, int module_index, int level)
{
    return APLOG_MODULE_IS_LEVEL(s, module_index, level);
}

APR_DECLARE_OPTIONAL_FN(void, http2_get_num_workers, (server_rec *s, int *minw, int *max));

int jk_shim_http2_threads(server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(http2_get_num_workers) *get =
        APR_RETRIEVE_OPTIONAL_FN(http2_get_num_workers);
    int least = 0, most = 0;
    if (get != NULL) {
        get(s, &least, &most);
    }
    return most;
}

int jk_shim_was_graceful(void)
{
    return ap_unixd_mpm_get_retained_data()->was_graceful;
}

void jk_shim_hook_status(int (*section)(request_rec *r, int flags))
{
    APR_OPTIONAL_HOOK(ap, status_hook, section, NULL, NULL, APR_HOOK_MIDDLE);
}

void jk_shim_brigade_append(apr_bucket_brigade *bb, apr_bucket *b)
{
    APR_BRIGADE_INSERT_TAIL(bb, b);
}

int jk_shim_brigade_ends_in_eos(apr_bucket_brigade *bb)
{
    return !APR_BRIGADE_EMPTY(bb) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
}

void *jk_shim_module_config(const ap_conf_vector_t *vector, const module *m)
{
    return ap_get_module_config(vector, m);
}

void jk_shim_set_module_config(ap_conf_vector_t *vector, const module *m, void *value)
{
    ap_set_module_config(vector, m, value);
}
