/* targets.h: for a change of a config: the targets that it names are enabled. */
#pragma once

#include "api/api_impl.h"
#include "flow/target.h"

struct gw_naming {
    struct gw_api_request *request;
    void (*done)(struct gw_naming *naming);
    struct gw_target_ask ask;
};

/* Enables those targets of `config` whose URL stands in the request's body, and with isActive true in
 * it, or when the config `is_back` from being inactive, all. Where the store fails the shard goes on
 * trying. `done` is called once, perhaps before this returns. */
void gw_targets_enable_named(struct gw_naming *naming, struct gw_api_request *request,
                             const struct gw_config *config, bool is_back,
                             void (*done)(struct gw_naming *naming));
