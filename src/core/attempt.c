/* attempt.c: attempt records and the blob a delivery keeps them in: records one behind the other.
 *
 * A record:  format byte 1
 *            varint  n, outcome, config_version
 *            zigzag  at_ms, status, queue_us, dns_us, connect_us, tls_us, first_byte_us, total_us
 *            byte    address family: 0, 4 or 6; then 0, 4 or 16 bytes
 *            string  url, error, excerpt (varint length, bytes)
 * Varints are LEB128: seven bits a byte, low ones first, as short as can be. Stored: a change of
 * this layout takes a new format byte, and the old one stays readable.
 *
 * Unpacking trusts nothing: a blob that was cut or damaged yields the records before the damage. */
#include "core/attempt.h"

#include "base/check.h"

#define FORMAT       1
#define KEPT_FIRST   5
#define KEPT_LAST    20
#define VARINT_BYTES 10

static void put_varint(struct gw_buf *out, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES];
    size_t len = 0;

    for (; value > 0x7F; value >>= 7)
        bytes[len++] = (uint8_t)(value | 0x80);
    bytes[len++] = (uint8_t)value;
    gw_buf_add(out, bytes, len);
}

static void put_signed(struct gw_buf *out, int64_t value)
{
    uint64_t bits = (uint64_t)value;

    put_varint(out, bits << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static void put_string(struct gw_buf *out, struct gw_slice s, size_t max)
{
    if (s.len > max)
        s.len = max;
    put_varint(out, s.len);
    gw_buf_adds(out, s);
}

static size_t address_len(uint8_t family)
{
    return family == 6 ? 16 : family;
}

void gw_attempt_pack(struct gw_buf *out, const struct gw_attempt *attempt)
{
    uint8_t family = attempt->address.family;

    gw_check(family == 0 || family == 4 || family == 6);
    gw_check((unsigned)attempt->outcome < GW_OUTCOME_COUNT);
    gw_buf_reserve(out, 128 + attempt->url.len + attempt->error.len + attempt->excerpt.len);
    gw_buf_addc(out, FORMAT);
    put_varint(out, attempt->n);
    put_varint(out, (uint64_t)attempt->outcome);
    put_varint(out, attempt->config_version);
    put_signed(out, attempt->at_ms);
    put_signed(out, attempt->status);
    put_signed(out, attempt->queue_us);
    put_signed(out, attempt->dns_us);
    put_signed(out, attempt->connect_us);
    put_signed(out, attempt->tls_us);
    put_signed(out, attempt->first_byte_us);
    put_signed(out, attempt->total_us);
    gw_buf_addc(out, (char)family);
    gw_buf_add(out, attempt->address.bytes, address_len(family));
    put_string(out, attempt->url, SIZE_MAX);
    put_string(out, attempt->error, GW_ATTEMPT_ERROR_MAX);
    put_string(out, attempt->excerpt, GW_EXCERPT_BYTES_MAX);
}

/* What is left to read; `bad` sticks. */
struct reader {
    struct gw_slice rest;
    bool bad;
};

static struct gw_slice take_bytes(struct reader *in, uint64_t len)
{
    if (in->bad || len > in->rest.len) {
        in->bad = true;
        return (struct gw_slice){"", 0};
    }
    struct gw_slice bytes = {in->rest.ptr, (size_t)len};
    in->rest = gw_slice_skip(in->rest, (size_t)len);
    return bytes;
}

static uint8_t take_byte(struct reader *in)
{
    struct gw_slice byte = take_bytes(in, 1);

    return byte.len == 1 ? (uint8_t)byte.ptr[0] : 0;
}

static uint64_t take_varint(struct reader *in)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = take_byte(in);
        bool is_too_long = byte == 0 && shift > 0;
        bool is_too_big = shift == 63 && byte > 1;
        if (in->bad || is_too_long || is_too_big)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return value;
    }
    in->bad = true;
    return 0;
}

static uint64_t take_below(struct reader *in, uint64_t limit)
{
    uint64_t value = take_varint(in);

    if (value >= limit) {
        in->bad = true;
        return 0;
    }
    return value;
}

static int64_t take_signed(struct reader *in)
{
    uint64_t bits = take_varint(in);

    return (int64_t)(bits >> 1 ^ (bits & 1 ? UINT64_MAX : 0));
}

static int take_int(struct reader *in)
{
    int64_t value = take_signed(in);

    if (value < INT32_MIN || value > INT32_MAX) {
        in->bad = true;
        return 0;
    }
    return (int)value;
}

static struct gw_addr take_address(struct reader *in)
{
    struct gw_addr address = {.family = take_byte(in)};

    if (address.family != 0 && address.family != 4 && address.family != 6)
        in->bad = true;
    struct gw_slice bytes = take_bytes(in, address_len(address.family));
    if (in->bad)
        return (struct gw_addr){0};
    memcpy(address.bytes, bytes.ptr, bytes.len);
    return address;
}

static struct gw_slice take_string(struct reader *in)
{
    return take_bytes(in, take_varint(in));
}

bool gw_attempt_unpack(struct gw_slice *rest, struct gw_attempt *attempt)
{
    struct reader in = {.rest = *rest};

    if (take_byte(&in) != FORMAT)
        return false;
    attempt->n = (uint32_t)take_below(&in, (uint64_t)UINT32_MAX + 1);
    attempt->outcome = (enum gw_outcome)take_below(&in, GW_OUTCOME_COUNT);
    attempt->config_version = take_varint(&in);
    attempt->at_ms = take_signed(&in);
    attempt->status = take_int(&in);
    attempt->queue_us = take_signed(&in);
    attempt->dns_us = take_signed(&in);
    attempt->connect_us = take_signed(&in);
    attempt->tls_us = take_signed(&in);
    attempt->first_byte_us = take_signed(&in);
    attempt->total_us = take_signed(&in);
    attempt->address = take_address(&in);
    attempt->url = take_string(&in);
    attempt->error = take_string(&in);
    attempt->excerpt = take_string(&in);
    if (in.bad)
        return false;
    *rest = in.rest;
    return true;
}

bool gw_attempt_last(struct gw_slice log, struct gw_attempt *attempt)
{
    struct gw_attempt next;
    bool found = false;

    while (gw_attempt_unpack(&log, &next)) {
        *attempt = next;
        found = true;
    }
    return found;
}

void gw_attempt_trim(struct gw_buf *out, struct gw_slice log)
{
    const char *starts[KEPT_LAST]; /* of the newest records, a ring */
    const char *first_end = log.ptr;
    struct gw_slice rest = log;
    struct gw_attempt attempt;
    size_t count = 0;

    for (const char *start = rest.ptr; gw_attempt_unpack(&rest, &attempt); start = rest.ptr) {
        starts[count % KEPT_LAST] = start;
        count++;
        if (count == KEPT_FIRST)
            first_end = rest.ptr;
    }
    /* What follows the last record, if anything, is damage: dropped, so that the next record to
     * be appended can be read. */
    if (count <= KEPT_FIRST + KEPT_LAST) {
        gw_buf_add(out, log.ptr, (size_t)(rest.ptr - log.ptr));
        return;
    }
    gw_buf_add(out, log.ptr, (size_t)(first_end - log.ptr));
    const char *last_start = starts[count % KEPT_LAST];
    gw_buf_add(out, last_start, (size_t)(rest.ptr - last_start));
}
