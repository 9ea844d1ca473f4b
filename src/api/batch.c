/* batch.c: POST /v1/events/batch: an event a line (NDJSON), each taken and answered as if it had
 * come alone, the answers in the order of the lines.
 *
 * Lines end with LF or CR LF, the last one with nothing if it likes. Every line has an answer, an
 * empty one too (400), so that answer n belongs to line n whatever a producer counts as a line. More
 * lines, or bytes, than allowed: 413, and nothing is taken.
 *
 * Batches wait in the order they came. As many lines as the window allows are under way at a time, of
 * all batches of the shard, so that a batch needs few commits and cannot fill the queue that single
 * events wait in. Lines are begun in order, so of two with the same eventId the later is the
 * duplicate. What was answered waits in the request's arena until the last answer is there.
 *
 * A line that fails fails alone. A batch whose sender has gone is taken to its end. Thread: the
 * shard's. */
#include "api/posted.h"
#include "api/reply.h"
#include "base/check.h"

#define WINDOW 256

struct batch;

struct line {
    struct batch *batch;
    struct gw_slice answer; /* with its LF */
};

struct batch {
    struct gw_list link; /* of api->batches, until all lines are begun */
    struct gw_api_request *request;
    struct gw_slice rest; /* of the body: the lines not yet begun */
    struct line *lines;
    size_t count, begun, answered;
    size_t answer_bytes;
    int64_t again_s; /* the longest that a line was told to wait */
};

static size_t window(const struct gw_api *api)
{
    size_t half = api->shard->flow->options.accepts_max / 2;
    return half > WINDOW ? WINDOW : half > 0 ? half : 1;
}

/* ── Answers ───────────────────────────────────────────────────────────────────────────────── */

static void finish(struct batch *batch)
{
    struct gw_arena *arena = gw_api_arena(batch->request);
    char *all = gw_arena_alloc(arena, batch->answer_bytes), *at = all;
    for (size_t i = 0; i < batch->count; i++) {
        memcpy(at, batch->lines[i].answer.ptr, batch->lines[i].answer.len);
        at += batch->lines[i].answer.len;
    }
    gw_check(at == all + batch->answer_bytes);
    if (batch->again_s > 0)
        gw_reply_retry_after(batch->request, batch->again_s);
    gw_reply_give(batch->request, 200, "application/x-ndjson",
                  (struct gw_slice){all, batch->answer_bytes});
}

/* The answer is in the scratch buffer. The batch is gone after its last one. */
static void answer(struct line *line, struct gw_buf *out)
{
    struct batch *batch = line->batch;
    gw_buf_addc(out, '\n');
    line->answer = gw_arena_dup(gw_api_arena(batch->request), gw_buf_slice(out));
    batch->answer_bytes += line->answer.len;
    if (++batch->answered == batch->count)
        finish(batch);
}

/* Intake never sees it; it is counted as if it had. */
static void refuse(struct line *line, int status, const char *why)
{
    enum gw_refusal_class class = status == 413 ? GW_REFUSAL_TOO_LARGE : GW_REFUSAL_INVALID;
    gw_shard_count(line->batch->request->api->shard, GW_COUNT_REFUSED + class);
    struct gw_buf *out = gw_reply_plain_begin(line->batch->request);
    gw_envelope_fail(out, status, why);
    gw_buf_addc(out, '}');
    answer(line, out);
}

static void run(struct gw_api *api);

static void on_posted(struct gw_posted *posted)
{
    struct line *line = posted->owner;
    struct batch *batch = line->batch;
    struct gw_api *api = posted->api;
    struct gw_buf *out = gw_reply_plain_begin(batch->request);
    int64_t again_s;
    gw_posted_status(posted, &again_s);
    if (again_s > batch->again_s)
        batch->again_s = again_s;
    gw_posted_render(posted, true, out);
    gw_posted_release(posted);
    api->batch_lines--;
    answer(line, out);
    run(api);
}

/* ── Lines ─────────────────────────────────────────────────────────────────────────────────── */

static size_t count_lines(struct gw_slice body)
{
    struct gw_slice line;
    size_t count = 0;
    while (gw_slice_split(&body, '\n', &line))
        count++;
    return count;
}

static void begin_line(struct batch *batch)
{
    struct gw_api *api = batch->request->api;
    struct line *line = &batch->lines[batch->begun++];
    size_t max = api->options.event_bytes_max;
    struct gw_slice text;
    gw_check(gw_slice_split(&batch->rest, '\n', &text));
    if (text.len > 0 && text.ptr[text.len - 1] == '\r')
        text.len--;
    line->batch = batch;
    if (batch->begun == batch->count)
        gw_list_remove(&batch->link);
    if (gw_slice_trim(text).len == 0) {
        refuse(line, 400, "the line is empty");
    } else if (text.len > max) {
        refuse(line, 413,
               gw_arena_printf(gw_api_arena(batch->request),
                               "an event must have at most %zu bytes, was %zu", max, text.len));
    } else {
        api->batch_lines++;
        gw_posted_start(api, text, batch->request->caller.scope, on_posted, line);
    }
}

/* Not in itself: an answer may bring the next batch of its connection. */
static void run(struct gw_api *api)
{
    if (api->batches_run)
        return;
    api->batches_run = true;
    while (api->batch_lines < window(api) && !gw_list_empty(&api->batches))
        begin_line(gw_container_of(api->batches.next, struct batch, link));
    api->batches_run = false;
}

void gw_batch_post(struct gw_api_request *request)
{
    struct gw_slice body = request->exchange->body;
    if (body.len == 0) {
        gw_reply_fail(request, 400, "the body must have an event on each line, was empty");
        return;
    }
    if (body.ptr[body.len - 1] == '\n')
        body.len--;
    size_t count = count_lines(body);
    if (count > GW_BATCH_LINES_MAX) {
        gw_reply_fail(request, 413, "a batch must have at most %d lines, was %zu",
                      GW_BATCH_LINES_MAX, count);
        return;
    }
    struct batch *batch = gw_arena_zalloc(gw_api_arena(request), sizeof(*batch));
    batch->request = request;
    batch->rest = body;
    batch->count = count;
    batch->lines = gw_arena_zalloc(gw_api_arena(request), count * sizeof(*batch->lines));
    gw_list_push(&request->api->batches, &batch->link);
    run(request->api);
}
