/* why_impl.h: between why.c, which finds and judges, and why_text.c, why_skip.c and why_lost.c, which
 * put it in words. */
#pragma once

#include "api/look.h"
#include "api/refused.h"

/* The better before the worse: the worst of several is the one with the highest number. */
enum gw_why_verdict {
    GW_WHY_UNKNOWN,
    GW_WHY_DELIVERED,
    GW_WHY_SKIPPED,
    GW_WHY_WAITING,
    GW_WHY_HELD,
    GW_WHY_CANCELLED,
    GW_WHY_DEAD,
    GW_WHY_REFUSED,
};

/* One event and what became of it. */
struct gw_why_story {
    const struct gw_event_row *event; /* NULL: it was refused, or handed over */
    const struct gw_refusal *refusal; /* NULL: it is in the ledger */
    const struct gw_look *look;
    const struct gw_id *only; /* of its deliveries, this one is asked about; NULL = all */
    bool superseded;          /* a newer event of the same eventId decides */
    enum gw_why_verdict verdict;
    struct gw_view worst; /* the delivery that decided; row NULL = it has none */
    size_t deliveries, delivered;
    bool matches_now; /* it was filtered out, and would not be now */
    const char
        *misses; /* it was filtered out: what it lacks for the filter of now; NULL = unknown */
};

const char *gw_why_verdict_name(enum gw_why_verdict verdict);

/* Is this row part of the story? */
bool gw_why_is_told(const struct gw_why_story *story, const struct gw_row *row);

/* Sentences, in the arena. */
const char *gw_why_summary(const struct gw_why_story *story, struct gw_arena *arena,
                           int64_t now_ms);
const char *gw_why_next(const struct gw_why_story *story, struct gw_arena *arena, int64_t now_ms);

/* "steps":[…] */
void gw_why_steps(const struct gw_why_story *story, struct gw_arena *arena, struct gw_buf *out);

/* A filter kept the event back, and there is one now to be asked about its body; and the asking,
 * which keeps nothing of the body. */
bool gw_why_wants_body(const struct gw_why_story *story);
void gw_why_ask_filter(struct gw_why_story *story, struct gw_slice body, struct gw_arena *arena);

/* Why an event goes nowhere, as the end of a sentence; and what to do about it. */
const char *gw_why_skipped(const struct gw_why_story *story, struct gw_arena *arena);
const char *gw_why_skipped_next(const struct gw_why_story *story, struct gw_arena *arena);

/* ── What was not stored ───────────────────────────────────────────────────────────────────── */

const char *gw_why_handed_over_summary(const struct gw_refusal *refusal, struct gw_arena *arena,
                                       int64_t now_ms);
const char *gw_why_handed_over_next(void);
const char *gw_why_handed_over_detail(const struct gw_refusal *refusal, struct gw_arena *arena);
const char *gw_why_refused_summary(const struct gw_refusal *refusal, struct gw_arena *arena);
const char *gw_why_refused_next(const struct gw_refusal *refusal);
const char *gw_why_refused_detail(const struct gw_refusal *refusal, struct gw_arena *arena);

/* What an id may be that nothing was found by. `snapshot`: of the app of that name; may be NULL. */
const char *gw_why_unknown(struct gw_slice id, const struct gw_snapshot *snapshot,
                           struct gw_arena *arena);

/* ── Pieces ────────────────────────────────────────────────────────────────────────────────── */

/* ", eventId \"e-1\""; empty when it is absent */
const char *gw_why_named(struct gw_arena *arena, const char *name, struct gw_slice value);
/* "5.3 s", "4 min 10 s" */
const char *gw_why_duration(struct gw_arena *arena, int64_t us);
