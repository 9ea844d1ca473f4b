/* received.c: one received webhook, for people and for programs. Pure; owns nothing. What came from
 * outside is cleaned before it gets near a terminal; a body is shown up to LINES_MAX lines and
 * BYTES_MAX bytes. */
#include "cli/received.h"

#include "base/timefmt.h"
#include "cli/text.h"

#include <stdlib.h>
#include <yyjson.h>

#define LINES_MAX 40
#define BYTES_MAX ((size_t)16 * 1024)
#define INDENT    "    "

/* ── For people ────────────────────────────────────────────────────────────────────────────── */

static void add_head(const struct gw_received *r, const struct gw_term *term, struct gw_buf *out)
{
    char stamp[GW_TIME_TEXT_MAX];
    struct gw_buf id = {0};

    gw_time_text(r->at_ms, stamp);
    gw_term_paintf(term, out, GW_TONE_DIM, "%.12s", stamp + 11);
    gw_buf_adds(out, GW_SLICE("  "));
    gw_text_add_clean(&id, r->id.ptr ? r->id : GW_SLICE("(no webhook-id)"), false);
    gw_term_paint(term, out, GW_TONE_BOLD, gw_buf_slice(&id));
    gw_buf_deinit(&id);
    if (r->event_type.ptr) {
        gw_buf_adds(out, GW_SLICE("  "));
        gw_text_add_clean(out, r->event_type, false);
    }
    if (r->attempt.ptr) {
        gw_buf_adds(out, GW_SLICE("  attempt "));
        gw_text_add_clean(out, r->attempt, false);
    }
    if (r->is_replay)
        gw_buf_adds(out, GW_SLICE("  replay"));
    if (r->method || !gw_slice_is(r->path, "/")) {
        gw_buf_addf(out, "  %s%s", r->method ? r->method : "", r->method ? " " : "");
        gw_text_add_clean(out, r->path, false);
    }
    gw_buf_adds(out, GW_SLICE("  → "));
    if (r->instead)
        gw_term_paint(term, out, GW_TONE_WARN, gw_slice_from(r->instead));
    else
        gw_term_paintf(term, out, r->status < 300 ? GW_TONE_GOOD : GW_TONE_WARN, "%d", r->status);
    gw_buf_addc(out, '\n');
}

static void add_check(const struct gw_received *r, const struct gw_term *term, struct gw_buf *out)
{
    bool is_genuine = r->diagnosis == GW_GENUINE;

    gw_buf_adds(out, GW_SLICE(INDENT));
    if (!r->is_checked) {
        gw_term_paint(term, out, GW_TONE_DIM,
                      GW_SLICE("not checked: no --secret or --public-key was given"));
    } else {
        gw_term_paint(term, out, is_genuine ? GW_TONE_GOOD : GW_TONE_BAD,
                      is_genuine ? GW_SLICE("verified") : GW_SLICE("not verified"));
        gw_buf_adds(out, GW_SLICE(": "));
        gw_text_add_clean(out, r->why, false);
    }
    gw_buf_addc(out, '\n');
}

static void add_taken(const struct gw_received *r, const struct gw_term *term, struct gw_buf *out)
{
    if (!r->was_taken)
        return;
    gw_buf_adds(out, GW_SLICE(INDENT));
    gw_term_paint(
        term, out, GW_TONE_WARN,
        GW_SLICE("again: this webhook-id was answered with 2xx before; do its work once"));
    gw_buf_addc(out, '\n');
}

static void add_lines(struct gw_slice text, bool wide, struct gw_buf *out)
{
    size_t hidden = !wide && text.len > BYTES_MAX ? text.len - BYTES_MAX : 0;
    struct gw_slice rest = {text.ptr, text.len - hidden}, line;
    size_t count = 0, left = 0;

    while (gw_slice_split(&rest, '\n', &line)) {
        if (!wide && count >= LINES_MAX) {
            left++;
            continue;
        }
        gw_buf_adds(out, GW_SLICE(INDENT));
        gw_text_add_clean(out, line, true);
        gw_buf_addc(out, '\n');
        count++;
    }
    if (hidden > 0)
        gw_buf_addf(out, INDENT "… and more: %zu bytes in all (--wide shows them)\n", text.len);
    else if (left > 0)
        gw_buf_addf(out, INDENT "… and %zu more lines (--wide shows all)\n", left);
}

static void add_body(struct gw_slice body, bool wide, struct gw_buf *out)
{
    bool is_deep = gw_text_json_depth(body) > GW_TEXT_DEPTH_MAX;
    yyjson_doc *doc = is_deep ? NULL : yyjson_read(body.ptr, body.len, YYJSON_READ_NUMBER_AS_RAW);
    size_t len = 0;
    char *pretty = doc ? yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &len) : NULL;

    if (body.len == 0)
        gw_buf_adds(out, GW_SLICE(INDENT "(no body)\n"));
    else if (pretty)
        add_lines((struct gw_slice){pretty, len}, wide, out);
    else
        add_lines(body, wide, out);
    free(pretty);
    yyjson_doc_free(doc);
}

void gw_received_show(const struct gw_received *received, const struct gw_term *term, bool wide,
                      struct gw_buf *out)
{
    add_head(received, term, out);
    add_check(received, term, out);
    add_taken(received, term, out);
    add_body(received->body, wide, out);
    gw_buf_addc(out, '\n');
}

/* ── For programs ──────────────────────────────────────────────────────────────────────────── */

/* Text, or null; malformed bytes become U+FFFD. */
static yyjson_mut_val *text_of(yyjson_mut_doc *doc, struct gw_slice text)
{
    struct gw_buf clean = {0};

    if (text.ptr == NULL)
        return yyjson_mut_null(doc);
    if (gw_slice_is_utf8(text))
        return yyjson_mut_strncpy(doc, text.ptr, text.len);
    gw_text_add_clean(&clean, text, true);
    yyjson_mut_val *value = yyjson_mut_strncpy(doc, clean.ptr, clean.len);
    gw_buf_deinit(&clean);
    return value;
}

static void put(yyjson_mut_doc *doc, const char *name, yyjson_mut_val *value)
{
    yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), name, value);
}

static yyjson_mut_val *headers_of(yyjson_mut_doc *doc, const struct gw_received *r)
{
    yyjson_mut_val *object = yyjson_mut_obj(doc);

    for (size_t i = 0; i < r->header_count; i++)
        yyjson_mut_obj_add(object, text_of(doc, r->headers[i].name),
                           text_of(doc, r->headers[i].value));
    return object;
}

void gw_received_json(const struct gw_received *r, struct gw_buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    char stamp[GW_TIME_TEXT_MAX];
    uint64_t attempt;
    size_t len = 0;

    yyjson_mut_doc_set_root(doc, yyjson_mut_obj(doc));
    put(doc, "at", text_of(doc, gw_time_text(r->at_ms, stamp)));
    put(doc, "method", text_of(doc, gw_slice_from(r->method ? r->method : "POST")));
    put(doc, "path", text_of(doc, r->path));
    put(doc, "id", text_of(doc, r->id));
    put(doc, "eventType", text_of(doc, r->event_type));
    put(doc, "attempt",
        gw_slice_u64(r->attempt, &attempt) ? yyjson_mut_uint(doc, attempt) : yyjson_mut_null(doc));
    put(doc, "replay", yyjson_mut_bool(doc, r->is_replay));
    put(doc, "again", yyjson_mut_bool(doc, r->was_taken));
    put(doc, "verified",
        r->is_checked ? yyjson_mut_bool(doc, r->diagnosis == GW_GENUINE) : yyjson_mut_null(doc));
    put(doc, "diagnosis",
        r->is_checked ? text_of(doc, gw_slice_from(gw_diagnosis_name(r->diagnosis)))
                      : yyjson_mut_null(doc));
    put(doc, "why", r->is_checked ? text_of(doc, r->why) : yyjson_mut_null(doc));
    put(doc, "status", r->status > 0 ? yyjson_mut_int(doc, r->status) : yyjson_mut_null(doc));
    put(doc, "headers", headers_of(doc, r));
    put(doc, "body", text_of(doc, r->body));
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len);
    if (text)
        gw_buf_add(out, text, len);
    gw_buf_addc(out, '\n');
    free(text);
    yyjson_mut_doc_free(doc);
}
