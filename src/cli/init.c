/* init.c: `gwh init`: creates what is missing of the tables of the delivery log. Repeatable: what is
 * there stays as it is. */
#include "base/alloc.h"
#include "cli/options.h"
#include "cli/term.h"
#include "store/delivery_log_sql.h"
#include "store/postgres.h"
#include "sys/loop.h"

#include <stdlib.h>

struct version {
    struct gw_postgres_answer answer;
    enum gw_delivery_log_dialect dialect;
};

static void on_version(struct gw_postgres_answer *answer, const char *const *values, size_t count)
{
    struct gw_slice text = gw_slice_from(count ? values[0] : NULL);
    gw_container_of(answer, struct version, answer)->dialect = gw_delivery_log_sql_dialect(text);
}

static enum gw_err find_dialect(struct gw_postgres *postgres, enum gw_delivery_log_dialect *dialect,
                                struct gw_error *error)
{
    struct version version = {.answer = {on_version}};
    enum gw_err err = gw_postgres_run(postgres, "SELECT version()", NULL, &version.answer, error);
    *dialect = version.dialect;
    return err;
}

static enum gw_err create(struct gw_postgres *postgres, struct gw_error *error)
{
    enum gw_delivery_log_dialect dialect;
    struct gw_buf sql = {0};
    enum gw_err err = gw_postgres_connect(postgres, error);
    if (err == GW_OK)
        err = find_dialect(postgres, &dialect, error);
    for (size_t i = 0; err == GW_OK && gw_delivery_log_sql_create(&sql, dialect, i); i++) {
        err = gw_postgres_run(postgres, gw_buf_text(&sql), NULL, NULL, error);
        gw_buf_clear(&sql);
    }
    gw_buf_deinit(&sql);
    return err;
}

static int init(const char *url)
{
    static const atomic_bool never;
    struct gw_error error;
    struct gw_env *env;
    gw_sys_init();
    if (gw_loop_create(NULL, &env, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_FAILED, "%s", error.text);
    struct gw_postgres *postgres = gw_postgres_create(env, url, &never);
    enum gw_err err = create(postgres, &error);
    gw_postgres_destroy(postgres);
    gw_loop_destroy(env);
    if (err != GW_OK)
        return gw_term_fail(GW_EXIT_FAILED, "the delivery log's tables were not made: %s",
                            error.text);
    struct gw_buf out = {0};
    for (size_t i = 0; i < GW_DELIVERY_LOG_TABLES; i++)
        gw_buf_addf(&out, "%s is there\n", gw_delivery_log_tables[i].name);
    gw_term_flush(&out);
    gw_buf_deinit(&out);
    return GW_EXIT_DONE;
}

static int run(int argc, char **argv)
{
    const char *url = NULL, *name = "--log-url";
    const struct gw_option rows[] = {
        {.name = "log-url",
         .value = "URL",
         .help = "the database of the delivery log (default GWH_LOG_URL)",
         .text = &url},
    };
    struct gw_options options = {
        .command = &gw_init_command, .rows = rows, .count = gw_count(rows)};
    struct gw_error error;

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    if (!url) {
        url = getenv("GWH_LOG_URL");
        name = "GWH_LOG_URL";
    }
    if (!url || !*url)
        return gw_term_fail(GW_EXIT_USAGE, "--log-url: must be given, or GWH_LOG_URL be set");
    if (gw_postgres_check(url, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_USAGE, "%s: %s", name, error.text);
    return init(url);
}

const struct gw_command gw_init_command = {
    .name = "init",
    .summary = "create the tables of the delivery log that are missing",
    .usage = "init [--log-url URL]",
    .example = "GWH_LOG_URL=postgres://gwh:PASSWORD@db.example/webhooks gwh init",
    .notes =
        "In PostgreSQL or Amazon Redshift. May be repeated: what is there stays as it is. The\n"
        "statements stand in deploy/sql/. Arguments are seen by everybody on the machine:\n"
        "rather than --log-url with a password set GWH_LOG_URL, or PGPASSFILE beside it.",
    .main = run,
};
