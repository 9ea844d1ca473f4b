/* job.c: owns one slice of a job.
 *
 *   TARGET ─▶ its app's configs ─▶ a job for the lanes that lead there ─▶ done
 *   LANES ──▶ refill: the next that are open behind the cursor ─┬─▶ a wake for each event ─▶ done
 *              ▲ the next lane, while the slice has room ───────┘    and a successor with the cursor
 *
 * The cursor is "LANE.DUE.ORDER": which of the job's lanes, and the last delivery seen in it; "LANE"
 * where that has just been reached. What comes to be due earlier meanwhile was made so by somebody who
 * wakes it himself.
 *
 * Nothing is kept: the message that carries the job stays in the queue until its wakes are sent. */
#include "road/job.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void start_refill(struct gw_job *job);

static void finish(struct gw_job *job, enum gw_err err, int64_t again_ms)
{
    job->err = err;
    job->again_ms = again_ms;
    job->done(job);
}

/* ── Lanes ─────────────────────────────────────────────────────────────────────────────────── */

static void behind(struct gw_job *job, int64_t due_ms, uint64_t order)
{
    job->refill.after_due_ms = due_ms;
    job->refill.after_order = order;
}

static bool read_cursor(struct gw_job *job)
{
    struct gw_slice rest = job->wake->cursor, part;
    uint64_t numbers[3];
    size_t count = 0;
    job->seen = 0;
    behind(job, INT64_MIN, 0);
    while (count < gw_count(numbers) && gw_slice_split(&rest, '.', &part))
        if (!gw_slice_u64(part, &numbers[count++]))
            return false;
    if (rest.ptr || count == 2 || (count && numbers[0] >= job->wake->lane_count) ||
        (count == 3 && numbers[1] > INT64_MAX))
        return false;
    job->at = count ? (size_t)numbers[0] : 0;
    if (count == 3)
        behind(job, (int64_t)numbers[1], numbers[2]);
    return true;
}

static void add_successor(struct gw_job *job)
{
    char cursor[72];
    struct gw_wake next = *job->wake;
    bool is_begun = job->refill.after_due_ms != INT64_MIN;
    int len = snprintf(cursor, sizeof(cursor), "%zu", job->at);
    if (is_begun)
        len = snprintf(cursor, sizeof(cursor), "%zu.%" PRId64 ".%" PRIu64, job->at,
                       job->refill.after_due_ms, job->refill.after_order);
    next.cursor = (struct gw_slice){cursor, (size_t)len};
    next.not_before_ms = 0;
    gw_wakes_add(job->wakes, &next);
}

/* Deliveries of one event mostly stand side by side; one that is woken twice does nothing twice. */
static void add_wakes(struct gw_job *job)
{
    const struct gw_refill *refill = &job->refill;
    for (size_t i = 0; i < refill->count; i++) {
        const struct gw_id *id = &refill->deliveries[i].message_id;
        if (i == 0 || !gw_id_eq(id, &refill->deliveries[i - 1].message_id))
            gw_wakes_add(job->wakes, &(struct gw_wake){.kind = GW_WAKE_MESSAGE, .message_id = *id});
    }
    job->seen += refill->count;
}

static void on_refilled(struct gw_op *op)
{
    struct gw_refill *refill = gw_container_of(op, struct gw_refill, op);
    struct gw_job *job = gw_container_of(refill, struct gw_job, refill);
    if (op->err != GW_OK) {
        finish(job, op->err, op->again_ms);
        return;
    }
    add_wakes(job);
    if (refill->count)
        behind(job, refill->deliveries[refill->count - 1].due_ms,
               refill->deliveries[refill->count - 1].order);
    if (refill->complete) {
        job->at++;
        behind(job, INT64_MIN, 0);
    }
    if (job->at == job->wake->lane_count) {
        finish(job, GW_OK, 0);
    } else if (job->seen < GW_JOB_SLICE_MAX) {
        start_refill(job);
    } else {
        add_successor(job);
        finish(job, GW_OK, 0);
    }
}

static void start_refill(struct gw_job *job)
{
    struct gw_shard *shard = job->road->shard;
    job->refill.op = (struct gw_op){.env = shard->env, .done = on_refilled};
    job->refill.lane = job->wake->lanes[job->at];
    job->refill.deliveries = job->rows;
    job->refill.max = GW_JOB_SLICE_MAX - job->seen;
    gw_ledger_refill(shard->flow->ledger, &job->refill);
}

/* ── A target ──────────────────────────────────────────────────────────────────────────────── */

static bool leads_to(const struct gw_snapshot_lane *lane, const struct gw_wake *wake)
{
    uint8_t hash[GW_SHA256_BYTES];

    gw_sha256(lane->route->url.text, hash);
    return memcmp(hash, wake->target, sizeof(hash)) == 0;
}

static void add_jobs(struct gw_job *job, const struct gw_snapshot *snapshot)
{
    uint64_t lanes[GW_WAKE_LANES_MAX];
    struct gw_wake next = {
        .kind = GW_WAKE_LANES, .app_id = job->wake->app_id, .lanes = lanes, .lane_count = 0};
    for (size_t i = 0; i < snapshot->lane_count; i++) {
        if (leads_to(&snapshot->lanes[i], job->wake))
            lanes[next.lane_count++] = snapshot->lanes[i].lane;
        bool is_last = i + 1 == snapshot->lane_count;
        if (next.lane_count == GW_WAKE_LANES_MAX || (is_last && next.lane_count)) {
            gw_wakes_add(job->wakes, &next);
            next.lane_count = 0;
        }
    }
}

static void on_snapshot(struct gw_snapshot_wait *wait, struct gw_snapshot *snapshot,
                        enum gw_err err)
{
    struct gw_job *job = gw_container_of(wait, struct gw_job, wait);
    if (snapshot)
        add_jobs(job, snapshot);
    finish(job, err, 0);
}

void gw_job_start(struct gw_job *job)
{
    const struct gw_wake *wake = job->wake;
    if (wake->kind == GW_WAKE_TARGET) {
        job->wait.ready = on_snapshot;
        gw_snapshots_load(job->road->shard, wake->app_id, &job->wait);
    } else if (read_cursor(job)) {
        start_refill(job);
    } else {
        finish(job, GW_ERR_INVALID, 0);
    }
}
