/* send_batch.c: many events to the API, in slices that it takes at once.
 *
 *   read ─▶ slice (≤ 1 000 lines, ≤ 8 MiB) ─▶ POST ─▶ each line's own answer ─▶ told, counted
 *                                              ▲              │ 429 or 503: that line again
 *                                              └── a pause ◀──┘ bounded
 *
 * Owns one slice at a time, whatever the length of the file. Answers keep the order of the lines. A
 * line that is refused spoils only itself. When no answer comes, nobody knows which lines were
 * taken: it ends, and says from which line on to send again; those with an eventId are recognised.
 */
#include "cli/send_batch.h"

#include "base/alloc.h"
#include "cli/input.h"
#include "cli/lines.h"
#include "cli/pause.h"
#include "cli/term.h"
#include "cli/text.h"

#include <stdio.h>
#include <unistd.h>

#define LINES_MAX    1000
#define BYTES_MAX    ((size_t)8 * 1024 * 1024)
#define TOLD_MAX     20 /* refused lines are told one by one, up to so many */
#define TRIES_MAX    8
#define PAUSE_MS     500
#define PAUSE_MS_MAX 15000
#define AFTER_S_MAX  60

struct line {
    int64_t number;
    struct gw_slice text;
    struct gw_slice answer; /* ptr NULL: none yet */
};

struct batch {
    struct gw_client client;
    struct gw_lines lines;
    const char *name;      /* of the file */
    struct gw_arena arena; /* the slice's texts and answers */
    struct line slice[LINES_MAX];
    size_t count;
    struct gw_buf body;
    int64_t again_ms; /* the longest that a line is to wait */
    int64_t sent, accepted, skipped, duplicate, refused;
    int64_t started_us;
    bool shows_progress;
};

/* ── Telling ───────────────────────────────────────────────────────────────────────────────── */

static double seconds(const struct batch *b)
{
    return (double)(gw_env_mono_us(b->client.env) - b->started_us) / 1e6;
}

static void clear_progress(const struct batch *b)
{
    if (b->shows_progress)
        fputs("\r\x1b[K", stderr);
}

/* With those of the slice that have their answer. */
static void show_progress(const struct batch *b, size_t answered)
{
    double s = seconds(b), sent = (double)b->sent + (double)answered;

    if (b->shows_progress)
        fprintf(stderr, "\r\x1b[K%.0f lines sent, %lld refused, %.0f/s", sent,
                (long long)b->refused, s > 0 ? sent / s : 0);
}

static void tell_refused(struct batch *b, const struct line *line, yyjson_val *envelope)
{
    struct gw_slice error = gw_client_text(envelope, "error");
    struct gw_buf out = {0};

    if (++b->refused > TOLD_MAX || b->client.json)
        return;
    clear_progress(b);
    gw_buf_addf(&out, "line %lld: ", (long long)line->number);
    gw_text_add_clean(&out, error.ptr ? error : GW_SLICE("no answer that could be read"), false);
    fprintf(stderr, "%s\n", gw_buf_text(&out));
    gw_buf_deinit(&out);
}

static void tell_line(struct batch *b, const struct line *line)
{
    yyjson_doc *doc = yyjson_read(line->answer.ptr, line->answer.len, 0);
    yyjson_val *envelope = yyjson_doc_get_root(doc), *result = yyjson_obj_get(envelope, "result");

    b->sent++;
    if (!yyjson_is_obj(result))
        tell_refused(b, line, envelope);
    else if (yyjson_is_true(yyjson_obj_get(result, "duplicate")))
        b->duplicate++;
    else
        b->accepted++;
    if (yyjson_is_obj(yyjson_obj_get(result, "skipped")))
        b->skipped++;
    yyjson_doc_free(doc);
}

/* False: nobody reads any more. */
static bool tell_slice(struct batch *b)
{
    struct gw_buf out = {0};

    for (size_t i = 0; i < b->count; i++) {
        tell_line(b, &b->slice[i]);
        if (b->client.json) {
            gw_buf_adds(&out, b->slice[i].answer);
            gw_buf_addc(&out, '\n');
        }
    }
    bool is_read = gw_term_flush(&out);
    gw_buf_deinit(&out);
    show_progress(b, 0);
    return is_read;
}

static int report(struct batch *b, int code)
{
    struct gw_buf out = {0};

    clear_progress(b);
    if (!b->client.json) {
        if (b->refused > TOLD_MAX)
            fprintf(stderr, "… and %lld more lines were refused\n",
                    (long long)(b->refused - TOLD_MAX));
        gw_buf_addf(&out, "%lld line%s: %lld accepted (%lld of them go nowhere), %lld duplicate, ",
                    (long long)b->sent, b->sent == 1 ? "" : "s", (long long)b->accepted,
                    (long long)b->skipped, (long long)b->duplicate);
        gw_buf_addf(&out, "%lld refused, in %.1f s\n", (long long)b->refused, seconds(b));
        gw_term_flush(&out);
        gw_buf_deinit(&out);
    }
    if (code < 0)
        code = b->refused > 0 ? GW_EXIT_FAILED : GW_EXIT_DONE;
    return code;
}

/* ── A slice ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice too_long(struct batch *b)
{
    return gw_slice_from(gw_arena_printf(&b->arena,
                                         "{\"statusCode\":413,\"status\":\"failed\",\"error\":\"a "
                                         "line must have at most %zu bytes\"}",
                                         b->lines.bytes_max));
}

/* Lines up to what one request may hold. False: there are none left. */
static bool read_slice(struct batch *b)
{
    struct gw_slice text;
    size_t bytes = 0;
    enum gw_line got;

    gw_arena_reset(&b->arena);
    b->count = 0;
    while (b->count < LINES_MAX && (got = gw_lines_next(&b->lines, &text)) != GW_LINE_END) {
        struct line *line = &b->slice[b->count];
        bool is_blank = gw_slice_trim(text).len == 0;
        if (got == GW_LINE && is_blank)
            continue;
        if (got == GW_LINE && bytes + text.len + 1 > BYTES_MAX) {
            gw_lines_unread(&b->lines, text);
            break;
        }
        *line = (struct line){.number = b->lines.number};
        if (got == GW_LINE_TOO_LONG) {
            line->answer = too_long(b);
        } else {
            line->text = gw_arena_dup(&b->arena, text);
            bytes += text.len + 1;
        }
        b->count++;
    }
    return b->count > 0;
}

/* Those that have no answer yet. */
static size_t make_body(struct batch *b)
{
    size_t count = 0;

    gw_buf_clear(&b->body);
    for (size_t i = 0; i < b->count; i++) {
        if (b->slice[i].answer.ptr)
            continue;
        gw_buf_adds(&b->body, b->slice[i].text);
        gw_buf_addc(&b->body, '\n');
        count++;
    }
    return count;
}

/* Milliseconds to wait before the line is sent again; 0 = it has its answer. */
static int64_t again_ms(struct gw_slice answer)
{
    yyjson_doc *doc = yyjson_read(answer.ptr, answer.len, 0);
    yyjson_val *envelope = yyjson_doc_get_root(doc);
    int64_t status = gw_client_number(envelope, "statusCode", 0),
            after_s = gw_client_number(envelope, "retryAfter", 0);

    yyjson_doc_free(doc);
    if (status != 429 && status != 503)
        return 0;
    return after_s > 0 && after_s < AFTER_S_MAX ? after_s * 1000 : 1;
}

/* One line of the answer for each that was sent; the last time around, "again" is an answer too. */
static void take_answers(struct batch *b, struct gw_slice answers, bool is_last)
{
    struct gw_slice answer;

    for (size_t i = 0; i < b->count; i++) {
        if (b->slice[i].answer.ptr)
            continue;
        if (!gw_slice_split(&answers, '\n', &answer))
            answer = GW_SLICE("");
        int64_t ms = is_last ? 0 : again_ms(answer);
        if (ms == 0)
            b->slice[i].answer = gw_arena_dup(&b->arena, answer);
        else if (ms > b->again_ms)
            b->again_ms = ms;
    }
}

/* -1: it was answered as a whole, or is to be sent again. */
static int post(struct batch *b, bool is_last)
{
    struct gw_client_answer answer;
    struct gw_client_request request = {.method = "POST",
                                        .path = "/v1/events/batch",
                                        .body = gw_buf_slice(&b->body),
                                        .content_type = "application/x-ndjson"};

    clear_progress(b);
    int code = gw_client_ask(&b->client, &request, &answer);
    if (code < 0 && answer.status == 200)
        take_answers(b, answer.body, is_last);
    else if (code < 0 && (is_last || (answer.status != 429 && answer.status != 503)))
        code = gw_client_refused(&b->client, &answer);
    gw_client_answer_deinit(&answer);
    return code;
}

/* What was answered before the first line that was not, is all that is known. */
static void cut_to_answered(struct batch *b)
{
    size_t count = 0;

    while (count < b->count && b->slice[count].answer.ptr)
        count++;
    gw_term_fail(GW_EXIT_FAILED,
                 "it ends here: send again from line %lld on (what has an eventId and was taken "
                 "already is not taken twice)",
                 (long long)b->slice[count].number);
    b->count = count;
}

/* As long as a few more lines are taken each time, it goes on. -1: every line of the slice has its
 * answer. */
static int send_slice(struct batch *b)
{
    size_t left, before = SIZE_MAX;
    int64_t pause_ms = PAUSE_MS;
    int code = -1, tries = 0;

    while (code < 0 && (left = make_body(b)) > 0) {
        if (before != SIZE_MAX) {
            show_progress(b, b->count - left);
            gw_pause(b->client.env, pause_ms > b->again_ms ? pause_ms : b->again_ms);
            pause_ms = pause_ms < PAUSE_MS_MAX / 2 ? 2 * pause_ms : PAUSE_MS_MAX;
        }
        if (left < before) {
            tries = 0;
            pause_ms = PAUSE_MS;
        }
        before = left;
        b->again_ms = 0;
        code = post(b, ++tries == TRIES_MAX);
    }
    if (code >= 0)
        cut_to_answered(b);
    return code;
}

static int send_all(struct batch *b)
{
    int code = -1;

    b->shows_progress = !b->client.json && isatty(STDERR_FILENO) == 1;
    b->started_us = gw_env_mono_us(b->client.env);
    while (code < 0 && read_slice(b)) {
        code = send_slice(b);
        if (!tell_slice(b))
            break;
    }
    if (code < 0 && ferror(b->lines.file))
        code = gw_term_fail(GW_EXIT_FAILED, "cannot read %s behind line %lld", b->name,
                            (long long)b->lines.number);
    return report(b, code);
}

int gw_send_batch(const struct gw_client_options *options, const char *path)
{
    struct batch *b = gw_zalloc(sizeof(*b));

    b->name = gw_input_name(path);
    b->lines.bytes_max = BYTES_MAX - 1;
    int code = gw_input_open(path, &b->lines.file);
    if (code < 0)
        code = gw_client_open(&b->client, options);
    if (code < 0)
        code = send_all(b);
    gw_client_close(&b->client);
    gw_input_close(b->lines.file);
    gw_lines_deinit(&b->lines);
    gw_buf_deinit(&b->body);
    gw_arena_deinit(&b->arena);
    gw_free(b);
    return code;
}
