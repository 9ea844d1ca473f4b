/* dynamodb_tables.c: the three tables, and how they are made where they are missing.
 *
 *   table by table: describe ─ not there ─▶ create ─▶ describe … until ACTIVE ─▶ time to live ─▶ next
 *
 * deploy/aws makes the same ones: a change here is one there. Owns its run, on the env's thread of
 * init->aws. Failure: ends at once with what was made so far; it may be run again at any time. */
#include "store/dynamodb_impl.h"

#include "base/check.h"

#include <stdio.h>

#define DEADLINE_MS 120000
#define CALL_MS     10000
#define LOOK_MS     500

struct attribute {
    const char *name, *type;
};

struct index {
    const char *name, *hash, *range;
    const char *with[12]; /* attributes beside the keys; ends with NULL */
};

#define INDEXES_MAX    3
#define ATTRIBUTES_MAX 9

static const struct table {
    const char *suffix;
    const char *hash, *range;
    struct attribute attributes[ATTRIBUTES_MAX]; /* of all keys; ends with a NULL name */
    struct index indexes[INDEXES_MAX];           /* ends with a NULL name */
    bool expires;                                /* items go when their "ttl" is over */
} tables[DYNAMODB_TABLES] = {
    [DYNAMODB_CONFIG] =
        {
            .suffix = "config",
            .hash = "appId",
            .range = "eventType",
            .attributes = {{"appId", "S"}, {"eventType", "S"}},
        },
    /* An index holds what seldom changes: each change of what it holds is a write more. */
    [DYNAMODB_LEDGER] =
        {
            .suffix = "ledger",
            .hash = "pk",
            .range = "sk",
            .attributes = {{"pk", "S"},
                           {"sk", "S"},
                           {"by_app", "S"},
                           {"by_app_sk", "S"},
                           {"by_key", "S"},
                           {"by_key_sk", "S"},
                           {"open", "S"},
                           {"open_sk", "S"}},
            .indexes = {{"by_app",
                         "by_app",
                         "by_app_sk",
                         {"type", "event_id", "transaction_id", "skip", "lane", "state", "job",
                          "created_ms", "ended_ms"}},
                        {"by_key", "by_key", "by_key_sk", {"app"}},
                        {"open",
                         "open",
                         "open_sk",
                         {"app", "lane", "state", "reason", "ended_ms", "attempts", "step",
                          "due_ms", "resume_ms", "created_ms"}}},
            .expires = true,
        },
    [DYNAMODB_ADMIN] =
        {
            .suffix = "admin",
            .hash = "pk",
            .range = "sk",
            .attributes = {{"pk", "S"}, {"sk", "S"}},
            .expires = true,
        },
};

const char *dynamodb_table_suffix(enum dynamodb_table table)
{
    return tables[table].suffix;
}

/* ── The requests ──────────────────────────────────────────────────────────────────────────── */

struct making {
    struct gw_dynamodb_init *init;
    struct gw_env *env;
    struct gw_arena arena;
    struct gw_aws_dynamodb db;
    struct gw_timer timer;
    int64_t deadline_us;
    int at;        /* in tables */
    bool was_made; /* by us or by another */
    bool is_ours;
};

static void add(struct making *making, yyjson_mut_val *object, const char *name, const char *text)
{
    gw_check(yyjson_mut_obj_add_str(making->db.doc, object, name, text));
}

static void add_key(struct making *making, yyjson_mut_val *object, const char *hash,
                    const char *range)
{
    yyjson_mut_doc *doc = making->db.doc;
    yyjson_mut_val *schema = yyjson_mut_obj_add_arr(doc, object, "KeySchema");
    yyjson_mut_val *part = yyjson_mut_arr_add_obj(doc, schema);

    add(making, part, "AttributeName", hash);
    add(making, part, "KeyType", "HASH");
    part = yyjson_mut_arr_add_obj(doc, schema);
    add(making, part, "AttributeName", range);
    add(making, part, "KeyType", "RANGE");
}

static void add_index(struct making *making, yyjson_mut_val *list, const struct index *index)
{
    yyjson_mut_doc *doc = making->db.doc;
    yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, list);

    add(making, one, "IndexName", index->name);
    add_key(making, one, index->hash, index->range);
    yyjson_mut_val *projection = yyjson_mut_obj_add_obj(doc, one, "Projection");
    add(making, projection, "ProjectionType", "INCLUDE");
    yyjson_mut_val *with = yyjson_mut_obj_add_arr(doc, projection, "NonKeyAttributes");
    for (size_t i = 0; i < gw_count(index->with) && index->with[i]; i++)
        yyjson_mut_arr_add_str(doc, with, index->with[i]);
}

static void fill_create(struct making *making)
{
    const struct table *table = &tables[making->at];
    yyjson_mut_doc *doc = making->db.doc;
    yyjson_mut_val *root = making->db.root;

    add(making, root, "BillingMode", "PAY_PER_REQUEST");
    yyjson_mut_val *attributes = yyjson_mut_obj_add_arr(doc, root, "AttributeDefinitions");
    for (const struct attribute *a = table->attributes; a->name; a++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, attributes);
        add(making, one, "AttributeName", a->name);
        add(making, one, "AttributeType", a->type);
    }
    add_key(making, root, table->hash, table->range);
    if (table->indexes[0].name == NULL)
        return;
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "GlobalSecondaryIndexes");
    for (size_t i = 0; i < INDEXES_MAX && table->indexes[i].name; i++)
        add_index(making, list, &table->indexes[i]);
}

static void fill_expiry(struct making *making)
{
    yyjson_mut_val *how =
        gw_aws_dynamodb_object(&making->db, making->db.root, "TimeToLiveSpecification");

    add(making, how, "AttributeName", "ttl");
    yyjson_mut_obj_add_bool(making->db.doc, how, "Enabled", true);
}

static void request(struct making *making, enum gw_aws_dynamodb_op op)
{
    gw_arena_reset(&making->arena);
    making->db = (struct gw_aws_dynamodb){0};
    making->db.call.client = &making->init->aws->clients[GW_AWS_DYNAMODB];
    making->db.call.arena = &making->arena;
    gw_aws_dynamodb_init(&making->db, op);
    add(making, making->db.root, "TableName",
        gw_arena_printf(&making->arena, "%s-%s", making->init->tables, tables[making->at].suffix));
}

static void ask(struct making *making, void (*done)(struct gw_aws_dynamodb *db))
{
    making->db.call.deadline_us = gw_env_mono_us(making->env) + (int64_t)CALL_MS * 1000;
    making->db.done = done;
    gw_aws_dynamodb_start(&making->db);
}

/* ── The way ───────────────────────────────────────────────────────────────────────────────── */

static void look(struct making *making);

static void finish(struct making *making)
{
    struct gw_dynamodb_init *init = making->init;

    init->error = making->db.call.error;
    gw_arena_deinit(&making->arena);
    gw_free(making);
    init->done(init);
}

static void on_later(struct gw_timer *timer)
{
    look(gw_container_of(timer, struct making, timer));
}

/* AWS makes a table in its own time. */
static void look_later(struct making *making)
{
    if (gw_env_mono_us(making->env) > making->deadline_us) {
        gw_error_set(&making->db.call.error, GW_ERR_TIMEOUT,
                     "dynamodb: %s-%s: must be ready within %d s, was not", making->init->tables,
                     tables[making->at].suffix, DEADLINE_MS / 1000);
        finish(making);
        return;
    }
    making->timer.fire = on_later;
    gw_env_timer_set(making->env, &making->timer, LOOK_MS);
}

static void next_table(struct making *making)
{
    struct gw_dynamodb_init *init = making->init;

    if (init->told)
        init->told(
            init, gw_arena_printf(&making->arena, "%s-%s", init->tables, tables[making->at].suffix),
            making->is_ours);
    making->was_made = making->is_ours = false;
    if (++making->at == DYNAMODB_TABLES)
        finish(making);
    else
        look(making);
}

static void on_expiry_set(struct gw_aws_dynamodb *db)
{
    struct making *making = gw_container_of(db, struct making, db);

    if (db->call.error.code != GW_OK)
        finish(making);
    else
        next_table(making);
}

static void on_expiry(struct gw_aws_dynamodb *db)
{
    struct making *making = gw_container_of(db, struct making, db);
    struct gw_slice status = gw_aws_json_text(
        yyjson_obj_get(db->call.json, "TimeToLiveDescription"), "TimeToLiveStatus");

    if (db->call.error.code != GW_OK) {
        finish(making);
    } else if (gw_slice_is(status, "ENABLED") || gw_slice_is(status, "ENABLING")) {
        next_table(making);
    } else {
        request(making, GW_AWS_UPDATE_TTL);
        fill_expiry(making);
        ask(making, on_expiry_set);
    }
}

static void on_created(struct gw_aws_dynamodb *db)
{
    struct making *making = gw_container_of(db, struct making, db);

    /* Another made it meanwhile, or too many are being made: both show by looking again. */
    if (db->call.error.code != GW_OK && db->call.error.code != GW_ERR_EXISTS &&
        db->call.error.code != GW_ERR_BUSY) {
        finish(making);
        return;
    }
    making->was_made = db->call.error.code != GW_ERR_BUSY;
    making->is_ours = db->call.error.code == GW_OK;
    making->init->made += making->is_ours;
    if (making->was_made)
        look(making);
    else
        look_later(making);
}

static void on_looked(struct gw_aws_dynamodb *db)
{
    struct making *making = gw_container_of(db, struct making, db);
    struct gw_slice status =
        gw_aws_json_text(yyjson_obj_get(db->call.json, "Table"), "TableStatus");

    if (db->call.error.code == GW_ERR_NOT_FOUND && !making->was_made) {
        request(making, GW_AWS_CREATE_TABLE);
        fill_create(making);
        ask(making, on_created);
    } else if (db->call.error.code == GW_ERR_NOT_FOUND) {
        look_later(making);
    } else if (db->call.error.code != GW_OK) {
        finish(making);
    } else if (gw_slice_is(status, "CREATING")) {
        look_later(making);
    } else if (tables[making->at].expires) {
        request(making, GW_AWS_DESCRIBE_TTL);
        ask(making, on_expiry);
    } else {
        next_table(making);
    }
}

static void look(struct making *making)
{
    request(making, GW_AWS_DESCRIBE_TABLE);
    ask(making, on_looked);
}

void gw_dynamodb_init_start(struct gw_dynamodb_init *init)
{
    struct making *making = gw_zalloc(sizeof(*making));

    init->run = making;
    init->made = 0;
    init->error = (struct gw_error){.code = GW_OK};
    making->init = init;
    making->env = init->aws->clients[GW_AWS_DYNAMODB].env;
    making->deadline_us = gw_env_mono_us(making->env) + (int64_t)DEADLINE_MS * 1000;
    look(making);
}
