/* sqlite_bench.c: how many lives (accept, then settle) a second the embedded store does, and what
 * they cost its threads. Not run as a test.
 *
 *   sqlite_bench DIR [NAME=NUMBER...]
 *
 *   lives=100000  in all; one in REPEAT_EVERY is an event that came before, and must be known
 *   rate=0        begun a second, whatever the store does; 0: one when another has ended
 *   flight=500    at once, at most
 *   body=1024     bytes
 *   segment=0     events in a segment; 0: the store's own ceiling
 *   cache=64      MiB, the writer's
 *   keyless=0     1: events have no ids
 *   backlog=0     deliveries that are accepted first and left open; then the store is opened again,
 *                 and how long that takes is told
 *
 * An accept's time is counted from when it was to begin. Of the store's own threads are told the
 * processor's time and the bytes read and written, from and to the page cache, for a life: these do
 * not depend on what else the machine does. */
#include "base/alloc.h"
#include "base/check.h"
#include "base/crypto.h"
#include "base/log.h"
#include "store/sqlite.h"
#include "sys/loop.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPEAT_EVERY 100
#define SLOTS        20000 /* of a tenth of a millisecond */
#define LOOK_MS      10    /* whether the merge thread works */

/* What threads of these names have used since they began. */
struct used {
    double us, system_us, read, written; /* bytes */
};

enum { WRITER, LOG, MERGE, THREADS };
static const char *const threads[THREADS] = {"gwh-writer", "gwh-log", "gwh-merge"};

struct life {
    struct bench *bench;
    struct gw_accept accept;
    struct gw_settle settle;
    struct gw_attempt attempt;
    struct gw_offer *offer;
    char event_id[33], transaction_id[33];
    int64_t began_us;
    bool is_repeat;
};

struct bench {
    struct gw_env *env;
    struct gw_sqlite *sqlite;
    struct gw_ledger *ledger;
    const char *dir;
    char **args;
    long lives, started, ended, said;
    long in_flight;
    bool settles, is_keyless;
    struct gw_slice body;
    int64_t began_us, said_us;
    struct gw_msg first;
    struct life *all;
    off_t wal_max;
    uint64_t salt;
    long repeats, rate;
    struct life **idle; /* of a paced run; a stack */
    size_t idle_count;
    struct gw_timer beat;
    struct used used[THREADS]; /* when it was last said */
    double merge_us;           /* used, when it was last looked at */
    double first_us, last_us;  /* of all threads for a life, in the first and last fifth */
    struct gw_timer look;
    bool merges;
    long took[2][SLOTS]; /* accepts, while nothing is merged and while something is */
};

/* What the system says of a thread; empty when it is gone. */
static void task_read(const char *task, const char *file, char text[512])
{
    char path[512];
    size_t len = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%s/%s", task, file);
    FILE *f = fopen(path, "r");
    if (f) {
        len = fread(text, 1, 511, f);
        fclose(f);
    }
    text[len] = '\0';
}

static void used_add(struct used *used, const char *task, const char *name)
{
    unsigned long long ns = 0, ticks = 0, read = 0, written = 0;
    char text[512];

    task_read(task, "comm", text);
    text[strcspn(text, "\n")] = '\0';
    if (strcmp(text, name) != 0)
        return;
    task_read(task, "schedstat", text);
    sscanf(text, "%llu", &ns);
    task_read(task, "stat", text);
    sscanf(text, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %llu", &ticks);
    task_read(task, "io", text);
    sscanf(text, "rchar: %llu wchar: %llu", &read, &written);
    used->us += (double)ns / 1000;
    used->system_us += (double)ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
    used->read += (double)read;
    used->written += (double)written;
}

static struct used used_by(const char *name)
{
    struct used used = {0};
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;

    while (tasks && (task = readdir(tasks)) != NULL)
        used_add(&used, task->d_name, name);
    if (tasks)
        closedir(tasks);
    return used;
}

static off_t wal_bytes(const struct bench *bench)
{
    char path[512];
    struct stat st;

    snprintf(path, sizeof(path), "%s/00000001.seg-wal", bench->dir);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static long memory_kib(const char *what)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, what, strlen(what)) == 0)
            kib = strtol(line + strlen(what) + 1, NULL, 10);
    if (file)
        fclose(file);
    return kib;
}

static long count_of(const long took[SLOTS])
{
    long sum = 0;

    for (size_t i = 0; i < SLOTS; i++)
        sum += took[i];
    return sum;
}

/* Milliseconds in which so many of a thousand accepts were answered; 0: there were none. */
static double took_ms(const long took[SLOTS], long of_thousand)
{
    long sum = count_of(took), seen = 0;

    for (size_t i = 0; i < SLOTS && sum > 0; i++) {
        seen += took[i];
        if (seen * 1000 >= sum * of_thousand)
            return (double)(i + 1) / 10;
    }
    return 0;
}

static void on_look(struct gw_timer *timer)
{
    struct bench *bench = gw_container_of(timer, struct bench, look);
    double used = used_by(threads[MERGE]).us;

    bench->merges = used > bench->merge_us + 100;
    bench->merge_us = used;
    gw_env_timer_set(bench->env, timer, LOOK_MS);
}

static void say(struct bench *bench)
{
    int64_t now_us = gw_env_mono_us(bench->env);
    struct gw_ledger_state state = gw_ledger_state(bench->ledger);
    off_t wal = wal_bytes(bench);
    if (wal > bench->wal_max)
        bench->wal_max = wal;
    double lives = (double)(bench->ended - bench->said), store_us = 0;
    printf("%8ld lives  %6.0f/s ", bench->ended, lives * 1e6 / (double)(now_us - bench->said_us));
    for (size_t i = 0; i < THREADS; i++) {
        struct used now = used_by(threads[i]), *was = &bench->used[i];
        store_us += (now.us - was->us) / lives;
        printf(" %s %.1f us (%.1f sys) %.1f/%.1f KiB ", threads[i] + 4, (now.us - was->us) / lives,
               (now.system_us - was->system_us) / lives, (now.read - was->read) / lives / 1024,
               (now.written - was->written) / lives / 1024);
        *was = now;
    }
    bench->last_us = store_us;
    if (bench->said == 0)
        bench->first_us = store_us;
    printf(" group %.0f  wal %ld MiB  RSS %ld MiB\n",
           (double)state.operations / (double)state.commits.count, (long)(wal >> 20),
           memory_kib("VmRSS:") >> 10);
    for (size_t i = 0; i < 2; i++)
        printf("         accepts %s: p50 %.1f ms, p99 %.1f, at most %.1f of %ld\n",
               i ? "with a merge   " : "without a merge", took_ms(bench->took[i], 500),
               took_ms(bench->took[i], 990), took_ms(bench->took[i], 1000),
               count_of(bench->took[i]));
    fflush(stdout);
    memset(bench->took, 0, sizeof(bench->took));
    bench->said = bench->ended;
    bench->said_us = now_us;
}

static void begin(struct life *life, int64_t due_us);

/* All that are to have begun by now, as far as there is room. */
static void begin_due(struct bench *bench)
{
    int64_t now_us = gw_env_mono_us(bench->env);

    while (bench->started < bench->lives && bench->idle_count > 0) {
        int64_t due_us = bench->began_us + bench->started * 1000000 / bench->rate;
        if (due_us > now_us)
            break;
        begin(bench->idle[--bench->idle_count], due_us);
    }
}

static void on_beat(struct gw_timer *timer)
{
    struct bench *bench = gw_container_of(timer, struct bench, beat);

    begin_due(bench);
    if (bench->started < bench->lives)
        gw_env_timer_set(bench->env, timer, 1);
}

static void end(struct life *life)
{
    struct bench *bench = life->bench;

    bench->ended++;
    if (bench->ended % (bench->lives / 5) == 0)
        say(bench);
    gw_message_unref(life->accept.message);
    if (bench->rate > 0)
        bench->idle[bench->idle_count++] = life;
    else if (bench->started < bench->lives)
        begin(life, gw_env_mono_us(bench->env));
    if (bench->ended == bench->lives)
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
    gw_ledger_settle(life->bench->ledger, &life->settle);
}

static void on_accepted(struct gw_op *op)
{
    struct life *life = gw_container_of(op, struct life, accept.op);

    struct bench *bench = life->bench;
    int64_t took = (gw_env_mono_us(bench->env) - life->began_us) / 100;

    bench->took[bench->merges][took < SLOTS ? took : SLOTS - 1]++;
    gw_check(op->err == GW_OK && life->accept.existing == life->is_repeat);
    if (!bench->settles || life->is_repeat)
        end(life);
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Of the n-th event, as random as they come. */
static void id_of(const struct bench *bench, long n, const char *what, char text[33])
{
    uint64_t seed = bench->salt + (uint64_t)n * 0x9E3779B97F4A7C15u + (uint64_t)what[0];

    snprintf(text, 33, "%016llx%016llx", (unsigned long long)mix(seed),
             (unsigned long long)mix(~seed));
}

/* A new one, or one that was answered before. */
static long choose(const struct bench *bench, bool *is_repeat)
{
    long n = bench->started, old = bench->ended - 2 * bench->in_flight;

    *is_repeat = n % REPEAT_EVERY == 0 && old > REPEAT_EVERY && !bench->is_keyless;
    if (!*is_repeat)
        return n;
    n = (long)(mix((uint64_t)n) % (uint64_t)old);
    return n % REPEAT_EVERY == 0 ? n + 1 : n;
}

static void begin(struct life *life, int64_t due_us)
{
    static const char *const apps[] = {"acme", "globex", "initech", "umbrella"};
    static const uint64_t lanes[] = {1, 2, 3, 4};
    struct bench *bench = life->bench;
    long n = choose(bench, &life->is_repeat);
    size_t app = (size_t)n % gw_count(apps);

    bench->repeats += life->is_repeat;
    id_of(bench, n, "event", life->event_id);
    id_of(bench, n, "transaction", life->transaction_id);
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
    life->began_us = due_us;
    life->accept = (struct gw_accept){
        .op = {.env = bench->env, .done = on_accepted},
        .message = gw_message_create(&event, gw_env_wall_ms(bench->env)),
        .lanes = &lanes[app],
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

    bench->began_us = bench->said_us = gw_env_mono_us(bench->env);
    bench->idle_count = 0;
    for (long i = 0; i < bench->in_flight; i++) {
        if (bench->rate > 0)
            bench->idle[bench->idle_count++] = &bench->all[i];
        else if (bench->started < bench->lives)
            begin(&bench->all[i], bench->began_us);
    }
    if (bench->rate > 0)
        on_beat(&bench->beat);
}

static long setting(const struct bench *bench, const char *name, long by_default)
{
    size_t len = strlen(name);

    for (char **arg = bench->args; *arg; arg++)
        if (strncmp(*arg, name, len) == 0 && (*arg)[len] == '=')
            return strtol(*arg + len + 1, NULL, 10);
    return by_default;
}

static void open_store(struct bench *bench)
{
    struct gw_sqlite_options options = {
        .dir = bench->dir,
        .queue_max = 100000,
        .group_max = 1000,
        .disk_reserve_bytes = 0,
        .cache_bytes = (size_t)setting(bench, "cache", 64) << 20,
        .segment_events_max = (uint64_t)setting(bench, "segment", 0),
    };
    struct gw_error error;
    int64_t began_us = gw_env_mono_us(bench->env);

    if (gw_sqlite_open(&options, bench->env, &bench->sqlite, &error) != GW_OK) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    bench->ledger = gw_sqlite_ledger(bench->sqlite);
    printf("opened in %.3f s, %llu open\n", (double)(gw_env_mono_us(bench->env) - began_us) / 1e6,
           (unsigned long long)gw_ledger_state(bench->ledger).open);
}

static void run(struct bench *bench, long lives, bool settles)
{
    bench->lives = lives;
    bench->started = bench->ended = bench->said = 0;
    bench->settles = settles;
    for (size_t i = 0; i < THREADS; i++)
        bench->used[i] = used_by(threads[i]);
    gw_random_bytes(&bench->salt, sizeof(bench->salt));
    bench->look.fire = on_look;
    gw_env_timer_set(bench->env, &bench->look, LOOK_MS);
    bench->beat.fire = on_beat;
    bench->first.run = on_first;
    gw_env_post(bench->env, &bench->first);
    gw_loop_run(bench->env);
    gw_env_timer_stop(bench->env, &bench->look);
    double seconds = (double)(gw_env_mono_us(bench->env) - bench->began_us) / 1e6;
    struct gw_ledger_state state = gw_ledger_state(bench->ledger);
    printf("%s: %ld in %.1f s: %.0f/s; %llu groups of %.0f, %.2f ms each; wal at most %ld MiB; "
           "writer %.1f s, log %.1f s, merge %.1f s\n",
           settles ? "lives" : "accepts", lives, seconds, (double)lives / seconds,
           (unsigned long long)state.commits.count,
           (double)state.operations / (double)state.commits.count,
           (double)state.commits.sum_us / 1000 / (double)state.commits.count,
           (long)(bench->wal_max >> 20), used_by(threads[WRITER]).us / 1e6,
           used_by(threads[LOG]).us / 1e6, used_by(threads[MERGE]).us / 1e6);
    printf("%ld repeats, each known; store %.1f us/life in the first fifth, %.1f in the last "
           "(%+.0f %%); RSS at most %ld MiB\n",
           bench->repeats, bench->first_us, bench->last_us,
           100 * (bench->last_us / bench->first_us - 1), memory_kib("VmHWM:") >> 10);
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

    gw_ledger_tally(bench->ledger, &op);
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
    static struct bench bench;
    struct gw_error error;

    if (argc < 2)
        return 2;
    bench.dir = argv[1];
    bench.args = argv + 2;
    long lives = setting(&bench, "lives", 100000), backlog = setting(&bench, "backlog", 0);
    size_t body_bytes = (size_t)setting(&bench, "body", 1024);
    bench.rate = setting(&bench, "rate", 0);
    bench.in_flight = setting(&bench, "flight", 500);
    bench.is_keyless = setting(&bench, "keyless", 0) != 0;
    if (lives < 5 || bench.in_flight < 1)
        return 2;
    if (getenv("BENCH_DEBUG"))
        gw_log_level_set(GW_LOG_DEBUG);
    gw_sys_init();
    gw_check(gw_loop_create(NULL, &bench.env, &error) == GW_OK);
    char *body = gw_alloc(body_bytes);
    memset(body, 'x', body_bytes);
    bench.body = (struct gw_slice){body, body_bytes};
    bench.idle = gw_zalloc((size_t)bench.in_flight * sizeof(struct life *));
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
    gw_free(bench.idle);
    gw_free(bench.all);
    gw_free(body);
    return 0;
}
