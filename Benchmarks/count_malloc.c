// Counts heap allocations of a program it is preloaded into. For Benchmarks/allocations.
//
//     LD_PRELOAD=count_malloc.so ALLOCATIONS_FILE=FILE program…
//
// FILE is mapped and holds `struct counts`, u64 each, up to date at every moment, so a running program can be read
// from outside. What is allocated before this library's constructor runs counts too. The counting itself neither
// allocates nor locks: relaxed atomic additions, safe in signal handlers and in all threads.
//
// The interface of `__libc_malloc` and its siblings is glibc's. A program that brings its own allocator, or maps
// memory itself, isn't counted: whoever reads the file checks that `mallocs` moves at all.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

struct counts {
    _Atomic uint64_t mallocs, callocs, reallocs, aligned, frees;
};

_Static_assert(sizeof(struct counts) == 5 * sizeof(uint64_t), "the reader unpacks five u64");

static struct counts early;
static struct counts *_Atomic counts = &early;

#define COUNT(kind) \
    atomic_fetch_add_explicit(&atomic_load_explicit(&counts, memory_order_acquire)->kind, 1, memory_order_relaxed)

void *malloc(size_t size) {
    COUNT(mallocs);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    COUNT(callocs);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    COUNT(reallocs);
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    COUNT(aligned);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    COUNT(aligned);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    COUNT(aligned);
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    int before = errno;
    void *memory = __libc_memalign(alignment, size);
    errno = before;  // POSIX: returned, not set
    if (!memory) return ENOMEM;
    *result = memory;
    return 0;
}

void free(void *memory) {
    if (memory) COUNT(frees);
    __libc_free(memory);
}

static void fail(const char *what) {
    perror(what);
    _exit(125);
}

/// A program that cannot be counted doesn't run: a count of zero must never be a mistake of ours.
__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("ALLOCATIONS_FILE");
    if (!path) return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct counts))) fail(path);
    struct counts *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) fail(path);
    close(fd);
    // No other thread runs yet; between this store and the additions nothing is lost, only late.
    atomic_store_explicit(&counts, shared, memory_order_release);
    atomic_fetch_add(&shared->mallocs, early.mallocs);
    atomic_fetch_add(&shared->callocs, early.callocs);
    atomic_fetch_add(&shared->reallocs, early.reallocs);
    atomic_fetch_add(&shared->aligned, early.aligned);
    atomic_fetch_add(&shared->frees, early.frees);
}
