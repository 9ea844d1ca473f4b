/* config_import.c: `gwh config import`: many configs at once, as another server tells them, or as they
 * stand in a table of DynamoDB.
 *
 * Each config is created; where there is one already it stays, or with --update becomes
 * what it says there. One that is refused spoils only itself; a server that does not answer, or not
 * to this key, ends it. What only the server says of a config (its version, its times, masks) is no
 * part of what is sent. Owns the file's text and a table of what became of each. */
#include "base/alloc.h"
#include "base/crypto.h"
#include "cli/ask.h"
#include "cli/config_table.h"
#include "cli/input.h"
#include "cli/text.h"
#include "core/strict.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct import {
    struct gw_client client;
    struct gw_table table;
    bool updates;
    bool shows_progress;
    int64_t created, changed, kept, refused;
    int64_t secrets; /* made by the server, for the file had none */
};

static const struct gw_table_column columns[] = {
    {.title = "APP", .width_min = 8, .width_max = 40},
    {.title = "TYPE", .width_min = 10, .width_max = 40},
    {.title = "CONFIG"},
    {.title = "WHY", .width_min = 20, .is_optional = true},
};

/* ── What is sent ──────────────────────────────────────────────────────────────────────────── */

static bool is_only_told(struct gw_slice name)
{
    static const char *const told[] = {"version", "createdAt", "updatedAt", "publicKey",
                                       "warnings"};

    for (size_t i = 0; i < gw_count(told); i++)
        if (gw_slice_is(name, told[i]))
            return true;
    return false;
}

static bool is_masked(struct gw_slice secret)
{
    return secret.ptr && memmem(secret.ptr, secret.len, "…", strlen("…")) != NULL;
}

/* The config without what is only told of one. */
static void make_body(yyjson_val *config, struct gw_buf *body)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_val *key, *value;
    size_t i, max;

    yyjson_mut_doc_set_root(doc, root);
    yyjson_obj_foreach(config, i, max, key, value)
    {
        bool is_mask = gw_slice_is(gw_strict_str(key), "secret") && is_masked(gw_strict_str(value));
        if (!is_mask && !is_only_told(gw_strict_str(key)))
            yyjson_mut_obj_add(root, yyjson_val_mut_copy(doc, key),
                               yyjson_val_mut_copy(doc, value));
    }
    gw_ask_body(doc, body);
}

/* ── One config ────────────────────────────────────────────────────────────────────────────── */

static void tell(struct import *import, yyjson_val *config, const char *what, enum gw_tone tone,
                 struct gw_slice why)
{
    gw_table_add(&import->table, gw_client_text(config, "appId"), GW_TONE_PLAIN);
    gw_table_add(&import->table, gw_client_text(config, "eventType"), GW_TONE_PLAIN);
    gw_table_add(&import->table, gw_slice_from(what), tone);
    gw_table_add(&import->table, why, GW_TONE_PLAIN);
}

static void take(struct import *import, yyjson_val *config, bool is_new,
                 const struct gw_client_answer *answer)
{
    bool has_secret =
        gw_client_text(config, "secret").ptr && !is_masked(gw_client_text(config, "secret"));

    if (answer->status == 409 && is_new) {
        import->kept++;
        tell(import, config, "kept", GW_TONE_DIM, GW_SLICE("there is one; --update changes it"));
    } else if (answer->status > 299) {
        struct gw_slice error = gw_client_text(yyjson_doc_get_root(answer->doc), "error");
        import->refused++;
        tell(import, config, "refused", GW_TONE_BAD, error);
    } else if (is_new) {
        import->created++;
        import->secrets += !has_secret;
        tell(import, config, "created", GW_TONE_GOOD, GW_SLICE(""));
    } else {
        import->changed++;
        tell(import, config, "changed", GW_TONE_GOOD, GW_SLICE(""));
    }
}

/* -1: it was answered, whatever that says. */
static int ask(struct import *import, const char *method, const struct gw_buf *body,
               struct gw_client_answer *answer)
{
    struct gw_client_request request = {
        .method = method, .path = "/v1/config", .body = gw_buf_slice(body)};

    int code = gw_client_ask(&import->client, &request, answer);
    if (code < 0 && (answer->status == 401 || answer->status > 499 || answer->doc == NULL))
        code = gw_client_refused(&import->client, answer);
    return code;
}

static int64_t count_all(const struct import *import)
{
    return import->created + import->changed + import->kept + import->refused;
}

static void print_line(struct gw_slice answer)
{
    struct gw_buf out = {0};

    gw_buf_adds(&out, answer);
    gw_buf_addc(&out, '\n');
    gw_term_flush(&out);
    gw_buf_deinit(&out);
}

/* As the server would refuse it. */
static void refuse(struct import *import, yyjson_val *config, const char *why)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    struct gw_buf line = {0};

    import->refused++;
    tell(import, config, "refused", GW_TONE_BAD, gw_slice_from(why));
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_int(doc, root, "statusCode", 400);
    yyjson_mut_obj_add_str(doc, root, "status", "failed");
    yyjson_mut_obj_add_str(doc, root, "error", why);
    gw_ask_body(doc, &line);
    if (import->client.json)
        print_line(gw_buf_slice(&line));
    gw_buf_deinit(&line);
}

static int import_one(struct import *import, yyjson_val *config)
{
    struct gw_client_answer answer;
    struct gw_buf body = {0};
    bool is_new = true;

    if (!yyjson_is_obj(config)) {
        refuse(import, config, "it must be a JSON object");
        return -1;
    }
    make_body(config, &body);
    int code = ask(import, "POST", &body, &answer);
    if (code < 0 && answer.status == 409 && import->updates) {
        gw_client_answer_deinit(&answer);
        is_new = false;
        code = ask(import, "PATCH", &body, &answer);
    }
    if (code < 0)
        take(import, config, is_new, &answer);
    if (code < 0 && import->client.json)
        print_line(answer.body);
    if (import->shows_progress)
        fprintf(stderr, "\r\x1b[K%lld configs", (long long)count_all(import));
    gw_client_answer_deinit(&answer);
    if (body.ptr)
        gw_wipe(body.ptr, body.cap);
    gw_buf_deinit(&body);
    return code;
}

/* ── The file ──────────────────────────────────────────────────────────────────────────────── */

/* A config, an array of them, or an answer of the API that holds either. */
static int import_value(struct import *import, yyjson_val *value)
{
    yyjson_val *result = yyjson_obj_get(value, "result"), *item;
    int code = -1;
    size_t i, max;

    if (yyjson_is_obj(result) && yyjson_obj_get(value, "statusCode"))
        value = result;
    if (yyjson_is_arr(yyjson_obj_get(value, "items")))
        value = yyjson_obj_get(value, "items");
    if (!yyjson_is_arr(value))
        return import_one(import, value);
    yyjson_arr_foreach(value, i, max, item)
    {
        if (code < 0)
            code = import_one(import, item);
    }
    return code;
}

static struct gw_slice skip_white(struct gw_slice text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.ptr[0], 4))
        text = gw_slice_skip(text, 1);
    return text;
}

/* One JSON value behind the other. */
static int import_text(struct import *import, struct gw_slice text, const char *name)
{
    struct gw_slice rest = skip_white(text);
    int code = -1;

    while (code < 0 && rest.len > 0) {
        yyjson_read_err why;
        yyjson_doc *doc =
            yyjson_read_opts((char *)(uintptr_t)rest.ptr, rest.len,
                             YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_STOP_WHEN_DONE, NULL, &why);
        if (doc == NULL)
            return gw_term_fail(GW_EXIT_FAILED, "config import: %s is no JSON at byte %zu: %s",
                                name, text.len - rest.len + why.pos + 1, why.msg);
        code = import_value(import, yyjson_doc_get_root(doc));
        rest = skip_white(gw_slice_skip(rest, yyjson_doc_get_read_size(doc)));
        yyjson_doc_free(doc);
    }
    return code;
}

/* ── The table ─────────────────────────────────────────────────────────────────────────────── */

static int import_item(void *ctx, yyjson_val *config, const char *refused)
{
    struct import *import = ctx;

    if (refused == NULL)
        return import_one(import, config);
    refuse(import, config, refused);
    return -1;
}

/* ── What became of them ───────────────────────────────────────────────────────────────────── */

static void add_summary(const struct import *import, struct gw_buf *out)
{
    gw_buf_addf(out, "\n%lld created, %lld changed, %lld kept, %lld refused\n",
                (long long)import->created, (long long)import->changed, (long long)import->kept,
                (long long)import->refused);
    if (import->secrets > 0)
        gw_buf_addf(out,
                    "%lld got a new secret: gwh config get APP TYPE --show-secret, which is "
                    "audited, shows it\n",
                    (long long)import->secrets);
}

static int report(const struct import *import, int code)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    struct gw_buf out = {0};

    if (import->shows_progress)
        fputs("\r\x1b[K", stderr);
    if (!import->client.json && import->table.cell_count > 0) {
        gw_table_print(&import->table, &term, false, &out);
        add_summary(import, &out);
        gw_term_flush(&out);
    }
    gw_buf_deinit(&out);
    if (code < 0)
        code = import->refused > 0 ? GW_EXIT_FAILED : GW_EXIT_DONE;
    return code;
}

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    const char *table = NULL;
    int updates = 0;
    const struct gw_option rows[] = {
        {.name = "table",
         .value = "NAME",
         .help = "a table of DynamoDB that holds them, instead of a file",
         .text = &table},
        {.name = "update", .help = "change those that are there already", .flag = &updates},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_import_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = 1};
    struct import import = {0};
    struct gw_buf text = {0};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && (options.word_count == 1) == (table != NULL))
        code = gw_term_fail(GW_EXIT_USAGE, "a FILE or --table must be given; usage: gwh %s",
                            gw_config_import_command.usage);
    if (code < 0 && !table)
        code = gw_input_read(options.words[0], FILE_BYTES_MAX, &text);
    if (code >= 0)
        goto out;
    gw_table_init(&import.table, columns, gw_count(columns));
    import.updates = updates > 0;
    import.shows_progress = common.json <= 0 && isatty(STDERR_FILENO) == 1;
    code = gw_client_open(&import.client, &common);
    if (code < 0 && table)
        code = gw_config_table_read(table, import_item, &import);
    else if (code < 0)
        code = import_text(&import, gw_buf_slice(&text), gw_input_name(options.words[0]));
    if (import.client.env)
        code = report(&import, code);
    gw_client_close(&import.client);
    gw_table_deinit(&import.table);
out:
    if (text.ptr)
        gw_wipe(text.ptr, text.cap); /* there may be secrets in it */
    gw_buf_deinit(&text);
    return code;
}

const struct gw_command gw_config_import_command = {
    .name = "config import",
    .summary = "make the configs of a file, as another server lists them, or of a DynamoDB table",
    .usage = "config import FILE|- or --table NAME [--update] [options]",
    .example = "gwh config list --json >configs.json && gwh config import configs.json\n"
               "gwh config import --update configs.ndjson\n"
               "gwh config import --table webhook-config",
    .notes =
        "FILE holds configs as JSON: one behind the other, an array of them, or what gwh config\n"
        "list --json prints, with --show-secret if the secrets are to come along: a config\n"
        "whose secret is masked gets a new one. Masked header values are refused. What is\n"
        "there already stays, without --update. Exit 1 when one was refused.\n"
        "\n"
        "Of a table, each item is a config: its attributes are the fields of the API. It is only\n"
        "read, with the region and keys of the standard AWS variables.",
    .is_client = true,
    .main = run,
};
