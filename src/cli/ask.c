/* ask.c: one frame around all client commands. Owns each answer while it is told, and the page that
 * people see. One thread. */
#include "cli/ask.h"

#include "base/check.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ITEMS_MAX 100000

/* ── Requests ──────────────────────────────────────────────────────────────────────────────── */

static void add_query(struct gw_buf *path, const struct gw_ask_query *query)
{
    for (size_t i = 0; i < GW_ASK_QUERY_MAX && query[i].name; i++)
        gw_client_add_query(path, query[i].name, query[i].value);
}

static void add_path(struct gw_buf *path, const struct gw_ask *ask)
{
    gw_buf_adds(path, gw_slice_from(ask->path));
    if (ask->id)
        gw_client_add_segment(path, ask->id);
    if (ask->action)
        gw_buf_adds(path, gw_slice_from(ask->action));
    add_query(path, ask->query);
}

void gw_ask_body(yyjson_mut_doc *doc, struct gw_buf *body)
{
    size_t len = 0;
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);

    gw_check(text != NULL);
    gw_buf_add(body, text, len);
    free(text);
    yyjson_mut_doc_free(doc);
}

/* ── Pages ─────────────────────────────────────────────────────────────────────────────────── */

static struct gw_page begin_page(const struct gw_client *client, void *ctx)
{
    return (struct gw_page){
        .term = gw_term_look(STDOUT_FILENO),
        .now_ms = gw_env_wall_ms(client->env),
        .ctx = ctx,
    };
}

static void end_page(struct gw_page *page)
{
    gw_term_flush(&page->out);
    gw_buf_deinit(&page->out);
}

void gw_page_add_age(struct gw_page *page, int64_t at_ms, const char *behind)
{
    struct gw_buf text = {0};

    if (at_ms != GW_NEVER) {
        gw_text_add_span(&text, page->now_ms - at_ms);
        gw_buf_adds(&text, gw_slice_from(behind));
    }
    gw_table_add(&page->table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_buf_deinit(&text);
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

int gw_ask(struct gw_client *client, const struct gw_ask *ask)
{
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0};

    add_path(&path, ask);
    int code = gw_client_call(client,
                              &(struct gw_client_request){
                                  .method = ask->method ? ask->method : "GET",
                                  .path = gw_buf_text(&path),
                                  .body = ask->body,
                                  .if_match = ask->if_match,
                                  .timeout_ms = ask->timeout_ms,
                              },
                              &answer);
    if (code < 0 && !client->json) {
        struct gw_page page = begin_page(client, ask->ctx);
        ask->tell(&page, answer.result);
        end_page(&page);
    }
    if (code < 0)
        code = ask->is_yes == NULL || ask->is_yes(answer.result) ? GW_EXIT_DONE : GW_EXIT_FAILED;
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&path);
    return code;
}

int gw_ask_once(const struct gw_client_options *options, const struct gw_ask *ask)
{
    struct gw_client client;

    int code = gw_client_open(&client, options);
    if (code < 0)
        code = gw_ask(&client, ask);
    gw_client_close(&client);
    return code;
}

int gw_ask_each(const struct gw_client_options *options, const struct gw_ask *ask, char **ids,
                size_t count)
{
    struct gw_client client;
    int worst = GW_EXIT_DONE;

    int code = gw_client_open(&client, options);
    for (size_t i = 0; code < 0 && i < count; i++) {
        struct gw_ask one = *ask;
        one.id = ids[i];
        one.ctx = ids[i];
        client.about = count > 1 ? ids[i] : NULL;
        int came = gw_ask(&client, &one);
        if (came > worst)
            worst = came;
    }
    gw_client_close(&client);
    return code < 0 ? worst : code;
}

/* ── Lists ─────────────────────────────────────────────────────────────────────────────────── */

static void add_list_path(struct gw_buf *path, const struct gw_ask_list *list, size_t done,
                          struct gw_buf *cursor)
{
    char left[24];

    gw_buf_adds(path, gw_slice_from(list->path));
    add_query(path, list->query);
    if (list->limit > 0) {
        snprintf(left, sizeof(left), "%lld", (long long)(list->limit - (int64_t)done));
        gw_client_add_query(path, "limit", left);
    }
    if (cursor->len > 0)
        gw_client_add_query(path, "cursor", gw_buf_text(cursor));
}

/* One page of the API's; *cursor becomes where the next begins, or empty. */
static int walk_page(struct gw_client *client, const struct gw_ask_list *list, struct gw_page *page,
                     struct gw_buf *cursor)
{
    struct gw_client_answer answer = {0};
    struct gw_buf path = {0};
    size_t i, max;
    yyjson_val *item;

    add_list_path(&path, list, page->item_count, cursor);
    int code = gw_client_call(
        client, &(struct gw_client_request){.method = "GET", .path = gw_buf_text(&path)}, &answer);
    gw_buf_clear(cursor);
    if (code < 0 && !client->json) {
        yyjson_arr_foreach(yyjson_obj_get(answer.result, "items"), i, max, item)
        {
            list->tell(page, item);
            page->item_count++;
        }
        gw_buf_adds(cursor, gw_client_text(answer.result, "next"));
    }
    gw_client_answer_deinit(&answer);
    gw_buf_deinit(&path);
    return code;
}

static void show_list(const struct gw_ask_list *list, struct gw_page *page, bool wide,
                      const struct gw_buf *cursor)
{
    if (page->item_count == 0)
        gw_buf_addf(&page->out, "%s\n", list->none);
    else if (list->column_count > 0)
        gw_table_print(&page->table, &page->term, wide, &page->out);
    if (cursor->len > 0) {
        gw_buf_adds(&page->out, GW_SLICE("there are more: --cursor "));
        gw_text_add_clean(&page->out, gw_buf_slice(cursor), false);
        gw_buf_addc(&page->out, '\n');
    }
}

static int walk(struct gw_client *client, const struct gw_list_options *options,
                const struct gw_ask_list *list)
{
    struct gw_page page = begin_page(client, NULL);
    struct gw_buf cursor = {0};
    size_t items_max = list->limit > 0 ? (size_t)list->limit : ITEMS_MAX;
    int code;

    if (list->column_count > 0)
        gw_table_init(&page.table, list->columns, list->column_count);
    if (options->cursor)
        gw_buf_adds(&cursor, gw_slice_from(options->cursor));
    do
        code = walk_page(client, list, &page, &cursor);
    while (code < 0 && cursor.len > 0 && page.item_count < items_max);
    if (code < 0 && !client->json)
        show_list(list, &page, options->wide > 0, &cursor);
    gw_table_deinit(&page.table);
    end_page(&page);
    gw_buf_deinit(&cursor);
    return code < 0 ? GW_EXIT_DONE : code;
}

int gw_ask_list(const struct gw_list_options *options, const struct gw_ask_list *list)
{
    struct gw_client client;

    int code = gw_client_open(&client, &options->common);
    if (code < 0)
        code = walk(&client, options, list);
    gw_client_close(&client);
    return code;
}
