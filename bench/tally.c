/* Owns everything counted about received requests.
 *
 * Invariants: received = unique + duplicates + without_id. A request is known by its target and its
 * id together, so one event sent to two paths is two deliveries. The id set holds 128-bit hashes:
 * it is exact for all practical purposes and never forgets.
 * Threads: one mutex guards all; the part under it is short (a hash probe and some sums). */
#include "tally.h"

#include "hist.h"
#include "tool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_START = 1 << 21, RUNS_MAX = 64 };

struct key {
    uint64_t a, b;
};

struct gw_tally {
    pthread_mutex_t mutex;
    uint64_t received, unique, duplicates, without_id, without_time, body_bytes;
    uint64_t first_ns, last_ns, last_unique_ns;
    uint64_t start_ns, start_cpu_ns;
    struct gw_hist latency;
    struct key *slots; /* open addressing; all zero = free */
    size_t slot_count; /* a power of two, at most half full */
    struct gw_bitmap runs[RUNS_MAX];
    struct gw_times times[RUNS_MAX]; /* of the same runs */
    size_t run_count;
    bool keeps_times;
};

static struct key *slots_alloc(size_t count)
{
    struct key *slots = calloc(count, sizeof(*slots));

    if (!slots)
        gw_die("out of memory");
    return slots;
}

struct gw_tally *gw_tally_create(bool keeps_times)
{
    struct gw_tally *tally = calloc(1, sizeof(*tally));

    if (!tally)
        gw_die("out of memory");
    pthread_mutex_init(&tally->mutex, NULL);
    tally->keeps_times = keeps_times;
    tally->slot_count = SLOTS_START;
    tally->slots = slots_alloc(SLOTS_START);
    tally->start_ns = gw_now_ns();
    tally->start_cpu_ns = gw_cpu_ns();
    return tally;
}

void gw_tally_destroy(struct gw_tally *tally)
{
    for (size_t i = 0; i < tally->run_count; i++) {
        free(tally->runs[i].bytes);
        free(tally->times[i].ns);
    }
    free(tally->slots);
    pthread_mutex_destroy(&tally->mutex);
    free(tally);
}

static uint64_t multiply_fold(uint64_t x, uint64_t y)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)x * y;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static void hash_bytes(struct key *key, const char *bytes, size_t len)
{
    key->a ^= len * UINT64_C(0x9e3779b97f4a7c15);
    while (len > 0) {
        size_t part = len < 8 ? len : 8;
        uint64_t word = 0;

        memcpy(&word, bytes, part);
        key->a = multiply_fold(key->a ^ word, UINT64_C(0xa0761d6478bd642f));
        key->b = multiply_fold(key->b + word, UINT64_C(0xe7037ed1a0b428db)) ^ key->a;
        bytes += part;
        len -= part;
    }
}

static struct key key_of(const struct gw_tally_request *request, const char *id, size_t id_len)
{
    struct key key = {UINT64_C(0x8ebc6af09c88c6e3), UINT64_C(0x589965cc75374cc3)};

    hash_bytes(&key, request->target, request->target_len);
    hash_bytes(&key, id, id_len);
    if (!key.a && !key.b)
        key.a = 1;
    return key;
}

static bool slot_insert(struct key *slots, size_t count, struct key key)
{
    size_t i = (size_t)key.a & (count - 1);

    while (slots[i].a || slots[i].b) {
        if (slots[i].a == key.a && slots[i].b == key.b)
            return false;
        i = (i + 1) & (count - 1);
    }
    slots[i] = key;
    return true;
}

static void slots_grow(struct gw_tally *tally)
{
    size_t count = tally->slot_count * 2;
    struct key *slots = slots_alloc(count);

    for (size_t i = 0; i < tally->slot_count; i++)
        if (tally->slots[i].a || tally->slots[i].b)
            slot_insert(slots, count, tally->slots[i]);
    free(tally->slots);
    tally->slots = slots;
    tally->slot_count = count;
}

/* The text of a JSON string member; the generator's ids hold no escapes. */
static const char *member_text(const char *body, size_t body_len, const char *key, size_t *len)
{
    const char *end = body + body_len, *at, *close;

    at = memmem(body, body_len, key, strlen(key));
    if (!at)
        return NULL;
    at += strlen(key);
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r' || *at == ':'))
        at++;
    if (at == end || *at++ != '"')
        return NULL;
    close = memchr(at, '"', (size_t)(end - at));
    if (!close)
        return NULL;
    *len = (size_t)(close - at);
    return at;
}

static uint64_t sent_ns_of(const struct gw_tally_request *request)
{
    size_t len;
    const char *text = member_text(request->body, request->body_len, GW_SENT_NS_KEY, &len);
    uint64_t value = 0;

    if (!text || len != GW_SENT_NS_LEN)
        return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';

        if (digit > 9)
            return 0;
        value = value * 10 + digit;
    }
    return value;
}

static void seen_add(struct gw_tally *tally, const char *event_id, size_t len, uint64_t now_ns)
{
    uint64_t run, seq;
    size_t i = tally->run_count;

    if (!gw_event_id_parse(event_id, len, &run, &seq))
        return;
    while (i > 0 && tally->runs[i - 1].run != run)
        i--;
    if (i == 0) {
        if (tally->run_count == RUNS_MAX)
            return;
        i = ++tally->run_count;
        tally->runs[i - 1].run = tally->times[i - 1].run = run;
    }
    gw_bitmap_set(&tally->runs[i - 1], seq);
    if (tally->keeps_times)
        gw_times_set(&tally->times[i - 1], seq, now_ns);
}

static void count_times(struct gw_tally *tally, uint64_t now_ns)
{
    if (!tally->first_ns)
        tally->first_ns = now_ns;
    if (now_ns > tally->last_ns)
        tally->last_ns = now_ns;
}

static void count_unique(struct gw_tally *tally, uint64_t now_ns, uint64_t sent_ns)
{
    tally->unique++;
    if (now_ns > tally->last_unique_ns)
        tally->last_unique_ns = now_ns;
    if (sent_ns && sent_ns <= now_ns)
        gw_hist_record(&tally->latency, now_ns - sent_ns);
    else
        tally->without_time++;
    if (tally->unique * 2 > tally->slot_count)
        slots_grow(tally);
}

uint64_t gw_tally_record(struct gw_tally *tally, const struct gw_tally_request *request)
{
    size_t event_id_len = 0;
    const char *event_id =
        member_text(request->body, request->body_len, GW_EVENT_ID_KEY, &event_id_len);
    uint64_t sent_ns = sent_ns_of(request), unique;
    bool has_id = request->id_len > 0 || event_id;
    struct key key = {0, 0};

    if (has_id)
        key = request->id_len > 0 ? key_of(request, request->id, request->id_len)
                                  : key_of(request, event_id, event_id_len);

    pthread_mutex_lock(&tally->mutex);
    tally->received++;
    tally->body_bytes += request->body_len;
    count_times(tally, request->now_ns);
    if (event_id)
        seen_add(tally, event_id, event_id_len, request->now_ns);
    if (!has_id)
        tally->without_id++;
    else if (slot_insert(tally->slots, tally->slot_count, key))
        count_unique(tally, request->now_ns, sent_ns);
    else
        tally->duplicates++;
    unique = tally->unique;
    pthread_mutex_unlock(&tally->mutex);
    return unique;
}

void gw_tally_reset(struct gw_tally *tally)
{
    pthread_mutex_lock(&tally->mutex);
    tally->received = tally->unique = tally->duplicates = tally->without_id = 0;
    tally->without_time = tally->body_bytes = 0;
    tally->first_ns = tally->last_ns = tally->last_unique_ns = 0;
    gw_hist_reset(&tally->latency);
    free(tally->slots);
    tally->slot_count = SLOTS_START;
    tally->slots = slots_alloc(SLOTS_START);
    tally->start_ns = gw_now_ns();
    tally->start_cpu_ns = gw_cpu_ns();
    pthread_mutex_unlock(&tally->mutex);
}

static void print_u64(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "\"%s\":%llu,", name, (unsigned long long)value);
}

void gw_tally_print_json(struct gw_tally *tally, FILE *out)
{
    double span_s, cpu_ns;

    pthread_mutex_lock(&tally->mutex);
    span_s = (double)(tally->last_ns - tally->first_ns) / 1e9;
    cpu_ns = (double)(gw_cpu_ns() - tally->start_cpu_ns);
    fputc('{', out);
    print_u64(out, "received", tally->received);
    print_u64(out, "unique", tally->unique);
    print_u64(out, "duplicates", tally->duplicates);
    print_u64(out, "without_id", tally->without_id);
    print_u64(out, "without_time", tally->without_time);
    print_u64(out, "body_bytes", tally->body_bytes);
    print_u64(out, "first_ns", tally->first_ns);
    print_u64(out, "last_ns", tally->last_ns);
    print_u64(out, "last_unique_ns", tally->last_unique_ns);
    fprintf(out, "\"span_s\":%.3f,\"rate\":%.0f,", span_s,
            span_s > 0 ? (double)tally->received / span_s : 0);
    fprintf(out, "\"cpu_us_per_request\":%.2f,\"latency_us\":",
            tally->received ? cpu_ns / 1e3 / (double)tally->received : 0);
    gw_hist_print_json(&tally->latency, out);
    fputc('}', out);
    pthread_mutex_unlock(&tally->mutex);
}

void gw_tally_write_seen(struct gw_tally *tally, const char *path)
{
    pthread_mutex_lock(&tally->mutex);
    for (size_t i = 0; i < tally->run_count; i++)
        gw_bitmap_append(&tally->runs[i], path);
    pthread_mutex_unlock(&tally->mutex);
}

void gw_tally_write_times(struct gw_tally *tally, const char *path)
{
    pthread_mutex_lock(&tally->mutex);
    for (size_t i = 0; i < tally->run_count; i++)
        gw_times_append(&tally->times[i], path);
    pthread_mutex_unlock(&tally->mutex);
}
