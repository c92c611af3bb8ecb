/* The least that a module can do which answers requests from an AJP engine: no rules, no checks of what either
   side sends, no timeouts, no log. What any module costs beyond it, its features cost; what it costs itself, httpd
   and the kernel take from every module. For measurements only.

       LoadModule least_module mod_least.so
       Least 127.0.0.1:8009            # or the path of a Unix socket */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "apr_strings.h"
#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"

#define CONNECTIONS 1024

struct buffer {
    struct buffer *next;
    unsigned char bytes[65536];
};

static union {
    struct sockaddr any;
    struct sockaddr_in tcp;
    struct sockaddr_un unix_path;
} engine;
static socklen_t engine_length;

/* What was used last is used first. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int idle[CONNECTIONS];
static int idle_count;
static struct buffer *buffers;

static const char *set_engine(cmd_parms *command, void *unused, const char *address)
{
    const char *colon = strrchr(address, ':');
    char host[64];

    memset(&engine, 0, sizeof engine);
    if (address[0] == '/') {
        engine.unix_path.sun_family = AF_UNIX;
        apr_cpystrn(engine.unix_path.sun_path, address, sizeof engine.unix_path.sun_path);
        engine_length = sizeof engine.unix_path;
        return NULL;
    }
    if (!colon || colon - address >= (long) sizeof host)
        return "Least takes ADDRESS:PORT or the path of a Unix socket";
    apr_cpystrn(host, address, colon - address + 1);
    engine.tcp.sin_family = AF_INET;
    engine.tcp.sin_port = htons(atoi(colon + 1));
    engine_length = sizeof engine.tcp;
    return inet_pton(AF_INET, host, &engine.tcp.sin_addr) == 1 ? NULL : "Least takes an IPv4 address";
}

static int open_connection(void)
{
    int one = 1, fd = socket(engine.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (engine.any.sa_family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, &engine.any, engine_length) == 0)
        return fd;
    close(fd);
    return -1;
}

static unsigned char *put_number(unsigned char *at, unsigned number)
{
    *at++ = number >> 8;
    *at++ = number;
    return at;
}

static unsigned char *put_string(unsigned char *at, const char *text)
{
    size_t length = text ? strlen(text) : 0;

    if (!text)
        return put_number(at, 0xffff);
    at = put_number(at, length);
    memcpy(at, text, length + 1);
    return at + length + 1;
}

static unsigned number(const unsigned char *at)
{
    return at[0] << 8 | at[1];
}

/* A GET with nothing but its Host. */
static size_t put_request(unsigned char *start, request_rec *r)
{
    unsigned char *at = start + 4;

    *at++ = 2;
    *at++ = 2;
    at = put_string(at, r->protocol);
    at = put_string(at, r->uri);
    at = put_string(at, r->useragent_ip);
    at = put_string(at, NULL);
    at = put_string(at, ap_get_server_name(r));
    at = put_number(at, ap_get_server_port(r));
    *at++ = 0;
    at = put_number(at, 1);
    at = put_number(at, 0xa00b);
    at = put_string(at, r->hostname);
    *at++ = 0xff;
    put_number(start, 0x1234);
    put_number(start + 2, at - start - 4);
    return at - start;
}

static void take_head(const unsigned char *head, request_rec *r)
{
    const unsigned char *at = head + 2;
    unsigned count;

    r->status = number(head);
    at += 3 + number(at);
    count = number(at);
    for (at += 2; count > 0; count--) {
        unsigned code = number(at), length = number(at + 2);
        char *value = apr_pstrmemdup(r->pool, (const char *) at + 4, length);

        if (code == 0xa001)
            ap_set_content_type(r, value);
        else if (code == 0xa003)
            apr_table_setn(r->headers_out, "Content-Length", value);
        at += 5 + length;
    }
}

/* Passes on what has come, and returns whether that was all; negative where the connection is lost. */
static int exchange(int fd, struct buffer *buffer, request_rec *r)
{
    apr_bucket_alloc_t *allocator = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, allocator);
    size_t length = put_request(buffer->bytes, r), start = 0, end = 0;

    if (send(fd, buffer->bytes, length, MSG_NOSIGNAL) != (ssize_t) length)
        return -1;
    for (;;) {
        ssize_t got = recv(fd, buffer->bytes + end, sizeof buffer->bytes - end, 0);

        if (got <= 0)
            return -1;
        end += got;
        while (end - start >= 4 && end - start >= 4 + number(buffer->bytes + start + 2)) {
            const unsigned char *packet = buffer->bytes + start + 4;

            start += 4 + number(buffer->bytes + start + 2);
            if (packet[0] == 4) {
                take_head(packet + 1, r);
            }
            else if (packet[0] == 3) {
                apr_bucket *body =
                    apr_bucket_transient_create((const char *) packet + 3, number(packet + 1), allocator);

                APR_BRIGADE_INSERT_TAIL(brigade, body);
            }
            else if (packet[0] == 5) {
                APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(allocator));
                ap_pass_brigade(r->output_filters, brigade);
                return 0;
            }
        }
        if (!APR_BRIGADE_EMPTY(brigade)) {
            ap_pass_brigade(r->output_filters, brigade);
            apr_brigade_cleanup(brigade);
        }
        memmove(buffer->bytes, buffer->bytes + start, end - start);
        end -= start;
        start = 0;
    }
}

static int handle(request_rec *r)
{
    struct buffer *buffer;
    char stray;
    int fd = -1, result = -1;

    if (!r->handler || strcmp(r->handler, "least"))
        return DECLINED;
    pthread_mutex_lock(&lock);
    if (idle_count > 0)
        fd = idle[--idle_count];
    buffer = buffers;
    if (buffer)
        buffers = buffer->next;
    pthread_mutex_unlock(&lock);
    if (!buffer && !(buffer = malloc(sizeof *buffer)))
        return HTTP_INTERNAL_SERVER_ERROR;
    if (fd >= 0 && recv(fd, &stray, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        fd = open_connection();
    if (fd >= 0)
        result = exchange(fd, buffer, r);
    pthread_mutex_lock(&lock);
    if (result == 0 && idle_count < CONNECTIONS) {
        idle[idle_count++] = fd;
        fd = -1;
    }
    buffer->next = buffers;
    buffers = buffer;
    pthread_mutex_unlock(&lock);
    if (fd >= 0)
        close(fd);
    return result == 0 ? OK : HTTP_BAD_GATEWAY;
}

static int take(request_rec *r)
{
    r->filename = r->uri;
    r->handler = "least";
    return OK;
}

static int keep(request_rec *r)
{
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_hook_translate_name(take, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_map_to_storage(keep, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_FIRST);
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("Least", set_engine, NULL, RSRC_CONF, "address and port, or socket, of the AJP engine"),
    {NULL}
};

AP_DECLARE_MODULE(least) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, commands, register_hooks
};
