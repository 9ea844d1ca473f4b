/* What both bench programs share: clock, option values, JSON fields, event ids.
 * Errors of usage end the program: these are command line tools, not library code. */
#ifndef GW_BENCH_TOOL_H
#define GW_BENCH_TOOL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An event id is RUN-SEQ, both 16 hexadecimal digits, so that two programs can compare which events
 * they saw without exchanging lists of ids. */
#define GW_EVENT_ID_LEN 33

/* The members of the body by which the sink recognises an event of the generator. */
#define GW_EVENT_ID_KEY "\"eventId\""
#define GW_SENT_NS_KEY  "\"benchSentNs\""
#define GW_SENT_NS_LEN  19

enum {
    GW_EVENTS_MAX = 100 * 1000 * 1000,
    GW_SECONDS_MAX = 3600,
    GW_CONNECTIONS_MAX = 4096,
    GW_BODY_BYTES_MAX = 16 * 1024 * 1024,
};

_Noreturn void gw_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t gw_now_ns(void);
uint64_t gw_cpu_ns(void);
uint64_t gw_random64(void);

/* A whole number within [min, max], else the program ends with exit code 2. */
uint64_t gw_option_u64(const char *name, const char *text, uint64_t min, uint64_t max);
/* Seconds with a fraction, as nanoseconds; at most GW_SECONDS_MAX. */
uint64_t gw_option_seconds_ns(const char *name, const char *text);

/* `http://HOST:PORT/path`; only 127.0.0.0/8 and `localhost` are taken: this is no tool to load other
 * people's machines with. `path` points into `url`. */
struct sockaddr_in gw_loopback_url(const char *url, const char **path);

void gw_hex16_write(char *to, uint64_t value);
bool gw_event_id_parse(const char *text, size_t len, uint64_t *run, uint64_t *seq);

/* A bit for each sequence number of one run. */
struct gw_bitmap {
    uint64_t run;
    uint64_t bits; /* highest bit set, plus one */
    size_t cap;    /* bytes */
    uint8_t *bytes;
};

/* False when the bit was set before, or lies beyond GW_EVENTS_MAX. */
bool gw_bitmap_set(struct gw_bitmap *map, uint64_t bit);
/* Appends `run, bits` (little endian u64 each) and the bytes to a file of such records. */
void gw_bitmap_append(const struct gw_bitmap *map, const char *path);

/* A moment for each sequence number of one run. */
struct gw_times {
    uint64_t run;
    size_t count; /* highest number that has one, plus one */
    size_t cap;
    uint64_t *ns; /* 0 = none */
};

/* The first moment of each counts. */
void gw_times_set(struct gw_times *times, uint64_t seq, uint64_t ns);
/* Appends `run, count` and the moments, little endian u64 each, to a file of such records. */
void gw_times_append(const struct gw_times *times, const char *path);

#endif
