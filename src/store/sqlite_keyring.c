/* sqlite_keyring.c: what is sealed at rest, and with which key.
 *
 *   the master key (not in the directory's files, or in one beside them)
 *     ├─ seals the directory's own keys and a known text, in main.db's `meta`
 *     ├─ seals configs and the health of targets, in main.db
 *     └─ seals a random key for each app, in main.db's `app_key`
 *          └─ with a segment's number gives the key of the app's bodies and attempt logs there
 *
 * A sealed field is bound to its place (segment, row, kind of field), so that it cannot be moved.
 * An app's key has a number, which its rows carry. Erasing the app is forgetting its key: the number
 * stays, and what it sealed is gone; what comes later gets a new key. A key is committed in main.db
 * before a group uses it.
 *
 * Threads: what is derived of the master key is set before they start. Each thread has a keyring of
 * its own, a cache of fixed size, and drops it when an app has been erased (gw_sqlite.key_epoch).
 *
 * Failure: what cannot be unsealed is damage; a key that was erased is GW_ERR_GONE. */
#include "store/sqlite_internal.h"

#include "base/crypto.h"

static struct gw_slice bytes_of(const void *bytes, size_t len)
{
    return (struct gw_slice){bytes, len};
}

static void put_be(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static void seal_to(const uint8_t key[32], struct gw_slice aad, struct gw_slice plain,
                    struct gw_buf *out)
{
    gw_buf_reserve(out, plain.len + GW_SEAL_OVERHEAD);
    gw_seal(key, aad, plain, (uint8_t *)out->ptr + out->len);
    out->len += plain.len + GW_SEAL_OVERHEAD;
}

static bool unseal_to(const uint8_t key[32], struct gw_slice aad, struct gw_slice sealed,
                      struct gw_buf *out)
{
    if (sealed.len < GW_SEAL_OVERHEAD)
        return false;
    gw_buf_reserve(out, sealed.len);
    if (!gw_unseal(key, aad, sealed, (uint8_t *)out->ptr + out->len))
        return false;
    out->len += sealed.len - GW_SEAL_OVERHEAD;
    return true;
}

/* ── The master key ────────────────────────────────────────────────────────────────────────── */

void sqlite_master_init(struct sqlite_master *master, const uint8_t key[32])
{
    struct gw_slice whole = bytes_of(key, 32), salt = GW_SLICE("gwh store 1");

    gw_hkdf_sha256(whole, salt, GW_SLICE("meta"), master->meta);
    gw_hkdf_sha256(whole, salt, GW_SLICE("docs"), master->docs);
    gw_hkdf_sha256(whole, salt, GW_SLICE("apps"), master->apps);
}

/* A value of `meta`: its name is its place. */
static bool meta_get(const struct sqlite_master *master, struct sqlite_conn *conn, const char *name,
                     void *out, size_t len, bool *is_there)
{
    sqlite3_stmt *st = conn->st[MAIN_META_GET];
    struct gw_buf plain = {0};
    bool ok = false;

    *is_there = false;
    sqlite_bind_text(st, 1, gw_slice_from(name));
    if (!sqlite_row(conn, st))
        return false;
    *is_there = true;
    if (unseal_to(master->meta, gw_slice_from(name), sqlite_blob(st, 0), &plain))
        ok = plain.len == len;
    sqlite3_reset(st);
    if (ok)
        memcpy(out, plain.ptr, len);
    if (plain.ptr)
        gw_wipe(plain.ptr, plain.len);
    gw_buf_deinit(&plain);
    return ok;
}

static void meta_set(const struct sqlite_master *master, struct sqlite_conn *conn, const char *name,
                     struct gw_slice value)
{
    sqlite3_stmt *st = conn->st[MAIN_META_SET];
    struct gw_buf sealed = {0};

    seal_to(master->meta, gw_slice_from(name), value, &sealed);
    sqlite_bind_text(st, 1, gw_slice_from(name));
    sqlite_bind_blob(st, 2, gw_buf_slice(&sealed));
    sqlite_run(conn, st);
    sqlite3_clear_bindings(st);
    gw_buf_deinit(&sealed);
}

#define KNOWN_TEXT "this is the key"

/* Reads the directory's keys, or makes them in a new one. One of several that is damaged must not be
 * mistaken for a wrong master key, which opens none. */
enum gw_err sqlite_master_open(const struct sqlite_master *master, struct sqlite_conn *conn,
                               bool is_new, struct sqlite_keys *keys, struct gw_error *error)
{
    char text[sizeof(KNOWN_TEXT)];
    const struct {
        const char *name;
        void *out;
        size_t len;
    } parts[] = {
        {"known", text, sizeof(text)},
        {"id_key", keys->id, sizeof(keys->id)},
        {"hash_key", keys->hash, sizeof(keys->hash)},
    };
    size_t there = 0, opened = 0;

    for (size_t i = 0; i < gw_count(parts); i++) {
        bool is_there;
        opened += meta_get(master, conn, parts[i].name, parts[i].out, parts[i].len, &is_there);
        there += is_there;
    }
    if (conn->rc != SQLITE_OK)
        return sqlite_conn_error(conn, conn->rc, "read it", error);
    if (opened == gw_count(parts))
        return GW_OK;
    if (there > 0 && opened == 0)
        return gw_error_set(error, GW_ERR_KEY,
                            "%s: was made with another master key than the one given", conn->path);
    if (!is_new || opened > 0)
        return gw_error_set(error, GW_ERR_CORRUPT, "%s: its keys are missing or damaged",
                            conn->path);
    gw_random_bytes(keys->id, sizeof(keys->id));
    gw_random_bytes(keys->hash, sizeof(keys->hash));
    memcpy(text, KNOWN_TEXT, sizeof(text));
    for (size_t i = 0; i < gw_count(parts); i++)
        meta_set(master, conn, parts[i].name, bytes_of(parts[i].out, parts[i].len));
    return conn->rc == SQLITE_OK ? GW_OK : sqlite_conn_error(conn, conn->rc, "write it", error);
}

/* ── Documents of the main file ────────────────────────────────────────────────────────────── */

/* The NUL cannot be in a name: no two places read alike. */
static struct gw_slice doc_aad(const struct sqlite_doc *doc, struct gw_buf *aad)
{
    uint8_t version[8];

    put_be(version, doc->version, sizeof(version));
    gw_buf_addc(aad, doc->kind);
    gw_buf_adds(aad, doc->app_id);
    gw_buf_addc(aad, '\0');
    gw_buf_adds(aad, doc->name);
    gw_buf_addc(aad, '\0');
    gw_buf_add(aad, version, sizeof(version));
    return gw_buf_slice(aad);
}

void sqlite_doc_seal(const struct sqlite_master *master, const struct sqlite_doc *doc,
                     struct gw_slice plain, struct gw_buf *out)
{
    struct gw_buf aad = {0};

    gw_buf_clear(out);
    seal_to(master->docs, doc_aad(doc, &aad), plain, out);
    gw_buf_deinit(&aad);
}

bool sqlite_doc_open(const struct sqlite_master *master, const struct sqlite_doc *doc,
                     struct gw_slice sealed, struct gw_buf *out)
{
    struct gw_buf aad = {0};

    gw_buf_clear(out);
    bool ok = unseal_to(master->docs, doc_aad(doc, &aad), sealed, out);
    gw_buf_deinit(&aad);
    return ok;
}

/* ── The keyring of a thread ───────────────────────────────────────────────────────────────── */

void sqlite_keyring_init(struct sqlite_keyring *ring, struct gw_sqlite *sqlite,
                         struct sqlite_conn *main, size_t size)
{
    gw_check(size > 0 && (size & (size - 1)) == 0);
    *ring = (struct sqlite_keyring){.sqlite = sqlite, .main = main, .size = size};
    ring->keys = gw_zalloc(size * sizeof(*ring->keys));
    ring->apps = gw_zalloc(size * sizeof(*ring->apps));
    ring->epoch = atomic_load(&sqlite->key_epoch);
}

void sqlite_keyring_forget(struct sqlite_keyring *ring)
{
    for (size_t i = 0; i < ring->size; i++)
        gw_free(ring->apps[i].text);
    memset(ring->apps, 0, ring->size * sizeof(*ring->apps));
    gw_wipe(ring->keys, ring->size * sizeof(*ring->keys));
}

void sqlite_keyring_deinit(struct sqlite_keyring *ring)
{
    if (ring->size == 0)
        return;
    sqlite_keyring_forget(ring);
    gw_free(ring->apps);
    gw_free(ring->keys);
    gw_buf_deinit(&ring->room);
    *ring = (struct sqlite_keyring){0};
}

/* An app may have been erased since. */
void sqlite_keyring_refresh(struct sqlite_keyring *ring)
{
    unsigned epoch = atomic_load(&ring->sqlite->key_epoch);

    if (epoch == ring->epoch)
        return;
    sqlite_keyring_forget(ring);
    ring->epoch = epoch;
}

/* ── Keys of apps ──────────────────────────────────────────────────────────────────────────── */

/* The app whose key it is, so that one app's sealed key does not open under another's name. */
static struct gw_slice app_aad(struct gw_slice app_id)
{
    return app_id.ptr ? app_id : GW_SLICE("");
}

static struct sqlite_app_slot *app_slot(struct sqlite_keyring *ring, struct gw_slice app_id)
{
    uint64_t hash = gw_siphash(ring->sqlite->keys.hash, app_id);

    return &ring->apps[hash & (ring->size - 1)];
}

enum gw_err sqlite_keyring_find(struct sqlite_keyring *ring, struct gw_slice app_id,
                                uint32_t *number)
{
    struct sqlite_app_slot *slot = app_slot(ring, app_id);
    sqlite3_stmt *st = ring->main->st[MAIN_APP_KEY_OF];

    if (slot->text && gw_slice_eq((struct gw_slice){slot->text, slot->len}, app_id)) {
        *number = slot->number;
        return GW_OK;
    }
    sqlite_bind_text(st, 1, app_id);
    if (!sqlite_row(ring->main, st))
        return ring->main->rc == SQLITE_OK ? GW_ERR_NOT_FOUND
                                           : sqlite_conn_err(ring->main, ring->main->rc);
    *number = (uint32_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    gw_free(slot->text);
    slot->text = gw_alloc(app_id.len + 1);
    memcpy(slot->text, app_id.ptr, app_id.len);
    slot->len = app_id.len;
    slot->number = *number;
    return GW_OK;
}

void sqlite_keyring_add(struct sqlite_keyring *ring, struct gw_slice app_id)
{
    sqlite3_stmt *st = ring->main->st[MAIN_APP_KEY_ADD];
    struct gw_buf sealed = {0};
    uint8_t key[32];

    gw_random_bytes(key, sizeof(key));
    seal_to(ring->sqlite->master.apps, app_aad(app_id), bytes_of(key, sizeof(key)), &sealed);
    gw_wipe(key, sizeof(key));
    sqlite_bind_text(st, 1, app_id);
    sqlite_bind_blob(st, 2, gw_buf_slice(&sealed));
    sqlite_run(ring->main, st);
    sqlite3_clear_bindings(st);
    gw_buf_deinit(&sealed);
}

static void derive(const uint8_t app_key[32], uint32_t segment, uint8_t out[32])
{
    uint8_t number[4];

    put_be(number, segment, sizeof(number));
    gw_hkdf_sha256(bytes_of(app_key, 32), GW_SLICE("gwh segment 1"),
                   bytes_of(number, sizeof(number)), out);
}

/* GW_ERR_GONE: it was erased. A number that was never given is damage. */
static enum gw_err key_read(struct sqlite_keyring *ring, uint32_t number, uint32_t segment,
                            uint8_t out[32])
{
    sqlite3_stmt *st = ring->main->st[MAIN_APP_KEY_GET];
    struct gw_buf plain = {0};
    enum gw_err err = GW_ERR_CORRUPT;

    sqlite3_bind_int64(st, 1, number);
    if (!sqlite_row(ring->main, st))
        return ring->main->rc == SQLITE_OK ? GW_ERR_CORRUPT
                                           : sqlite_conn_err(ring->main, ring->main->rc);
    struct gw_slice app_id = sqlite_text(st, 0), sealed = sqlite_blob(st, 1);
    if (sealed.ptr == NULL)
        err = GW_ERR_GONE;
    else if (unseal_to(ring->sqlite->master.apps, app_aad(app_id), sealed, &plain) &&
             plain.len == 32)
        err = GW_OK;
    if (err == GW_OK)
        derive((const uint8_t *)plain.ptr, segment, out);
    else if (err == GW_ERR_CORRUPT)
        gw_log(GW_LOG_ERROR, "store_key_damaged", GW_S("file", ring->main->path),
               GW_I("key", number));
    sqlite3_reset(st);
    if (plain.ptr)
        gw_wipe(plain.ptr, plain.len);
    gw_buf_deinit(&plain);
    return err;
}

static enum gw_err key_get(struct sqlite_keyring *ring, uint32_t number, uint32_t segment,
                           const uint8_t **key)
{
    uint64_t id = (uint64_t)number << 32 | segment;
    uint64_t spread = (id ^ id >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    struct sqlite_key_slot *slot = &ring->keys[spread >> 32 & (ring->size - 1)];
    uint8_t derived[32];

    if (number == 0) /* of what was erased */
        return GW_ERR_GONE;
    if (slot->id != id) {
        enum gw_err err = key_read(ring, number, segment, derived);
        if (err != GW_OK)
            return err;
        memcpy(slot->key, derived, sizeof(derived));
        gw_wipe(derived, sizeof(derived));
        slot->id = id;
    }
    *key = slot->key;
    return GW_OK;
}

void sqlite_keyring_erase(struct sqlite_conn *main, struct gw_slice app_id)
{
    sqlite3_stmt *st = main->st[MAIN_APP_KEY_ERASE];

    sqlite_bind_text(st, 1, app_id);
    sqlite_run(main, st);
}

/* ── Fields of a segment ───────────────────────────────────────────────────────────────────── */

#define AAD_BYTES 13

static struct gw_slice field_aad(struct sqlite_field field, uint8_t aad[AAD_BYTES])
{
    aad[0] = (uint8_t)field.kind;
    put_be(aad + 1, field.segment, 4);
    put_be(aad + 5, field.row, 8);
    return bytes_of(aad, AAD_BYTES);
}

enum gw_err sqlite_field_seal(struct sqlite_keyring *ring, struct sqlite_field field,
                              struct gw_slice plain, struct gw_buf *out)
{
    uint8_t aad[AAD_BYTES];
    const uint8_t *key;
    enum gw_err err = key_get(ring, field.key, field.segment, &key);

    gw_buf_clear(out);
    if (err == GW_OK)
        seal_to(key, field_aad(field, aad), plain, out);
    return err;
}

enum gw_err sqlite_field_open(struct sqlite_keyring *ring, struct sqlite_field field,
                              struct gw_slice sealed, struct gw_buf *out)
{
    uint8_t aad[AAD_BYTES];
    const uint8_t *key;
    enum gw_err err = key_get(ring, field.key, field.segment, &key);

    gw_buf_clear(out);
    if (err != GW_OK || unseal_to(key, field_aad(field, aad), sealed, out))
        return err;
    gw_log(GW_LOG_ERROR, "store_field_damaged", GW_I("segment", field.segment),
           GW_I("row", (int64_t)field.row),
           GW_S("field", field.kind == SQLITE_FIELD_BODY ? "body" : "log"));
    return GW_ERR_CORRUPT;
}
