/* aws_tool.c: what src/aws/ computes, for a test in another language: reads a JSON object from each
 * line of standard input and answers with one.
 *
 *   {"op":"sign","service","region","id","secret","token","now_ms","method","host","path",
 *    "params":[[NAME,VALUE]…],"fields":[[NAME,VALUE]…],"body"}  {"target":TEXT,"lines":[TEXT…]}
 *   {"op":"endpoint","service","region"}                        {"url":TEXT} or {"error":TEXT}
 *   {"op":"notice","message"}                                   {"kind":NUMBER,"keys":[TEXT…],
 *                                                                "versions":[TEXT…]}
 *
 * and the calls of aws_tool_calls.c. */
#include "aws_tool.h"
#include "aws/endpoint.h"
#include "aws/notice.h"
#include "aws/sign.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

struct gw_slice text_of(yyjson_val *value)
{
    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}

struct gw_slice member(yyjson_val *request, const char *name)
{
    return text_of(yyjson_obj_get(request, name));
}

struct gw_aws_field *pairs_of(yyjson_val *list, struct gw_arena *arena, size_t *count)
{
    struct gw_aws_field *pairs = gw_arena_alloc(arena, yyjson_arr_size(list) * sizeof(*pairs) + 1);
    yyjson_val *pair;
    size_t i, max;

    yyjson_arr_foreach(list, i, max, pair)
    {
        pairs[i].name = text_of(yyjson_arr_get(pair, 0));
        pairs[i].value = text_of(yyjson_arr_get(pair, 1));
    }
    *count = yyjson_arr_size(list);
    return pairs;
}

static void sign(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                 yyjson_mut_val *root)
{
    static struct gw_aws_signer signer; /* kept, as in use: with whatever key it has */
    struct gw_aws_keys keys = {member(request, "id"), member(request, "secret"),
                               member(request, "token")};
    struct gw_aws_request asked = {
        .method = yyjson_get_str(yyjson_obj_get(request, "method")),
        .host = member(request, "host"),
        .path = gw_aws_path(arena, member(request, "path")),
        .body = member(request, "body"),
    };
    const char *region = yyjson_get_str(yyjson_obj_get(request, "region"));
    const char *service = yyjson_get_str(yyjson_obj_get(request, "service"));
    size_t count;

    if (!signer.region || strcmp(signer.region, region) || strcmp(signer.service, service)) {
        gw_free((void *)(uintptr_t)signer.region);
        gw_free((void *)(uintptr_t)signer.service);
        gw_aws_signer_deinit(&signer);
        signer = (struct gw_aws_signer){.region = gw_strdup(region), .service = gw_strdup(service)};
    }
    struct gw_aws_field *params = pairs_of(yyjson_obj_get(request, "params"), arena, &count);
    asked.query = gw_aws_query(arena, params, count);
    asked.fields = pairs_of(yyjson_obj_get(request, "fields"), arena, &asked.field_count);
    const char *const *lines = gw_aws_sign(
        &signer, &keys, &asked, yyjson_get_sint(yyjson_obj_get(request, "now_ms")), arena);
    yyjson_mut_obj_add_strcpy(answer, root, "target",
                              gw_arena_printf(arena, "%.*s%s%.*s", GW_SLICE_ARG(asked.path),
                                              asked.query.len > 0 ? "?" : "",
                                              GW_SLICE_ARG(asked.query)));
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(answer, root, "lines");
    for (; *lines; lines++)
        yyjson_mut_arr_add_strcpy(answer, list, *lines);
}

static void find_endpoint(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                          yyjson_mut_val *root)
{
    const char *region = yyjson_get_str(yyjson_obj_get(request, "region"));
    struct gw_aws_endpoint endpoint;
    struct gw_error error;
    int service = GW_AWS_S3;

    while (
        !gw_slice_is(member(request, "service"), gw_aws_service_name((enum gw_aws_service)service)))
        service++;
    if (gw_aws_endpoint_init(&endpoint, (enum gw_aws_service)service, region, arena, &error) ==
        GW_OK)
        yyjson_mut_obj_add_strcpy(answer, root, "url",
                                  gw_arena_printf(arena, "http%s://%s",
                                                  endpoint.origin.https ? "s" : "",
                                                  endpoint.origin.authority));
    else
        yyjson_mut_obj_add_strcpy(answer, root, "error", error.text);
}

static void add_text(yyjson_mut_doc *answer, yyjson_mut_val *list, struct gw_slice text)
{
    yyjson_mut_arr_add_strncpy(answer, list, text.ptr ? text.ptr : "", text.len);
}

static void read_notice(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                        yyjson_mut_val *root)
{
    struct gw_aws_notices notices;

    gw_aws_notice_read(&notices, member(request, "message"), arena);
    yyjson_mut_obj_add_int(answer, root, "kind", notices.kind);
    yyjson_mut_val *keys = yyjson_mut_obj_add_arr(answer, root, "keys");
    yyjson_mut_val *versions = yyjson_mut_obj_add_arr(answer, root, "versions");
    for (size_t i = 0; i < notices.count; i++) {
        add_text(answer, keys, notices.items[i].key);
        add_text(answer, versions, notices.items[i].version_id);
    }
}

static const struct tool_op ops[] = {
    {"sign", sign},
    {"endpoint", find_endpoint},
    {"notice", read_notice},
    {NULL, NULL},
};

static const struct tool_op *find_op(const struct tool_op *all, yyjson_val *request)
{
    for (; all->name; all++)
        if (yyjson_equals_str(yyjson_obj_get(request, "op"), all->name))
            return all;
    return NULL;
}

/* False: the line was none of ours. */
static bool answer(struct gw_slice line)
{
    yyjson_doc *doc = yyjson_read(line.ptr, line.len, 0);
    yyjson_val *request = yyjson_doc_get_root(doc);
    yyjson_mut_doc *reply = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(reply);
    struct gw_arena arena = {0};
    const struct tool_op *op = find_op(ops, request);

    if (op == NULL)
        op = find_op(call_ops, request);
    yyjson_mut_doc_set_root(reply, root);
    if (op)
        op->run(request, &arena, reply, root);
    char *text = yyjson_mut_write(reply, 0, NULL);
    puts(text);
    fflush(stdout);
    free(text);
    gw_arena_deinit(&arena);
    yyjson_mut_doc_free(reply);
    yyjson_doc_free(doc);
    return op != NULL;
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    bool is_well = true;

    while (is_well && (len = getline(&line, &size, stdin)) > 0)
        is_well = answer((struct gw_slice){line, (size_t)len});
    free(line);
    calls_end();
    return is_well ? 0 : 1;
}
