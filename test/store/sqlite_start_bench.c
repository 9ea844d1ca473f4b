/* How long a start takes with many deliveries waiting, in many segments.
 *
 *   sqlite_start_bench [DELIVERIES [SEGMENTS [LANES]]]   1000000 30 100; in $TMPDIR */
#include "sqlite_rig.h"

#include "base/log.h"
#include "sys/loop.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IN_FLIGHT 2000
#define PAGE      1000

struct fill {
    struct rig *rig;
    long next, count, done, lanes;
};

struct one {
    struct fill *fill;
    struct gw_accept accept;
    struct gw_offer *offer;
    uint64_t lane;
    char event_id[24];
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long rss_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

static void on_offer(struct gw_msg *msg)
{
    (void)msg;
}

static void begin(struct one *one);

static void on_accepted(struct gw_op *op)
{
    struct one *one = gw_container_of(op, struct one, accept.op);
    struct fill *fill = one->fill;

    gw_message_unref(one->accept.message);
    if (op->err == GW_OK)
        fill->done++;
    else
        gw_check(op->err == GW_ERR_BUSY);
    if (fill->next < fill->count)
        begin(one);
    else if (fill->done == fill->count)
        gw_loop_stop(fill->rig->env);
}

static void begin(struct one *one)
{
    struct fill *fill = one->fill;

    snprintf(one->event_id, sizeof(one->event_id), "e%ld", fill->next);
    one->lane = 1 + (uint64_t)(fill->next++ % fill->lanes);
    one->accept = (struct gw_accept){
        .op = {.env = fill->rig->env, .done = on_accepted},
        .message = rig_message("app", one->event_id, "{\"some\":\"small body\"}"),
        .lanes = &one->lane,
        .lane_count = 1,
        .dedupe_ms = RIG_DAY_MS,
        .offer = one->offer,
    };
    gw_ledger_accept(fill->rig->ledger, &one->accept);
}

static void fill_up(struct rig *rig, long count, long lanes)
{
    struct fill fill = {.rig = rig, .count = count, .lanes = lanes};
    struct one *ones = gw_zalloc(IN_FLIGHT * sizeof(*ones));

    for (size_t i = 0; i < IN_FLIGHT && fill.next < count; i++) {
        ones[i].fill = &fill;
        ones[i].offer = gw_zalloc(sizeof(struct gw_offer) + sizeof(struct gw_delivery));
        ones[i].offer->msg.run = on_offer;
        ones[i].offer->env = rig->env;
        begin(&ones[i]);
    }
    gw_loop_run(rig->env);
    for (size_t i = 0; i < IN_FLIGHT; i++)
        gw_free(ones[i].offer);
    gw_free(ones);
}

static int segments_in(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int count = 0;

    while (dir && (entry = readdir(dir)) != NULL)
        count += strlen(entry->d_name) == 12 && strcmp(entry->d_name + 8, ".seg") == 0;
    if (dir)
        closedir(dir);
    return count;
}

/* As a process does: what is open in which lane, then the first page of each. */
static void start(struct rig *rig, double began_s)
{
    struct gw_open_lanes lanes = {.arena = &rig->arena};
    struct gw_delivery *room = gw_alloc(PAGE * sizeof(*room));
    size_t got = 0;

    printf("open %.3f s\n", now_s() - began_s);
    gw_check(RIG_CALL(rig, ledger, open_lanes, &lanes) == GW_OK);
    printf("lanes %zu: %.3f s\n", lanes.count, now_s() - began_s);
    for (size_t i = 0; i < lanes.count; i++) {
        struct gw_refill refill = {.lane = lanes.lanes[i].lane,
                                   .after_due_ms = INT64_MIN,
                                   .deliveries = room,
                                   .max = PAGE};
        gw_check(RIG_CALL(rig, ledger, refill, &refill) == GW_OK);
        got += refill.count;
    }
    printf("first %zu deliveries: %.3f s, RSS %ld KiB\n", got, now_s() - began_s, rss_kib());
    gw_free(room);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    long segments = argc > 2 ? strtol(argv[2], NULL, 10) : 30;
    long lanes = argc > 3 ? strtol(argv[3], NULL, 10) : 100;
    struct rig rig;

    gw_log_level_set(GW_LOG_WARN);
    gw_sys_init();
    rig_init(&rig);
    rig.options.cache_bytes = (size_t)32 << 20;
    rig.options.segment_events_max = (uint64_t)(count / segments + 1);
    rig.options.segment_gap_ms = 1;
    rig_open(&rig);
    double began_s = now_s();
    fill_up(&rig, count, lanes);
    printf("%ld accepted in %d segments, %.0f/s\n", count, segments_in(rig.dir),
           (double)count / (now_s() - began_s));
    rig_close(&rig);
    began_s = now_s();
    rig_open(&rig);
    start(&rig, began_s);
    rig_deinit(&rig);
    return 0;
}
