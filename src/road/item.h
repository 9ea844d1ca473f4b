/* item.h: one message of the queue, from its text to its end. The drawing is at the top of item.c. */
#pragma once

#include "flow/intake.h"
#include "flow/watch.h"
#include "road/fetch.h"
#include "road/job.h"

enum gw_item_end {
    GW_ITEM_DONE,   /* all of it is recorded: the message may be deleted */
    GW_ITEM_AGAIN,  /* not all of it could be: the message must come again */
    GW_ITEM_POISON, /* it never will be: the message is left, for the queue to set it aside */
};
#define GW_ITEM_END_COUNT (GW_ITEM_POISON + 1)

const char *gw_item_end_name(enum gw_item_end end); /* "again" */

struct gw_item {
    /* in; lives until done */
    struct gw_road *road;
    struct gw_slice id, body;           /* of the message */
    void (*done)(struct gw_item *item); /* from the loop, never inside a call */

    /* out */
    enum gw_item_end end;
    struct gw_error error; /* why it is not done; no part of an event */

    /* its own */
    enum gw_item_stage {
        GW_ITEM_STAGE_SOON,
        GW_ITEM_STAGE_FETCH,
        GW_ITEM_STAGE_STORE, /* the store, or the queue, has been asked */
        GW_ITEM_STAGE_WATCH,
        GW_ITEM_STAGE_PAUSE, /* before something is asked again */
    } stage;
    bool is_given_back;
    struct gw_msg soon;
    struct gw_arena arena, part_arena; /* the message's, and of one of its events */
    struct gw_wake wake;
    struct gw_aws_notices notices;
    size_t at; /* of the notices */
    void (*next_step)(struct gw_item *item);
    struct gw_timer pause;
    unsigned tries; /* of what is asked again, in a row */
    struct gw_wakes wakes;
    /* of an event */
    struct gw_id message_id;
    struct gw_fetch fetch;
    struct gw_intake intake;
    struct gw_find find;
    struct gw_delivery *open;
    size_t open_count;
    struct gw_snapshot_wait wait;
    struct gw_watch watch;
    unsigned looks;
    struct gw_job *job; /* NULL = it is none */
};

void gw_item_start(struct gw_item *item);

/* It should end soon: nothing new is begun, what is under way ends as usual. */
void gw_item_give_back(struct gw_item *item);

/* After done. */
void gw_item_deinit(struct gw_item *item);
