/* fetch.h: the object that a notice tells of, read from S3: what intake needs of it. */
#pragma once

#include "aws/notice.h"
#include "aws/s3.h"
#include "core/event.h"
#include "road/road.h"

struct gw_fetch {
    /* in; lives until done */
    struct gw_road *road;
    const struct gw_aws_notice *notice;
    struct gw_arena *arena;
    void (*done)(struct gw_fetch *fetch); /* from the loop, never inside the start */

    /* out; of class "again": later; "fatal": somebody must look; "reject": it is no event of ours, and
     * the text says why, without a part of it */
    struct gw_error error;
    int64_t again_ms;
    struct gw_slice body;
    struct gw_place place;
    struct gw_metadata *metadata;
    size_t metadata_count;

    /* its own */
    struct gw_aws_object object;
    struct gw_timer soon;
};

void gw_fetch_start(struct gw_fetch *fetch);
void gw_fetch_cancel(struct gw_fetch *fetch); /* `done` will not be called */
