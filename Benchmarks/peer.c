// The ends of a benchmark for brokers other than ours: redis (RESP, Unix socket) and nats (text protocol, TCP).
//
//     peer redis|nats pub|sub|ping|pong|idle NAME=VALUE...
//
//     address=PATH or HOST:PORT     topic=T     size=BYTES
//     pub:   count=N id=PUBLISHER rate=PER_SECOND (0: as fast as possible) subs=S window=FILE
//     sub:   count=N pubs=P rate=R samples=FILE index=SUBSCRIBER window=FILE
//     ping:  count=N reply=TOPIC samples=FILE     pong: reply=TOPIC     idle: conns=N
//
// Payload, results and checks are those of `bus bench`: u64 publisher, u64 sequence from 0, with a rate u64
// CLOCK_MONOTONIC nanoseconds of the send, little-endian; one line of JSON on standard output; samples are u32
// nanoseconds. What a subscriber receives has constant length and a constant beginning, so it compares all of it.
//
// These brokers don't hold a publisher back: they buffer, drop or disconnect. So that they do the same work as a
// bus with back pressure, a publisher is never more than 32 MiB of payload, at least 32 and at most 131,072 events,
// ahead of the slowest subscriber. The window file is shared memory for that, made by the caller with room for
// PUBLISHERS_MAX u64 for each subscriber: how many events subscriber i has from publisher p stands at
// i * PUBLISHERS_MAX + p. Without window=FILE nobody waits.

#define _GNU_SOURCE
#include "peer_wire.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    PUBLISHERS_MAX = 64,
    CHUNK = 64 << 10,         // bytes a publisher writes at once; not tuned
    QUIET_SECONDS = 10,       // a subscriber gives up after so long without a byte
    WINDOW_BYTES = 32 << 20,  // of payload
    WINDOW_MIN = 32,
    WINDOW_MAX = 131072,
};

// MARK: window and samples

static _Atomic uint64_t *window_rows;

static void open_window(uint64_t subscribers) {
    const char *path = text("window");
    if (!path || !*path) return;
    size_t length = subscribers * PUBLISHERS_MAX * sizeof(uint64_t);
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) || (size_t)status.st_size < length) die("window=%s: too short or not there", path);
    window_rows = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (window_rows == MAP_FAILED) die("window=%s: %s", path, strerror(errno));
}

/// Waits until `next` events are less than a window ahead of all subscribers.
static void wait_for_window(uint64_t next, size_t size, uint64_t publisher, uint64_t subscribers) {
    static uint64_t slowest = 0;
    uint64_t window = WINDOW_BYTES / size;
    window = window > WINDOW_MAX ? WINDOW_MAX : window < WINDOW_MIN ? WINDOW_MIN : window;
    while (window_rows && next > slowest + window) {
        slowest = UINT64_MAX;
        for (uint64_t i = 0; i < subscribers; i++) {
            uint64_t seen = atomic_load_explicit(&window_rows[i * PUBLISHERS_MAX + publisher], memory_order_relaxed);
            if (seen < slowest) slowest = seen;
        }
        if (next > slowest + window) usleep(20);
    }
}

static void write_samples(const uint32_t *samples, uint64_t count) {
    const char *path = needed("samples");
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(samples, sizeof *samples, count, file) != count || fclose(file))
        die("samples=%s: %s", path, strerror(errno));
}

static uint32_t clamped(uint64_t nanoseconds) { return nanoseconds > UINT32_MAX ? UINT32_MAX : (uint32_t)nanoseconds; }

static void say_ready(void) {
    puts("{\"ready\":true}");
    fflush(stdout);
}

// MARK: the processes

/// In chunks of many frames; a window is always wider than a chunk.
static void flood(int fd, const struct frame *f, uint64_t count, uint64_t id) {
    uint64_t subscribers = number("subs"), frames = f->length < CHUNK ? CHUNK / f->length : 1;
    char *chunk = allocate(frames * f->length);
    for (uint64_t i = 0; i < frames; i++) write_frame(f, chunk + i * f->length, id);
    for (uint64_t next = 0; next < count; next += frames) {
        if (frames > count - next) frames = count - next;
        for (uint64_t i = 0; i < frames; i++) put_u64(chunk + i * f->length + f->head_length + 8, next + i);
        wait_for_window(next + frames, f->size, id, subscribers);
        send_all(fd, chunk, frames * f->length);
    }
}

static void pace(int fd, const struct frame *f, uint64_t count, uint64_t id, uint64_t rate, uint64_t start) {
    if (f->size < 24) die("with a rate a payload has at least 24 bytes");
    char *bytes = allocate(f->length);
    write_frame(f, bytes, id);
    for (uint64_t next = 0; next < count; next++) {
        uint64_t due = start + (uint64_t)((double)next * 1e9 / (double)rate);
        struct timespec t = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = (long)(due % 1000000000u)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
        put_u64(bytes + f->head_length + 8, next);
        put_u64(bytes + f->head_length + 16, now());
        send_all(fd, bytes, f->length);
    }
}

static void publish(void) {
    struct frame f = outgoing(needed("topic"));
    uint64_t count = number("count"), id = number("id"), rate = number("rate");
    if (id >= PUBLISHERS_MAX) die("id=%lu: below %d", id, PUBLISHERS_MAX);
    open_window(number("subs"));
    int fd = publisher_connection();
    uint64_t start = now();
    if (rate == 0) flood(fd, &f, count, id);
    else pace(fd, &f, count, id, rate, start);
    // Closing with unread bytes would reset the connection and might lose the last events: read to the end.
    char rest[4096];
    shutdown(fd, SHUT_WR);
    while (recv(fd, rest, sizeof rest, 0) > 0) continue;
    printf("{\"sent\":%lu,\"start_ns\":%lu}\n", count, start);
}

static void subscribe(void) {
    uint64_t publishers = number("pubs"), expected = number("count") * publishers, index = number("index"), end = 0;
    uint64_t next[PUBLISHERS_MAX] = {0}, received = 0, reordered = 0;
    if (publishers > PUBLISHERS_MAX) die("pubs=%lu: at most %d", publishers, PUBLISHERS_MAX);
    uint32_t *samples = number("rate") > 0 ? allocate(expected * sizeof *samples) : NULL;
    open_window(index + 1);
    struct inbox in = inbox_of(needed("topic"));
    setsockopt(in.fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = QUIET_SECONDS}, sizeof(struct timeval));
    say_ready();
    while (received < expected && fill(&in)) {
        const char *payload;
        while (received < expected && (payload = take(&in))) {
            uint64_t publisher = u64_at(payload), sequence = u64_at(payload + 8);
            if (publisher >= publishers) die("a payload of publisher %lu, who doesn't exist", publisher);
            if (sequence != next[publisher]) reordered++;
            next[publisher] = sequence + 1;
            if (samples) samples[received] = clamped(now() - u64_at(payload + 16));
            received++;
        }
        end = now();
        for (uint64_t p = 0; window_rows && p < publishers; p++)
            atomic_store_explicit(&window_rows[index * PUBLISHERS_MAX + p], next[p], memory_order_relaxed);
    }
    if (samples) write_samples(samples, received);
    printf("{\"received\":%lu,\"reordered\":%lu,\"end_ns\":%lu}\n", received, reordered, end);
}

static const char *await_payload(struct inbox *in) {
    const char *payload;
    while (!(payload = take(in)))
        if (!fill(in)) die("the broker hung up");
    return payload;
}

static void ping(void) {
    uint64_t count = number("count");
    struct frame f = outgoing(needed("topic"));
    uint32_t *samples = allocate(count * sizeof *samples);
    char *bytes = allocate(f.length);
    write_frame(&f, bytes, 0);
    struct inbox in = inbox_of(needed("reply"));
    int out = publisher_connection();
    uint64_t start = now(), end = start;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t sent = now();
        put_u64(bytes + f.head_length + 8, i);
        send_all(out, bytes, f.length);
        if (u64_at(await_payload(&in) + 8) != i) die("another answer than the one to %lu", i);
        end = now();
        samples[i] = clamped(end - sent);
    }
    write_samples(samples, count);
    printf("{\"received\":%lu,\"start_ns\":%lu,\"end_ns\":%lu}\n", count, start, end);
}

static void pong(void) {
    struct frame f = outgoing(needed("reply"));
    char *bytes = allocate(f.length);
    write_frame(&f, bytes, 0);
    int out = publisher_connection();
    struct inbox in = inbox_of(needed("topic"));
    say_ready();
    for (;;) {
        memcpy(bytes + f.head_length, await_payload(&in), f.size);
        send_all(out, bytes, f.length);
    }
}

static void idle(void) {
    struct rlimit limit;
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (uint64_t n = number("conns"); n > 0; n--) subscriber_connection(needed("topic"));
    say_ready();
    for (;;) pause();
}

int main(int argc, char **argv) {
    static const struct { const char *name; void (*run)(void); } roles[] = {
        {"pub", publish}, {"sub", subscribe}, {"ping", ping}, {"pong", pong}, {"idle", idle},
    };
    if (argc < 3) die("usage: peer redis|nats ROLE NAME=VALUE…");
    if (strcmp(argv[1], "redis") && strcmp(argv[1], "nats")) die("%s: redis or nats", argv[1]);
    is_nats = !strcmp(argv[1], "nats");
    options = argv + 3;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(argv[2], roles[i].name)) return roles[i].run(), 0;
    die("%s: pub, sub, ping, pong or idle", argv[2]);
}
