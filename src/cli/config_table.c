/* config_table.c: scans a table of DynamoDB and turns its typed attributes into plain JSON: texts,
 * numbers (digit by digit), booleans, nulls, lists, maps, and sets of texts, which are lists.
 *
 * Owns the loop, the clients, and two pages: one is looked at while the next is asked for. A page that
 * AWS has no time for is asked for again, TRIES times; nothing is written. */
#include "cli/config_table.h"

#include "aws/dynamodb.h"
#include "cli/cloud.h"
#include "cli/command.h"
#include "cli/term.h"
#include "core/strict.h"
#include "sys/loop.h"

#define CALL_MS   30000
#define TRIES     6
#define AGAIN_MS  500 /* twice that each time */
#define DEPTH_MAX 32  /* DynamoDB's */

struct reading {
    struct gw_cloud cloud;
    struct gw_arena pages[2];
    size_t page;
    struct gw_aws_dynamodb db;
    struct gw_timer timer;
    const char *table;
};

/* ── From typed to plain ───────────────────────────────────────────────────────────────────── */

static bool is_number(struct gw_slice text)
{
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, YYJSON_READ_NUMBER_AS_RAW);
    bool is_it = yyjson_is_raw(yyjson_doc_get_root(doc));

    yyjson_doc_free(doc);
    return is_it;
}

static yyjson_mut_val *plain_of(yyjson_mut_doc *doc, yyjson_val *typed, int depth);

static yyjson_mut_val *plain_list(yyjson_mut_doc *doc, yyjson_val *list, bool is_set, int depth)
{
    yyjson_mut_val *out = yyjson_mut_arr(doc);
    yyjson_val *item;
    size_t i, max;

    yyjson_arr_foreach(list, i, max, item)
    {
        yyjson_mut_val *one =
            is_set ? yyjson_val_mut_copy(doc, item) : plain_of(doc, item, depth + 1);
        if (!yyjson_mut_arr_append(out, one))
            return NULL;
    }
    return out;
}

static yyjson_mut_val *plain_map(yyjson_mut_doc *doc, yyjson_val *map, int depth)
{
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    yyjson_val *name, *typed;
    size_t i, max;

    yyjson_obj_foreach(map, i, max, name, typed)
    {
        yyjson_mut_val *one = plain_of(doc, typed, depth + 1);
        if (!yyjson_mut_obj_add(out, yyjson_val_mut_copy(doc, name), one))
            return NULL;
    }
    return out;
}

static const char *type_of(yyjson_val *typed)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(typed);
    const char *type = yyjson_get_str(yyjson_obj_iter_next(&iter));

    return type ? type : "nothing";
}

/* NULL: JSON has nothing for it. */
static yyjson_mut_val *plain_of(yyjson_mut_doc *doc, yyjson_val *typed, int depth)
{
    struct gw_slice type = gw_slice_from(type_of(typed));
    yyjson_val *value = yyjson_obj_get(typed, type.ptr);
    struct gw_slice text = gw_strict_str(value);

    if (depth > DEPTH_MAX)
        return NULL;
    if (gw_slice_is(type, "S") || gw_slice_is(type, "BOOL"))
        return yyjson_val_mut_copy(doc, value);
    if (gw_slice_is(type, "N"))
        return is_number(text) ? yyjson_mut_rawn(doc, text.ptr, text.len) : NULL;
    if (gw_slice_is(type, "NULL"))
        return yyjson_mut_null(doc);
    if (gw_slice_is(type, "M"))
        return plain_map(doc, value, depth);
    if (gw_slice_is(type, "L") || gw_slice_is(type, "SS"))
        return plain_list(doc, value, gw_slice_is(type, "SS"), depth);
    return NULL;
}

/* ── Items ─────────────────────────────────────────────────────────────────────────────────── */

static const char *fill(struct reading *reading, yyjson_val *item, yyjson_mut_doc *doc,
                        yyjson_mut_val *config)
{
    const char *refused = NULL;
    yyjson_val *name, *typed;
    size_t i, max;

    yyjson_obj_foreach(item, i, max, name, typed)
    {
        yyjson_mut_val *plain = plain_of(doc, typed, 1);
        if (plain)
            yyjson_mut_obj_add(config, yyjson_val_mut_copy(doc, name), plain);
        else if (refused == NULL)
            refused = gw_arena_printf(&reading->pages[reading->page],
                                      "%.60s: must be S, N, BOOL, NULL, L, M or SS, and so all "
                                      "in it, was %s",
                                      yyjson_get_str(name), type_of(typed));
    }
    return refused;
}

static int see_item(struct reading *reading, yyjson_val *item, gw_config_table_see *see, void *ctx)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *config = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, config);
    const char *refused = fill(reading, item, doc, config);
    yyjson_doc *plain = yyjson_mut_doc_imut_copy(doc, NULL);
    int code = see(ctx, yyjson_doc_get_root(plain), refused);
    yyjson_doc_free(plain);
    yyjson_mut_doc_free(doc);
    return code;
}

/* ── Pages ─────────────────────────────────────────────────────────────────────────────────── */

static void on_page(struct gw_aws_dynamodb *db)
{
    gw_loop_stop(db->call.client->env);
}

static void on_pause_over(struct gw_timer *timer)
{
    gw_loop_stop(gw_container_of(timer, struct reading, timer)->cloud.env);
}

static void ask(struct reading *reading, yyjson_val *more)
{
    struct gw_aws_dynamodb *db = &reading->db;

    *db = (struct gw_aws_dynamodb){.done = on_page};
    db->call.client = &reading->cloud.aws->clients[GW_AWS_DYNAMODB];
    db->call.arena = &reading->pages[reading->page];
    db->call.deadline_us = gw_env_mono_us(reading->cloud.env) + (int64_t)CALL_MS * 1000;
    gw_aws_dynamodb_init(db, GW_AWS_SCAN);
    yyjson_mut_obj_add_str(db->doc, db->root, "TableName", reading->table);
    yyjson_mut_obj_add_bool(db->doc, db->root, "ConsistentRead", true);
    if (more)
        yyjson_mut_obj_add_val(db->doc, db->root, "ExclusiveStartKey",
                               yyjson_val_mut_copy(db->doc, more));
    gw_aws_dynamodb_start(db);
    gw_loop_run(reading->cloud.env);
}

/* -1: the page is there. */
static int read_page(struct reading *reading, yyjson_val *more)
{
    const struct gw_aws_call *call = &reading->db.call;

    for (int i = 0; i < TRIES; i++) {
        int64_t again_ms = (int64_t)AGAIN_MS << i;
        ask(reading, more);
        if (gw_err_class(call->error.code) != GW_CLASS_AGAIN || i + 1 == TRIES)
            break;
        reading->timer.fire = on_pause_over;
        gw_env_timer_set(reading->cloud.env, &reading->timer,
                         call->retry_after_ms > again_ms ? call->retry_after_ms : again_ms);
        gw_loop_run(reading->cloud.env);
    }
    if (call->error.code == GW_OK)
        return -1;
    return gw_term_fail(GW_EXIT_FAILED, "--table %s: %s", reading->table, call->error.text);
}

int gw_config_table_read(const char *table, gw_config_table_see *see, void *ctx)
{
    struct reading reading = {.table = table};
    yyjson_val *more = NULL, *item;
    size_t i, max;

    int code = gw_cloud_open(&reading.cloud);
    do {
        reading.page = !reading.page;
        gw_arena_reset(&reading.pages[reading.page]);
        if (code < 0)
            code = read_page(&reading, more);
        if (code >= 0)
            break;
        yyjson_arr_foreach(reading.db.items, i, max, item)
        {
            if (code < 0)
                code = see_item(&reading, item, see, ctx);
        }
        more = reading.db.more;
    } while (code < 0 && more);
    gw_cloud_close(&reading.cloud);
    gw_arena_deinit(&reading.pages[0]);
    gw_arena_deinit(&reading.pages[1]);
    return code;
}
