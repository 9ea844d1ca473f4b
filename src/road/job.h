/* job.h: a slice of a job: wakes for the events that have something open in some lanes. */
#pragma once

#include "flow/snapshots.h"
#include "road/wakes.h"

#define GW_JOB_SLICE_MAX 100 /* deliveries that one slice looks at */

struct gw_item;

struct gw_job {
    /* in; lives until done */
    struct gw_road *road;
    struct gw_item *item;             /* the caller's, untouched */
    const struct gw_wake *wake;       /* LANES or TARGET */
    struct gw_wakes *wakes;           /* gets what is to be sent, the slice's successor last */
    void (*done)(struct gw_job *job); /* from the loop */
    /* out */
    enum gw_err err;
    int64_t again_ms;
    /* its own */
    size_t at; /* of the wake's lanes */
    size_t seen;
    struct gw_refill refill;
    struct gw_delivery rows[GW_JOB_SLICE_MAX];
    struct gw_snapshot_wait wait;
};

/* GW_ERR_INVALID: the cursor is none of ours. After an error it may be started again. */
void gw_job_start(struct gw_job *job);
