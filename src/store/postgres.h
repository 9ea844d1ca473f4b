/* postgres.h: one connection to PostgreSQL or Redshift, for a thread that may wait. All of libpq is
 * in here.
 *
 * No call waits longer than its time, whatever the other side does. TLS is as the URL's sslmode asks.
 * No error text holds the password. */
#pragma once

#include "base/buf.h"
#include "sys/env.h"

#include <stdatomic.h>

struct gw_postgres;

/* Looks at the URL's form only: postgres:// or postgresql://. The error does not repeat it. */
enum gw_err gw_postgres_check(const char *url, struct gw_error *error);

/* Connects to nothing yet. `hurry`: while true, calls end within some seconds. */
struct gw_postgres *gw_postgres_create(struct gw_env *env, const char *url,
                                       const atomic_bool *hurry);
void gw_postgres_destroy(struct gw_postgres *postgres);

bool gw_postgres_is_connected(const struct gw_postgres *postgres);
enum gw_err gw_postgres_connect(struct gw_postgres *postgres, struct gw_error *error);

struct gw_postgres_parameters {
    const char *const *values; /* NULL = null */
    const uint32_t *types;
    size_t count;
};

/* Runs one statement, in a transaction of its own. `parameters` and `answer` may be NULL. GW_ERR_INVALID: the data cannot be taken, now or later. GW_ERR_BUSY: the
 * server refuses for another reason. GW_ERR_UNAVAILABLE: the connection is lost, and closed; perhaps it
 * was done. */
struct gw_postgres_answer {
    void (*row)(struct gw_postgres_answer *answer, const char *const *values,
                size_t count); /* NULL = null */
};
enum gw_err gw_postgres_run(struct gw_postgres *postgres, const char *sql,
                            const struct gw_postgres_parameters *parameters,
                            struct gw_postgres_answer *answer, struct gw_error *error);
