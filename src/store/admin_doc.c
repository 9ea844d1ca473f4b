/* admin_doc.c: values one behind the other: a number "12:", a text "5:hello", an absent one "-:". The
 * first is the format; an older one stays readable. Pure. */
#include "store/admin_doc.h"

#include <inttypes.h>

#define FORMAT 1 /* of both */

static void put_number(struct gw_buf *out, uint64_t number)
{
    gw_buf_addf(out, "%" PRIu64 ":", number);
}

static void put_text(struct gw_buf *out, struct gw_slice text)
{
    if (text.ptr == NULL) {
        gw_buf_addf(out, "-:");
        return;
    }
    put_number(out, text.len);
    gw_buf_adds(out, text);
}

/* What is left to read; `is_bad` sticks. */
struct doc {
    struct gw_slice rest;
    bool is_bad;
};

static uint64_t take_number(struct doc *doc)
{
    struct gw_slice part;
    uint64_t number = 0;

    if (!gw_slice_split(&doc->rest, ':', &part) || !gw_slice_u64(part, &number))
        doc->is_bad = true;
    return number;
}

static struct gw_slice take_text(struct doc *doc)
{
    if (gw_slice_starts(doc->rest, GW_SLICE("-:"))) {
        doc->rest = gw_slice_skip(doc->rest, 2);
        return (struct gw_slice){0};
    }
    uint64_t len = take_number(doc);
    if (doc->is_bad || doc->rest.ptr == NULL || len > doc->rest.len) {
        doc->is_bad = true;
        return (struct gw_slice){0};
    }
    struct gw_slice text = {doc->rest.ptr, (size_t)len};
    doc->rest = gw_slice_skip(doc->rest, (size_t)len);
    return text;
}

static bool is_whole(const struct doc *doc)
{
    return !doc->is_bad && doc->rest.len == 0;
}

void gw_admin_doc_write_line(const struct gw_audit *line, struct gw_buf *out)
{
    put_number(out, FORMAT);
    put_text(out, gw_slice_from(line->action));
    put_text(out, line->actor);
    put_text(out, line->address);
    put_text(out, line->subject);
    put_text(out, line->detail);
}

bool gw_admin_doc_read_line(struct gw_slice text, struct gw_arena *arena, struct gw_audit *line)
{
    struct doc doc = {.rest = text};

    if (take_number(&doc) != FORMAT)
        return false;
    line->action = gw_arena_text(arena, take_text(&doc));
    line->actor = take_text(&doc);
    line->address = take_text(&doc);
    line->subject = take_text(&doc);
    line->detail = take_text(&doc);
    return is_whole(&doc);
}

void gw_admin_doc_write_key(const struct gw_key *key, struct gw_buf *out)
{
    put_number(out, FORMAT);
    put_number(out, key->roles);
    put_number(out, (uint64_t)key->created_ms);
    put_text(out, (struct gw_slice){(const char *)key->hash, sizeof(key->hash)});
    put_text(out, key->name);
    put_text(out, key->scope);
}

bool gw_admin_doc_read_key(struct gw_slice text, struct gw_key *key)
{
    struct doc doc = {.rest = text};

    if (take_number(&doc) != FORMAT)
        return false;
    key->roles = (unsigned)take_number(&doc);
    key->created_ms = (int64_t)take_number(&doc);
    struct gw_slice hash = take_text(&doc);
    key->name = take_text(&doc);
    key->scope = take_text(&doc);
    if (!is_whole(&doc) || hash.len != sizeof(key->hash))
        return false;
    memcpy(key->hash, hash.ptr, hash.len);
    return true;
}
