/* http.c: what comes in on a connection, through the server's parser without a socket: once in one
 * piece, once byte by byte. Where neither is refused, both must have read the same requests. */
#include "fuzz.h"

#include "base/crypto.h"
#include "sys/http_server_impl.h"

#define HEADER_BYTES_MAX 2048
#define BODY_BYTES_MAX   4096

struct world {
    uv_loop_t uv;
    struct gw_loop *loop; /* of which only the env is pointed to */
    struct gw_http_server *server;
    struct gw_conn *conn;
};

static struct world world;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    gw_check(uv_loop_init(&world.uv) == 0);
    world.loop = gw_zalloc(sizeof(*world.loop));
    world.server = gw_zalloc(sizeof(*world.server));
    world.server->loop = world.loop;
    world.server->options.header_bytes_max = HEADER_BYTES_MAX;
    world.server->options.body_bytes_max = BODY_BYTES_MAX;
    gw_list_init(&world.server->pool);
    gw_conn_parser_settings(&world.server->settings);
    world.conn = gw_zalloc(sizeof(*world.conn));
    world.conn->server = world.server;
    gw_check(uv_tcp_init(&world.uv, &world.conn->tcp) == 0);
    return 0;
}

static bool is_within(struct gw_slice part, const struct gw_request *request)
{
    return part.len == 0 ||
           (part.ptr >= request->head && part.ptr + part.len <= request->head + request->head_len);
}

static void add(struct gw_buf *seen, struct gw_slice part)
{
    gw_buf_addf(seen, "%zu:", part.len);
    gw_buf_adds(seen, part);
}

static void look(struct gw_buf *seen, const struct gw_request *request)
{
    const struct gw_exchange *exchange = &request->exchange;

    gw_check(exchange->path.len > 0 && exchange->path.ptr[0] != '#');
    gw_check(is_within(exchange->query, request));
    gw_check(exchange->body.len <= BODY_BYTES_MAX && request->head_len <= HEADER_BYTES_MAX);
    gw_buf_addf(seen, "%d %d ", (int)exchange->method, request->keep_alive);
    add(seen, exchange->path);
    add(seen, exchange->query);
    add(seen, exchange->body);
    for (size_t i = 0; i < exchange->header_count; i++) {
        gw_check(is_within(exchange->headers[i].name, request));
        gw_check(is_within(exchange->headers[i].value, request));
        add(seen, exchange->headers[i].name);
        add(seen, exchange->headers[i].value);
    }
}

/* False: something was refused. */
static bool read_all(struct gw_slice input, size_t piece, struct gw_buf *seen)
{
    struct gw_conn *conn = world.conn;
    bool goes_on = true;

    llhttp_init(&conn->parser, HTTP_REQUEST, &world.server->settings);
    conn->parser.data = conn;
    conn->overhead = 0;
    while (goes_on && input.len > 0) {
        struct gw_slice bytes = {input.ptr, input.len < piece ? input.len : piece};
        size_t used = gw_conn_parse(conn, bytes.ptr, bytes.len);
        gw_check(used <= bytes.len);
        input = gw_slice_skip(input, used);
        if (conn->request == NULL || !conn->request->is_whole)
            continue;
        goes_on = conn->request->exchange.refused_status == 0;
        if (goes_on)
            look(seen, conn->request);
        gw_request_release(conn->request);
    }
    if (conn->request)
        gw_request_release(conn->request);
    return goes_on;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice input = {(const char *)data, size};
    struct gw_buf whole = {0}, pieces = {0};
    bool is_well = read_all(input, SIZE_MAX, &whole);

    if (read_all(input, 1, &pieces) && is_well)
        gw_check(gw_slice_eq(gw_buf_slice(&whole), gw_buf_slice(&pieces)));
    gw_buf_deinit(&whole);
    gw_buf_deinit(&pieces);
    return 0;
}
