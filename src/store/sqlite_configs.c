/* sqlite_configs.c: configs and the health of targets, in the main file.
 *
 * Writing runs on the writer's thread, inside its transaction: versions are compared, lanes get
 * their numbers, the app's revision grows, and a snapshot of the app is made with the change in
 * it. When the group fails, the numbers are taken out of the config again and the snapshot is
 * dropped. Reading runs on a reader and shows what is committed.
 *
 * Both are sealed: they hold secrets, header values and URLs. A stored config that cannot be decoded is damage: GW_ERR_CORRUPT, never a config left out. */
#include "store/sqlite_internal.h"

#include "base/crypto.h"

#define HEALTH_BYTES_MAX 1024

static struct sqlite_conn *conn_of(struct sqlite_writer *w)
{
    return &w->sqlite->main.conn;
}

/* ── Snapshots ─────────────────────────────────────────────────────────────────────────────── */

static void configs_free(struct gw_config **configs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gw_config_unref(configs[i]);
    gw_free(configs);
}

static enum gw_err config_open(const struct sqlite_master *master, sqlite3_stmt *st,
                               struct gw_config **config)
{
    struct sqlite_doc doc = {
        .kind = 'C',
        .app_id = sqlite_text(st, 0),
        .name = sqlite_text(st, 1),
        .version = (uint64_t)sqlite3_column_int64(st, 2),
    };
    struct gw_buf plain = {0};
    struct gw_error error;
    enum gw_err err = GW_ERR_CORRUPT;

    if (sqlite_doc_open(master, &doc, sqlite_blob(st, 3), &plain) &&
        gw_config_decode(config, gw_buf_slice(&plain), &error) == GW_OK)
        err = GW_OK;
    if (plain.ptr)
        gw_wipe(plain.ptr, plain.cap);
    gw_buf_deinit(&plain);
    return err;
}

/* All configs that the statement yields, but not that of the type `except` (absent: all). There is
 * room for one more. NULL and *err: one cannot be read. */
static struct gw_config **configs_read(const struct gw_sqlite *sqlite, struct sqlite_conn *conn,
                                       sqlite3_stmt *st, struct gw_slice except, size_t *count,
                                       enum gw_err *err)
{
    struct gw_config **configs = gw_alloc(2 * sizeof(struct gw_config *));
    size_t cap = 2;

    *count = 0;
    *err = GW_OK;
    while (*err == GW_OK && sqlite_row(conn, st)) {
        if (except.ptr && gw_slice_eq(sqlite_text(st, 1), except))
            continue;
        if (*count + 1 == cap) {
            cap *= 2;
            configs = gw_realloc(configs, cap * sizeof(struct gw_config *));
        }
        *err = config_open(&sqlite->master, st, &configs[*count]);
        if (*err == GW_OK)
            ++*count;
    }
    if (*err == GW_OK)
        *err = sqlite_conn_err(conn, conn->rc);
    else
        sqlite3_reset(st);
    if (*err == GW_OK)
        return configs;
    configs_free(configs, *count);
    return NULL;
}

static uint64_t revision_get(struct sqlite_conn *conn, struct gw_slice app_id)
{
    sqlite3_stmt *st = conn->st[MAIN_APP_GET];
    uint64_t revision = 0;

    sqlite_bind_text(st, 1, app_id);
    if (sqlite_row(conn, st)) {
        revision = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return revision;
}

static uint64_t revision_bump(struct sqlite_conn *conn, struct gw_slice app_id)
{
    uint64_t revision = revision_get(conn, app_id) + 1;
    sqlite3_stmt *st = conn->st[MAIN_APP_SET];

    sqlite_bind_text(st, 1, app_id);
    sqlite3_bind_int64(st, 2, (int64_t)revision);
    sqlite_run(conn, st);
    return revision;
}

static struct gw_config **configs_of(const struct gw_sqlite *sqlite, struct sqlite_conn *conn,
                                     struct gw_slice app_id, struct gw_slice except, size_t *count,
                                     enum gw_err *err)
{
    sqlite_bind_text(conn->st[MAIN_CONFIGS_OF], 1, app_id);
    return configs_read(sqlite, conn, conn->st[MAIN_CONFIGS_OF], except, count, err);
}

/* ── Put ───────────────────────────────────────────────────────────────────────────────────── */

static uint64_t version_get(struct sqlite_conn *conn, struct gw_slice app_id,
                            struct gw_slice event_type)
{
    sqlite3_stmt *st = conn->st[MAIN_CONFIG_VERSION];
    uint64_t version = 0;

    sqlite_bind_text(st, 1, app_id);
    sqlite_bind_text(st, 2, event_type);
    if (sqlite_row(conn, st)) {
        version = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return version;
}

static uint64_t next_lane_get(struct sqlite_conn *conn)
{
    sqlite3_stmt *st = conn->st[MAIN_META_GET];
    uint64_t lane = 1;

    sqlite_bind_text(st, 1, GW_SLICE("next_lane"));
    if (sqlite_row(conn, st)) {
        lane = (uint64_t)sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return lane;
}

static void next_lane_set(struct sqlite_conn *conn, uint64_t lane)
{
    sqlite3_stmt *st = conn->st[MAIN_META_SET];

    sqlite_bind_text(st, 1, GW_SLICE("next_lane"));
    sqlite3_bind_int64(st, 2, (int64_t)lane);
    sqlite_run(conn, st);
}

/* Gives the config's new lanes their numbers, and remembers which, for when the group fails. */
static void lanes_give(struct sqlite_writer *w, struct gw_config *config)
{
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *st = conn->st[MAIN_LANE_ADD];
    uint64_t first = next_lane_get(conn), next = first;

    for (size_t i = 0; i < config->route_count && conn->rc == SQLITE_OK; i++) {
        uint64_t *lane = &config->routes[i].lane;
        if (*lane != 0)
            continue;
        *lane = next++;
        gw_buf_add(&w->lanes_given, &lane, sizeof(uint64_t *));
        sqlite3_bind_int64(st, 1, (int64_t)*lane);
        sqlite_bind_text(st, 2, config->app_id);
        sqlite_bind_text(st, 3, config->event_type);
        sqlite_run(conn, st);
    }
    if (next != first)
        next_lane_set(conn, next);
}

static void config_set(struct sqlite_writer *w, const struct gw_config *config)
{
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *st = conn->st[MAIN_CONFIG_SET];
    struct sqlite_doc doc = {'C', config->app_id, config->event_type, config->version};
    struct gw_buf plain = {0}, sealed = {0};

    gw_config_encode(config, &plain);
    sqlite_doc_seal(&w->sqlite->master, &doc, gw_buf_slice(&plain), &sealed);
    gw_wipe(plain.ptr, plain.len); /* it holds secrets */
    gw_buf_deinit(&plain);
    sqlite_bind_text(st, 1, config->app_id);
    sqlite_bind_text(st, 2, config->event_type);
    sqlite3_bind_int64(st, 3, (int64_t)config->version);
    sqlite_bind_blob(st, 4, gw_buf_slice(&sealed));
    sqlite_run(conn, st);
    sqlite3_clear_bindings(st);
    gw_buf_deinit(&sealed);
}

/* Puts the config in its own place among the app's. False: what stands there has its version, but
 * is another one, made since. */
static bool config_replace(struct gw_config **all, size_t *count, struct gw_config *config)
{
    size_t at = 0;

    while (at < *count && !gw_slice_eq(all[at]->event_type, config->event_type))
        at++;
    if (at < *count && all[at]->routes[0].lane != config->routes[0].lane)
        return false;
    if (at < *count)
        gw_config_unref(all[at]);
    else
        ++*count;
    all[at] = gw_config_ref(config);
    return true;
}

enum gw_err sqlite_config_put(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_config_put *op = gw_container_of(base, struct gw_config_put, op);
    struct sqlite_conn *conn = conn_of(w);
    struct gw_config *config = op->config;
    uint64_t version = version_get(conn, config->app_id, config->event_type);
    size_t count;
    enum gw_err err = gw_audit_check(&op->audit);

    if (err != GW_OK)
        return err;
    if (op->expected_version == 0 && version != 0)
        return GW_ERR_EXISTS;
    if (op->expected_version != 0 && version == 0)
        return GW_ERR_NOT_FOUND;
    if (op->expected_version != version)
        return GW_ERR_CONFLICT;
    struct gw_config **all =
        configs_of(w->sqlite, conn, config->app_id, (struct gw_slice){0}, &count, &err);
    if (all == NULL)
        return err;
    if (!config_replace(all, &count, config)) {
        configs_free(all, count);
        return GW_ERR_CONFLICT;
    }
    lanes_give(w, config);
    config_set(w, config);
    uint64_t revision = revision_bump(conn, config->app_id);
    op->snapshot = gw_snapshot_create(config->app_id, revision, all, count);
    gw_free(all);
    sqlite_audit_write(w, &op->audit);
    return GW_OK;
}

static void snapshot_drop(struct gw_snapshot **snapshot)
{
    if (*snapshot)
        gw_snapshot_unref(*snapshot);
    *snapshot = NULL;
}

/* A lane's number that is not on disk may be given again: it must not stay in a config. */
static void lanes_take_back(struct sqlite_writer *w, const struct gw_config *config)
{
    uint64_t *lane;

    for (size_t at = 0; at < w->lanes_given.len; at += sizeof(lane)) {
        memcpy(&lane, w->lanes_given.ptr + at, sizeof(lane));
        for (size_t i = 0; i < config->route_count; i++)
            if (lane == &config->routes[i].lane)
                *lane = 0;
    }
}

void sqlite_config_put_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_config_put *op = gw_container_of(base, struct gw_config_put, op);

    if (base->err == GW_OK) {
        if (op->expected_version == 0)
            atomic_fetch_add(&w->sqlite->config_count, 1);
        return;
    }
    lanes_take_back(w, op->config);
    snapshot_drop(&op->snapshot);
}

/* ── Remove ────────────────────────────────────────────────────────────────────────────────── */

enum gw_err sqlite_config_remove(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_config_remove *op = gw_container_of(base, struct gw_config_remove, op);
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *st = conn->st[MAIN_CONFIG_DELETE];
    uint64_t version = version_get(conn, op->app_id, op->event_type);
    size_t count;
    enum gw_err err = gw_audit_check(&op->audit);

    if (err != GW_OK)
        return err;
    if (version == 0)
        return GW_ERR_NOT_FOUND;
    if (op->expected_version != 0 && op->expected_version != version)
        return GW_ERR_CONFLICT;
    struct gw_config **rest = configs_of(w->sqlite, conn, op->app_id, op->event_type, &count, &err);
    if (rest == NULL)
        return err;
    sqlite_bind_text(st, 1, op->app_id);
    sqlite_bind_text(st, 2, op->event_type);
    sqlite_run(conn, st);
    op->snapshot = gw_snapshot_create(op->app_id, revision_bump(conn, op->app_id), rest, count);
    gw_free(rest);
    sqlite_audit_write(w, &op->audit);
    return GW_OK;
}

void sqlite_config_remove_finish(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_config_remove *op = gw_container_of(base, struct gw_config_remove, op);

    if (base->err == GW_OK)
        atomic_fetch_sub(&w->sqlite->config_count, 1);
    else
        snapshot_drop(&op->snapshot);
}

/* ── Reading configs ───────────────────────────────────────────────────────────────────────── */

enum gw_err sqlite_config_load(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_config_load *op = gw_container_of(base, struct gw_config_load, op);

    uint64_t revision = revision_get(&r->main, op->app_id);
    size_t count;
    enum gw_err err;
    struct gw_config **all =
        configs_of(r->sqlite, &r->main, op->app_id, (struct gw_slice){0}, &count, &err);

    if (all == NULL)
        return err;
    op->snapshot = gw_snapshot_create(op->app_id, revision, all, count);
    gw_free(all);
    return GW_OK;
}

enum gw_err sqlite_config_list(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_config_list *op = gw_container_of(base, struct gw_config_list, op);
    struct gw_slice after_app = op->after_app_id, after_type = op->after_event_type;
    bool is_one_app = op->app_id.len > 0;
    sqlite3_stmt *st = r->main.st[is_one_app ? MAIN_CONFIGS_OF_AFTER : MAIN_CONFIGS_AFTER];
    size_t count;
    enum gw_err err;

    sqlite_bind_text(st, 1, is_one_app ? op->app_id : after_app.len ? after_app : GW_SLICE(""));
    sqlite_bind_text(st, 2, after_type.len ? after_type : GW_SLICE(""));
    sqlite3_bind_int64(st, 3, (int64_t)op->max + 1);
    struct gw_config **configs =
        configs_read(r->sqlite, &r->main, st, (struct gw_slice){0}, &count, &err);
    if (configs == NULL)
        return err;
    op->more = count > op->max;
    if (op->more)
        gw_config_unref(configs[--count]);
    op->configs = gw_arena_alloc(op->arena, (count + 1) * sizeof(struct gw_config *));
    memcpy(op->configs, configs, count * sizeof(struct gw_config *));
    op->count = count;
    gw_free(configs);
    return GW_OK;
}

/* ── Health ────────────────────────────────────────────────────────────────────────────────── */

#define HEALTH_KEY_BYTES 16

/* Stands for the URL, which may hold tokens. */
static void health_key(const struct gw_sqlite *sqlite, struct gw_slice url,
                       uint8_t key[GW_SHA256_BYTES])
{
    const struct sqlite_keys *keys = &sqlite->keys;

    gw_hmac_sha256((struct gw_slice){(const char *)keys->hash, sizeof(keys->hash)}, &url, 1, key);
}

static void health_set(struct sqlite_writer *w, const struct gw_health_row *health,
                       struct gw_slice key)
{
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *st = conn->st[MAIN_HEALTH_SET];
    struct sqlite_doc doc = {.kind = 'H', .app_id = health->app_id};
    struct gw_buf plain = {0}, sealed = {0};

    gw_buf_adds(&plain, health->url); /* it has no NUL */
    gw_buf_addc(&plain, '\0');
    gw_buf_adds(&plain, health->json);
    sqlite_doc_seal(&w->sqlite->master, &doc, gw_buf_slice(&plain), &sealed);
    sqlite_bind_text(st, 1, health->app_id);
    sqlite_bind_blob(st, 2, key);
    sqlite_bind_blob(st, 3, gw_buf_slice(&sealed));
    sqlite_run(conn, st);
    sqlite3_clear_bindings(st);
    gw_buf_deinit(&plain);
    gw_buf_deinit(&sealed);
}

enum gw_err sqlite_health_save(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_health_save *op = gw_container_of(base, struct gw_health_save, op);
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *st = conn->st[MAIN_HEALTH_DELETE];
    uint8_t hash[GW_SHA256_BYTES];
    struct gw_slice key = {(const char *)hash, HEALTH_KEY_BYTES};

    if (op->health.json.len > HEALTH_BYTES_MAX)
        return GW_ERR_TOO_LARGE;
    health_key(w->sqlite, op->health.url, hash);
    if (op->health.json.len > 0) {
        health_set(w, &op->health, key);
        return GW_OK;
    }
    sqlite_bind_text(st, 1, op->health.app_id);
    sqlite_bind_blob(st, 2, key);
    sqlite_run(conn, st);
    sqlite3_clear_bindings(st);
    return GW_OK;
}

static bool health_open(const struct gw_sqlite *sqlite, sqlite3_stmt *st, struct gw_arena *arena,
                        struct gw_health_row *health)
{
    struct sqlite_doc doc = {.kind = 'H', .app_id = sqlite_text(st, 0)};
    struct gw_buf plain = {0};
    struct gw_slice rest, url = {0};

    bool ok = sqlite_doc_open(&sqlite->master, &doc, sqlite_blob(st, 2), &plain);
    if (ok) {
        rest = gw_buf_slice(&plain);
        ok = gw_slice_split(&rest, '\0', &url) && rest.ptr;
    }
    if (ok)
        *health = (struct gw_health_row){
            .app_id = gw_arena_dup(arena, doc.app_id),
            .url = gw_arena_dup(arena, url),
            .json = gw_arena_dup(arena, rest),
        };
    gw_buf_deinit(&plain);
    return ok;
}

enum gw_err sqlite_health_load(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_health_load *op = gw_container_of(base, struct gw_health_load, op);
    sqlite3_stmt *st = r->main.st[op->app_id.len ? MAIN_HEALTH_OF : MAIN_HEALTH_ALL];
    struct gw_buf items = {0};
    enum gw_err err = GW_OK;

    if (op->app_id.len > 0)
        sqlite_bind_text(st, 1, op->app_id);
    while (err == GW_OK && sqlite_row(&r->main, st)) {
        struct gw_health_row item;
        if (health_open(r->sqlite, st, op->arena, &item))
            gw_buf_add(&items, &item, sizeof(item));
        else
            err = GW_ERR_CORRUPT;
    }
    sqlite3_reset(st);
    if (err == GW_OK) {
        op->count = items.len / sizeof(*op->items);
        op->items = gw_arena_alloc(op->arena, items.len + 1);
        if (items.len > 0)
            memcpy(op->items, items.ptr, items.len);
    }
    gw_buf_deinit(&items);
    return err;
}
