/* world.h: what the contract suite stands on: one backend in one world, operations that are waited
 * for, and everything that came back in the order in which it came.
 *
 * A backend runs in a simulated world or on a real loop; the suite does not know. It never waits for
 * time, only for what it asked for. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/timefmt.h"
#include "sim_env.h"
#include "store/store.h"

#define T0     1767225600000 /* where the suite's wall time begins */
#define DAY_MS ((int64_t)86400000)
#define LANES(...)                                                                                 \
    (const uint64_t[])                                                                             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define ROOM        64
#define WATCHED_MAX 4096

struct world;

struct backend {
    const char *name;
    bool on_loop;                       /* else simulated, and it can crash */
    void (*open)(struct world *world);  /* sets store and the ports */
    void (*close)(struct world *world); /* in an orderly way */
    void (*crash)(struct world *world); /* its envs were killed */
    void (*end)(struct world *world);   /* behind the last close */
    size_t queue_max;                   /* accepts waiting; more are GW_ERR_BUSY */
    bool is_shared; /* by processes: a delivery is claimed before it is settled, open ones are not
                       counted */
    const char *const *left_out; /* groups, and tests of them, that cannot hold; ends with NULL */
};

extern const struct backend backend_memory;
extern const struct backend backend_sqlite_sim;
extern const struct backend backend_sqlite_roll; /* simulated, in many segments */
extern const struct backend backend_sqlite_roll_loop;
extern const struct backend backend_sqlite; /* on a real loop, with its threads */

extern const struct backend backend_dynamodb; /* on the AWS that the environment says */

/* The one that the suite is run on, by main(). */
extern const struct backend *backend;

enum came_kind { CAME_DONE, CAME_OFFER };

struct came {
    enum came_kind kind;
    const struct gw_op *op;
    struct gw_offer *offer; /* ours since then */
};

struct world {
    const struct backend *backend;
    uint64_t seed;
    struct sim *sim;      /* NULL on a real loop */
    struct gw_env *env;   /* of the operations */
    struct gw_env *owner; /* of the offers: another one, where there can be */
    void *store;
    void *rig; /* the backend's */
    struct gw_ledger *ledger;
    struct gw_configs *configs;
    struct gw_admin *admin;
    struct gw_pace *pace; /* NULL: it has none */
    char dir[256];
    struct gw_arena arena;  /* for results, until the end */
    struct gw_list accepts; /* made by given.c */

    const struct gw_op *watched[WATCHED_MAX]; /* under way */
    size_t watched_count;
    struct came came[WATCHED_MAX];
    size_t came_count;
    struct gw_msg last; /* comes behind all that was posted before it */
    bool last_came;
};

struct world *world_create(const struct backend *of, uint64_t seed);
void world_destroy(struct world *world);
void world_reopen(struct world *world); /* close, open: all that was committed is there */
void world_crash(struct world *world);  /* simulated only: what is under way never comes */
void world_forget(struct world *world); /* what came until now */
bool world_step(struct world *world);   /* simulated only */
void world_wait(struct world *world);   /* until nothing is under way, and offers came */
int64_t world_now_us(struct world *world);

/* An offer that comes to the world; freed by it when it came, else with offer_free(). */
struct gw_offer *offer_make(struct world *world, struct gw_message *message, size_t room);
void offer_free(struct gw_offer *offer);

/* Has it completed? Only for operations that were armed. */
bool is_done(const struct gw_op *op);

/* For a test's own watch over an operation: to be called before it is started, and after. */
void world_arm(struct world *world, struct gw_op *op);
void world_started(struct world *world, struct gw_op *op);

/* Starts an operation of a port. It must not complete inside the call. */
#define START(world, port, verb, operation)                                                        \
    (world_arm((world), &(operation)->op), gw_##port##_##verb((world)->port, (operation)),         \
     world_started((world), &(operation)->op))

/* Starts it, waits for all that is under way, and is its error. */
#define CALL(world, port, verb, operation)                                                         \
    (START(world, port, verb, operation), world_wait(world), (operation)->op.err)

/* Setup and teardown of a cmocka test: *state is a world of `backend`. */
int suite_setup(void **state);
int suite_teardown(void **state);

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, suite_setup, suite_teardown)

/* Runs a group's tests, but those that the backend leaves out. */
int suite_run(const char *group, const struct CMUnitTest *tests, size_t count);

/* The groups. */
int suite_accept(void);
int suite_settle(void);
int suite_open(void);
int suite_look(void);
int suite_configs(void);
int suite_admin(void);
int suite_order(void);
int suite_fault(void);
int suite_tally(void);
int suite_stats(void);
int suite_erase(void);
int suite_last(void); /* what is there after a reopening or a crash */

int model_run(const struct backend *other, uint64_t seed, int steps);
