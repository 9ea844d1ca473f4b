/* lambda_http.c: owns what is known of Lambda's HTTP payloads.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 *
 * Whether a request is well-formed HTTP has been judged by AWS; what it asks for is the API's to judge.
 * Owns nothing: all is in the exchange's arena. */
#include "app/lambda_http.h"

#include "aws/json.h"
#include "aws/runtime.h"
#include "base/alloc.h"
#include "base/codec.h"

static yyjson_val *member(yyjson_val *object, const char *name)
{
    return yyjson_obj_get(object, name);
}

static yyjson_val *http_of(yyjson_val *event)
{
    return member(member(event, "requestContext"), "http");
}

bool gw_lambda_http_is(yyjson_val *event)
{
    return http_of(event) != NULL;
}

/* ── The request ───────────────────────────────────────────────────────────────────────────── */

static enum gw_method method_of(struct gw_slice name)
{
    static const struct {
        const char *name;
        enum gw_method method;
    } known[] = {
        {"GET", GW_GET},     {"HEAD", GW_HEAD},     {"POST", GW_POST},       {"PUT", GW_PUT},
        {"PATCH", GW_PATCH}, {"DELETE", GW_DELETE}, {"OPTIONS", GW_OPTIONS},
    };

    for (size_t i = 0; i < gw_count(known); i++)
        if (gw_slice_is(name, known[i].name))
            return known[i].method;
    return GW_METHOD_OTHER;
}

/* An HTTP API puts the name of its stage in front of the path. */
static struct gw_slice path_of(yyjson_val *event)
{
    struct gw_slice path = gw_aws_json_text(event, "rawPath");
    struct gw_slice stage = gw_aws_json_text(member(event, "requestContext"), "stage");
    struct gw_slice rest = gw_slice_skip(path, 1);

    if (stage.len == 0 || gw_slice_is(stage, "$default") || !gw_slice_starts(rest, stage))
        return path;
    rest = gw_slice_skip(rest, stage.len);
    return gw_slice_starts(rest, GW_SLICE("/")) ? rest : path;
}

/* Values of one name come joined with commas. */
static bool read_headers(struct gw_exchange *exchange, yyjson_val *headers)
{
    size_t i, max, count = yyjson_obj_size(headers);
    struct gw_header *list = gw_arena_zalloc(exchange->arena, (count + 1) * sizeof(*list));
    yyjson_val *name, *value;

    yyjson_obj_foreach(headers, i, max, name, value)
    {
        if (!yyjson_is_str(value))
            return false;
        list[i] = (struct gw_header){{yyjson_get_str(name), yyjson_get_len(name)},
                                     {yyjson_get_str(value), yyjson_get_len(value)}};
    }
    exchange->headers = list;
    exchange->header_count = count;
    return true;
}

static bool read_body(struct gw_exchange *exchange, yyjson_val *event)
{
    struct gw_slice text = gw_aws_json_text(event, "body");
    struct gw_buf bytes = {0};
    bool is_well = true;

    exchange->body = text.ptr ? text : GW_SLICE("");
    if (yyjson_is_true(member(event, "isBase64Encoded"))) {
        is_well = gw_base64_decode(&bytes, exchange->body);
        exchange->body = gw_arena_dup(exchange->arena, gw_buf_slice(&bytes));
    }
    gw_buf_deinit(&bytes);
    return is_well;
}

enum gw_err gw_lambda_http_read(struct gw_exchange *exchange, yyjson_val *event,
                                struct gw_error *error)
{
    yyjson_val *http = http_of(event);
    struct gw_slice version = gw_aws_json_text(event, "version");
    struct gw_slice query = gw_aws_json_text(event, "rawQueryString");
    struct gw_addr peer;

    if (!gw_slice_is(version, "2.0"))
        return gw_error_set(error, GW_ERR_INVALID, "version: must be \"2.0\"");
    if (!gw_addr_parse(gw_aws_json_text(http, "sourceIp"), &peer))
        return gw_error_set(error, GW_ERR_INVALID,
                            "requestContext.http.sourceIp: must be an address");
    exchange->peer = gw_addr_unmap(&peer);
    exchange->method = method_of(gw_aws_json_text(http, "method"));
    exchange->path = path_of(event);
    exchange->query = query.len > 0 ? query : (struct gw_slice){0};
    if (!gw_slice_starts(exchange->path, GW_SLICE("/")))
        return gw_error_set(error, GW_ERR_INVALID, "rawPath: must begin with \"/\"");
    if (!read_headers(exchange, member(event, "headers")))
        return gw_error_set(error, GW_ERR_INVALID, "headers: must be texts");
    if (!read_body(exchange, event))
        return gw_error_set(error, GW_ERR_INVALID, "body: must be base64");
    return GW_OK;
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

static void add_header(yyjson_mut_doc *doc, yyjson_mut_val *headers, struct gw_slice name,
                       struct gw_slice value)
{
    yyjson_mut_obj_add(headers, yyjson_mut_strn(doc, name.ptr, name.len),
                       yyjson_mut_strn(doc, value.ptr, value.len));
}

static void add_body(const struct gw_exchange *exchange, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    struct gw_slice body = exchange->method == GW_HEAD ? GW_SLICE("") : exchange->reply;
    bool is_text = gw_slice_is_utf8(body);
    struct gw_buf text = {0};

    if (!is_text) {
        gw_base64_encode(&text, body.ptr, body.len);
        body = gw_arena_dup(exchange->arena, gw_buf_slice(&text));
        gw_buf_deinit(&text);
    }
    yyjson_mut_obj_add_strn(doc, root, "body", body.ptr ? body.ptr : "", body.len);
    yyjson_mut_obj_add_bool(doc, root, "isBase64Encoded", !is_text);
}

static struct gw_slice write_answer(const struct gw_exchange *exchange)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = gw_aws_json_new(exchange->arena, &root);

    yyjson_mut_obj_add_int(doc, root, "statusCode", exchange->status);
    yyjson_mut_val *headers = yyjson_mut_obj_add_obj(doc, root, "headers");
    if (exchange->content_type)
        add_header(doc, headers, GW_SLICE("content-type"), gw_slice_from(exchange->content_type));
    for (size_t i = 0; i < exchange->reply_header_count; i++)
        add_header(doc, headers, exchange->reply_headers[i].name, exchange->reply_headers[i].value);
    add_body(exchange, doc, root);
    return gw_aws_json_write(exchange->arena, doc);
}

struct gw_slice gw_lambda_http_write(const struct gw_exchange *exchange)
{
    struct gw_slice json = write_answer(exchange);

    if (json.ptr && json.len <= GW_AWS_INVOCATION_BYTES_MAX)
        return json;
    return GW_SLICE(
        "{\"statusCode\":413,\"headers\":{\"content-type\":\"application/json\"},"
        "\"body\":\"{\\\"statusCode\\\":413,\\\"status\\\":\\\"failed\\\",\\\"error\\\":"
        "\\\"the answer is larger than Lambda takes: ask for less at a time\\\"}\","
        "\"isBase64Encoded\":false}");
}
