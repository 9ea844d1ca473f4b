/* dynamodb_query.c: a Query to its end, page by page. Owns nothing; the thread is the run's. A page
 * may be empty and still not be the last. Failure: the operation ends with it. */
#include "store/dynamodb_impl.h"

static void ask(struct dynamodb_run *run);

static void on_page(struct dynamodb_run *run)
{
    struct dynamodb_query *query = &run->query;
    enum gw_err err = GW_OK;
    yyjson_val *item;
    size_t i, max;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    yyjson_arr_foreach(run->db.items, i, max, item)
    {
        if (err == GW_OK && !query->is_enough)
            err = query->take(run, item);
    }
    query->more = run->db.more;
    query->pages++;
    if (err != GW_OK)
        dynamodb_done(run, err);
    else if (query->is_enough || query->more == NULL || query->pages == query->pages_max)
        query->then(run);
    else
        ask(run);
}

static void ask(struct dynamodb_run *run)
{
    const struct dynamodb_query *query = &run->query;
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_QUERY, query->table);
    yyjson_mut_val *values = dynamodb_values(run, db->root);

    dynamodb_put_expression(run, db->root, "KeyConditionExpression", query->keys);
    for (size_t i = 0; i < gw_count(query->values) && query->values[i].name; i++)
        gw_aws_dynamodb_put_text(db, values, query->values[i].name, query->values[i].text);
    dynamodb_put_flag(run, db->root, "ConsistentRead");
    yyjson_mut_obj_add_bool(db->doc, db->root, "ScanIndexForward", !query->is_backward);
    if (query->page_max > 0)
        yyjson_mut_obj_add_uint(db->doc, db->root, "Limit", query->page_max);
    if (query->more)
        yyjson_mut_obj_add_val(db->doc, db->root, "ExclusiveStartKey",
                               yyjson_val_mut_copy(db->doc, query->more));
    dynamodb_send(run, on_page);
}

void dynamodb_query(struct dynamodb_run *run, const struct dynamodb_query *query)
{
    run->query = *query;
    ask(run);
}
