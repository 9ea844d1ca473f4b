/* sqlite_key.c: ids, hashes of keys and page cursors. Pure.
 *
 * An id is one AES block: segment (4 bytes), sequence (6), number of the delivery (2), and four
 * bytes that say what it is, by which an id that was not made here gives itself away. Encrypted it
 * tells nobody how many events there are. A cursor is the same, of a third kind. */
#include "store/sqlite_key.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "core/event.h"

enum mark { MARK_ID = 0, MARK_CURSOR = 1 };

static void put_be(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t get_be(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

static void seal(const struct sqlite_keys *keys, struct sqlite_ref ref, enum mark mark,
                 uint8_t out[GW_AES_BLOCK])
{
    uint8_t plain[GW_AES_BLOCK];

    gw_check(ref.seq <= SQLITE_SEQ_MAX);
    put_be(plain, ref.segment, 4);
    put_be(plain + 4, ref.seq, 6);
    put_be(plain + 10, ref.n, 2);
    put_be(plain + 12, mark, 4);
    gw_aes_block_encrypt(keys->id, plain, out);
}

static bool unseal(const struct sqlite_keys *keys, const uint8_t in[GW_AES_BLOCK], enum mark mark,
                   struct sqlite_ref *ref)
{
    uint8_t plain[GW_AES_BLOCK];

    gw_aes_block_decrypt(keys->id, in, plain);
    ref->segment = (uint32_t)get_be(plain, 4);
    ref->seq = get_be(plain + 4, 6);
    ref->n = (uint16_t)get_be(plain + 10, 2);
    return get_be(plain + 12, 4) == mark && ref->seq >= 1 && ref->seq <= SQLITE_SEQ_MAX;
}

struct gw_id sqlite_id(const struct sqlite_keys *keys, struct sqlite_ref ref)
{
    struct gw_id id = {.len = GW_AES_BLOCK};

    seal(keys, ref, MARK_ID, id.bytes);
    return id;
}

bool sqlite_id_event(const struct sqlite_keys *keys, const struct gw_id *id, struct sqlite_ref *ref)
{
    return id->len == GW_AES_BLOCK && unseal(keys, id->bytes, MARK_ID, ref) &&
           ref->n == SQLITE_N_EVENT;
}

bool sqlite_id_delivery(const struct sqlite_keys *keys, const struct gw_id *id,
                        struct sqlite_ref *ref)
{
    return id->len == GW_AES_BLOCK && unseal(keys, id->bytes, MARK_ID, ref) &&
           ref->n != SQLITE_N_EVENT;
}

struct gw_slice sqlite_cursor(const struct sqlite_keys *keys, struct sqlite_ref ref,
                              struct gw_arena *arena)
{
    uint8_t block[GW_AES_BLOCK];
    struct gw_buf text = {0};

    seal(keys, ref, MARK_CURSOR, block);
    gw_hex_encode(&text, block, sizeof(block));
    struct gw_slice cursor = gw_arena_dup(arena, gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return cursor;
}

bool sqlite_cursor_read(const struct sqlite_keys *keys, struct gw_slice text,
                        struct sqlite_ref *ref)
{
    struct gw_buf block = {0};
    bool ok = text.len == (size_t)2 * GW_AES_BLOCK && gw_hex_decode(&block, text) &&
              unseal(keys, (const uint8_t *)block.ptr, MARK_CURSOR, ref);

    gw_buf_deinit(&block);
    return ok;
}

/* The NUL cannot be in a name: no two pairs read alike. */
static uint64_t pair_hash(const struct sqlite_keys *keys, struct gw_slice app_id,
                          struct gw_slice key)
{
    char room[2 * GW_NAME_BYTES_MAX + 1];
    size_t len = app_id.len + 1 + key.len;
    char *joined = len <= sizeof(room) ? room : gw_alloc(len);

    if (app_id.len > 0)
        memcpy(joined, app_id.ptr, app_id.len);
    joined[app_id.len] = '\0';
    if (key.len > 0)
        memcpy(joined + app_id.len + 1, key.ptr, key.len);
    uint64_t hash = gw_siphash(keys->hash, (struct gw_slice){joined, len});
    if (joined != room)
        gw_free(joined);
    return hash;
}

int64_t sqlite_key_hash(const struct sqlite_keys *keys, struct gw_slice app_id, struct gw_slice key)
{
    uint64_t upper = gw_siphash(keys->hash, key) & ~(uint64_t)UINT32_MAX;

    if (app_id.len == 0)
        return (int64_t)upper;
    return (int64_t)(upper | (pair_hash(keys, app_id, key) & UINT32_MAX));
}

int64_t sqlite_body_hash(const struct sqlite_keys *keys, struct gw_slice body)
{
    return (int64_t)gw_siphash(keys->hash, body);
}

int64_t sqlite_url_hash(const struct sqlite_keys *keys, struct gw_slice url)
{
    int64_t hash = (int64_t)gw_siphash(keys->hash, url);

    return hash ? hash : 1;
}
