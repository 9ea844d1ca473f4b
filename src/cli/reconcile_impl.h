/* reconcile_impl.h: one reconciliation, for the files that it is made of: the command, pages of the
 * bucket and what is sent (reconcile.c), and which events the ledger knows (reconcile_check.c). */
#pragma once

#include "app/settings.h"
#include "aws/notice.h"
#include "aws/s3.h"
#include "cli/cloud.h"
#include "store/dynamodb.h"

/* What is known of an object that should be an event. */
enum gw_reconcile_verdict {
    GW_RECONCILE_UNCHECKED, /* or to be checked again */
    GW_RECONCILE_KNOWN,
    GW_RECONCILE_UNKNOWN,
    GW_RECONCILE_GONE,       /* or replaced: then a notice of its own was sent of what is there */
    GW_RECONCILE_UNREADABLE, /* no event */
    GW_RECONCILE_FAILED,     /* nobody could say */
};
#define GW_RECONCILE_VERDICTS 6

struct gw_reconcile_candidate {
    struct gw_aws_notice notice;
    enum gw_reconcile_verdict verdict;
};

struct gw_reconcile {
    struct gw_settings settings;
    struct gw_cloud cloud;
    struct gw_dynamodb *store;
    struct gw_cloud_place place;
    int64_t from_ms, to_ms; /* objects that were written from <= t < to */
    bool is_dry, json, shows_progress;

    /* of the page under way */
    struct gw_arena arena;
    struct gw_reconcile_candidate *candidates;
    size_t count;
    size_t next, in_flight; /* of checks */

    int64_t objects, events;
    int64_t verdicts[GW_RECONCILE_VERDICTS];
    int64_t sent;
    bool is_ending; /* it will not get better */
    char last_error[200];
};

#define GW_RECONCILE_CALL_US (30 * 1000000LL) /* for one call to AWS */

void gw_reconcile_failed(struct gw_reconcile *r, const char *why);
/* Pauses, or says that it was enough: for whatever was refused `tries` times. */
bool gw_reconcile_again(struct gw_reconcile *r, enum gw_err err, int64_t after_ms, unsigned tries);

/* Gives each candidate of the page a verdict. */
void gw_reconcile_check(struct gw_reconcile *r);
