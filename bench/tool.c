/* Owns nothing but helpers without state; see tool.h. */
#include "tool.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

void gw_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs(program_invocation_short_name, stderr);
    fputs(": ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

uint64_t gw_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t timeval_ns(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000000000u + (uint64_t)tv.tv_usec * 1000u;
}

uint64_t gw_cpu_ns(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
}

uint64_t gw_random64(void)
{
    uint64_t value;

    if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
        gw_die("no random numbers: %s", strerror(errno));
    return value;
}

uint64_t gw_option_u64(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno || value < min || value > max)
        gw_die("--%s is '%s', allowed: a whole number from %llu to %llu", name, text,
               (unsigned long long)min, (unsigned long long)max);
    return value;
}

uint64_t gw_option_seconds_ns(const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value > 0) || value > GW_SECONDS_MAX)
        gw_die("--%s is '%s', allowed: seconds above 0, up to %d", name, text, GW_SECONDS_MAX);
    return (uint64_t)(value * 1e9);
}

struct sockaddr_in gw_loopback_url(const char *url, const char **path)
{
    static const char scheme[] = "http://";
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char host[64], port[8] = "80";
    size_t len;

    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        gw_die("--url is '%s', allowed: http://127.0.0.1:PORT/PATH", url);
    url += sizeof(scheme) - 1;
    *path = url + strcspn(url, "/");
    if (**path == '\0')
        *path = "/";
    for (const char *c = *path; *c; c++)
        if (*c <= ' ' || *c > '~')
            gw_die("--url: the path holds a byte that must be escaped");
    len = strcspn(url, ":/");
    if (len >= sizeof(host))
        gw_die("--url: host too long");
    memcpy(host, url, len);
    host[len] = '\0';
    if (url[len] == ':') {
        size_t digits = strcspn(url + len + 1, "/");

        if (digits >= sizeof(port))
            gw_die("--url: bad port");
        memcpy(port, url + len + 1, digits);
        port[digits] = '\0';
    }
    if (strcmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1 || ntohl(addr.sin_addr.s_addr) >> 24 != 127)
        gw_die("--url names '%s', allowed: loopback (127.0.0.0/8 or localhost)", host);
    addr.sin_port = htons((uint16_t)gw_option_u64("url port", port, 1, 65535));
    return addr;
}

void gw_hex16_write(char *to, uint64_t value)
{
    for (int i = 15; i >= 0; i--) {
        to[i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

static bool hex16_parse(const char *text, uint64_t *value)
{
    uint64_t v = 0;

    for (int i = 0; i < 16; i++) {
        unsigned c = (unsigned char)text[i];

        if (c - '0' <= 9)
            c -= '0';
        else if (c - 'a' <= 5)
            c -= 'a' - 10;
        else
            return false;
        v = v << 4 | c;
    }
    *value = v;
    return true;
}

bool gw_event_id_parse(const char *text, size_t len, uint64_t *run, uint64_t *seq)
{
    return len == GW_EVENT_ID_LEN && text[16] == '-' && hex16_parse(text, run) &&
           hex16_parse(text + 17, seq);
}

bool gw_bitmap_set(struct gw_bitmap *map, uint64_t bit)
{
    size_t byte = (size_t)(bit / 8);
    uint8_t mask = (uint8_t)(1u << bit % 8);

    if (bit >= GW_EVENTS_MAX)
        return false;
    if (byte >= map->cap) {
        size_t cap = map->cap ? map->cap : 65536;

        while (cap <= byte)
            cap *= 2;
        map->bytes = realloc(map->bytes, cap);
        if (!map->bytes)
            gw_die("out of memory");
        memset(map->bytes + map->cap, 0, cap - map->cap);
        map->cap = cap;
    }
    if (map->bytes[byte] & mask)
        return false;
    map->bytes[byte] |= mask;
    if (bit >= map->bits)
        map->bits = bit + 1;
    return true;
}

void gw_bitmap_append(const struct gw_bitmap *map, const char *path)
{
    uint64_t head[2] = {htole64(map->run), htole64(map->bits)};
    size_t bytes = (size_t)((map->bits + 7) / 8);
    FILE *file = fopen(path, "ab");

    if (!file || fwrite(head, sizeof(head), 1, file) != 1 ||
        (bytes && fwrite(map->bytes, bytes, 1, file) != 1) || fclose(file))
        gw_die("cannot write %s: %s", path, strerror(errno));
}

void gw_times_set(struct gw_times *times, uint64_t seq, uint64_t ns)
{
    if (seq >= GW_EVENTS_MAX)
        return;
    if (seq >= times->cap) {
        size_t cap = times->cap ? times->cap : 65536;

        while (cap <= seq)
            cap *= 2;
        times->ns = realloc(times->ns, cap * sizeof(*times->ns));
        if (!times->ns)
            gw_die("out of memory");
        memset(times->ns + times->cap, 0, (cap - times->cap) * sizeof(*times->ns));
        times->cap = cap;
    }
    if (times->ns[seq] == 0)
        times->ns[seq] = ns;
    if (seq >= times->count)
        times->count = seq + 1;
}

void gw_times_append(const struct gw_times *times, const char *path)
{
    FILE *file = fopen(path, "ab");
    uint64_t word = htole64(times->run), count = htole64(times->count);

    if (!file)
        gw_die("cannot write %s: %s", path, strerror(errno));
    fwrite(&word, sizeof(word), 1, file);
    fwrite(&count, sizeof(count), 1, file);
    for (size_t i = 0; i < times->count; i++) {
        word = htole64(times->ns[i]);
        fwrite(&word, sizeof(word), 1, file);
    }
    if (ferror(file) || fclose(file))
        gw_die("cannot write %s: %s", path, strerror(errno));
}
