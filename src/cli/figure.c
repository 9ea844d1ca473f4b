/* figure.c: see figure.h. Owns nothing. */
#include "cli/figure.h"

#include "cli/client.h"
#include "cli/text.h"

#define LOW  9000 /* of 10 000: somebody should look */
#define NONE (-1) /* none of these is ever below 0 */

static void add_empty(struct gw_table *table)
{
    gw_table_add(table, GW_SLICE(""), GW_TONE_PLAIN);
}

void gw_figure_add_count(struct gw_table *table, int64_t count, enum gw_tone tone)
{
    gw_table_addf(table, count != 0 ? tone : GW_TONE_DIM, "%lld", (long long)count);
}

void gw_figure_add(struct gw_table *table, yyjson_val *object, const char *name, enum gw_tone tone)
{
    int64_t count = gw_client_number(object, name, NONE);

    if (count != NONE)
        gw_figure_add_count(table, count, tone);
    else
        add_empty(table);
}

static void add_parts(struct gw_table *table, int64_t of_10000)
{
    gw_table_addf(table, of_10000 < LOW ? GW_TONE_WARN : GW_TONE_PLAIN, "%d.%d%%",
                  (int)(of_10000 / 100), (int)(of_10000 / 10 % 10));
}

void gw_figure_add_share(struct gw_table *table, int64_t part, int64_t of)
{
    if (of > 0)
        add_parts(table, part * 10000 / of);
    else
        add_empty(table);
}

void gw_figure_add_rate(struct gw_table *table, yyjson_val *object, const char *name)
{
    double rate = gw_client_real(object, name, NONE);

    if (rate >= 0)
        add_parts(table, (int64_t)(rate * 10000 + 0.5)); /* it has four places */
    else
        add_empty(table);
}

void gw_figure_add_ms(struct gw_table *table, yyjson_val *object, const char *name)
{
    int64_t ms = gw_client_number(object, name, NONE);
    struct gw_buf text = {0};

    if (ms == NONE) {
        add_empty(table);
        return;
    }
    if (ms < 1000)
        gw_buf_addf(&text, "%lld ms", (long long)ms);
    else if (ms < 60000)
        gw_buf_addf(&text, "%lld.%lld s", (long long)(ms / 1000), (long long)(ms / 100 % 10));
    else
        gw_text_add_span(&text, ms);
    gw_table_add(table, gw_buf_slice(&text), GW_TONE_PLAIN);
    gw_buf_deinit(&text);
}
