/* config_support.h: making, changing and comparing configs in few words. JSON is written with ' for
 * ", so that it can be read. */
#pragma once

#include "support.h"

#include "base/timefmt.h"
#include "core/config_impl.h"

#define NOW     INT64_C(1800000000000) /* 2027-01-15T08:00:00.000Z */
#define OVERLAP INT64_C(86400000)
#define KEY     "'appId':'a','eventType':'T'"
#define BASE    KEY ",'webhookUrl':'https://a.example/hook'"

static const struct gw_guard default_guard;

static inline void quote(struct gw_buf *out, const char *json)
{
    gw_buf_clear(out);
    gw_buf_adds(out, gw_slice_from(json));
    for (size_t i = 0; i < out->len; i++)
        if (out->ptr[i] == '\'')
            out->ptr[i] = '"';
}

static inline struct gw_config_change change_of(struct gw_slice json, int64_t now_ms)
{
    struct gw_config_change change = {
        .json = json, .guard = &default_guard, .now_ms = now_ms, .overlap_ms = OVERLAP};

    memset(change.random, (int)(now_ms % 125), 32);
    memset(change.random + 32, 0x80 + (int)(now_ms % 125), 32); /* no secret is a pair's seed */
    return change;
}

/* NULL when it is refused; the text then says why. */
static inline struct gw_config *try_create(const char *json, struct gw_error *error)
{
    struct gw_buf text = {0};
    struct gw_config *config;

    quote(&text, json);
    struct gw_slice copy = exact_copy(gw_buf_slice(&text));
    struct gw_config_change change = change_of(copy, NOW);
    enum gw_err err = gw_config_create(&config, &change, error);
    assert_int_equal(err != GW_OK, config == NULL);
    exact_free(copy);
    gw_buf_deinit(&text);
    return config;
}

static inline struct gw_config *create(const char *json)
{
    struct gw_error error = {0};
    struct gw_config *config = try_create(json, &error);

    if (config == NULL)
        fail_msg("%s: %s", json, error.text);
    return config;
}

static inline struct gw_config *try_patch(const struct gw_config *current, const char *json,
                                          int64_t now_ms, bool *made, struct gw_error *error)
{
    struct gw_buf text = {0};
    struct gw_config *config;

    quote(&text, json);
    struct gw_config_change change = change_of(gw_buf_slice(&text), now_ms);
    enum gw_err err = gw_config_patch(&config, current, &change, made, error);
    assert_int_equal(err != GW_OK, config == NULL);
    gw_buf_deinit(&text);
    return config;
}

/* Takes the place of *config. */
static inline bool patch_at(struct gw_config **config, const char *json, int64_t now_ms)
{
    struct gw_error error = {0};
    bool made;
    struct gw_config *next = try_patch(*config, json, now_ms, &made, &error);

    if (next == NULL)
        fail_msg("%s: %s", json, error.text);
    gw_config_unref(*config);
    *config = next;
    return made;
}

static inline bool patch(struct gw_config **config, const char *json)
{
    return patch_at(config, json, NOW + 1);
}

static inline void assert_rendered(const struct gw_config *config, bool show_secret,
                                   const char *wanted)
{
    struct gw_buf got = {0}, text = {0};

    gw_config_render(config, show_secret, &got);
    quote(&text, wanted);
    assert_slice(gw_buf_slice(&got), gw_buf_slice(&text));
    gw_buf_deinit(&got);
    gw_buf_deinit(&text);
}

/* Is that part of the answer? */
static inline void assert_shows(const struct gw_config *config, const char *part)
{
    struct gw_buf got = {0}, text = {0};

    gw_config_render(config, false, &got);
    quote(&text, part);
    if (!memmem(got.ptr, got.len, text.ptr, text.len))
        fail_msg("no %s in %.*s", part, GW_SLICE_ARG(gw_buf_slice(&got)));
    gw_buf_deinit(&got);
    gw_buf_deinit(&text);
}

static inline struct gw_slice secret_text(const struct gw_config *config, size_t at)
{
    return (struct gw_slice){config->secrets[at].text, config->secrets[at].text_len};
}
