/* sqlite_name.c: appIds and eventTypes as numbers, interned in each segment. Owns what the writer
 * remembers of them, which is the writer's alone.
 *
 * Numbers of a group that fails are forgotten with it, for they are not in the file. */
#include "store/sqlite_internal.h"

#define NAMES_KEPT ((size_t)64 * 1024) /* in memory; who invents more types only slows himself */

struct name {
    int64_t id;
    struct gw_slice key; /* kind and text */
    char bytes[];
};

void sqlite_names_forget(struct sqlite_segment *segment)
{
    size_t at = 0;
    struct name *name;

    while ((name = gw_map_next(&segment->names, &at)) != NULL)
        gw_free(name);
    gw_map_deinit(&segment->names);
    segment->names = (struct gw_map){0};
}

static int64_t stored(struct sqlite_conn *conn, int kind, struct gw_slice text)
{
    sqlite3_stmt *st = conn->st[SEG_NAME_ID];
    int64_t id = 0;

    sqlite3_bind_int(st, 1, kind);
    sqlite_bind_text(st, 2, text);
    if (sqlite_row(conn, st)) {
        id = sqlite3_column_int64(st, 0);
        sqlite3_reset(st);
    }
    return id;
}

static int64_t store(struct sqlite_conn *conn, int kind, struct gw_slice text)
{
    sqlite3_stmt *st = conn->st[SEG_NAME_ADD];
    int64_t id = stored(conn, kind, text);

    if (id != 0 || conn->rc != SQLITE_OK)
        return id;
    sqlite3_bind_int(st, 1, kind);
    sqlite_bind_text(st, 2, text);
    sqlite_run(conn, st);
    return sqlite3_last_insert_rowid(conn->db);
}

int64_t sqlite_name_id(struct sqlite_segment *segment, int kind, struct gw_slice text)
{
    char room[1 + GW_NAME_BYTES_MAX];
    struct gw_slice key = {room, 1 + text.len};

    if (key.len > sizeof(room))
        return store(&segment->file.conn, kind, text);
    room[0] = (char)kind;
    memcpy(room + 1, text.ptr, text.len);
    struct name *name = gw_map_get(&segment->names, key);
    if (name)
        return name->id;
    int64_t id = store(&segment->file.conn, kind, text);
    if (segment->file.conn.rc != SQLITE_OK)
        return 0;
    if (segment->names.count >= NAMES_KEPT)
        sqlite_names_forget(segment);
    name = gw_alloc(sizeof(*name) + key.len);
    name->id = id;
    memcpy(name->bytes, key.ptr, key.len);
    name->key = (struct gw_slice){name->bytes, key.len};
    gw_map_put(&segment->names, name->key, name);
    return id;
}

int64_t sqlite_name_find(struct sqlite_segment *segment, int kind, struct gw_slice text)
{
    return stored(&segment->file.conn, kind, text);
}
