/* config_history.c: `gwh config history`: who changed what of a config, and when, newest first.
 *
 * A change is told as a difference: what was there with a minus, what is there now with a plus, and
 * with a tilde what changed and is not shown. Objects are compared member by member, so that one new
 * header does not repeat all the others. */
#include "base/timefmt.h"
#include "cli/ask.h"
#include "cli/config_pair.h"
#include "cli/text.h"
#include "core/strict.h"

#include <stdlib.h>

/* ── One value ─────────────────────────────────────────────────────────────────────────────── */

static void add_value(struct gw_buf *out, yyjson_val *value)
{
    size_t len = 0;

    if (yyjson_is_str(value)) {
        gw_text_add_clean(out, gw_strict_str(value), false);
        return;
    }
    char *text = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &len);
    gw_text_add_clean(out, (struct gw_slice){text, len}, false);
    free(text);
}

static bool is_there(yyjson_val *value)
{
    return value && !yyjson_is_null(value);
}

/* "+ name: value", or its size where it was too large to be kept, or the name alone. */
static void add_line(struct gw_page *page, char sign, const char *name, yyjson_val *value,
                     yyjson_val *bytes)
{
    enum gw_tone tone = sign == '+' ? GW_TONE_GOOD : sign == '-' ? GW_TONE_BAD : GW_TONE_WARN;
    struct gw_buf line = {0};

    gw_buf_addf(&line, "    %c %s", sign, name);
    if (is_there(value)) {
        gw_buf_adds(&line, GW_SLICE(": "));
        add_value(&line, value);
    } else if (bytes) {
        gw_buf_adds(&line, GW_SLICE(": ("));
        add_value(&line, bytes);
        gw_buf_adds(&line, GW_SLICE(" bytes)"));
    }
    gw_term_paint(&page->term, &page->out, tone, gw_buf_slice(&line));
    gw_buf_addc(&page->out, '\n');
    gw_buf_deinit(&line);
}

static void add_member(struct gw_page *page, const char *name, yyjson_val *key, yyjson_val *from,
                       yyjson_val *to)
{
    struct gw_buf path = {0};

    gw_buf_addf(&path, "%s.", name);
    gw_text_add_clean(&path, gw_strict_str(key), false);
    if (from && !yyjson_equals(from, to))
        add_line(page, '-', gw_buf_text(&path), from, NULL);
    if (to && !yyjson_equals(from, to))
        add_line(page, '+', gw_buf_text(&path), to, NULL);
    gw_buf_deinit(&path);
}

/* "headers.x-a": what either has and the other lacks, or has otherwise. */
static void add_members(struct gw_page *page, const char *name, yyjson_val *from, yyjson_val *to)
{
    size_t i, max;
    yyjson_val *key, *value;

    yyjson_obj_foreach(from, i, max, key, value)
    {
        add_member(page, name, key, value,
                   yyjson_obj_getn(to, yyjson_get_str(key), yyjson_get_len(key)));
    }
    yyjson_obj_foreach(to, i, max, key, value)
    {
        if (!yyjson_obj_getn(from, yyjson_get_str(key), yyjson_get_len(key)))
            add_member(page, name, key, NULL, value);
    }
}

/* ── One change ────────────────────────────────────────────────────────────────────────────── */

static void add_head(struct gw_page *page, yyjson_val *entry)
{
    int64_t at_ms = gw_client_time(entry, "at"), version = gw_client_number(entry, "version", 0);
    struct gw_slice actor = gw_client_text(entry, "actor"),
                    address = gw_client_text(entry, "address"),
                    action = gw_client_text(entry, "action");
    char stamp[GW_TIME_TEXT_MAX];
    struct gw_buf what = {0};

    if (at_ms != GW_NEVER) {
        gw_time_text(at_ms, stamp);
        gw_term_paintf(&page->term, &page->out, GW_TONE_DIM, "%.10s %.8s", stamp, stamp + 11);
        gw_buf_adds(&page->out, GW_SLICE("  "));
    }
    if (gw_slice_starts(action, GW_SLICE("config_")))
        action = gw_slice_skip(action, strlen("config_"));
    gw_text_add_clean(&what, action, false);
    gw_term_paint(&page->term, &page->out, GW_TONE_BOLD, gw_buf_slice(&what));
    if (version > 0)
        gw_buf_addf(&page->out, " (version %lld)", (long long)version);
    gw_buf_adds(&page->out, GW_SLICE(" by "));
    gw_text_add_clean(&page->out, actor, false);
    if (address.ptr) {
        gw_buf_adds(&page->out, GW_SLICE(" from "));
        gw_text_add_clean(&page->out, address, false);
    }
    gw_buf_addc(&page->out, '\n');
    gw_buf_deinit(&what);
}

static bool is_object_or_none(yyjson_val *value)
{
    return yyjson_is_obj(value) || !is_there(value);
}

static void add_change(struct gw_page *page, yyjson_val *change)
{
    yyjson_val *from = yyjson_obj_get(change, "from"), *to = yyjson_obj_get(change, "to");
    yyjson_val *from_bytes = yyjson_obj_get(change, "fromBytes"),
               *to_bytes = yyjson_obj_get(change, "toBytes");
    bool was = is_there(from) || from_bytes, is = is_there(to) || to_bytes;
    bool is_whole = !from_bytes && !to_bytes;
    struct gw_buf buf = {0};

    gw_text_add_clean(&buf, gw_client_text(change, "field"), false);
    const char *name = gw_buf_text(&buf);
    if ((!was && !is) || (is_whole && yyjson_equals(from, to))) {
        add_line(page, '~', name, NULL, NULL); /* that it changed is all that may be shown */
    } else if (is_whole && is_object_or_none(from) && is_object_or_none(to)) {
        add_members(page, name, from, to);
    } else {
        if (was)
            add_line(page, '-', name, from, from_bytes);
        if (is)
            add_line(page, '+', name, to, to_bytes);
    }
    gw_buf_deinit(&buf);
}

static bool is_nothing(yyjson_val *value)
{
    return !is_there(value) || (yyjson_is_ctn(value) && yyjson_get_len(value) == 0);
}

/* What the whole history is of, and what was empty from the beginning. */
static bool is_noise(yyjson_val *change)
{
    struct gw_slice field = gw_client_text(change, "field");
    yyjson_val *from = yyjson_obj_get(change, "from"), *to = yyjson_obj_get(change, "to");

    return gw_slice_is(field, "appId") || gw_slice_is(field, "eventType") ||
           (from && to && is_nothing(from) && is_nothing(to));
}

static void tell(struct gw_page *page, yyjson_val *entry)
{
    size_t i, max;
    yyjson_val *change;

    if (page->item_count > 0)
        gw_buf_addc(&page->out, '\n');
    add_head(page, entry);
    yyjson_arr_foreach(yyjson_obj_get(entry, "changes"), i, max, change)
    {
        if (!is_noise(change))
            add_change(page, change);
    }
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int run(int argc, char **argv)
{
    struct gw_list_options given = {0};
    struct gw_config_pair pair = {0};
    const struct gw_option rows[] = {GW_CONFIG_PAIR_OPTIONS(pair),
                                     {.name = "cursor",
                                      .value = "C",
                                      .help = "go on behind an earlier page",
                                      .text = &given.cursor},
                                     GW_CLIENT_OPTIONS(given.common)};
    struct gw_options options = {.command = &gw_config_history_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_max = GW_CONFIG_PAIR_WORDS};

    int code = gw_config_pair_parse(&options, argc, argv, &pair);
    if (code >= 0)
        return code;
    return gw_ask_list(&given, &(struct gw_ask_list){
                                   .path = "/v1/config/history",
                                   .query = {{"appId", pair.app}, {"eventType", pair.type}},
                                   .tell = tell,
                                   .none = "nothing is known of it: no such config was ever made",
                               });
}

const struct gw_command gw_config_history_command = {
    .name = "config history",
    .summary = "who changed what of a config, and when",
    .usage = "config history APP TYPE [options]",
    .example = "gwh config history acme FINISH_TRANSACTION_WEBHOOK",
    .notes = "Newest first, in UTC; it outlives the config. Secrets are masked.",
    .is_client = true,
    .main = run,
};
