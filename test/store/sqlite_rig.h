/* sqlite_rig.h: what the tests of the SQLite backend alone stand on: a store in a directory of its
 * own on a real loop, operations that are waited for one at a time, and a file system that fails,
 * or loses its power, when told to. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/check.h"
#include "store/sqlite.h"

#define RIG_T0          1767225600000
#define RIG_DAY_MS      ((int64_t)86400000)
#define RIG_PATIENCE_MS 60000

#define assert_ok(err) assert_int_equal((err), GW_OK)

struct rig {
    struct gw_env *env;
    struct gw_sqlite *sqlite; /* NULL while closed */
    struct gw_ledger *ledger;
    struct gw_configs *configs;
    struct gw_admin *admin;
    struct gw_sqlite_options options;
    char dir[256];
    struct gw_arena arena; /* for results, until the end */
    size_t under_way;
};

void rig_init(struct rig *rig);   /* an empty directory, nothing open */
void rig_deinit(struct rig *rig); /* removes it */
enum gw_err rig_try_open(struct rig *rig, struct gw_error *error);
void rig_open(struct rig *rig); /* must work */
void rig_close(struct rig *rig);
void rig_reopen(struct rig *rig);
const char *rig_path(struct rig *rig, const char *name); /* in the directory; in the arena */

/* To be called before an operation is started; then it is waited for. */
void rig_arm(struct rig *rig, struct gw_op *op);
void rig_wait(struct rig *rig);

#define RIG_CALL(rig, port, verb, operation)                                                       \
    (rig_arm((rig), &(operation)->op), gw_##port##_##verb((rig)->port, (operation)),               \
     rig_wait(rig), (operation)->op.err)

/* A line of the audit log, at RIG_T0, about "app". */
struct gw_audit rig_audit(const char *action, const char *subject);

struct gw_message *rig_message(const char *app, const char *event_id, const char *body);

/* An event in one lane, app "app"; the offer goes nowhere. The caller frees nothing. */
struct rig_event {
    uint64_t lane;
    struct gw_accept accept;
    struct gw_offer *offer;
    struct gw_message *message;
};

void rig_event_start(struct rig *rig, struct rig_event *event, const char *event_id,
                     const char *body, uint64_t lane);
void rig_event_end(struct rig_event *event);
/* Accepts it and waits. */
enum gw_err rig_accept(struct rig *rig, const char *event_id, uint64_t lane,
                       struct gw_delivery *delivery);
/* Delivers it by the attempt that is next. */
enum gw_err rig_deliver(struct rig *rig, const struct gw_delivery *delivery);
enum gw_err rig_fail(struct rig *rig, const struct gw_delivery *delivery); /* it stays open */
#define RIG_URL "https://client.example/in"                                /* of both */
/* NULL: there is none. */
const struct gw_event_row *rig_find(struct rig *rig, const char *event_id);
size_t rig_open_in(struct rig *rig, uint64_t lane);

/* Every page of the files of a store that is closed, through its sum; and that nothing is torn. */
void rig_files_are_well(const char *dir);

/* ── A file system that can fail ───────────────────────────────────────────────────────────── */

/* Makes it SQLite's default, in front of the real one. Before the first store is opened. */
void rig_vfs_install(void);

enum rig_fault { RIG_FAULT_NONE, RIG_FAULT_SYNC, RIG_FAULT_WRITE, RIG_FAULT_FULL, RIG_FAULT_POWER };

/* What calls on names that end like this do from now on. `after` calls still work. POWER: it goes
 * with a sync. The suffix is a literal: it is kept. */
void rig_vfs_fail(enum rig_fault fault, const char *suffix, int after);

/* The next write to a name that ends like this calls `fn` first, on its thread. */
void rig_vfs_hold(const char *suffix, void (*fn)(void *ctx), void *ctx);

/* Copies what is synced, and that alone, into `image` from now on: see rig_vfs_power_off(). */
void rig_vfs_image(const char *image);
/* From here on nothing reaches the image any more: as if the power had gone. */
void rig_vfs_power_off(void);
