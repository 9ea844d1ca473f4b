/* config_show.c: one config for people. Owns nothing. Fields appear in the API's order, so that a
 * new one needs no line here; a secret in clear comes with what to do about it. */
#include "cli/config_show.h"

#include "cli/text.h"
#include "core/strict.h"

#include <stdlib.h>

#define NAME_WIDTH 24

static void add_name(struct gw_page *page, const char *name)
{
    size_t used = gw_text_width(gw_slice_from(name));

    gw_buf_adds(&page->out, GW_SLICE("  "));
    gw_term_paint(&page->term, &page->out, GW_TONE_DIM, gw_slice_from(name));
    gw_text_add_spaces(&page->out, used < NAME_WIDTH ? NAME_WIDTH - used : 1);
}

static void add_line(struct gw_page *page, const char *name, struct gw_slice value)
{
    add_name(page, name);
    gw_text_add_clean(&page->out, value, false);
    gw_buf_addc(&page->out, '\n');
}

/* Shown in clear, and not by its last four characters. */
static struct gw_slice clear_secret(yyjson_val *config)
{
    struct gw_slice secret = gw_client_text(config, "secret");
    bool is_masked = secret.ptr && memmem(secret.ptr, secret.len, "…", strlen("…")) != NULL;

    return is_masked ? (struct gw_slice){0} : secret;
}

static void add_warnings(struct gw_page *page, yyjson_val *config)
{
    size_t i, max;
    yyjson_val *warning;

    yyjson_arr_foreach(yyjson_obj_get(config, "warnings"), i, max, warning)
    {
        gw_buf_adds(&page->out, GW_SLICE("  "));
        gw_term_paint(&page->term, &page->out, GW_TONE_WARN, GW_SLICE("warning: "));
        gw_text_add_clean(&page->out, gw_strict_str(warning), false);
        gw_buf_addc(&page->out, '\n');
    }
}

static void add_head(struct gw_page *page, yyjson_val *config, const char *what)
{
    struct gw_buf pair = {0};

    gw_text_add_clean(&pair, gw_client_text(config, "appId"), false);
    gw_buf_adds(&pair, GW_SLICE(" / "));
    gw_text_add_clean(&pair, gw_client_text(config, "eventType"), false);
    if (what) {
        gw_term_paint(&page->term, &page->out, GW_TONE_GOOD, gw_slice_from(what));
        gw_buf_addc(&page->out, ' ');
    }
    gw_term_paint(&page->term, &page->out, GW_TONE_BOLD, gw_buf_slice(&pair));
    gw_buf_addf(&page->out, " (version %lld)\n", (long long)gw_client_number(config, "version", 0));
    gw_buf_deinit(&pair);
}

void gw_config_show_change(struct gw_page *page, yyjson_val *config)
{
    struct gw_slice secret = clear_secret(config);

    add_head(page, config, page->ctx);
    add_line(page, "webhookUrl", gw_client_text(config, "webhookUrl"));
    if (yyjson_is_false(yyjson_obj_get(config, "isActive")))
        add_line(page, "isActive", GW_SLICE("false: events are kept, nothing is sent"));
    if (secret.ptr) {
        add_line(page, "secret", secret);
        gw_buf_adds(&page->out,
                    GW_SLICE("  Keep it now, where the client's secrets are kept: it is not "
                             "shown again unless asked for\n  (gwh config get "
                             "--show-secret, which is audited).\n"));
    }
    add_warnings(page, config);
}

static void add_json(struct gw_page *page, const char *name, yyjson_val *value)
{
    size_t len = 0;
    char *text = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &len);

    if (text)
        add_line(page, name, (struct gw_slice){text, len});
    free(text);
}

/* Objects and arrays that hold anything: an entry on each line. */
static void add_members(struct gw_page *page, const char *name, yyjson_val *object)
{
    size_t i, max;
    yyjson_val *key, *value;

    yyjson_obj_foreach(object, i, max, key, value)
    {
        struct gw_buf label = {0};
        gw_buf_addf(&label, "%s.", name);
        gw_text_add_clean(&label, gw_strict_str(key), false);
        if (yyjson_is_str(value))
            add_line(page, gw_buf_text(&label), gw_strict_str(value));
        else
            add_json(page, gw_buf_text(&label), value);
        gw_buf_deinit(&label);
    }
}

void gw_config_show(struct gw_page *page, yyjson_val *config)
{
    size_t i, max;
    yyjson_val *key, *value;

    add_head(page, config, NULL);
    yyjson_obj_foreach(config, i, max, key, value)
    {
        const char *name = yyjson_get_str(key);
        bool is_empty =
            yyjson_is_null(value) || (yyjson_is_ctn(value) && yyjson_get_len(value) == 0);
        if (is_empty || yyjson_equals_str(key, "appId") || yyjson_equals_str(key, "eventType") ||
            yyjson_equals_str(key, "version") || yyjson_equals_str(key, "warnings"))
            continue;
        if (yyjson_is_str(value))
            add_line(page, name, gw_strict_str(value));
        else if (yyjson_is_obj(value))
            add_members(page, name, value);
        else
            add_json(page, name, value);
    }
    add_warnings(page, config);
}
