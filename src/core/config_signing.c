/* config_signing.c: how a config signs: the field `signing`, its secrets and its key pairs, and how
 * they take each other's place. Pure: randomness and time come with the request.
 *
 * Invariants: there is one secret at least, and with ed25519 one key pair at least; of either the
 * first is the newest and has no end, the second signs until its until_ms. A pair is made when
 * ed25519 is first asked for, stays when it is asked for no more (asking again brings the same one
 * back), and is rotated whenever the secret is. No secret is ever in an error text. */
#include "base/alloc.h"
#include "base/crypto.h"
#include "base/timefmt.h"
#include "core/config_impl.h"

#include <stdio.h>

/* ── The field ─────────────────────────────────────────────────────────────────────────────── */

static const struct {
    const char *name;
    unsigned flag;
} schemes[] = {
    {"standard", GW_SCHEME_STANDARD},
    {"ed25519", GW_SCHEME_ED25519},
    {"body", GW_SCHEME_BODY},
};

static enum gw_err parse_scheme(struct gw_config_parse *parse, size_t at, yyjson_val *value)
{
    unsigned *wanted = &parse->config->signing.schemes;
    char field[48];

    snprintf(field, sizeof(field), "signing.schemes[%zu]", at);
    for (size_t i = 0; i < gw_count(schemes); i++) {
        if (!yyjson_equals_str(value, schemes[i].name))
            continue;
        if (*wanted & schemes[i].flag)
            return gw_error_set(parse->error, GW_ERR_INVALID, "%s: \"%s\" is there twice", field,
                                schemes[i].name);
        *wanted |= schemes[i].flag;
        return GW_OK;
    }
    return gw_config_refuse_shown(parse, field, "standard, ed25519 or body", value);
}

static enum gw_err parse_schemes(struct gw_config_parse *parse, yyjson_val *value)
{
    yyjson_val *scheme;
    size_t at, max;

    if (!yyjson_is_arr(value))
        return gw_config_refuse(parse, "signing.schemes", "an array of standard, ed25519, body",
                                value);
    if (yyjson_arr_size(value) == 0)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "signing.schemes: must have at least one item, has 0 (null is the "
                            "default)");
    parse->config->signing.schemes = 0;
    yyjson_arr_foreach(value, at, max, scheme)
    {
        enum gw_err err = parse_scheme(parse, at, scheme);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

/* Why the body's signature cannot be in a header of that name, nor the newest one's in NAME-next;
 * NULL: it can. */
static const char *header_refusal(struct gw_slice name, struct gw_arena *arena)
{
    struct gw_slice next = gw_slice_from(gw_arena_printf(arena, "%.*s-next", GW_SLICE_ARG(name)));

    if (gw_slice_eq_nocase(name, GW_SLICE(GW_CONFIG_BODY_HEADER)))
        return NULL; /* it is what the service sets */
    const char *why = gw_config_header_refusal(name);
    return why ? why : gw_config_header_refusal(next);
}

static enum gw_err parse_body_header(struct gw_config_parse *parse, yyjson_val *value)
{
    struct gw_slice name = gw_strict_str(value);
    struct gw_config *config = parse->config;
    const char *why = NULL;

    if (!yyjson_is_str(value))
        return gw_config_refuse(parse, "signing.bodyHeader", "a header name in a string", value);
    if (name.len > GW_CONFIG_BODY_HEADER_MAX)
        return gw_error_set(parse->error, GW_ERR_INVALID,
                            "signing.bodyHeader: must have at most %d bytes, has %zu",
                            GW_CONFIG_BODY_HEADER_MAX, name.len);
    if (!gw_config_header_is_token(name))
        why = GW_CONFIG_NO_TOKEN;
    else if (parse->guard)
        why = header_refusal(name, &config->arena);
    if (why)
        return gw_error_set(parse->error, GW_ERR_INVALID, "signing.bodyHeader: \"%s\" %s",
                            gw_strict_shown(name).text, why);
    config->signing.body_header = gw_arena_dup(&config->arena, name);
    return GW_OK;
}

static enum gw_err parse_body_encoding(struct gw_config_parse *parse, yyjson_val *value)
{
    bool *base64 = &parse->config->signing.body_base64;

    *base64 = yyjson_equals_str(value, "base64");
    if (*base64 || yyjson_equals_str(value, "hex"))
        return GW_OK;
    return gw_config_refuse_shown(parse, "signing.bodyEncoding", "hex or base64", value);
}

enum gw_err gw_config_signing_parse(struct gw_config_parse *parse, yyjson_val *value)
{
    yyjson_val *key, *member;
    size_t at, max;

    if (!yyjson_is_obj(value))
        return gw_config_refuse(parse, "signing",
                                "an object with schemes, bodyHeader and bodyEncoding", value);
    yyjson_obj_foreach(value, at, max, key, member)
    {
        struct gw_slice name = gw_strict_str(key);
        enum gw_err err;
        if (gw_slice_is(name, "schemes"))
            err = parse_schemes(parse, member);
        else if (gw_slice_is(name, "bodyHeader"))
            err = parse_body_header(parse, member);
        else if (gw_slice_is(name, "bodyEncoding"))
            err = parse_body_encoding(parse, member);
        else
            err = gw_error_set(parse->error, GW_ERR_INVALID,
                               "signing: unknown member \"%s\"; there are: schemes, bodyHeader, "
                               "bodyEncoding",
                               gw_strict_shown(name).text);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

yyjson_mut_val *gw_config_signing_render(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc)
{
    const struct gw_signing *signing = &config->signing;
    yyjson_mut_val *object = yyjson_mut_obj(doc), *names = yyjson_mut_arr(doc);

    (void)view;
    for (size_t i = 0; i < gw_count(schemes); i++)
        if (signing->schemes & schemes[i].flag)
            yyjson_mut_arr_add_str(doc, names, schemes[i].name);
    yyjson_mut_obj_add_val(doc, object, "schemes", names);
    yyjson_mut_obj_add_val(doc, object, "bodyHeader", gw_config_mut_str(doc, signing->body_header));
    yyjson_mut_obj_add_str(doc, object, "bodyEncoding", signing->body_base64 ? "base64" : "hex");
    return object;
}

enum gw_err gw_config_signing_check(const struct gw_config *config, struct gw_error *error)
{
    struct gw_slice own = config->signing.body_header;

    for (size_t i = 0; i < config->header_count; i++) {
        struct gw_slice name = config->headers[i].name;
        if (name.len < own.len || !gw_slice_eq_nocase((struct gw_slice){name.ptr, own.len}, own))
            continue;
        struct gw_slice rest = gw_slice_skip(name, own.len);
        if (rest.len == 0 || gw_slice_eq_nocase(rest, GW_SLICE("-next")))
            return gw_error_set(error, GW_ERR_INVALID,
                                "headers: \"%s\" cannot be set: signing.bodyHeader, and while a "
                                "secret is rotated that with -next, are the signature's",
                                gw_strict_shown(name).text);
    }
    return GW_OK;
}

/* ── What the service makes ────────────────────────────────────────────────────────────────── */

static yyjson_mut_val *mut_copy(struct gw_buf *text, yyjson_mut_doc *doc)
{
    yyjson_mut_val *value = yyjson_mut_strncpy(doc, text->ptr, text->len);

    gw_buf_deinit(text);
    return value;
}

yyjson_mut_val *gw_config_secret_render(const struct gw_config *config, enum gw_config_view view,
                                        yyjson_mut_doc *doc)
{
    const struct gw_secret *secret = &config->secrets[0];
    struct gw_buf mask = {0};

    if (config->secret_count == 0)
        return yyjson_mut_null(doc);
    if (view == GW_VIEW_SECRET)
        return yyjson_mut_strn(doc, secret->text, secret->text_len);
    gw_secret_mask(secret, &mask);
    return mut_copy(&mask, doc);
}

yyjson_mut_val *gw_config_public_key_render(const struct gw_config *config,
                                            enum gw_config_view view, yyjson_mut_doc *doc)
{
    struct gw_buf text = {0};

    (void)view;
    if (!(config->signing.schemes & GW_SCHEME_ED25519) || config->pair_count == 0)
        return NULL;
    gw_key_pair_public(&config->pairs[0], &text);
    return mut_copy(&text, doc);
}

/* ── What a request commands ───────────────────────────────────────────────────────────────── */

struct renewal {
    bool wanted;
    bool unwanted; /* updateSecret: false */
    bool at_once;  /* what is old signs no more */
    bool is_given;
    struct gw_secret secret;
};

static bool is_secret_mask(struct gw_slice text)
{
    return gw_slice_starts(text, GW_SLICE("…")) || gw_slice_starts(text, GW_SLICE("whsec_…"));
}

static enum gw_err parse_update_secret(struct renewal *renewal, yyjson_val *value,
                                       struct gw_error *error)
{
    if (value == NULL || yyjson_is_null(value))
        return GW_OK;
    renewal->at_once = yyjson_equals_str(value, "now");
    if (!yyjson_is_bool(value) && !renewal->at_once)
        return gw_error_set(error, GW_ERR_INVALID, "updateSecret: must be true, false or \"now\"");
    renewal->wanted = renewal->at_once || yyjson_get_bool(value);
    renewal->unwanted = !renewal->wanted;
    return GW_OK;
}

static enum gw_err parse_secret(struct renewal *renewal, yyjson_val *value, bool is_patch,
                                struct gw_error *error)
{
    if (value == NULL || (yyjson_is_null(value) && !is_patch))
        return GW_OK;
    if (yyjson_is_null(value))
        return gw_error_set(error, GW_ERR_INVALID,
                            "secret: cannot be removed; updateSecret makes a new one");
    if (!yyjson_is_str(value))
        return gw_error_set(error, GW_ERR_INVALID, "secret: must be a string");
    if (is_secret_mask(gw_strict_str(value))) {
        if (is_patch)
            return GW_OK;
        return gw_error_set(error, GW_ERR_INVALID,
                            "secret: is masked, as an answer shows it; send the whole secret, or "
                            "leave it out and one is made");
    }
    if (gw_secret_parse(&renewal->secret, gw_strict_str(value), error) != GW_OK)
        return GW_ERR_INVALID;
    renewal->is_given = true;
    return GW_OK;
}

static bool same_secret(const struct gw_secret *a, const struct gw_secret *b)
{
    return gw_equal_secret((struct gw_slice){a->text, a->text_len},
                           (struct gw_slice){b->text, b->text_len});
}

/* `secret` says which, `updateSecret` whether and how: left out or true with overlap, "now" without.
 * Together they are one rotation, to that secret; the newest one again is none. */
static enum gw_err decide(struct renewal *renewal, const struct gw_config *config,
                          struct gw_error *error)
{
    bool has_secret = config->secret_count > 0;

    if (renewal->is_given)
        renewal->wanted = !has_secret || !same_secret(&renewal->secret, &config->secrets[0]);
    else if (!has_secret)
        renewal->wanted = true;
    if (has_secret && renewal->wanted && renewal->unwanted)
        return gw_error_set(error, GW_ERR_INVALID,
                            "updateSecret: must be true, \"now\" or left out beside another "
                            "secret, for that one takes the current one's place; was false");
    return GW_OK;
}

/* ── Rotation ──────────────────────────────────────────────────────────────────────────────── */

static void keep_living(struct gw_config *config, const struct gw_config *current, int64_t now_ms)
{
    for (size_t i = 0; i < current->secret_count; i++)
        if (current->secrets[i].until_ms > now_ms)
            config->secrets[config->secret_count++] = current->secrets[i];
    for (size_t i = 0; i < current->pair_count; i++)
        if (current->pairs[i].until_ms > now_ms)
            config->pairs[config->pair_count++] = current->pairs[i];
}

static void end_overlaps(struct gw_config *config)
{
    gw_wipe(&config->secrets[1], sizeof(config->secrets[1]));
    gw_wipe(&config->pairs[1], sizeof(config->pairs[1]));
    config->secret_count = config->secret_count > 0 ? 1 : 0;
    config->pair_count = config->pair_count > 0 ? 1 : 0;
}

/* Makes room for a newest of either; what was the newest becomes the old one, until `until_ms`. */
static void step_back(struct gw_config *config, int64_t until_ms)
{
    config->secrets[1] = config->secrets[0];
    config->secrets[1].until_ms = until_ms;
    config->secret_count = 2;
    if (config->pair_count == 0)
        return;
    config->pairs[1] = config->pairs[0];
    config->pairs[1].until_ms = until_ms;
    config->pair_count = 2;
}

static void renew(struct gw_config *config, const struct renewal *renewal,
                  const struct gw_config_change *change)
{
    if (config->secret_count == 0)
        config->secret_count = 1;
    else if (renewal->at_once || change->overlap_ms <= 0)
        end_overlaps(config);
    else
        step_back(config, change->now_ms + change->overlap_ms);
    if (renewal->is_given)
        config->secrets[0] = renewal->secret;
    else
        gw_secret_make(&config->secrets[0], change->random);
    if (config->pair_count > 0)
        gw_key_pair_make(&config->pairs[0], change->random + 32);
}

enum gw_err gw_config_secrets_take(struct gw_config *config, const struct gw_config *current,
                                   yyjson_val *request, const struct gw_config_change *change,
                                   bool *rotated, struct gw_error *error)
{
    struct renewal renewal = {0};
    enum gw_err err = parse_update_secret(&renewal, yyjson_obj_get(request, "updateSecret"), error);

    *rotated = false;
    if (err == GW_OK)
        err = parse_secret(&renewal, yyjson_obj_get(request, "secret"), current != NULL, error);
    if (current)
        keep_living(config, current, change->now_ms);
    if (err == GW_OK)
        err = decide(&renewal, config, error);
    if (err != GW_OK)
        goto out;
    if (renewal.at_once)
        end_overlaps(config);
    if (renewal.wanted)
        renew(config, &renewal, change);
    if (config->pair_count == 0 && (config->signing.schemes & GW_SCHEME_ED25519)) {
        gw_key_pair_make(&config->pairs[0], change->random + 32);
        config->pair_count = 1;
    }
    *rotated = renewal.wanted;
out:
    gw_wipe(&renewal, sizeof(renewal));
    return err;
}
