/* sqlite_admin.c: API keys and the audit log, in the main file.
 *
 * Writing runs on the writer, inside the main file's transaction: a change and its line of the log
 * are both there or neither. Rules are checked before anything is written. Reading runs on a reader
 * and shows what is committed.
 *
 * Both are sealed. In columns stands only what is searched for; for a subject, which may be a URL
 * with tokens, its hash, so a row that is found by it is still compared.
 *
 * The number of a line is its time and, of those of one millisecond, its turn: their order is that of
 * time, any span of time is a span of numbers, and a clock that was set back puts lines where they
 * say they belong. With each line up to two go that are too old, so that the log shrinks when the
 * time for which it is kept does, no job is needed, and a clock that is years ahead for a moment
 * costs no more than two lines each.
 *
 * Failure: a document that cannot be opened is damage: GW_ERR_CORRUPT, never a line left out. */
#include "store/admin_doc.h"
#include "store/sqlite_internal.h"

#define TURN_BITS 20 /* of a line's number, below its time */

_Static_assert(GW_AUDIT_AT_END - 1 <= INT64_MAX >> TURN_BITS, "each time has room for its turns");

static struct sqlite_conn *conn_of(struct sqlite_writer *w)
{
    return &w->sqlite->main.conn;
}

/* ── Documents ─────────────────────────────────────────────────────────────────────────────── */

/* Into the arena, as *text. */
static bool open_doc(const struct gw_sqlite *sqlite, const struct sqlite_doc *place,
                     struct gw_slice sealed, struct gw_arena *arena, struct gw_slice *text)
{
    struct gw_buf plain = {0};
    bool ok = sqlite_doc_open(&sqlite->master, place, sealed, &plain);

    if (ok)
        *text = gw_arena_dup(arena, gw_buf_slice(&plain));
    gw_buf_deinit(&plain);
    return ok;
}

/* ── The audit log: writing ────────────────────────────────────────────────────────────────── */

/* Lines of that time, and later ones, have numbers above. */
static int64_t first_number(int64_t at_ms)
{
    if (at_ms <= 0)
        return 0;
    return at_ms < GW_AUDIT_AT_END ? at_ms << TURN_BITS : INT64_MAX;
}

static int64_t next_number(struct sqlite_conn *conn, int64_t at_ms)
{
    sqlite3_stmt *st = conn->st[MAIN_AUDIT_LAST];
    int64_t last = first_number(at_ms), end = first_number(at_ms + 1);

    sqlite3_bind_int64(st, 1, last);
    sqlite3_bind_int64(st, 2, end);
    if (sqlite_row(conn, st)) {
        if (sqlite3_column_type(st, 0) != SQLITE_NULL)
            last = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    gw_check(last + 1 < end); /* a million lines in a millisecond */
    return last + 1;
}

static void drop_old(struct gw_sqlite *sqlite, int64_t now_ms)
{
    struct sqlite_conn *conn = &sqlite->main.conn;
    sqlite3_stmt *st = conn->st[MAIN_AUDIT_DROP];
    int64_t keep_ms = sqlite->options.audit_keep_ms;

    for (int i = 0; keep_ms > 0 && i < 2; i++) {
        sqlite3_bind_int64(st, 1, first_number(now_ms - keep_ms));
        sqlite_run(conn, st);
    }
}

void sqlite_audit_write(struct sqlite_writer *w, const struct gw_audit *audit)
{
    struct gw_sqlite *sqlite = w->sqlite;
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *st = conn->st[MAIN_AUDIT_ADD];
    int64_t number = next_number(conn, audit->at_ms);
    struct sqlite_doc place = {'A', audit->app_id, {0}, (uint64_t)number};
    struct gw_buf plain = {0}, sealed = {0};

    gw_admin_doc_write_line(audit, &plain);
    sqlite_doc_seal(&sqlite->master, &place, gw_buf_slice(&plain), &sealed);
    sqlite3_bind_int64(st, 1, number);
    sqlite_bind_text(st, 2, audit->app_id);
    if (audit->subject.ptr)
        sqlite3_bind_int64(st, 3, sqlite_key_hash(&sqlite->keys, audit->app_id, audit->subject));
    sqlite3_bind_int(st, 4, gw_audit_is_config(audit));
    sqlite_bind_blob(st, 5, gw_buf_slice(&sealed));
    sqlite_run(conn, st);
    sqlite3_clear_bindings(st);
    gw_buf_deinit(&plain);
    gw_buf_deinit(&sealed);
    drop_old(sqlite, audit->at_ms);
}

enum gw_err sqlite_audit_add(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_audit_add *op = gw_container_of(base, struct gw_audit_add, op);
    enum gw_err err = gw_audit_check(&op->audit);

    if (err == GW_OK)
        sqlite_audit_write(w, &op->audit);
    return err;
}

/* ── The audit log: reading ────────────────────────────────────────────────────────────────── */

/* Columns id, app_id, doc. */
static bool line_open(const struct gw_sqlite *sqlite, sqlite3_stmt *st, struct gw_arena *arena,
                      struct gw_audit *line)
{
    struct sqlite_doc place = {'A', sqlite_text(st, 1), {0}, (uint64_t)sqlite3_column_int64(st, 0)};
    struct gw_slice text;

    if (!open_doc(sqlite, &place, sqlite_blob(st, 2), arena, &text))
        return false;
    line->at_ms = (int64_t)(place.version >> TURN_BITS);
    line->app_id = gw_arena_dup(arena, place.app_id);
    return gw_admin_doc_read_line(text, arena, line);
}

static sqlite3_stmt *lines_of(const struct gw_sqlite *sqlite, struct sqlite_conn *conn,
                              const struct gw_audit_list *op)
{
    int64_t end = op->to_ms > 0 ? first_number(op->to_ms) : INT64_MAX;
    sqlite3_stmt *st = conn->st[MAIN_AUDIT_DOWN];

    if (op->subject.len > 0) {
        st = conn->st[MAIN_AUDIT_DOWN_SUBJECT];
        sqlite3_bind_int64(st, 4, sqlite_key_hash(&sqlite->keys, op->app_id, op->subject));
    } else if (op->app_id.len > 0) {
        st = conn->st[MAIN_AUDIT_DOWN_APP];
        sqlite_bind_text(st, 4, op->app_id);
    }
    if (op->before > 0 && op->before < (uint64_t)end)
        end = (int64_t)op->before;
    sqlite3_bind_int64(st, 1, first_number(op->from_ms));
    sqlite3_bind_int64(st, 2, end);
    sqlite3_bind_int(st, 3, op->configs_only);
    return st;
}

static bool is_meant(const struct gw_audit_list *op, const struct gw_audit *line)
{
    return op->subject.len == 0 ||
           (gw_slice_eq(line->app_id, op->app_id) && gw_slice_eq(line->subject, op->subject));
}

enum gw_err sqlite_audit_list(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_audit_list *op = gw_container_of(base, struct gw_audit_list, op);
    enum gw_err err = GW_OK;
    uint64_t last = 0;

    if (op->subject.len > 0 && op->app_id.len == 0)
        return GW_ERR_INVALID;
    op->lines = gw_arena_alloc(op->arena, op->max * sizeof(*op->lines));
    sqlite3_stmt *st = lines_of(r->sqlite, &r->main, op);
    while (err == GW_OK && op->next == 0 && sqlite_row(&r->main, st)) {
        struct gw_audit line;
        if (op->count == op->max)
            op->next = last;
        else if (!line_open(r->sqlite, st, op->arena, &line))
            err = GW_ERR_CORRUPT;
        else if (is_meant(op, &line))
            op->lines[op->count++] = line;
        last = (uint64_t)sqlite3_column_int64(st, 0);
    }
    sqlite3_reset(st);
    if (err != GW_OK)
        op->count = 0;
    return err;
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static struct sqlite_doc place_of_key(struct gw_slice id, struct gw_slice appid)
{
    return (struct sqlite_doc){.kind = 'K', .app_id = appid, .name = id};
}

/* Columns id, appid, doc. */
static bool key_open(const struct gw_sqlite *sqlite, sqlite3_stmt *st, struct gw_arena *arena,
                     struct gw_key *key)
{
    struct sqlite_doc place = place_of_key(sqlite_text(st, 0), sqlite_text(st, 1));
    struct gw_slice text;

    *key = (struct gw_key){.appid = gw_arena_dup(arena, place.app_id)};
    if (place.name.len >= sizeof(key->id) ||
        !open_doc(sqlite, &place, sqlite_blob(st, 2), arena, &text))
        return false;
    memcpy(key->id, place.name.ptr, place.name.len);
    return gw_admin_doc_read_key(text, key);
}

static void key_add(struct sqlite_writer *w, const struct gw_key *key)
{
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *st = conn->st[MAIN_KEY_ADD];
    struct sqlite_doc place = place_of_key(gw_slice_from(key->id), key->appid);
    struct gw_buf plain = {0}, sealed = {0};

    gw_admin_doc_write_key(key, &plain);
    sqlite_doc_seal(&w->sqlite->master, &place, gw_buf_slice(&plain), &sealed);
    sqlite_bind_text(st, 1, place.name);
    sqlite_bind_text(st, 2, place.app_id);
    sqlite_bind_blob(st, 3, gw_buf_slice(&sealed));
    sqlite_run(conn, st);
    sqlite3_clear_bindings(st);
    gw_buf_deinit(&plain);
    gw_buf_deinit(&sealed);
}

/* How many rows the statement yields with `text`. */
static size_t count_of(struct sqlite_conn *conn, int sql, struct gw_slice text)
{
    sqlite3_stmt *st = conn->st[sql];
    size_t count = 0;

    sqlite_bind_text(st, 1, text);
    while (sqlite_row(conn, st))
        count++;
    return count;
}

enum gw_err sqlite_key_put(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_key_put *op = gw_container_of(base, struct gw_key_put, op);
    enum gw_err err = gw_audit_check(&op->audit);

    if (err != GW_OK)
        return err;
    if (count_of(conn_of(w), MAIN_KEY_GET, gw_slice_from(op->key.id)) > 0)
        return GW_ERR_EXISTS;
    if (count_of(conn_of(w), MAIN_KEYS_OF, op->key.appid) >= GW_KEYS_PER_APPID)
        return GW_ERR_FULL;
    key_add(w, &op->key);
    sqlite_audit_write(w, &op->audit);
    return GW_OK;
}

static bool is_of(const struct gw_key *key, struct gw_slice scope)
{
    return scope.len == 0 || gw_slice_eq(key->scope, scope);
}

enum gw_err sqlite_key_remove(struct sqlite_writer *w, struct gw_op *base)
{
    struct gw_key_remove *op = gw_container_of(base, struct gw_key_remove, op);
    struct sqlite_conn *conn = conn_of(w);
    sqlite3_stmt *get = conn->st[MAIN_KEY_GET], *delete = conn->st[MAIN_KEY_DELETE];
    enum gw_err err = gw_audit_check(&op->audit);
    struct gw_key key;

    if (err != GW_OK)
        return err;
    sqlite_bind_text(get, 1, op->id);
    if (!sqlite_row(conn, get))
        return GW_ERR_NOT_FOUND;
    bool ok = key_open(w->sqlite, get, op->arena, &key);
    sqlite3_reset(get);
    if (!ok)
        return GW_ERR_CORRUPT;
    if (!is_of(&key, op->scope))
        return GW_ERR_NOT_FOUND;
    sqlite_bind_text(delete, 1, op->id);
    sqlite_run(conn, delete);
    op->key = key;
    op->audit.app_id = key.scope;
    sqlite_audit_write(w, &op->audit);
    return GW_OK;
}

/* The keys that a statement yields, those of one scope or of all (len 0). */
struct key_page {
    struct gw_slice scope;
    struct gw_key *keys; /* in the arena */
    size_t count;
    bool more;
};

static enum gw_err keys_read(struct sqlite_reader *r, sqlite3_stmt *st, struct gw_arena *arena,
                             size_t max, struct key_page *page)
{
    enum gw_err err = GW_OK;
    struct gw_key key;

    page->keys = gw_arena_alloc(arena, max * sizeof(struct gw_key));
    while (err == GW_OK && !page->more && sqlite_row(&r->main, st)) {
        if (!key_open(r->sqlite, st, arena, &key))
            err = GW_ERR_CORRUPT;
        else if (is_of(&key, page->scope) && page->count == max)
            page->more = true;
        else if (is_of(&key, page->scope))
            page->keys[page->count++] = key;
    }
    sqlite3_reset(st);
    if (err != GW_OK)
        page->count = 0;
    return err;
}

enum gw_err sqlite_key_find(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_key_find *op = gw_container_of(base, struct gw_key_find, op);
    sqlite3_stmt *st = r->main.st[MAIN_KEYS_OF];
    struct key_page page = {0};

    sqlite_bind_text(st, 1, op->appid);
    enum gw_err err = keys_read(r, st, op->arena, GW_KEYS_PER_APPID, &page);
    op->keys = page.keys;
    op->count = page.count;
    return err;
}

enum gw_err sqlite_key_list(struct sqlite_reader *r, struct gw_op *base)
{
    struct gw_key_list *op = gw_container_of(base, struct gw_key_list, op);
    sqlite3_stmt *st = r->main.st[MAIN_KEYS_AFTER];
    struct key_page page = {.scope = op->scope};

    sqlite_bind_text(st, 1, op->after.len ? op->after : GW_SLICE(""));
    enum gw_err err = keys_read(r, st, op->arena, op->max, &page);
    op->keys = page.keys;
    op->count = page.count;
    op->more = page.more;
    return err;
}
