/* synthetic.c: made-up events of two producers. Pure; owns the tables of what may be in them.
 *
 * Audit Portal: a transaction has intermediate results, sometimes a manual review or a reset of the
 * application, then its end. Link KYC: a link is started, or opened after it has expired. */
#include "cli/synthetic.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/timefmt.h"

bool gw_producer_parse(struct gw_slice text, enum gw_producer *producer)
{
    if (gw_slice_is(text, "audit-portal"))
        *producer = GW_AUDIT_PORTAL;
    else if (gw_slice_is(text, "link-kyc"))
        *producer = GW_LINK_KYC;
    else
        return false;
    return true;
}

/* ── Chance ────────────────────────────────────────────────────────────────────────────────── */

/* Of the 32 bytes 16 are for draws, 8 for the event's id and 8 for a transaction's. */
struct chance {
    const uint8_t *bytes;
    size_t at;
};

static unsigned draw(struct chance *chance, size_t below)
{
    unsigned number = chance->bytes[chance->at] * 256u + chance->bytes[chance->at + 1];

    chance->at = (chance->at + 2) % 16;
    return number % (unsigned)below;
}

#define PICK(chance, words) ((words)[draw((chance), gw_count(words))])

static void make_id(char *id, size_t size, const char *prefix, const uint8_t bytes[8])
{
    struct gw_buf text = {0};

    gw_buf_adds(&text, gw_slice_from(prefix));
    gw_hex_encode(&text, bytes, 8);
    gw_check(text.len < size);
    memcpy(id, gw_buf_text(&text), text.len + 1);
    gw_buf_deinit(&text);
}

/* ── Members ───────────────────────────────────────────────────────────────────────────────── */

static void add(struct gw_buf *out, const char *name, const char *value)
{
    gw_buf_addf(out, "%s\"%s\":\"", out->ptr[out->len - 1] == '{' ? "" : ",", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            gw_buf_addc(out, '\\');
        gw_buf_addc(out, *value);
    }
    gw_buf_addc(out, '"');
}

static const char *const workflows[] = {
    "wf-onboarding",
    "wf-onboarding-lite",
    "wf-periodic-review",
    "wf-high-risk",
};
static const char *const modules[] = {
    "mod-document",
    "mod-selfie",
    "mod-address",
    "mod-questions",
};
static const char *const reviewers[] = {
    "reviewer-01",
    "reviewer-02",
    "reviewer-03",
    "reviewer-04",
};
static const char *const ends[] = {"auto_approved", "auto_approved", "auto_declined"};
static const char *const judgements[] = {"manually_approved", "manually_declined"};

static const char *add_start(const struct gw_synthetic *s, struct chance *chance, const char *type,
                             const struct gw_synthetic_transaction *t, int64_t now_ms,
                             struct gw_buf *out)
{
    char stamp[GW_TIME_TEXT_MAX], id[40];

    make_id(id, sizeof(id), "evt-", chance->bytes + 16);
    gw_time_text(now_ms, stamp);
    gw_buf_addc(out, '{');
    add(out, "eventId", id);
    add(out, "eventType", type);
    add(out, "eventTime", stamp);
    add(out, "appId", s->apps[t->app]);
    add(out, "transactionId", t->id);
    if (t->workflow > 0)
        add(out, "workflowId", workflows[t->workflow - 1]);
    return type;
}

static void begin(const struct gw_synthetic *s, struct chance *chance,
                  struct gw_synthetic_transaction *t)
{
    make_id(t->id, sizeof(t->id), "txn-", chance->bytes + 24);
    t->app = draw(chance, s->app_count);
    t->workflow = draw(chance, 2 * gw_count(workflows) + 1);
    if (t->workflow > gw_count(workflows))
        t->workflow = 0; /* about half have none */
    t->stage = 0;
}

/* ── Producers ─────────────────────────────────────────────────────────────────────────────── */

static const char *add_reset(const struct gw_synthetic *s, struct chance *chance,
                             const struct gw_synthetic_transaction *t, int64_t now_ms,
                             struct gw_buf *out)
{
    bool is_complete = draw(chance, 2) == 0;

    const char *type = add_start(s, chance, "APPLICATION_STATE_RESET", t, now_ms, out);
    add(out, "previousStatus", "needs_review");
    add(out, "reviewerId", PICK(chance, reviewers));
    add(out, "resetType", is_complete ? "COMPLETE_STATE_RESET" : "RESET_FROM_SPECIFIC_STEP");
    if (!is_complete)
        add(out, "moduleId", PICK(chance, modules));
    return type;
}

static const char *add_audit_portal(struct gw_synthetic *s, struct chance *chance, int64_t now_ms,
                                    struct gw_buf *out)
{
    struct gw_synthetic_transaction *t = &s->open[draw(chance, GW_SYNTHETIC_OPEN)];

    if (t->id[0] == '\0')
        begin(s, chance, t);
    unsigned luck = draw(chance, 100);
    const char *type;
    if (t->stage == 0 || (t->stage == 1 && luck < 20)) {
        type = add_start(s, chance, "INTERMEDIATE_TRANSACTION_WEBHOOK", t, now_ms, out);
        add(out, "applicationStatus", "started");
        add(out, "moduleId", PICK(chance, modules));
        t->stage = 1;
    } else if (t->stage == 1 && luck < 40) {
        type = add_start(s, chance, "MANUAL_REVIEW_STATUS_UPDATE", t, now_ms, out);
        add(out, "previousStatus", "needs_review");
        add(out, "applicationStatus", PICK(chance, judgements));
        add(out, "reviewerId", PICK(chance, reviewers));
        t->stage = 2;
    } else if (t->stage == 1 && luck < 60 && t->workflow > 0) { /* a reset names it */
        type = add_reset(s, chance, t, now_ms, out);
        t->stage = 0;
    } else {
        type = add_start(s, chance, "FINISH_TRANSACTION_WEBHOOK", t, now_ms, out);
        add(out, "applicationStatus",
            t->stage == 2 ? PICK(chance, judgements) : PICK(chance, ends));
        t->id[0] = '\0';
    }
    return type;
}

static const char *add_link_kyc(struct gw_synthetic *s, struct chance *chance, int64_t now_ms,
                                struct gw_buf *out)
{
    struct gw_synthetic_transaction t = {0};
    char stamp[GW_TIME_TEXT_MAX], link[40];

    begin(s, chance, &t);
    bool is_expired = draw(chance, 5) == 0;
    int64_t expires_ms = now_ms + (is_expired ? -1 : 24) * 3600000LL;
    const char *type =
        add_start(s, chance, is_expired ? "LINK_KYC_EXPIRED_LINK_OPENED" : "LINK_KYC_STARTED", &t,
                  now_ms, out);
    make_id(link, sizeof(link), "link-", chance->bytes + 20);
    add(out, "linkId", link);
    gw_time_text(expires_ms, stamp);
    add(out, "linkExpiresAt", stamp);
    return type;
}

const char *gw_synthetic_event(struct gw_synthetic *s, int64_t now_ms, const uint8_t random[32],
                               struct gw_buf *out)
{
    struct chance chance = {random, 0};

    gw_check(s->app_count > 0);
    const char *type = s->producer == GW_AUDIT_PORTAL ? add_audit_portal(s, &chance, now_ms, out)
                                                      : add_link_kyc(s, &chance, now_ms, out);
    gw_buf_addc(out, '}');
    return type;
}
