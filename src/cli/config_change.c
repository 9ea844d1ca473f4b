/* config_change.c: `gwh config create|update|rotate`: making and changing configs. */
#include "base/crypto.h"
#include "cli/config_body.h"
#include "cli/config_show.h"
#include "cli/input.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)

/* `what` was done, in words. */
static int change(const struct gw_client_options *common, const char *method, const char *if_match,
                  const struct gw_buf *body, char *what)
{
    return gw_ask_once(common, &(struct gw_ask){
                                   .method = method,
                                   .path = "/v1/config",
                                   .body = gw_buf_slice(body),
                                   .if_match = if_match,
                                   .tell = gw_config_show_change,
                                   .ctx = what,
                               });
}

static bool is_any_given(const struct gw_config_given *given)
{
    struct gw_buf body = {0};

    bool is_empty =
        gw_config_body_make(given, &body, NULL) == GW_OK && gw_slice_is(gw_buf_slice(&body), "{}");
    gw_buf_deinit(&body);
    return !is_empty;
}

static int make_of_options(const struct gw_command *command, struct gw_config_given *given,
                           struct gw_buf *body)
{
    struct gw_error error;
    struct gw_buf filter = {0}, secret = {0};

    int code = gw_input_value(&given->filter, &filter);
    if (code < 0)
        code = gw_input_value(&given->secret, &secret);
    if (code < 0 && gw_config_body_make(given, body, &error) != GW_OK)
        code = gw_term_fail(GW_EXIT_USAGE, "%s: %s", command->name, error.text);
    if (secret.ptr)
        gw_wipe(secret.ptr, secret.cap);
    gw_buf_deinit(&secret);
    gw_buf_deinit(&filter);
    return code;
}

/* The body: a file as it is, or made of the options. */
static int make_body(const struct gw_options *options, struct gw_config_given *given,
                     const char *file, struct gw_buf *body)
{
    const struct gw_command *command = options->command;

    if (file && (is_any_given(given) || options->word_count > 0))
        return gw_term_fail(GW_EXIT_USAGE,
                            "%s: --file holds the whole config; no other option "
                            "goes with it",
                            command->name);
    if (file) {
        struct gw_buf text = {0};
        int code = gw_input_read(file, FILE_BYTES_MAX, &text);
        if (code < 0)
            gw_config_body_unwrap(gw_buf_slice(&text), body);
        gw_buf_deinit(&text);
        return code;
    }
    int code = gw_config_pair_take(options, &given->pair);
    if (code >= 0)
        return code;
    if (given->url == NULL && command == &gw_config_create_command)
        return gw_term_fail(GW_EXIT_USAGE, "%s: --url is missing; usage: gwh %s", command->name,
                            command->usage);
    return make_of_options(command, given, body);
}

/* ── create, update ────────────────────────────────────────────────────────────────────────── */

static int run_create(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_given given;
    const char *file = NULL;
    const struct gw_option rows[] = {
        GW_CONFIG_OPTIONS(given),
        {.name = "file",
         .value = "FILE|-",
         .help = "JSON as the API takes it, instead of all of the above",
         .text = &file},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_create_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};
    struct gw_buf body = {0};

    gw_config_given_init(&given);
    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = make_body(&options, &given, file, &body);
    if (code < 0)
        code = change(&common, "POST", NULL, &body, "created");
    gw_buf_deinit(&body);
    gw_config_given_deinit(&given);
    return code;
}

const struct gw_command gw_config_create_command = {
    .name = "config create",
    .summary = "say where the events of an app and type go",
    .usage = "config create APP TYPE --url URL [options]",
    .example = "gwh config create acme FINISH_TRANSACTION_WEBHOOK --url "
               "https://hooks.acme.example/kyc\n"
               "gwh config create acme '*' --url https://hooks.acme.example/all "
               "--retry 5,60,600\n"
               "gwh config create acme T --url https://hooks.acme.example/t \\\n"
               "    --filter '{\"status\":[\"done\"]}' --block customer.name \\\n"
               "    --schemes standard,ed25519",
    .notes = "The answer shows the secret that the client verifies signatures with.",
    .is_client = true,
    .main = run_create,
};

static int run_update(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_given given;
    const char *file = NULL, *if_match = NULL;
    const struct gw_option rows[] = {
        GW_CONFIG_OPTIONS(given),
        {.name = "active", .help = "send again, also what waits", .flag = &given.active},
        {.name = "file",
         .value = "FILE|-",
         .help = "JSON as the API takes it, instead of all of the above",
         .text = &file},
        {.name = "if-match",
         .value = "V",
         .help = "only if this is still its version",
         .text = &if_match},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_update_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};
    struct gw_buf body = {0};

    gw_config_given_init(&given);
    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = make_body(&options, &given, file, &body);
    if (code < 0)
        code = change(&common, "PATCH", if_match, &body, "changed");
    gw_buf_deinit(&body);
    gw_config_given_deinit(&given);
    return code;
}

const struct gw_command gw_config_update_command = {
    .name = "config update",
    .summary = "change what is given of a config, keep the rest",
    .usage = "config update APP TYPE [options]",
    .example = "gwh config update acme FINISH_TRANSACTION_WEBHOOK --inactive\n"
               "gwh config update acme T --filter @filter.json --rate-limit none\n"
               "gwh config get acme T --json >c.json && edit c.json && "
               "gwh config update --file c.json",
    .notes = "--header, --workflow and --filter replace what has the same name and keep the rest\n"
             "(--filter none first, to begin anew); --block, --metadata-key and --schemes replace\n"
             "all there were. In a --file, null removes.",
    .is_client = true,
    .main = run_update,
};

/* ── rotate ────────────────────────────────────────────────────────────────────────────────── */

static void make_rotation(const struct gw_config_pair *pair, bool at_once, struct gw_buf *body)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "appId", pair->app);
    yyjson_mut_obj_add_str(doc, root, "eventType", pair->type);
    if (at_once)
        yyjson_mut_obj_add_str(doc, root, "updateSecret", "now");
    else
        yyjson_mut_obj_add_bool(doc, root, "updateSecret", true);
    gw_ask_body(doc, body);
}

static int run_rotate(int argc, char **argv)
{
    struct gw_client_options common = {0};
    struct gw_config_pair pair = {0};
    int at_once = 0;
    const struct gw_option rows[] = {
        GW_CONFIG_PAIR_OPTIONS(pair),
        {.name = "now",
         .help = "the old secret ends at once (else it signs beside the new one for a day)",
         .flag = &at_once},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_config_rotate_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};
    struct gw_buf body = {0};

    int code = gw_config_pair_parse(&options, argc, argv, &pair);
    if (code >= 0)
        return code;
    make_rotation(&pair, at_once > 0, &body);
    code = change(&common, "PATCH", NULL, &body,
                  at_once > 0 ? "rotated, the old secret is over:"
                              : "rotated, the old secret signs beside the new one for a while:");
    gw_buf_deinit(&body);
    return code;
}

const struct gw_command gw_config_rotate_command = {
    .name = "config rotate",
    .summary = "give a config a new secret",
    .usage = "config rotate APP TYPE [--now] [options]",
    .example = "gwh config rotate acme FINISH_TRANSACTION_WEBHOOK",
    .notes =
        "While both live, each delivery carries a signature for either: the client can change\n"
        "over in that time without losing one.",
    .is_client = true,
    .main = run_rotate,
};
