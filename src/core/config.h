/* config.h: what one client (appId) wants for one eventType. Pure. CONTRACT section 2.
 *
 * A config is immutable: a change makes a new one with a higher version. A snapshot holds all
 * configs of one app at one moment; both are shared between threads by reference count.
 *
 * A *lane* is what a delivery waits in: (config, default target) or (config, workflow URL). Its
 * number is given by the store when the config is written, lives with the config and is never used
 * again. A new webhookUrl re-points the default lane and touches no row. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "core/edit.h"
#include "core/pattern.h"
#include "core/retry.h"
#include "core/sign.h"
#include "core/url.h"

#include <stdatomic.h>

#define GW_CONFIG_HEADERS_MAX       32
#define GW_CONFIG_HEADER_BYTES_MAX  8192 /* names and values, in all */
#define GW_CONFIG_WORKFLOWS_MAX     100
#define GW_CONFIG_WORKFLOW_URLS_MAX 20
#define GW_CONFIG_BODY_BYTES_MAX    (256 * 1024) /* of a request that sets one */
#define GW_CONFIG_METADATA_KEYS_MAX 32
#define GW_CONFIG_IN_FLIGHT_DEFAULT 16
#define GW_CONFIG_IN_FLIGHT_MAX     1000
#define GW_CONFIG_RATE_MAX          100000 /* deliveries a second */
#define GW_CONFIG_BODY_HEADER       "x-webhook-signature"
#define GW_CONFIG_BODY_HEADER_MAX   64 /* bytes of such a name */

struct gw_config_header {
    struct gw_slice name, value;
    const char *line; /* "name: value" */
};

/* A lane and where it leads now. */
struct gw_route {
    uint64_t lane; /* 0 until the store has given it */
    struct gw_url url;
};

struct gw_workflow {
    struct gw_slice id;
    const size_t *routes; /* indexes into gw_config.routes */
    size_t route_count;
};

struct gw_signing {
    unsigned schemes; /* GW_SCHEME_…, at least one */
    struct gw_slice body_header;
    bool body_base64; /* else hex */
};

struct gw_config {
    atomic_uint refs;
    struct gw_arena arena; /* everything below lives here */
    struct gw_slice app_id, event_type;
    uint64_t version; /* 1, 2, …; grows by one with each change */
    bool is_active;
    bool delete_app_id;
    struct gw_slice product;        /* ptr NULL = none */
    struct gw_slice *metadata_keys; /* that count when they come with an event; without case */
    size_t metadata_key_count;
    struct gw_edit_path *blocklist; /* removed before signing */
    size_t blocklist_count;
    struct gw_slice filter_json; /* as it was given, minified; ptr NULL = none */
    struct gw_pattern *filter;
    struct gw_config_header *headers;
    size_t header_count;
    struct gw_route *routes; /* [0] is the default target; then one for each workflow URL */
    size_t route_count;
    struct gw_workflow *workflows;
    size_t workflow_count;
    struct gw_retry retry;
    bool retry_is_default; /* says what gw_retry_default says; the store then keeps none */
    uint32_t max_in_flight;
    uint32_t rate_limit; /* deliveries a second and target; 0 = none */
    struct gw_signing signing;
    struct gw_secret secrets[2]; /* newest first; the second signs until its until_ms */
    size_t secret_count;
    struct gw_key_pair pairs[2]; /* made when ed25519 is first asked for; rotated with secrets */
    size_t pair_count;
    int64_t created_ms, updated_ms;
    int64_t active_ms; /* when it last became active; at first, when it was created */
};

struct gw_config *gw_config_ref(struct gw_config *config);
void gw_config_unref(struct gw_config *config); /* wipes secrets when it was the last */

/* ── From and to the API ───────────────────────────────────────────────────────────────────── */

struct gw_config_change {
    struct gw_slice json;   /* the request body */
    struct gw_slice app_id; /* scope of the caller; {0} = any */
    const struct gw_guard *guard;
    int64_t now_ms;
    int64_t overlap_ms; /* how long an old secret signs beside a new one: 24 h */
    uint8_t random[64]; /* for a new secret and a new key pair */
};

/* Only the pair a request body speaks of, for looking up the current config; all other checks are
 * the two functions' below. Slices in the arena. */
enum gw_err gw_config_key_parse(struct gw_slice json, struct gw_arena *arena,
                                struct gw_slice *app_id, struct gw_slice *event_type,
                                struct gw_error *error);

/* A new config out of a create request: version 1, defaults for what is missing or null, a new
 * secret. All lanes are 0. refs = 1. GW_ERR_INVALID or GW_ERR_TOO_LARGE: *config is NULL. */
enum gw_err gw_config_create(struct gw_config **config, const struct gw_config_change *change,
                             struct gw_error *error);

/* The config after a PATCH (RFC 7396; null removes): version + 1, lanes of URLs that stay are
 * kept. *secret_made: a rotation happened and the answer must show the secret. */
enum gw_err gw_config_patch(struct gw_config **config, const struct gw_config *current,
                            const struct gw_config_change *change, bool *secret_made,
                            struct gw_error *error);

/* The JSON object of an answer: all fields with defaults shown, `version createdAt updatedAt`,
 * `secret` masked unless `show_secret`; header values of authorization and *-key|token|secret
 * masked always. */
void gw_config_render(const struct gw_config *config, bool show_secret, struct gw_buf *out);

/* The same for whoever may see no secrets: URLs without their query too, for tokens live there. */
void gw_config_render_looked(const struct gw_config *config, struct gw_buf *out);

/* What a change changed, for its history: a JSON array of {"field","from","to"} as those see them
 * who may see no secrets; NULL stands for no config. A value of more than GW_CONFIG_SHOWN_MAX
 * bytes of JSON is left out, and "fromBytes" or "toBytes" is there instead. Secrets that were
 * rotated are told by field alone. Never more than GW_AUDIT_DETAIL_MAX in all. */
#define GW_CONFIG_SHOWN_MAX 1024
void gw_config_diff(const struct gw_config *before, const struct gw_config *after,
                    struct gw_buf *out);

/* ── From and to the store ─────────────────────────────────────────────────────────────────── */

/* Everything, secrets and lanes included, as JSON; and back. */
void gw_config_encode(const struct gw_config *config, struct gw_buf *out);
enum gw_err gw_config_decode(struct gw_config **config, struct gw_slice json,
                             struct gw_error *error);

/* ── Snapshots ─────────────────────────────────────────────────────────────────────────────── */

struct gw_snapshot_lane {
    uint64_t lane;
    struct gw_config *config;
    const struct gw_route *route;
};

struct gw_snapshot_target {
    struct gw_slice url;
    uint32_t in_flight_max; /* the smallest of the configs that lead to it */
    uint32_t rate_limit;    /* the smallest; 0 = none */
};

struct gw_snapshot {
    atomic_uint refs;
    uint64_t revision; /* of the app: grows with each change of any of its configs */
    char *app_id;
    struct gw_config **configs; /* sorted by event_type, bytewise */
    size_t config_count;
    struct gw_snapshot_lane *lanes; /* sorted by number */
    size_t lane_count;
    struct gw_snapshot_target *targets; /* sorted by URL, bytewise */
    size_t target_count;
};

/* Takes over one reference of each config. `configs` may be in any order; the array is copied. */
struct gw_snapshot *gw_snapshot_create(struct gw_slice app_id, uint64_t revision,
                                       struct gw_config **configs, size_t count);
struct gw_snapshot *gw_snapshot_ref(struct gw_snapshot *snapshot);
void gw_snapshot_unref(struct gw_snapshot *snapshot);

/* The config of exactly that eventType; NULL. */
struct gw_config *gw_snapshot_config(const struct gw_snapshot *snapshot,
                                     struct gw_slice event_type);

/* Where a lane leads now. False: it leads nowhere any more, and what waits in it is cancelled. */
bool gw_snapshot_lane(const struct gw_snapshot *snapshot, uint64_t lane, struct gw_config **config,
                      const struct gw_route **route);

/* The limits of that URL, over all the app's configs that lead to it; NULL: none does. */
const struct gw_snapshot_target *gw_snapshot_target(const struct gw_snapshot *snapshot,
                                                    struct gw_slice url);
