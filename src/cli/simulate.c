/* simulate.c: `gwh simulate`: events like those of two producers, at a steady rate, to the API.
 *
 * A timer wakes for each event when it is due, or for several where they are closer than a
 * millisecond. Requests run beside each other, up to FLIGHT_MAX: beyond, the producer falls behind,
 * catches up as soon as it can, and says how late it was. Owns each request until its answer. The
 * first request that finds no server ends it; later ones are counted, for servers are restarted. One
 * thread. */
#include "base/alloc.h"
#include "base/check.h"
#include "cli/client.h"
#include "cli/synthetic.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/event.h"
#include "store/latency.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FLIGHT_MAX  256
#define AGAIN_MS    5    /* while as many as may be are under way */
#define LATE_S_TOLD 0.25 /* less is the machine's */
#define PROGRESS_MS 500
#define RATE_MAX    100000.0
#define APP_DEFAULT "acme"

struct tally {
    const char *type;
    int64_t sent, accepted, skipped, failed;
};

struct simulation {
    struct gw_client *client;
    struct gw_synthetic synthetic;
    double rate;
    int64_t count; /* 0 = until stopped */
    int64_t started_us;
    struct gw_timer tick;
    struct tally types[GW_SYNTHETIC_TYPES];
    struct tally all;
    int64_t in_flight;
    double late_s;                          /* at most */
    uint64_t latencies[GW_LATENCY_BUCKETS]; /* of those accepted */
    int64_t shown_us;
    bool is_ending;
    bool shows_progress;
    char last_error[200];
};

struct sending {
    struct gw_http_call call;
    struct simulation *simulation;
    struct tally *type;
    struct gw_arena arena;
};

/* ── Telling ───────────────────────────────────────────────────────────────────────────────── */

static double seconds(const struct simulation *s)
{
    return (double)(gw_env_mono_us(s->client->env) - s->started_us) / 1e6;
}

static void show_progress(struct simulation *s)
{
    int64_t now_us = gw_env_mono_us(s->client->env);

    if (!s->shows_progress || now_us - s->shown_us < PROGRESS_MS * 1000)
        return;
    s->shown_us = now_us;
    fprintf(stderr, "\r\x1b[K%lld accepted (%lld of them go nowhere), %lld failed, %.1f/s",
            (long long)s->all.accepted, (long long)s->all.skipped, (long long)s->all.failed,
            seconds(s) > 0 ? (double)s->all.accepted / seconds(s) : 0);
}

static const struct gw_table_column columns[] = {
    {.title = "TYPE"},
    {.title = "SENT", .is_right = true},
    {.title = "ACCEPTED", .is_right = true},
    {.title = "GO NOWHERE", .is_right = true},
    {.title = "FAILED", .is_right = true},
};

static void add_count(struct gw_table *table, int64_t count, enum gw_tone tone)
{
    gw_table_addf(table, count > 0 ? tone : GW_TONE_DIM, "%lld", (long long)count);
}

static void add_types(const struct simulation *s, const struct gw_term *term, struct gw_buf *out)
{
    struct gw_table table;

    gw_table_init(&table, columns, gw_count(columns));
    for (size_t i = 0; i < GW_SYNTHETIC_TYPES && s->types[i].type; i++) {
        gw_table_add(&table, gw_slice_from(s->types[i].type), GW_TONE_PLAIN);
        add_count(&table, s->types[i].sent, GW_TONE_PLAIN);
        add_count(&table, s->types[i].accepted, GW_TONE_GOOD);
        add_count(&table, s->types[i].skipped, GW_TONE_WARN);
        add_count(&table, s->types[i].failed, GW_TONE_BAD);
    }
    gw_table_print(&table, term, false, out);
    gw_table_deinit(&table);
}

static void add_ms(struct gw_buf *out, int64_t ms, const char *behind)
{
    if (ms == 0)
        gw_buf_addf(out, "less than 1 ms%s", behind);
    else
        gw_buf_addf(out, "%lld ms%s", (long long)ms, behind);
}

static void add_summary(const struct simulation *s, double took_s, struct gw_buf *out)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    struct gw_latency latency = gw_latency_read(s->latencies);

    add_types(s, &term, out);
    gw_buf_addf(out, "\n%lld accepted (%lld of them go nowhere), %lld failed, in %.1f s",
                (long long)s->all.accepted, (long long)s->all.skipped, (long long)s->all.failed,
                took_s);
    if (took_s > 0)
        gw_buf_addf(out, " (%.1f/s)", (double)s->all.sent / took_s);
    gw_buf_adds(out, GW_SLICE("\nanswered in "));
    add_ms(out, latency.p50_ms, " (half of them), ");
    add_ms(out, latency.p95_ms, " (95 %), ");
    add_ms(out, latency.p99_ms, " (99 %)\n");
    if (s->late_s > LATE_S_TOLD)
        gw_buf_addf(out, "up to %.1f s late: the server answers slower than --rate asks for\n",
                    s->late_s);
}

static void add_tally_json(const struct tally *tally, struct gw_buf *out)
{
    gw_buf_addf(out, "\"sent\":%lld,\"accepted\":%lld,\"skipped\":%lld,\"failed\":%lld",
                (long long)tally->sent, (long long)tally->accepted, (long long)tally->skipped,
                (long long)tally->failed);
}

static void add_json(const struct simulation *s, double took_s, struct gw_buf *out)
{
    struct gw_latency latency = gw_latency_read(s->latencies);

    gw_buf_addc(out, '{');
    add_tally_json(&s->all, out);
    gw_buf_addf(out, ",\"seconds\":%.3f,\"lateSeconds\":%.3f", took_s, s->late_s);
    gw_buf_addf(out, ",\"p50Ms\":%lld,\"p95Ms\":%lld,\"p99Ms\":%lld,\"types\":{",
                (long long)latency.p50_ms, (long long)latency.p95_ms, (long long)latency.p99_ms);
    for (size_t i = 0; i < GW_SYNTHETIC_TYPES && s->types[i].type; i++) {
        gw_buf_addf(out, "%s\"%s\":{", i > 0 ? "," : "", s->types[i].type);
        add_tally_json(&s->types[i], out);
        gw_buf_addc(out, '}');
    }
    gw_buf_adds(out, GW_SLICE("}}\n"));
}

static int report(struct simulation *s)
{
    double took_s = seconds(s);
    struct gw_buf out = {0};

    if (s->shows_progress)
        fputs("\r\x1b[K", stderr);
    if (s->client->json)
        add_json(s, took_s, &out);
    else if (s->all.accepted > 0)
        add_summary(s, took_s, &out);
    gw_term_flush(&out);
    gw_buf_deinit(&out);
    if (s->all.failed == 0)
        return GW_EXIT_DONE;
    return gw_term_fail(GW_EXIT_FAILED, "simulate: %s%s",
                        s->all.accepted > 0 ? "the last failure: " : "", s->last_error);
}

/* ── Sending ───────────────────────────────────────────────────────────────────────────────── */

static void maybe_stop(struct simulation *s)
{
    if (s->count > 0 && s->all.sent >= s->count)
        s->is_ending = true;
    if (s->is_ending && s->in_flight == 0)
        gw_loop_stop(s->client->env);
}

static void failed(struct simulation *s, const struct gw_http_call *call)
{
    struct gw_buf why = {0};

    if (call->end != GW_HTTP_ANSWERED) {
        gw_client_explain(s->client, call, &why);
        if (s->all.accepted == 0)
            s->is_ending = true; /* there never was one */
    } else {
        yyjson_doc *doc = yyjson_read(call->reply.ptr, call->reply.len, 0);
        gw_text_add_clean(&why, gw_client_text(yyjson_doc_get_root(doc), "error"), false);
        yyjson_doc_free(doc);
        if (why.len == 0)
            gw_buf_addf(&why, "status %d", call->status);
        if (call->status == 401 || call->status == 403)
            s->is_ending = true; /* it will not get better */
    }
    snprintf(s->last_error, sizeof(s->last_error), "%s", gw_buf_text(&why));
    gw_buf_deinit(&why);
}

static void on_sent(struct gw_http_call *call)
{
    struct sending *sending = gw_container_of(call, struct sending, call);
    struct simulation *s = sending->simulation;
    struct tally *type = sending->type;

    s->in_flight--;
    if (call->end == GW_HTTP_ANSWERED && call->status == 202) {
        yyjson_doc *doc = yyjson_read(call->reply.ptr, call->reply.len, 0);
        yyjson_val *result = yyjson_obj_get(yyjson_doc_get_root(doc), "result");
        bool is_skipped = yyjson_is_obj(yyjson_obj_get(result, "skipped"));
        yyjson_doc_free(doc);
        type->accepted++;
        s->all.accepted++;
        type->skipped += is_skipped;
        s->all.skipped += is_skipped;
        s->latencies[gw_latency_bucket(call->total_us / 1000)]++;
    } else {
        type->failed++;
        s->all.failed++;
        failed(s, call);
    }
    gw_arena_deinit(&sending->arena);
    gw_free(sending);
    show_progress(s);
    maybe_stop(s);
}

static struct tally *tally_of(struct simulation *s, const char *type)
{
    size_t i = 0;

    while (i < GW_SYNTHETIC_TYPES && s->types[i].type && strcmp(s->types[i].type, type) != 0)
        i++;
    gw_check(i < GW_SYNTHETIC_TYPES);
    s->types[i].type = type;
    return &s->types[i];
}

static void send_one(struct simulation *s)
{
    struct sending *sending = gw_zalloc(sizeof(*sending));
    struct gw_buf body = {0};
    uint8_t random[32];

    gw_env_random(s->client->env, random, sizeof(random));
    const char *type =
        gw_synthetic_event(&s->synthetic, gw_env_wall_ms(s->client->env), random, &body);
    struct gw_client_request request = {
        .method = "POST",
        .path = "/v1/events",
        .body = gw_arena_dup(&sending->arena, gw_buf_slice(&body)),
    };
    gw_buf_deinit(&body);
    sending->simulation = s;
    sending->type = tally_of(s, type);
    gw_client_prepare(s->client, &request, &sending->arena, &sending->call);
    sending->call.done = on_sent;
    sending->type->sent++;
    s->all.sent++;
    s->in_flight++;
    gw_env_http(s->client->env, &sending->call);
}

/* Seconds from the start at which the next one is due; the first is at once. */
static double next_due_s(const struct simulation *s)
{
    return (double)s->all.sent / s->rate;
}

static void on_tick(struct gw_timer *timer)
{
    struct simulation *s = gw_container_of(timer, struct simulation, tick);
    double now_s = seconds(s);
    bool is_left = true;

    while (!s->is_ending && is_left && s->in_flight < FLIGHT_MAX && next_due_s(s) <= now_s) {
        double late_s = now_s - next_due_s(s);
        if (late_s > s->late_s)
            s->late_s = late_s;
        send_one(s);
        is_left = s->count == 0 || s->all.sent < s->count;
    }
    maybe_stop(s);
    show_progress(s);
    double wait_ms = (next_due_s(s) - seconds(s)) * 1000;
    if (!s->is_ending && is_left)
        gw_env_timer_set(s->client->env, &s->tick,
                         wait_ms > PROGRESS_MS        ? PROGRESS_MS
                         : wait_ms > 1                ? (int64_t)wait_ms
                         : s->in_flight == FLIGHT_MAX ? AGAIN_MS
                                                      : 1);
}

static void on_signal(void *ctx, int number)
{
    struct simulation *s = ctx;

    (void)number;
    s->is_ending = true;
    gw_env_timer_stop(s->client->env, &s->tick);
    maybe_stop(s);
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int simulate(struct simulation *s)
{
    struct gw_env *env = s->client->env;

    gw_loop_on_signal(env, SIGINT, on_signal, s);
    gw_loop_on_signal(env, SIGTERM, on_signal, s);
    s->shows_progress = !s->client->json && isatty(STDERR_FILENO) == 1;
    s->started_us = gw_env_mono_us(env);
    s->tick.fire = on_tick;
    gw_env_timer_set(env, &s->tick, 0);
    gw_loop_run(env);
    return report(s);
}

static int read_rate(const char *text, double *rate)
{
    char *end;

    *rate = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(*rate > 0 && *rate <= RATE_MAX))
        return gw_term_fail(GW_EXIT_USAGE,
                            "simulate: --rate: must be events a second, above 0 and up to %.0f, "
                            "was \"%s\"",
                            RATE_MAX, text);
    return -1;
}

static int refuse_to(const char *to)
{
    if (!gw_slice_starts(gw_slice_from(to), GW_SLICE("s3://")))
        return gw_term_fail(
            GW_EXIT_USAGE,
            "simulate: --to: must be s3://BUCKET, was \"%s\" (the server to post to "
            "is GWH_URL)",
            to);
    return gw_term_fail(GW_EXIT_USAGE, "simulate: --to: S3 is not there yet; without --to, events "
                                       "are posted to GWH_URL");
}

static int check_apps(const struct gw_option_list *apps)
{
    struct gw_error error;

    for (size_t i = 0; i < apps->count; i++)
        if (gw_name_check("--app", gw_slice_from(apps->items[i]), &error) != GW_OK)
            return gw_term_fail(GW_EXIT_USAGE, "simulate: %s", error.text);
    return -1;
}

static int run(int argc, char **argv)
{
    static const char *const default_app[] = {APP_DEFAULT};
    struct gw_client_options common = {0};
    struct gw_option_list apps = {0};
    struct gw_client client = {0};
    struct simulation s = {.client = &client};
    const char *rate = "1", *to = NULL;
    const struct gw_option rows[] = {
        {.name = "rate", .value = "R", .help = "events a second (1)", .text = &rate},
        {.name = "count",
         .value = "N",
         .help = "end after so many; else Ctrl-C does",
         .number = &s.count,
         .min = 1,
         .max = INT64_MAX},
        {.name = "app",
         .value = "APP",
         .help = "appId of the events (" APP_DEFAULT "); again for more",
         .list = &apps},
        {.name = "to",
         .value = "s3://BUCKET",
         .help = "put them there, instead of posting them; not there yet",
         .text = &to},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_simulate_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_min = 1,
                                 .words_max = 1};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && !gw_producer_parse(gw_slice_from(options.words[0]), &s.synthetic.producer))
        code = gw_term_fail(GW_EXIT_USAGE,
                            "simulate: there is no producer \"%s\": audit-portal or link-kyc",
                            options.words[0]);
    if (code < 0)
        code = read_rate(rate, &s.rate);
    if (code < 0 && to)
        code = refuse_to(to);
    if (code < 0)
        code = check_apps(&apps);
    if (code < 0)
        code = gw_client_open(&client, &common);
    if (code < 0) {
        s.synthetic.apps = apps.count > 0 ? apps.items : default_app;
        s.synthetic.app_count = apps.count > 0 ? apps.count : 1;
        code = simulate(&s);
    }
    gw_client_close(&client);
    gw_option_list_deinit(&apps);
    return code;
}

const struct gw_command gw_simulate_command = {
    .name = "simulate",
    .summary = "events like those of two producers, for trying things out",
    .usage = "simulate audit-portal|link-kyc [--rate R] [--count N] [options]",
    .example = "gwh simulate audit-portal --rate 2 --app acme\n"
               "gwh simulate link-kyc --rate 100 --count 1000",
    .notes =
        "Everything in them is made up: transactions that begin, go on and end, links that are\n"
        "started or opened too late. Ctrl-C ends it and waits for the last answers; then it\n"
        "says what came of them. Exit 1 when one was not accepted.",
    .is_client = true,
    .main = run,
};
