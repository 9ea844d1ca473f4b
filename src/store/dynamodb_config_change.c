/* dynamodb_config_change.c: puts and removes a config.
 *
 *   Query of the app ─▶ judge ─▶ numbers ─▶ wakes ─▶ transaction: revision, config, line
 *      ▲                                               │
 *      └─────── somebody else changed the app ◀────────┘   ROUNDS times, then "again"
 *
 * A change is made only if the app's revision still is what it was made from, so it has seen all the
 * app's configs as one moment had them; and it asks for the config's version and lane again, for a
 * Query may meet another change half way.
 *
 * What may be sent otherwise from now on (activated, led elsewhere, removed) is woken: before the change,
 * so that a crash between the two wakes for nothing, and so late that the change is in force
 * everywhere by then.
 *
 * Owns the lanes' numbers until they are stored: a failure makes them 0 again. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "base/crypto.h"

#define ROUNDS         5
#define CHANGE_MS      2000 /* a transaction is given up then, */
#define WAKE_DELAY_S   8    /* and 5 s later what it changed is in force everywhere */
#define ITEM_BYTES_MAX ((size_t)390 * 1024) /* AWS: 400 KB, names and keys included */

struct changing {
    struct dynamodb_configs configs;
    struct gw_slice app_id, event_type;
    struct gw_config *config; /* to be put; NULL: it is to go */
    uint64_t expected;        /* version; of a removal, 0 = any */
    const struct gw_audit *audit;
    struct gw_snapshot **snapshot;
    unsigned rounds;
    uint64_t **given; /* lanes of the config that have got their numbers here */
    size_t given_count;
};

static void read_app(struct dynamodb_run *run);

/* Where the config stands among the app's; configs.count: nowhere. */
static size_t place_of(const struct changing *changing)
{
    const struct dynamodb_configs *configs = &changing->configs;
    size_t at = 0;

    while (at < configs->count && !gw_slice_eq(configs->all[at]->event_type, changing->event_type))
        at++;
    return at;
}

static const struct gw_config *stored_of(const struct changing *changing)
{
    size_t at = place_of(changing);

    return at < changing->configs.count ? changing->configs.all[at] : NULL;
}

static enum gw_err judge(const struct changing *changing)
{
    const struct gw_config *stored = stored_of(changing), *config = changing->config;

    if (config && changing->expected == 0)
        return stored ? GW_ERR_EXISTS : GW_OK;
    if (stored == NULL)
        return GW_ERR_NOT_FOUND;
    if (changing->expected != 0 && stored->version != changing->expected)
        return GW_ERR_CONFLICT;
    return config && stored->routes[0].lane != config->routes[0].lane ? GW_ERR_CONFLICT : GW_OK;
}

/* ── Lanes ─────────────────────────────────────────────────────────────────────────────────── */

static size_t count_new_lanes(const struct gw_config *config)
{
    size_t count = 0;

    for (size_t i = 0; config && i < config->route_count; i++)
        count += config->routes[i].lane == 0;
    return count;
}

static void give_lanes(struct dynamodb_run *run)
{
    struct changing *changing = run->own;
    struct gw_config *config = changing->config;
    uint64_t next = run->line.first_lane;

    changing->given = gw_arena_alloc(&run->arena, (run->line.lane_count + 1) * sizeof(uint64_t *));
    for (size_t i = 0; config && i < config->route_count; i++) {
        if (config->routes[i].lane != 0)
            continue;
        config->routes[i].lane = next++;
        changing->given[changing->given_count++] = &config->routes[i].lane;
    }
}

static void end(struct dynamodb_run *run)
{
    struct changing *changing = run->own;

    for (size_t i = 0; run->op->err != GW_OK && i < changing->given_count; i++)
        *changing->given[i] = 0;
    dynamodb_configs_forget(&changing->configs);
}

/* ── The transaction ───────────────────────────────────────────────────────────────────────── */

static void put_key(struct dynamodb_run *run, yyjson_mut_val *object, const char *name,
                    struct gw_slice event_type)
{
    const struct changing *changing = run->own;
    yyjson_mut_val *key = gw_aws_dynamodb_object(&run->db, object, name);

    gw_aws_dynamodb_put_text(&run->db, key, "appId", changing->app_id);
    gw_aws_dynamodb_put_text(&run->db, key, "eventType", event_type);
}

static void add_revision(struct dynamodb_run *run)
{
    const struct changing *changing = run->own;
    int64_t was = (int64_t)changing->configs.revision;
    yyjson_mut_val *update = dynamodb_change_add(run, "Update", DYNAMODB_CONFIG);
    yyjson_mut_val *values = dynamodb_values(run, update);

    put_key(run, update, "Key", GW_SLICE(DYNAMODB_MARK));
    dynamodb_put_expression(run, update, "UpdateExpression", "SET #revision = :next");
    dynamodb_put_expression(run, update, "ConditionExpression",
                            was ? "#revision = :was" : "attribute_not_exists(#revision)");
    gw_aws_dynamodb_put_number(&run->db, values, ":next", was + 1);
    if (was)
        gw_aws_dynamodb_put_number(&run->db, values, ":was", was);
}

/* That what is stored is what was read. */
static void add_condition(struct dynamodb_run *run, yyjson_mut_val *part)
{
    const struct gw_config *stored = stored_of(run->own);

    if (stored == NULL) {
        dynamodb_put_expression(run, part, "ConditionExpression", "attribute_not_exists(#appId)");
        return;
    }
    yyjson_mut_val *values = dynamodb_values(run, part);
    dynamodb_put_expression(run, part, "ConditionExpression",
                            "#version = :version AND #lane = :lane");
    gw_aws_dynamodb_put_number(&run->db, values, ":version", (int64_t)stored->version);
    gw_aws_dynamodb_put_number(&run->db, values, ":lane", (int64_t)stored->routes[0].lane);
}

/* False: the config is too large for an item. */
static bool add_config(struct dynamodb_run *run)
{
    const struct changing *changing = run->own;
    const struct gw_config *config = changing->config;
    yyjson_mut_val *put = dynamodb_change_add(run, "Put", DYNAMODB_CONFIG);
    struct gw_buf plain = {0};

    gw_config_encode(config, &plain);
    struct gw_slice sealed =
        dynamodb_seal(run->store, &run->arena, config->app_id, config->event_type,
                      dynamodb_config_field(run, config->version), gw_buf_slice(&plain));
    gw_wipe(plain.ptr, plain.cap); /* it holds secrets */
    gw_buf_deinit(&plain);
    put_key(run, put, "Item", config->event_type);
    yyjson_mut_val *item = yyjson_mut_obj_get(put, "Item");
    gw_aws_dynamodb_put_number(&run->db, item, "version", (int64_t)config->version);
    gw_aws_dynamodb_put_number(&run->db, item, "lane", (int64_t)config->routes[0].lane);
    gw_aws_dynamodb_put_number(&run->db, item, "updated_ms", config->updated_ms);
    gw_aws_dynamodb_put_bytes(&run->db, item, "config", sealed);
    add_condition(run, put);
    return sealed.len <= ITEM_BYTES_MAX;
}

static void add_removal(struct dynamodb_run *run)
{
    const struct changing *changing = run->own;
    yyjson_mut_val *delete = dynamodb_change_add(run, "Delete", DYNAMODB_CONFIG);

    put_key(run, delete, "Key", changing->event_type);
    add_condition(run, delete);
}

/* With its first config an app comes to the list of apps, and leaves it with its last. */
static void add_app(struct dynamodb_run *run)
{
    const struct changing *changing = run->own;

    if (changing->config && changing->configs.count == 0) {
        yyjson_mut_val *put = dynamodb_change_add(run, "Put", DYNAMODB_ADMIN);
        yyjson_mut_val *item = gw_aws_dynamodb_object(&run->db, put, "Item");
        gw_aws_dynamodb_put_text(&run->db, item, "pk", DYNAMODB_APPS);
        gw_aws_dynamodb_put_text(&run->db, item, "sk", changing->app_id);
    } else if (changing->config == NULL && changing->configs.count == 1) {
        yyjson_mut_val *delete = dynamodb_change_add(run, "Delete", DYNAMODB_ADMIN);
        dynamodb_put_key(run, delete, DYNAMODB_APPS, changing->app_id);
    }
}

/* What was read, with the change in it. */
static void apply(struct changing *changing)
{
    struct dynamodb_configs *configs = &changing->configs;
    size_t at = place_of(changing);

    configs->revision++;
    if (at < configs->count) {
        gw_config_unref(configs->all[at]);
        configs->all[at] = configs->all[--configs->count];
    }
    if (changing->config)
        dynamodb_configs_add(configs, gw_config_ref(changing->config));
}

static void on_written(struct dynamodb_run *run)
{
    struct changing *changing = run->own;

    if (dynamodb_err(run) == GW_OK) {
        apply(changing);
        *changing->snapshot = dynamodb_configs_snapshot(&changing->configs, changing->app_id);
        dynamodb_done(run, GW_OK);
    } else if (dynamodb_change_met_another(run) && ++changing->rounds < ROUNDS) {
        read_app(run); /* it is another app now than the one that was judged */
    } else {
        dynamodb_fail(run, &run->db.call);
    }
}

static void write_change(struct dynamodb_run *run)
{
    const struct changing *changing = run->own;
    bool is_well = true;

    dynamodb_change_begin(run);
    add_revision(run);
    if (changing->config)
        is_well = add_config(run);
    else
        add_removal(run);
    add_app(run);
    if (is_well)
        dynamodb_change_send(run, on_written);
    else
        dynamodb_done(run, GW_ERR_TOO_LARGE);
}

/* ── Wakes ─────────────────────────────────────────────────────────────────────────────────── */

static bool has_lane(const struct gw_config *config, uint64_t lane)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].lane == lane)
            return true;
    return false;
}

/* May what waits in the config's lanes be sent now, or elsewhere, or never? */
static bool is_to_wake(const struct gw_config *stored, const struct gw_config *config)
{
    if (config == NULL || (config->is_active && !stored->is_active) ||
        !gw_slice_eq(config->routes[0].url.text, stored->routes[0].url.text))
        return true;
    for (size_t i = 0; i < stored->route_count; i++)
        if (!has_lane(config, stored->routes[i].lane))
            return true;
    return false;
}

static void on_woken(struct dynamodb_run *run, const struct gw_aws_batch *sent)
{
    if (sent->call.error.code == GW_OK)
        write_change(run);
    else
        dynamodb_fail(run, &sent->call);
}

static void wake(struct dynamodb_run *run, const struct gw_config *stored)
{
    struct gw_aws_entry entries[GW_AWS_SQS_BATCH_MAX] = {0};
    uint64_t *lanes = gw_arena_alloc(&run->arena, stored->route_count * sizeof(*lanes));
    size_t count = 0;

    for (size_t i = 0; i < stored->route_count; i++)
        lanes[i] = stored->routes[i].lane;
    for (size_t at = 0; at < stored->route_count; at += GW_WAKE_LANES_MAX) {
        size_t left = stored->route_count - at;
        struct gw_wake one = {
            .kind = GW_WAKE_LANES,
            .app_id = stored->app_id,
            .lanes = lanes + at,
            .lane_count = left < GW_WAKE_LANES_MAX ? left : GW_WAKE_LANES_MAX,
        };
        entries[count++] = (struct gw_aws_entry){
            .body = dynamodb_wake_text(run, &one),
            .delay_s = WAKE_DELAY_S,
        };
    }
    dynamodb_wake(run, entries, count, on_woken);
}

/* ── The way ───────────────────────────────────────────────────────────────────────────────── */

static void wake_and_write(struct dynamodb_run *run)
{
    const struct changing *changing = run->own;
    const struct gw_config *stored = stored_of(changing);

    if (stored && run->store->options.queue_url && is_to_wake(stored, changing->config))
        wake(run, stored);
    else
        write_change(run);
}

static void on_numbers(struct dynamodb_run *run)
{
    give_lanes(run);
    wake_and_write(run);
}

static void on_read(struct dynamodb_run *run)
{
    const struct changing *changing = run->own;
    enum gw_err err = judge(changing);

    if (err != GW_OK)
        dynamodb_done(run, err);
    else if (changing->rounds == 0)
        dynamodb_line_begin(run, changing->audit, count_new_lanes(changing->config), on_numbers);
    else
        wake_and_write(run);
}

static void read_app(struct dynamodb_run *run)
{
    struct changing *changing = run->own;

    dynamodb_configs_forget(&changing->configs);
    dynamodb_configs_read(run, changing->app_id, on_read);
}

static void begin_put(struct changing *changing, struct gw_config_put *op)
{
    changing->app_id = op->config->app_id;
    changing->event_type = op->config->event_type;
    changing->config = op->config;
    changing->expected = op->expected_version;
    changing->audit = &op->audit;
    changing->snapshot = &op->snapshot;
}

static void begin_remove(struct changing *changing, struct gw_config_remove *op)
{
    changing->app_id = op->app_id;
    changing->event_type = op->event_type;
    changing->expected = op->expected_version;
    changing->audit = &op->audit;
    changing->snapshot = &op->snapshot;
}

void dynamodb_config_change(struct dynamodb_run *run)
{
    struct changing *changing = gw_arena_zalloc(&run->arena, sizeof(*changing));

    run->own = changing;
    run->end = end;
    run->call_ms = CHANGE_MS;
    if (run->op->kind == GW_CALL_CONFIG_PUT)
        begin_put(changing, gw_container_of(run->op, struct gw_config_put, op));
    else
        begin_remove(changing, gw_container_of(run->op, struct gw_config_remove, op));
    if (!dynamodb_line_check(run, changing->audit))
        return;
    if (dynamodb_is_name(changing->app_id))
        read_app(run);
    else
        dynamodb_done(run, GW_ERR_NOT_FOUND);
}
