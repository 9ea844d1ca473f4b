/* wakes.c: owns wakes until the queue has them, ten a call. One that is due later than the queue can
 * delay comes earlier, and whoever gets it sends it on.
 *
 * A call whose answer was lost is made again: a wake that comes twice does nothing twice. */
#include "road/wakes.h"

#include "base/alloc.h"

#define CALL_MS 10000

void gw_wakes_add(struct gw_wakes *wakes, const struct gw_wake *wake)
{
    struct gw_buf json = {0};
    if (wakes->count == wakes->cap) {
        wakes->cap = wakes->cap ? wakes->cap * 2 : 4;
        wakes->waiting = gw_realloc(wakes->waiting, wakes->cap * sizeof(*wakes->waiting));
    }
    gw_wake_write(wake, &json);
    wakes->waiting[wakes->count++] = (struct gw_waiting_wake){
        gw_arena_dup(&wakes->texts, gw_buf_slice(&json)), wake->not_before_ms};
    gw_buf_deinit(&json);
}

static unsigned delay_s(int64_t not_before_ms, int64_t now_ms)
{
    if (not_before_ms <= now_ms)
        return 0;
    if (not_before_ms - now_ms > GW_AWS_SQS_DELAY_S_MAX * 1000)
        return GW_AWS_SQS_DELAY_S_MAX;
    return (unsigned)((not_before_ms - now_ms + 999) / 1000);
}

/* Those of the call that the queue does not have stay, before those that were not in it. */
static void on_sent(struct gw_aws_batch *batch)
{
    struct gw_wakes *wakes = gw_container_of(batch, struct gw_wakes, batch);
    size_t left = 0;
    wakes->err = GW_OK;
    wakes->again_ms = batch->call.retry_after_ms;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->entries[i].err == GW_OK)
            continue;
        wakes->err = batch->entries[i].err;
        wakes->waiting[left++] = wakes->waiting[i];
    }
    size_t rest = wakes->count - batch->count;
    memmove(&wakes->waiting[left], &wakes->waiting[batch->count], rest * sizeof(*wakes->waiting));
    wakes->count = left + rest;
    if (wakes->err == GW_OK && wakes->count)
        gw_wakes_send(wakes);
    else
        wakes->done(wakes);
}

void gw_wakes_send(struct gw_wakes *wakes)
{
    struct gw_env *env = wakes->road->shard->env;
    int64_t now_ms = gw_env_wall_ms(env);
    gw_arena_reset(&wakes->arena);
    wakes->batch = (struct gw_aws_batch){
        .call = {.client = &wakes->road->aws->clients[GW_AWS_SQS],
                 .deadline_us = gw_env_mono_us(env) + (int64_t)CALL_MS * 1000,
                 .arena = &wakes->arena},
        .queue_url = wakes->road->wake_queue_url,
        .count = wakes->count < GW_AWS_SQS_BATCH_MAX ? wakes->count : GW_AWS_SQS_BATCH_MAX,
        .done = on_sent,
    };
    for (size_t i = 0; i < wakes->batch.count; i++)
        wakes->batch.entries[i] = (struct gw_aws_entry){
            .body = wakes->waiting[i].body,
            .delay_s = delay_s(wakes->waiting[i].not_before_ms, now_ms),
        };
    gw_aws_sqs_send(&wakes->batch);
}

void gw_wakes_deinit(struct gw_wakes *wakes)
{
    gw_free(wakes->waiting);
    gw_arena_deinit(&wakes->texts);
    gw_arena_deinit(&wakes->arena);
}
