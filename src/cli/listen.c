/* listen.c: `gwh listen`: a receiver for a client engineer's laptop, on loopback.
 *
 * Owns a loop, an HTTP server on it, and the webhooks it has not answered yet: those that wait for
 * --delay, and those of --hang, which are answered when nobody can be waiting any more, for a
 * connection must end some time. At the end the server is stopped first; what is then completed is
 * dropped. Ceiling: WAITING_MAX unanswered (the oldest is answered early). One thread. */
#include "cli/received.h"
#include "cli/secrets.h"
#include "cli/seen.h"
#include "sys/http_server.h"
#include "sys/loop.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define HOST           "127.0.0.1"
#define PORT_DEFAULT   9000
#define HANG_MS        120000 /* four times the longest an attempt may take */
#define DELAY_MS_MAX   600000
#define TOLERANCE_S    300
#define WAITING_MAX    512
#define FAILING_STATUS 500

struct listener {
    /* what was asked for */
    int64_t port, status, delay_ms, fail_first, count;
    int hang, reset, json, wide;
    struct gw_secrets secrets;

    struct gw_env *env;
    struct gw_http_server *server;
    struct gw_list waiting;
    size_t waiting_count, hanging_count; /* of those waiting */
    struct gw_seen seen;
    int64_t received, verified;
    bool is_over; /* --count is reached, or nobody reads */
};

struct waiting {
    struct gw_list link;
    struct gw_timer timer;
    struct gw_exchange *exchange;
    struct listener *listener;
    bool hangs;
};

/* ── Answering ─────────────────────────────────────────────────────────────────────────────── */

static void finish(struct waiting *w)
{
    gw_list_remove(&w->link);
    w->listener->waiting_count--;
    w->listener->hanging_count -= w->hangs;
    gw_env_timer_stop(w->listener->env, &w->timer);
    w->exchange->complete(w->exchange); /* `w` is in its arena */
}

/* What was received is answered before the end, but for what hangs. */
static void maybe_stop(struct listener *l)
{
    if (l->is_over && l->waiting_count == l->hanging_count)
        gw_loop_stop(l->env);
}

static void on_waited(struct gw_timer *timer)
{
    struct waiting *w = gw_container_of(timer, struct waiting, timer);
    struct listener *l = w->listener;

    finish(w);
    maybe_stop(l);
}

static void answer_later(struct listener *l, struct gw_exchange *exchange, int64_t ms, bool hangs)
{
    struct waiting *w = gw_arena_zalloc(exchange->arena, sizeof(*w));

    w->exchange = exchange;
    w->listener = l;
    w->hangs = hangs;
    w->timer.fire = on_waited;
    if (l->waiting_count == WAITING_MAX)
        finish(gw_container_of(l->waiting.next, struct waiting, link));
    gw_list_push(&l->waiting, &w->link);
    l->waiting_count++;
    l->hanging_count += hangs;
    gw_env_timer_set(l->env, &w->timer, ms);
}

/* What becomes of one: as all do, unless the first attempts are to fail and the later ones not. */
struct plan {
    int status; /* 0: there is no answer */
    bool hangs, resets;
};

static struct plan make_plan(const struct listener *l, int64_t times_before)
{
    bool is_good = l->status < 300;
    struct plan plan = {(int)l->status, l->hang > 0, l->reset > 0};

    if (times_before < l->fail_first && is_good)
        plan.status = FAILING_STATUS;
    else if (l->fail_first > 0 && times_before >= l->fail_first)
        plan = (struct plan){is_good ? (int)l->status : 200, false, false};
    if (plan.hangs || plan.resets)
        plan.status = 0;
    return plan;
}

static void answer(struct listener *l, struct gw_exchange *exchange, const struct plan *plan)
{
    bool is_good = plan->status >= 200 && plan->status < 300;

    exchange->status = plan->status ? plan->status : FAILING_STATUS;
    exchange->content_type = "text/plain";
    exchange->reply =
        is_good ? GW_SLICE("received\n") : GW_SLICE("gwh listen was told to answer like this\n");
    if (plan->resets)
        exchange->abort(exchange);
    else if (plan->hangs)
        answer_later(l, exchange, HANG_MS, true);
    else if (l->delay_ms > 0)
        answer_later(l, exchange, l->delay_ms, false);
    else
        exchange->complete(exchange);
}

/* ── Receiving ─────────────────────────────────────────────────────────────────────────────── */

static const char *method_name(enum gw_method method)
{
    static const char *const names[] = {
        [GW_GET] = "GET",         [GW_HEAD] = "HEAD",          [GW_POST] = NULL,
        [GW_PUT] = "PUT",         [GW_PATCH] = "PATCH",        [GW_DELETE] = "DELETE",
        [GW_OPTIONS] = "OPTIONS", [GW_METHOD_OTHER] = "other",
    };

    return names[method];
}

static void check(struct listener *l, struct gw_received *r, bool is_same, struct gw_buf *why)
{
    struct gw_diagnose d = gw_secrets_question(&l->secrets);

    r->is_checked = gw_secrets_any(&l->secrets);
    if (!r->is_checked)
        return;
    d.headers = r->headers;
    d.header_count = r->header_count;
    d.body = r->body;
    d.now_s = r->at_ms / 1000;
    d.tolerance_s = TOLERANCE_S;
    d.came_before = is_same;
    r->diagnosis = gw_diagnose(&d, why);
    r->why = gw_buf_slice(why);
    if (r->diagnosis == GW_GENUINE)
        l->verified++;
}

static bool show(struct listener *l, const struct gw_received *received)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    struct gw_buf out = {0};

    if (l->json)
        gw_received_json(received, &out);
    else
        gw_received_show(received, &term, l->wide > 0, &out);
    bool is_read = gw_term_flush(&out);
    gw_buf_deinit(&out);
    return is_read;
}

static void on_request(void *ctx, struct gw_exchange *exchange)
{
    struct listener *l = ctx;
    struct gw_buf why = {0};

    if (l->is_over) {
        exchange->abort(exchange);
        return;
    }
    if (exchange->refused_status) {
        fprintf(stderr, "a request that could not be read: %s\n", exchange->refused_why);
        exchange->status = exchange->refused_status;
        exchange->complete(exchange);
        return;
    }
    struct gw_received r = {
        .at_ms = gw_env_wall_ms(l->env),
        .method = method_name(exchange->method),
        .path = exchange->path,
        .id = gw_exchange_header(exchange, "webhook-id"),
        .event_type = gw_exchange_header(exchange, "webhook-event-type"),
        .attempt = gw_exchange_header(exchange, "webhook-attempt"),
        .is_replay = gw_slice_is(gw_exchange_header(exchange, "webhook-replay"), "true"),
        .headers = exchange->headers,
        .header_count = exchange->header_count,
        .body = exchange->body,
    };
    struct gw_seen_before before =
        gw_seen_note(&l->seen, r.id, gw_exchange_header(exchange, "webhook-signature"), r.attempt);
    struct plan plan = make_plan(l, before.times);
    r.was_taken = r.id.len > 0 && before.was_taken;
    r.instead = plan.resets ? "connection reset" : plan.hangs ? "no answer" : NULL;
    r.status = plan.status;
    if (r.status >= 200 && r.status < 300)
        gw_seen_taken(&l->seen, r.id);
    check(l, &r, before.is_same, &why);
    l->received++;
    bool is_read = show(l, &r);
    gw_buf_deinit(&why);
    answer(l, exchange, &plan);
    if (!is_read || (l->count > 0 && l->received >= l->count))
        l->is_over = true;
    maybe_stop(l);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

static void on_signal(void *ctx, int number)
{
    struct listener *l = ctx;

    (void)number;
    gw_loop_stop(l->env);
}

static int start(struct listener *l)
{
    struct gw_http_server_options options = {
        .host = HOST,
        .port = (uint16_t)l->port,
        .first = true,
        .connections_max = 2 * WAITING_MAX,
        .header_bytes_max = (size_t)64 * 1024,
        .body_bytes_max = (size_t)64 * 1024 * 1024,
        .idle_timeout_ms = 60000,
        .request_timeout_ms = 60000,
        .on_request = on_request,
        .ctx = l,
    };
    struct gw_error error;

    gw_sys_init();
    if (gw_loop_create(NULL, &l->env, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_START, "%s", error.text);
    if (gw_http_server_start(l->env, &options, &l->server, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_START, "%s", error.text);
    gw_loop_on_signal(l->env, SIGINT, on_signal, l);
    gw_loop_on_signal(l->env, SIGTERM, on_signal, l);
    fprintf(stderr, "listening on http://%s:%u; Ctrl-C ends it\n", HOST,
            (unsigned)gw_http_server_port(l->server));
    return -1;
}

static int report(const struct listener *l)
{
    fprintf(stderr, "%lld received", (long long)l->received);
    if (gw_secrets_any(&l->secrets))
        fprintf(stderr, ", %lld of them verified", (long long)l->verified);
    fputc('\n', stderr);
    return gw_secrets_any(&l->secrets) && l->verified < l->received ? GW_EXIT_FAILED : GW_EXIT_DONE;
}

static void end(struct listener *l)
{
    if (l->server)
        gw_http_server_stop(l->server);
    while (!gw_list_empty(&l->waiting))
        finish(gw_container_of(l->waiting.next, struct waiting, link));
    if (l->env)
        gw_loop_destroy(l->env);
    gw_seen_deinit(&l->seen);
    gw_secrets_wipe(&l->secrets);
}

static int run(int argc, char **argv)
{
    struct listener l = {.port = PORT_DEFAULT, .status = 200};
    struct gw_secrets_given given = {0};
    const struct gw_option rows[] = {
        {.name = "port",
         .value = "N",
         .help = "on 127.0.0.1; 0 is any free one (9000)",
         .number = &l.port,
         .max = UINT16_MAX},
        GW_SECRETS_OPTIONS(given),
        {.name = "status",
         .value = "N",
         .help = "answer with this status (200)",
         .number = &l.status,
         .min = 200,
         .max = 599},
        {.name = "delay",
         .value = "MS",
         .help = "answer after so many milliseconds",
         .number = &l.delay_ms,
         .max = DELAY_MS_MAX},
        {.name = "hang", .help = "do not answer, for two minutes", .flag = &l.hang},
        {.name = "reset", .help = "reset the connection instead of answering", .flag = &l.reset},
        {.name = "fail-first",
         .value = "N",
         .help = "only the first N attempts of each webhook fail, as told, or else with 500",
         .number = &l.fail_first,
         .max = INT32_MAX},
        {.name = "count",
         .value = "N",
         .help = "end after so many",
         .number = &l.count,
         .max = INT32_MAX},
        {.name = "json", .help = "a line of JSON for each, for programs", .flag = &l.json},
        {.name = "wide", .help = "show long bodies whole", .flag = &l.wide},
    };
    struct gw_options options = {
        .command = &gw_listen_command, .rows = rows, .count = gw_count(rows)};

    gw_list_init(&l.waiting);
    int code = gw_options_take(&options, argc, argv);
    if (code < 0 && l.hang > 0 && l.reset > 0)
        code = gw_term_fail(GW_EXIT_USAGE, "listen: --reset: must not come with --hang");
    if (code < 0)
        code = gw_secrets_read(&l.secrets, "listen", &given);
    if (code < 0)
        code = start(&l);
    if (code < 0) {
        gw_loop_run(l.env);
        code = report(&l);
    }
    end(&l);
    gw_secrets_given_deinit(&given);
    return code;
}

const struct gw_command gw_listen_command = {
    .name = "listen",
    .summary = "receive webhooks here, show and check them",
    .usage = "listen [--port N] [--secret SECRET] [options]",
    .example = "gwh listen --port 9000 --secret whsec_…\n"
               "gwh listen --public-key whpk_…\n"
               "gwh listen --fail-first 2 --status 503",
    .notes =
        "For a client engineer's own machine: it listens on 127.0.0.1 only. A webhook that was\n"
        "answered well before is marked: do its work once. Exit 1 when one could not be\n"
        "verified with what was given.",
    .main = run,
};
