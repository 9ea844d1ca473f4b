/* seen.c: which webhooks have come before. Owns an entry for each id. */
#include "cli/seen.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/crypto.h"

struct entry {
    int64_t times;
    bool was_taken;
    uint8_t last[GW_SHA256_BYTES]; /* of the last one's signature and attempt */
    size_t id_len;
    char id[];
};

static void forget_all(struct gw_seen *seen)
{
    size_t at = 0;
    void *value;

    while ((value = gw_map_next(&seen->ids, &at)) != NULL)
        gw_free(value);
    gw_map_deinit(&seen->ids);
    seen->ids = (struct gw_map){0};
}

static struct entry *add(struct gw_seen *seen, struct gw_slice id)
{
    if (seen->ids.count >= GW_SEEN_MAX)
        forget_all(seen);
    struct entry *entry = gw_zalloc(sizeof(*entry) + id.len);
    entry->id_len = id.len;
    memcpy(entry->id, id.ptr, id.len);
    gw_map_put(&seen->ids, (struct gw_slice){entry->id, entry->id_len}, entry);
    return entry;
}

static void hash_both(struct gw_slice signature, struct gw_slice attempt,
                      uint8_t hash[GW_SHA256_BYTES])
{
    struct gw_buf both = {0};

    gw_buf_adds(&both, signature);
    gw_buf_addc(&both, '\n');
    gw_buf_adds(&both, attempt);
    gw_sha256(gw_buf_slice(&both), hash);
    gw_buf_deinit(&both);
}

struct gw_seen_before gw_seen_note(struct gw_seen *seen, struct gw_slice id,
                                   struct gw_slice signature, struct gw_slice attempt)
{
    struct gw_slice key = id.ptr ? id : GW_SLICE("");
    struct entry *entry = gw_map_get(&seen->ids, key);
    uint8_t hash[GW_SHA256_BYTES];

    hash_both(signature, attempt, hash);
    if (entry == NULL)
        entry = add(seen, key);
    struct gw_seen_before before = {
        .times = entry->times++,
        .was_taken = entry->was_taken,
        .is_same = signature.len > 0 && memcmp(entry->last, hash, sizeof(hash)) == 0,
    };
    memcpy(entry->last, hash, sizeof(hash));
    return before;
}

void gw_seen_taken(struct gw_seen *seen, struct gw_slice id)
{
    struct entry *entry = gw_map_get(&seen->ids, id.ptr ? id : GW_SLICE(""));

    if (entry)
        entry->was_taken = true;
}

void gw_seen_deinit(struct gw_seen *seen)
{
    forget_all(seen);
}
