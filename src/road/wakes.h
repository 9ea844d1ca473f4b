/* wakes.h: wakes on their way to the queue. */
#pragma once

#include "aws/sqs.h"
#include "core/wake.h"
#include "road/road.h"

struct gw_wakes {
    /* in */
    struct gw_road *road;
    void (*done)(struct gw_wakes *wakes); /* from the loop */
    /* out */
    enum gw_err err; /* not GW_OK: some are left, and are sent by another call */
    int64_t again_ms;
    /* its own */
    struct gw_waiting_wake {
        struct gw_slice body;
        int64_t not_before_ms;
    } * waiting;
    size_t count, cap;
    struct gw_arena texts, arena; /* of all; of a call */
    struct gw_aws_batch batch;
};

void gw_wakes_add(struct gw_wakes *wakes, const struct gw_wake *wake);
void gw_wakes_send(struct gw_wakes *wakes);   /* at least one was added */
void gw_wakes_deinit(struct gw_wakes *wakes); /* none is being sent */
