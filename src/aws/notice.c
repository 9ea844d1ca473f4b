/* notice.c: tells the forms of a notice apart. Pure; reads what strangers may have written.
 *
 *   S3            {"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{…}}]}
 *   S3, set up    {"Service":"Amazon S3","Event":"s3:TestEvent",…}
 *   EventBridge   {"source":"aws.s3","detail-type":"Object Created","detail":{…}}
 *   SNS           {"Type":"Notification","Message":"one of the others, as text"}
 *
 * Keys are form-encoded in S3's own notices, and plain in EventBridge's. One record that is malformed
 * spoils its message: which of its neighbours to believe nobody could say. */
#include "aws/notice.h"

#include "aws/json.h"
#include "base/buf.h"
#include "base/codec.h"

#define KEY_BYTES_MAX 1024

static bool take_key(struct gw_slice text, bool is_encoded, struct gw_arena *arena,
                     struct gw_slice *key)
{
    struct gw_buf raw = {0};
    bool is_well = true;

    if (is_encoded)
        is_well = gw_percent_decode(&raw, text, true);
    else
        gw_buf_adds(&raw, text);
    *key = gw_arena_dup(arena, gw_buf_slice(&raw));
    gw_buf_deinit(&raw);
    return is_well && key->len > 0 && key->len <= KEY_BYTES_MAX;
}

/* Absent where it is empty: no object has such a version or ETag, and asking for it finds none. */
static struct gw_slice said(yyjson_val *object, const char *name)
{
    struct gw_slice text = gw_aws_json_text(object, name);

    return text.len > 0 ? text : (struct gw_slice){0};
}

/* {"bucket":{"name"},"object":{"key","size",…}}: both forms have it, with other names for the rest. */
static bool take_object(struct gw_aws_notice *notice, yyjson_val *json, bool is_eventbridge,
                        struct gw_arena *arena)
{
    yyjson_val *object = yyjson_obj_get(json, "object");

    notice->bucket = gw_aws_json_text(yyjson_obj_get(json, "bucket"), "name");
    notice->version_id = said(object, is_eventbridge ? "version-id" : "versionId");
    notice->etag = said(object, is_eventbridge ? "etag" : "eTag");
    notice->size = yyjson_get_uint(yyjson_obj_get(object, "size"));
    return notice->bucket.len > 0 &&
           take_key(gw_aws_json_text(object, "key"), !is_eventbridge, arena, &notice->key);
}

static bool read_records(struct gw_aws_notices *notices, yyjson_val *records,
                         struct gw_arena *arena)
{
    yyjson_val *record;
    size_t i, max;

    notices->items = gw_arena_alloc(arena, yyjson_arr_size(records) * sizeof(*notices->items) + 1);
    yyjson_arr_foreach(records, i, max, record)
    {
        if (!gw_slice_is(gw_aws_json_text(record, "eventSource"), "aws:s3"))
            return false;
        if (gw_slice_starts(gw_aws_json_text(record, "eventName"), GW_SLICE("ObjectCreated:")) &&
            !take_object(&notices->items[notices->count++], yyjson_obj_get(record, "s3"), false,
                         arena))
            return false;
    }
    return max > 0;
}

static bool read_eventbridge(struct gw_aws_notices *notices, yyjson_val *root,
                             struct gw_arena *arena)
{
    if (!gw_slice_is(gw_aws_json_text(root, "detail-type"), "Object Created"))
        return true;
    notices->items = gw_arena_alloc(arena, sizeof(*notices->items));
    notices->count = 1;
    return take_object(notices->items, yyjson_obj_get(root, "detail"), true, arena);
}

/* What SNS wraps; NULL: it wraps nothing that could be a notice. */
static yyjson_val *unwrap(yyjson_val *root, struct gw_arena *arena)
{
    struct gw_slice inside = gw_aws_json_text(root, "Message");

    if (!gw_slice_is(gw_aws_json_text(root, "Type"), "Notification"))
        return root;
    return inside.ptr ? yyjson_doc_get_root(gw_aws_json_read(arena, inside)) : NULL;
}

void gw_aws_notice_read(struct gw_aws_notices *notices, struct gw_slice message,
                        struct gw_arena *arena)
{
    yyjson_val *root = unwrap(yyjson_doc_get_root(gw_aws_json_read(arena, message)), arena);
    bool is_well = false;

    *notices = (struct gw_aws_notices){.kind = GW_AWS_NOTICE_OBJECTS};
    if (gw_slice_is(gw_aws_json_text(root, "Event"), "s3:TestEvent")) {
        notices->kind = GW_AWS_NOTICE_TEST;
        return;
    }
    if (yyjson_is_arr(yyjson_obj_get(root, "Records")))
        is_well = read_records(notices, yyjson_obj_get(root, "Records"), arena);
    else if (gw_slice_is(gw_aws_json_text(root, "source"), "aws.s3"))
        is_well = read_eventbridge(notices, root, arena);
    if (!is_well)
        *notices = (struct gw_aws_notices){.kind = GW_AWS_NOTICE_NONE};
}

/* ── In S3's stead ─────────────────────────────────────────────────────────────────────────── */

static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                     struct gw_slice text)
{
    if (text.ptr)
        yyjson_mut_obj_add_strn(doc, object, name, text.ptr, text.len);
}

struct gw_slice gw_aws_notice_write(const struct gw_aws_notice *notice, const char *from,
                                    struct gw_arena *arena)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = gw_aws_json_new(arena, &root);
    yyjson_mut_val *record =
        yyjson_mut_arr_add_obj(doc, yyjson_mut_obj_add_arr(doc, root, "Records"));
    struct gw_buf key = {0};

    yyjson_mut_obj_add_str(doc, record, "eventVersion", "2.1");
    yyjson_mut_obj_add_str(doc, record, "eventSource", "aws:s3");
    yyjson_mut_obj_add_str(doc, record, "eventName", "ObjectCreated:Put");
    yyjson_mut_val *s3 = yyjson_mut_obj_add_obj(doc, record, "s3");
    yyjson_mut_obj_add_str(doc, s3, "configurationId", from);
    yyjson_mut_val *bucket = yyjson_mut_obj_add_obj(doc, s3, "bucket");
    add_text(doc, bucket, "name", notice->bucket);
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(doc, s3, "object");
    gw_percent_encode(&key, notice->key);
    add_text(doc, object, "key", gw_arena_dup(arena, gw_buf_slice(&key)));
    gw_buf_deinit(&key);
    yyjson_mut_obj_add_uint(doc, object, "size", notice->size);
    add_text(doc, object, "eTag", notice->etag);
    add_text(doc, object, "versionId", notice->version_id);
    return gw_aws_json_write(arena, doc);
}
