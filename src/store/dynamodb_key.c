/* dynamodb_key.c: what is derived of the master key, and what is made with it.
 *
 *   master key ─HKDF─▶ id     HMACs that are ids of messages and keys of items
 *                   ├▶ hash   HMACs that payloads are compared by
 *                   └▶ seal   a key for each pk, of AES-256-GCM, for what only we may read: random
 *                             nonces of all of it would be too many for one key
 *
 * Pure; any thread. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/crypto.h"

#include <endian.h>

#define HASH_TEXT_BYTES 16

static struct gw_slice bytes_of(const void *bytes, size_t len)
{
    return (struct gw_slice){bytes, len};
}

void dynamodb_keys_init(struct gw_dynamodb *store)
{
    struct gw_slice master = bytes_of(store->options.master_key, 32);
    struct gw_slice salt = GW_SLICE("gwh dynamodb 1");

    gw_hkdf_sha256(master, salt, GW_SLICE("id"), store->id_key);
    gw_hkdf_sha256(master, salt, GW_SLICE("hash"), store->hash_key);
    gw_hkdf_sha256(master, salt, GW_SLICE("seal"), store->seal_key);
    gw_wipe(store->options.master_key, sizeof(store->options.master_key));
}

struct gw_slice dynamodb_concat(struct gw_arena *arena, const struct gw_slice *parts, size_t count)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    char *out = gw_arena_alloc(arena, len + 1), *at = out;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0)
            memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    *at = '\0';
    return bytes_of(out, len);
}

/* Each part with its length before it: no two lists are the same bytes. */
static void frame(struct gw_slice *all, uint64_t *sizes, const struct gw_slice *parts, size_t count)
{
    gw_check(count <= DYNAMODB_HASH_PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        sizes[i] = htobe64(parts[i].len);
        all[2 * i] = bytes_of(&sizes[i], sizeof(sizes[i]));
        all[2 * i + 1] = parts[i].ptr ? parts[i] : GW_SLICE("");
    }
}

static struct gw_slice framed(struct gw_arena *arena, const struct gw_slice *parts, size_t count)
{
    struct gw_slice all[2 * DYNAMODB_HASH_PARTS_MAX];
    uint64_t sizes[DYNAMODB_HASH_PARTS_MAX];

    frame(all, sizes, parts, count);
    return dynamodb_concat(arena, all, 2 * count);
}

void dynamodb_hash(const uint8_t key[32], const struct gw_slice *parts, size_t count,
                   uint8_t out[32])
{
    struct gw_slice all[2 * DYNAMODB_HASH_PARTS_MAX];
    uint64_t sizes[DYNAMODB_HASH_PARTS_MAX];

    frame(all, sizes, parts, count);
    gw_hmac_sha256(bytes_of(key, 32), all, 2 * count, out);
}

struct gw_slice dynamodb_hash_text(const struct gw_dynamodb *store, struct gw_arena *arena,
                                   const struct gw_slice *parts, size_t count)
{
    uint8_t hash[32];
    struct gw_buf text = {0};

    dynamodb_hash(store->id_key, parts, count, hash);
    gw_hex_encode(&text, hash, HASH_TEXT_BYTES);
    struct gw_slice copy = gw_arena_dup(arena, gw_buf_slice(&text));
    gw_buf_deinit(&text);
    return copy;
}

struct gw_slice dynamodb_seal(const struct gw_dynamodb *store, struct gw_arena *arena,
                              struct gw_slice pk, struct gw_slice sk, const char *field,
                              struct gw_slice plain)
{
    struct gw_slice place[] = {gw_slice_from(field), pk, sk};
    struct gw_slice aad = framed(arena, place, gw_count(place));
    uint8_t *out = gw_arena_alloc(arena, plain.len + GW_SEAL_OVERHEAD);
    uint8_t key[32];

    dynamodb_hash(store->seal_key, &pk, 1, key);
    gw_seal(key, aad, plain, out);
    gw_wipe(key, sizeof(key));
    return bytes_of(out, plain.len + GW_SEAL_OVERHEAD);
}

bool dynamodb_unseal(const struct gw_dynamodb *store, struct gw_arena *arena, struct gw_slice pk,
                     struct gw_slice sk, const char *field, struct gw_slice sealed,
                     struct gw_slice *plain)
{
    struct gw_slice place[] = {gw_slice_from(field), pk, sk};
    struct gw_slice aad = framed(arena, place, gw_count(place));
    uint8_t key[32];

    if (sealed.len < GW_SEAL_OVERHEAD)
        return false;
    uint8_t *out = gw_arena_alloc(arena, sealed.len);
    *plain = bytes_of(out, sealed.len - GW_SEAL_OVERHEAD);
    dynamodb_hash(store->seal_key, &pk, 1, key);
    bool is_whole = gw_unseal(key, aad, sealed, out);
    gw_wipe(key, sizeof(key));
    return is_whole;
}
