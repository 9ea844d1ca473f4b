/* sim_env_test.c: the simulated world keeps what env.h promises, and is the same for one seed. */
#include "base/alloc.h"
#include "base/check.h"
#include "sim_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DAY_MS 86400000

static struct sim *sim_of_seed(uint64_t seed)
{
    return sim_create(&(struct sim_options){.seed = seed});
}

/* What happened, in order, as one letter each. */
static char seen[4096];
static size_t seen_count;

static void see(char c)
{
    gw_check(seen_count + 1 < sizeof(seen));
    seen[seen_count++] = c;
    seen[seen_count] = '\0';
}

static int setup(void **state)
{
    (void)state;
    seen_count = 0;
    seen[0] = '\0';
    return 0;
}

/* ── Posts, timers ─────────────────────────────────────────────────────────────────────────── */

struct letter {
    struct gw_msg msg;
    struct gw_timer timer;
    struct gw_work work;
    struct gw_resolve resolve;
    struct gw_http_call call;
    struct gw_env *env;
    int64_t at_us;
    int left;
    char c;
};

static void on_msg(struct gw_msg *msg)
{
    see(gw_container_of(msg, struct letter, msg)->c);
}

static void on_timer(struct gw_timer *timer)
{
    struct letter *l = gw_container_of(timer, struct letter, timer);

    see(l->c);
    l->at_us = gw_env_mono_us(l->env);
    if (l->left-- > 0)
        gw_env_timer_set(l->env, timer, 10);
}

static void test_posts_stay_in_order(void **state)
{
    struct letter letters[26] = {0};
    struct gw_list list;

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim *sim = sim_of_seed(seed);
        struct gw_env *env = sim_env_create(sim);
        setup(NULL);
        gw_list_init(&list);
        for (int i = 0; i < 26; i++) {
            letters[i] = (struct letter){.msg.run = on_msg, .c = (char)('a' + i)};
            if (i < 13)
                gw_env_post(env, &letters[i].msg);
            else
                gw_list_push(&list, &letters[i].msg.link);
        }
        gw_env_post_all(env, &list);
        assert_true(gw_list_empty(&list));
        assert_string_equal(seen, ""); /* never inside the call */
        assert_true(sim_run(sim, NULL, NULL, 1000));
        assert_string_equal(seen, "abcdefghijklmnopqrstuvwxyz");
        sim_destroy(sim);
    }
}

static void test_timers(void **state)
{
    struct sim *sim = sim_of_seed(3);
    struct gw_env *env = sim_env_create(sim);
    struct letter a = {.timer.fire = on_timer, .env = env, .c = 'a', .left = 2};
    struct letter b = {.timer.fire = on_timer, .env = env, .c = 'b'};
    struct letter c = {.timer.fire = on_timer, .env = env, .c = 'c'};
    struct letter d = {.timer.fire = on_timer, .env = env, .c = 'd'};

    (void)state;
    gw_env_timer_set(env, &a.timer, 0); /* again at 10 and 20 */
    gw_env_timer_set(env, &b.timer, 5); /* moved to 15 */
    gw_env_timer_set(env, &b.timer, 15);
    gw_env_timer_set(env, &c.timer, 7); /* stopped */
    gw_env_timer_set(env, &d.timer, DAY_MS);
    gw_env_timer_stop(env, &c.timer);
    gw_env_timer_stop(env, &c.timer); /* not running: fine */
    assert_true(sim_run(sim, NULL, NULL, 1000));
    assert_string_equal(seen, "aaba");
    assert_in_range(b.at_us, 15000, 16000);
    assert_int_equal(sim_now_us(sim), 1000000);

    int64_t wall_ms = gw_env_wall_ms(env);
    sim_wall_step(sim, -3600000);
    assert_int_equal(gw_env_wall_ms(env), wall_ms - 3600000);
    assert_true(sim_run(sim, NULL, NULL, DAY_MS));
    assert_string_equal(seen, "aabad"); /* the monotonic clock did not step */
    assert_false(sim_step(sim));
    sim_destroy(sim);
}

/* ── Work, workers ─────────────────────────────────────────────────────────────────────────── */

static void on_work_run(struct gw_work *work)
{
    (void)work;
    see('r');
}

static void on_work_done(struct gw_work *work)
{
    (void)work;
    see('d');
}

static void on_batch(void *ctx, struct gw_list *batch)
{
    struct gw_list *link;

    (void)ctx;
    see('[');
    while ((link = gw_list_pop(batch)) != NULL)
        see(gw_container_of(link, struct letter, msg.link)->c);
    see(']');
}

static void test_work_and_workers(void **state)
{
    struct sim *sim = sim_of_seed(4);
    struct gw_env *env = sim_env_create(sim);
    struct letter work = {.work = {.run = on_work_run, .done = on_work_done}};
    struct letter l[3] = {{.c = 'a'}, {.c = 'b'}, {.c = 'c'}};

    (void)state;
    gw_env_work(env, &work.work);
    assert_true(sim_run(sim, NULL, NULL, 100));
    assert_string_equal(seen, "rd");

    struct gw_worker *worker = gw_worker_start(env, "writer", on_batch, NULL);
    gw_worker_post(worker, &l[0].msg);
    gw_worker_post(worker, &l[1].msg);
    assert_true(sim_run(sim, NULL, NULL, 100));
    assert_string_equal(seen, "rd[ab]");
    gw_worker_post(worker, &l[2].msg);
    gw_worker_stop(worker); /* works off what is left */
    assert_string_equal(seen, "rd[ab][c]");
    sim_destroy(sim);
}

/* ── Names, http ───────────────────────────────────────────────────────────────────────────── */

static void on_resolved(struct gw_resolve *req)
{
    struct letter *l = gw_container_of(req, struct letter, resolve);

    see(req->ok ? 'y' : 'n');
    l->at_us = req->elapsed_us;
}

static void test_names(void **state)
{
    struct sim *sim = sim_of_seed(5);
    struct gw_env *env = sim_env_create(sim);
    struct letter l = {.resolve = {.host = "a.example", .timeout_ms = 1000, .done = on_resolved}};

    (void)state;
    sim_name(sim, "a.example", "192.0.2.1, 2001:db8::1", 40);
    gw_env_resolve(env, &l.resolve);
    assert_true(sim_run(sim, NULL, NULL, 1000));
    assert_int_equal(l.resolve.addr_count, 2);
    assert_int_equal(l.resolve.addrs[1].family, 6);
    assert_in_range(l.at_us, 40000, 41000);

    sim_name(sim, "a.example", NULL, 0);
    gw_env_resolve(env, &l.resolve);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    sim_name(sim, "a.example", "192.0.2.1", -1);
    gw_env_resolve(env, &l.resolve);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_in_range(l.at_us, 1000000, 1001000);
    l.resolve.host = "unknown.example";
    gw_env_resolve(env, &l.resolve);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    gw_env_resolve(env, &l.resolve);
    gw_env_resolve_cancel(env, &l.resolve);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_string_equal(seen, "ynnn");
    sim_destroy(sim);
}

static void on_called(struct gw_http_call *call)
{
    static const char letters[] = "atcsrpb";

    see(letters[call->end]);
}

static void on_header(struct gw_http_call *call, struct gw_slice name, struct gw_slice value)
{
    (void)call;
    assert_true(gw_slice_is(name, "retry-after"));
    assert_true(gw_slice_is(value, "7"));
    see('h');
}

static bool no_addr(struct gw_http_call *call, const struct gw_addr *addr)
{
    (void)call, (void)addr;
    return false;
}

struct script {
    struct sim_reply reply;
    struct gw_env *kills;
    int calls;
};

static struct sim_reply receive(void *ctx, const struct gw_http_call *call)
{
    struct script *script = ctx;

    script->calls++;
    assert_true(gw_slice_is(sim_call_header(call, "Webhook-Id"), "msg_1"));
    if (script->kills)
        sim_env_kill(script->kills);
    return script->reply;
}

static struct gw_http_call call_of(struct gw_arena *arena)
{
    static const char *const lines[] = {"content-type: text/plain", "webhook-id:  msg_1", NULL};

    return (struct gw_http_call){
        .method = "POST",
        .url = "http://192.0.2.1/",
        .header_lines = lines,
        .host = "192.0.2.1",
        .port = 80,
        .connect_timeout_ms = 1000,
        .timeout_ms = 2000,
        .reply_keep_max = 3,
        .on_header = on_header,
        .done = on_called,
        .arena = arena,
    };
}

static void test_http(void **state)
{
    static const char *const lines[] = {"retry-after: 7", NULL};
    struct sim *sim = sim_of_seed(6);
    struct gw_env *env = sim_env_create(sim);
    struct gw_arena arena = {0};
    struct gw_http_call call = call_of(&arena);
    struct script script = {.reply = {.end = GW_HTTP_ANSWERED, .status = 503, .delay_ms = 100}};

    (void)state;
    gw_env_http(env, &call); /* nobody there */
    assert_true(sim_run(sim, NULL, NULL, 5000));

    sim_receiver(sim, "192.0.2.1", receive, &script);
    script.reply.header_lines = lines;
    script.reply.body = "abcdef";
    gw_env_http(env, &call);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_int_equal(call.status, 503);
    assert_true(gw_slice_is(call.reply, "abc"));
    assert_false(call.is_whole);
    assert_int_equal(call.addr.family, 4);
    assert_int_equal(call.total_us, call.connect_us + call.first_byte_us);

    script.reply.delay_ms = -1;
    gw_env_http(env, &call);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_int_equal(call.total_us, 2000000);
    script.reply = (struct sim_reply){.end = GW_HTTP_RESET, .delay_ms = 1};
    gw_env_http(env, &call);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_int_equal(script.calls, 3);
    call.addr_allowed = no_addr;
    gw_env_http(env, &call);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_int_equal(script.calls, 3);
    assert_string_equal(seen, "chatrb");

    call.addr_allowed = NULL;
    script.reply = (struct sim_reply){.status = 200, .delay_ms = 1000};
    gw_env_http(env, &call);
    gw_env_http_cancel(env, &call); /* before it arrives */
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_int_equal(script.calls, 3);
    gw_env_http(env, &call);
    assert_true(sim_run(sim, NULL, NULL, 500));
    gw_env_http_cancel(env, &call); /* behind it */
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_int_equal(script.calls, 4);
    assert_string_equal(seen, "chatrb");
    gw_arena_deinit(&arena);
    sim_destroy(sim);
}

/* ── Crash ─────────────────────────────────────────────────────────────────────────────────── */

static void test_crash(void **state)
{
    struct sim *sim = sim_of_seed(7);
    struct gw_env *old = sim_env_create(sim), *other = sim_env_create(sim);
    struct gw_arena arena = {0};
    struct letter *l = gw_zalloc(sizeof(*l)); /* never freed: the crash left it lying */
    struct letter kept = {.msg.run = on_msg, .c = 'k'};

    (void)state;
    *l = (struct letter){
        .msg.run = on_msg,
        .timer.fire = on_timer,
        .work = {.run = on_work_run, .done = on_work_done},
        .resolve = {.host = "a.example", .timeout_ms = 1000, .done = on_resolved},
        .call = call_of(&arena),
        .env = old,
        .c = 'x',
    };
    gw_env_post(old, &l->msg);
    gw_env_post(other, &kept.msg);
    gw_env_timer_set(old, &l->timer, 5);
    gw_env_work(old, &l->work);
    gw_env_resolve(old, &l->resolve);
    gw_env_http(old, &l->call);
    struct gw_worker *worker = gw_worker_start(old, "writer", on_batch, NULL);
    struct letter *posted = gw_zalloc(sizeof(*posted));
    gw_worker_post(worker, &posted->msg);
    sim_env_kill(old);
    /* Taking it apart is harmless. */
    gw_env_timer_stop(old, &l->timer);
    gw_env_http_cancel(old, &l->call);
    gw_env_resolve_cancel(old, &l->resolve);
    gw_worker_stop(worker);
    gw_env_timer_set(old, &l->timer, 5);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_string_equal(seen, "k");
    gw_arena_deinit(&arena);
    sim_destroy(sim);
}

static void test_crash_inside_a_receiver(void **state)
{
    struct sim *sim = sim_of_seed(8);
    struct gw_env *env = sim_env_create(sim);
    struct gw_arena arena = {0};
    struct gw_http_call call = call_of(&arena);
    struct script script = {.reply.status = 200, .kills = env};

    (void)state;
    sim_receiver(sim, "192.0.2.1", receive, &script);
    gw_env_http(env, &call);
    assert_true(sim_run(sim, NULL, NULL, 5000));
    assert_int_equal(script.calls, 1);
    assert_string_equal(seen, "");
    sim_destroy(sim);
}

/* ── The same seed is the same world ───────────────────────────────────────────────────────── */

static uint64_t digest_of_run(uint64_t seed, char *text)
{
    struct sim *sim = sim_of_seed(seed);
    struct gw_env *envs[2] = {sim_env_create(sim), sim_env_create(sim)};
    struct letter letters[40] = {0};
    uint8_t bytes[8];

    setup(NULL);
    for (int i = 0; i < 40; i++) {
        struct letter *l = &letters[i];
        *l = (struct letter){.msg.run = on_msg, .timer.fire = on_timer, .env = envs[i % 2]};
        l->c = (char)('0' + i);
        gw_env_post(l->env, &l->msg);
        gw_env_timer_set(l->env, &l->timer, (int64_t)sim_random(sim, 3));
    }
    assert_true(sim_run(sim, NULL, NULL, 100));
    gw_env_random(envs[1], bytes, sizeof(bytes));
    snprintf(text, 512, "%.400s %02x%02x%02x", seen, bytes[0], bytes[1], bytes[2]);
    uint64_t digest = sim_digest(sim);
    sim_destroy(sim);
    return digest;
}

static void test_seed_decides(void **state)
{
    char one[512], again[512], other[512];
    uint64_t digest = digest_of_run(1, one);

    (void)state;
    assert_int_equal(digest_of_run(1, again), digest);
    assert_string_equal(again, one);
    assert_int_not_equal(digest_of_run(2, other), digest);
    assert_string_not_equal(other, one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_posts_stay_in_order, setup),
        cmocka_unit_test_setup(test_timers, setup),
        cmocka_unit_test_setup(test_work_and_workers, setup),
        cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_http, setup),
        cmocka_unit_test_setup(test_crash, setup),
        cmocka_unit_test_setup(test_crash_inside_a_receiver, setup),
        cmocka_unit_test_setup(test_seed_decides, setup),
    };
    sim_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
