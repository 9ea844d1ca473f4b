/* wake.c: {"wake":"message","id":"msg_…","slot":"dlv_…"}, {"wake":"lanes","app":"…","lanes":["1"],"cursor":"…"},
 * {"wake":"target","app":"…","target":"9f86…"}; "notBefore" in each. Numbers of lanes are texts, for not
 * every reader of JSON keeps 64 bits. Owns nothing. */
#include "core/wake.h"

#include "base/check.h"
#include "base/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static const char *const kinds[] = {"message", "lanes", "target"};

static void put_text(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *name,
                     struct gw_slice text)
{
    if (text.ptr)
        yyjson_mut_obj_add_strn(doc, root, name, text.ptr, text.len);
}

static void put_lanes(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct gw_wake *wake)
{
    yyjson_mut_val *lanes = yyjson_mut_obj_add_arr(doc, root, "lanes");
    char text[24];

    for (size_t i = 0; i < wake->lane_count; i++) {
        int len = snprintf(text, sizeof(text), "%" PRIu64, wake->lanes[i]);
        yyjson_mut_arr_add_strncpy(doc, lanes, text, (size_t)len);
    }
}

static void put_target(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct gw_wake *wake)
{
    struct gw_buf hex = {0};

    gw_hex_encode(&hex, wake->target, sizeof(wake->target));
    yyjson_mut_obj_add_strncpy(doc, root, "target", hex.ptr, hex.len);
    gw_buf_deinit(&hex);
}

void gw_wake_write(const struct gw_wake *wake, struct gw_buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char id[GW_ID_TEXT_MAX], slot[GW_ID_TEXT_MAX];
    size_t len;

    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "wake", kinds[wake->kind]);
    if (wake->kind == GW_WAKE_MESSAGE)
        put_text(doc, root, "id", gw_id_text(GW_ID_MESSAGE, &wake->message_id, id));
    else
        put_text(doc, root, "app", wake->app_id);
    if (wake->kind == GW_WAKE_LANES)
        put_lanes(doc, root, wake);
    if (wake->kind == GW_WAKE_TARGET)
        put_target(doc, root, wake);
    if (wake->kind == GW_WAKE_MESSAGE && wake->slot_id.len)
        put_text(doc, root, "slot", gw_id_text(GW_ID_DELIVERY, &wake->slot_id, slot));
    put_text(doc, root, "cursor", wake->cursor);
    if (wake->not_before_ms)
        yyjson_mut_obj_add_sint(doc, root, "notBefore", wake->not_before_ms);
    char *json = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len);
    gw_check(json != NULL);
    gw_buf_add(out, json, len);
    free(json);
    yyjson_mut_doc_free(doc);
}

static bool take_text(yyjson_val *root, const char *name, struct gw_arena *arena,
                      struct gw_slice *out)
{
    yyjson_val *value = yyjson_obj_get(root, name);

    if (!yyjson_is_str(value))
        return false;
    *out = gw_arena_dup(arena, (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)});
    return true;
}

static bool take_lanes(struct gw_wake *wake, yyjson_val *array, struct gw_arena *arena)
{
    size_t count = yyjson_arr_size(array), i, max;
    uint64_t *lanes = gw_arena_alloc(arena, (count + 1) * sizeof(*lanes));
    yyjson_val *item;

    yyjson_arr_foreach(array, i, max, item)
    {
        struct gw_slice text = {yyjson_get_str(item), yyjson_get_len(item)};
        if (!yyjson_is_str(item) || !gw_slice_u64(text, &lanes[i]))
            return false;
    }
    wake->lanes = lanes;
    wake->lane_count = count;
    return count > 0 && count <= GW_WAKE_LANES_MAX;
}

static bool take_target(struct gw_wake *wake, yyjson_val *value)
{
    struct gw_slice hex = {yyjson_get_str(value), yyjson_get_len(value)};
    struct gw_buf hash = {0};
    bool is_hash =
        yyjson_is_str(value) && gw_hex_decode(&hash, hex) && hash.len == sizeof(wake->target);

    if (is_hash)
        memcpy(wake->target, hash.ptr, hash.len);
    gw_buf_deinit(&hash);
    return is_hash;
}

static bool take(struct gw_wake *wake, yyjson_val *root, struct gw_arena *arena)
{
    yyjson_val *kind = yyjson_obj_get(root, "wake");
    struct gw_slice id, slot;

    wake->not_before_ms = yyjson_get_sint(yyjson_obj_get(root, "notBefore"));
    take_text(root, "cursor", arena, &wake->cursor);
    if (yyjson_equals_str(kind, kinds[GW_WAKE_MESSAGE])) {
        wake->kind = GW_WAKE_MESSAGE;
        if (take_text(root, "slot", arena, &slot) &&
            !gw_id_parse(GW_ID_DELIVERY, slot, &wake->slot_id))
            return false;
        return take_text(root, "id", arena, &id) &&
               gw_id_parse(GW_ID_MESSAGE, id, &wake->message_id);
    }
    if (!take_text(root, "app", arena, &wake->app_id))
        return false;
    wake->kind = GW_WAKE_LANES;
    if (yyjson_equals_str(kind, kinds[GW_WAKE_LANES]))
        return take_lanes(wake, yyjson_obj_get(root, "lanes"), arena);
    wake->kind = GW_WAKE_TARGET;
    return yyjson_equals_str(kind, kinds[GW_WAKE_TARGET]) &&
           take_target(wake, yyjson_obj_get(root, "target"));
}

bool gw_wake_read(struct gw_wake *wake, struct gw_slice json, struct gw_arena *arena)
{
    yyjson_doc *doc = yyjson_read(json.ptr, json.len, YYJSON_READ_NOFLAG);

    *wake = (struct gw_wake){0};
    bool is_wake = doc && take(wake, yyjson_doc_get_root(doc), arena);
    yyjson_doc_free(doc);
    return is_wake;
}
