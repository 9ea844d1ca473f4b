/* reconcile.c: `gwh reconcile`: finds objects that should be events and that the ledger does not know,
 * and has them told to the queue, as S3 should have done.
 *
 * Page after page of the bucket: listed, checked, told. Nothing is kept between pages but numbers, and
 * nothing anywhere else: a run that is cut off is made again from the beginning, and telling of what
 * is known does no harm. What was written in the last minutes is left alone, for it may be on its way.
 * One thread; everything waits for everything before it, but for the checks of a page. */
#include "app/store_aws.h"
#include "aws/sqs.h"
#include "base/alloc.h"
#include "cli/options.h"
#include "cli/pause.h"
#include "cli/reconcile_impl.h"
#include "cli/term.h"
#include "cli/text.h"
#include "sys/loop.h"

#include <stdio.h>
#include <unistd.h>

#define OBJECT_NAME   "webhook.json"
#define SINCE_DEFAULT "24h"
#define UNTIL_DEFAULT "15m"
#define TRIES_MAX     5
#define PAUSE_MS      200 /* and twice as long each time */
#define DAY_MS        86400000LL

extern char **environ;

/* ── Trying again ──────────────────────────────────────────────────────────────────────────── */

void gw_reconcile_failed(struct gw_reconcile *r, const char *why)
{
    snprintf(r->last_error, sizeof(r->last_error), "%s", why);
}

bool gw_reconcile_again(struct gw_reconcile *r, enum gw_err err, int64_t after_ms, unsigned tries)
{
    int64_t pause_ms = (int64_t)PAUSE_MS << tries;

    if (gw_err_class(err) != GW_CLASS_AGAIN || tries >= TRIES_MAX)
        return false;
    gw_pause(r->cloud.env, after_ms > pause_ms ? after_ms : pause_ms);
    return true;
}

/* ── Telling how far it is ─────────────────────────────────────────────────────────────────── */

static void clear_progress(const struct gw_reconcile *r)
{
    if (r->shows_progress)
        fputs("\r\x1b[K", stderr);
}

static void show_progress(const struct gw_reconcile *r)
{
    if (r->shows_progress)
        fprintf(stderr, "\r\x1b[K%lld objects, %lld events checked, %lld unknown",
                (long long)r->objects, (long long)r->events,
                (long long)r->verdicts[GW_RECONCILE_UNKNOWN]);
}

static void complain_of(const struct gw_reconcile *r,
                        const struct gw_reconcile_candidate *candidate)
{
    struct gw_buf key = {0};

    clear_progress(r);
    gw_text_add_clean(&key, candidate->notice.key, false);
    gw_term_fail(GW_EXIT_FAILED, "reconcile: %s: is no event", gw_buf_text(&key));
    gw_buf_deinit(&key);
}

/* ── A page of the bucket ──────────────────────────────────────────────────────────────────── */

static void on_listed(struct gw_aws_list *list)
{
    gw_loop_stop(list->call.client->env);
}

static bool list_page(struct gw_reconcile *r, struct gw_slice token, struct gw_aws_list *list)
{
    for (unsigned tries = 1;; tries++) {
        *list = (struct gw_aws_list){
            .call = {.client = &r->cloud.aws->clients[GW_AWS_S3],
                     .arena = &r->arena,
                     .deadline_us = gw_env_mono_us(r->cloud.env) + GW_RECONCILE_CALL_US},
            .bucket = r->place.bucket,
            .prefix = r->place.prefix,
            .token = token,
            .done = on_listed,
        };
        gw_aws_s3_list(list);
        gw_loop_run(r->cloud.env);
        const struct gw_aws_call *call = &list->call;
        if (call->error.code == GW_OK)
            return true;
        if (!gw_reconcile_again(r, call->error.code, call->retry_after_ms, tries)) {
            gw_reconcile_failed(r, call->error.text);
            return false;
        }
    }
}

static bool is_event(const struct gw_reconcile *r, const struct gw_aws_listed *item)
{
    return (gw_slice_is(item->key, OBJECT_NAME) ||
            gw_slice_ends(item->key, GW_SLICE("/" OBJECT_NAME))) &&
           item->modified_ms >= r->from_ms && item->modified_ms < r->to_ms;
}

static void choose(struct gw_reconcile *r, const struct gw_aws_list *list)
{
    r->candidates = gw_arena_zalloc(&r->arena, (list->count + 1) * sizeof(*r->candidates));
    r->count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (is_event(r, &list->items[i]))
            r->candidates[r->count++].notice = (struct gw_aws_notice){
                .bucket = r->place.bucket,
                .key = list->items[i].key,
                .etag = gw_aws_etag_bare(list->items[i].etag),
                .size = list->items[i].size,
            };
    r->objects += (int64_t)list->count;
}

/* ── What S3 should have said ──────────────────────────────────────────────────────────────── */

static void on_batch(struct gw_aws_batch *batch)
{
    gw_loop_stop(batch->call.client->env);
}

/* Keeps the entries that were not taken; returns the error of one of them. */
static enum gw_err take_result(struct gw_reconcile *r, struct gw_aws_batch *batch)
{
    enum gw_err err = GW_OK;
    size_t left = 0;

    for (size_t i = 0; i < batch->count; i++) {
        if (batch->entries[i].err == GW_OK)
            continue;
        err = batch->entries[i].err;
        batch->entries[left++] = batch->entries[i];
    }
    r->sent += (int64_t)(batch->count - left);
    batch->count = left;
    if (err != GW_OK)
        gw_reconcile_failed(r, batch->call.error.code != GW_OK ? batch->call.error.text
                                                               : "sqs: a message was not taken");
    return err;
}

static void send_batch(struct gw_reconcile *r, struct gw_aws_batch *batch)
{
    enum gw_err err;
    unsigned tries = 0;

    if (batch->count == 0 || r->is_ending)
        return;
    do {
        batch->call = (struct gw_aws_call){
            .client = &r->cloud.aws->clients[GW_AWS_SQS],
            .arena = &r->arena,
            .deadline_us = gw_env_mono_us(r->cloud.env) + GW_RECONCILE_CALL_US,
        };
        batch->queue_url = gw_slice_from(r->settings.queue_url);
        batch->done = on_batch;
        gw_aws_sqs_send(batch);
        gw_loop_run(r->cloud.env);
        err = take_result(r, batch);
    } while (err != GW_OK && gw_reconcile_again(r, err, batch->call.retry_after_ms, ++tries));
    r->is_ending = err != GW_OK;
    batch->count = 0;
}

static void tell_queue(struct gw_reconcile *r)
{
    struct gw_aws_batch batch = {0};

    for (size_t i = 0; i < r->count; i++) {
        if (r->candidates[i].verdict != GW_RECONCILE_UNKNOWN)
            continue;
        batch.entries[batch.count++] = (struct gw_aws_entry){
            .body = gw_aws_notice_write(&r->candidates[i].notice, "gwh reconcile", &r->arena)};
        if (batch.count == GW_AWS_SQS_BATCH_MAX)
            send_batch(r, &batch);
    }
    send_batch(r, &batch);
}

static void do_page(struct gw_reconcile *r)
{
    gw_reconcile_check(r);
    r->events += (int64_t)r->count;
    for (size_t i = 0; i < r->count; i++) {
        r->verdicts[r->candidates[i].verdict]++;
        if (r->candidates[i].verdict == GW_RECONCILE_UNREADABLE)
            complain_of(r, &r->candidates[i]);
    }
    show_progress(r);
    if (!r->is_dry)
        tell_queue(r);
}

static void do_bucket(struct gw_reconcile *r)
{
    struct gw_aws_list list;
    struct gw_buf token = {0};

    do {
        gw_arena_reset(&r->arena);
        struct gw_slice from = token.len > 0 ? gw_buf_slice(&token) : (struct gw_slice){0};
        if (!list_page(r, from, &list)) {
            r->is_ending = true;
            break;
        }
        gw_buf_clear(&token);
        gw_buf_adds(&token, list.next);
        choose(r, &list);
        do_page(r);
    } while (token.len > 0 && !r->is_ending);
    gw_buf_deinit(&token);
    gw_arena_deinit(&r->arena);
}

/* ── Telling what came of it ───────────────────────────────────────────────────────────────── */

static void add_json(const struct gw_reconcile *r, struct gw_buf *out)
{
    gw_buf_addf(
        out,
        "{\"objects\":%lld,\"events\":%lld,\"known\":%lld,\"unknown\":%lld,"
        "\"sent\":%lld,\"gone\":%lld,\"unreadable\":%lld,\"failed\":%lld}\n",
        (long long)r->objects, (long long)r->events, (long long)r->verdicts[GW_RECONCILE_KNOWN],
        (long long)r->verdicts[GW_RECONCILE_UNKNOWN], (long long)r->sent,
        (long long)r->verdicts[GW_RECONCILE_GONE], (long long)r->verdicts[GW_RECONCILE_UNREADABLE],
        (long long)r->verdicts[GW_RECONCILE_FAILED]);
}

static void add_count(struct gw_buf *out, int64_t count, const char *what)
{
    if (count > 0)
        gw_buf_addf(out, ", %lld %s", (long long)count, what);
}

static void add_summary(const struct gw_reconcile *r, struct gw_buf *out)
{
    gw_buf_addf(out, "%lld objects, of which %lld are events of this time: %lld known, %lld not",
                (long long)r->objects, (long long)r->events,
                (long long)r->verdicts[GW_RECONCILE_KNOWN],
                (long long)r->verdicts[GW_RECONCILE_UNKNOWN]);
    add_count(out, r->verdicts[GW_RECONCILE_GONE], "replaced or deleted meanwhile");
    add_count(out, r->verdicts[GW_RECONCILE_UNREADABLE], "that are no events");
    add_count(out, r->verdicts[GW_RECONCILE_FAILED], "of which nobody knows");
    if (r->is_dry)
        gw_buf_addf(out, "\nnothing was sent (--dry-run)\n");
    else
        gw_buf_addf(out, "\n%lld sent to the queue\n", (long long)r->sent);
}

static int report(struct gw_reconcile *r)
{
    bool is_well = !r->is_ending && r->verdicts[GW_RECONCILE_FAILED] == 0;
    bool is_answer_no = r->verdicts[GW_RECONCILE_UNREADABLE] > 0 ||
                        (r->is_dry && r->verdicts[GW_RECONCILE_UNKNOWN] > 0);
    struct gw_buf out = {0};

    clear_progress(r);
    if (r->json)
        add_json(r, &out);
    else
        add_summary(r, &out);
    gw_term_flush(&out);
    gw_buf_deinit(&out);
    if (!is_well)
        return gw_term_fail(GW_EXIT_FAILED, "reconcile: not everything was seen: %s",
                            r->last_error);
    return is_answer_no ? GW_EXIT_FAILED : GW_EXIT_DONE;
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int reconcile(struct gw_reconcile *r)
{
    struct gw_error error;
    int code = gw_cloud_open(&r->cloud);

    if (code < 0 &&
        gw_store_aws_open(&r->settings, false, r->cloud.env, &r->store, &error) != GW_OK)
        code = gw_term_fail(GW_EXIT_START, "%s", error.text);
    if (code < 0) {
        int64_t now_ms = gw_env_wall_ms(r->cloud.env);
        gw_dynamodb_join(r->store, r->cloud.env, r->cloud.aws);
        r->from_ms = now_ms - r->from_ms;
        r->to_ms = now_ms - r->to_ms;
        do_bucket(r);
        code = report(r);
    }
    gw_dynamodb_destroy(r->store);
    gw_cloud_close(&r->cloud);
    return code;
}

/* "90s", "15m", "24h", "7d"; up to the ledger's memory: what it has forgotten would be sent anew. */
static int read_ago(const struct gw_reconcile *r, const char *name, const char *text,
                    int64_t *ago_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', DAY_MS}};
    size_t len = strlen(text);
    uint64_t number;

    for (size_t i = 0; len > 1 && i < gw_count(units); i++) {
        if (text[len - 1] != units[i].unit ||
            !gw_slice_u64((struct gw_slice){text, len - 1}, &number) || number > INT32_MAX)
            continue;
        *ago_ms = (int64_t)number * units[i].ms;
        if (*ago_ms <= r->settings.retention_days * DAY_MS)
            return -1;
    }
    return gw_term_fail(GW_EXIT_USAGE,
                        "reconcile: --%s: must be a time like 90s, 15m, 24h or 7d, within the "
                        "retention of %lld days, was \"%s\"",
                        name, (long long)r->settings.retention_days, text);
}

/* What the command and the environment say, checked as those of a worker are. */
static int read_settings(struct gw_reconcile *r, const char *queue_url, const char *tables,
                         const char *key_file)
{
    char *args[6];
    int count = 0;
    struct gw_error error;

    const struct {
        const char *flag, *value;
    } given[] = {{"--queue-url", queue_url}, {"--tables", tables}, {"--master-key-file", key_file}};
    for (size_t i = 0; i < gw_count(given); i++) {
        if (given[i].value == NULL)
            continue;
        args[count++] = (char *)(uintptr_t)given[i].flag;
        args[count++] = (char *)(uintptr_t)given[i].value;
    }
    if (gw_settings_parse(&r->settings, count, args, environ, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_USAGE, "reconcile: %s", error.text);
    if (!r->is_dry && r->settings.queue_url == NULL)
        return gw_term_fail(GW_EXIT_USAGE,
                            "reconcile: --queue-url: must be given, or GWH_QUEUE_URL be set");
    return -1;
}

static int run(int argc, char **argv)
{
    struct gw_reconcile r = {0};
    const char *since = SINCE_DEFAULT, *until = UNTIL_DEFAULT;
    const char *queue_url = NULL, *tables = NULL, *key_file = NULL;
    int is_dry = 0, json = 0;
    const struct gw_option rows[] = {
        {.name = "since",
         .value = "AGO",
         .help = "how old an object may be: 90m, 24h, 7d (" SINCE_DEFAULT ")",
         .text = &since},
        {.name = "until",
         .value = "AGO",
         .help = "what is younger is left alone, it may be on its way (" UNTIL_DEFAULT ")",
         .text = &until},
        {.name = "dry-run", .help = "send nothing; exit 1 when one is unknown", .flag = &is_dry},
        {.name = "queue-url",
         .value = "URL",
         .help = "the queue that the workers read (GWH_QUEUE_URL)",
         .text = &queue_url},
        {.name = "tables",
         .value = "TEXT",
         .help = "what the names of the tables begin with (GWH_TABLES)",
         .text = &tables},
        {.name = "master-key-file",
         .value = "FILE",
         .help = "that of the workers (GWH_MASTER_KEY_FILE, GWH_MASTER_KEY)",
         .text = &key_file},
        {.name = "json", .help = "print JSON, for programs", .flag = &json},
    };
    struct gw_options options = {.command = &gw_reconcile_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_min = 1,
                                 .words_max = 1};

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    gw_log_level_set(GW_LOG_WARN); /* a command is no server */
    r.is_dry = is_dry > 0;
    r.json = json > 0;
    r.shows_progress = !r.json && isatty(STDERR_FILENO) == 1;
    if (!gw_cloud_place_parse(&r.place, options.words[0]))
        return gw_term_fail(GW_EXIT_USAGE,
                            "reconcile: must be s3://BUCKET or s3://BUCKET/PREFIX, was \"%s\"",
                            options.words[0]);
    code = read_settings(&r, queue_url, tables, key_file);
    if (code < 0)
        code = read_ago(&r, "since", since, &r.from_ms);
    if (code < 0)
        code = read_ago(&r, "until", until, &r.to_ms);
    if (code < 0)
        code = reconcile(&r);
    gw_settings_deinit(&r.settings);
    return code;
}

const struct gw_command gw_reconcile_command = {
    .name = "reconcile",
    .summary = "find events in a bucket that no notice announced, and feed them in",
    .usage = "reconcile s3://BUCKET [--since AGO] [--dry-run] [options]",
    .example = "gwh reconcile s3://acme-events --since 24h --dry-run\n"
               "gwh reconcile s3://acme-events --since 24h",
    .notes =
        "Lists the objects …/webhook.json of the bucket, or below s3://BUCKET/PREFIX, reads those\n"
        "of that time, and asks the ledger for each. What it does not know is announced to the\n"
        "queue as S3 would have done it; a worker then takes it as any other event. May be\n"
        "repeated and broken off: what is known already is not sent again. An object that is no\n"
        "event is named, and makes it exit 1. AWS's standard variables say where AWS is and with\n"
        "which keys: AWS_REGION, AWS_PROFILE and the others.",
    .main = run,
};
