/* json_call.c: the three services' one protocol. Owns nothing. */
#include "aws/json_call.h"

void gw_aws_json_call(struct gw_aws_call *call, const char *target, const yyjson_mut_doc *doc)
{
    struct gw_arena *arena = call->arena;
    struct gw_aws_field *fields = gw_arena_alloc(arena, 2 * sizeof(*fields));

    fields[0] =
        (struct gw_aws_field){GW_SLICE("content-type"), GW_SLICE("application/x-amz-json-1.0")};
    fields[1] =
        (struct gw_aws_field){GW_SLICE("x-amz-target"),
                              gw_slice_from(gw_arena_printf(arena, "%s.%s", target, call->what))};
    call->method = "POST";
    call->fields = fields;
    call->field_count = 2;
    call->body = gw_aws_json_write(arena, doc);
    if (call->body.ptr) {
        gw_aws_call_start(call);
        return;
    }
    gw_error_set(&call->error, GW_ERR_INVALID, "%s: must be UTF-8, had other bytes", call->what);
    gw_aws_call_fail(call);
}
