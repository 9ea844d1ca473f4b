/* postgres.c: owns the connection, and all of libpq.
 *
 * libpq is used without blocking: a server that takes a question and answers nothing (stopped, behind a
 * dead link) would hold the thread for as long as the kernel likes. What was asked in vain may still
 * be done later; the connection is closed, and the caller may ask again.
 *
 * Thread: its user's; it waits in poll(2). Failure: a lost connection is closed and says so. */
#include "store/postgres.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>

#define CONNECT_US  ((int64_t)5 * 1000000)
#define ANSWER_US   ((int64_t)35 * 1000000)
#define HURRY_US    ((int64_t)3 * 1000000)
#define SLICE_MS    200 /* how soon a hurry is seen */
#define SETUP       "SET statement_timeout TO 30000"
#define PORT_DIGITS 5
#define COLUMNS_MAX 16 /* of an answer */

struct gw_postgres {
    struct gw_env *env;
    char *url;
    const atomic_bool *hurry;
    PGconn *conn; /* NULL = not connected */
    int64_t begun_us, limit_us;
};

/* ── The URL ───────────────────────────────────────────────────────────────────────────────── */

/* A password with a '/' in it makes libpq take its beginning for the port, which libpq would show. */
static bool is_sound(const PQconninfoOption *options)
{
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        if (strcmp(option->keyword, "port") != 0 || !option->val)
            continue;
        if (strlen(option->val) > PORT_DIGITS ||
            strspn(option->val, "0123456789") != strlen(option->val))
            return false;
    }
    return true;
}

enum gw_err gw_postgres_check(const char *url, struct gw_error *error)
{
    char *why = NULL;
    bool is_url = strncmp(url, "postgres://", 11) == 0 || strncmp(url, "postgresql://", 13) == 0;
    PQconninfoOption *options = is_url ? PQconninfoParse(url, &why) : NULL;
    bool is_good = options && is_sound(options);
    PQconninfoFree(options);
    PQfreemem(why);
    if (is_good)
        return GW_OK;
    return gw_error_set(
        error, GW_ERR_INVALID,
        "must be postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…, with special "
        "characters percent-encoded, was something else");
}

/* ── Waiting ───────────────────────────────────────────────────────────────────────────────── */

static void begin(struct gw_postgres *pg, int64_t limit_us)
{
    pg->begun_us = gw_env_mono_us(pg->env);
    pg->limit_us = limit_us;
}

/* False: the time is over. */
static bool wait_for(struct gw_postgres *pg, short events)
{
    for (;;) {
        int64_t limit_us = pg->limit_us;
        if (atomic_load(pg->hurry) && limit_us > HURRY_US)
            limit_us = HURRY_US;
        int64_t left_ms = (pg->begun_us + limit_us - gw_env_mono_us(pg->env)) / 1000;
        struct pollfd fd = {.fd = PQsocket(pg->conn), .events = events};
        if (left_ms <= 0 || fd.fd < 0)
            return false;
        int ready = poll(&fd, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

static void disconnect(struct gw_postgres *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
}

static enum gw_err lose(struct gw_postgres *pg, bool is_late, struct gw_error *error)
{
    const char *why = is_late ? "no answer in time" : PQerrorMessage(pg->conn);
    int first_line = (int)strcspn(why, "\n");
    gw_error_set(error, GW_ERR_UNAVAILABLE, "%.*s", first_line, why);
    disconnect(pg);
    return GW_ERR_UNAVAILABLE;
}

/* ── Connecting ────────────────────────────────────────────────────────────────────────────── */

/* libpq would write it to standard error. */
static void on_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

static PGconn *start(const struct gw_postgres *pg)
{
    /* What stands before dbname, the URL may say otherwise. */
    static const char *const names[] = {"fallback_application_name", "client_encoding", "dbname",
                                        NULL};
    const char *const values[] = {"gwh", "UTF8", pg->url, NULL};
    return PQconnectStartParams(names, values, 1);
}

enum gw_err gw_postgres_connect(struct gw_postgres *pg, struct gw_error *error)
{
    if (pg->conn)
        disconnect(pg);
    begin(pg, CONNECT_US);
    pg->conn = start(pg);
    if (!pg->conn || PQstatus(pg->conn) == CONNECTION_BAD)
        return lose(pg, false, error);
    PQsetNoticeReceiver(pg->conn, on_notice, NULL);
    for (PostgresPollingStatusType status = PGRES_POLLING_WRITING; status != PGRES_POLLING_OK;) {
        if (!wait_for(pg, status == PGRES_POLLING_READING ? POLLIN : POLLOUT))
            return lose(pg, true, error);
        status = PQconnectPoll(pg->conn);
        if (status == PGRES_POLLING_FAILED)
            return lose(pg, false, error);
    }
    if (PQsetnonblocking(pg->conn, 1) != 0)
        return lose(pg, false, error);
    enum gw_err err = gw_postgres_run(pg, SETUP, NULL, NULL, error);
    if (err != GW_OK && pg->conn)
        disconnect(pg);
    return err;
}

bool gw_postgres_is_connected(const struct gw_postgres *pg)
{
    return pg->conn != NULL;
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

static bool send_question(struct gw_postgres *pg, const char *sql,
                          const struct gw_postgres_parameters *parameters)
{
    static const struct gw_postgres_parameters none;
    const struct gw_postgres_parameters *p = parameters ? parameters : &none;
    return PQsendQueryParams(pg->conn, sql, (int)p->count, p->types, p->values, NULL, NULL, 0) == 1;
}

/* Until all is sent, or the server has something to say against it. */
static enum gw_err flush(struct gw_postgres *pg, struct gw_error *error)
{
    for (;;) {
        int left = PQflush(pg->conn);
        if (left == 0)
            return GW_OK;
        if (left < 0)
            return lose(pg, false, error);
        if (!wait_for(pg, POLLIN | POLLOUT))
            return lose(pg, true, error);
        if (PQconsumeInput(pg->conn) == 0)
            return lose(pg, false, error);
    }
}

/* The next result; NULL with GW_OK: there is none any more. */
static enum gw_err receive(struct gw_postgres *pg, PGresult **result, struct gw_error *error)
{
    *result = NULL;
    while (PQisBusy(pg->conn)) {
        if (!wait_for(pg, POLLIN))
            return lose(pg, true, error);
        if (PQconsumeInput(pg->conn) == 0)
            return lose(pg, false, error);
    }
    *result = PQgetResult(pg->conn);
    return GW_OK;
}

/* Classes 22 and 23 of SQLSTATE are about the data. Its detail is not told: it shows rows. */
static enum gw_err judge(const PGresult *result, struct gw_error *error)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return GW_OK;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool is_data = state && (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0);
    return gw_error_set(error, is_data ? GW_ERR_INVALID : GW_ERR_BUSY, "%s (SQLSTATE %s)",
                        text ? text : "refused", state ? state : "unknown");
}

static void tell(const PGresult *result, struct gw_postgres_answer *answer)
{
    const char *values[COLUMNS_MAX];
    int count = PQnfields(result) < COLUMNS_MAX ? PQnfields(result) : COLUMNS_MAX;
    for (int row = 0; row < PQntuples(result); row++) {
        for (int i = 0; i < count; i++)
            values[i] = PQgetisnull(result, row, i) ? NULL : PQgetvalue(result, row, i);
        answer->row(answer, values, (size_t)count);
    }
}

enum gw_err gw_postgres_run(struct gw_postgres *pg, const char *sql,
                            const struct gw_postgres_parameters *parameters,
                            struct gw_postgres_answer *answer, struct gw_error *error)
{
    enum gw_err err = GW_OK;
    PGresult *result;
    begin(pg, ANSWER_US);
    if (!send_question(pg, sql, parameters))
        return lose(pg, false, error);
    if (flush(pg, error) != GW_OK)
        return GW_ERR_UNAVAILABLE;
    for (;;) {
        if (receive(pg, &result, error) != GW_OK)
            return GW_ERR_UNAVAILABLE;
        if (!result)
            break;
        if (err == GW_OK)
            err = judge(result, error);
        if (answer && err == GW_OK)
            tell(result, answer);
        PQclear(result);
    }
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        disconnect(pg); /* it said why, and left */
        return err == GW_OK ? GW_OK : GW_ERR_UNAVAILABLE;
    }
    return err;
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

struct gw_postgres *gw_postgres_create(struct gw_env *env, const char *url,
                                       const atomic_bool *hurry)
{
    struct gw_postgres *pg = gw_zalloc(sizeof(*pg));
    pg->env = env;
    pg->url = gw_strdup(url);
    pg->hurry = hurry;
    return pg;
}

void gw_postgres_destroy(struct gw_postgres *pg)
{
    if (pg->conn)
        disconnect(pg);
    gw_wipe(pg->url, strlen(pg->url));
    gw_free(pg->url);
    gw_free(pg);
}
