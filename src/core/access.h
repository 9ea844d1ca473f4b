/* access.h: who may do what, and the record of what was done. Pure. CONTRACT section 2, "Who may
 * call".
 *
 * A key is the pair appid:appkey. `appid` is the key's scope, or its name where the scope is any
 * app; several keys may share one appid, so that one can take another's place without a gap. Only
 * the SHA-256 of an appkey is kept: it is 32 random bytes, so nothing slower is needed. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* ── Roles ─────────────────────────────────────────────────────────────────────────────────── */

#define GW_ROLE_ADMIN    1u
#define GW_ROLE_PRODUCER 2u
#define GW_ROLE_CLIENT   4u
#define GW_ROLE_VIEWER   8u
#define GW_ROLE_ALL      15u

/* "admin", "producer", "client", "viewer"; 0: there is no such role. */
unsigned gw_role_parse(struct gw_slice name);

/* The names of `roles`, in the order above, with `between` between them. */
void gw_role_names(unsigned roles, const char *between, struct gw_buf *out);

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

#define GW_KEY_ID_BYTES   8   /* "key_" and their hex */
#define GW_KEY_ID_MAX     24  /* its text, with the NUL */
#define GW_KEY_NAME_MAX   256 /* bytes of a name */
#define GW_KEYS_PER_APPID 16  /* that share one appid */

struct gw_key {
    char id[GW_KEY_ID_MAX]; /* "key_0123456789abcdef" */
    struct gw_slice appid;  /* the scope; the name where the scope is any */
    struct gw_slice name;   /* ptr NULL = none */
    struct gw_slice scope;  /* one appId; ptr NULL = any */
    unsigned roles;
    uint8_t hash[32]; /* SHA-256 of the appkey */
    int64_t created_ms;
};

/* ── The audit log ─────────────────────────────────────────────────────────────────────────── */

#define GW_AUDIT_DETAIL_MAX (16 * 1024)        /* bytes */
#define GW_AUDIT_TEXT_MAX   2048               /* bytes of any other text in it */
#define GW_AUDIT_AT_END     ((int64_t)1 << 43) /* its times are before: the year 2248 */

/* One thing that was changed, or one secret or payload that was shown. Never holds either. */
struct gw_audit {
    int64_t at_ms;
    struct gw_slice actor;   /* the caller's name */
    struct gw_slice address; /* it called from */
    const char *action;      /* "config_created": one of gw_audit_actions */
    struct gw_slice app_id;  /* ptr NULL = it is about no app */
    struct gw_slice subject; /* an eventType, a delivery, a key; ptr NULL = none */
    struct gw_slice detail;  /* one JSON value; ptr NULL = none */
};

/* Every action there is. Those that begin with "config_" make up a config's history. */
extern const char *const gw_audit_actions[];
extern const size_t gw_audit_action_count;

/* The literal of that action; NULL: there is none. */
const char *gw_audit_action(struct gw_slice name);

/* May it be kept? GW_ERR_INVALID: its time is out of this world; GW_ERR_TOO_LARGE. An action that is
 * none is a bug of the caller. */
enum gw_err gw_audit_check(const struct gw_audit *audit);

/* It belongs to a config's history. */
bool gw_audit_is_config(const struct gw_audit *audit);
