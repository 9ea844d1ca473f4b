/* simulate.c: `gwh simulate`: events like those of two producers, at a steady rate, to the API or to
 * a bucket.
 *
 * A timer wakes for each event when it is due, or for several where they are closer than a
 * millisecond. Requests run beside each other, up to FLIGHT_MAX: beyond, the producer falls behind,
 * catches up as soon as it can, and says how late it was. An event is its destination's until it is
 * accepted or has failed. One thread. */
#include "base/alloc.h"
#include "base/check.h"
#include "cli/simulate_impl.h"
#include "cli/term.h"
#include "core/event.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FLIGHT_MAX   256
#define AGAIN_MS     5   /* while as many as may be are under way */
#define SLEEP_MS_MAX 500 /* so that progress is shown */
#define RATE_MAX     100000.0
#define APP_DEFAULT  "acme"

/* ── Sending ───────────────────────────────────────────────────────────────────────────────── */

static void maybe_stop(struct gw_simulation *s)
{
    if (s->count > 0 && s->all.sent >= s->count)
        s->is_ending = true;
    if (s->is_ending && s->in_flight == 0)
        gw_loop_stop(s->env);
}

static void end_event(struct gw_simulate_event *event)
{
    struct gw_simulation *s = event->simulation;

    gw_arena_deinit(&event->arena);
    gw_free(event);
    s->in_flight--;
    gw_simulate_show_progress(s);
    maybe_stop(s);
}

void gw_simulate_accepted(struct gw_simulate_event *event, bool is_skipped, int64_t took_us)
{
    struct gw_simulation *s = event->simulation;

    event->type->accepted++;
    s->all.accepted++;
    event->type->skipped += is_skipped;
    s->all.skipped += is_skipped;
    s->latencies[gw_latency_bucket(took_us / 1000)]++;
    end_event(event);
}

void gw_simulate_failed(struct gw_simulate_event *event, const char *why, bool is_hopeless)
{
    struct gw_simulation *s = event->simulation;

    event->type->failed++;
    s->all.failed++;
    if (is_hopeless)
        s->is_ending = true;
    snprintf(s->last_error, sizeof(s->last_error), "%s", why);
    end_event(event);
}

static struct gw_simulate_tally *tally_of(struct gw_simulation *s, const char *type)
{
    size_t i = 0;

    while (i < GW_SYNTHETIC_TYPES && s->types[i].type && strcmp(s->types[i].type, type) != 0)
        i++;
    gw_check(i < GW_SYNTHETIC_TYPES);
    s->types[i].type = type;
    return &s->types[i];
}

static void send_one(struct gw_simulation *s)
{
    struct gw_simulate_event *event = gw_zalloc(sizeof(*event));
    struct gw_buf body = {0};
    uint8_t random[32];

    gw_env_random(s->env, random, sizeof(random));
    const char *type = gw_synthetic_event(&s->synthetic, gw_env_wall_ms(s->env), random, &body);
    event->simulation = s;
    event->type = tally_of(s, type);
    event->body = gw_arena_dup(&event->arena, gw_buf_slice(&body));
    gw_buf_deinit(&body);
    event->type->sent++;
    s->all.sent++;
    s->in_flight++;
    s->to->send(s, event);
}

/* Seconds from the start at which the next one is due; the first is at once. */
static double next_due_s(const struct gw_simulation *s)
{
    return (double)s->all.sent / s->rate;
}

static void on_tick(struct gw_timer *timer)
{
    struct gw_simulation *s = gw_container_of(timer, struct gw_simulation, tick);
    double now_s = gw_simulate_seconds(s);
    bool is_left = true;

    while (!s->is_ending && is_left && s->in_flight < FLIGHT_MAX && next_due_s(s) <= now_s) {
        double late_s = now_s - next_due_s(s);
        if (late_s > s->late_s)
            s->late_s = late_s;
        send_one(s);
        is_left = s->count == 0 || s->all.sent < s->count;
    }
    maybe_stop(s);
    gw_simulate_show_progress(s);
    double wait_ms = (next_due_s(s) - gw_simulate_seconds(s)) * 1000;
    if (!s->is_ending && is_left)
        gw_env_timer_set(s->env, &s->tick,
                         wait_ms > SLEEP_MS_MAX       ? SLEEP_MS_MAX
                         : wait_ms > 1                ? (int64_t)wait_ms
                         : s->in_flight == FLIGHT_MAX ? AGAIN_MS
                                                      : 1);
}

static void on_signal(void *ctx, int number)
{
    struct gw_simulation *s = ctx;

    (void)number;
    s->is_ending = true;
    gw_env_timer_stop(s->env, &s->tick);
    maybe_stop(s);
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int simulate(struct gw_simulation *s)
{
    int code = s->to->open(s);

    if (code < 0) {
        gw_loop_on_signal(s->env, SIGINT, on_signal, s);
        gw_loop_on_signal(s->env, SIGTERM, on_signal, s);
        s->shows_progress = !s->json && isatty(STDERR_FILENO) == 1;
        s->started_us = gw_env_mono_us(s->env);
        s->tick.fire = on_tick;
        gw_env_timer_set(s->env, &s->tick, 0);
        gw_loop_run(s->env);
        code = gw_simulate_report(s);
    }
    s->to->close(s);
    return code;
}

static int read_producer(const char *text, enum gw_producer *producer)
{
    if (!gw_producer_parse(gw_slice_from(text), producer))
        return gw_term_fail(
            GW_EXIT_USAGE, "simulate: there is no producer \"%s\": audit-portal or link-kyc", text);
    return -1;
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

static int read_to(const char *to, struct gw_simulation *s)
{
    s->to = to ? &gw_simulate_s3 : &gw_simulate_api;
    if (to && !gw_cloud_place_parse(&s->place, to))
        return gw_term_fail(
            GW_EXIT_USAGE,
            "simulate: --to: must be s3://BUCKET or s3://BUCKET/PREFIX, was \"%s\" (the server to "
            "post to is GWH_URL)",
            to);
    return -1;
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
    struct gw_simulation s = {.options = &common};
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
         .help = "put them there, or under s3://BUCKET/PREFIX, instead of posting them",
         .text = &to},
        GW_CLIENT_OPTIONS(common)};
    struct gw_options options = {.command = &gw_simulate_command,
                                 .rows = rows,
                                 .count = gw_count(rows),
                                 .words_min = 1,
                                 .words_max = 1};

    int code = gw_options_take(&options, argc, argv);
    if (code < 0)
        code = read_producer(options.words[0], &s.synthetic.producer);
    if (code < 0)
        code = read_rate(rate, &s.rate);
    if (code < 0)
        code = read_to(to, &s);
    if (code < 0)
        code = check_apps(&apps);
    if (code < 0) {
        s.json = common.json > 0;
        s.synthetic.apps = apps.count > 0 ? apps.items : default_app;
        s.synthetic.app_count = apps.count > 0 ? apps.count : 1;
        code = simulate(&s);
    }
    gw_option_list_deinit(&apps);
    return code;
}

const struct gw_command gw_simulate_command = {
    .name = "simulate",
    .summary = "events like those of two producers, for trying things out",
    .usage = "simulate audit-portal|link-kyc [--rate R] [--count N] [options]",
    .example = "gwh simulate audit-portal --rate 2 --app acme\n"
               "gwh simulate link-kyc --rate 100 --count 1000\n"
               "gwh simulate audit-portal --rate 50 --to s3://acme-events",
    .notes =
        "Everything in them is made up: transactions that begin, go on and end, links that are\n"
        "started or opened too late. Ctrl-C ends it and waits for the last answers; then it\n"
        "says what came of them. Exit 1 when one was not accepted. With --to, they are objects\n"
        "PREFIX/TRANSACTION/EVENT/webhook.json, and AWS's standard variables say where S3 is\n"
        "and with which keys: AWS_REGION, AWS_PROFILE and the others.",
    .is_client = true,
    .main = run,
};
