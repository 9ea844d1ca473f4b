/* sim_net.c: the simulated network: names that resolve as scripted, receivers that do as they are
 * told. Owns the scripts and one record for each request under way.
 *
 * A call: http ─ connect_us ─▶ arrived (the receiver decides) ─ its delay ─▶ done; done at the
 * call's timeout at the latest. */
#include "sim_impl.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdio.h>

struct name {
    char *host;
    int64_t delay_ms; /* < 0 = never */
    struct gw_addr addrs[GW_RESOLVE_ADDRS_MAX];
    size_t addr_count; /* 0 = a failure */
};

struct receiver {
    char *host;
    sim_receiver_fn *fn;
    void *ctx;
};

struct lookup {
    struct gw_resolve *req;
    struct sim_env *env;
    struct sim_event *event;
    struct name answer; /* as it was when asked */
    int64_t began_us;
};

struct exchange {
    struct gw_http_call *call;
    struct sim_env *env;
    struct sim_event *event;
    struct sim_reply reply;
    int64_t began_us, arrived_us;
};

/* ── Names ─────────────────────────────────────────────────────────────────────────────────── */

static struct name *name_open(struct sim *sim, const char *host)
{
    struct name *name = gw_map_get(&sim->names, gw_slice_from(host));

    if (name)
        return name;
    name = gw_zalloc(sizeof(*name));
    name->host = gw_strdup(host);
    gw_map_put(&sim->names, gw_slice_from(name->host), name);
    return name;
}

void sim_name(struct sim *sim, const char *host, const char *addrs, int64_t delay_ms)
{
    struct name *name = name_open(sim, host);
    struct gw_slice rest = gw_slice_from(addrs), part;

    name->delay_ms = delay_ms;
    name->addr_count = 0;
    while (gw_slice_split(&rest, ',', &part)) {
        gw_check(name->addr_count < GW_RESOLVE_ADDRS_MAX);
        gw_check(gw_addr_parse(gw_slice_trim(part), &name->addrs[name->addr_count++]));
    }
}

void sim_net_resolve(struct gw_env *base, struct gw_resolve *req)
{
    struct sim_env *env = sim_env_of(base);
    const struct name *name = gw_map_get(&env->sim->names, gw_slice_from(req->host));

    if (sim_is_dead(env)) {
        sim_bury(req);
        return;
    }
    struct lookup *lookup = gw_zalloc(sizeof(*lookup));
    lookup->req = req;
    lookup->env = env;
    lookup->began_us = env->sim->now_us;
    if (name)
        lookup->answer = *name;
    bool is_late = lookup->answer.delay_ms < 0 || lookup->answer.delay_ms > req->timeout_ms;
    if (is_late)
        lookup->answer.addr_count = 0;
    int64_t delay_ms = is_late ? req->timeout_ms : lookup->answer.delay_ms;
    req->impl = lookup;
    lookup->event = sim_plan(env, delay_ms * 1000 + sim_while(env->sim, 100), SIM_RESOLVED, lookup);
}

void sim_net_resolved(void *what)
{
    struct lookup *lookup = what;
    struct gw_resolve *req = lookup->req;

    req->ok = lookup->answer.addr_count > 0;
    req->addr_count = lookup->answer.addr_count;
    memcpy(req->addrs, lookup->answer.addrs, sizeof(req->addrs));
    req->elapsed_us = lookup->env->sim->now_us - lookup->began_us;
    snprintf(req->error, sizeof(req->error), "%s", req->ok ? "" : "no such name");
    req->impl = NULL;
    gw_free(lookup);
    req->done(req);
}

void sim_net_resolve_cancel(struct gw_env *base, struct gw_resolve *req)
{
    struct lookup *lookup = req->impl;

    if (sim_is_dead(sim_env_of(base)))
        return;
    gw_check(lookup != NULL);
    sim_unplan(lookup->event);
    req->impl = NULL;
    gw_free(lookup);
}

/* ── Receivers ─────────────────────────────────────────────────────────────────────────────── */

void sim_receiver(struct sim *sim, const char *host, sim_receiver_fn *fn, void *ctx)
{
    struct receiver *receiver = gw_map_get(&sim->receivers, gw_slice_from(host));

    if (receiver == NULL) {
        receiver = gw_zalloc(sizeof(*receiver));
        receiver->host = gw_strdup(host);
        gw_map_put(&sim->receivers, gw_slice_from(receiver->host), receiver);
    }
    receiver->fn = fn;
    receiver->ctx = ctx;
}

static bool header_split(const char *line, struct gw_slice *name, struct gw_slice *value)
{
    struct gw_slice rest = gw_slice_from(line);

    if (!gw_slice_split(&rest, ':', name))
        return false;
    *value = gw_slice_trim(rest);
    return true;
}

struct gw_slice sim_call_header(const struct gw_http_call *call, const char *wanted)
{
    struct gw_slice name, value;

    for (const char *const *line = call->header_lines; line && *line; line++)
        if (header_split(*line, &name, &value) && gw_slice_eq_nocase(name, gw_slice_from(wanted)))
            return value;
    return (struct gw_slice){0};
}

/* ── Calls ─────────────────────────────────────────────────────────────────────────────────── */

static void plan_done(struct exchange *x, int64_t delay_us)
{
    x->event = sim_plan(x->env, delay_us, SIM_HTTP_DONE, x);
}

static void fail(struct exchange *x, enum gw_http_end end, int64_t delay_us)
{
    x->reply = (struct sim_reply){.end = end};
    plan_done(x, delay_us);
}

void sim_net_http(struct gw_env *base, struct gw_http_call *call)
{
    struct sim_env *env = sim_env_of(base);

    if (sim_is_dead(env)) {
        sim_bury(call);
        return;
    }
    struct exchange *x = gw_zalloc(sizeof(*x));
    x->call = call;
    x->env = env;
    x->began_us = env->sim->now_us;
    call->impl = x;
    call->end = GW_HTTP_TIMEOUT;
    call->status = 0;
    call->connect_us = call->tls_us = call->first_byte_us = call->total_us = 0;
    call->addr = (struct gw_addr){0};
    call->reply = (struct gw_slice){0};
    call->is_whole = false;
    call->error[0] = '\0';
    x->event =
        sim_plan(env, sim_while(env->sim, env->sim->options.connect_us), SIM_HTTP_ARRIVED, x);
}

void sim_net_http_cancel(struct gw_env *base, struct gw_http_call *call)
{
    struct exchange *x = call->impl;

    if (sim_is_dead(sim_env_of(base)))
        return;
    gw_check(x != NULL);
    sim_unplan(x->event);
    call->impl = NULL;
    gw_free(x);
}

/* The address that is connected to; false: none may be. */
static bool choose_addr(struct gw_http_call *call, struct gw_addr *addr)
{
    if (call->addr_count > 0)
        *addr = call->addrs[0];
    else
        gw_check(gw_addr_parse(gw_slice_from(call->host), addr));
    return call->addr_allowed == NULL || call->addr_allowed(call, addr);
}

void sim_net_http_arrived(void *what)
{
    struct exchange *x = what;
    struct gw_http_call *call = x->call;
    struct sim *sim = x->env->sim;
    struct receiver *receiver = gw_map_get(&sim->receivers, gw_slice_from(call->host));
    struct gw_addr addr;

    x->event = NULL;
    x->arrived_us = sim->now_us;
    if (!choose_addr(call, &addr)) {
        fail(x, GW_HTTP_BLOCKED, 0);
        return;
    }
    if (receiver == NULL || receiver->fn == NULL) {
        fail(x, GW_HTTP_CONNECT, 0);
        return;
    }
    call->addr = addr;
    call->connect_us = x->arrived_us - x->began_us;
    x->reply = receiver->fn(receiver->ctx, call);
    if (x->env->dead) { /* it pulled the plug */
        sim_net_dropped(SIM_HTTP_ARRIVED, x);
        return;
    }
    int64_t left_us = call->timeout_ms * 1000 - call->connect_us;
    if (left_us < 0)
        left_us = 0;
    if (x->reply.delay_ms < 0 || x->reply.delay_ms * 1000 > left_us)
        fail(x, GW_HTTP_TIMEOUT, left_us);
    else
        plan_done(x, x->reply.delay_ms * 1000);
}

static const char *error_text(enum gw_http_end end)
{
    switch (end) {
    case GW_HTTP_ANSWERED: return "";
    case GW_HTTP_TIMEOUT: return "timed out";
    case GW_HTTP_CONNECT: return "could not connect";
    case GW_HTTP_TLS: return "TLS handshake failed";
    case GW_HTTP_RESET: return "connection reset";
    case GW_HTTP_PROTOCOL: return "not HTTP";
    case GW_HTTP_BLOCKED: return "address not allowed";
    }
    gw_never("an unknown end");
}

static void answer(struct gw_http_call *call, const struct sim_reply *reply)
{
    struct gw_slice body = gw_slice_from(reply->body), name, value;

    call->status = reply->status;
    for (const char *const *line = reply->header_lines; line && *line; line++)
        if (call->on_header && header_split(*line, &name, &value))
            call->on_header(call, name, value);
    call->is_whole = body.len <= call->reply_keep_max;
    if (!call->is_whole)
        body.len = call->reply_keep_max;
    call->reply = body.len > 0 ? gw_arena_dup(call->arena, body) : GW_SLICE("");
}

void sim_net_http_done(void *what)
{
    struct exchange *x = what;
    struct gw_http_call *call = x->call;
    int64_t now_us = x->env->sim->now_us;

    call->end = x->reply.end;
    call->total_us = now_us - x->began_us;
    snprintf(call->error, sizeof(call->error), "%s", error_text(call->end));
    if (call->end == GW_HTTP_ANSWERED) {
        call->first_byte_us = now_us - x->arrived_us;
        answer(call, &x->reply);
    }
    call->impl = NULL;
    gw_free(x);
    call->done(call);
}

/* ── The end ───────────────────────────────────────────────────────────────────────────────── */

void sim_net_dropped(enum sim_kind kind, void *what)
{
    struct exchange *x = what;
    struct lookup *lookup = what;

    sim_bury(kind == SIM_RESOLVED ? (void *)lookup->req : (void *)x->call);
    gw_free(what);
}

void sim_net_deinit(struct sim *sim)
{
    size_t at = 0;
    struct name *name;
    struct receiver *receiver;

    while ((name = gw_map_next(&sim->names, &at)) != NULL) {
        gw_free(name->host);
        gw_free(name);
    }
    at = 0;
    while ((receiver = gw_map_next(&sim->receivers, &at)) != NULL) {
        gw_free(receiver->host);
        gw_free(receiver);
    }
    gw_map_deinit(&sim->names);
    gw_map_deinit(&sim->receivers);
}
