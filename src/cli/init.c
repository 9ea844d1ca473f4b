/* init.c: `gwh init`: creates what is missing of the tables of the store on AWS, and of those of the
 * delivery log. Repeatable: what is there stays as it is. */
#include "app/settings.h"
#include "base/alloc.h"
#include "cli/cloud.h"
#include "cli/options.h"
#include "cli/term.h"
#include "store/delivery_log_sql.h"
#include "store/dynamodb.h"
#include "store/postgres.h"
#include "sys/loop.h"

#include <stdio.h>

extern char **environ;

#define OPEN_DAYS 20 /* beyond retention: until then something of an event may be open */

/* ── The delivery log ──────────────────────────────────────────────────────────────────────── */

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

static int init_log(const char *url)
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

/* ── The store on AWS ──────────────────────────────────────────────────────────────────────── */

static void on_table(struct gw_dynamodb_init *making, const char *table, bool is_made)
{
    struct gw_buf out = {0};
    (void)making;
    gw_buf_addf(&out, "%s %s\n", table, is_made ? "was made" : "is there");
    gw_term_flush(&out);
    gw_buf_deinit(&out);
}

static void on_done(struct gw_dynamodb_init *making)
{
    gw_loop_stop(making->aws->clients[GW_AWS_DYNAMODB].env);
}

/* Nobody here looks at the bucket: who may make tables need not be allowed to. */
static void warn_of_bucket(const struct gw_settings *settings)
{
    fprintf(stderr,
            "gwh: the bucket of events must keep objects for %lld days at least, --retention and "
            "%d more\n",
            (long long)settings->retention_days + OPEN_DAYS, OPEN_DAYS);
}

static int init_store(const struct gw_settings *settings)
{
    struct gw_cloud cloud;
    int code = gw_cloud_open(&cloud);
    if (code < 0) {
        struct gw_dynamodb_init making = {
            .aws = cloud.aws, .tables = settings->tables, .told = on_table, .done = on_done};
        gw_dynamodb_init_start(&making);
        gw_loop_run(cloud.env);
        if (making.error.code != GW_OK)
            code = gw_term_fail(GW_EXIT_FAILED, "the store's tables were not made: %s",
                                making.error.text);
    }
    gw_cloud_close(&cloud);
    if (code < 0)
        warn_of_bucket(settings);
    return code < 0 ? GW_EXIT_DONE : code;
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

enum { STORE, TABLES, RETENTION, LOG_URL, SETTINGS };

static const char *const flags[SETTINGS] = {"--store", "--tables", "--retention", "--log-url"};

/* What is not given is in the environment: these are settings of serve's. */
static enum gw_err read_settings(struct gw_settings *settings, const char *const *given,
                                 struct gw_error *error)
{
    const char *args[2 * SETTINGS];
    int count = 0;
    for (int i = 0; i < SETTINGS; i++) {
        if (!given[i])
            continue;
        args[count++] = flags[i];
        args[count++] = given[i];
    }
    return gw_settings_parse(settings, count, (char *const *)(uintptr_t)args, environ, error);
}

static int init(const struct gw_settings *settings)
{
    bool has_log = settings->log_url &&
                   !gw_slice_starts(gw_slice_from(settings->log_url), GW_SLICE("firehose://"));
    int code = GW_EXIT_DONE;
    if (!settings->is_on_aws && !has_log)
        return gw_term_fail(GW_EXIT_USAGE, "--log-url: must be given, or GWH_LOG_URL be set, to a "
                                           "database, where --store is not aws");
    if (settings->is_on_aws)
        code = init_store(settings);
    if (code == GW_EXIT_DONE && has_log)
        code = init_log(settings->log_url);
    return code;
}

static int run(int argc, char **argv)
{
    const char *given[SETTINGS] = {NULL};
    const struct gw_option rows[SETTINGS] = {
        [STORE] = {.name = flags[STORE] + 2,
                   .value = "aws",
                   .help = "make the store's tables in DynamoDB (default GWH_STORE)",
                   .text = &given[STORE]},
        [TABLES] = {.name = flags[TABLES] + 2,
                    .value = "NAME",
                    .help = "what their names begin with (default GWH_TABLES, generic-webhook)",
                    .text = &given[TABLES]},
        [RETENTION] = {.name = flags[RETENTION] + 2,
                       .value = "DAYS",
                       .help = "days that events are kept (default GWH_RETENTION, 30)",
                       .text = &given[RETENTION]},
        [LOG_URL] = {.name = flags[LOG_URL] + 2,
                     .value = "URL",
                     .help = "the database of the delivery log (default GWH_LOG_URL)",
                     .text = &given[LOG_URL]},
    };
    struct gw_options options = {
        .command = &gw_init_command, .rows = rows, .count = gw_count(rows)};
    struct gw_settings settings;
    struct gw_error error;

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    if (read_settings(&settings, given, &error) == GW_OK) {
        code = init(&settings);
        gw_settings_deinit(&settings);
    } else {
        code = gw_term_fail(GW_EXIT_USAGE, "%s", error.text);
    }
    return code;
}

const struct gw_command gw_init_command = {
    .name = "init",
    .summary = "create the tables of the store on AWS, and of the delivery log, that are missing",
    .usage = "init [--store aws] [--log-url URL]",
    .example = "gwh init --store aws\n"
               "GWH_LOG_URL=postgres://gwh:PASSWORD@db.example/webhooks gwh init",
    .notes =
        "The store's are in DynamoDB, with the region and keys of the standard AWS variables;\n"
        "the log's in PostgreSQL or Amazon Redshift, and deploy/sql/ has their statements. May\n"
        "be repeated: what is there stays as it is. Arguments are seen by everybody on the\n"
        "machine: rather than --log-url with a password set GWH_LOG_URL, or PGPASSFILE beside\n"
        "it.",
    .main = run,
};
