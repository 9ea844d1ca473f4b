/* verify.c: `gwh verify`: is a captured webhook genuine, and if not, why. */
#include "base/alloc.h"
#include "cli/ask.h"
#include "cli/input.h"
#include "cli/secrets.h"

#include <unistd.h>

#define BODY_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define TOLERANCE_S     300
#define TOLERANCE_S_MAX 315360000 /* ten years */

/* "name: value" each; the array is the caller's. */
static int read_headers(const struct gw_option_list *list, struct gw_header **headers)
{
    *headers = gw_alloc((list->count + 1) * sizeof(**headers));
    for (size_t i = 0; i < list->count; i++) {
        struct gw_slice value = gw_slice_from(list->items[i]), name;
        bool has_colon = memchr(value.ptr, ':', value.len) != NULL;
        gw_slice_split(&value, ':', &name);
        if (!has_colon || gw_slice_trim(name).len == 0)
            return gw_term_fail(GW_EXIT_USAGE,
                                "verify: --header: must be 'name: value', was "
                                "\"%s\"",
                                list->items[i]);
        (*headers)[i] = (struct gw_header){gw_slice_trim(name), gw_slice_trim(value)};
    }
    return -1;
}

static void show(enum gw_diagnosis found, struct gw_slice why, struct gw_buf *out)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    bool is_genuine = found == GW_GENUINE;

    gw_term_paint(&term, out, is_genuine ? GW_TONE_GOOD : GW_TONE_BAD,
                  is_genuine ? GW_SLICE("verified") : GW_SLICE("not verified"));
    gw_buf_adds(out, GW_SLICE(": "));
    gw_buf_adds(out, why);
    gw_buf_addc(out, '\n');
}

static void show_json(enum gw_diagnosis found, struct gw_slice why, struct gw_buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_bool(doc, root, "verified", found == GW_GENUINE);
    yyjson_mut_obj_add_str(doc, root, "diagnosis", gw_diagnosis_name(found));
    yyjson_mut_obj_add_strn(doc, root, "why", why.ptr, why.len);
    gw_ask_body(doc, out);
    gw_buf_addc(out, '\n');
}

static int judge(const struct gw_diagnose *d, bool json)
{
    struct gw_buf why = {0}, out = {0};

    enum gw_diagnosis found = gw_diagnose(d, &why);
    if (json)
        show_json(found, gw_buf_slice(&why), &out);
    else
        show(found, gw_buf_slice(&why), &out);
    gw_term_flush(&out);
    gw_buf_deinit(&why);
    gw_buf_deinit(&out);
    return found == GW_GENUINE ? GW_EXIT_DONE : GW_EXIT_FAILED;
}

/* The clock is the loop's, like everybody's. */
static int64_t now_s(void)
{
    struct gw_env *env;

    gw_sys_init();
    if (gw_loop_create(NULL, &env, NULL) != GW_OK)
        return 0;
    int64_t now_ms = gw_env_wall_ms(env);
    gw_loop_destroy(env);
    return now_ms / 1000;
}

static int run(int argc, char **argv)
{
    struct gw_secrets_given given = {0};
    struct gw_option_list header_list = {0};
    int64_t tolerance_s = TOLERANCE_S;
    int json = 0;
    const struct gw_option rows[] = {
        GW_SECRETS_OPTIONS(given),
        {.name = "header",
         .value = "'NAME: VALUE'",
         .help = "of the webhook, as it came: webhook-id, webhook-timestamp, webhook-signature; "
                 "others may be there too",
         .list = &header_list},
        {.name = "tolerance",
         .value = "S",
         .help = "seconds that webhook-timestamp may be off (300)",
         .number = &tolerance_s,
         .max = TOLERANCE_S_MAX},
        {.name = "json", .help = "print JSON, for programs", .flag = &json},
    };
    struct gw_options options = {
        .command = &gw_verify_command, .rows = rows, .count = gw_count(rows)};
    struct gw_secrets secrets = {0};
    struct gw_header *headers = NULL;
    struct gw_buf body = {0};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = gw_secrets_read(&secrets, "verify", &given);
    if (code < 0 && !gw_secrets_any(&secrets))
        code = gw_term_fail(GW_EXIT_USAGE,
                            "verify: --secret (or --public-key) is missing; usage: gwh %s",
                            gw_verify_command.usage);
    if (code < 0)
        code = read_headers(&header_list, &headers);
    if (code < 0)
        code = gw_input_read("-", BODY_BYTES_MAX, &body);
    if (code < 0) {
        struct gw_diagnose d = gw_secrets_question(&secrets);
        d.headers = headers;
        d.header_count = header_list.count;
        d.body = gw_buf_slice(&body);
        d.tolerance_s = tolerance_s;
        d.now_s = now_s();
        code = judge(&d, json > 0);
    }
    gw_buf_deinit(&body);
    gw_free(headers);
    gw_secrets_wipe(&secrets);
    gw_secrets_given_deinit(&given);
    gw_option_list_deinit(&header_list);
    return code;
}

const struct gw_command gw_verify_command = {
    .name = "verify",
    .summary = "is a captured webhook genuine, and if not, why",
    .usage = "verify --secret SECRET --header 'NAME: VALUE' … [options] <BODY",
    .example = "gwh verify --secret whsec_… --header 'webhook-id: msg_…' \\\n"
               "    --header 'webhook-timestamp: 1795506360' --header 'webhook-signature: v1,…' "
               "<body.json\n"
               "gwh verify --public-key whpk_… --header 'webhook-id: msg_…' \\\n"
               "    --header 'webhook-timestamp: 1795506360' --header 'webhook-signature: v1a,…' "
               "<body.json\n"
               "gwh verify --secret whsec_… --body-header x-webhook-signature \\\n"
               "    --header 'x-webhook-signature: 5d41…' <body.json",
    .notes = "The body must be the raw bytes as they came. Exit 0: verified; 1: not.",
    .main = run,
};
