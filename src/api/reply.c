/* reply.c: owns the end of every request: its answer is copied into the exchange's arena, the
 * exchange is completed, the shard is told. Nothing of the request may be touched afterwards.
 *
 * Answers are written into one scratch buffer of the API, which is why an answer is begun and ended
 * in one turn of the loop. Its memory is kept for the next one, up to a ceiling. */
#include "api/reply.h"

#include "base/check.h"
#include "base/timefmt.h"

#include <stdarg.h>
#include <stdio.h>

#define SCRATCH_KEEP_MAX ((size_t)256 * 1024)
#define FAIL_TEXT_MAX    1024

/* ── The envelope ──────────────────────────────────────────────────────────────────────────── */

void gw_reply_give(struct gw_api_request *request, int status, const char *content_type,
                   struct gw_slice reply)
{
    struct gw_exchange *exchange = request->exchange;
    struct gw_shard *shard = request->api->shard;
    gw_api_count(request->api, GW_API_COUNT_ANSWER + (size_t)status / 100);
    exchange->status = status;
    exchange->content_type = content_type;
    exchange->reply = reply;
    exchange->complete(exchange);
    gw_shard_end(shard);
}

static void finish(struct gw_api_request *request, int status, const char *content_type)
{
    struct gw_buf *scratch = &request->api->scratch;
    size_t len = scratch->len;
    char *reply = gw_arena_alloc(gw_api_arena(request), len);
    memcpy(reply, scratch->ptr, len);
    if (scratch->cap > SCRATCH_KEEP_MAX)
        gw_buf_deinit(scratch);
    gw_reply_give(request, status, content_type, (struct gw_slice){reply, len});
}

struct gw_buf *gw_reply_plain_begin(struct gw_api_request *request)
{
    struct gw_buf *out = &request->api->scratch;
    gw_buf_clear(out);
    return out;
}

void gw_reply_plain_end(struct gw_api_request *request, int status, const char *content_type)
{
    finish(request, status, content_type);
}

static void add_status(struct gw_buf *out, int status)
{
    gw_check(status >= 100 && status <= 599);
    gw_buf_adds(out, GW_SLICE("{\"statusCode\":"));
    gw_buf_addc(out, (char)('0' + status / 100));
    gw_buf_addc(out, (char)('0' + status / 10 % 10));
    gw_buf_addc(out, (char)('0' + status % 10));
}

void gw_envelope_begin(struct gw_buf *out, int status)
{
    add_status(out, status);
    gw_buf_adds(out, GW_SLICE(",\"status\":\"success\",\"result\":"));
}

void gw_envelope_fail(struct gw_buf *out, int status, const char *why)
{
    add_status(out, status);
    gw_buf_adds(out, GW_SLICE(",\"status\":\"failed\",\"error\":"));
    gw_json_text(out, gw_slice_from(why));
}

struct gw_buf *gw_reply_begin(struct gw_api_request *request, int status)
{
    struct gw_buf *out = gw_reply_plain_begin(request);
    gw_envelope_begin(out, status);
    request->exchange->status = status;
    return out;
}

void gw_reply_end(struct gw_api_request *request)
{
    gw_buf_addc(&request->api->scratch, '}');
    finish(request, request->exchange->status, "application/json");
}

void gw_reply_fail(struct gw_api_request *request, int status, const char *format, ...)
{
    char text[FAIL_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct gw_buf *out = gw_reply_plain_begin(request);
    gw_envelope_fail(out, status, text);
    gw_buf_addc(out, '}');
    finish(request, status, "application/json");
}

int64_t gw_reply_again_s(int64_t again_ms)
{
    return again_ms > 0 ? (again_ms + 999) / 1000 : 1;
}

void gw_reply_retry_after(struct gw_api_request *request, int64_t again_s)
{
    const char *text = gw_arena_printf(gw_api_arena(request), "%lld", (long long)again_s);
    gw_reply_header(request, "retry-after", gw_slice_from(text));
}

void gw_reply_later(struct gw_api_request *request, int64_t again_ms, const char *why)
{
    gw_reply_retry_after(request, gw_reply_again_s(again_ms));
    gw_reply_fail(request, 503, "%s", why);
}

void gw_reply_store_failed(struct gw_api_request *request, const struct gw_op *op)
{
    const char *name = gw_err_name(op->err);
    switch (gw_err_class(op->err)) {
    case GW_CLASS_AGAIN:
        gw_reply_later(
            request, op->again_ms,
            gw_arena_printf(gw_api_arena(request), "the store cannot answer now: %s", name));
        return;
    case GW_CLASS_REJECT:
        gw_reply_fail(request, 400, "the store refused the request: %s", name);
        return;
    case GW_CLASS_OK:
    case GW_CLASS_FATAL: break;
    }
    gw_reply_fail(request, 500, "the store failed: %s", name);
}

void gw_reply_header(struct gw_api_request *request, const char *name, struct gw_slice value)
{
    struct gw_exchange *exchange = request->exchange;
    gw_check(exchange->reply_header_count < GW_REPLY_HEADERS_MAX);
    exchange->reply_headers[exchange->reply_header_count++] =
        (struct gw_header){gw_slice_from(name), value};
}

/* ── JSON ──────────────────────────────────────────────────────────────────────────────────── */

static bool is_plain(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\';
}

/* One character, or one byte that is none; returns its length. */
static size_t add_special(struct gw_buf *out, struct gw_slice rest)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* character, letter, … */
    unsigned char byte = (unsigned char)rest.ptr[0];
    size_t step = gw_slice_utf8_step(rest);
    if (step == 0) {
        gw_buf_adds(out, GW_SLICE("\xEF\xBF\xBD"));
        return 1;
    }
    if (step > 1) {
        gw_buf_add(out, rest.ptr, step);
        return step;
    }
    for (size_t i = 0; i < sizeof(shorts) - 1; i += 2) {
        if (rest.ptr[0] == shorts[i]) {
            gw_buf_add(out, (char[]){'\\', shorts[i + 1]}, 2);
            return 1;
        }
    }
    gw_buf_addf(out, "\\u%04x", byte);
    return 1;
}

void gw_json_text(struct gw_buf *out, struct gw_slice text)
{
    if (!text.ptr) {
        gw_buf_adds(out, GW_SLICE("null"));
        return;
    }
    gw_buf_reserve(out, text.len + 2);
    gw_buf_addc(out, '"');
    for (size_t at = 0; at < text.len;) {
        size_t from = at;
        while (at < text.len && is_plain(text.ptr[at]))
            at++;
        gw_buf_add(out, text.ptr + from, at - from);
        if (at < text.len)
            at += add_special(out, gw_slice_skip(text, at));
    }
    gw_buf_addc(out, '"');
}

void gw_json_next(struct gw_buf *out)
{
    char last = out->len ? out->ptr[out->len - 1] : '[';
    if (last != '{' && last != '[')
        gw_buf_addc(out, ',');
}

void gw_json_key(struct gw_buf *out, const char *name)
{
    gw_json_next(out);
    gw_buf_addc(out, '"');
    gw_buf_adds(out, gw_slice_from(name));
    gw_buf_add(out, "\":", 2);
}

void gw_json_member(struct gw_buf *out, const char *name, struct gw_slice text)
{
    gw_json_key(out, name);
    gw_json_text(out, text);
}

void gw_json_member_s(struct gw_buf *out, const char *name, const char *text)
{
    gw_json_member(out, name, gw_slice_from(text));
}

void gw_json_member_bool(struct gw_buf *out, const char *name, bool value)
{
    gw_json_key(out, name);
    gw_buf_adds(out, value ? GW_SLICE("true") : GW_SLICE("false"));
}

void gw_json_member_int(struct gw_buf *out, const char *name, int64_t value)
{
    gw_json_key(out, name);
    gw_buf_addf(out, "%lld", (long long)value);
}

void gw_json_member_null(struct gw_buf *out, const char *name)
{
    gw_json_key(out, name);
    gw_buf_adds(out, GW_SLICE("null"));
}

void gw_json_member_id(struct gw_buf *out, const char *name, enum gw_id_kind kind,
                       const struct gw_id *id)
{
    char text[GW_ID_TEXT_MAX];
    gw_json_member(out, name, gw_id_text(kind, id, text));
}

void gw_json_member_time(struct gw_buf *out, const char *name, int64_t ms)
{
    char text[GW_TIME_TEXT_MAX];
    gw_json_member(out, name, gw_time_text(ms, text));
}

void gw_json_member_ms(struct gw_buf *out, const char *name, int64_t us)
{
    gw_json_key(out, name);
    gw_buf_addf(out, "%lld.%03d", (long long)(us / 1000), (int)(us % 1000));
}

void gw_json_member_rate(struct gw_buf *out, const char *name, uint64_t part, uint64_t of)
{
    if (of == 0) {
        gw_json_member_null(out, name);
        return;
    }
    uint64_t rate = part * 10000 / of;
    gw_json_key(out, name);
    gw_buf_addf(out, "%d.%04d", (int)(rate / 10000), (int)(rate % 10000));
}
