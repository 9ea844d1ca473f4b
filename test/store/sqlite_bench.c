/* sqlite_bench.c: how many lives (accept, then settle) a second the embedded store does, and what
 * they cost the writer. Not run as a test.
 *
 *   sqlite_bench DIR [lives] [in flight] [body bytes] [backlog] [keyless]
 *
 * With a backlog that many deliveries are accepted first and left open; then the store is opened
 * again, and how long that takes is told. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/crypto.h"
#include "base/log.h"
#include "store/sqlite.h"
#include "sys/loop.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct life {
    struct bench *bench;
    struct gw_accept accept;
    struct gw_settle settle;
    struct gw_attempt attempt;
    struct gw_offer *offer;
    char event_id[33], transaction_id[33];
};

struct bench {
    struct gw_env *env;
    struct gw_sqlite *sqlite;
    struct gw_ledger *ledger;
    const char *dir;
    long lives, started, ended, said;
    long in_flight;
    bool settles, is_keyless;
    struct gw_slice body;
    int64_t began_us, said_us;
    struct gw_msg first;
    struct life *all;
    off_t wal_max;
};

/* Nanoseconds that threads of this name have run. */
static double thread_us(const char *name)
{
    double us = 0;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;

    while (tasks && (task = readdir(tasks)) != NULL) {
        char path[512], comm[32] = "";
        unsigned long long ns = 0;
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fscanf(file, "%31s", comm) != 1)
            comm[0] = '\0';
        fclose(file);
        if (strcmp(comm, name) != 0)
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", task->d_name);
        file = fopen(path, "r");
        if (file && fscanf(file, "%llu", &ns) == 1)
            us += (double)ns / 1000;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return us;
}

static off_t wal_bytes(const struct bench *bench)
{
    char path[512];
    struct stat st;

    snprintf(path, sizeof(path), "%s/00000001.seg-wal", bench->dir);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static void say(struct bench *bench)
{
    int64_t now_us = gw_env_mono_us(bench->env);
    struct gw_ledger_state state = bench->ledger->ops->state(bench->ledger);
    off_t wal = wal_bytes(bench);
    static double writer_us;

    if (wal > bench->wal_max)
        bench->wal_max = wal;
    double used = thread_us("gwh-writer");
    double lives = (double)(bench->ended - bench->said);
    printf("%8ld lives  %7.0f/s  writer %5.1f us/life  group %5.0f  wal %3ld MiB  open %llu\n",
           bench->ended, lives * 1e6 / (double)(now_us - bench->said_us),
           (used - writer_us) / lives, (double)state.operations / (double)state.commits,
           (long)(wal >> 20), (unsigned long long)state.open);
    fflush(stdout);
    writer_us = used;
    bench->said = bench->ended;
    bench->said_us = now_us;
}

static void begin(struct life *life);

static void end(struct life *life)
{
    struct bench *bench = life->bench;

    bench->ended++;
    if (bench->ended % (bench->lives / 5) == 0)
        say(bench);
    gw_message_unref(life->accept.message);
    if (bench->started < bench->lives)
        begin(life);
    else if (bench->ended == bench->lives)
        gw_loop_stop(bench->env);
}

static void on_settled(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, settle.op);

    gw_check(op->err == GW_OK);
    end(life);
}

static void on_offer(struct gw_msg *msg)
{
    struct gw_offer *offer = gw_container_of(msg, struct gw_offer, msg);
    struct life *life = offer->owner;
    const struct gw_delivery *d = &offer->deliveries[0];

    gw_check(offer->count == 1);
    if (!life->bench->settles)
        return; /* the completion comes behind it */
    life->attempt = (struct gw_attempt){
        .n = 1,
        .at_ms = d->created_ms,
        .outcome = GW_OUTCOME_SUCCESS,
        .status = 200,
        .total_us = 1234,
        .first_byte_us = 1000,
        .config_version = 1,
        .url = GW_SLICE("https://client.example.com/webhooks/in"),
        .excerpt = GW_SLICE("{\"ok\":true}"),
    };
    life->settle = (struct gw_settle){
        .op = {.env = life->bench->env, .done = on_settled},
        .write_id = 1,
        .attempt = &life->attempt,
        .next = *d,
    };
    life->settle.next.state = GW_DELIVERY_DELIVERED;
    life->settle.next.reason = GW_END_DELIVERED;
    life->settle.next.attempts = 1;
    life->settle.next.ended_ms = d->created_ms + 2;
    life->bench->ledger->ops->settle(life->bench->ledger, &life->settle);
}

static void on_accepted(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, accept.op);

    gw_check(op->err == GW_OK && !life->accept.existing && life->accept.offered);
    if (!life->bench->settles)
        end(life);
}

static void random_id(char text[33])
{
    uint8_t bytes[16];

    gw_random_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static void begin(struct life *life)
{
    static const char *const apps[] = {"acme", "globex", "initech", "umbrella"};
    static const uint64_t lanes[] = {1, 2, 3, 4};
    struct bench *bench = life->bench;
    size_t app = (size_t)bench->started % gw_count(apps);

    random_id(life->event_id);
    random_id(life->transaction_id);
    struct gw_event event = {
        .body = bench->body,
        .app_id = gw_slice_from(apps[app]),
        .event_type = GW_SLICE("FINISH_TRANSACTION_WEBHOOK"),
        .event_id = {life->event_id, 32},
        .transaction_id = {life->transaction_id, 32},
    };
    if (bench->is_keyless)
        event.event_id = event.transaction_id = (struct gw_slice){0};
    bench->started++;
    life->accept = (struct gw_accept){
        .op = {.env = bench->env, .done = on_accepted},
        .message = gw_message_create(&event, gw_env_wall_ms(bench->env)),
        .lanes = &lanes[app],
        .lane_count = 1,
        .dedupe_ms = 86400000,
        .offer = life->offer,
    };
    life->offer->message = life->accept.message;
    bench->ledger->ops->accept(bench->ledger, &life->accept);
}

static void on_first(struct gw_msg *msg)
{
    struct bench *bench = gw_container_of(msg, struct bench, first);

    bench->began_us = bench->said_us = gw_env_mono_us(bench->env);
    for (long i = 0; i < bench->in_flight && bench->started < bench->lives; i++)
        begin(&bench->all[i]);
}

static void open_store(struct bench *bench)
{
    struct gw_sqlite_options options = {
        .dir = bench->dir,
        .queue_max = 100000,
        .group_max = 1000,
        .disk_reserve_bytes = 0,
        .cache_bytes = (size_t)64 * 1024 * 1024,
    };
    struct gw_error error;
    int64_t began_us = gw_env_mono_us(bench->env);

    if (gw_sqlite_open(&options, bench->env, &bench->sqlite, &error) != GW_OK) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    bench->ledger = gw_sqlite_ledger(bench->sqlite);
    printf("opened in %.3f s, %llu open\n", (double)(gw_env_mono_us(bench->env) - began_us) / 1e6,
           (unsigned long long)bench->ledger->ops->state(bench->ledger).open);
}

static void run(struct bench *bench, long lives, bool settles)
{
    bench->lives = lives;
    bench->started = bench->ended = bench->said = 0;
    bench->settles = settles;
    bench->first.run = on_first;
    gw_env_post(bench->env, &bench->first);
    gw_loop_run(bench->env);
    double seconds = (double)(gw_env_mono_us(bench->env) - bench->began_us) / 1e6;
    struct gw_ledger_state state = bench->ledger->ops->state(bench->ledger);
    printf("%s: %ld in %.1f s: %.0f/s; %llu groups of %.0f, %.2f ms each; wal at most %ld MiB; "
           "writer %.1f s, merge %.1f s\n",
           settles ? "lives" : "accepts", lives, seconds, (double)lives / seconds,
           (unsigned long long)state.commits, (double)state.operations / (double)state.commits,
           (double)state.commit_us / 1000 / (double)state.commits, (long)(bench->wal_max >> 20),
           thread_us("gwh-writer") / 1e6, thread_us("gwh-merge") / 1e6);
}

static void on_counted(struct gw_op *op)
{
    gw_loop_stop(op->env);
}

/* How long it takes to count, by the counters and by every row. */
static void count(struct bench *bench, bool full)
{
    struct gw_arena arena = {0};
    struct gw_tally_op op = {
        .op = {.env = bench->env, .done = on_counted},
        .arena = &arena,
        .to_ms = gw_hour_of(gw_env_wall_ms(bench->env)) + GW_HOUR_MS,
        .full = full,
    };
    int64_t began_us = gw_env_mono_us(bench->env);

    bench->ledger->ops->tally(bench->ledger, &op);
    gw_loop_run(bench->env);
    gw_check(op.op.err == GW_OK);
    printf("counted %s in %.3f s: %lld created, %lld delivered; p99 %lld ms of %llu\n",
           full ? "every row" : "what is open",
           (double)(gw_env_mono_us(bench->env) - began_us) / 1e6,
           (long long)op.counted.of[GW_TALLY_CREATED], (long long)op.counted.of[GW_TALLY_DELIVERED],
           (long long)op.latency.p99_ms, (unsigned long long)op.latency.count);
    gw_check(!full || op.counted.of[GW_TALLY_DELIVERED] == op.rows.of[GW_TALLY_DELIVERED]);
    gw_arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    struct bench bench = {.dir = argc > 1 ? argv[1] : NULL};
    long lives = argc > 2 ? strtol(argv[2], NULL, 10) : 100000;
    size_t body_bytes = argc > 4 ? (size_t)strtol(argv[4], NULL, 10) : 1024;
    long backlog = argc > 5 ? strtol(argv[5], NULL, 10) : 0;
    struct gw_error error;

    if (bench.dir == NULL || lives < 5)
        return 2;
    bench.in_flight = argc > 3 ? strtol(argv[3], NULL, 10) : 500;
    bench.is_keyless = argc > 6;
    if (getenv("BENCH_DEBUG"))
        gw_log_level_set(GW_LOG_DEBUG);
    gw_sys_init();
    gw_check(gw_loop_create(NULL, &bench.env, &error) == GW_OK);
    char *body = gw_alloc(body_bytes);
    memset(body, 'x', body_bytes);
    bench.body = (struct gw_slice){body, body_bytes};
    bench.all = gw_zalloc((size_t)bench.in_flight * sizeof(*bench.all));
    for (long i = 0; i < bench.in_flight; i++) {
        struct gw_offer *offer = gw_zalloc(sizeof(*offer) + sizeof(struct gw_delivery));
        offer->msg.run = on_offer;
        offer->env = bench.env;
        offer->owner = &bench.all[i];
        bench.all[i].bench = &bench;
        bench.all[i].offer = offer;
    }
    open_store(&bench);
    if (backlog > 0) {
        run(&bench, backlog, false);
        gw_sqlite_close(bench.sqlite);
        open_store(&bench);
    }
    run(&bench, lives, true);
    count(&bench, false);
    count(&bench, true);
    gw_sqlite_close(bench.sqlite);
    gw_loop_destroy(bench.env);
    for (long i = 0; i < bench.in_flight; i++)
        gw_free(bench.all[i].offer);
    gw_free(bench.all);
    gw_free(body);
    return 0;
}
