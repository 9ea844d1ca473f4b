/* edit.c: lines of paths, and a document to remove them from. The result must be the JSON that
 * removing them from yyjson's tree gives, and the bytes that one path after the other gives. */
#include "fuzz.h"

#include "core/edit.h"

#include <stdlib.h>
#include <yyjson.h>

#define PATHS_MAX 8

static void remove_from(yyjson_mut_val *value, const struct gw_slice *steps, size_t count)
{
    yyjson_mut_val *key, *element;
    size_t at, max;

    yyjson_mut_arr_foreach(value, at, max, element)
    {
        remove_from(element, steps, count);
    }
    yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(value);
    while ((key = yyjson_mut_obj_iter_next(&iter))) {
        struct gw_slice name = {yyjson_mut_get_str(key), yyjson_mut_get_len(key)};
        if (!gw_slice_eq(name, steps[0]))
            continue;
        if (count == 1)
            yyjson_mut_obj_iter_remove(&iter);
        else
            remove_from(yyjson_mut_obj_iter_get_val(key), steps + 1, count - 1);
    }
}

static void check_against_tree(yyjson_doc *before, struct gw_slice got,
                               const struct gw_edit_path *paths, size_t count)
{
    yyjson_mut_doc *tree = yyjson_doc_mut_copy(before, NULL);
    yyjson_doc *after = yyjson_read(got.ptr, got.len, YYJSON_READ_NUMBER_AS_RAW);

    gw_check(after != NULL);
    for (size_t i = 0; i < count; i++)
        remove_from(yyjson_mut_doc_get_root(tree), paths[i].steps, paths[i].step_count);
    char *wanted = yyjson_mut_write(tree, 0, NULL), *found = yyjson_write(after, 0, NULL);
    gw_check(strcmp(wanted, found) == 0);
    free(wanted);
    free(found);
    yyjson_doc_free(after);
    yyjson_mut_doc_free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_slice rest = {(const char *)data, size}, line;
    struct gw_slice lines = fuzz_next(&rest), json = fuzz_next(&rest), unread = lines;
    struct gw_edit_path paths[PATHS_MAX];
    struct gw_arena arena = {0};
    size_t count = 0;

    while (count < PATHS_MAX && gw_slice_split(&unread, '\n', &line))
        if (gw_edit_path_parse(&paths[count], "path", line, &arena, NULL) == GW_OK)
            count++;
    yyjson_doc *before = yyjson_read(json.ptr, json.len, YYJSON_READ_NUMBER_AS_RAW);
    if (before && fuzz_is_shallow(json)) {
        struct gw_slice got = gw_edit_remove(json, paths, count, &arena), slow = json;
        for (size_t i = 0; i < count; i++)
            slow = gw_edit_remove(slow, &paths[i], 1, &arena);
        gw_check(gw_slice_eq(got, slow));
        check_against_tree(before, got, paths, count);
    }
    yyjson_doc_free(before);
    gw_arena_deinit(&arena);
    fuzz_free(lines);
    fuzz_free(json);
    return 0;
}
