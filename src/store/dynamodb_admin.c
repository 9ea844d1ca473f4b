/* dynamodb_admin.c: the admin port: API keys and the audit log, in the admin table.
 *
 *   keys           id      each key, in the order of ids
 *   key#APPID      id      the same, for who asks with that appid
 *   key_count#APPID        how many there are: a key is put on condition that there is room
 *   audit …                lines: see dynamodb_change.c
 *
 * Keys and lines are sealed; beside them stands only what is searched for, of a subject, which may be
 * a URL with tokens, its hash. A document that cannot be opened is damage: GW_ERR_CORRUPT, never one
 * left out.
 *
 * A list of lines reads PAGES_MAX pages at most: with filters that fit few lines a page of it may
 * hold less than was asked for, and still have a next one. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "store/admin_doc.h"

#define KEYS        GW_SLICE("keys")
#define COUNT       GW_SLICE("count") /* the sk of a counter */
#define PAGE_ITEMS  512               /* of lines that are sifted */
#define PAGES_MAX   16
#define NUMBER_TEXT 19 /* digits of a line's */

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice pk_of(struct dynamodb_run *run, const char *what, struct gw_slice appid)
{
    return gw_slice_from(gw_arena_printf(&run->arena, "%s#%.*s", what, GW_SLICE_ARG(appid)));
}

/* Into `arena`. */
static enum gw_err key_open(struct dynamodb_run *run, yyjson_val *item, struct gw_arena *arena,
                            struct gw_key *key)
{
    struct gw_slice id, appid, sealed, plain;

    *key = (struct gw_key){0};
    if (!gw_aws_dynamodb_take_text(item, "sk", &id) || id.len >= sizeof(key->id) ||
        !gw_aws_dynamodb_take_text(item, "appid", &appid) ||
        !gw_aws_dynamodb_take_bytes(item, "key", &run->arena, &sealed) ||
        !dynamodb_unseal(run->store, arena, appid, id, "key", sealed, &plain) ||
        !gw_admin_doc_read_key(plain, key))
        return GW_ERR_CORRUPT;
    memcpy(key->id, id.ptr, id.len);
    key->appid = gw_arena_dup(arena, appid);
    return GW_OK;
}

static void add_key(struct dynamodb_run *run, struct gw_slice pk, const struct gw_key *key,
                    struct gw_slice sealed)
{
    yyjson_mut_val *put = dynamodb_change_add(run, "Put", DYNAMODB_ADMIN);
    yyjson_mut_val *item = gw_aws_dynamodb_object(&run->db, put, "Item");

    gw_aws_dynamodb_put_text(&run->db, item, "pk", pk);
    gw_aws_dynamodb_put_text(&run->db, item, "sk", gw_slice_from(key->id));
    gw_aws_dynamodb_put_text(&run->db, item, "appid", key->appid);
    gw_aws_dynamodb_put_bytes(&run->db, item, "key", sealed);
    dynamodb_put_expression(run, put, "ConditionExpression", "attribute_not_exists(#pk)");
}

static void add_count(struct dynamodb_run *run, struct gw_slice appid, int64_t by)
{
    yyjson_mut_val *update = dynamodb_change_add(run, "Update", DYNAMODB_ADMIN);
    yyjson_mut_val *values = dynamodb_values(run, update);

    dynamodb_put_key(run, update, pk_of(run, "key_count", appid), COUNT);
    dynamodb_put_expression(run, update, "UpdateExpression", "ADD #count :by");
    gw_aws_dynamodb_put_number(&run->db, values, ":by", by);
    if (by < 0)
        return;
    dynamodb_put_expression(run, update, "ConditionExpression",
                            "attribute_not_exists(#count) OR #count < :max");
    gw_aws_dynamodb_put_number(&run->db, values, ":max", GW_KEYS_PER_APPID);
}

enum { PART_KEY, PART_COPY, PART_COUNT };

static void on_key_put(struct dynamodb_run *run)
{
    if (dynamodb_err(run) == GW_OK)
        dynamodb_done(run, GW_OK);
    else if (dynamodb_change_is_refused(run, PART_KEY))
        dynamodb_done(run, GW_ERR_EXISTS);
    else if (dynamodb_change_is_refused(run, PART_COUNT))
        dynamodb_done(run, GW_ERR_FULL);
    else
        dynamodb_fail(run, &run->db.call);
}

static void write_key(struct dynamodb_run *run)
{
    const struct gw_key *key = &gw_container_of(run->op, struct gw_key_put, op)->key;
    struct gw_buf text = {0};

    gw_admin_doc_write_key(key, &text);
    struct gw_slice sealed = dynamodb_seal(run->store, &run->arena, key->appid,
                                           gw_slice_from(key->id), "key", gw_buf_slice(&text));
    gw_buf_deinit(&text);
    dynamodb_change_begin(run);
    add_key(run, KEYS, key, sealed);
    add_key(run, pk_of(run, "key", key->appid), key, sealed);
    add_count(run, key->appid, 1);
    dynamodb_change_send(run, on_key_put);
}

static void key_put(struct dynamodb_run *run)
{
    const struct gw_key_put *op = gw_container_of(run->op, struct gw_key_put, op);

    if (dynamodb_line_check(run, &op->audit))
        dynamodb_line_begin(run, &op->audit, 0, write_key);
}

/* ── Keys: removing ────────────────────────────────────────────────────────────────────────── */

static bool is_of(const struct gw_key *key, struct gw_slice scope)
{
    return scope.len == 0 || gw_slice_eq(key->scope, scope);
}

static void on_key_removed(struct dynamodb_run *run)
{
    struct gw_key_remove *op = gw_container_of(run->op, struct gw_key_remove, op);
    const struct gw_key *key = run->own;

    if (dynamodb_err(run) == GW_OK) {
        op->key = *key;
        dynamodb_done(run, GW_OK);
    } else if (dynamodb_change_is_refused(run, PART_KEY)) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
    } else {
        dynamodb_fail(run, &run->db.call);
    }
}

static void delete_key(struct dynamodb_run *run)
{
    const struct gw_key *key = run->own;
    struct gw_slice id = gw_slice_from(key->id);

    dynamodb_change_begin(run);
    yyjson_mut_val *delete = dynamodb_change_add(run, "Delete", DYNAMODB_ADMIN);
    dynamodb_put_key(run, delete, KEYS, id);
    dynamodb_put_expression(run, delete, "ConditionExpression", "attribute_exists(#pk)");
    dynamodb_put_key(run, dynamodb_change_add(run, "Delete", DYNAMODB_ADMIN),
                     pk_of(run, "key", key->appid), id);
    add_count(run, key->appid, -1);
    dynamodb_change_send(run, on_key_removed);
}

static void on_key_read(struct dynamodb_run *run)
{
    struct gw_key_remove *op = gw_container_of(run->op, struct gw_key_remove, op);
    struct gw_key *key = gw_arena_alloc(&run->arena, sizeof(*key));
    enum gw_err err = GW_ERR_NOT_FOUND;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    if (run->db.item)
        err = key_open(run, run->db.item, op->arena, key);
    if (err == GW_OK && !is_of(key, op->scope))
        err = GW_ERR_NOT_FOUND;
    if (err != GW_OK) {
        dynamodb_done(run, err);
        return;
    }
    run->own = key;
    op->audit.app_id = key->scope;
    dynamodb_line_begin(run, &op->audit, 0, delete_key);
}

static void key_remove(struct dynamodb_run *run)
{
    const struct gw_key_remove *op = gw_container_of(run->op, struct gw_key_remove, op);

    if (!dynamodb_line_check(run, &op->audit))
        return;
    if (op->id.len >= GW_KEY_ID_MAX || !dynamodb_is_name(op->id)) {
        dynamodb_done(run, GW_ERR_NOT_FOUND);
        return;
    }
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_GET_ITEM, DYNAMODB_ADMIN);
    dynamodb_put_key(run, db->root, KEYS, op->id);
    dynamodb_put_flag(run, db->root, "ConsistentRead");
    dynamodb_send(run, on_key_read);
}

/* ── Keys: looking ─────────────────────────────────────────────────────────────────────────── */

static enum gw_err take_found(struct dynamodb_run *run, yyjson_val *item)
{
    struct gw_key_find *op = gw_container_of(run->op, struct gw_key_find, op);

    if (op->count == GW_KEYS_PER_APPID)
        return GW_ERR_CORRUPT;
    enum gw_err err = key_open(run, item, op->arena, &op->keys[op->count]);
    op->count += err == GW_OK;
    return err;
}

static void done(struct dynamodb_run *run)
{
    dynamodb_done(run, GW_OK);
}

static void key_find(struct dynamodb_run *run)
{
    struct gw_key_find *op = gw_container_of(run->op, struct gw_key_find, op);

    op->keys = gw_arena_alloc(op->arena, GW_KEYS_PER_APPID * sizeof(*op->keys));
    if (!dynamodb_is_name(op->appid)) { /* anybody may ask, with anything */
        dynamodb_done(run, GW_OK);
        return;
    }
    dynamodb_query(run, &(struct dynamodb_query){
                            .table = DYNAMODB_ADMIN,
                            .keys = "#pk = :pk",
                            .values = {{":pk", pk_of(run, "key", op->appid)}},
                            .take = take_found,
                            .then = done,
                        });
}

static enum gw_err take_listed(struct dynamodb_run *run, yyjson_val *item)
{
    struct gw_key_list *op = gw_container_of(run->op, struct gw_key_list, op);
    struct gw_key key;
    enum gw_err err = key_open(run, item, op->arena, &key);

    if (err != GW_OK || !is_of(&key, op->scope))
        return err;
    op->more = run->query.is_enough = op->count == op->max;
    if (!op->more)
        op->keys[op->count++] = key;
    return GW_OK;
}

/* The keys of a scope have it for their appid. */
static void key_list(struct dynamodb_run *run)
{
    struct gw_key_list *op = gw_container_of(run->op, struct gw_key_list, op);
    struct gw_slice pk = op->scope.len > 0 ? pk_of(run, "key", op->scope) : KEYS;
    bool is_first = op->after.len == 0;

    op->keys = gw_arena_alloc(op->arena, op->max * sizeof(*op->keys));
    if (!is_first && !dynamodb_is_name(op->after)) {
        dynamodb_done(run, GW_ERR_INVALID);
        return;
    }
    dynamodb_query(run, &(struct dynamodb_query){
                            .table = DYNAMODB_ADMIN,
                            .keys = is_first ? "#pk = :pk" : "#pk = :pk AND #sk > :after",
                            .values = {{":pk", pk}, {is_first ? NULL : ":after", op->after}},
                            .page_max = op->max + 1,
                            .take = take_listed,
                            .then = done,
                        });
}

/* ── The audit log ─────────────────────────────────────────────────────────────────────────── */

static void on_line_added(struct dynamodb_run *run)
{
    if (dynamodb_err(run) == GW_OK)
        dynamodb_done(run, GW_OK);
    else
        dynamodb_fail(run, &run->db.call);
}

static void add_line(struct dynamodb_run *run)
{
    dynamodb_change_begin(run);
    dynamodb_change_send(run, on_line_added);
}

static void audit_add(struct dynamodb_run *run)
{
    const struct gw_audit_add *op = gw_container_of(run->op, struct gw_audit_add, op);

    if (dynamodb_line_check(run, &op->audit))
        dynamodb_line_begin(run, &op->audit, 0, add_line);
}

struct listing {
    struct gw_slice subject; /* as an item has it; ptr NULL: any will do */
    uint64_t last;           /* that was looked at */
};

static bool is_meant(const struct dynamodb_run *run, yyjson_val *item)
{
    const struct gw_audit_list *op = gw_container_of(run->op, struct gw_audit_list, op);
    const struct listing *listing = run->own;
    struct gw_slice subject;
    bool is_config;

    if (op->configs_only && !(gw_aws_dynamodb_take_bool(item, "config", &is_config) && is_config))
        return false;
    return listing->subject.ptr == NULL || (gw_aws_dynamodb_take_text(item, "subject", &subject) &&
                                            gw_slice_eq(subject, listing->subject));
}

static enum gw_err line_open(struct dynamodb_run *run, yyjson_val *item, struct gw_slice sk,
                             struct gw_audit *line)
{
    struct gw_arena *arena = gw_container_of(run->op, struct gw_audit_list, op)->arena;
    struct gw_slice sealed, plain, app_id = {0};
    const struct listing *listing = run->own;

    *line = (struct gw_audit){.at_ms = (int64_t)(listing->last >> DYNAMODB_TURN_BITS)};
    if (gw_aws_dynamodb_take_text(item, "app", &app_id))
        line->app_id = gw_arena_dup(arena, app_id);
    if (!gw_aws_dynamodb_take_bytes(item, "line", &run->arena, &sealed) ||
        !dynamodb_unseal(run->store, arena, app_id, sk, "line", sealed, &plain) ||
        !gw_admin_doc_read_line(plain, arena, line))
        return GW_ERR_CORRUPT;
    return GW_OK;
}

static enum gw_err take_line(struct dynamodb_run *run, yyjson_val *item)
{
    struct gw_audit_list *op = gw_container_of(run->op, struct gw_audit_list, op);
    struct listing *listing = run->own;
    uint64_t before = listing->last;
    struct gw_slice sk;

    if (!gw_aws_dynamodb_take_text(item, "sk", &sk) || !gw_slice_u64(sk, &listing->last))
        return GW_ERR_CORRUPT;
    if (!is_meant(run, item))
        return GW_OK;
    if (op->count < op->max) {
        enum gw_err err = line_open(run, item, sk, &op->lines[op->count]);
        op->count += err == GW_OK;
        return err;
    }
    op->next = before;
    run->query.is_enough = true;
    return GW_OK;
}

static void on_lines(struct dynamodb_run *run)
{
    struct gw_audit_list *op = gw_container_of(run->op, struct gw_audit_list, op);
    const struct listing *listing = run->own;

    if (!run->query.is_enough && run->query.more) /* the pages were used up */
        op->next = listing->last;
    dynamodb_done(run, GW_OK);
}

/* Lines of that time, and later ones, have numbers above. */
static uint64_t first_number(int64_t at_ms)
{
    if (at_ms <= 0)
        return 0;
    return at_ms < GW_AUDIT_AT_END ? (uint64_t)at_ms << DYNAMODB_TURN_BITS : INT64_MAX;
}

/* *page_max: as many as are wanted, or, where few of them may be meant, more. */
static struct gw_slice partition_of(struct dynamodb_run *run, const struct gw_audit_list *op,
                                    size_t *page_max)
{
    bool is_history = op->subject.len > 0 && op->configs_only;
    bool is_sifted = op->subject.len > 0 || op->configs_only;

    *page_max = is_history || !is_sifted ? op->max + 1 : PAGE_ITEMS;
    return is_history ? dynamodb_line_history(run, op->app_id, op->subject)
                      : dynamodb_line_pk(run, op->app_id);
}

static void audit_list(struct dynamodb_run *run)
{
    struct gw_audit_list *op = gw_container_of(run->op, struct gw_audit_list, op);
    struct listing *listing = gw_arena_zalloc(&run->arena, sizeof(*listing));
    uint64_t from = first_number(op->from_ms);
    uint64_t end = op->to_ms > 0 ? first_number(op->to_ms) : INT64_MAX;
    struct gw_slice pk;
    size_t page_max;

    if (op->subject.len > 0 && op->app_id.len == 0) {
        dynamodb_done(run, GW_ERR_INVALID);
        return;
    }
    if (op->before > 0 && op->before < end)
        end = op->before;
    op->lines = gw_arena_alloc(op->arena, op->max * sizeof(*op->lines));
    if (from >= end || (op->app_id.len > 0 && !dynamodb_is_name(op->app_id))) {
        dynamodb_done(run, GW_OK);
        return;
    }
    if (op->subject.len > 0)
        listing->subject = dynamodb_line_subject(run, op->app_id, op->subject);
    run->own = listing;
    pk = partition_of(run, op, &page_max);
    dynamodb_query(run, &(struct dynamodb_query){
                            .table = DYNAMODB_ADMIN,
                            .keys = "#pk = :pk AND #sk BETWEEN :from AND :last",
                            .values = {{":pk", pk},
                                       {":from", dynamodb_line_sk(run, from)},
                                       {":last", dynamodb_line_sk(run, end - 1)}},
                            .is_backward = true,
                            .page_max = page_max,
                            .pages_max = PAGES_MAX,
                            .take = take_line,
                            .then = on_lines,
                        });
}

void dynamodb_admin_start(struct dynamodb_run *run)
{
    switch (run->op->kind) {
    case GW_CALL_KEY_PUT: key_put(run); return;
    case GW_CALL_KEY_REMOVE: key_remove(run); return;
    case GW_CALL_KEY_FIND: key_find(run); return;
    case GW_CALL_KEY_LIST: key_list(run); return;
    case GW_CALL_AUDIT_ADD: audit_add(run); return;
    case GW_CALL_AUDIT_LIST: audit_list(run); return;
    default: gw_never("no operation of the admin port");
    }
}
