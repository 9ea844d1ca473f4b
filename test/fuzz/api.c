/* api.c: requests to the whole API, over the real flow and the memory store in the simulated world:
 * "METHOD TARGET" with a header field on each further line, a body, and the next. They come through a
 * proxy that is trusted. Each must be answered, under /v1 with JSON; a batch with a line for each of
 * its lines. */
#include "../api/rig.h"
#include "fuzz.h"

#define WORLD_LIVES 200 /* inputs, then a new one: its state grows */
#define CALLS_MAX   8
#define FIELDS_MAX  4 /* of a call, beside its key */

static const struct {
    const char *name;
    enum gw_method method;
} methods[] = {
    {"GET", GW_GET},     {"HEAD", GW_HEAD},     {"POST", GW_POST},       {"PUT", GW_PUT},
    {"PATCH", GW_PATCH}, {"DELETE", GW_DELETE}, {"OPTIONS", GW_OPTIONS}, {"X", GW_METHOD_OTHER},
};

static struct rig *rig;
static unsigned age;

/* A world where things can happen: one config, one event on its way. */
static void renew(void)
{
    if (rig)
        rig_destroy(rig);
    rig = rig_create(&(struct rig_options){0});
    make_config(rig, "{'appId':'acme','eventType':'T','webhookUrl':'https://hook.example/in'}");
    send_event(rig, "{'appId':'acme','eventType':'T','eventId':'e-1','transactionId':'t-1'}");
    age = 0;
}

static size_t count_lines(struct gw_slice text)
{
    size_t lines = text.len > 0 && text.ptr[text.len - 1] != '\n';

    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    return lines;
}

static void check_json(struct gw_slice text)
{
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, 0);

    gw_check(doc != NULL);
    yyjson_doc_free(doc);
}

static void check_answer(const struct call *call)
{
    const struct gw_exchange *exchange = &call->exchange;
    struct gw_slice rest = exchange->reply, line;

    gw_check(exchange->status >= 200 && exchange->status < 600);
    if (!gw_slice_starts(exchange->path, GW_SLICE("/v1/")) || exchange->method == GW_HEAD)
        return;
    if (strcmp(exchange->content_type, "application/x-ndjson") != 0) {
        check_json(exchange->reply);
        return;
    }
    gw_check(count_lines(exchange->reply) == count_lines(exchange->body));
    while (gw_slice_split(&rest, '\n', &line) && rest.ptr)
        check_json(line);
}

static void add_fields(struct call *call, struct gw_slice lines)
{
    struct gw_exchange *exchange = &call->exchange;
    struct gw_slice line, name;

    for (size_t i = 0; i < FIELDS_MAX && gw_slice_split(&lines, '\n', &line); i++) {
        gw_slice_split(&line, ':', &name);
        call->headers[exchange->header_count++] = (struct gw_header){name, gw_slice_trim(line)};
    }
}

static void ask(struct gw_slice head, struct gw_slice body)
{
    struct gw_slice fields = head, target, name;
    size_t at = 0;

    gw_slice_split(&fields, '\n', &target);
    gw_slice_split(&target, ' ', &name);
    while (at < gw_count(methods) - 1 && !gw_slice_is(name, methods[at].name))
        at++;
    struct call *call = call_prepare(rig, methods[at].method, "/", NULL);
    gw_slice_split(&target, '?', &call->exchange.path);
    call->exchange.query = target;
    call->exchange.body = body;
    gw_check(gw_addr_parse(GW_SLICE("127.0.0.9"), &call->exchange.peer));
    call_header(call, "AppId", RIG_NAME);
    call_header(call, "appkey", "0123456789abcdef");
    add_fields(call, fields);
    call_go(rig, 0, call);
    call_wait(rig, call);
    check_answer(call);
    call_free(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice rest = {(const char *)data, size};

    if (rig == NULL || ++age == WORLD_LIVES)
        renew();
    for (size_t i = 0; i < CALLS_MAX && rest.ptr; i++) {
        struct gw_slice head = fuzz_next(&rest), body = fuzz_next(&rest);
        ask(head, body);
        fuzz_free(head);
        fuzz_free(body);
    }
    return 0;
}
