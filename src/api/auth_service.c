/* auth_service.c: owns what is known of the external service's credentials, and the questions under
 * way.
 *
 *   asked ─▶ known, 15 min ──────────────────────────────────────────────▶ valid
 *     │  └─▶ a question about this very pair is under way: wait for it        ▲
 *     ▼                                                                       │ 200: known
 *   name ─▶ GET ─▶ the answer ────────────────────────────────────────────────┤
 *     too many at a time, no answer in 5 s, 429, 5xx ─▶ unknown               └▶ else: invalid
 *
 * Only what is valid is kept, under the SHA-256 of both; the credentials themselves live as long as
 * their question. They never get into a log line. Redirects are not followed.
 * Thread: its home shard's, where all asks are brought; answers go back by message. */
#include "api/auth_service.h"

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "core/url.h"

#include <stdio.h>

#define KEEP_US        ((int64_t)15 * 60 * 1000000)
#define TIMEOUT_MS     5000
#define QUESTIONS_MAX  64
#define REPLY_READ_MAX ((size_t)16 * 1024)

struct gw_auth_service {
    struct gw_env *env;
    struct gw_url url;
    const char *host, *user_agent;
    size_t max;
    struct gw_map by_digest;
    struct gw_list used; /* entries: the longest unused first */
    size_t question_count;
    bool failing; /* so that an outage is two lines of the log, not thousands */
    struct gw_arena arena;
};

struct question {
    struct entry *entry;
    struct gw_list waiters; /* gw_auth_ask */
    struct gw_resolve resolve;
    struct gw_http_call call;
    struct gw_arena arena;
};

/* A pair of credentials: valid until that time, or in question. */
struct entry {
    struct gw_list link; /* of service->used */
    struct gw_auth_service *service;
    uint8_t digest[GW_SHA256_BYTES];
    int64_t until_us;
    struct question *question;
};

/* ── Entries ───────────────────────────────────────────────────────────────────────────────── */

static struct gw_slice digest_slice(const uint8_t digest[GW_SHA256_BYTES])
{
    return (struct gw_slice){(const char *)digest, GW_SHA256_BYTES};
}

/* Of the two digests, so that no other pair reads the same when put together. */
static void digest_pair(const struct gw_auth_ask *ask, uint8_t out[GW_SHA256_BYTES])
{
    uint8_t both[2 * GW_SHA256_BYTES];
    gw_sha256(ask->appid, both);
    gw_sha256(ask->appkey, both + GW_SHA256_BYTES);
    gw_sha256((struct gw_slice){(const char *)both, sizeof(both)}, out);
}

static void question_free(struct question *question)
{
    if (!question)
        return;
    gw_arena_deinit(&question->arena);
    gw_free(question);
}

static void entry_forget(struct entry *entry)
{
    gw_map_del(&entry->service->by_digest, digest_slice(entry->digest));
    gw_list_remove(&entry->link);
    question_free(entry->question);
    gw_free(entry);
}

/* Room for one more: forgets the longest unused that is not in question. */
static void make_room(struct gw_auth_service *service)
{
    if (service->by_digest.count < service->max)
        return;
    gw_list_each (node, &service->used) {
        struct entry *entry = gw_container_of(node, struct entry, link);
        if (!entry->question) {
            entry_forget(entry);
            return;
        }
    }
}

static struct entry *entry_create(struct gw_auth_service *service,
                                  const uint8_t digest[GW_SHA256_BYTES])
{
    make_room(service);
    struct entry *entry = gw_zalloc(sizeof(*entry));
    entry->service = service;
    memcpy(entry->digest, digest, sizeof(entry->digest));
    gw_list_push(&service->used, &entry->link);
    gw_map_put(&service->by_digest, digest_slice(entry->digest), entry);
    return entry;
}

/* ── The answer ────────────────────────────────────────────────────────────────────────────── */

static void on_told(struct gw_msg *msg)
{
    struct gw_auth_ask *ask = gw_container_of(msg, struct gw_auth_ask, msg);
    ask->done(ask);
}

static void tell(struct gw_auth_ask *ask, enum gw_auth_verdict verdict, const char *why)
{
    ask->verdict = verdict;
    ask->why = why;
    ask->msg.run = on_told;
    gw_env_post(ask->env, &ask->msg);
}

static void note_health(struct gw_auth_service *service, bool failing, const char *why)
{
    if (failing && !service->failing)
        gw_log(GW_LOG_WARN, "auth_service_failing", GW_S("why", why));
    else if (!failing && service->failing)
        gw_log(GW_LOG_INFO, "auth_service_well");
    service->failing = failing;
}

/* `why` is for the log. */
static void finish(struct question *question, enum gw_auth_verdict verdict, const char *why)
{
    struct entry *entry = question->entry;
    struct gw_auth_service *service = entry->service;
    struct gw_list *node;
    note_health(service, verdict == GW_AUTH_UNKNOWN, why);
    service->question_count--;
    while ((node = gw_list_pop(&question->waiters)))
        tell(gw_container_of(node, struct gw_auth_ask, link), verdict,
             "the service that knows the credentials does not answer now");
    if (verdict == GW_AUTH_VALID) {
        entry->question = NULL;
        entry->until_us = gw_env_mono_us(service->env) + KEEP_US;
        question_free(question);
    } else {
        entry_forget(entry);
    }
}

/* 429 says nothing about the credentials. */
static void on_reply(struct gw_http_call *call)
{
    struct question *question = gw_container_of(call, struct question, call);
    char why[64];
    snprintf(why, sizeof(why), "status %d", call->status);
    if (call->end != GW_HTTP_ANSWERED)
        finish(question, GW_AUTH_UNKNOWN, call->error);
    else if (call->status == 200)
        finish(question, GW_AUTH_VALID, NULL);
    else if (call->status >= 500 || call->status == 429)
        finish(question, GW_AUTH_UNKNOWN, why);
    else
        finish(question, GW_AUTH_INVALID, NULL);
}

/* ── The question ──────────────────────────────────────────────────────────────────────────── */

static void get(struct question *question, const struct gw_addr *addrs, size_t addr_count)
{
    struct gw_auth_service *service = question->entry->service;
    int64_t left_ms = TIMEOUT_MS - question->resolve.elapsed_us / 1000;
    question->call.url = service->url.text.ptr;
    question->call.host = service->host;
    question->call.port = service->url.port;
    question->call.addrs = addrs;
    question->call.addr_count = addr_count;
    question->call.timeout_ms = question->call.connect_timeout_ms = left_ms > 1 ? left_ms : 1;
    gw_env_http(service->env, &question->call);
}

static void on_resolved(struct gw_resolve *resolve)
{
    struct question *question = gw_container_of(resolve, struct question, resolve);
    if (resolve->ok)
        get(question, resolve->addrs, resolve->addr_count);
    else
        finish(question, GW_AUTH_UNKNOWN, resolve->error);
}

static void question_start(struct entry *entry, const struct gw_auth_ask *ask)
{
    struct gw_auth_service *service = entry->service;
    struct question *question = gw_zalloc(sizeof(*question));
    const char **lines = gw_arena_alloc(&question->arena, 4 * sizeof(*lines));
    lines[0] = gw_arena_printf(&question->arena, "appid: %.*s", GW_SLICE_ARG(ask->appid));
    lines[1] = gw_arena_printf(&question->arena, "appkey: %.*s", GW_SLICE_ARG(ask->appkey));
    lines[2] = gw_arena_printf(&question->arena, "user-agent: %s", service->user_agent);
    lines[3] = NULL;
    question->entry = entry;
    entry->question = question;
    gw_list_init(&question->waiters);
    service->question_count++;
    question->call = (struct gw_http_call){
        .method = "GET",
        .header_lines = lines,
        .reply_read_max = REPLY_READ_MAX,
        .done = on_reply,
        .arena = &question->arena,
    };
    question->resolve = (struct gw_resolve){
        .host = service->host,
        .timeout_ms = TIMEOUT_MS,
        .done = on_resolved,
    };
    if (service->url.host_is_addr)
        get(question, NULL, 0);
    else
        gw_env_resolve(service->env, &question->resolve);
}

static void on_asked(struct gw_msg *msg)
{
    struct gw_auth_ask *ask = gw_container_of(msg, struct gw_auth_ask, msg);
    struct gw_auth_service *service = ask->service;
    struct entry *entry = gw_map_get(&service->by_digest, digest_slice(ask->digest));
    if (entry && !entry->question && gw_env_mono_us(service->env) < entry->until_us) {
        gw_list_remove(&entry->link);
        gw_list_push(&service->used, &entry->link);
        tell(ask, GW_AUTH_VALID, NULL);
        return;
    }
    if ((!entry || !entry->question) && service->question_count == QUESTIONS_MAX) {
        tell(ask, GW_AUTH_UNKNOWN, "too many credentials are being checked now");
        return;
    }
    if (!entry)
        entry = entry_create(service, ask->digest);
    if (!entry->question)
        question_start(entry, ask);
    gw_list_push(&entry->question->waiters, &ask->link);
}

void gw_auth_service_ask(struct gw_auth_service *service, struct gw_auth_ask *ask)
{
    digest_pair(ask, ask->digest);
    ask->service = service;
    ask->msg.run = on_asked;
    gw_env_post(service->env, &ask->msg);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

struct gw_auth_service *gw_auth_service_create(struct gw_env *env, const char *url,
                                               const char *user_agent, size_t max)
{
    struct gw_auth_service *service = gw_zalloc(sizeof(*service));
    struct gw_error error;
    enum gw_err err = gw_url_parse(&service->url, gw_slice_from(url), &service->arena, &error);
    gw_check(err == GW_OK);
    service->env = env;
    service->url.text = gw_slice_from(url);
    service->host = gw_arena_text(&service->arena, service->url.host);
    service->user_agent = user_agent;
    service->max = max;
    gw_list_init(&service->used);
    return service;
}

void gw_auth_service_destroy(struct gw_auth_service *service)
{
    if (!service)
        return;
    gw_list_each_safe (node, &service->used)
        entry_forget(gw_container_of(node, struct entry, link));
    gw_map_deinit(&service->by_digest);
    gw_arena_deinit(&service->arena);
    gw_free(service);
}
