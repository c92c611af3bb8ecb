/* Counts what the code of one module asks the C library for: system calls, and memory; and what httpd sends
   from where it lies in the memory that the module has received it into; and how often anybody looks at the
   process's environment, which httpd does to make variables for CGI programs. It is preloaded into httpd; the
   counts are in a file that all of its processes share. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct counts {
    unsigned long calls, allocations, sent, in_place, looks;
};

static struct counts *counts;
static const char *module;

__attribute__((constructor)) static void map_counts(void)
{
    const char *file = getenv("JK_COUNTS");
    int fd = file ? open(file, O_RDWR) : -1;
    void *map = MAP_FAILED;

    module = getenv("JK_COUNTED");
    if (fd >= 0) {
        map = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (module && map != MAP_FAILED)
        counts = map;
}

static int is_counted(void *caller)
{
    Dl_info from;

    return counts && dladdr(caller, &from) && from.dli_fname && strcmp(from.dli_fname, module) == 0;
}

static void count(unsigned long *what, void *caller)
{
    if (is_counted(caller))
        __atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

/* From where to where this thread's module has received: one buffer, used again for every request. What is
   received into a few bytes elsewhere, an answer to a ping, is no body. */
static __thread const char *received, *received_end;

static void remember(const char *start, size_t room)
{
    if (room < 4096)
        return;
    if (!received || start < received)
        received = start;
    if (start + room > received_end)
        received_end = start + room;
    if (received_end - received > 1 << 20)
        abort();
}

/* httpd's own calls: what goes to the client. */
static void count_sent(const struct iovec *parts, int n, size_t written)
{
    for (int i = 0; i < n && written > 0; i++) {
        const char *start = parts[i].iov_base;
        size_t length = parts[i].iov_len < written ? parts[i].iov_len : written;

        written -= length;
        __atomic_add_fetch(&counts->sent, length, __ATOMIC_RELAXED);
        if (received && start >= received && start + length <= received_end)
            __atomic_add_fetch(&counts->in_place, length, __ATOMIC_RELAXED);
    }
}

#define COUNTED(what, type, name, parameters, arguments)                \
    type name parameters                                                \
    {                                                                   \
        static type (*next) parameters;                                 \
        if (counts)                                                     \
            count(&counts->what, __builtin_return_address(0));          \
        if (!next)                                                      \
            next = (type (*) parameters) dlsym(RTLD_NEXT, #name);       \
        return next arguments;                                          \
    }

COUNTED(calls, int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout))
COUNTED(calls, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
COUNTED(calls, ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n))
COUNTED(calls, ssize_t, readv, (int fd, const struct iovec *parts, int n), (fd, parts, n))
COUNTED(calls, ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))
COUNTED(calls, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
COUNTED(calls, ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n))
COUNTED(calls, int, setsockopt, (int fd, int level, int name, const void *value, socklen_t n),
        (fd, level, name, value, n))
COUNTED(calls, int, getsockopt, (int fd, int level, int name, void *value, socklen_t *n),
        (fd, level, name, value, n))
COUNTED(calls, int, close, (int fd), (fd))
COUNTED(allocations, int, posix_memalign, (void **memory, size_t alignment, size_t n), (memory, alignment, n))

char *getenv(const char *name)
{
    static char *(*next)(const char *name);

    if (counts)
        __atomic_add_fetch(&counts->looks, 1, __ATOMIC_RELAXED);
    if (!next)
        next = (char *(*)(const char *)) dlsym(RTLD_NEXT, "getenv");
    return next(name);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    static ssize_t (*next)(int fd, void *buf, size_t n, int flags);

    if (is_counted(__builtin_return_address(0))) {
        __atomic_add_fetch(&counts->calls, 1, __ATOMIC_RELAXED);
        if (!(flags & MSG_PEEK))
            remember(buf, n);
    }
    if (!next)
        next = (ssize_t (*)(int, void *, size_t, int)) dlsym(RTLD_NEXT, "recv");
    return next(fd, buf, n, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    static ssize_t (*next)(int fd, const struct iovec *parts, int n);
    int is_ours = is_counted(__builtin_return_address(0));
    ssize_t written;

    if (is_ours)
        __atomic_add_fetch(&counts->calls, 1, __ATOMIC_RELAXED);
    if (!next)
        next = (ssize_t (*)(int, const struct iovec *, int)) dlsym(RTLD_NEXT, "writev");
    written = next(fd, parts, n);
    if (counts && !is_ours && written > 0)
        count_sent(parts, n, written);
    return written;
}

/* dlsym may itself ask for memory, so these take the C library's other names. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t n);

void *malloc(size_t n)
{
    if (counts)
        count(&counts->allocations, __builtin_return_address(0));
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    if (counts)
        count(&counts->allocations, __builtin_return_address(0));
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t n)
{
    if (counts)
        count(&counts->allocations, __builtin_return_address(0));
    return __libc_realloc(memory, n);
}
