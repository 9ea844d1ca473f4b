/* s3.c: objects of S3 as requests, and their answers. What is wrong with a request is found before it
 * is sent, and ends it from the loop like everything else. Owns nothing. */
#include "aws/s3.h"

#include "aws/xml.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/timefmt.h"

#define META            "x-amz-meta-"
#define REPLY_BYTES_MAX ((size_t)64 * 1024)       /* of a refusal */
#define LIST_BYTES_MAX  ((size_t)8 * 1024 * 1024) /* 1 000 keys, each escaped twice */

static void fail(struct gw_aws_call *call, enum gw_err err, const char *why)
{
    gw_error_set(&call->error, err, "s3 %s: %s", call->what, why);
    gw_aws_call_fail(call);
}

/* ── Answers about an object ───────────────────────────────────────────────────────────────── */

static struct gw_slice lower(struct gw_arena *arena, struct gw_slice name)
{
    char *text = gw_arena_alloc(arena, name.len + 1);

    for (size_t i = 0; i < name.len; i++)
        text[i] =
            name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i];
    return (struct gw_slice){text, name.len};
}

static void on_header(struct gw_aws_call *call, struct gw_slice name, struct gw_slice value)
{
    struct gw_aws_object *object = gw_container_of(call, struct gw_aws_object, call);
    struct gw_slice start = {name.ptr, sizeof(META) - 1};
    uint64_t size;

    if (gw_slice_eq_nocase(name, GW_SLICE("etag"))) {
        object->etag = gw_arena_dup(call->arena, value);
    } else if (gw_slice_eq_nocase(name, GW_SLICE("x-amz-version-id"))) {
        object->version = gw_arena_dup(call->arena, value);
    } else if (gw_slice_eq_nocase(name, GW_SLICE("content-length"))) {
        object->size = gw_slice_u64(value, &size) ? size : 0;
    } else if (gw_slice_eq_nocase(name, GW_SLICE("last-modified"))) {
        if (!gw_time_parse_http(value, &object->modified_ms))
            object->modified_ms = 0;
    } else if (name.len > start.len && gw_slice_eq_nocase(start, GW_SLICE(META))) {
        size_t at = object->metadata_count++;
        if (at < GW_AWS_METADATA_MAX)
            object->metadata[at] =
                (struct gw_aws_field){lower(call->arena, gw_slice_skip(name, start.len)),
                                      gw_arena_dup(call->arena, value)};
    }
}

static void on_object(struct gw_aws_call *call)
{
    struct gw_aws_object *object = gw_container_of(call, struct gw_aws_object, call);

    if (call->error.code == GW_OK && object->metadata_count > GW_AWS_METADATA_MAX) {
        gw_error_set(&call->error, GW_ERR_TOO_LARGE,
                     "s3 %s: metadata: must have at most %d names, has %zu", call->what,
                     GW_AWS_METADATA_MAX, object->metadata_count);
        object->metadata_count = 0;
    }
    if (call->error.code == GW_OK && call->reply.len > object->bytes_max)
        gw_error_set(&call->error, GW_ERR_TOO_LARGE,
                     "s3 %s: the object must have at most %zu bytes, has more", call->what,
                     object->bytes_max);
    object->done(object);
}

/* ── Requests for an object ────────────────────────────────────────────────────────────────── */

/* Where it is; false: it failed. */
static bool place(struct gw_aws_call *call, struct gw_slice bucket, struct gw_slice key)
{
    struct gw_aws_origin *origin = gw_arena_alloc(call->arena, sizeof(*origin));
    struct gw_error error;
    struct gw_slice raw;

    if (gw_aws_bucket_place(&call->client->endpoint, bucket, key, call->arena, origin, &raw,
                            &error) != GW_OK) {
        fail(call, error.code, error.text);
        return false;
    }
    call->origin = origin;
    call->path = gw_aws_path(call->arena, raw);
    return true;
}

struct gw_slice gw_aws_etag_bare(struct gw_slice etag)
{
    bool is_quoted = etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"';

    return is_quoted ? (struct gw_slice){etag.ptr + 1, etag.len - 2} : etag;
}

static struct gw_slice quoted(struct gw_arena *arena, struct gw_slice etag)
{
    if (gw_slice_starts(etag, GW_SLICE("\"")))
        return etag;
    return gw_slice_from(gw_arena_printf(arena, "\"%.*s\"", GW_SLICE_ARG(etag)));
}

/* What goes into a header line as it is: printable ASCII, of a name's kind if it is one. */
static bool is_sendable(struct gw_slice text, bool is_name)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        if (is_name ? !is_plain : c < ' ' || c > '~')
            return false;
    }
    return !is_name || text.len > 0;
}

static const char *problem(const struct gw_aws_object *object)
{
    if (object->key.len == 0 || object->key.len > GW_AWS_KEY_BYTES_MAX)
        return "key: must have 1 to 1024 bytes, had others";
    if (!is_sendable(object->if_match, false) || !is_sendable(object->content_type, false))
        return "if_match, content_type: must be printable ASCII, had other characters";
    if (object->put_count > GW_AWS_METADATA_MAX)
        return "metadata: must have at most 64 names, had more";
    for (size_t i = 0; i < object->put_count; i++) {
        if (!is_sendable(object->put[i].name, true) || !is_sendable(object->put[i].value, false))
            return "metadata: must have names of a-z 0-9 - _ . and values of printable ASCII, had "
                   "others";
        for (size_t k = 0; k < i; k++)
            if (gw_slice_eq(object->put[i].name, object->put[k].name))
                return "metadata: must have each name once, had one twice";
    }
    return NULL;
}

static void start(struct gw_aws_object *object, const char *method, const char *what,
                  struct gw_aws_field *fields, size_t count)
{
    struct gw_aws_call *call = &object->call;
    const char *why = problem(object);

    call->method = method;
    call->what = what;
    call->on_header = on_header;
    call->done = on_object;
    object->etag = object->version = (struct gw_slice){0};
    object->size = object->metadata_count = 0;
    object->modified_ms = 0;
    if (why) {
        fail(call, GW_ERR_INVALID, why);
        return;
    }
    if (object->if_match.ptr)
        fields[count++] =
            (struct gw_aws_field){GW_SLICE("if-match"), quoted(call->arena, object->if_match)};
    call->fields = fields;
    call->field_count = count;
    call->query = (struct gw_slice){0};
    if (object->version_id.ptr)
        call->query = gw_aws_query(
            call->arena, &(struct gw_aws_field){GW_SLICE("versionId"), object->version_id}, 1);
    if (place(call, object->bucket, object->key))
        gw_aws_call_start(call);
}

static struct gw_aws_field *fields_for(struct gw_aws_object *object, size_t count)
{
    return gw_arena_alloc(object->call.arena, (count + 1) * sizeof(struct gw_aws_field));
}

void gw_aws_s3_get(struct gw_aws_object *object)
{
    object->call.reply_bytes_max =
        object->bytes_max > REPLY_BYTES_MAX ? object->bytes_max : REPLY_BYTES_MAX; /* refusals */
    object->call.body = (struct gw_slice){0};
    start(object, "GET", "GetObject", fields_for(object, 0), 0);
}

void gw_aws_s3_head(struct gw_aws_object *object)
{
    object->call.reply_bytes_max = 0;
    object->call.body = (struct gw_slice){0};
    start(object, "HEAD", "HeadObject", fields_for(object, 0), 0);
}

void gw_aws_s3_put(struct gw_aws_object *object)
{
    struct gw_arena *arena = object->call.arena;
    struct gw_aws_field *fields = fields_for(object, object->put_count + 2);
    size_t count = 0;

    for (size_t i = 0; i < object->put_count && object->put_count <= GW_AWS_METADATA_MAX; i++)
        fields[count++] = (struct gw_aws_field){
            gw_slice_from(gw_arena_printf(arena, META "%.*s", GW_SLICE_ARG(object->put[i].name))),
            object->put[i].value};
    if (object->content_type.ptr)
        fields[count++] = (struct gw_aws_field){GW_SLICE("content-type"), object->content_type};
    if (object->if_absent)
        fields[count++] = (struct gw_aws_field){GW_SLICE("if-none-match"), GW_SLICE("*")};
    object->call.body = object->body;
    object->call.reply_bytes_max = object->bytes_max = REPLY_BYTES_MAX;
    start(object, "PUT", "PutObject", fields, count);
}

/* ── Lists ─────────────────────────────────────────────────────────────────────────────────── */

/* A key as S3 writes it with encoding-type=url; false: it is malformed. */
static bool unescape(struct gw_arena *arena, struct gw_slice text, struct gw_slice *out)
{
    struct gw_buf raw = {0};
    bool is_well = text.ptr && gw_percent_decode(&raw, text, true);

    *out = is_well ? gw_arena_dup(arena, gw_buf_slice(&raw)) : (struct gw_slice){0};
    gw_buf_deinit(&raw);
    return is_well;
}

static bool read_item(struct gw_arena *arena, struct gw_slice within, struct gw_aws_listed *item)
{
    struct gw_slice time = gw_aws_xml_text(within, "LastModified", arena);

    item->etag = gw_aws_xml_text(within, "ETag", arena);
    return unescape(arena, gw_aws_xml_text(within, "Key", arena), &item->key) &&
           gw_slice_u64(gw_aws_xml_text(within, "Size", arena), &item->size) && time.ptr &&
           gw_time_parse(time, &item->modified_ms);
}

static bool read_list(struct gw_aws_list *list)
{
    struct gw_arena *arena = list->call.arena;
    struct gw_slice rest = list->call.reply, item;
    struct gw_slice more = gw_aws_xml_text(rest, "IsTruncated", arena);

    list->items = gw_arena_alloc(arena, GW_AWS_LIST_MAX * sizeof(*list->items));
    while (gw_aws_xml_next(&rest, "Contents", &item))
        if (list->count == GW_AWS_LIST_MAX || !read_item(arena, item, &list->items[list->count++]))
            return false;
    if (gw_slice_is(more, "true"))
        list->next = gw_aws_xml_text(list->call.reply, "NextContinuationToken", arena);
    return gw_slice_is(more, "false") || list->next.len > 0;
}

static void on_list(struct gw_aws_call *call)
{
    struct gw_aws_list *list = gw_container_of(call, struct gw_aws_list, call);

    if (call->error.code == GW_OK && !read_list(list))
        gw_error_set(&call->error, GW_ERR_UNAVAILABLE, "s3 %s: the answer is malformed",
                     call->what);
    list->done(list);
}

void gw_aws_s3_list(struct gw_aws_list *list)
{
    struct gw_aws_call *call = &list->call;
    struct gw_aws_field params[6] = {
        {GW_SLICE("list-type"), GW_SLICE("2")},
        {GW_SLICE("encoding-type"), GW_SLICE("url")},
    };
    size_t count = 2;

    gw_check(list->limit <= GW_AWS_LIST_MAX);
    if (list->prefix.len > 0)
        params[count++] = (struct gw_aws_field){GW_SLICE("prefix"), list->prefix};
    if (list->after.len > 0)
        params[count++] = (struct gw_aws_field){GW_SLICE("start-after"), list->after};
    if (list->token.len > 0)
        params[count++] = (struct gw_aws_field){GW_SLICE("continuation-token"), list->token};
    if (list->limit > 0)
        params[count++] = (struct gw_aws_field){
            GW_SLICE("max-keys"), gw_slice_from(gw_arena_printf(call->arena, "%zu", list->limit))};
    list->items = NULL;
    list->count = 0;
    list->next = (struct gw_slice){0};
    call->method = "GET";
    call->what = "ListObjectsV2";
    call->query = gw_aws_query(call->arena, params, count);
    call->reply_bytes_max = LIST_BYTES_MAX;
    call->done = on_list;
    if (place(call, list->bucket, GW_SLICE("")))
        gw_aws_call_start(call);
}
