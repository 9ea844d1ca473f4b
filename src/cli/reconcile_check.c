/* reconcile_check.c: asks the ledger which of a page's objects it knows. An event's id is made of what
 * is in it, so each object is read; some at a time, each with memory of its own that is freed with its
 * verdict. Runs the loop until all have one. */
#include "base/alloc.h"
#include "cli/reconcile_impl.h"
#include "core/event.h"
#include "sys/loop.h"

#define FLIGHT_MAX 32

struct check {
    struct gw_reconcile *reconcile;
    struct gw_reconcile_candidate *candidate;
    struct gw_aws_object object;
    struct gw_find find;
    struct gw_arena arena;
};

static void check_next(struct gw_reconcile *r);

static void end_check(struct check *check, enum gw_reconcile_verdict verdict)
{
    struct gw_reconcile *r = check->reconcile;

    check->candidate->verdict = verdict;
    gw_arena_deinit(&check->arena);
    gw_free(check);
    r->in_flight--;
    check_next(r);
}

/* What comes of a refusal: another try, if another could do better. */
static void refused(struct check *check, enum gw_err err, const char *why)
{
    bool is_again = gw_err_class(err) == GW_CLASS_AGAIN;

    gw_reconcile_failed(check->reconcile, why);
    if (err == GW_ERR_KEY)
        check->reconcile->is_ending = true;
    end_check(check, is_again ? GW_RECONCILE_UNCHECKED : GW_RECONCILE_FAILED);
}

static void on_found(struct gw_op *op)
{
    struct check *check = gw_container_of(op, struct check, find.op);

    if (op->err == GW_OK)
        end_check(check, check->find.count > 0 ? GW_RECONCILE_KNOWN : GW_RECONCILE_UNKNOWN);
    else
        refused(check, op->err, "the ledger cannot be asked");
}

static void ask_ledger(struct check *check, const struct gw_event *event)
{
    const struct gw_aws_notice *notice = &check->candidate->notice;
    struct gw_reconcile *r = check->reconcile;
    struct gw_place place = {notice->bucket, notice->key, notice->version_id, notice->etag};

    check->find = (struct gw_find){
        .op = {.env = r->cloud.env,
               .done = on_found,
               .deadline_us = gw_env_mono_us(r->cloud.env) + GW_RECONCILE_CALL_US},
        .arena = &check->arena,
        .key = GW_FIND_MESSAGE,
        .id = gw_dynamodb_message_id(r->store, event->app_id, event->event_id, &place),
        .max = 1,
    };
    gw_ledger_find(gw_dynamodb_ledger(r->store), &check->find);
}

/* A bucket whose versions are suspended has one that is called "null", and no notice names it. */
static void take_version(struct check *check)
{
    struct gw_slice version = check->object.version;

    if (version.len > 0 && !gw_slice_is(version, "null"))
        check->candidate->notice.version_id = gw_arena_dup(&check->reconcile->arena, version);
}

static void on_object(struct gw_aws_object *object)
{
    struct check *check = gw_container_of(object, struct check, object);
    const struct gw_error *error = &object->call.error;
    struct gw_event event;
    struct gw_error why;

    if (error->code == GW_ERR_NOT_FOUND || error->code == GW_ERR_CONFLICT) {
        end_check(check, GW_RECONCILE_GONE);
    } else if (error->code == GW_ERR_TOO_LARGE) {
        end_check(check, GW_RECONCILE_UNREADABLE);
    } else if (error->code != GW_OK) {
        refused(check, error->code, error->text);
    } else if (gw_event_parse(&event, object->call.reply, &check->arena, &why) != GW_OK) {
        end_check(check, GW_RECONCILE_UNREADABLE);
    } else {
        take_version(check);
        ask_ledger(check, &event);
    }
}

static void start(struct gw_reconcile *r, struct gw_reconcile_candidate *candidate)
{
    struct check *check = gw_zalloc(sizeof(*check));

    check->reconcile = r;
    check->candidate = candidate;
    check->object = (struct gw_aws_object){
        .call = {.client = &r->cloud.aws->clients[GW_AWS_S3],
                 .arena = &check->arena,
                 .deadline_us = gw_env_mono_us(r->cloud.env) + GW_RECONCILE_CALL_US},
        .bucket = candidate->notice.bucket,
        .key = candidate->notice.key,
        .if_match = candidate->notice.etag,
        .bytes_max = r->settings.max_body_bytes,
        .done = on_object,
    };
    r->in_flight++;
    gw_aws_s3_get(&check->object);
}

static void check_next(struct gw_reconcile *r)
{
    while (!r->is_ending && r->next < r->count && r->in_flight < FLIGHT_MAX) {
        struct gw_reconcile_candidate *candidate = &r->candidates[r->next++];
        if (candidate->verdict == GW_RECONCILE_UNCHECKED)
            start(r, candidate);
    }
    if (r->in_flight == 0)
        gw_loop_stop(r->cloud.env);
}

static bool is_any_left(const struct gw_reconcile *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->candidates[i].verdict == GW_RECONCILE_UNCHECKED)
            return true;
    return false;
}

void gw_reconcile_check(struct gw_reconcile *r)
{
    for (unsigned tries = 1; is_any_left(r) && !r->is_ending; tries++) {
        r->next = 0;
        check_next(r);
        gw_loop_run(r->cloud.env);
        if (is_any_left(r) && !gw_reconcile_again(r, GW_ERR_BUSY, 0, tries))
            break;
    }
    for (size_t i = 0; i < r->count; i++)
        if (r->candidates[i].verdict == GW_RECONCILE_UNCHECKED)
            r->candidates[i].verdict = GW_RECONCILE_FAILED;
}
