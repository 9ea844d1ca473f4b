/* keys.c: `gwh keys create|list|revoke`: who may call the API.
 *
 * A new key is written to standard output once and nowhere else; what is said about it goes to
 * standard error, so that GWH_KEY=$(gwh keys create …) holds the key alone. */
#include "cli/ask.h"
#include "cli/text.h"
#include "core/strict.h"

#include <stdio.h>

#define WORDS_MAX 250

/* "admin, client" */
static void add_roles(yyjson_val *key, struct gw_buf *out)
{
    size_t i, max;
    yyjson_val *role;

    yyjson_arr_foreach(yyjson_obj_get(key, "roles"), i, max, role)
    {
        if (i > 0)
            gw_buf_adds(out, GW_SLICE(", "));
        gw_text_add_clean(out, gw_strict_str(role), false);
    }
}

/* ── create ────────────────────────────────────────────────────────────────────────────────── */

struct wish {
    const char *roles, *scope, *name;
};

static void make_body(const struct wish *wish, struct gw_buf *body)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    struct gw_slice rest = gw_slice_from(wish->roles), role;

    yyjson_mut_doc_set_root(doc, root);
    if (wish->name)
        yyjson_mut_obj_add_str(doc, root, "name", wish->name);
    yyjson_mut_val *roles = yyjson_mut_obj_add_arr(doc, root, "roles");
    while (gw_slice_split(&rest, ',', &role)) {
        role = gw_slice_trim(role);
        yyjson_mut_arr_add_strn(doc, roles, role.ptr, role.len);
    }
    yyjson_mut_obj_add_str(doc, root, "scope", wish->scope);
    gw_ask_body(doc, body);
}

static void tell_new(struct gw_page *page, yyjson_val *key)
{
    struct gw_buf said = {0};
    struct gw_slice appid = gw_client_text(key, "appid"), appkey = gw_client_text(key, "appkey");

    gw_text_add_clean(&said, gw_client_text(key, "id"), false);
    gw_buf_adds(&said, GW_SLICE(" ("));
    add_roles(key, &said);
    gw_buf_adds(&said, GW_SLICE(") is made. This is the only time its key is shown:\n"));
    fputs(gw_buf_text(&said), stderr);
    gw_buf_addf(&page->out, "%.*s:%.*s\n", GW_SLICE_ARG(appid), GW_SLICE_ARG(appkey));
    gw_buf_deinit(&said);
}

static int create(const struct gw_client_options *common, const struct wish *wish)
{
    struct gw_buf body = {0};

    make_body(wish, &body);
    int code = gw_ask_once(common, &(struct gw_ask){.method = "POST",
                                                    .path = "/v1/keys",
                                                    .body = gw_buf_slice(&body),
                                                    .tell = tell_new});
    gw_buf_deinit(&body);
    return code;
}

static int run_create(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct wish wish = {0};
    const struct gw_option rows[] = {
        {.name = "role",
         .value = "R,R",
         .help = "what it may do: producer, client, viewer, admin",
         .text = &wish.roles},
        {.name = "scope", .value = "APP|*", .help = "for one app, or for any", .text = &wish.scope},
        {.name = "name",
         .value = "NAME",
         .help = "what it is called in the audit log; needed where the scope is *",
         .text = &wish.name},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_keys_create_command, .rows = rows, .count = gw_count(rows)};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && (wish.roles == NULL || wish.scope == NULL))
        code = gw_term_fail(GW_EXIT_USAGE, "keys create: --%s is missing; usage: gwh %s",
                            wish.roles ? "scope" : "role", gw_keys_create_command.usage);
    return code < 0 ? create(&common, &wish) : code;
}

const struct gw_command gw_keys_create_command = {
    .name = "keys create",
    .summary = "make an API key and print it, appid:appkey",
    .usage = "keys create --role R,R --scope APP|* [--name NAME] [options]",
    .example = "gwh keys create --role client --scope acme\n"
               "export GWH_KEY=$(gwh keys create --role producer --scope '*' --name audit-portal)",
    .notes = "producer  post events\n"
             "client    configure its app, see it, retry\n"
             "viewer    see its app, without payloads and secrets\n"
             "admin     all of it, and keys and the audit log\n"
             "The key is shown this once: the server keeps its hash only. Several keys may serve\n"
             "one app, so that one can take another's place: create, change over, revoke.",
    .is_client = true,
    .main = run_create,
};

/* ── list ──────────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column columns[] = {
    {.title = "KEY"},
    {.title = "APPID", .width_min = 8, .width_max = 40},
    {.title = "NAME", .width_min = 8, .width_max = 40, .is_optional = true},
    {.title = "ROLES"},
    {.title = "SCOPE", .width_min = 8, .width_max = 40},
    {.title = "AGE", .is_right = true},
};

static void tell_key(struct gw_page *page, yyjson_val *key)
{
    struct gw_table *table = &page->table;
    struct gw_buf roles = {0};

    gw_table_add(table, gw_client_text(key, "id"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(key, "appid"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(key, "name"), GW_TONE_PLAIN);
    add_roles(key, &roles);
    gw_table_add(table, gw_buf_slice(&roles), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(key, "scope"), GW_TONE_PLAIN);
    gw_page_add_age(page, gw_client_time(key, "createdAt"), "");
    gw_buf_deinit(&roles);
}

static int run_list(int argc, char **argv)
{
    struct gw_list_options given = {0};
    const struct gw_option rows[] = {GW_LIST_OPTIONS(given)};
    struct gw_options options = {
        .command = &gw_keys_list_command, .rows = rows, .count = gw_count(rows)};

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    return gw_ask_list(&given, &(struct gw_ask_list){
                                   .path = "/v1/keys",
                                   .tell = tell_key,
                                   .columns = columns,
                                   .column_count = gw_count(columns),
                                   .none = "no keys but the admin's own; gwh keys create --help "
                                           "shows how to make one",
                               });
}

const struct gw_command gw_keys_list_command = {
    .name = "keys list",
    .summary = "all API keys; never the keys themselves",
    .usage = "keys list [options]",
    .example = "gwh keys list",
    .notes = "The admin key of the data directory or GWH_ADMIN_KEY is not among them.",
    .is_client = true,
    .main = run_list,
};

/* ── revoke ────────────────────────────────────────────────────────────────────────────────── */

static void tell_revoked(struct gw_page *page, yyjson_val *result)
{
    (void)result;
    gw_buf_adds(&page->out, GW_SLICE("revoked "));
    gw_text_add_clean(&page->out, gw_slice_from(page->ctx), false);
    gw_buf_adds(&page->out, GW_SLICE("; it is refused from now on\n"));
}

static int run_revoke(int argc, char **argv)
{
    struct gw_client_options common = {0};
    const struct gw_option rows[] = {GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_keys_revoke_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_min = 1,
                                 .words_max = WORDS_MAX};

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    return gw_ask_each(
        &common, &(struct gw_ask){.method = "DELETE", .path = "/v1/keys", .tell = tell_revoked},
        options.words, options.word_count);
}

const struct gw_command gw_keys_revoke_command = {
    .name = "keys revoke",
    .summary = "end an API key, at once and for ever",
    .usage = "keys revoke key_… [key_…] [options]",
    .example = "gwh keys revoke key_0123456789abcdef",
    .is_client = true,
    .main = run_revoke,
};
