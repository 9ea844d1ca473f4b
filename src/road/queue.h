/* queue.h: takes messages out of a queue of SQS, has each of them go its road, and deletes those that
 * are done. Any number of processes may take from one queue. */
#pragma once

#include "aws/sqs.h"
#include "road/item.h"

/* What several queues of a process have in hand together. */
struct gw_hand {
    size_t count, max;
};

struct gw_queue {
    /* in */
    struct gw_road *road;
    struct gw_slice url;
    struct gw_hand *hand;
    void (*idle)(struct gw_queue *queue); /* after stop: nothing is in hand any more */

    /* counted since the start */
    uint64_t received, ended[GW_ITEM_END_COUNT];

    /* its own */
    struct gw_aws_receive receive;
    struct gw_arena arena; /* its */
    bool is_receiving, is_stopping;
    struct gw_timer later;       /* until it is asked again */
    int64_t pause_ms;            /* the last one after a failure */
    struct gw_list held;         /* messages in hand */
    struct gw_list over;         /* of them, those that are to be deleted */
    size_t over_count, deleting; /* in the list; and of those whose deletion is under way */
    struct gw_timer soon;        /* until they are */
};

void gw_queue_start(struct gw_queue *queue);

/* Nothing more is taken; what is in hand is given back, or ends. `idle` is told once, perhaps at once. */
void gw_queue_stop(struct gw_queue *queue);

/* After idle, or when nothing runs any more. */
void gw_queue_deinit(struct gw_queue *queue);
