/* metrics.h: the one table of metrics: /metrics, and docs/metrics.md, are made of it. */
#pragma once

#include "base/buf.h"
#include "flow/shard.h"

/* The page that lists them all. */
void gw_metrics_page(struct gw_buf *out);

/* Milliseconds that the oldest due delivery has been due; 0 = nothing is. */
int64_t gw_metrics_oldest_due_age_ms(const struct gw_shard *shard);
