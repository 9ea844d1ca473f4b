/* retry.c: `gwh retry`: one extra attempt now, for each delivery named. */
#include "cli/ask.h"
#include "cli/text.h"

#define WORDS_MAX 250

static void tell(struct gw_page *page, yyjson_val *result)
{
    struct gw_slice id = gw_slice_from(page->ctx), url = gw_client_text(result, "url");
    struct gw_buf *out = &page->out;

    gw_text_add_clean(out, id, false);
    gw_buf_adds(out, GW_SLICE(" is tried again now"));
    if (url.ptr) {
        gw_buf_adds(out, GW_SLICE(" → "));
        gw_text_add_clean(out, url, false);
    }
    gw_buf_adds(out, GW_SLICE("\n  how it went: gwh why "));
    gw_text_add_clean(out, id, false);
    gw_buf_addc(out, '\n');
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

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    return gw_ask_each(
        &common,
        &(struct gw_ask){
            .method = "POST", .path = "/v1/deliveries", .action = "/retry", .tell = tell},
        options.words, options.word_count);
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
