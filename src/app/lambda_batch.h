/* lambda_batch.h: the messages of an SQS queue that came in one invocation of Lambda: each takes its
 * road, and fails alone. Thread: the shard's. */
#pragma once

#include "road/item.h"

#include <yyjson.h>

struct gw_lambda_batch {
    /* in */
    struct gw_road *road;
    struct gw_arena *arena;                      /* of the invocation: for the answer */
    int64_t deadline_ms;                         /* of the invocation, wall time */
    void (*done)(struct gw_lambda_batch *batch); /* from the loop */
    /* out */
    struct gw_slice answer; /* {"batchItemFailures":[…]}: what must come again, and poison */
    /* its own */
    struct gw_list records; /* under way, or failed; done ones are gone */
    size_t left;
    struct gw_timer give_back, late;
};

bool gw_lambda_batch_is(yyjson_val *event);

/* The event is copied. The error: it is no batch of SQS after all, and `done` is not called. */
enum gw_err gw_lambda_batch_start(struct gw_lambda_batch *batch, yyjson_val *event,
                                  struct gw_error *error);

/* It should end soon: what has not begun is left to a wake. */
void gw_lambda_batch_give_back(struct gw_lambda_batch *batch);
