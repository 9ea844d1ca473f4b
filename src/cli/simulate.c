/* simulate.c: `gwh simulate`: events like those of two producers, at a steady rate, to the API.
 *
 * A timer gives each moment its share of events; requests run beside each other, up to FLIGHT_MAX,
 * beyond which the producer falls behind and says so. Owns each request until its answer. The first
 * request that finds no server ends it; later ones are counted, for servers are restarted. One
 * thread. */
#include "cli/client.h"
#include "cli/synthetic.h"
#include "cli/term.h"
#include "cli/text.h"
#include "core/event.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FLIGHT_MAX  256
#define TICK_MS     20
#define PROGRESS_MS 500
#define RATE_MAX    100000.0
#define APP_DEFAULT "acme"

struct simulation {
    struct gw_client *client;
    struct gw_synthetic synthetic;
    double rate;
    int64_t count; /* 0 = until stopped */
    int64_t started_us;
    struct gw_timer tick;
    int64_t made, in_flight, accepted, skipped, failed;
    int64_t shown_us;
    bool is_ending;
    bool shows_progress;
    char last_error[200];
};

struct sending {
    struct gw_http_call call;
    struct simulation *simulation;
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
            (long long)s->accepted, (long long)s->skipped, (long long)s->failed,
            seconds(s) > 0 ? (double)s->accepted / seconds(s) : 0);
}

static int report(struct simulation *s)
{
    struct gw_buf out = {0};

    if (s->shows_progress)
        fputs("\r\x1b[K", stderr);
    if (s->accepted == 0 && s->failed > 0 && !s->client->json)
        return gw_term_fail(GW_EXIT_FAILED, "simulate: %s", s->last_error);
    if (s->client->json)
        gw_buf_addf(&out,
                    "{\"sent\":%lld,\"accepted\":%lld,\"skipped\":%lld,\"failed\":%lld,"
                    "\"seconds\":%.3f}\n",
                    (long long)s->made, (long long)s->accepted, (long long)s->skipped,
                    (long long)s->failed, seconds(s));
    else
        gw_buf_addf(&out, "%lld accepted (%lld of them go nowhere), %lld failed, in %.1f s\n",
                    (long long)s->accepted, (long long)s->skipped, (long long)s->failed,
                    seconds(s));
    gw_term_flush(&out);
    gw_buf_deinit(&out);
    if (s->failed > 0)
        return gw_term_fail(GW_EXIT_FAILED, "simulate: the last failure: %s", s->last_error);
    return GW_EXIT_DONE;
}

/* ── Sending ───────────────────────────────────────────────────────────────────────────────── */

static void maybe_stop(struct simulation *s)
{
    if (s->count > 0 && s->made >= s->count)
        s->is_ending = true;
    if (s->is_ending && s->in_flight == 0)
        gw_loop_stop(s->client->env);
}

static void failed(struct simulation *s, const struct gw_http_call *call)
{
    struct gw_buf why = {0};

    s->failed++;
    if (call->end != GW_HTTP_ANSWERED) {
        gw_client_explain(s->client, call, &why);
        if (s->accepted == 0)
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

    s->in_flight--;
    if (call->end == GW_HTTP_ANSWERED && call->status == 202) {
        yyjson_doc *doc = yyjson_read(call->reply.ptr, call->reply.len, 0);
        yyjson_val *result = yyjson_obj_get(yyjson_doc_get_root(doc), "result");
        s->accepted++;
        if (yyjson_is_obj(yyjson_obj_get(result, "skipped")))
            s->skipped++;
        yyjson_doc_free(doc);
    } else {
        failed(s, call);
    }
    gw_arena_deinit(&sending->arena);
    gw_free(sending);
    show_progress(s);
    maybe_stop(s);
}

static void send_one(struct simulation *s)
{
    struct sending *sending = gw_zalloc(sizeof(*sending));
    struct gw_buf body = {0};
    uint8_t random[32];

    gw_env_random(s->client->env, random, sizeof(random));
    gw_synthetic_event(&s->synthetic, gw_env_wall_ms(s->client->env), random, &body);
    struct gw_client_request request = {
        .method = "POST",
        .path = "/v1/events",
        .body = gw_arena_dup(&sending->arena, gw_buf_slice(&body)),
    };
    gw_buf_deinit(&body);
    sending->simulation = s;
    gw_client_prepare(s->client, &request, &sending->arena, &sending->call);
    sending->call.done = on_sent;
    s->made++;
    s->in_flight++;
    gw_env_http(s->client->env, &sending->call);
}

static void on_tick(struct gw_timer *timer)
{
    struct simulation *s = gw_container_of(timer, struct simulation, tick);
    int64_t due = (int64_t)(seconds(s) * s->rate) + 1;

    if (s->count > 0 && due > s->count)
        due = s->count;
    while (!s->is_ending && s->made < due && s->in_flight < FLIGHT_MAX)
        send_one(s);
    maybe_stop(s);
    show_progress(s);
    if (!s->is_ending)
        gw_env_timer_set(s->client->env, &s->tick, TICK_MS);
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
    const char *rate = "1";
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
    .notes = "Everything in them is made up. Ctrl-C ends it, and waits for the last answers.",
    .is_client = true,
    .main = run,
};
