/* http_conn_parse.c: from bytes to a request, strictly (RFC 9112), on top of llhttp.
 *
 * Owns nothing: it fills the connection's gw_request. All is copied: a request may come in pieces,
 * and the buffer it is read into is shared. A request that cannot be read is refused: it becomes
 * whole at once, with a status and a reason instead of the rest, and its connection ends after the
 * answer. Loop's thread only. */
#include "base/check.h"
#include "sys/http_server_impl.h"

#define BODY_FREE     ((size_t)64 * 1024) /* of a body, whatever the others hold */
#define FRAMING_FREE  4096 /* of a chunked body, before it is weighed against the body */
#define FRAMING_RATIO 16   /* a chunk of one byte takes six */

void gw_conn_refuse(struct gw_conn *conn, int status, const char *why)
{
    struct gw_request *request = conn->request ? conn->request : gw_request_take(conn);

    if (request->is_whole)
        return;
    request->is_whole = true;
    request->keep_alive = false;
    request->exchange.refused_status = status;
    request->exchange.refused_why = why;
}

static int refuse(llhttp_t *parser, int status, const char *why)
{
    gw_conn_refuse(parser->data, status, why);
    return HPE_USER;
}

static struct gw_request *request_of(llhttp_t *parser)
{
    struct gw_conn *conn = parser->data;
    return conn->request;
}

static int on_message_begin(llhttp_t *parser)
{
    struct gw_conn *conn = parser->data;

    gw_check(conn->request == NULL);
    gw_request_take(conn);
    conn->overhead = 0;
    return 0;
}

/* Adds to `part`, which ends where the head ends. */
static int add(llhttp_t *parser, struct gw_slice *part, const char *at, size_t len)
{
    struct gw_request *request = request_of(parser);

    if (len > request->server->options.header_bytes_max - request->head_len)
        return refuse(parser, 431, "the header block is too large");
    memcpy(request->head + request->head_len, at, len);
    request->head_len += len;
    part->len += len;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    return add(parser, &request_of(parser)->target, at, len);
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct gw_request *request = request_of(parser);

    if (request->has_head) /* a trailer: nobody asked for one */
        return 0;
    if (request->field_count == GW_HTTP_FIELDS_MAX)
        return refuse(parser, 431, "there are too many header fields");
    struct gw_header *field = &request->fields[request->field_count];
    if (field->name.ptr == NULL)
        field->name.ptr = request->head + request->head_len;
    return add(parser, &field->name, at, len);
}

static int on_field_complete(llhttp_t *parser)
{
    struct gw_request *request = request_of(parser);

    if (!request->has_head)
        request->fields[request->field_count].value.ptr = request->head + request->head_len;
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct gw_request *request = request_of(parser);

    if (request->has_head)
        return 0;
    return add(parser, &request->fields[request->field_count].value, at, len);
}

static int on_value_complete(llhttp_t *parser)
{
    struct gw_request *request = request_of(parser);

    if (request->has_head)
        return 0;
    struct gw_header *field = &request->fields[request->field_count++];
    field->value = gw_slice_trim(field->value);
    if (request->field_count < GW_HTTP_FIELDS_MAX)
        request->fields[request->field_count] = (struct gw_header){0};
    return 0;
}

/* ── The complete head ─────────────────────────────────────────────────────────────────────── */

/* uri-host [ ":" port ] (RFC 3986 §3.2), as far as telling a host from rubbish needs it. */
static bool is_host(struct gw_slice value)
{
    static const char allowed[] = "-._~%!$&'()*+,;=:[]";

    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_alnum && (c == '\0' || strchr(allowed, c) == NULL))
            return false;
    }
    return true;
}

/* Origin form, or absolute form, which every server must accept (RFC 9112 §3.2.2). */
static bool parse_target(struct gw_request *request)
{
    struct gw_exchange *exchange = &request->exchange;
    struct gw_slice target = request->target;

    if (memchr(target.ptr, '#', target.len) != NULL)
        return false;
    if (target.len == 1 && target.ptr[0] == '*' && exchange->method == GW_OPTIONS) {
        exchange->path = target;
        return true;
    }
    if (target.len == 0)
        return false;
    if (target.ptr[0] != '/') {
        const char *authority = memmem(target.ptr, target.len, "://", 3);
        if (authority == NULL)
            return false;
        target = gw_slice_skip(target, (size_t)(authority - target.ptr) + 3);
        size_t len = 0;
        while (len < target.len && target.ptr[len] != '/' && target.ptr[len] != '?')
            len++;
        target = gw_slice_skip(target, len);
    }
    gw_slice_split(&target, '?', &exchange->path);
    exchange->query = target;
    if (exchange->path.len == 0)
        exchange->path = GW_SLICE("/");
    return true;
}

static enum gw_method method_of(llhttp_t *parser)
{
    switch (llhttp_get_method(parser)) {
    case HTTP_GET: return GW_GET;
    case HTTP_HEAD: return GW_HEAD;
    case HTTP_POST: return GW_POST;
    case HTTP_PUT: return GW_PUT;
    case HTTP_PATCH: return GW_PATCH;
    case HTTP_DELETE: return GW_DELETE;
    case HTTP_OPTIONS: return GW_OPTIONS;
    default: return GW_METHOD_OTHER;
    }
}

/* What the fields say about the connection and the body, beyond what llhttp looks at. */
static int check_fields(llhttp_t *parser, bool *wants_continue)
{
    struct gw_request *request = request_of(parser);
    bool is_1_0 = llhttp_get_http_minor(parser) == 0;
    size_t hosts = 0;

    for (size_t i = 0; i < request->field_count; i++) {
        const struct gw_header *field = &request->fields[i];
        if (gw_slice_eq_nocase(field->name, GW_SLICE("host"))) {
            hosts++;
            if (!is_host(field->value))
                return refuse(parser, 400, "the Host field is not a host");
        } else if (gw_slice_eq_nocase(field->name, GW_SLICE("transfer-encoding"))) {
            if (request->is_chunked || is_1_0)
                return refuse(parser, 400, "the Transfer-Encoding field is not allowed here");
            if (!gw_slice_eq_nocase(field->value, GW_SLICE("chunked")))
                return refuse(parser, 501, "the only transfer coding known here is chunked");
            request->is_chunked = true;
        } else if (gw_slice_eq_nocase(field->name, GW_SLICE("expect")) && !is_1_0) {
            if (!gw_slice_eq_nocase(field->value, GW_SLICE("100-continue")))
                return refuse(parser, 417, "the only expectation known here is 100-continue");
            *wants_continue = true;
        }
    }
    if (hosts > 1 || (hosts == 0 && !is_1_0))
        return refuse(parser, 400, "there must be one Host field");
    return 0;
}

static size_t body_bytes_max(const struct gw_request *request)
{
    const struct gw_http_server_options *options = &request->server->options;

    return options->body_bytes_max_of ? options->body_bytes_max_of(options->ctx, &request->exchange)
                                      : options->body_bytes_max;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct gw_conn *conn = parser->data;
    struct gw_request *request = conn->request;
    bool wants_continue = false;

    request->has_head = true;
    request->exchange.headers = request->fields;
    request->exchange.header_count = request->field_count;
    request->exchange.method = method_of(parser);
    if (llhttp_get_http_major(parser) != 1)
        return refuse(parser, 400, "the HTTP version must be 1.1 or 1.0");
    int failed = check_fields(parser, &wants_continue);
    if (failed)
        return failed;
    if (llhttp_get_method(parser) == HTTP_CONNECT)
        return refuse(parser, 501, "CONNECT is not known here");
    if (!parse_target(request))
        return refuse(parser, 400, "the request target must be a path");
    if (request->is_chunked || parser->content_length > 0)
        request->body_bytes_max = body_bytes_max(request);
    if (parser->content_length > request->body_bytes_max)
        return refuse(parser, 413, "the body is too large");
    parser->upgrade = 0; /* an offer, which is declined by ignoring it (RFC 9110 §7.8) */
    if (wants_continue && (request->is_chunked || parser->content_length > 0)) {
        static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        uv_buf_t buf = uv_buf_init(text, sizeof(text) - 1);
        if (uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1) != (int)buf.len)
            return refuse(parser, 400, "the peer does not read");
    }
    return 0;
}

/* Many large bodies that come slowly must not keep the small ones out. */
static bool is_too_much(const struct gw_request *request, size_t more)
{
    const struct gw_http_server *server = request->server;
    size_t max = server->options.bodies_bytes_max;

    return max > 0 && server->bodies_bytes + more > max && request->body.len + more > BODY_FREE;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct gw_request *request = request_of(parser);

    if (len > request->body_bytes_max - request->body.len)
        return refuse(parser, 413, "the body is too large");
    if (is_too_much(request, len))
        return refuse(parser, 503, "too much is on its way already");
    request->server->bodies_bytes += len;
    gw_buf_add(&request->body, at, len);
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct gw_request *request = request_of(parser);

    request->is_whole = true;
    request->keep_alive = llhttp_should_keep_alive(parser) && llhttp_get_http_minor(parser) != 0;
    request->exchange.body = gw_buf_slice(&request->body);
    return HPE_PAUSED;
}

void gw_conn_parser_settings(llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_message_begin = on_message_begin;
    settings->on_url = on_url;
    settings->on_header_field = on_field;
    settings->on_header_field_complete = on_field_complete;
    settings->on_header_value = on_value;
    settings->on_header_value_complete = on_value_complete;
    settings->on_headers_complete = on_headers_complete;
    settings->on_body = on_body;
    settings->on_message_complete = on_message_complete;
}

/* What is neither target, name, value nor body has a ceiling too: white space before a value, chunk
 * extensions, trailers. */
static void check_overhead(struct gw_conn *conn, size_t used, size_t body_before)
{
    struct gw_request *request = conn->request;

    if (request == NULL)
        return;
    conn->overhead += used - (request->body.len - body_before);
    size_t max = conn->server->options.header_bytes_max;
    if (!request->has_head && conn->overhead > max)
        gw_conn_refuse(conn, 431, "the header block is too large");
    else if (request->is_chunked &&
             conn->overhead > 2 * max + FRAMING_FREE + FRAMING_RATIO * request->body.len)
        gw_conn_refuse(conn, 400, "the body is more framing than content");
}

size_t gw_conn_parse(struct gw_conn *conn, const char *data, size_t len)
{
    llhttp_t *parser = &conn->parser;
    size_t body_before = conn->request ? conn->request->body.len : 0;
    enum llhttp_errno err = llhttp_execute(parser, data, len);
    size_t used = len;

    if (err == HPE_PAUSED) {
        used = (size_t)(llhttp_get_error_pos(parser) - data);
        llhttp_resume(parser);
    } else if (err != HPE_OK) {
        gw_conn_refuse(conn, 400, llhttp_get_error_reason(parser));
    }
    check_overhead(conn, used, body_before);
    return used;
}
