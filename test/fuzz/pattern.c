/* pattern.c: a pattern, and events to match. */
#include "fuzz.h"

#include "core/pattern.h"

static bool is_event(struct gw_slice json)
{
    yyjson_doc *doc = yyjson_read(json.ptr, json.len, YYJSON_READ_NUMBER_AS_RAW);
    bool is_object = yyjson_is_obj(yyjson_doc_get_root(doc));

    yyjson_doc_free(doc);
    return is_object && fuzz_is_shallow(json);
}

static struct gw_pattern *parse(struct gw_slice text, yyjson_read_flag flags,
                                struct gw_arena *arena)
{
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, flags);
    struct gw_pattern *pattern = NULL;
    struct gw_error error = {0};

    if (gw_pattern_parse(&pattern, yyjson_doc_get_root(doc), arena, &error) != GW_OK)
        gw_check(gw_slice_starts(gw_slice_from(error.text), GW_SLICE("filter")) &&
                 gw_slice_is_utf8(gw_slice_from(error.text)));
    yyjson_doc_free(doc);
    return pattern;
}

/* A pattern's numbers may come either way; only their last digits can tell. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice rest = {(const char *)data, size};
    struct gw_slice text = fuzz_next(&rest), event = fuzz_next(&rest);
    struct gw_arena arena = {0};
    struct gw_pattern *pattern = parse(text, YYJSON_READ_NUMBER_AS_RAW, &arena);

    parse(text, YYJSON_READ_NOFLAG, &arena);
    if (pattern && is_event(event))
        gw_check(gw_pattern_match(pattern, event) == gw_pattern_match(pattern, event));
    gw_arena_deinit(&arena);
    fuzz_free(text);
    fuzz_free(event);
    return 0;
}
