/* audit.h: the audit log from inside the API: who changed what, and who was shown what. */
#pragma once

#include "api/api_impl.h"

/* A line about this caller, from where it calls, and now; in the request's arena. */
struct gw_audit gw_audit_line(const struct gw_api_request *request, const char *action,
                              struct gw_slice app_id, struct gw_slice subject);

struct gw_audit_step;

/* Lines that must be kept before something is shown, or done that is kept elsewhere. */
struct gw_audit_write {
    /* out */
    struct gw_op failed; /* err GW_OK: all are kept */
    /* its own */
    struct gw_api_request *request;
    struct gw_audit_step *steps;
    size_t left;
    void (*done)(struct gw_audit_write *write);
};

/* Keeps them; `done` is called once, at once when there are none. The lines' texts live until then,
 * the array need not. When it failed, some may have been kept: who did not see it is told so by the
 * answer. */
void gw_audit_write_start(struct gw_audit_write *write, struct gw_api_request *request,
                          const struct gw_audit *lines, size_t count,
                          void (*done)(struct gw_audit_write *write));

/* The answer when they could not be kept: 503, and nothing is shown or done. */
void gw_audit_write_reply(const struct gw_audit_write *write);
