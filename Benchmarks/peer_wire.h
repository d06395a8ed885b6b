// What the ends of a benchmark need of redis and nats: connections, subscriptions, and frames with one payload.
//
// Only for peer.c. Both brokers are spoken in text, and for one topic and one size what comes before a payload never
// changes: a frame is written once and its payload overwritten, and received frames are compared with what they must
// be. Whatever else happens ends the process with a message.

#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers in payloads are copied as they lie in memory");

enum { INBOX = 256 << 10 };  // bytes read at once; not tuned

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("peer: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t u64_at(const char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void put_u64(char *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) die("no memory for %zu bytes", size);
    return memory;
}

// MARK: options

static char **options;

static const char *text(const char *name) {
    size_t length = strlen(name);
    for (char **o = options; *o; o++)
        if (!strncmp(*o, name, length) && (*o)[length] == '=') return *o + length + 1;
    return NULL;
}

static const char *needed(const char *name) {
    const char *value = text(name);
    if (!value) die("%s=… is missing", name);
    return value;
}

static uint64_t number(const char *name) {
    const char *value = needed(name);
    char *end;
    errno = 0;
    uint64_t result = strtoull(value, &end, 10);
    if (errno || *end || end == value || *value == '-') die("%s=%s isn't a number", name, value);
    return result;
}

// MARK: sockets

static int connect_to(const char *address) {
    const char *colon = strchr(address, ':');
    int fd = socket(colon ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, failed;
    if (colon) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
        char host[64];
        snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
        if (inet_pton(AF_INET, host, &in.sin_addr) != 1) die("%s: not an IPv4 address", host);
        failed = connect(fd, (struct sockaddr *)&in, sizeof in);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    } else {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        if (strlen(address) >= sizeof un.sun_path) die("%s: too long for a socket", address);
        strcpy(un.sun_path, address);
        failed = connect(fd, (struct sockaddr *)&un, sizeof un);
    }
    if (failed) die("cannot connect to %s: %s", address, strerror(errno));
    return fd;
}

static void send_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) die("the broker hung up: %s", strerror(errno));
        bytes += sent;
        length -= (size_t)sent;
    }
}

static void send_text(int fd, const char *string) { send_all(fd, string, strlen(string)); }

/// Reads lines until `wanted` comes. A byte at a time: before a benchmark, and it must not read too far.
static void await_line(int fd, const char *wanted) {
    char line[8192];
    size_t length = 0;
    for (;;) {
        if (recv(fd, line + length, 1, 0) != 1) die("the broker hung up before it said %s", wanted);
        if (line[length++] != '\n' && length < sizeof line - 1) continue;
        line[length] = 0;
        if (!strncmp(line, wanted, strlen(wanted))) return;
        if (line[0] == '-') die("the broker says: %s", line);
        if (!strcmp(line, "PING\r\n")) send_text(fd, "PONG\r\n");
        length = 0;
    }
}

// MARK: the two protocols

static bool is_nats;  // else redis

static int publisher_connection(void) {
    int fd = connect_to(needed("address"));
    if (is_nats) {
        await_line(fd, "INFO ");
        send_text(fd, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\"}\r\nPING\r\n");
        await_line(fd, "PONG\r\n");
    } else {
        send_text(fd, "CLIENT REPLY OFF\r\n");
    }
    return fd;
}

/// Returns when the subscription is in force.
static int subscriber_connection(const char *topic) {
    int fd = is_nats ? publisher_connection() : connect_to(needed("address"));
    char request[512];
    snprintf(request, sizeof request, is_nats ? "SUB %s 1\r\nPING\r\n" : "SUBSCRIBE %s\r\n", topic);
    send_text(fd, request);
    await_line(fd, is_nats ? "PONG\r\n" : ":1\r\n");
    return fd;
}

/// A frame with one payload: what stands before it never changes, what follows is CR LF.
struct frame {
    char head[512];
    size_t head_length, size, length;
};

static struct frame frame_of(const char *nats, const char *redis, const char *topic) {
    struct frame f = {.size = number("size")};
    int length = is_nats ? snprintf(f.head, sizeof f.head, nats, topic, f.size)
                         : snprintf(f.head, sizeof f.head, "*3\r\n$7\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n", redis,
                                    strlen(topic), topic, f.size);
    if (length < 0 || (size_t)length >= sizeof f.head) die("the topic is too long");
    if (f.size < 16 || f.size > 8 << 20) die("size=%zu: 16 bytes to 8 MiB", f.size);
    f.head_length = (size_t)length;
    f.length = f.head_length + f.size + 2;
    return f;
}

static struct frame outgoing(const char *topic) { return frame_of("PUB %s %zu\r\n", "PUBLISH", topic); }
static struct frame incoming(const char *topic) { return frame_of("MSG %s 1 %zu\r\n", "message", topic); }

static void write_frame(const struct frame *f, char *at, uint64_t publisher) {
    memcpy(at, f->head, f->head_length);
    memset(at + f->head_length, 0, f->size);
    put_u64(at + f->head_length, publisher);
    memcpy(at + f->length - 2, "\r\n", 2);
}

struct inbox {
    int fd;
    struct frame frame;
    size_t start, end, capacity;
    char *bytes;
};

static struct inbox inbox_of(const char *topic) {
    struct inbox in = {.fd = subscriber_connection(topic), .frame = incoming(topic)};
    in.capacity = INBOX + in.frame.length;
    in.bytes = allocate(in.capacity);
    return in;
}

/// The next whole payload that has arrived, or NULL.
static const char *take(struct inbox *in) {
    for (;;) {
        const char *at = in->bytes + in->start;
        size_t available = in->end - in->start;
        if (is_nats && available >= 6 && !memcmp(at, "PING\r\n", 6)) {
            send_text(in->fd, "PONG\r\n");
            in->start += 6;
            continue;
        }
        if (available < in->frame.length) return NULL;
        if (memcmp(at, in->frame.head, in->frame.head_length) || memcmp(at + in->frame.length - 2, "\r\n", 2))
            die("not the frame of an event: %.60s", at);
        in->start += in->frame.length;
        return at + in->frame.head_length;
    }
}

/// Waits for more bytes; false when the broker hung up or was quiet for too long.
static bool fill(struct inbox *in) {
    if (in->start > 0) memmove(in->bytes, in->bytes + in->start, in->end - in->start);
    in->end -= in->start;
    in->start = 0;
    ssize_t got;
    do got = recv(in->fd, in->bytes + in->end, in->capacity - in->end, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) in->end += (size_t)got;
    return got > 0;
}
