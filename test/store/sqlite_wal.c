/* The write-ahead log stays short while writing never stops and others keep reading. */
#include "sqlite_rig.h"

#include "sys/loop.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SEGMENT   "00000001.seg"
#define BODY      8000
#define EVENTS    16000 /* 128 MB of bodies alone */
#define IN_FLIGHT 200
#define MIB       ((int64_t)1024 * 1024)

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

static void look_at_log(struct stream *stream)
{
    struct stat st;

    if (stream->ended % 100 == 0 && stat(stream->log, &st) == 0 && st.st_size > stream->log_max)
        stream->log_max = st.st_size;
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
    ledger->ops->load(ledger, &life->load);
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
    ledger->ops->accept(ledger, &life->accept);
}

static void test_log_stays_short(void **state)
{
    struct stream *stream = gw_zalloc(sizeof(*stream));
    struct rig rig;
    struct stat st;

    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    stream->rig = &rig;
    memset(stream->body, 'b', BODY);
    snprintf(stream->log, sizeof(stream->log), "%s", rig_path(&rig, SEGMENT "-wal"));
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        stream->lives[i].stream = stream;
        begin(&stream->lives[i]);
    }
    gw_loop_run(rig.env);
    assert_true(stream->log_max > 4 * MIB);
    assert_true(stream->log_max < 96 * MIB); /* on a slow disk; else about 40 */
    rig_close(&rig);
    assert_int_equal(stat(rig_path(&rig, SEGMENT), &st), 0);
    assert_true(st.st_size > (int64_t)EVENTS * BODY);
    rig_deinit(&rig);
    gw_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log_stays_short)};

    return cmocka_run_group_tests_name("sqlite wal", tests, NULL, NULL);
}
