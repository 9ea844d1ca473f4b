/* aws.c: what AWS answers and announces, where the operator says it is, and what an object may be called. */
#include "fuzz.h"

#include "aws/endpoint.h"
#include "aws/notice.h"
#include "aws/sign.h"
#include "aws/xml.h"
#include "base/codec.h"
#include "core/wake.h"

static void read_xml(struct gw_slice text, struct gw_arena *arena)
{
    struct gw_slice rest = text, item;

    while (gw_aws_xml_next(&rest, "Contents", &item)) {
        gw_check(item.ptr >= text.ptr && item.ptr + item.len <= text.ptr + text.len);
        gw_aws_xml_text(item, "Key", arena);
    }
    gw_aws_xml_text(text, "Code", arena);
}

static void read_origin(struct gw_slice text, struct gw_arena *arena)
{
    struct gw_aws_origin origin, again;
    struct gw_slice target;
    struct gw_error error = {0};

    if (gw_aws_origin_parse(&origin, "URL", text, &target, arena, &error) == GW_OK) {
        const char *url =
            gw_arena_printf(arena, "http%s://%s", origin.https ? "s" : "", origin.authority);
        gw_check(origin.port != 0 && !strpbrk(origin.host, "/?#@ "));
        gw_check(gw_aws_origin_parse(&again, "URL", gw_slice_from(url), &target, arena, NULL) ==
                 GW_OK);
        gw_check(strcmp(again.host, origin.host) == 0 && again.port == origin.port);
    }
    gw_check(gw_slice_is_utf8(gw_slice_from(error.text)));
}

static void make_path(struct gw_slice key, struct gw_arena *arena)
{
    const char *raw = gw_arena_printf(arena, "/%.*s", GW_SLICE_ARG(key));
    struct gw_slice path = gw_aws_path(arena, gw_slice_from(raw));
    struct gw_buf back = {0};

    gw_check(gw_percent_decode(&back, path, false));
    gw_check(gw_slice_is(gw_buf_slice(&back), raw));
    gw_buf_deinit(&back);
}

static void read_notice(struct gw_slice text, struct gw_arena *arena)
{
    struct gw_aws_notices notices;

    gw_aws_notice_read(&notices, text, arena);
    gw_check(notices.kind == GW_AWS_NOTICE_OBJECTS || notices.count == 0);
    for (size_t i = 0; i < notices.count; i++)
        gw_check(notices.items[i].bucket.len > 0 && notices.items[i].key.len > 0);
}

/* What can be read is written as what reads the same. */
static void read_wake(struct gw_slice text, struct gw_arena *arena)
{
    struct gw_wake wake, again;
    struct gw_buf first = {0}, second = {0};

    if (gw_wake_read(&wake, text, arena)) {
        gw_wake_write(&wake, &first);
        gw_check(gw_wake_read(&again, gw_buf_slice(&first), arena));
        gw_wake_write(&again, &second);
        gw_check(gw_slice_eq(gw_buf_slice(&first), gw_buf_slice(&second)));
    }
    gw_buf_deinit(&first);
    gw_buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice text = {(const char *)data, size};
    struct gw_arena arena = {0};

    read_xml(text, &arena);
    read_origin(text, &arena);
    read_notice(text, &arena);
    read_wake(text, &arena);
    make_path(text, &arena);
    gw_arena_deinit(&arena);
    return 0;
}
