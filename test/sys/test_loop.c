/* test_loop.c: timers, messages between threads, workers, work, signals and the two clocks. */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct gw_env *env;

static int setup(void **state)
{
    (void)state;
    env = loop_make(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_loop_destroy(env);
    return 0;
}

/* ── Timers ────────────────────────────────────────────────────────────────────────────────── */

struct tick {
    struct gw_timer timer;
    int id;
    int repeats;
};

static int fired[16];
static size_t fired_count;
static bool is_done;

static void on_tick(struct gw_timer *timer)
{
    struct tick *tick = gw_container_of(timer, struct tick, timer);

    fired[fired_count++] = tick->id;
    if (tick->repeats-- > 0)
        gw_env_timer_set(env, timer, 0);
}

static void on_last(struct gw_timer *timer)
{
    on_tick(timer);
    is_done = true;
}

static void assert_fired(const int *ids, size_t count)
{
    assert_int_equal(fired_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fired[i], ids[i]);
    fired_count = 0;
    is_done = false;
}

static void timers_fire_in_order(void **state)
{
    struct tick a = {.timer.fire = on_tick, .id = 1}, b = {.timer.fire = on_tick, .id = 2},
                c = {.timer.fire = on_tick, .id = 3}, d = {.timer.fire = on_tick, .id = 4},
                last = {.timer.fire = on_last, .id = 5};

    (void)state;
    gw_env_timer_set(env, &last.timer, 30);
    gw_env_timer_set(env, &a.timer, 20);
    gw_env_timer_set(env, &b.timer, 10);
    gw_env_timer_set(env, &c.timer, 10); /* as late as b, set later */
    gw_env_timer_set(env, &d.timer, 1);
    gw_env_timer_set(env, &d.timer, 25); /* moved */
    run_until(env, &is_done);
    assert_fired((int[]){2, 3, 1, 4, 5}, 5);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    struct tick a = {.timer.fire = on_tick, .id = 1}, last = {.timer.fire = on_last, .id = 2};

    (void)state;
    gw_env_timer_stop(env, &a.timer); /* not running: no harm */
    gw_env_timer_set(env, &a.timer, 1);
    gw_env_timer_set(env, &last.timer, 5);
    gw_env_timer_stop(env, &a.timer);
    assert_false(gw_heap_linked(&a.timer.node));
    run_until(env, &is_done);
    assert_fired((int[]){2}, 1);
}

static void a_timer_of_no_delay_waits_for_the_next_turn(void **state)
{
    struct tick a = {.timer.fire = on_tick, .id = 1, .repeats = 2},
                last = {.timer.fire = on_last, .id = 2, .repeats = 0};

    (void)state;
    gw_env_timer_set(env, &a.timer, 0);
    gw_env_timer_set(env, &last.timer, -5); /* as good as 0 */
    run_until(env, &is_done);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired[1], 2); /* before a's second time */
    fired_count = 0;
    is_done = false;
    gw_env_timer_stop(env, &a.timer);
}

static void timers_left_running_are_dropped(void **state)
{
    static struct tick a = {.timer.fire = on_tick, .id = 1};

    (void)state;
    gw_env_timer_set(env, &a.timer, INT64_MAX);
    gw_env_timer_set(env, &a.timer, 100000);
}

/* ── Messages ──────────────────────────────────────────────────────────────────────────────── */

struct note {
    struct gw_msg msg;
    int number;
    bool posts_another;
};

#define SENDERS 4
#define NOTES   2000

static int next_number[SENDERS];
static size_t note_count;

static void on_note(struct gw_msg *msg)
{
    struct note *note = gw_container_of(msg, struct note, msg);
    int sender = note->number / NOTES;

    assert_int_equal(note->number % NOTES, next_number[sender]++); /* each sender's in order */
    if (++note_count == (size_t)SENDERS * NOTES)
        gw_loop_stop(env);
}

static void send_notes(void *ctx)
{
    struct note *notes = ctx;

    for (int i = 0; i < NOTES / 2; i++)
        gw_env_post(env, &notes[i].msg);
    struct gw_list rest;
    gw_list_init(&rest);
    for (int i = NOTES / 2; i < NOTES; i++)
        gw_list_push(&rest, &notes[i].msg.link);
    gw_env_post_all(env, &rest);
    assert_true(gw_list_empty(&rest));
}

static void other_threads_post_in_order(void **state)
{
    struct note *notes = gw_zalloc(sizeof(*notes) * SENDERS * NOTES);
    struct gw_thread *threads[SENDERS];

    (void)state;
    note_count = 0;
    for (int i = 0; i < SENDERS * NOTES; i++)
        notes[i] = (struct note){.msg.run = on_note, .number = i};
    for (int i = 0; i < SENDERS; i++)
        threads[i] = gw_thread_start("sender", send_notes, notes + i * NOTES);
    gw_loop_run(env);
    for (int i = 0; i < SENDERS; i++)
        gw_thread_join(threads[i]);
    assert_int_equal(note_count, SENDERS * NOTES);
    gw_free(notes);
}

static bool is_inside;

static void on_own(struct gw_msg *msg)
{
    struct note *note = gw_container_of(msg, struct note, msg);

    assert_false(is_inside); /* never within the call that posts */
    fired[fired_count++] = note->number;
    if (note->posts_another) {
        static struct note again = {.msg.run = on_own, .number = 9};
        is_inside = true;
        gw_env_post(env, &again.msg);
        is_inside = false;
    }
    is_done = note->number == 9;
}

static void the_loop_posts_to_itself(void **state)
{
    struct note a = {.msg.run = on_own, .number = 1, .posts_another = true},
                b = {.msg.run = on_own, .number = 2};

    (void)state;
    gw_env_post(env, &a.msg);
    gw_env_post(env, &b.msg);
    assert_int_equal(fired_count, 0);
    run_until(env, &is_done);
    assert_fired((int[]){1, 2, 9}, 3);
}

static void messages_not_run_are_dropped(void **state)
{
    static struct note never = {.msg.run = on_own, .number = 1};

    (void)state;
    gw_env_post(env, &never.msg);
}

static void stop_before_run_counts(void **state)
{
    (void)state;
    gw_loop_stop(env);
    gw_loop_run(env);
    is_done = true;
    run_until(env, &is_done); /* and the next run runs */
    is_done = false;
}

/* ── Workers ───────────────────────────────────────────────────────────────────────────────── */

#define JOBS 5000

struct job {
    struct gw_msg msg;
    int number;
};

struct ledger {
    int next;
    int batches;
    struct gw_worker *worker;
    struct job extra;
};

static void on_batch(void *ctx, struct gw_list *batch)
{
    struct ledger *ledger = ctx;
    struct gw_list *link;

    assert_false(gw_list_empty(batch));
    ledger->batches++;
    while ((link = gw_list_pop(batch)) != NULL) {
        struct job *job = gw_container_of(link, struct job, msg.link);
        assert_int_equal(job->number, ledger->next++);
    }
}

static void a_worker_takes_batches_in_order(void **state)
{
    struct ledger ledger = {0};
    struct gw_worker *worker = gw_worker_start(env, "a name longer than kept", on_batch, &ledger);
    struct job *jobs = gw_zalloc(sizeof(*jobs) * JOBS);

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        jobs[i].number = i;
        gw_worker_post(worker, &jobs[i].msg);
    }
    gw_worker_stop(worker); /* works off what is there */
    assert_int_equal(ledger.next, JOBS);
    assert_true(ledger.batches >= 1 && ledger.batches <= JOBS);
    gw_free(jobs);
}

static void on_batch_that_posts(void *ctx, struct gw_list *batch)
{
    struct ledger *ledger = ctx;

    if (ledger->batches == 0)
        gw_worker_post(ledger->worker, &ledger->extra.msg);
    on_batch(ctx, batch);
}

static void a_worker_may_post_to_itself(void **state)
{
    struct job first = {.number = 0};
    struct ledger ledger = {.extra.number = 1};

    (void)state;
    ledger.worker = gw_worker_start(env, "writer", on_batch_that_posts, &ledger);
    gw_worker_post(ledger.worker, &first.msg);
    gw_worker_stop(ledger.worker);
    assert_int_equal(ledger.next, 2);
}

static void an_idle_worker_stops(void **state)
{
    struct ledger ledger = {0};

    (void)state;
    gw_worker_stop(gw_worker_start(env, "idle", on_batch, &ledger));
    assert_int_equal(ledger.batches, 0);
}

/* ── Work, signals, clocks ─────────────────────────────────────────────────────────────────── */

struct sum {
    struct gw_work work;
    pthread_t thread;
    int value;
};

static void add_up(struct gw_work *work)
{
    struct sum *sum = gw_container_of(work, struct sum, work);
    sum->thread = pthread_self();
    sum->value = 42;
}

static void on_added(struct gw_work *work)
{
    struct sum *sum = gw_container_of(work, struct sum, work);
    assert_int_equal(sum->value, 42);
    assert_false(pthread_equal(sum->thread, pthread_self()));
    is_done = true;
}

static void work_runs_elsewhere(void **state)
{
    struct sum sum = {.work = {.run = add_up, .done = on_added}};

    (void)state;
    is_done = false;
    gw_env_work(env, &sum.work);
    run_until(env, &is_done);
    is_done = false;
}

static void never_done(struct gw_work *work)
{
    (void)work;
    fail();
}

static void work_in_progress_is_waited_for(void **state)
{
    static struct sum sum = {.work = {.run = add_up, .done = never_done}};

    (void)state;
    gw_env_work(env, &sum.work);
}

static int signal_seen;

static void on_signal(void *ctx, int number)
{
    assert_ptr_equal(ctx, &signal_seen);
    signal_seen = number;
    is_done = true;
}

static void signals_reach_the_loop(void **state)
{
    (void)state;
    gw_loop_on_signal(env, SIGTERM, on_signal, &signal_seen);
    gw_loop_on_signal(env, SIGINT, on_signal, &signal_seen);
    kill(getpid(), SIGTERM);
    run_until(env, &is_done);
    assert_int_equal(signal_seen, SIGTERM);
    is_done = false;
    kill(getpid(), SIGINT);
    run_until(env, &is_done);
    assert_int_equal(signal_seen, SIGINT);
    is_done = false;
}

static int64_t first_wall;

static void on_clock(struct gw_timer *timer)
{
    int64_t before = gw_env_mono_us(env), wall = gw_env_wall_ms(env);

    (void)timer;
    while (gw_env_mono_us(env) - before < 5000)
        ;
    assert_true(gw_env_wall_ms(env) == wall); /* one turn, one time */
    if (first_wall == 0) {
        first_wall = wall;
        gw_env_timer_set(env, timer, 5);
        return;
    }
    is_done = wall != first_wall; /* but it goes on */
    if (!is_done)
        gw_env_timer_set(env, timer, 1);
}

static void clocks(void **state)
{
    struct gw_timer timer = {.fire = on_clock};

    (void)state;
    assert_true(gw_env_wall_ms(env) > INT64_C(1700000000000));
    int64_t a = gw_env_mono_us(env), b = gw_env_mono_us(env);
    assert_true(b >= a);
    gw_env_timer_set(env, &timer, 0);
    run_until(env, &is_done);
    is_done = false;
    uint8_t random[2][16];
    gw_env_random(env, random[0], 16);
    gw_env_random(env, random[1], 16);
    assert_memory_not_equal(random[0], random[1], 16);
}

static void names_of_ends(void **state)
{
    (void)state;
    assert_string_equal(gw_http_end_name(GW_HTTP_ANSWERED), "answered");
    assert_string_equal(gw_http_end_name(GW_HTTP_BLOCKED), "blocked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_timer_does_not_fire, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_of_no_delay_waits_for_the_next_turn, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(timers_left_running_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(other_threads_post_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_loop_posts_to_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_not_run_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_before_run_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_takes_batches_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_may_post_to_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_worker_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(work_runs_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(work_in_progress_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_reach_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(clocks, setup, teardown),
        cmocka_unit_test(names_of_ends),
    };

    gw_sys_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
