// The door to what Linux offers and Swift's Glibc module does not.
//
// Headers only: epoll and eventfd come from the system's own headers (so `struct epoll_event` is packed as the
// kernel wants it), the rest are inline functions, each one system call, returning what it returns or -errno.
// It keeps no state and decides nothing.
//
// No feature macro: the same system headers are part of Swift's Glibc module, built without one, and two definitions
// of one type do not go together. What the macro would show is declared here or called by its number.

#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// Options newer than some C libraries; the numbers are the kernel's (include/uapi/asm-generic/socket.h).
#define LINUX_SO_PEERGROUPS 59
#define LINUX_SO_PEERPIDFD 77
#define LINUX_SO_PASSRIGHTS 83

/// Most descriptors one message may carry (SCM_MAX_FD of the kernel).
#define LINUX_DESCRIPTORS_MAX 253

/// What fits into `sun_path` with its closing zero.
#define LINUX_SOCKET_PATH_MAX 107
_Static_assert(LINUX_SOCKET_PATH_MAX == sizeof(((struct sockaddr_un *)0)->sun_path) - 1, "sun_path");

/// `struct ucred`, which the C library hides behind a feature macro.
struct linux_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

static inline long linux_result(long r) {
    return r < 0 ? -(long)errno : r;
}

// Waiting.

/// Waits for at most `nanoseconds` (negative: for ever), to the nanosecond. Kernels before 5.11 know
/// milliseconds only: there the wait is rounded up, so that a deadline is never early.
static inline int linux_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds) {
    struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    long r = syscall(SYS_epoll_pwait2, epoll, events, capacity, nanoseconds < 0 ? NULL : &timeout, NULL, 0);
    if (r < 0 && errno == ENOSYS) {
        int64_t milliseconds = nanoseconds < 0 ? -1 : (nanoseconds + 999999) / 1000000;
        r = epoll_wait(epoll, events, capacity, milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds);
    }
    return (int)linux_result(r);
}

static inline int linux_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t key) {
    struct epoll_event event = {.events = events, .data = {.u64 = key}};
    return (int)linux_result(epoll_ctl(epoll, operation, fd, &event));
}

/// CLOCK_MONOTONIC in nanoseconds.
static inline int64_t linux_monotonic_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Sockets.

static inline int linux_stream_socket(void) {
    return (int)linux_result(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

static inline int linux_stream_pair(int fds[2]) {
    return (int)linux_result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
}

/// The caller has checked that `length` is at most LINUX_SOCKET_PATH_MAX.
static inline struct sockaddr_un linux_socket_address(const char *path, size_t length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, length);
    return address;
}

static inline int linux_bind(int fd, const char *path, size_t length) {
    struct sockaddr_un address = linux_socket_address(path, length);
    return (int)linux_result(bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

static inline int linux_connect(int fd, const char *path, size_t length) {
    struct sockaddr_un address = linux_socket_address(path, length);
    return (int)linux_result(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static inline int linux_accept(int fd) {
    return (int)linux_result(syscall(SYS_accept4, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

static inline int linux_socket_option(int fd, int option, int *value) {
    socklen_t length = sizeof(*value);
    return (int)linux_result(getsockopt(fd, SOL_SOCKET, option, value, &length));
}

static inline int linux_set_socket_option(int fd, int option, int value) {
    return (int)linux_result(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)));
}

/// Never blocks, whatever the descriptor's flags, so that an inherited socket needs no preparation. Without a
/// control buffer the kernel closes any descriptor that was sent along.
static inline ssize_t linux_receive(int fd, void *base, size_t count) {
    return linux_result(recv(fd, base, count, MSG_DONTWAIT));
}

static inline ssize_t linux_send(int fd, const void *base, size_t count) {
    return linux_result(send(fd, base, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static inline ssize_t linux_send_vectors(int fd, struct iovec *vectors, size_t count) {
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    return linux_result(sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/// Sends bytes (at least one, or the descriptors have nothing to ride on) with descriptors.
static inline ssize_t linux_send_descriptors(
    int fd, const void *base, size_t count, const int *descriptors, size_t descriptor_count) {
    if (descriptor_count == 0 || descriptor_count > LINUX_DESCRIPTORS_MAX || count == 0) return -EINVAL;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * LINUX_DESCRIPTORS_MAX)];
    memset(control, 0, sizeof(control));
    struct iovec vector = {(void *)base, count};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * descriptor_count);
    return linux_result(sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/// Receives bytes with the descriptors sent along; `descriptors` has room for LINUX_DESCRIPTORS_MAX.
static inline ssize_t linux_receive_descriptors(
    int fd, void *base, size_t count, int *descriptors, size_t *descriptor_count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * LINUX_DESCRIPTORS_MAX)];
    struct iovec vector = {base, count};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    *descriptor_count = 0;
    ssize_t r = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (r < 0) return linux_result(r);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t found = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors + *descriptor_count, CMSG_DATA(h), found * sizeof(int));
        *descriptor_count += found;
    }
    return r;
}

// Peers.

static inline int linux_peer_credentials(int fd, struct linux_peer *peer) {
    socklen_t length = sizeof(*peer);
    return (int)linux_result(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &length));
}

/// `count` is the room in, the number out; -ERANGE says there are more.
static inline int linux_peer_groups(int fd, gid_t *groups, size_t *count) {
    socklen_t length = (socklen_t)(*count * sizeof(gid_t));
    int r = getsockopt(fd, SOL_SOCKET, LINUX_SO_PEERGROUPS, groups, &length);
    *count = length / sizeof(gid_t);
    return (int)linux_result(r);
}

static inline int linux_peer_pidfd(int fd) {
    int pidfd = -1;
    int r = linux_socket_option(fd, LINUX_SO_PEERPIDFD, &pidfd);
    return r < 0 ? r : pidfd;
}

// Files and processes.

/// An exclusive `flock`, without waiting. (Swift sees only the struct of that name.)
static inline int linux_lock(int fd) {
    return (int)linux_result(flock(fd, LOCK_EX | LOCK_NB));
}

/// Gives the lock up for everybody who has the descriptor: a child between fork and exec would keep it else.
static inline int linux_unlock(int descriptor) { return flock(descriptor, LOCK_UN) == 0 ? 0 : -errno; }

static inline int linux_open(const char *path, int flags, mode_t mode) {
    return (int)linux_result(open(path, flags | O_CLOEXEC, mode));
}

/// Takes space for the first `length` bytes of a file without making it longer (FALLOC_FL_KEEP_SIZE).
static inline int linux_reserve(int fd, int64_t length) {
    return (int)linux_result(syscall(SYS_fallocate, fd, 1, (int64_t)0, length));
}

static inline int linux_memfd(const char *name, unsigned int flags) {
    return (int)linux_result(syscall(SYS_memfd_create, name, flags));
}

/// Becomes readable when the process ends.
static inline int linux_pidfd_open(pid_t pid) {
    return (int)linux_result(syscall(SYS_pidfd_open, pid, 0));
}

/// Two ends of a pipe, of which the first never blocks.
static inline int linux_pipe(int fds[2]) {
    int r = (int)linux_result(syscall(SYS_pipe2, fds, O_CLOEXEC));
    return r < 0 ? r : (int)linux_result(fcntl(fds[0], F_SETFL, O_NONBLOCK));
}

/// Whether the process may be dumped and traced by its own user.
static inline int linux_set_dumpable(int dumpable) {
    return (int)linux_result(prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0));
}

/// At most 15 bytes are kept by the kernel.
static inline int linux_set_thread_name(const char *name) {
    return (int)linux_result(prctl(PR_SET_NAME, name, 0, 0, 0));
}

/// Signals belong to the application's threads, not to a library's.
static inline void linux_block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

/// How many descriptors this process may have (RLIMIT_NOFILE, soft); for tests and `LimitNOFILE`.
static inline int linux_set_descriptor_limit(uint64_t limit) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0) return -errno;
    r.rlim_cur = limit;
    return (int)linux_result(setrlimit(RLIMIT_NOFILE, &r));
}

static inline uint64_t linux_descriptor_limit(void) {
    struct rlimit r = {0, 0};
    getrlimit(RLIMIT_NOFILE, &r);
    return r.rlim_cur;
}

// Signals as a descriptor, so that they are handled where everything else is.

/// Blocks two signals for this thread and those it starts, and returns a descriptor that can be read when one came.
static inline int linux_signal_descriptor(int first, int second) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    sigaddset(&set, second);
    int r = pthread_sigmask(SIG_BLOCK, &set, NULL);
    return r != 0 ? -r : (int)linux_result(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

/// Reads one signal; returns its number, 0 if there was none.
static inline int linux_read_signal(int descriptor) {
    struct signalfd_siginfo info;
    return read(descriptor, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

#endif
