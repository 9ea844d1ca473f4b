/* pages.c: from page to page. Owns each answer until its items have been told. */
#include "cli/pages.h"

/* One page, and where the next begins; "" at the end. */
static int walk_page(struct gw_client *client, const struct gw_pages *pages, struct gw_buf *cursor,
                     size_t *count)
{
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0};
    size_t i, max;
    yyjson_val *item;

    gw_buf_adds(&path, gw_slice_from(pages->path));
    if (cursor->len > 0)
        gw_client_add_query(&path, "cursor", gw_buf_text(cursor));
    int code = gw_client_call(
        client, &(struct gw_client_request){.method = "GET", .path = gw_buf_text(&path)}, &answer);
    gw_buf_clear(cursor);
    if (code < 0 && !client->json) {
        yyjson_arr_foreach(yyjson_obj_get(answer.result, "items"), i, max, item)
        {
            pages->each(pages->ctx, item);
            ++*count;
        }
        gw_buf_adds(cursor, gw_client_text(answer.result, "next"));
    }
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&path);
    return code;
}

int gw_pages_walk(struct gw_client *client, const struct gw_pages *pages)
{
    struct gw_buf cursor = {0};
    size_t count = 0;
    int code;

    if (pages->cursor)
        gw_buf_adds(&cursor, gw_slice_from(pages->cursor));
    do
        code = walk_page(client, pages, &cursor, &count);
    while (code < 0 && cursor.len > 0 && count < pages->items_max);
    gw_buf_deinit(&cursor);
    return code;
}
