/* sqlite_outbox.c: completions on their way to the loops, gathered so that each loop is woken once
 * for a whole group. Owns its boxes, not the messages; each outbox is used by one thread.
 *
 * Invariant: what was added for one env first is posted first. Once sent, an operation's memory is
 * its owner's again: nothing here looks at it any more. */
#include "store/sqlite_internal.h"

struct sqlite_box {
    struct gw_env *env;
    struct gw_list msgs;
};

static struct sqlite_box *box_of(struct sqlite_outbox *outbox, struct gw_env *env)
{
    for (size_t i = 0; i < outbox->count; i++) {
        if (outbox->boxes[i]->env == env)
            return outbox->boxes[i];
    }
    if (outbox->count == outbox->cap) {
        outbox->boxes = gw_realloc(outbox->boxes, (outbox->cap + 1) * sizeof(*outbox->boxes));
        outbox->boxes[outbox->cap] = gw_alloc(sizeof(**outbox->boxes));
        gw_list_init(&outbox->boxes[outbox->cap++]->msgs);
    }
    struct sqlite_box *box = outbox->boxes[outbox->count++];
    box->env = env;
    return box;
}

void sqlite_outbox_add(struct sqlite_outbox *outbox, struct gw_env *env, struct gw_msg *msg)
{
    gw_list_push(&box_of(outbox, env)->msgs, &msg->link);
}

void sqlite_outbox_send(struct sqlite_outbox *outbox)
{
    for (size_t i = 0; i < outbox->count; i++)
        gw_env_post_all(outbox->boxes[i]->env, &outbox->boxes[i]->msgs);
    outbox->count = 0;
}

void sqlite_outbox_deinit(struct sqlite_outbox *outbox)
{
    for (size_t i = 0; i < outbox->cap; i++)
        gw_free(outbox->boxes[i]);
    gw_free(outbox->boxes);
    *outbox = (struct sqlite_outbox){0};
}

/* ── Offers ────────────────────────────────────────────────────────────────────────────────── */

void sqlite_offer_add(struct gw_offer *offer, const struct gw_delivery *d)
{
    if (offer)
        offer->deliveries[offer->count++] = *d;
}

bool sqlite_offer_finish(struct sqlite_outbox *outbox, struct gw_offer *offer, enum gw_err err)
{
    if (offer == NULL)
        return false;
    if (err != GW_OK)
        offer->count = 0;
    if (offer->count == 0)
        return false;
    sqlite_outbox_add(outbox, offer->env, &offer->msg);
    return true;
}

/* ── Completing ────────────────────────────────────────────────────────────────────────────── */

static void on_complete(struct gw_msg *msg)
{
    struct gw_op *op = gw_container_of(msg, struct gw_op, msg);

    op->done(op);
}

static int64_t again_ms(enum gw_err err)
{
    if (gw_err_class(err) != GW_CLASS_AGAIN)
        return 0;
    switch (err) {
    case GW_ERR_BUSY: return 50;
    case GW_ERR_STOPPED: return 30000; /* somebody has to restart it */
    default: return 1000;              /* how often the disk is looked at */
    }
}

static void fill(struct gw_op *op, enum gw_err err)
{
    op->err = err;
    op->again_ms = again_ms(err);
    op->msg.run = on_complete;
}

void sqlite_outbox_done(struct sqlite_outbox *outbox, struct gw_op *op, enum gw_err err)
{
    fill(op, err);
    sqlite_outbox_add(outbox, op->env, &op->msg);
}

void sqlite_complete(struct gw_op *op, enum gw_err err)
{
    fill(op, err);
    gw_env_post(op->env, &op->msg);
}

bool sqlite_op_late(const struct gw_op *op)
{
    return op->deadline_us != 0 && gw_env_mono_us(op->env) > op->deadline_us;
}
