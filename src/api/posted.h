/* posted.h: one event on its way in, and the envelope of its answer: what a post of one event and a
 * line of a batch have in common. */
#pragma once

#include "api/api_impl.h"
#include "base/buf.h"
#include "flow/intake.h"

struct gw_posted {
    struct gw_list link; /* in the pool */
    struct gw_api *api;
    void *owner;
    void (*done)(struct gw_posted *posted);
    struct gw_intake intake;
};

/* Takes an event: body and scope live until done, which is called on the loop, never inside. */
void gw_posted_start(struct gw_api *api, struct gw_slice body, struct gw_slice scope,
                     void (*done)(struct gw_posted *posted), void *owner);

/* What came of it: 202, 400, 403, 413, 429 or 503, and for the last two how many seconds to wait. */
int gw_posted_status(const struct gw_posted *posted, int64_t *again_s);

/* Its envelope. For a line, which has no headers, the seconds to wait stand inside. */
void gw_posted_render(const struct gw_posted *posted, bool is_line, struct gw_buf *out);

/* Back to the pool. */
void gw_posted_release(struct gw_posted *posted);
void gw_posted_pool_destroy(struct gw_api *api);

void gw_posted_render_skipped(struct gw_buf *out, enum gw_skip skip); /* "skipped":… */
