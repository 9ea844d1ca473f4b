/* simulate_tell.c: what a simulation tells: on a terminal how far it is, and at its end what came of
 * it, for people or for programs. Owns nothing. */
#include "base/alloc.h"
#include "cli/simulate_impl.h"
#include "cli/table.h"

#include <stdio.h>
#include <unistd.h>

#define LATE_S_TOLD 0.25 /* less is the machine's */
#define SHOWN_MS    500

double gw_simulate_seconds(const struct gw_simulation *s)
{
    return (double)(gw_env_mono_us(s->env) - s->started_us) / 1e6;
}

/* "7 accepted (2 of them go nowhere), 0 failed" */
static void add_counts(const struct gw_simulation *s, struct gw_buf *out)
{
    gw_buf_addf(out, "%lld %s", (long long)s->all.accepted, s->to->accepted);
    if (s->to->knows_skips)
        gw_buf_addf(out, " (%lld of them go nowhere)", (long long)s->all.skipped);
    gw_buf_addf(out, ", %lld failed", (long long)s->all.failed);
}

void gw_simulate_show_progress(struct gw_simulation *s)
{
    int64_t now_us = gw_env_mono_us(s->env);
    struct gw_buf counts = {0};
    double took_s = gw_simulate_seconds(s);

    if (!s->shows_progress || now_us - s->shown_us < SHOWN_MS * 1000)
        return;
    s->shown_us = now_us;
    add_counts(s, &counts);
    fprintf(stderr, "\r\x1b[K%s, %.1f/s", gw_buf_text(&counts),
            took_s > 0 ? (double)s->all.accepted / took_s : 0);
    gw_buf_deinit(&counts);
}

/* ── For people ────────────────────────────────────────────────────────────────────────────── */

static const struct gw_table_column columns[] = {
    {.title = "TYPE"},
    {.title = "SENT", .is_right = true},
    {.title = "ACCEPTED", .is_right = true},
    {.title = "FAILED", .is_right = true},
    {.title = "GO NOWHERE", .is_right = true}, /* last: not every destination knows */
};

static void add_count(struct gw_table *table, int64_t count, enum gw_tone tone)
{
    gw_table_addf(table, count > 0 ? tone : GW_TONE_DIM, "%lld", (long long)count);
}

static void add_types(const struct gw_simulation *s, const struct gw_term *term, struct gw_buf *out)
{
    struct gw_table table;

    gw_table_init(&table, columns, gw_count(columns) - (s->to->knows_skips ? 0 : 1));
    for (size_t i = 0; i < GW_SYNTHETIC_TYPES && s->types[i].type; i++) {
        gw_table_add(&table, gw_slice_from(s->types[i].type), GW_TONE_PLAIN);
        add_count(&table, s->types[i].sent, GW_TONE_PLAIN);
        add_count(&table, s->types[i].accepted, GW_TONE_GOOD);
        add_count(&table, s->types[i].failed, GW_TONE_BAD);
        if (s->to->knows_skips)
            add_count(&table, s->types[i].skipped, GW_TONE_WARN);
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

static void add_summary(const struct gw_simulation *s, double took_s, struct gw_buf *out)
{
    struct gw_term term = gw_term_look(STDOUT_FILENO);
    struct gw_latency latency = gw_latency_read(s->latencies);

    add_types(s, &term, out);
    gw_buf_addc(out, '\n');
    add_counts(s, out);
    gw_buf_addf(out, ", in %.1f s", took_s);
    if (took_s > 0)
        gw_buf_addf(out, " (%.1f/s)", (double)s->all.sent / took_s);
    gw_buf_adds(out, GW_SLICE("\nanswered in "));
    add_ms(out, latency.p50_ms, " (half of them), ");
    add_ms(out, latency.p95_ms, " (95 %), ");
    add_ms(out, latency.p99_ms, " (99 %)\n");
    if (s->late_s > LATE_S_TOLD)
        gw_buf_addf(out, "up to %.1f s late: %s answers slower than --rate asks for\n", s->late_s,
                    s->to->name);
}

/* ── For programs ──────────────────────────────────────────────────────────────────────────── */

static void add_tally_json(const struct gw_simulation *s, const struct gw_simulate_tally *tally,
                           struct gw_buf *out)
{
    gw_buf_addf(out, "\"sent\":%lld,\"accepted\":%lld,\"failed\":%lld,\"skipped\":",
                (long long)tally->sent, (long long)tally->accepted, (long long)tally->failed);
    if (s->to->knows_skips)
        gw_buf_addi(out, tally->skipped);
    else
        gw_buf_adds(out, GW_SLICE("null"));
}

static void add_json(const struct gw_simulation *s, double took_s, struct gw_buf *out)
{
    struct gw_latency latency = gw_latency_read(s->latencies);

    gw_buf_addc(out, '{');
    add_tally_json(s, &s->all, out);
    gw_buf_addf(out, ",\"seconds\":%.3f,\"lateSeconds\":%.3f", took_s, s->late_s);
    gw_buf_addf(out, ",\"p50Ms\":%lld,\"p95Ms\":%lld,\"p99Ms\":%lld,\"types\":{",
                (long long)latency.p50_ms, (long long)latency.p95_ms, (long long)latency.p99_ms);
    for (size_t i = 0; i < GW_SYNTHETIC_TYPES && s->types[i].type; i++) {
        gw_buf_addf(out, "%s\"%s\":{", i > 0 ? "," : "", s->types[i].type);
        add_tally_json(s, &s->types[i], out);
        gw_buf_addc(out, '}');
    }
    gw_buf_adds(out, GW_SLICE("}}\n"));
}

int gw_simulate_report(struct gw_simulation *s)
{
    double took_s = gw_simulate_seconds(s);
    struct gw_buf out = {0};

    if (s->shows_progress)
        fputs("\r\x1b[K", stderr);
    if (s->json)
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
