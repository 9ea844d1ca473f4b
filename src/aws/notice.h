/* notice.h: what S3 says in a message when objects were made: directly, by way of SNS, of EventBridge,
 * or of both; and the same said in its stead. Pure. */
#pragma once

#include "base/arena.h"

struct gw_aws_notice {
    struct gw_slice bucket, key;
    struct gw_slice version_id, etag; /* absent = not said; the ETag is without quotes */
    uint64_t size;
};

enum gw_aws_notice_kind {
    GW_AWS_NOTICE_OBJECTS, /* none or more of them: what is told of other things is left out */
    GW_AWS_NOTICE_TEST,    /* s3:TestEvent, sent when notifications are set up */
    GW_AWS_NOTICE_NONE,    /* no notice, or not a word of it can be trusted */
};

struct gw_aws_notices {
    enum gw_aws_notice_kind kind;
    struct gw_aws_notice *items; /* in the arena, as all that they point to */
    size_t count;
};

void gw_aws_notice_read(struct gw_aws_notices *notices, struct gw_slice message,
                        struct gw_arena *arena);

/* A notice as S3 would have sent it itself; `from` stands in it where S3 names the rule that it
 * follows. */
struct gw_slice gw_aws_notice_write(const struct gw_aws_notice *notice, const char *from,
                                    struct gw_arena *arena);
