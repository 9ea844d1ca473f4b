/* diagnose_impl.h: what the parts of diagnose share. */
#pragma once

#include "cli/diagnose.h"

/* A header's value, trimmed; ptr NULL: it is not there. */
struct gw_slice gw_diagnose_header(const struct gw_diagnose *d, const char *name);

/* Looks for a variant of the body that is right: appends what was done to it, and why that matters. */
enum gw_diagnosis gw_diagnose_bodies(const struct gw_diagnose *d,
                                     bool (*is_right)(void *ctx, struct gw_slice body), void *ctx,
                                     struct gw_buf *why);

/* Of a webhook of the body scheme. */
enum gw_diagnosis gw_diagnose_body(const struct gw_diagnose *d, struct gw_buf *why);
