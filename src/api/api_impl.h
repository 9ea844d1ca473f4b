/* api_impl.h: the API from inside; for the files of api/ only.
 *
 * A request lives in its exchange's arena and is gone when it has been answered, which happens
 * exactly once, in reply.c. Between gw_api_handle() and the answer the shard counts it as under
 * way, so a shard that is told to stop waits for it. */
#pragma once

#include "api/api.h"
#include "base/buf.h"

struct gw_api_request;

/* Who asks. */
struct gw_caller {
    unsigned roles;        /* GW_ROLE_… */
    struct gw_slice scope; /* the one app it may speak for and see; ptr NULL = any; never empty */
    struct gw_slice name;  /* for histories and the audit log */
    struct gw_slice via;   /* a key's id, "token", "service"; ptr NULL = the settings' admin key */
};

struct gw_api_request {
    struct gw_api *api;
    struct gw_exchange *exchange;
    struct gw_caller caller;
    struct gw_slice id; /* what stands for {id} in the path, decoded */
};

/* Counted since the start. Written by the shard's thread, read by anybody. */
enum gw_api_count {
    GW_API_COUNT_ADDRESS,     /* callers refused: by their address */
    GW_API_COUNT_CREDENTIALS, /* missing, or wrong */
    GW_API_COUNT_EXPIRED,     /* a token */
    GW_API_COUNT_UNCHECKED,   /* which could not be checked now */
    GW_API_COUNT_ROLE,        /* known, and may not do this */
    GW_API_COUNT_ANSWER,      /* answers, by the first digit of their status */
    GW_API_COUNT_END = GW_API_COUNT_ANSWER + 6,
};

struct gw_api {
    struct gw_shard *shard;
    struct gw_api_options options;
    struct gw_slice admin_name, admin_key; /* of options.admin_key */
    struct gw_key_cache *key_cache;
    struct gw_auth_service *auth_service; /* of the first shard, for all; NULL = there is none */
    struct gw_buf scratch;                /* the answer being written */
    struct gw_refused *refused;
    struct gw_refused *handed_over; /* NULL: what is posted here is routed here */
    struct gw_list posted_pool;     /* posted.c */
    size_t posted_pool_count;
    struct gw_list batches; /* batch.c: with lines not yet begun */
    size_t batch_lines;     /* of all batches, under way */
    bool batches_run;
    struct gw_list tests; /* test.c: those that post */
    size_t test_count;    /* under way */
    _Atomic uint64_t counts[GW_API_COUNT_END];
};

/* What a route asks for: one of these roles, or one of the two marks below. */
#define GW_API_OPEN    0x8000u /* nothing */
#define GW_API_ADDRESS 0x4000u /* the address only */

/* What a route takes as a body, which says how large it may be. */
enum gw_api_body {
    GW_API_BODY_NONE, /* a small one is not looked at: clients send {} where nothing is wanted */
    GW_API_BODY_EVENT,
    GW_API_BODY_BATCH,
    GW_API_BODY_CONFIG, /* or something else that is set */
    GW_API_BODY_TEST,   /* an event, and the config it is for */
};

struct gw_api_route {
    enum gw_method method;
    const char *path; /* "{id}" as the last segment or one inside stands for any one */
    unsigned roles;
    void (*handle)(struct gw_api_request *request);
    enum gw_api_body body;
};

extern const struct gw_api_route gw_api_routes[];
extern const size_t gw_api_route_count;

/* The route of a path and a method. NULL: no such path; or *allow_len > 0: the methods it has, as
 * Allow lists them. *id is the raw segment that stands for {id}; a path that the table has as it is
 * comes first and stands for none. */
#define GW_API_ALLOW_MAX 64
const struct gw_api_route *gw_api_route_find(enum gw_method method, struct gw_slice path,
                                             struct gw_slice *id, char allow[GW_API_ALLOW_MAX],
                                             size_t *allow_len);

static inline void gw_api_count(struct gw_api *api, size_t what)
{
    atomic_fetch_add_explicit(&api->counts[what], 1, memory_order_relaxed);
}

static inline struct gw_env *gw_api_env(const struct gw_api_request *request)
{
    return request->api->shard->env;
}

static inline struct gw_arena *gw_api_arena(const struct gw_api_request *request)
{
    return request->exchange->arena;
}

/* Where many processes share the store it is asked about one app at a time, and what is posted here is
 * routed by others. */
static inline bool gw_api_is_shared(const struct gw_api_request *request)
{
    return request->api->shard->flow->options.is_shared;
}

/* May the caller see this app? */
static inline bool gw_api_may_see(const struct gw_api_request *request, struct gw_slice app_id)
{
    return !request->caller.scope.ptr || gw_slice_eq(request->caller.scope, app_id);
}

/* May the caller see what only its app's own people may: secrets, payloads, what clients answered? */
static inline bool gw_api_may_see_secrets(const struct gw_api_request *request)
{
    return request->caller.roles & (GW_ROLE_ADMIN | GW_ROLE_CLIENT);
}

/* Has it one of these roles? Else it is told so, and the request is over. */
bool gw_api_require(struct gw_api_request *request, unsigned roles, const char *what);

/* ── Handlers ──────────────────────────────────────────────────────────────────────────────── */

void gw_events_post(struct gw_api_request *request);
void gw_events_get(struct gw_api_request *request);
void gw_events_get_one(struct gw_api_request *request);

#define GW_BATCH_LINES_MAX 1000
#define GW_BATCH_BYTES_MAX (8 * 1024 * 1024)
void gw_batch_post(struct gw_api_request *request);

void gw_catalog_get(struct gw_api_request *request);

void gw_config_api_post(struct gw_api_request *request);
void gw_config_api_get(struct gw_api_request *request);
void gw_config_api_patch(struct gw_api_request *request);
void gw_config_api_delete(struct gw_api_request *request);
void gw_config_api_set_etag(struct gw_api_request *request, const struct gw_config *config);
void gw_config_api_test(struct gw_api_request *request);

void gw_deliveries_get(struct gw_api_request *request);
void gw_deliveries_get_one(struct gw_api_request *request);
void gw_deliveries_retry(struct gw_api_request *request);

void gw_targets_get(struct gw_api_request *request);
void gw_targets_enable(struct gw_api_request *request);

void gw_why_get(struct gw_api_request *request);

void gw_keys_post(struct gw_api_request *request);
void gw_keys_get(struct gw_api_request *request);
void gw_keys_delete(struct gw_api_request *request);

void gw_audit_api_get(struct gw_api_request *request);
void gw_audit_api_history(struct gw_api_request *request);

void gw_ledger_get(struct gw_api_request *request);

void gw_stats_get(struct gw_api_request *request);

void gw_openapi_get(struct gw_api_request *request);

void gw_metrics_get(struct gw_api_request *request);
void gw_healthz_get(struct gw_api_request *request);
void gw_readyz_get(struct gw_api_request *request);
