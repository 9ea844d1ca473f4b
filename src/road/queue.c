/* queue.c: owns the messages that are in hand.
 *
 *   receive (long poll) ─▶ held ─▶ its item ─┬─ done ──▶ over ─▶ deleted, ten a call
 *      ▲                    │ renewed        └─ again, poison ─▶ shown again after a while
 *      └── while there is room in the hand, and no trouble with what it would be recorded in
 *
 * A message is hidden from others while it is in hand, and renewed at half of that time. All of this may
 * fail at any moment: a message that comes again, to us or to another process, finds the ledger as it
 * is, so it is no matter whether a deletion was heard, or which of two holders is the later one.
 *
 * Thread: the shard's. */
#include "road/queue.h"

#include "base/alloc.h"
#include "base/log.h"

#define WAIT_S          5   /* of a long poll: so long the end may take */
#define HIDDEN_S        120 /* a message in hand, from others */
#define RENEW_MS        (HIDDEN_S * 1000 / 2)
#define AGAIN_S         10 /* until a message that could not be recorded comes again */
#define POISON_S        5
#define CALL_MS         10000
#define DELETE_MS       50 /* what is over waits for others, to go with them */
#define DELETE_AGAIN_MS 500
#define DELETIONS_MAX   4
#define PAUSE_MIN_MS    500
#define PAUSE_MAX_MS    20000
#define TROUBLE_MS      500
#define BATCH_MAX       GW_AWS_SQS_BATCH_MAX

struct held {
    struct gw_queue *queue;
    struct gw_list link; /* in queue->held, or ->over */
    struct gw_item item;
    struct gw_arena arena; /* of the message */
    struct gw_slice receipt;
    struct gw_timer renew;
    struct gw_aws_hide hide;
    struct gw_arena call_arena; /* its */
    bool is_hiding, is_ended;   /* the item is */
    unsigned deletions;
};

static void receive(struct gw_queue *queue);
static void delete_over(struct gw_queue *queue);

static struct gw_env *env_of(const struct gw_queue *queue)
{
    return queue->road->shard->env;
}

static struct gw_aws_call call_of(const struct gw_queue *queue, struct gw_arena *arena, int64_t ms)
{
    return (struct gw_aws_call){
        .client = &queue->road->aws->clients[GW_AWS_SQS],
        .deadline_us = gw_env_mono_us(env_of(queue)) + ms * 1000,
        .arena = arena,
    };
}

/* ── Letting go ────────────────────────────────────────────────────────────────────────────── */

static void check_idle(struct gw_queue *queue)
{
    if (!queue->is_stopping || queue->is_receiving || !gw_list_empty(&queue->held) ||
        queue->over_count || queue->deleting)
        return;
    queue->is_stopping = false; /* told once */
    queue->idle(queue);
}

static void held_free(struct held *held)
{
    gw_list_remove(&held->link);
    gw_arena_deinit(&held->arena);
    gw_arena_deinit(&held->call_arena);
    gw_free(held);
}

/* Room for another; the queue may be idle afterwards. */
static void let_go(struct held *held)
{
    struct gw_queue *queue = held->queue;
    held_free(held);
    queue->hand->count--;
    receive(queue);
    check_idle(queue);
}

/* ── Hiding ────────────────────────────────────────────────────────────────────────────────── */

static void hide(struct held *held, unsigned hidden_s);

static void end_held(struct held *held)
{
    struct gw_queue *queue = held->queue;
    enum gw_item_end end = held->item.end;
    if (end != GW_ITEM_DONE) {
        hide(held, queue->is_stopping ? 0 : end == GW_ITEM_POISON ? POISON_S : AGAIN_S);
        return;
    }
    gw_list_remove(&held->link);
    gw_list_push(&queue->over, &held->link);
    queue->over_count++;
    if (queue->is_stopping || queue->over_count >= BATCH_MAX)
        delete_over(queue);
    else if (!gw_heap_linked(&queue->soon.node))
        gw_env_timer_set(env_of(queue), &queue->soon, DELETE_MS);
}

static void on_hidden(struct gw_aws_hide *done)
{
    struct held *held = gw_container_of(done, struct held, hide);
    bool was_last = held->is_ended && held->item.end != GW_ITEM_DONE && done->hidden_s != HIDDEN_S;
    held->is_hiding = false;
    if (was_last)
        let_go(held);
    else if (held->is_ended) /* meanwhile */
        end_held(held);
}

static void hide(struct held *held, unsigned hidden_s)
{
    gw_arena_reset(&held->call_arena);
    held->is_hiding = true;
    held->hide = (struct gw_aws_hide){
        .call = call_of(held->queue, &held->call_arena, CALL_MS),
        .queue_url = held->queue->url,
        .receipt = held->receipt,
        .hidden_s = hidden_s,
        .done = on_hidden,
    };
    gw_aws_sqs_hide(&held->hide);
}

static void on_renew(struct gw_timer *timer)
{
    struct held *held = gw_container_of(timer, struct held, renew);
    gw_env_timer_set(env_of(held->queue), &held->renew, RENEW_MS);
    if (!held->is_hiding)
        hide(held, HIDDEN_S);
}

/* ── Deleting ──────────────────────────────────────────────────────────────────────────────── */

struct deletion {
    struct gw_queue *queue;
    struct gw_aws_batch batch;
    struct gw_arena arena;
    struct held *held[BATCH_MAX];
};

static bool is_to_be_asked_again(struct held *held, enum gw_err err)
{
    return gw_err_class(err) == GW_CLASS_AGAIN && ++held->deletions < DELETIONS_MAX;
}

/* One that is not deleted after all comes again, and nothing is left to do for it. */
static void on_deleted(struct gw_aws_batch *batch)
{
    struct deletion *deletion = gw_container_of(batch, struct deletion, batch);
    struct gw_queue *queue = deletion->queue;
    size_t count = batch->count, gone = 0;
    for (size_t i = 0; i < count; i++) {
        struct held *held = deletion->held[i];
        if (is_to_be_asked_again(held, batch->entries[i].err)) {
            gw_list_push(&queue->over, &held->link);
            queue->over_count++;
        } else {
            held_free(held);
            gone++;
        }
    }
    if (gone < count)
        gw_env_timer_set(env_of(queue), &queue->soon, DELETE_AGAIN_MS);
    gw_arena_deinit(&deletion->arena);
    gw_free(deletion);
    queue->deleting -= count;
    queue->hand->count -= gone;
    receive(queue);
    check_idle(queue);
}

static void delete_ten(struct gw_queue *queue)
{
    struct deletion *deletion = gw_zalloc(sizeof(*deletion));
    struct gw_list *link;
    deletion->queue = queue;
    deletion->batch = (struct gw_aws_batch){
        .call = call_of(queue, &deletion->arena, CALL_MS),
        .queue_url = queue->url,
        .done = on_deleted,
    };
    while (deletion->batch.count < BATCH_MAX && (link = gw_list_pop(&queue->over))) {
        struct held *held = gw_container_of(link, struct held, link);
        deletion->held[deletion->batch.count] = held;
        deletion->batch.entries[deletion->batch.count++].receipt = held->receipt;
    }
    queue->over_count -= deletion->batch.count;
    queue->deleting += deletion->batch.count;
    gw_aws_sqs_delete(&deletion->batch);
}

static void delete_over(struct gw_queue *queue)
{
    gw_env_timer_stop(env_of(queue), &queue->soon);
    while (!gw_list_empty(&queue->over))
        delete_ten(queue);
}

static void on_delete_soon(struct gw_timer *timer)
{
    delete_over(gw_container_of(timer, struct gw_queue, soon));
}

/* ── Receiving ─────────────────────────────────────────────────────────────────────────────── */

static void on_item(struct gw_item *item)
{
    struct held *held = gw_container_of(item, struct held, item);
    held->queue->ended[item->end]++;
    held->is_ended = true;
    gw_env_timer_stop(env_of(held->queue), &held->renew);
    gw_item_deinit(item);
    if (!held->is_hiding)
        end_held(held);
}

static void hold(struct gw_queue *queue, const struct gw_aws_message *message)
{
    struct held *held = gw_zalloc(sizeof(*held));
    held->queue = queue;
    held->receipt = gw_arena_dup(&held->arena, message->receipt);
    held->item.road = queue->road;
    held->item.id = gw_arena_dup(&held->arena, message->id);
    held->item.body = gw_arena_dup(&held->arena, message->body);
    held->item.done = on_item;
    held->renew.fire = on_renew;
    gw_list_push(&queue->held, &held->link);
    queue->hand->count++;
    queue->received++;
    gw_env_timer_set(env_of(queue), &held->renew, RENEW_MS);
    gw_item_start(&held->item);
    if (queue->is_stopping)
        gw_item_give_back(&held->item);
}

static void pause(struct gw_queue *queue, const struct gw_error *error)
{
    queue->pause_ms = queue->pause_ms ? queue->pause_ms * 2 : PAUSE_MIN_MS;
    if (queue->pause_ms > PAUSE_MAX_MS)
        queue->pause_ms = PAUSE_MAX_MS;
    gw_log(GW_LOG_WARN, "queue_unreadable", GW_S("why", error->text));
    gw_env_timer_set(env_of(queue), &queue->later, queue->pause_ms);
}

static void on_received(struct gw_aws_receive *received)
{
    struct gw_queue *queue = gw_container_of(received, struct gw_queue, receive);
    queue->is_receiving = false;
    if (received->call.error.code != GW_OK && !queue->is_stopping) {
        pause(queue, &received->call.error);
        return;
    }
    queue->pause_ms = 0;
    for (size_t i = 0; i < received->message_count; i++)
        hold(queue, &received->messages[i]);
    receive(queue);
    check_idle(queue);
}

static void on_later(struct gw_timer *timer)
{
    receive(gw_container_of(timer, struct gw_queue, later));
}

/* What another queue of this hand took makes room without this one hearing of it: it looks again. */
static void receive(struct gw_queue *queue)
{
    struct gw_hand *hand = queue->hand;
    if (queue->is_stopping || queue->is_receiving || gw_heap_linked(&queue->later.node))
        return;
    size_t room = hand->count < hand->max ? hand->max - hand->count : 0;
    if (!room || gw_road_is_troubled(queue->road)) {
        gw_env_timer_set(env_of(queue), &queue->later, TROUBLE_MS);
        return;
    }
    gw_arena_reset(&queue->arena);
    queue->is_receiving = true;
    queue->receive = (struct gw_aws_receive){
        .call = call_of(queue, &queue->arena, WAIT_S * 1000 + CALL_MS),
        .queue_url = queue->url,
        .count = room < BATCH_MAX ? (unsigned)room : BATCH_MAX,
        .wait_s = WAIT_S,
        .hidden_s = HIDDEN_S,
        .done = on_received,
    };
    gw_aws_sqs_receive(&queue->receive);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

void gw_queue_start(struct gw_queue *queue)
{
    queue->later.fire = on_later;
    queue->soon.fire = on_delete_soon;
    gw_list_init(&queue->held);
    gw_list_init(&queue->over);
    receive(queue);
}

/* A long poll is waited for: cut off, it would go on at the other end, and what it takes there would be
 * hidden from everybody. What it brings goes back at once. */
void gw_queue_stop(struct gw_queue *queue)
{
    queue->is_stopping = true;
    gw_env_timer_stop(env_of(queue), &queue->later);
    delete_over(queue);
    gw_list_each (link, &queue->held) {
        struct held *held = gw_container_of(link, struct held, link);
        if (!held->is_ended)
            gw_item_give_back(&held->item);
    }
    check_idle(queue);
}

void gw_queue_deinit(struct gw_queue *queue)
{
    gw_arena_deinit(&queue->arena);
}
