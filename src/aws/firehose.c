/* firehose.c: PutRecordBatch and its answer, which has a place for each record. A record is put only
 * when its place says so. Owns nothing. */
#include "aws/firehose.h"

#include "aws/json_call.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/codec.h"

#define TARGET          "Firehose_20150804"
#define REPLY_BYTES_MAX ((size_t)1024 * 1024)

static void on_replied(struct gw_aws_call *call)
{
    struct gw_aws_firehose *firehose = gw_container_of(call, struct gw_aws_firehose, call);
    yyjson_val *json;
    size_t i, max;

    for (i = 0; i < firehose->count; i++)
        firehose->records[i].is_put = false;
    firehose->failed = firehose->count;
    yyjson_arr_foreach(call->error.code == GW_OK ? yyjson_obj_get(call->json, "RequestResponses")
                                                 : NULL,
                       i, max, json)
    {
        if (i < firehose->count && gw_aws_json_text(json, "RecordId").len > 0) {
            firehose->records[i].is_put = true;
            firehose->failed--;
        }
    }
    firehose->done(firehose);
}

void gw_aws_firehose_put(struct gw_aws_firehose *firehose)
{
    struct gw_aws_call *call = &firehose->call;
    struct gw_buf text = {0};
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = gw_aws_json_new(call->arena, &root);

    gw_check(firehose->count >= 1 && firehose->count <= GW_AWS_FIREHOSE_BATCH_MAX);
    yyjson_mut_obj_add_strn(doc, root, "DeliveryStreamName", firehose->stream.ptr,
                            firehose->stream.len);
    yyjson_mut_val *records = yyjson_mut_obj_add_arr(doc, root, "Records");
    for (size_t i = 0; i < firehose->count; i++) {
        yyjson_mut_val *record = yyjson_mut_arr_add_obj(doc, records);
        gw_buf_clear(&text);
        gw_base64_encode(&text, firehose->records[i].data.ptr, firehose->records[i].data.len);
        struct gw_slice data = gw_arena_dup(call->arena, gw_buf_slice(&text));
        yyjson_mut_obj_add_strn(doc, record, "Data", data.ptr, data.len);
    }
    gw_buf_deinit(&text);
    call->what = "PutRecordBatch";
    call->reply_bytes_max = REPLY_BYTES_MAX;
    call->done = on_replied;
    gw_aws_json_call(call, TARGET, doc);
}
