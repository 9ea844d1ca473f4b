/* config_impl.h: what the files behind config.h share; for them and their tests alone.
 *
 * The *document* of a config is the JSON object a client may set: what GET shows, without what only
 * the service sets. Create merges the request into an empty document, PATCH into the current one;
 * the store keeps the document too. So there is one reader, one writer, and one table of fields. */
#pragma once

#include "core/config.h"
#include "core/strict.h"

/* Who looks at a document. */
enum gw_config_view {
    GW_VIEW_STORED, /* the store, and PATCH: everything as it is */
    GW_VIEW_LOOKED, /* whoever may see no secrets: as SHOWN, and URLs without their query */
    GW_VIEW_SHOWN,  /* a client: header values masked */
    GW_VIEW_SECRET, /* a client who may see the secret */
};

enum gw_config_use {
    GW_USE_REQUIRED, /* in every document; never null */
    GW_USE_OPTIONAL, /* in every document; absent or null in a request = the default */
    GW_USE_ALIAS,    /* another spelling, accepted on input */
    GW_USE_COMMAND,  /* write-only: carried out, not merged */
    GW_USE_SHOWN,    /* set by the service: ignored in PATCH, refused in create */
};

/* A config being built out of a document. */
struct gw_config_parse {
    struct gw_config *config;
    const struct gw_config *current; /* before a PATCH; NULL: there is none */
    const struct gw_guard *guard;    /* NULL: from the store, not to be judged by today's policy */
    struct gw_error *error;
};

struct gw_config_field {
    const char *name;
    enum gw_config_use use;
    const char *alias_of;
    enum gw_err (*parse)(struct gw_config_parse *parse, yyjson_val *value); /* never null */
    yyjson_mut_val *(*render)(const struct gw_config *config, enum gw_config_view view,
                              yyjson_mut_doc *doc); /* NULL = never shown */
};

extern const struct gw_config_field gw_config_fields[];
extern const size_t gw_config_field_count;

const struct gw_config_field *gw_config_field_find(struct gw_slice name);
bool gw_config_field_is_stored(const struct gw_config_field *field); /* part of the document */
enum gw_err gw_config_field_unknown(struct gw_slice name, struct gw_error *error);

/* A webhookUrl or a workflow's: grammar, then the guard, for those that the current config has not:
 * what is forbidden by now must not stand in the way of other changes, and each attempt asks again. */
enum gw_err gw_config_url_parse(struct gw_config_parse *parse, const char *field, yyjson_val *value,
                                struct gw_url *url);

/* "field: must be WHAT, was VALUE"; of a string only that it is one, for it may be a secret. */
enum gw_err gw_config_refuse(struct gw_config_parse *parse, const char *field, const char *what,
                             yyjson_val *value);

/* The same where it can be no secret: with what a string says. */
enum gw_err gw_config_refuse_shown(struct gw_config_parse *parse, const char *field,
                                   const char *what, yyjson_val *value);

/* ── config_workflows.c ────────────────────────────────────────────────────────────────────── */

enum gw_err gw_config_workflows_parse(struct gw_config_parse *parse, yyjson_val *value);
yyjson_mut_val *gw_config_workflows_render(const struct gw_config *config, enum gw_config_view view,
                                           yyjson_mut_doc *doc);

/* ── config_headers.c ──────────────────────────────────────────────────────────────────────── */

enum gw_err gw_config_headers_parse(struct gw_config_parse *parse, yyjson_val *value);
yyjson_mut_val *gw_config_headers_render(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc);

/* Is it a name at all? And why clients may not set it; NULL: they may. */
#define GW_CONFIG_NO_TOKEN "is no header name (letters, digits and !#$%&'*+-.^_`|~)"
bool gw_config_header_is_token(struct gw_slice name);
const char *gw_config_header_refusal(struct gw_slice name);

/* Before a PATCH is merged: names of `patch` that differ from stored ones in case alone mean the
 * stored ones, and masked values sent back mean the stored values. */
void gw_config_headers_align(const struct gw_config *current, yyjson_mut_val *document,
                             yyjson_mut_val *patch);

/* ── config_event.c ────────────────────────────────────────────────────────────────────────── */

enum gw_err gw_config_metadata_keys_parse(struct gw_config_parse *parse, yyjson_val *value);
yyjson_mut_val *gw_config_metadata_keys_render(const struct gw_config *config,
                                               enum gw_config_view view, yyjson_mut_doc *doc);

enum gw_err gw_config_blocklist_parse(struct gw_config_parse *parse, yyjson_val *value);
yyjson_mut_val *gw_config_blocklist_render(const struct gw_config *config, enum gw_config_view view,
                                           yyjson_mut_doc *doc);
enum gw_err gw_config_filter_parse(struct gw_config_parse *parse, yyjson_val *value);
yyjson_mut_val *gw_config_filter_render(const struct gw_config *config, enum gw_config_view view,
                                        yyjson_mut_doc *doc);

/* ── config_signing.c ──────────────────────────────────────────────────────────────────────── */

enum gw_err gw_config_signing_parse(struct gw_config_parse *parse, yyjson_val *value);
yyjson_mut_val *gw_config_signing_render(const struct gw_config *config, enum gw_config_view view,
                                         yyjson_mut_doc *doc);

/* When all fields are there: no header of the client's has a signature's name. */
enum gw_err gw_config_signing_check(const struct gw_config *config, struct gw_error *error);

/* What the service makes: never in a document. publicKey: NULL without ed25519. */
yyjson_mut_val *gw_config_secret_render(const struct gw_config *config, enum gw_config_view view,
                                        yyjson_mut_doc *doc);
yyjson_mut_val *gw_config_public_key_render(const struct gw_config *config,
                                            enum gw_config_view view, yyjson_mut_doc *doc);

/* The secrets and key pairs after a request: those of `current` (NULL: none) that still sign, and
 * what the request commands and its schemes need. *rotated: the newest secret is another one. */
enum gw_err gw_config_secrets_take(struct gw_config *config, const struct gw_config *current,
                                   yyjson_val *request, const struct gw_config_change *change,
                                   bool *rotated, struct gw_error *error);

/* ── config_parse.c ────────────────────────────────────────────────────────────────────────── */

/* RFC 7396, section 2: changes `target` and returns it, or what takes its place. `patch` stays. */
yyjson_mut_val *gw_config_merge(yyjson_mut_doc *doc, yyjson_mut_val *target, yyjson_mut_val *patch);

/* A config with defaults, and nothing else; refs = 1. */
struct gw_config *gw_config_empty(void);

/* All fields out of a document. */
enum gw_err gw_config_document_parse(struct gw_config_parse *parse, yyjson_val *document);

/* ── config_render.c ───────────────────────────────────────────────────────────────────────── */

yyjson_mut_val *gw_config_document(const struct gw_config *config, enum gw_config_view view,
                                   yyjson_mut_doc *doc);
void gw_config_json_write(yyjson_mut_val *value, struct gw_arena *arena, struct gw_buf *out);

static inline struct gw_slice gw_config_url_shown(struct gw_slice url, enum gw_config_view view)
{
    return view == GW_VIEW_LOOKED ? gw_url_shown(url) : url;
}

static inline yyjson_mut_val *gw_config_mut_str(yyjson_mut_doc *doc, struct gw_slice text)
{
    return yyjson_mut_strn(doc, text.ptr, text.len);
}
