/* emf.h: what a process has counted, as a line that CloudWatch makes metrics of (EMF): namespace
 * GenericWebhook, dimension Deployment, which is what the tables' names begin with. */
#pragma once

#include "flow/shard.h"

#define GW_EMF_METRICS_MAX 16

/* What was counted when the last line was made; all zeroes at the start. */
struct gw_emf {
    const char *deployment;
    uint64_t told[GW_EMF_METRICS_MAX];
};

/* Writes a line of what came since the last one to standard output; none when nothing did. */
void gw_emf_tell(struct gw_emf *emf, const struct gw_flow *flow, int64_t now_ms);
