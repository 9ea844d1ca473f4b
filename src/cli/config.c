/* config.c: `gwh config list|get|delete`: looking at configs, and removing one. */
#include "cli/client.h"
#include "cli/config_body.h"
#include "cli/config_pair.h"
#include "cli/config_show.h"
#include "cli/pages.h"
#include "cli/table.h"
#include "cli/text.h"

#include <unistd.h>

#define ROWS_MAX 100000 /* of a list for people */

/* ── list ──────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column list_columns[] = {
    {.title = "APP", .width_min = 8, .width_max = 40},
    {.title = "TYPE", .width_min = 10, .width_max = 40},
    {.title = "URL", .width_min = 16, .width_max = 60},
    {.title = "ACTIVE"},
    {.title = "WORKFLOWS", .is_right = true, .is_optional = true},
    {.title = "VERSION", .is_right = true},
    {.title = "CHANGED", .is_right = true},
};

struct listing {
    struct gw_table table;
    int64_t now_ms;
};

static void add_config(void *ctx, yyjson_val *config)
{
    struct listing *listing = ctx;
    struct gw_table *table = &listing->table;
    bool is_active = !yyjson_is_false(yyjson_obj_get(config, "isActive"));
    size_t workflows = yyjson_obj_size(yyjson_obj_get(config, "workflows"));
    int64_t updated_ms = gw_client_time(config, "updatedAt");
    struct gw_buf age = {0};

    gw_table_add(table, gw_client_text(config, "appId"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(config, "eventType"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(config, "webhookUrl"), GW_TONE_PLAIN);
    gw_table_add(table, is_active ? GW_SLICE("yes") : GW_SLICE("no"),
                 is_active ? GW_TONE_GOOD : GW_TONE_WARN);
    if (workflows > 0)
        gw_table_addf(table, GW_TONE_PLAIN, "%zu", workflows);
    else
        gw_table_add(table, GW_SLICE(""), GW_TONE_PLAIN);
    gw_table_addf(table, GW_TONE_PLAIN, "%lld", (long long)gw_client_number(config, "version", 0));
    if (updated_ms != GW_NEVER) {
        gw_text_add_span(&age, listing->now_ms - updated_ms);
        gw_buf_adds(&age, GW_SLICE(" ago"));
    }
    gw_table_add(table, gw_buf_slice(&age), GW_TONE_PLAIN);
    gw_buf_deinit(&age);
}

static int list(struct gw_client *client, const char *app, const char *from, bool wide)
{
    struct listing listing = {.now_ms = gw_env_wall_ms(client->env)};
    struct gw_buf path = {0}, out = {0};

    gw_table_init(&listing.table, list_columns, gw_count(list_columns));
    gw_buf_adds(&path, GW_SLICE("/v1/config"));
    gw_client_add_query(&path, "appId", app);
    int code = gw_pages_walk(client, &(struct gw_pages){.path = gw_buf_text(&path),
                                                        .cursor = from,
                                                        .items_max = ROWS_MAX,
                                                        .each = add_config,
                                                        .ctx = &listing});
    if (code < 0 && !client->json) {
        struct gw_term term = gw_term_look(STDOUT_FILENO);
        if (listing.table.cell_count == 0)
            gw_buf_adds(&out, GW_SLICE("no configs; gwh config create --help shows how to make "
                                       "one\n"));
        else
            gw_table_print(&listing.table, &term, wide, &out);
        gw_term_flush(&out);
    }
    gw_buf_deinit(&out);
    gw_buf_deinit(&path);
    gw_table_deinit(&listing.table);
    return code < 0 ? GW_EXIT_DONE : code;
}

static int run_list(int argc, char **argv)
{
    struct gw_client_options common = {0};
    const char *app = NULL, *cursor = NULL;
    int wide = 0;
    const struct gw_option rows[] = {
        {.name = "app", .value = "APP", .help = "of this appId only", .text = &app},
        {.name = "cursor", .value = "C", .help = "go on behind an earlier page", .text = &cursor},
        {.name = "wide", .help = "cut nothing", .flag = &wide},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_config_list_command, .rows = rows, .count = gw_count(rows)};
    struct gw_client client;

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    code = gw_client_open(&client, &common);
    if (code < 0)
        code = list(&client, app, cursor, wide > 0);
    gw_client_close(&client);
    return code;
}

const struct gw_command gw_config_list_command = {
    .name = "config list",
    .summary = "all configs, or those of one app",
    .usage = "config list [--app APP] [options]",
    .example = "gwh config list\ngwh config list --app acme --json",
    .is_client = true,
    .main = run_list,
};

/* ── get, delete ───────────────────────────────────────────────────────────────────────────── */

static int on_pair(const struct gw_client_options *common, const struct gw_config_given *given,
                   const char *method, bool show_secret)
{
    struct gw_client client;
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0};

    gw_buf_adds(&path, GW_SLICE("/v1/config"));
    gw_client_add_query(&path, "appId", given->app);
    gw_client_add_query(&path, "eventType", given->type);
    gw_client_add_query(&path, "shareSecret", show_secret ? "true" : NULL);
    int code = gw_client_open(&client, common);
    if (code < 0)
        code = gw_client_call(
            &client, &(struct gw_client_request){.method = method, .path = gw_buf_text(&path)},
            &answer);
    if (code < 0 && !client.json && strcmp(method, "GET") == 0)
        gw_config_show(answer.result);
    gw_client_answer_deinit(&answer);
    gw_client_close(&client);
    gw_buf_deinit(&path);
    return code < 0 ? GW_EXIT_DONE : code;
}

static int run_get(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_given given;
    int show_secret = 0;
    const struct gw_option rows[] = {
        GW_CONFIG_KEY_OPTIONS(given),
        {.name = "show-secret", .help = "in clear; it is audited", .flag = &show_secret},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_get_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};

    gw_config_given_init(&given);
    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = gw_config_pair_take(&options, &given.app, &given.type);
    if (code < 0)
        code = on_pair(&common, &given, "GET", show_secret > 0);
    return code;
}

const struct gw_command gw_config_get_command = {
    .name = "config get",
    .summary = "one config, all of it",
    .usage = "config get APP TYPE [options]",
    .example = "gwh config get acme FINISH_TRANSACTION_WEBHOOK",
    .is_client = true,
    .main = run_get,
};

static int run_delete(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_given given;
    const struct gw_option rows[] = {GW_CONFIG_KEY_OPTIONS(given), GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_delete_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};

    gw_config_given_init(&given);
    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = gw_config_pair_take(&options, &given.app, &given.type);
    if (code >= 0)
        return code;
    code = on_pair(&common, &given, "DELETE", false);
    if (code == GW_EXIT_DONE && common.json == 0) {
        struct gw_buf out = {0};
        gw_buf_addf(&out, "deleted %s / %s; what waited for it is cancelled\n", given.app,
                    given.type);
        gw_term_flush(&out);
        gw_buf_deinit(&out);
    }
    return code;
}

const struct gw_command gw_config_delete_command = {
    .name = "config delete",
    .summary = "remove one config, and cancel what waits for it",
    .usage = "config delete APP TYPE [options]",
    .example = "gwh config delete acme FINISH_TRANSACTION_WEBHOOK",
    .is_client = true,
    .main = run_delete,
};
