/* What a process that is killed, and a machine whose power goes, leave behind: everything that was
 * said to be stored, each thing once, and a store that opens. */
#include "sqlite_rig.h"

#include "sys/loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT   "00000001.seg"
#define IN_FLIGHT 40
#define EVENTS    200000 /* far more than there is time for */
#define ROUNDS    6

/* ── A load that says what it was told ─────────────────────────────────────────────────────── */

enum said { SAID_ACCEPTED = 'A', SAID_DELIVERED = 'D' };

struct note {
    int32_t said, number;
};

struct load {
    struct rig *rig;
    int32_t next, last;
    int out;     /* notes go here; or, when -1, into what is known: */
    char *known; /* 0, or the last that was said of each number */
    void (*on_note)(struct load *load);
    size_t notes;
};

struct life {
    struct load *load;
    struct gw_accept accept;
    struct gw_settle settle;
    struct gw_attempt attempt;
    struct gw_offer *offer;
    uint64_t lane;
    int32_t number;
    char event_id[16];
};

static void life_begin(struct life *life);

static void note(struct load *load, enum said said, int32_t number)
{
    struct note n = {(int32_t)said, number};

    if (load->out >= 0)
        gw_check(write(load->out, &n, sizeof(n)) == (ssize_t)sizeof(n));
    else
        load->known[number] = (char)said;
    load->notes++;
    if (load->on_note)
        load->on_note(load);
}

static void on_delivered(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, settle.op);

    gw_check(op->err == GW_OK);
    note(life->load, SAID_DELIVERED, life->number);
    gw_message_unref(life->accept.message);
    life->accept.message = NULL;
    if (life->load->next < life->load->last)
        life_begin(life);
}

static void on_accepted(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, accept.op);
    const struct gw_delivery *d = &life->accept.deliveries[0];

    gw_check(op->err == GW_OK && !life->accept.existing && life->accept.delivery_count == 1);
    note(life->load, SAID_ACCEPTED, life->number);
    life->attempt = (struct gw_attempt){.n = 1,
                                        .at_ms = RIG_T0,
                                        .outcome = GW_OUTCOME_SUCCESS,
                                        .status = 200,
                                        .url = GW_SLICE("https://client.example/in")};
    life->settle = (struct gw_settle){.op = {.env = life->load->rig->env, .done = on_delivered},
                                      .write_id = 1,
                                      .attempt = &life->attempt,
                                      .next = *d};
    life->settle.next.state = GW_DELIVERY_DELIVERED;
    life->settle.next.reason = GW_END_DELIVERED;
    life->settle.next.attempts = 1;
    life->settle.next.ended_ms = RIG_T0 + 1;
    struct gw_ledger *ledger = life->load->rig->ledger;
    gw_ledger_settle(ledger, &life->settle);
}

static void on_offer(struct gw_msg *msg)
{
    (void)msg;
}

static void life_begin(struct life *life)
{
    struct load *load = life->load;
    struct gw_ledger *ledger = load->rig->ledger;

    life->number = load->next++;
    snprintf(life->event_id, sizeof(life->event_id), "e%d", (int)life->number);
    life->lane = 1 + (uint64_t)life->number % 3;
    life->accept = (struct gw_accept){
        .op = {.env = load->rig->env, .done = on_accepted},
        .message = rig_message("app", life->event_id, "{\"some\":\"body\",\"of\":\"a\",\"few\":1}"),
        .lanes = &life->lane,
        .lane_count = 1,
        .dedupe_ms = RIG_DAY_MS,
        .offer = life->offer,
    };
    gw_ledger_accept(ledger, &life->accept);
}

static struct life *load_begin(struct load *load)
{
    struct life *lives = gw_zalloc(IN_FLIGHT * sizeof(*lives));

    for (size_t i = 0; i < IN_FLIGHT; i++) {
        lives[i].load = load;
        lives[i].offer = gw_zalloc(sizeof(struct gw_offer) + sizeof(struct gw_delivery));
        lives[i].offer->msg.run = on_offer;
        lives[i].offer->env = load->rig->env;
        life_begin(&lives[i]);
    }
    return lives;
}

static void load_free(struct life *lives)
{
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        gw_message_unref(lives[i].accept.message);
        gw_free(lives[i].offer);
    }
    gw_free(lives);
}

/* ── What must be there ────────────────────────────────────────────────────────────────────── */

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(st, 0);
    if (sqlite3_column_type(st, 0) == SQLITE_TEXT)
        value = strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
    sqlite3_finalize(st);
    return value;
}

/* Each event once, each delivery in one place, and the files whole. */
static void expect_sound(struct rig *rig)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(rig_path(rig, SEGMENT), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    assert_int_equal(ask(db, "PRAGMA integrity_check"), 1);
    assert_int_equal(ask(db, "SELECT count(*) FROM open JOIN done USING(id)"), 0);
    assert_int_equal(ask(db, "SELECT count(*) - count(DISTINCT event_id) FROM event"), 0);
    assert_int_equal(ask(db, "SELECT count(*) - (SELECT count(*) FROM open) -"
                             " (SELECT count(*) FROM done) FROM event"),
                     0);
    assert_int_equal(ask(db, "SELECT count(*) FROM open"), gw_ledger_state(rig->ledger).open);
    sqlite3_close(db);
}

static void expect_known(struct rig *rig, const char *known, int32_t count)
{
    char event_id[16];

    for (int32_t i = 0; i < count; i++) {
        if (known[i] == 0)
            continue; /* nobody was told: it may be there or not */
        snprintf(event_id, sizeof(event_id), "e%d", (int)i);
        const struct gw_event_row *event = rig_find(rig, event_id);
        assert_non_null(event);
        assert_int_equal(event->count, 1);
        if (known[i] == SAID_DELIVERED) {
            assert_int_equal(event->rows[0].delivery.state, GW_DELIVERY_DELIVERED);
            assert_int_equal(event->rows[0].delivery.attempts, 1);
        }
        gw_arena_reset(&rig->arena);
    }
}

/* ── kill -9 ───────────────────────────────────────────────────────────────────────────────── */

static _Noreturn void be_killed(const char *dir, int32_t first, int out)
{
    struct rig rig;
    struct load load = {.rig = &rig, .next = first, .last = EVENTS, .out = out};

    rig_init(&rig);
    rmdir(rig.dir);
    snprintf(rig.dir, sizeof(rig.dir), "%s", dir);
    rig_open(&rig);
    load_begin(&load);
    gw_loop_run(rig.env);
    _exit(1);
}

/* Returns the number behind the last that was told. */
static int32_t kill_after(const char *dir, int32_t first, int ms, char *known)
{
    int ends[2];
    struct note n;
    int32_t top = first;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        be_killed(dir, first, ends[1]);
    }
    close(ends[1]);
    struct timespec began, now;
    bool is_killed = false;
    clock_gettime(CLOCK_MONOTONIC, &began);
    while (read(ends[0], &n, sizeof(n)) == (ssize_t)sizeof(n)) {
        known[n.number] = (char)n.said;
        top = n.number + 1 > top ? n.number + 1 : top;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t passed_ms =
            (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000;
        if (!is_killed && passed_ms >= ms)
            is_killed = kill(pid, SIGKILL) == 0;
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
    return top + IN_FLIGHT; /* those it did not hear of may be there */
}

static void test_killed(void **state)
{
    char *known = gw_zalloc(EVENTS + IN_FLIGHT);
    struct rig rig;
    int32_t next = 0;

    (void)state;
    rig_init(&rig);
    for (int round = 0; round < ROUNDS; round++) {
        int32_t top = kill_after(rig.dir, next, 5 + round * 40, known);
        assert_true(top > next);
        next = top;
        rig_open(&rig);
        expect_sound(&rig);
        expect_known(&rig, known, next);
        rig_close(&rig);
    }
    rig_deinit(&rig);
    gw_free(known);
}

/* ── Power ─────────────────────────────────────────────────────────────────────────────────── */

static size_t power_lasts, part_lasts; /* so many notes */

static void on_note(struct load *load)
{
    if (load->notes == power_lasts) {
        rig_vfs_power_off(); /* what was said before this moment must be on the disk */
        load->out = open("/dev/null", O_WRONLY);
        load->last = load->next;
    }
    if (load->notes == power_lasts || load->notes == part_lasts)
        gw_loop_stop(load->rig->env);
}

/* `part`: so many events, then the store is closed, which copies its log back, and opened again. */
static void power_goes(size_t notes, int32_t part)
{
    char *known = gw_zalloc(EVENTS + IN_FLIGHT);
    struct rig rig, other;
    struct load load = {.rig = &rig, .out = -1, .known = known, .on_note = on_note};
    struct life *lives[16];
    size_t count = 0;

    rig_init(&rig);
    rig_init(&other);
    rig_vfs_image(other.dir);
    power_lasts = notes;
    while (load.notes < notes) {
        load.last = load.next + part;
        part_lasts = load.notes + 2 * (size_t)part;
        rig_open(&rig);
        gw_check(count < gw_count(lives));
        lives[count++] = load_begin(&load);
        gw_loop_run(rig.env);
        rig_close(&rig); /* its last completions stay in the mail */
    }
    rig_open(&other);
    expect_sound(&other);
    expect_known(&other, known, load.next);
    close(load.out);
    rig_deinit(&other);
    rig_deinit(&rig);
    while (count > 0)
        load_free(lives[--count]);
    gw_free(known);
}

static void test_power_goes(void **state)
{
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++)
        power_goes(3 + round * 150, EVENTS);
}

static void test_power_goes_around_checkpoints(void **state)
{
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++)
        power_goes(200 + round * 77, IN_FLIGHT + 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_power_goes),
        cmocka_unit_test(test_power_goes_around_checkpoints),
    };

    rig_vfs_install();
    return cmocka_run_group_tests_name("sqlite crash", tests, NULL, NULL);
}
