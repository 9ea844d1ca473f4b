/* memory_admin.c: the rules of API keys, and of the audit log. */
#include "store/memory_state.h"

#include "base/check.h"

#define TURN_BITS 20 /* of a line's place, below its time */

struct memory_key {
    struct gw_list link; /* in gw_memory.keys, by id */
    struct gw_key key;   /* strings are ours */
};

struct memory_line {
    struct gw_list link;   /* in gw_memory.lines, oldest first */
    uint64_t place;        /* its time and its turn: what `next` and `before` are */
    struct gw_audit audit; /* strings are ours */
};

/* ── The audit log ─────────────────────────────────────────────────────────────────────────── */

enum gw_err memory_audit_check(const struct gw_memory *memory, const struct gw_audit *audit)
{
    enum gw_err err = gw_audit_check(audit);

    return err == GW_OK && memory->line_count >= MEMORY_LINES_MAX ? GW_ERR_FULL : err;
}

void memory_audit_write(struct gw_memory *memory, const struct gw_audit *audit)
{
    struct memory_line *line = gw_zalloc(sizeof(*line));
    struct gw_list *before = memory->lines.prev;

    line->audit = (struct gw_audit){
        .at_ms = audit->at_ms,
        .actor = memory_dup(audit->actor),
        .address = memory_dup(audit->address),
        .action = gw_audit_action(gw_slice_from(audit->action)),
        .app_id = memory_dup(audit->app_id),
        .subject = memory_dup(audit->subject),
        .detail = memory_dup(audit->detail),
    };
    line->place = ((uint64_t)audit->at_ms << TURN_BITS) + 1;
    while (before != &memory->lines &&
           gw_container_of(before, struct memory_line, link)->audit.at_ms > audit->at_ms)
        before = before->prev;
    if (before != &memory->lines &&
        gw_container_of(before, struct memory_line, link)->audit.at_ms == audit->at_ms)
        line->place = gw_container_of(before, struct memory_line, link)->place + 1;
    gw_list_insert_before(before->next, &line->link);
    memory->line_count++;
}

enum gw_err memory_audit_add(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_audit_add *op = gw_container_of(base, struct gw_audit_add, op);
    enum gw_err err = memory_audit_check(memory, &op->audit);

    if (err == GW_OK)
        memory_audit_write(memory, &op->audit);
    return err;
}

static bool is_meant(const struct gw_audit_list *op, const struct memory_line *line)
{
    const struct gw_audit *audit = &line->audit;

    if (op->before > 0 && line->place >= op->before)
        return false;
    if (audit->at_ms < op->from_ms || (op->to_ms > 0 && audit->at_ms >= op->to_ms))
        return false;
    if (op->configs_only && !gw_audit_is_config(audit))
        return false;
    return (op->app_id.len == 0 || gw_slice_eq(op->app_id, audit->app_id)) &&
           (op->subject.len == 0 || gw_slice_eq(op->subject, audit->subject));
}

enum gw_err memory_audit_list(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_audit_list *op = gw_container_of(base, struct gw_audit_list, op);
    uint64_t last = 0;

    if (op->subject.len > 0 && op->app_id.len == 0)
        return GW_ERR_INVALID;
    op->lines = gw_arena_alloc(op->arena, op->max * sizeof(*op->lines));
    for (struct gw_list *at = memory->lines.prev; at != &memory->lines; at = at->prev) {
        const struct memory_line *line = gw_container_of(at, struct memory_line, link);
        if (!is_meant(op, line))
            continue;
        if (op->count == op->max) {
            op->next = last;
            break;
        }
        last = line->place;
        op->lines[op->count++] = (struct gw_audit){
            .at_ms = line->audit.at_ms,
            .actor = gw_arena_dup(op->arena, line->audit.actor),
            .address = gw_arena_dup(op->arena, line->audit.address),
            .action = line->audit.action,
            .app_id = gw_arena_dup(op->arena, line->audit.app_id),
            .subject = gw_arena_dup(op->arena, line->audit.subject),
            .detail = gw_arena_dup(op->arena, line->audit.detail),
        };
    }
    return GW_OK;
}

static void line_free(struct memory_line *line)
{
    gw_free((char *)line->audit.actor.ptr);
    gw_free((char *)line->audit.address.ptr);
    gw_free((char *)line->audit.app_id.ptr);
    gw_free((char *)line->audit.subject.ptr);
    gw_free((char *)line->audit.detail.ptr);
    gw_free(line);
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static struct memory_key *key_of(struct gw_list *link)
{
    return gw_container_of(link, struct memory_key, link);
}

/* The first that is not before `id`; the list's head when there is none. */
static struct gw_list *key_seek(struct gw_memory *memory, struct gw_slice id)
{
    struct gw_list *at = memory->keys.next;

    while (at != &memory->keys && memory_compare(gw_slice_from(key_of(at)->key.id), id) < 0)
        at = at->next;
    return at;
}

static bool is_of(const struct gw_key *key, struct gw_slice scope)
{
    return scope.len == 0 || gw_slice_eq(key->scope, scope);
}

static bool is_there(const struct gw_memory *memory, struct gw_list *at, struct gw_slice id)
{
    return at != &memory->keys && gw_slice_is(id, key_of(at)->key.id);
}

static size_t count_of(const struct gw_memory *memory, struct gw_slice appid)
{
    size_t count = 0;

    gw_list_each (link, &memory->keys)
        count += gw_slice_eq(key_of(link)->key.appid, appid);
    return count;
}

enum gw_err memory_key_put(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_key_put *op = gw_container_of(base, struct gw_key_put, op);
    struct gw_list *at = key_seek(memory, gw_slice_from(op->key.id));
    enum gw_err err = memory_audit_check(memory, &op->audit);

    if (err != GW_OK)
        return err;
    if (is_there(memory, at, gw_slice_from(op->key.id)))
        return GW_ERR_EXISTS;
    if (memory->key_count >= MEMORY_KEYS_MAX ||
        count_of(memory, op->key.appid) >= GW_KEYS_PER_APPID)
        return GW_ERR_FULL;
    struct memory_key *item = gw_zalloc(sizeof(*item));
    item->key = op->key;
    item->key.appid = memory_dup(op->key.appid);
    item->key.name = memory_dup(op->key.name);
    item->key.scope = memory_dup(op->key.scope);
    gw_list_insert_before(at, &item->link);
    memory->key_count++;
    memory_audit_write(memory, &op->audit);
    return GW_OK;
}

static struct gw_key key_copy(const struct gw_key *key, struct gw_arena *arena)
{
    struct gw_key copy = *key;

    copy.appid = gw_arena_dup(arena, key->appid);
    copy.name = gw_arena_dup(arena, key->name);
    copy.scope = gw_arena_dup(arena, key->scope);
    return copy;
}

static void key_free(struct gw_memory *memory, struct memory_key *item)
{
    gw_list_remove(&item->link);
    memory->key_count--;
    gw_free((char *)item->key.appid.ptr);
    gw_free((char *)item->key.name.ptr);
    gw_free((char *)item->key.scope.ptr);
    gw_free(item);
}

enum gw_err memory_key_remove(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_key_remove *op = gw_container_of(base, struct gw_key_remove, op);
    struct gw_list *at = key_seek(memory, op->id);
    enum gw_err err = memory_audit_check(memory, &op->audit);

    if (err != GW_OK)
        return err;
    if (!is_there(memory, at, op->id) || !is_of(&key_of(at)->key, op->scope))
        return GW_ERR_NOT_FOUND;
    op->key = key_copy(&key_of(at)->key, op->arena);
    key_free(memory, key_of(at));
    op->audit.app_id = op->key.scope;
    memory_audit_write(memory, &op->audit);
    return GW_OK;
}

enum gw_err memory_key_find(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_key_find *op = gw_container_of(base, struct gw_key_find, op);

    op->keys = gw_arena_alloc(op->arena, GW_KEYS_PER_APPID * sizeof(*op->keys));
    gw_list_each (link, &memory->keys)
        if (gw_slice_eq(key_of(link)->key.appid, op->appid))
            op->keys[op->count++] = key_copy(&key_of(link)->key, op->arena);
    return GW_OK;
}

enum gw_err memory_key_list(struct gw_memory *memory, struct gw_op *base)
{
    struct gw_key_list *op = gw_container_of(base, struct gw_key_list, op);
    struct gw_list *at = key_seek(memory, op->after);

    if (is_there(memory, at, op->after))
        at = at->next;
    op->keys = gw_arena_alloc(op->arena, op->max * sizeof(*op->keys));
    for (; at != &memory->keys && !op->more; at = at->next) {
        if (!is_of(&key_of(at)->key, op->scope))
            continue;
        op->more = op->count == op->max;
        if (!op->more)
            op->keys[op->count++] = key_copy(&key_of(at)->key, op->arena);
    }
    return GW_OK;
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

void memory_admin_free(struct gw_memory *memory)
{
    struct gw_list *link;

    while (!gw_list_empty(&memory->keys))
        key_free(memory, key_of(memory->keys.next));
    while ((link = gw_list_pop(&memory->lines)) != NULL)
        line_free(gw_container_of(link, struct memory_line, link));
}
