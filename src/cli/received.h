/* received.h: how a webhook that `gwh listen` received is shown. Pure. */
#pragma once

#include "cli/diagnose.h"
#include "cli/term.h"

struct gw_received {
    int64_t at_ms;
    const char *method; /* NULL: POST, like every webhook */
    struct gw_slice path;
    struct gw_slice id, event_type, attempt; /* of the headers; ptr NULL = not there */
    bool is_replay;
    const struct gw_header *headers;
    size_t header_count;
    struct gw_slice body;
    bool is_checked; /* there was a secret to check it with */
    enum gw_diagnosis diagnosis;
    struct gw_slice why;
    bool was_taken;      /* one of this webhook-id was answered with 2xx before */
    int status;          /* it is answered with; 0 = it is not */
    const char *instead; /* of an answer: "hangs", "reset" */
};

/* A head line, what the check found, and the body, indented. */
void gw_received_show(const struct gw_received *received, const struct gw_term *term, bool wide,
                      struct gw_buf *out);
/* One line of JSON: at method path id eventType attempt replay again verified diagnosis why status
 * headers body. */
void gw_received_json(const struct gw_received *received, struct gw_buf *out);
