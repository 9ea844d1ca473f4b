/* auth_service.h: the external service that knows credentials (--auth-url): asked with a GET that
 * carries both headers, 200 = they are valid. CONTRACT section 2, "Who may call".
 *
 * One for the whole process, at home on one shard; any shard asks it. */
#pragma once

#include "sys/env.h"

#include "base/crypto.h"

struct gw_auth_service;

/* `url` was checked by gw_url_parse(), and lives as long; `max`: valid credentials that are kept. */
struct gw_auth_service *gw_auth_service_create(struct gw_env *env, const char *url,
                                               const char *user_agent, size_t max);
/* Nobody may be waiting for it any more. */
void gw_auth_service_destroy(struct gw_auth_service *service);

enum gw_auth_verdict {
    GW_AUTH_VALID,
    GW_AUTH_INVALID,
    GW_AUTH_UNKNOWN, /* the service cannot say; `why` */
};

struct gw_auth_ask {
    /* in; lives until done. Neither text has a control character. */
    struct gw_slice appid, appkey;
    struct gw_env *env; /* where done runs */
    void (*done)(struct gw_auth_ask *ask);
    /* out */
    enum gw_auth_verdict verdict;
    const char *why; /* literal, with UNKNOWN */
    /* its own */
    struct gw_auth_service *service;
    uint8_t digest[GW_SHA256_BYTES];
    struct gw_list link;
    struct gw_msg msg;
};

/* Any thread; `done` is called on ask->env's loop, never inside. */
void gw_auth_service_ask(struct gw_auth_service *service, struct gw_auth_ask *ask);
