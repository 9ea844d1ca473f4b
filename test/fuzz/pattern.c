/* pattern.c: a pattern and an event. That they match must not depend on how either is written: the
 * event with its white space and escapes or without, the pattern alone or twice under "$or". What is
 * explained does not match. */
#include "fuzz.h"

#include "base/buf.h"
#include "core/pattern.h"

#include <stdlib.h>

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

/* NULL: refused, for operators' names mean more there, or for a ceiling. */
static struct gw_pattern *parse_twice(struct gw_slice text, struct gw_arena *arena)
{
    struct gw_buf either = {0};

    gw_buf_adds(&either, GW_SLICE("{\"$or\":["));
    gw_buf_adds(&either, text);
    gw_buf_addc(&either, ',');
    gw_buf_adds(&either, text);
    gw_buf_adds(&either, GW_SLICE("]}"));
    struct gw_pattern *pattern = parse(gw_buf_slice(&either), YYJSON_READ_NUMBER_AS_RAW, arena);
    gw_buf_deinit(&either);
    return pattern;
}

static void check_match(const struct gw_pattern *pattern, const struct gw_pattern *twice,
                        struct gw_slice event)
{
    yyjson_doc *doc = yyjson_read(event.ptr, event.len, YYJSON_READ_NUMBER_AS_RAW);

    if (yyjson_is_obj(yyjson_doc_get_root(doc)) && fuzz_is_shallow(event)) {
        char *plain = yyjson_write(doc, YYJSON_WRITE_ESCAPE_UNICODE, NULL);
        bool matches = gw_pattern_match(pattern, event);
        gw_check(gw_pattern_match(pattern, gw_slice_from(plain)) == matches);
        gw_check(twice == NULL || gw_pattern_match(twice, event) == matches);
        struct gw_buf why = {0};
        bool is_explained = gw_pattern_explain(pattern, event, &why);
        gw_check(is_explained ? !matches && why.len > 0 : why.len == 0);
        gw_buf_deinit(&why);
        free(plain);
    }
    yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice rest = {(const char *)data, size};
    struct gw_slice text = fuzz_next(&rest), event = fuzz_next(&rest);
    struct gw_arena arena = {0};
    struct gw_pattern *pattern = parse(text, YYJSON_READ_NUMBER_AS_RAW, &arena);

    parse(text, YYJSON_READ_NOFLAG, &arena);
    if (pattern)
        check_match(pattern, parse_twice(text, &arena), event);
    gw_arena_deinit(&arena);
    fuzz_free(text);
    fuzz_free(event);
    return 0;
}
