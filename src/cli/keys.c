/* keys.c: `gwh keys create|list|revoke`: who may call the API.
 *
 * A new key is written to standard output once and nowhere else; what is said about it goes to
 * standard error, so that GWH_KEY=$(gwh keys create …) holds the key alone. */
#include "base/alloc.h"
#include "cli/pages.h"
#include "cli/table.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS_MAX  100000
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
        gw_text_add_clean(out, (struct gw_slice){yyjson_get_str(role), yyjson_get_len(role)},
                          false);
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
    size_t len = 0;

    yyjson_mut_doc_set_root(doc, root);
    if (wish->name)
        yyjson_mut_obj_add_str(doc, root, "name", wish->name);
    yyjson_mut_val *roles = yyjson_mut_obj_add_arr(doc, root, "roles");
    while (gw_slice_split(&rest, ',', &role)) {
        role = gw_slice_trim(role);
        yyjson_mut_arr_add_strn(doc, roles, role.ptr, role.len);
    }
    yyjson_mut_obj_add_str(doc, root, "scope", wish->scope);
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
    gw_buf_add(body, text, len);
    free(text);
    yyjson_mut_doc_free(doc);
}

static void show_new(yyjson_val *key)
{
    struct gw_buf out = {0}, said = {0};
    struct gw_slice appid = gw_client_text(key, "appid"), appkey = gw_client_text(key, "appkey");

    gw_text_add_clean(&said, gw_client_text(key, "id"), false);
    gw_buf_adds(&said, GW_SLICE(" ("));
    add_roles(key, &said);
    gw_buf_adds(&said, GW_SLICE(") is made. This is the only time its key is shown:\n"));
    fputs(gw_buf_text(&said), stderr);
    gw_buf_addf(&out, "%.*s:%.*s\n", GW_SLICE_ARG(appid), GW_SLICE_ARG(appkey));
    gw_term_flush(&out);
    gw_buf_deinit(&said);
    gw_buf_deinit(&out);
}

static int create(const struct gw_client_options *common, const struct wish *wish)
{
    struct gw_client client;
    struct gw_client_answer answer = {0};
    struct gw_buf body = {0};

    make_body(wish, &body);
    int code = gw_client_open(&client, common);
    if (code < 0)
        code =
            gw_client_call(&client,
                           &(struct gw_client_request){
                               .method = "POST", .path = "/v1/keys", .body = gw_buf_slice(&body)},
                           &answer);
    if (code < 0 && !client.json)
        show_new(answer.result);
    gw_client_answer_deinit(&answer);
    gw_client_close(&client);
    gw_buf_deinit(&body);
    return code < 0 ? GW_EXIT_DONE : code;
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

struct listing {
    struct gw_table table;
    int64_t now_ms;
};

static void add_key(void *ctx, yyjson_val *key)
{
    struct listing *listing = ctx;
    struct gw_table *table = &listing->table;
    int64_t created_ms = gw_client_time(key, "createdAt");
    struct gw_buf text = {0};

    gw_table_add(table, gw_client_text(key, "id"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(key, "appid"), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(key, "name"), GW_TONE_PLAIN);
    add_roles(key, &text);
    gw_table_add(table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_table_add(table, gw_client_text(key, "scope"), GW_TONE_PLAIN);
    gw_buf_clear(&text);
    if (created_ms != GW_NEVER)
        gw_text_add_span(&text, listing->now_ms - created_ms);
    gw_table_add(table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_buf_deinit(&text);
}

static int list(struct gw_client *client, const char *from, bool wide)
{
    struct listing listing = {.now_ms = gw_env_wall_ms(client->env)};
    struct gw_buf out = {0};

    gw_table_init(&listing.table, columns, gw_count(columns));
    int code = gw_pages_walk(client, &(struct gw_pages){.path = "/v1/keys",
                                                        .cursor = from,
                                                        .items_max = ROWS_MAX,
                                                        .each = add_key,
                                                        .ctx = &listing});
    if (code < 0 && !client->json) {
        struct gw_term term = gw_term_look(STDOUT_FILENO);
        if (listing.table.cell_count == 0)
            gw_buf_adds(&out, GW_SLICE("no keys but the admin's own; gwh keys create --help shows "
                                       "how to make one\n"));
        else
            gw_table_print(&listing.table, &term, wide, &out);
        gw_term_flush(&out);
    }
    gw_buf_deinit(&out);
    gw_table_deinit(&listing.table);
    return code < 0 ? GW_EXIT_DONE : code;
}

static int run_list(int argc, char **argv)
{
    struct gw_client_options common = {0};
    const char *cursor = NULL;
    int wide = 0;
    const struct gw_option rows[] = {
        {.name = "cursor", .value = "C", .help = "go on behind an earlier page", .text = &cursor},
        {.name = "wide", .help = "cut nothing", .flag = &wide},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {
        .command = &gw_keys_list_command, .rows = rows, .count = gw_count(rows)};
    struct gw_client client;

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    code = gw_client_open(&client, &common);
    if (code < 0)
        code = list(&client, cursor, wide > 0);
    gw_client_close(&client);
    return code;
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

static int revoke_one(struct gw_client *client, const char *id)
{
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0}, out = {0};

    gw_buf_adds(&path, GW_SLICE("/v1/keys"));
    gw_client_add_segment(&path, id);
    int code = gw_client_call(
        client, &(struct gw_client_request){.method = "DELETE", .path = gw_buf_text(&path)},
        &answer);
    if (code < 0 && !client->json) {
        gw_buf_adds(&out, GW_SLICE("revoked "));
        gw_text_add_clean(&out, gw_slice_from(id), false);
        gw_buf_adds(&out, GW_SLICE("; it is refused from now on\n"));
        gw_term_flush(&out);
    }
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&out);
    gw_buf_deinit(&path);
    return code < 0 ? GW_EXIT_DONE : code;
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
    struct gw_client client;
    int worst = GW_EXIT_DONE;

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    code = gw_client_open(&client, &common);
    for (size_t i = 0; code < 0 && i < options.word_count; i++) {
        int one = revoke_one(&client, options.words[i]);
        if (one > worst)
            worst = one;
    }
    gw_client_close(&client);
    return code < 0 ? worst : code;
}

const struct gw_command gw_keys_revoke_command = {
    .name = "keys revoke",
    .summary = "end an API key, at once and for ever",
    .usage = "keys revoke key_… [key_…] [options]",
    .example = "gwh keys revoke key_0123456789abcdef",
    .is_client = true,
    .main = run_revoke,
};
