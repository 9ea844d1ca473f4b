/* The write-ahead log stays short while writing never stops and others keep reading, also on a disk
 * that takes pages home more slowly than they come. */
#include "sqlite_rig.h"

#include "sys/loop.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT   "00000001.seg"
#define BODY      8000
#define EVENTS    16000 /* 128 MB of bodies alone */
#define IN_FLIGHT 200
#define MIB       ((int64_t)1024 * 1024)
#define CEILING   (64 * MIB) /* see sqlite_wal.c */
#define GROUP     (8 * MIB)  /* is less */

struct life {
    struct stream *stream;
    struct gw_accept accept;
    struct gw_load load;
};

struct stream {
    struct rig *rig;
    size_t begun, ended, loaded;
    int64_t log_max;
    struct life lives[IN_FLIGHT];
    char body[BODY + 1];
    char log[300];
};

static void begin(struct life *life);

static int64_t log_bytes(const struct stream *stream)
{
    struct stat st;

    return stat(stream->log, &st) == 0 ? st.st_size : 0;
}

static void look_at_log(struct stream *stream)
{
    if (stream->ended % 20 == 0 && log_bytes(stream) > stream->log_max)
        stream->log_max = log_bytes(stream);
}

/* A disk that takes no page home before the log is full, nor before it grows no more. */
static void hold(void *ctx)
{
    int64_t before = 0, now = 0;

    while (now < CEILING || now > before) {
        before = now;
        usleep(300000);
        now = log_bytes(ctx);
    }
}

static void on_loaded(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, load.op);
    struct stream *stream = life->stream;

    gw_check(op->err == GW_OK && life->load.message->body.len == BODY);
    gw_message_unref(life->load.message);
    gw_message_unref(life->accept.message);
    stream->ended++;
    look_at_log(stream);
    if (stream->begun < EVENTS)
        begin(life);
    else if (stream->ended == EVENTS)
        gw_loop_stop(stream->rig->env);
}

/* Somebody always reads: a log that waited for a moment without readers would never end. */
static void on_accepted(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, accept.op);
    struct gw_ledger *ledger = life->stream->rig->ledger;

    gw_check(op->err == GW_OK);
    life->load = (struct gw_load){.op = {.env = life->stream->rig->env, .done = on_loaded},
                                  .message_id = life->accept.message_id};
    gw_ledger_load(ledger, &life->load);
}

static void begin(struct life *life)
{
    struct stream *stream = life->stream;
    struct gw_ledger *ledger = stream->rig->ledger;
    char event_id[32];

    snprintf(event_id, sizeof(event_id), "e%zu", stream->begun++);
    life->accept = (struct gw_accept){
        .op = {.env = stream->rig->env, .done = on_accepted},
        .message = rig_message("app", event_id, stream->body),
        .dedupe_ms = RIG_DAY_MS,
    };
    gw_ledger_accept(ledger, &life->accept);
}

/* Somebody in the middle of a transaction, as a backup is. */
static sqlite3 *read_on(struct rig *rig)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(rig_path(rig, SEGMENT), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM event", NULL, NULL, NULL),
                     SQLITE_OK);
    return db;
}

/* Returns how long the log was at most. */
enum with { NOTHING, A_SLOW_DISK, A_LONG_READER };

static int64_t run(enum with with)
{
    struct stream *stream = gw_zalloc(sizeof(*stream));
    sqlite3 *reader = NULL;
    int64_t log_max;
    struct rig rig;
    struct stat st;

    rig_init(&rig);
    rig_open(&rig);
    stream->rig = &rig;
    memset(stream->body, 'b', BODY);
    snprintf(stream->log, sizeof(stream->log), "%s", rig_path(&rig, SEGMENT "-wal"));
    if (with == A_SLOW_DISK)
        rig_vfs_hold(SEGMENT, hold, stream);
    if (with == A_LONG_READER)
        reader = read_on(&rig);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        stream->lives[i].stream = stream;
        begin(&stream->lives[i]);
    }
    gw_loop_run(rig.env);
    log_max = stream->log_max;
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    rig_close(&rig);
    assert_int_equal(stat(rig_path(&rig, SEGMENT), &st), 0);
    assert_true(st.st_size > (int64_t)EVENTS * BODY);
    rig_deinit(&rig);
    gw_free(stream);
    return log_max;
}

static void test_log_stays_short(void **state)
{
    int64_t log_max = run(NOTHING);

    (void)state;
    assert_true(log_max > 4 * MIB);
    assert_true(log_max < CEILING + GROUP);
}

static void test_log_has_a_ceiling(void **state)
{
    int64_t log_max = run(A_SLOW_DISK);

    (void)state;
    assert_true(log_max >= CEILING);
    assert_true(log_max < CEILING + GROUP);
}

/* Who reads for long stops nobody. */
static void test_log_grows_behind_a_reader(void **state)
{
    int64_t log_max = run(A_LONG_READER);

    (void)state;
    assert_true(log_max > CEILING + GROUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_stays_short),
        cmocka_unit_test(test_log_has_a_ceiling),
        cmocka_unit_test(test_log_grows_behind_a_reader),
    };

    rig_vfs_install();
    return cmocka_run_group_tests_name("sqlite wal", tests, NULL, NULL);
}
