/* look.h: what a stored delivery looks like to people: its row, the configs and the targets of now. */
#pragma once

#include "api/api_impl.h"
#include "core/attempt.h"
#include "core/health.h"

/* A target that is in trouble. */
struct gw_look_target {
    struct gw_slice url;
    struct gw_health health; /* PROBED or DISABLED */
};

struct gw_look_app {
    struct gw_slice app_id;
    struct gw_snapshot *snapshot; /* a reference; NULL until it is there */
    struct gw_look *look;
    struct gw_config_load load;
    bool asks_health; /* it has something open, and how its targets do is not there yet */
    struct gw_health_load health_load;
    struct gw_arena arena; /* of health_load: apps are read side by side, by several threads */
    struct gw_look_target *targets;
    size_t target_count;
};

/* The snapshots of the apps that some rows belong to, and how their targets do. */
struct gw_look {
    struct gw_api_request *request;
    void (*ready)(struct gw_look *look);
    struct gw_look_app **apps;
    size_t app_count, app_cap;
    size_t left;
    struct gw_op failed; /* err: the first that went wrong */
};

void gw_look_init(struct gw_look *look, struct gw_api_request *request,
                  void (*ready)(struct gw_look *look));
/* app_id lives as long as the look. `is_open`: something of it is, so its targets matter. */
void gw_look_add(struct gw_look *look, struct gw_slice app_id, bool is_open);

/* Gets what was added since the last time; `ready` is called, perhaps before this returns. Look at
 * look->failed.err first. */
void gw_look_start(struct gw_look *look);
const struct gw_snapshot *gw_look_snapshot(const struct gw_look *look, struct gw_slice app_id);
/* Is what waits in that lane held? `look` must have the app's snapshot. */
bool gw_look_holds(const struct gw_look *look, struct gw_slice app_id, uint64_t lane);
void gw_look_deinit(struct gw_look *look);

/* ── One delivery ──────────────────────────────────────────────────────────────────────────── */

struct gw_view {
    const struct gw_row *row;
    const char *status;             /* "held" told apart */
    bool held;                      /* its config is inactive, or its target is disabled */
    const struct gw_health *health; /* of its target, while it waits; NULL: nothing is wrong */
    const struct gw_config *config; /* that its lane belongs to now; NULL: it leads nowhere */
    const struct gw_route *route;
    bool attempted;
    struct gw_attempt last;
    struct gw_slice url; /* without its query; ptr NULL = none any more */
    int64_t next_ms;     /* of the next attempt; 0 = none is planned */
};

/* `look` must have the app's snapshot. */
struct gw_view gw_look_view(const struct gw_look *look, const struct gw_row *row);

/* One attempt, as an object; what the client answered may hold what was sent, or more. */
void gw_look_render_attempt(const struct gw_attempt *attempt, bool with_excerpt,
                            struct gw_buf *out);

/* Members of the delivery's object, without the braces. */
void gw_look_render(const struct gw_view *view, struct gw_buf *out);
/* "attemptLog":[…] */
void gw_look_render_log(const struct gw_row *row, bool with_excerpts, struct gw_buf *out);
