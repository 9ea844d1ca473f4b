/* core_tool.c: core's pure functions for a test in another language: reads a JSON object from each
 * line of standard input and answers with one.
 *
 *   {"op":"match","pattern":TEXT,"event":TEXT}    {"matches":true} or {"error":TEXT}
 *   {"op":"remove","paths":[TEXT…],"json":TEXT}   {"json":TEXT} or {"error":TEXT}
 *   {"op":"url","url":TEXT}                       {"https","host","port","addr","path","query"} or
 *                                                 {"error":TEXT}
 *   {"op":"addr","addr":TEXT}                     {"why":TEXT}, null = public, or {"error":TEXT}
 *
 * Patterns, events and documents are JSON text in a string, so that each byte of them counts. */
#include "base/alloc.h"
#include "core/edit.h"
#include "core/pattern.h"
#include "core/url.h"

#include <stdio.h>
#include <stdlib.h>

static struct gw_slice text_of(yyjson_val *request, const char *name)
{
    yyjson_val *value = yyjson_obj_get(request, name);

    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}

/* A copy that ends where its memory ends, so that a sanitizer sees a read beyond. */
static struct gw_slice exact(struct gw_slice s)
{
    char *ptr = gw_alloc(s.len ? s.len : 1);

    if (s.len > 0)
        memcpy(ptr, s.ptr, s.len);
    return (struct gw_slice){ptr, s.len};
}

static void match(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                  yyjson_mut_val *root)
{
    struct gw_slice text = text_of(request, "pattern"), event = exact(text_of(request, "event"));
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, YYJSON_READ_NUMBER_AS_RAW);
    struct gw_pattern *pattern;
    struct gw_error error = {0};

    if (gw_pattern_parse(&pattern, yyjson_doc_get_root(doc), arena, &error) == GW_OK)
        yyjson_mut_obj_add_bool(answer, root, "matches", gw_pattern_match(pattern, event));
    else
        yyjson_mut_obj_add_strcpy(answer, root, "error", error.text);
    yyjson_doc_free(doc);
    gw_free((void *)(uintptr_t)event.ptr);
}

static void remove_paths(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                         yyjson_mut_val *root)
{
    yyjson_val *given = yyjson_obj_get(request, "paths"), *path;
    struct gw_edit_path paths[GW_EDIT_PATHS_MAX];
    struct gw_slice json = exact(text_of(request, "json"));
    struct gw_error error = {0};
    size_t at, max;

    yyjson_arr_foreach(given, at, max, path)
    {
        struct gw_slice text = {yyjson_get_str(path), yyjson_get_len(path)};
        if (error.code == GW_OK)
            gw_edit_path_parse(&paths[at], "path", text, arena, &error);
    }
    if (error.code == GW_OK) {
        struct gw_slice left = gw_edit_remove(json, paths, max, arena);
        yyjson_mut_obj_add_strncpy(answer, root, "json", left.ptr, left.len);
    } else {
        yyjson_mut_obj_add_strcpy(answer, root, "error", error.text);
    }
    gw_free((void *)(uintptr_t)json.ptr);
}

static void add_text(yyjson_mut_doc *answer, yyjson_mut_val *root, const char *name,
                     struct gw_slice text)
{
    if (text.ptr)
        yyjson_mut_obj_add_strncpy(answer, root, name, text.ptr, text.len);
    else
        yyjson_mut_obj_add_null(answer, root, name);
}

static void read_url(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                     yyjson_mut_val *root)
{
    struct gw_slice text = exact(text_of(request, "url"));
    char addr[GW_ADDR_TEXT_MAX];
    struct gw_error error;
    struct gw_url url;

    if (gw_url_parse(&url, text, arena, &error) != GW_OK) {
        yyjson_mut_obj_add_strcpy(answer, root, "error", error.text);
    } else {
        yyjson_mut_obj_add_bool(answer, root, "https", url.https);
        yyjson_mut_obj_add_uint(answer, root, "port", url.port);
        add_text(answer, root, "host", url.host);
        add_text(answer, root, "addr",
                 url.host_is_addr ? gw_addr_text(&url.addr, addr) : (struct gw_slice){0});
        add_text(answer, root, "path", url.path);
        add_text(answer, root, "query", url.query);
    }
    gw_free((void *)(uintptr_t)text.ptr);
}

/* As where the operator allows nothing. */
static void judge_addr(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                       yyjson_mut_val *root)
{
    static const struct gw_guard guard;
    struct gw_addr addr;
    const char *why;

    (void)arena;
    if (!gw_addr_parse(text_of(request, "addr"), &addr)) {
        yyjson_mut_obj_add_str(answer, root, "error", "no address");
        return;
    }
    why = gw_guard_addr(&guard, &addr);
    add_text(answer, root, "why", why ? gw_slice_from(why) : (struct gw_slice){0});
}

static const struct {
    const char *name;
    void (*run)(yyjson_val *request, struct gw_arena *arena, yyjson_mut_doc *answer,
                yyjson_mut_val *root);
} ops[] = {
    {"match", match},
    {"remove", remove_paths},
    {"url", read_url},
    {"addr", judge_addr},
};

/* False: the line was none of ours. */
static bool answer(struct gw_slice line)
{
    yyjson_doc *doc = yyjson_read(line.ptr, line.len, 0);
    yyjson_val *request = yyjson_doc_get_root(doc);
    yyjson_mut_doc *reply = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(reply);
    struct gw_arena arena = {0};
    bool is_known = false;

    yyjson_mut_doc_set_root(reply, root);
    for (size_t i = 0; i < gw_count(ops); i++) {
        if (yyjson_equals_str(yyjson_obj_get(request, "op"), ops[i].name)) {
            ops[i].run(request, &arena, reply, root);
            is_known = true;
        }
    }
    char *text = yyjson_mut_write(reply, 0, NULL);
    puts(text);
    fflush(stdout);
    free(text);
    gw_arena_deinit(&arena);
    yyjson_mut_doc_free(reply);
    yyjson_doc_free(doc);
    return is_known;
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
    return is_well ? 0 : 1;
}
