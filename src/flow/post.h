/* post.h: one signed POST to a client's server: the guard, the name, the signature, the request, the
 * verdict. What an attempt does, and a test from the API too. The drawing is at the top of post.c.
 *
 * It knows no ledger: what is to be delivered comes in, the record of the attempt comes out. */
#pragma once

#include "core/attempt.h"
#include "core/config.h"
#include "core/message.h"
#include "flow/shard.h"

struct gw_post {
    /* in; all of it lives until done, the config by a reference of the caller's */
    struct gw_shard *shard;
    struct gw_arena *arena; /* for what the request and the record need */
    const struct gw_config *config;
    const struct gw_route *route;
    const struct gw_message *message; /* with its body */
    uint32_t n;                       /* of the attempt: 1, 2, … */
    bool is_replay;
    bool is_apart;  /* the target may hang */
    int64_t due_ms; /* since when it could have gone; 0 = now */
    void (*done)(struct gw_post *post);

    /* out */
    struct gw_attempt record;
    int64_t retry_after_ms; /* 0 = the client named no time */
    bool is_late; /* nothing was sent: its time was over, for the process had stood still */

    /* its own */
    struct gw_slice body; /* as it is sent */
    int64_t begun_us;
    struct gw_slice retry_after;
    struct gw_resolve resolve;
    struct gw_http_call call;
    struct gw_timer soon; /* carries an end that is known at once to the next turn */
    enum gw_post_stage { GW_POST_STAGE_SOON, GW_POST_STAGE_NAME, GW_POST_STAGE_CALL } stage;
};

/* Starts; `done` is called on the shard's loop, never inside. */
void gw_post_start(struct gw_post *post);

/* `done` will not be called; the memory is the caller's again. */
void gw_post_cancel(struct gw_post *post);
