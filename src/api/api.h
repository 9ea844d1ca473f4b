/* api.h: the side doors over HTTP: events in, configs, deliveries, why, metrics. CONTRACT 2, 3, 5.
 *
 * One gw_api per shard, on its thread. It takes an exchange and completes it; it never sees a
 * connection, so that Lambda can call it too. */
#pragma once

#include "flow/shard.h"
#include "sys/exchange.h"

/* Lists and texts are borrowed, and live as long as the API. */
struct gw_api_options {
    struct gw_net_list allowed_ips;     /* ALLOWED_IPS; default loopback only */
    struct gw_net_list trusted_proxies; /* whose X-Forwarded-For counts */
    const char *admin_key;              /* "appid:appkey"; beside those in the store; NULL = none */
    const struct gw_rsa_key *jwt_key;   /* PUBLIC_CERT; NULL = no token is taken */
    const char *auth_url;               /* --auth-url, checked; NULL = no service is asked */
    struct gw_api **apis;               /* of all shards, by index: room for them, filled as they
                                           are made, before any is used */
    struct gw_ledger *stats;            /* where the flow is shared: answers /v1/stats; NULL =
                                           nobody does */
    int64_t keys_keep_ms;               /* how long a key that was read may be old; 0 = for ever,
                                           where every change is made by this process */
    size_t event_bytes_max;             /* --max-body-bytes, 1 MiB */
    int64_t secret_overlap_ms;          /* 24 h */
    const char *version;
};

struct gw_api;

struct gw_api *gw_api_create(struct gw_shard *shard, const struct gw_api_options *options);
void gw_api_destroy(struct gw_api *api);

/* The grace time of a stop is over: what waits for a client's server is cut off. */
void gw_api_cut(struct gw_api *api);

/* Handles one exchange; `ctx` is the gw_api. Fits gw_http_server_options.on_request. */
void gw_api_handle(void *ctx, struct gw_exchange *exchange);

/* How large a body it takes there; its head is all that is looked at. Fits body_bytes_max_of. */
size_t gw_api_body_bytes_max(void *ctx, const struct gw_exchange *exchange);
