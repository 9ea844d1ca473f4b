/* retry.c: `gwh retry`: one extra attempt now, for each delivery named. */
#include "cli/client.h"
#include "cli/term.h"
#include "cli/text.h"

#define WORDS_MAX 250

static void show(yyjson_val *result, const char *id)
{
    struct gw_buf out = {0};

    gw_text_add_clean(&out, gw_slice_from(id), false);
    gw_buf_adds(&out, GW_SLICE(" is tried again now"));
    struct gw_slice url = gw_client_text(result, "url");
    if (url.ptr) {
        gw_buf_adds(&out, GW_SLICE(" → "));
        gw_text_add_clean(&out, url, false);
    }
    gw_buf_adds(&out, GW_SLICE("\n  how it went: gwh why "));
    gw_text_add_clean(&out, gw_slice_from(id), false);
    gw_buf_addc(&out, '\n');
    gw_term_flush(&out);
    gw_buf_deinit(&out);
}

static int retry_one(struct gw_client *client, const char *id)
{
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0};

    gw_buf_adds(&path, GW_SLICE("/v1/deliveries"));
    gw_client_add_segment(&path, id);
    gw_buf_adds(&path, GW_SLICE("/retry"));
    int code = gw_client_call(
        client, &(struct gw_client_request){.method = "POST", .path = gw_buf_text(&path)}, &answer);
    if (code < 0 && !client->json)
        show(answer.result, id);
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&path);
    return code < 0 ? GW_EXIT_DONE : code;
}

static int run(int argc, char **argv)
{
    struct gw_client_options common = {0};
    const struct gw_option rows[] = {GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_retry_command,
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
        int one = retry_one(&client, options.words[i]);
        if (one > worst)
            worst = one;
    }
    gw_client_close(&client);
    return code < 0 ? worst : code;
}

const struct gw_command gw_retry_command = {
    .name = "retry",
    .summary = "try a delivery again now, whatever its schedule says",
    .usage = "retry dlv_… [dlv_…] [options]",
    .example = "gwh retry dlv_fpuol6gazcn7xku3m2d5hqe4ti",
    .notes = "One extra attempt, which uses up no step of the schedule; a dead delivery is opened\n"
             "again for it. What was delivered or cancelled cannot be retried.",
    .is_client = true,
    .main = run,
};
