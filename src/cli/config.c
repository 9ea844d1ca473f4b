/* config.c: `gwh config list|get|delete`: looking at configs, and removing one. */
#include "cli/config_pair.h"
#include "cli/config_show.h"
#include "cli/text.h"

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

static void tell_config(struct gw_page *page, yyjson_val *config)
{
    struct gw_table *table = &page->table;
    bool is_active = !yyjson_is_false(yyjson_obj_get(config, "isActive"));
    size_t workflows = yyjson_obj_size(yyjson_obj_get(config, "workflows"));

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
    gw_page_add_age(page, gw_client_time(config, "updatedAt"), " ago");
}

static int run_list(int argc, char **argv)
{
    struct gw_list_options given = {0};
    const char *app = NULL;
    int show_secret = 0;
    const struct gw_option rows[] = {
        {.name = "app", .value = "APP", .help = "of this appId only", .text = &app},
        {.name = "show-secret",
         .help = "in clear, with --json; it is audited",
         .flag = &show_secret},
        GW_LIST_OPTIONS(given)};
    struct gw_options options = {
        .command = &gw_config_list_command, .rows = rows, .count = gw_count(rows)};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && show_secret > 0 && given.common.json <= 0)
        code = gw_term_fail(GW_EXIT_USAGE, "config list: --show-secret: needs --json");
    if (code >= 0)
        return code;
    return gw_ask_list(
        &given, &(struct gw_ask_list){
                    .path = "/v1/config",
                    .query = {{"appId", app}, {"shareSecret", show_secret > 0 ? "true" : NULL}},
                    .tell = tell_config,
                    .columns = list_columns,
                    .column_count = gw_count(list_columns),
                    .none = "no configs; gwh config create --help shows how to make one",
                });
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

static int run_get(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_pair pair = {0};
    int show_secret = 0;
    const struct gw_option rows[] = {
        GW_CONFIG_PAIR_OPTIONS(pair),
        {.name = "show-secret", .help = "in clear; it is audited", .flag = &show_secret},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_get_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};

    int code = gw_config_pair_parse(&options, argc, argv, &pair);
    if (code >= 0)
        return code;
    return gw_ask_once(&common, &(struct gw_ask){
                                    .path = "/v1/config",
                                    .query = {{"appId", pair.app},
                                              {"eventType", pair.type},
                                              {"shareSecret", show_secret > 0 ? "true" : NULL}},
                                    .tell = gw_config_show,
                                });
}

const struct gw_command gw_config_get_command = {
    .name = "config get",
    .summary = "one config, all of it",
    .usage = "config get APP TYPE [options]",
    .example = "gwh config get acme FINISH_TRANSACTION_WEBHOOK",
    .is_client = true,
    .main = run_get,
};

static void tell_deleted(struct gw_page *page, yyjson_val *result)
{
    const struct gw_config_pair *pair = page->ctx;

    (void)result;
    gw_buf_addf(&page->out, "deleted %s / %s; what waited for it is cancelled\n", pair->app,
                pair->type);
}

static int run_delete(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_pair pair = {0};
    const struct gw_option rows[] = {GW_CONFIG_PAIR_OPTIONS(pair), GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_delete_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};

    int code = gw_config_pair_parse(&options, argc, argv, &pair);
    if (code >= 0)
        return code;
    return gw_ask_once(&common, &(struct gw_ask){
                                    .method = "DELETE",
                                    .path = "/v1/config",
                                    .query = {{"appId", pair.app}, {"eventType", pair.type}},
                                    .tell = tell_deleted,
                                    .ctx = &pair,
                                });
}

const struct gw_command gw_config_delete_command = {
    .name = "config delete",
    .summary = "remove one config, and cancel what waits for it",
    .usage = "config delete APP TYPE [options]",
    .example = "gwh config delete acme FINISH_TRANSACTION_WEBHOOK",
    .is_client = true,
    .main = run_delete,
};
