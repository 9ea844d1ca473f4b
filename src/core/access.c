/* access.c: see access.h. */
#include "core/access.h"

#include "base/alloc.h"
#include "base/check.h"

static const struct {
    unsigned role;
    const char *name;
} roles_known[] = {
    {GW_ROLE_ADMIN, "admin"},
    {GW_ROLE_PRODUCER, "producer"},
    {GW_ROLE_CLIENT, "client"},
    {GW_ROLE_VIEWER, "viewer"},
};

unsigned gw_role_parse(struct gw_slice name)
{
    for (size_t i = 0; i < gw_count(roles_known); i++)
        if (gw_slice_is(name, roles_known[i].name))
            return roles_known[i].role;
    return 0;
}

void gw_role_names(unsigned roles, const char *between, struct gw_buf *out)
{
    const char *before = "";

    for (size_t i = 0; i < gw_count(roles_known); i++) {
        if (!(roles & roles_known[i].role))
            continue;
        gw_buf_addf(out, "%s%s", before, roles_known[i].name);
        before = between;
    }
}

/* ── The audit log ─────────────────────────────────────────────────────────────────────────── */

const char *const gw_audit_actions[] = {
    "config_created", "config_updated", "config_rotated", "config_deleted", "test_sent",
    "secret_shown",   "payload_shown",  "key_created",    "key_revoked",    "delivery_retried",
    "target_enabled", "erased",         "replay_started", "replay_changed", "replay_stopped",
};
const size_t gw_audit_action_count = gw_count(gw_audit_actions);

const char *gw_audit_action(struct gw_slice name)
{
    for (size_t i = 0; i < gw_audit_action_count; i++)
        if (gw_slice_is(name, gw_audit_actions[i]))
            return gw_audit_actions[i];
    return NULL;
}

enum gw_err gw_audit_check(const struct gw_audit *audit)
{
    gw_check(audit->action && gw_audit_action(gw_slice_from(audit->action)));
    if (audit->at_ms < 0 || audit->at_ms >= GW_AUDIT_AT_END)
        return GW_ERR_INVALID;
    if (audit->actor.len > GW_AUDIT_TEXT_MAX || audit->address.len > GW_AUDIT_TEXT_MAX ||
        audit->app_id.len > GW_AUDIT_TEXT_MAX || audit->subject.len > GW_AUDIT_TEXT_MAX ||
        audit->detail.len > GW_AUDIT_DETAIL_MAX)
        return GW_ERR_TOO_LARGE;
    return GW_OK;
}

bool gw_audit_is_config(const struct gw_audit *audit)
{
    return gw_slice_starts(gw_slice_from(audit->action), GW_SLICE("config_"));
}
