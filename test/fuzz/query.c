/* query.c: the query of a request. */
#include "fuzz.h"

#include "api/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"appId", "limit", "from", "full", "cursor"};
    struct gw_slice values[gw_count(names)];
    struct gw_arena arena = {0};
    struct gw_exchange exchange = {.arena = &arena, .query = {(const char *)data, size}};
    struct gw_api_request request = {.exchange = &exchange};
    struct gw_error error = {0};
    size_t limit = 1;
    int64_t ms = 0;
    bool is_full = false;

    if (gw_query_parse(&request, names, gw_count(names), values, &error) == GW_OK) {
        for (size_t i = 0; i < gw_count(names); i++)
            gw_check(values[i].ptr == NULL || (values[i].len > 0 && gw_slice_is_utf8(values[i])));
        if (gw_query_limit(values[1], &limit, &error) == GW_OK)
            gw_check(limit >= 1 && limit <= GW_PAGE_LIMIT_MAX);
        gw_query_time("from", values[2], &ms, &error);
        gw_query_bool("full", values[3], &is_full, &error);
    }
    gw_check(gw_slice_is_utf8(gw_slice_from(error.text)));
    gw_arena_deinit(&arena);
    return 0;
}
