/* dynamodb_change.c: a change of configs or keys and its line of the audit log, in one transaction.
 *
 *   numbers ─▶ transaction: the change, and its line ─▶ next
 *                  └─ no answer, or refused ─▶ is the line there? ─▶ next
 *
 * A line lies in up to three partitions, so that each list of lines is one Query: "audit" (all),
 * "audit#APP", and, of a config's history, "history#HASH", for an eventType and its app together are
 * too long for a key. Its number is its time and, of those of one millisecond, its turn; that is taken
 * from a counter, which also gives lanes their numbers: what a failure leaves unused is never given
 * again. Only once in a million lines, where the turns begin again, can two of one millisecond change
 * places. All lines share a partition, which takes a thousand a second: people make changes.
 *
 * Owns nothing; the thread is the run's. */
#include "store/dynamodb_impl.h"

#include "base/check.h"
#include "store/admin_doc.h"

#include <inttypes.h>

#define NUMBERS    GW_SLICE("numbers") /* pk and sk of the counter */
#define TURN_MAX   (((uint64_t)1 << DYNAMODB_TURN_BITS) - 1)
#define NAME_BYTES 1024 /* of a key, at most; of our names, 256 characters */

_Static_assert(GW_AUDIT_AT_END - 1 <= INT64_MAX >> DYNAMODB_TURN_BITS, "a time has its turns");

bool dynamodb_is_name(struct gw_slice text)
{
    return text.len > 0 && text.len <= NAME_BYTES && gw_slice_is_utf8(text);
}

/* ── Where lines lie ───────────────────────────────────────────────────────────────────────── */

struct gw_slice dynamodb_line_pk(struct dynamodb_run *run, struct gw_slice app_id)
{
    if (app_id.len == 0)
        return GW_SLICE("audit");
    return gw_slice_from(gw_arena_printf(&run->arena, "audit#%.*s", GW_SLICE_ARG(app_id)));
}

struct gw_slice dynamodb_line_subject(struct dynamodb_run *run, struct gw_slice app_id,
                                      struct gw_slice subject)
{
    struct gw_slice parts[] = {GW_SLICE("subject"), app_id, subject};

    return dynamodb_hash_text(run->store, &run->arena, parts, gw_count(parts));
}

struct gw_slice dynamodb_line_history(struct dynamodb_run *run, struct gw_slice app_id,
                                      struct gw_slice subject)
{
    struct gw_slice hash = dynamodb_line_subject(run, app_id, subject);

    return gw_slice_from(gw_arena_printf(&run->arena, "history#%.*s", GW_SLICE_ARG(hash)));
}

struct gw_slice dynamodb_line_sk(struct dynamodb_run *run, uint64_t number)
{
    return gw_slice_from(gw_arena_printf(&run->arena, "%019" PRIu64, number));
}

/* ── Numbers ───────────────────────────────────────────────────────────────────────────────── */

static void on_numbers(struct dynamodb_run *run)
{
    struct dynamodb_line *line = &run->line;
    int64_t last;

    if (dynamodb_err(run) != GW_OK) {
        dynamodb_fail(run, &run->db.call);
        return;
    }
    if (!gw_aws_dynamodb_take_number(run->db.attributes, "last", &last) || last <= 0) {
        dynamodb_done(run, GW_ERR_CORRUPT);
        return;
    }
    /* The last is the line's; those before it are the lanes'. */
    line->first_lane = (uint64_t)last - line->lane_count;
    line->number =
        ((uint64_t)line->audit->at_ms << DYNAMODB_TURN_BITS) | (1 + (uint64_t)last % TURN_MAX);
    line->then(run);
}

void dynamodb_line_begin(struct dynamodb_run *run, const struct gw_audit *audit, size_t lanes,
                         dynamodb_fn *then)
{
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_UPDATE_ITEM, DYNAMODB_ADMIN);

    run->line = (struct dynamodb_line){.audit = audit, .lane_count = lanes, .then = then};
    dynamodb_put_key(run, db->root, NUMBERS, NUMBERS);
    dynamodb_put_expression(run, db->root, "UpdateExpression", "ADD #last :count");
    gw_aws_dynamodb_put_number(db, dynamodb_values(run, db->root), ":count", (int64_t)lanes + 1);
    dynamodb_put(run, db->root, "ReturnValues", "UPDATED_NEW");
    dynamodb_send(run, on_numbers);
}

bool dynamodb_line_check(struct dynamodb_run *run, const struct gw_audit *audit)
{
    enum gw_err err = gw_audit_check(audit);

    if (err != GW_OK)
        dynamodb_done(run, err);
    return err == GW_OK;
}

/* ── Transactions ──────────────────────────────────────────────────────────────────────────── */

void dynamodb_change_begin(struct dynamodb_run *run)
{
    struct gw_aws_dynamodb *db = dynamodb_request(run, GW_AWS_TRANSACT_WRITE);

    run->line.parts = 0;
    yyjson_mut_obj_add_arr(db->doc, db->root, "TransactItems");
}

yyjson_mut_val *dynamodb_change_add(struct dynamodb_run *run, const char *verb,
                                    enum dynamodb_table table)
{
    yyjson_mut_val *list = yyjson_mut_obj_get(run->db.root, "TransactItems");
    yyjson_mut_val *part = yyjson_mut_arr_add_obj(run->db.doc, list);
    yyjson_mut_val *inner = gw_aws_dynamodb_object(&run->db, part, verb);

    gw_check(++run->line.parts <= DYNAMODB_TRANSACT_MAX);
    dynamodb_put(run, inner, "TableName", run->store->tables[table]);
    return inner;
}

static void add_line(struct dynamodb_run *run, struct gw_slice pk, struct gw_slice sealed)
{
    const struct gw_audit *audit = run->line.audit;
    struct gw_aws_dynamodb *db = &run->db;
    int64_t keep_ms = run->store->options.audit_keep_ms;
    yyjson_mut_val *put = dynamodb_change_add(run, "Put", DYNAMODB_ADMIN);
    yyjson_mut_val *item = gw_aws_dynamodb_object(db, put, "Item");

    gw_aws_dynamodb_put_text(db, item, "pk", pk);
    gw_aws_dynamodb_put_text(db, item, "sk", dynamodb_line_sk(run, run->line.number));
    if (audit->app_id.ptr)
        gw_aws_dynamodb_put_text(db, item, "app", audit->app_id);
    if (audit->subject.ptr)
        gw_aws_dynamodb_put_text(db, item, "subject",
                                 dynamodb_line_subject(run, audit->app_id, audit->subject));
    gw_aws_dynamodb_put_bool(db, item, "config", gw_audit_is_config(audit));
    gw_aws_dynamodb_put_bytes(db, item, "line", sealed);
    if (keep_ms > 0)
        gw_aws_dynamodb_put_number(db, item, "ttl", (audit->at_ms + keep_ms) / 1000);
}

/* Sealed for what it says, wherever it lies. */
static void add_lines(struct dynamodb_run *run)
{
    const struct gw_audit *audit = run->line.audit;
    struct gw_slice sk = dynamodb_line_sk(run, run->line.number);
    struct gw_buf text = {0};

    gw_admin_doc_write_line(audit, &text);
    struct gw_slice sealed =
        dynamodb_seal(run->store, &run->arena, audit->app_id, sk, "line", gw_buf_slice(&text));
    gw_buf_deinit(&text);
    add_line(run, dynamodb_line_pk(run, (struct gw_slice){0}), sealed);
    if (dynamodb_is_name(audit->app_id))
        add_line(run, dynamodb_line_pk(run, audit->app_id), sealed);
    if (gw_audit_is_config(audit) && audit->app_id.len > 0 && audit->subject.len > 0)
        add_line(run, dynamodb_line_history(run, audit->app_id, audit->subject), sealed);
}

static struct gw_slice reason_of(const struct dynamodb_run *run, size_t part)
{
    return gw_aws_json_text(yyjson_arr_get(run->db.reasons, part), "Code");
}

bool dynamodb_change_is_refused(const struct dynamodb_run *run, size_t part)
{
    return gw_slice_is(reason_of(run, part), "ConditionalCheckFailed");
}

bool dynamodb_change_met_another(const struct dynamodb_run *run)
{
    for (size_t i = 0; i < run->line.parts; i++)
        if (dynamodb_change_is_refused(run, i) ||
            gw_slice_is(reason_of(run, i), "TransactionConflict"))
            return true;
    return false;
}

static void on_looked(struct dynamodb_run *run)
{
    if (dynamodb_err(run) == GW_OK && run->db.item == NULL) { /* else it is done, or nobody knows */
        run->db.call.error = run->line.unsure;
        run->db.reasons = run->line.reasons;
    }
    run->line.then(run);
}

/* What is not known is known by the line, which came with the change or not at all. It is not known
 * who the other writer is, where there is one: a request whose connection broke is sent once more,
 * and then finds itself. */
static void on_sent(struct dynamodb_run *run)
{
    if (!dynamodb_is_unsure(run) && !dynamodb_change_met_another(run)) {
        run->line.then(run);
        return;
    }
    run->line.unsure = run->db.call.error;
    run->line.reasons = run->db.reasons;
    struct gw_aws_dynamodb *db = dynamodb_request_on(run, GW_AWS_GET_ITEM, DYNAMODB_ADMIN);
    dynamodb_put_key(run, db->root, dynamodb_line_pk(run, (struct gw_slice){0}),
                     dynamodb_line_sk(run, run->line.number));
    dynamodb_put_flag(run, db->root, "ConsistentRead");
    dynamodb_send(run, on_looked);
}

void dynamodb_change_send(struct dynamodb_run *run, dynamodb_fn *next)
{
    run->line.then = next;
    add_lines(run);
    dynamodb_send(run, on_sent);
}
