/* sqlite_look_bench.c: how long support waits for a page of deliveries, or for one event, behind
 * millions of others. Not run as a test.
 *
 *   sqlite_look_bench DIR [NAME=NUMBER...]
 *
 *   fill=5000000  deliveries put into the store first, one for each event: of 100, 89 are delivered,
 *                 one is dead and ten are left open
 *   have=0        that a run before has put there; of their times nothing is known
 *   flight=1000   at once
 *   times=20      that each question is asked, each time about another event
 *
 * 40 apps send the same, one of a thousandth sends every 1000th event, and one none at all. A filter
 * by URL is the API's: it reads up to 4 pages, and so does the row of that name. */
#include "base/alloc.h"
#include "base/check.h"
#include "store/sqlite.h"
#include "sys/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NAME_SIZE 48
#define APPS      40
#define URL_PAGES 4
#define TARGET_MS 50

struct life {
    struct bench *bench;
    long n;
    struct gw_accept accept;
    struct gw_settle settle;
    struct gw_attempt attempt;
    struct gw_offer *offer;
};

struct bench {
    struct gw_env *env;
    struct gw_ledger *ledger;
    char **args;
    long started, ended, until, have;
    int64_t from_ms, to_ms; /* of the accepts */
    struct life *lives;
    long flight;
    struct gw_msg first;
};

/* ── Filling ───────────────────────────────────────────────────────────────────────────────── */

static void name_app(long n, char text[NAME_SIZE])
{
    if (n % 1000 == 7)
        snprintf(text, NAME_SIZE, "rare");
    else
        snprintf(text, NAME_SIZE, "app-%ld", n % APPS);
}

static void begin(struct life *life);

static void end(struct life *life)
{
    struct bench *bench = life->bench;

    gw_message_unref(life->accept.message);
    if (++bench->ended % 250000 == 0) {
        printf("%ld filled\n", bench->ended);
        fflush(stdout);
    }
    if (bench->started < bench->until)
        begin(life);
    else if (bench->ended == bench->until)
        gw_loop_stop(bench->env);
}

static void on_settled(struct gw_op *op)
{
    gw_check(op->err == GW_OK);
    end(gw_container_of(op, struct life, settle.op));
}

static void settle(struct life *life, const struct gw_delivery *d)
{
    bool is_dead = life->n / APPS % 100 == 99;

    life->attempt = (struct gw_attempt){
        .n = 1,
        .at_ms = d->created_ms,
        .outcome = is_dead ? GW_OUTCOME_HTTP_ERROR : GW_OUTCOME_SUCCESS,
        .status = is_dead ? 500 : 200,
        .total_us = 1234,
        .config_version = 1,
        .url = GW_SLICE("https://client.example.com/webhooks/in"),
        .error = is_dead ? GW_SLICE("answered 500") : (struct gw_slice){0},
    };
    life->settle = (struct gw_settle){
        .op = {.env = life->bench->env, .done = on_settled},
        .write_id = 1,
        .attempt = &life->attempt,
        .next = *d,
    };
    life->settle.next.state = is_dead ? GW_DELIVERY_DEAD : GW_DELIVERY_DELIVERED;
    life->settle.next.reason = is_dead ? GW_END_BUDGET_SPENT : GW_END_DELIVERED;
    life->settle.next.attempts = 1;
    life->settle.next.ended_ms = d->created_ms + 2;
    gw_ledger_settle(life->bench->ledger, &life->settle);
}

static bool stays_open(long n)
{
    return n / APPS % 10 == 3;
}

static void on_offer(struct gw_msg *msg)
{
    struct gw_offer *offer = gw_container_of(msg, struct gw_offer, msg);
    struct life *life = offer->owner;

    if (!stays_open(life->n))
        settle(life, &offer->deliveries[0]);
}

static void on_accepted(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, accept.op);

    gw_check(op->err == GW_OK && !life->accept.existing);
    if (stays_open(life->n))
        end(life);
}

static void begin(struct life *life)
{
    struct bench *bench = life->bench;
    char app[NAME_SIZE], event_id[NAME_SIZE], transaction_id[NAME_SIZE];

    life->n = bench->have + bench->started++;
    name_app(life->n, app);
    snprintf(event_id, sizeof(event_id), "event-%ld", life->n);
    snprintf(transaction_id, sizeof(transaction_id), "transaction-%ld", life->n / 3);
    struct gw_event event = {
        .body = GW_SLICE("{\"status\":\"approved\"}"),
        .app_id = gw_slice_from(app),
        .event_type =
            life->n % 4 ? GW_SLICE("FINISH_TRANSACTION_WEBHOOK") : GW_SLICE("LINK_KYC_STARTED"),
        .event_id = gw_slice_from(event_id),
        .transaction_id = gw_slice_from(transaction_id),
    };
    uint64_t lane = (uint64_t)(life->n % APPS) + 1;
    life->accept = (struct gw_accept){
        .op = {.env = bench->env, .done = on_accepted},
        .message = gw_message_create(&event, gw_env_wall_ms(bench->env)),
        .lanes = &lane,
        .lane_count = 1,
        .dedupe_ms = 86400000,
        .offer = life->offer,
    };
    life->offer->message = life->accept.message;
    gw_ledger_accept(bench->ledger, &life->accept);
}

static void on_first(struct gw_msg *msg)
{
    struct bench *bench = gw_container_of(msg, struct bench, first);

    for (long i = 0; i < bench->flight && bench->started < bench->until; i++)
        begin(&bench->lives[i]);
}

static void fill(struct bench *bench)
{
    int64_t began_us = gw_env_mono_us(bench->env);

    bench->lives = gw_zalloc((size_t)bench->flight * sizeof(*bench->lives));
    for (long i = 0; i < bench->flight; i++) {
        struct gw_offer *offer = gw_zalloc(sizeof(*offer) + sizeof(struct gw_delivery));
        *offer = (struct gw_offer){
            .msg = {.run = on_offer}, .env = bench->env, .owner = &bench->lives[i]};
        bench->lives[i].bench = bench;
        bench->lives[i].offer = offer;
    }
    bench->first.run = on_first;
    gw_env_post(bench->env, &bench->first);
    gw_loop_run(bench->env);
    printf("%ld deliveries in %.0f s\n", bench->until,
           (double)(gw_env_mono_us(bench->env) - began_us) / 1e6);
    for (long i = 0; i < bench->flight; i++)
        gw_free(bench->lives[i].offer);
    gw_free(bench->lives);
}

/* ── Asking ────────────────────────────────────────────────────────────────────────────────── */

static void on_answer(struct gw_op *op)
{
    gw_loop_stop(op->env);
}

/* Milliseconds. `pages`: at most so many, each from the cursor of the one before. */
static double list(struct bench *bench, struct gw_list_op op, int pages, size_t *count)
{
    int64_t began_us = gw_env_mono_us(bench->env);
    struct gw_arena arena = {0};
    size_t found = 0;

    op.arena = &arena;
    op.max = GW_LIST_MAX;
    do {
        op.op = (struct gw_op){.env = bench->env, .done = on_answer};
        op.next = (struct gw_slice){0};
        op.count = 0;
        gw_ledger_list(bench->ledger, &op);
        gw_loop_run(bench->env);
        gw_check(op.op.err == GW_OK);
        found += op.count;
        op.cursor = op.next;
    } while (--pages > 0 && op.next.ptr);
    *count = found;
    double took_ms = (double)(gw_env_mono_us(bench->env) - began_us) / 1000;
    gw_arena_deinit(&arena);
    return took_ms;
}

static double find(struct bench *bench, struct gw_find op, size_t *count)
{
    int64_t began_us = gw_env_mono_us(bench->env);
    struct gw_arena arena = {0};

    op.op = (struct gw_op){.env = bench->env, .done = on_answer};
    op.arena = &arena;
    op.max = 100;
    gw_ledger_find(bench->ledger, &op);
    gw_loop_run(bench->env);
    gw_check(op.op.err == GW_OK);
    *count = op.count;
    double took_ms = (double)(gw_env_mono_us(bench->env) - began_us) / 1000;
    gw_arena_deinit(&arena);
    return took_ms;
}

enum kind {
    APP,
    STATE,
    APP_STATE,
    TYPE,
    EVENT_ID,
    TRANSACTION_ID,
    TIMES,
    URL,
    WHY_EVENT,
    WHY_NOBODY
};

struct question {
    const char *text;
    enum kind kind;
    const char *app; /* NULL: another each time */
    int state;
};

static const struct question questions[] = {
    {"an app's newest", APP, NULL, -1},
    {"an app that sends little", APP, "rare", -1},
    {"an app that sends nothing", APP, "none", -1},
    {"app and type", TYPE, NULL, -1},
    {"app and delivered", APP_STATE, NULL, GW_DELIVERY_DELIVERED},
    {"app and pending", APP_STATE, NULL, GW_DELIVERY_PENDING},
    {"app and dead", APP_STATE, NULL, GW_DELIVERY_DEAD},
    {"app and cancelled (none)", APP_STATE, NULL, GW_DELIVERY_CANCELLED},
    {"dead, of any app", STATE, NULL, GW_DELIVERY_DEAD},
    {"app and event id", EVENT_ID, NULL, -1},
    {"event id, of any app", EVENT_ID, "", -1},
    {"transaction id, of any app", TRANSACTION_ID, "", -1},
    {"app, in a tenth of the time", TIMES, NULL, -1},
    {"app and url (4 pages)", URL, NULL, -1},
    {"why, by event id", WHY_EVENT, NULL, -1},
    {"why, an id nobody knows", WHY_NOBODY, NULL, -1},
};

static double ask(struct bench *bench, const struct question *question, long n, size_t *count)
{
    char app[NAME_SIZE], event_id[NAME_SIZE], transaction_id[NAME_SIZE];
    struct gw_list_op op = {.state = question->state};

    name_app(n, app);
    snprintf(event_id, sizeof(event_id), "event-%ld", n);
    snprintf(transaction_id, sizeof(transaction_id), "transaction-%ld", n / 3);
    if (question->kind != STATE)
        op.app_id = gw_slice_from(question->app ? question->app : app);
    switch (question->kind) {
    case APP:
    case STATE:
    case APP_STATE: return list(bench, op, 1, count);
    case URL: return list(bench, op, URL_PAGES, count);
    case TYPE: op.event_type = GW_SLICE("LINK_KYC_STARTED"); return list(bench, op, 1, count);
    case EVENT_ID: op.event_id = gw_slice_from(event_id); return list(bench, op, 1, count);
    case TRANSACTION_ID:
        op.transaction_id = gw_slice_from(transaction_id);
        return list(bench, op, 1, count);
    case TIMES: {
        int64_t tenth = (bench->to_ms - bench->from_ms) / 10;
        op.from_ms = bench->from_ms + n % 10 * tenth;
        op.to_ms = op.from_ms + tenth;
        return list(bench, op, 1, count);
    }
    case WHY_EVENT:
        return find(bench,
                    (struct gw_find){.key = GW_FIND_EVENT_ID, .text = gw_slice_from(event_id)},
                    count);
    case WHY_NOBODY: {
        size_t none;
        struct gw_find find_op = {.key = GW_FIND_EVENT_ID, .text = GW_SLICE("nobody")};
        double took_ms = find(bench, find_op, count);
        find_op.key = GW_FIND_TRANSACTION_ID;
        return took_ms + find(bench, find_op, &none);
    }
    }
    gw_never("a question of no kind");
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void ask_often(struct bench *bench, const struct question *question, long times)
{
    double *took_ms = gw_alloc((size_t)times * sizeof(*took_ms));
    long all = bench->have + bench->until;
    size_t count = 0, sum = 0;
    clock_t began = clock();

    for (long i = 0; i < times; i++) {
        long n = (long)((uint64_t)(i + 1) * 0x9E3779B97F4A7C15u % (uint64_t)all);
        took_ms[i] = ask(bench, question, n, &count);
        sum += count;
    }
    double used_ms = (double)(clock() - began) * 1000 / CLOCKS_PER_SEC / (double)times;
    double first = took_ms[0];
    qsort(took_ms, (size_t)times, sizeof(*took_ms), by_size);
    double middle = took_ms[times / 2], worst = took_ms[times - 1];
    printf("%-28s first %8.2f ms  middle %8.2f  worst %8.2f  cpu %8.2f  rows %6.1f%s\n",
           question->text, first, middle, worst, used_ms, (double)sum / (double)times,
           worst > TARGET_MS ? "  SLOW" : "");
    fflush(stdout);
    gw_free(took_ms);
}

static long setting(const struct bench *bench, const char *name, long by_default)
{
    size_t len = strlen(name);

    for (char **arg = bench->args; *arg; arg++)
        if (strncmp(*arg, name, len) == 0 && (*arg)[len] == '=')
            return strtol(*arg + len + 1, NULL, 10);
    return by_default;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct gw_sqlite *sqlite;
    struct gw_error error;

    if (argc < 2)
        return 2;
    bench.args = argv + 2;
    bench.until = setting(&bench, "fill", 5000000);
    bench.have = setting(&bench, "have", 0);
    bench.flight = setting(&bench, "flight", 1000);
    long times = setting(&bench, "times", 20);
    if (bench.until + bench.have < 1 || bench.flight < 1 || times < 1)
        return 2;
    gw_sys_init();
    gw_check(gw_loop_create(NULL, &bench.env, &error) == GW_OK);
    struct gw_sqlite_options options = {
        .dir = argv[1], .queue_max = 100000, .group_max = 1000, .cache_bytes = (size_t)64 << 20};
    if (gw_sqlite_open(&options, bench.env, &sqlite, &error) != GW_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    bench.ledger = gw_sqlite_ledger(sqlite);
    bench.from_ms = gw_env_wall_ms(bench.env);
    if (bench.until > 0)
        fill(&bench);
    bench.to_ms = gw_env_wall_ms(bench.env);
    for (size_t i = 0; i < gw_count(questions); i++)
        ask_often(&bench, &questions[i], times);
    gw_sqlite_close(sqlite);
    gw_loop_destroy(bench.env);
    return 0;
}
