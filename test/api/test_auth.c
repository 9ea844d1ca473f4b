/* test_auth.c: keys of the store, tokens and the external service, as callers on both shards. */
#include "rig.h"

#include "api/key_cache.h"
#include "base/codec.h"
#include "base/crypto.h"

#include <malloc.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define AUTH_URL "https://auth.example/check?v=1"
#define MINUTE   60000

/* ── Callers ───────────────────────────────────────────────────────────────────────────────── */

static struct call *call_as(struct rig *rig, size_t shard, const char *appid, const char *appkey,
                            const char *target)
{
    struct call *call = call_prepare(rig, GW_GET, target, NULL);
    call_header(call, "AppId", appid);
    call_header(call, "APPKEY", appkey);
    call_go(rig, shard, call);
    return call;
}

static int status_on(struct rig *rig, size_t shard, const char *appid, const char *appkey)
{
    struct call *call = call_as(rig, shard, appid, appkey, "/v1/config");
    call_wait(rig, call);
    int status = call->exchange.status;
    call_free(call);
    return status;
}

/* ── The external service ──────────────────────────────────────────────────────────────────── */

struct service {
    size_t asked;
    struct sim_reply reply;
    char appid[64], appkey[64];
};

static struct sim_reply on_asked(void *ctx, const struct gw_http_call *call)
{
    struct service *service = ctx;
    struct gw_slice appid = sim_call_header(call, "appid");
    struct gw_slice appkey = sim_call_header(call, "appkey");
    service->asked++;
    assert_string_equal(call->method, "GET");
    assert_string_equal(call->url, AUTH_URL);
    assert_int_equal(call->body.len, 0);
    assert_null(call->addr_allowed);
    snprintf(service->appid, sizeof(service->appid), "%.*s", GW_SLICE_ARG(appid));
    snprintf(service->appkey, sizeof(service->appkey), "%.*s", GW_SLICE_ARG(appkey));
    return service->reply;
}

static struct rig *with_service(struct service *service)
{
    struct rig *rig = rig_create(&(struct rig_options){.auth_url = AUTH_URL});
    *service = (struct service){.reply = {.end = GW_HTTP_ANSWERED, .status = 200, .delay_ms = 20}};
    sim_name(rig->sim, "auth.example", "10.0.0.7", 5); /* not public: it is the operator's */
    sim_receiver(rig->sim, "auth.example", on_asked, service);
    return rig;
}

static void service_says_yes(void **state)
{
    struct service service;
    struct rig *rig = with_service(&service);
    (void)state;
    make_config(rig, "{'appId':'acme','eventType':'T','webhookUrl':'https://hook.example/'}");
    make_config(rig, "{'appId':'other','eventType':'T','webhookUrl':'https://hook.example/'}");
    struct call *call = call_as(rig, 1, "acme", "k1", "/v1/config");
    call_wait(rig, call);
    expect_status(call, 200);
    assert_int_equal(count_at(call, "/result/items"), 1); /* its app is its scope */
    expect_at(call, "/result/items/0/appId", "acme");
    call_free(call);
    assert_string_equal(service.appid, "acme");
    assert_string_equal(service.appkey, "k1");
    call = call_prepare(rig, GW_GET, "/v1/keys", NULL);
    call_header(call, "appid", "acme");
    call_header(call, "appkey", "k1");
    call_go(rig, 0, call);
    call_wait(rig, call);
    expect_failed(call, 403, "needs the role admin");
    call = call_prepare(rig, GW_POST, "/v1/events", "{'appId':'acme','eventType':'T'}");
    call_header(call, "appid", "acme");
    call_header(call, "appkey", "k1");
    call_go(rig, 0, call);
    call_wait(rig, call);
    expect_failed(call, 403, "needs the role admin or producer");
    assert_int_equal(service.asked, 1);
    rig_destroy(rig);
}

static void service_says_something_else(void **state)
{
    static const struct {
        struct sim_reply reply;
        int status;
    } rows[] = {
        {{.end = GW_HTTP_ANSWERED, .status = 401}, 401},
        {{.end = GW_HTTP_ANSWERED, .status = 400}, 401},
        {{.end = GW_HTTP_ANSWERED, .status = 404}, 401},
        {{.end = GW_HTTP_ANSWERED, .status = 201}, 401},
        {{.end = GW_HTTP_ANSWERED, .status = 204}, 401},
        {{.end = GW_HTTP_ANSWERED, .status = 301}, 401},
        {{.end = GW_HTTP_ANSWERED, .status = 302}, 401},
        {{.end = GW_HTTP_ANSWERED, .status = 429}, 503},
        {{.end = GW_HTTP_ANSWERED, .status = 500}, 503},
        {{.end = GW_HTTP_ANSWERED, .status = 503}, 503},
        {{.end = GW_HTTP_ANSWERED, .status = 200, .delay_ms = -1}, 503},
        {{.end = GW_HTTP_ANSWERED, .status = 200, .delay_ms = 5100}, 503},
        {{.end = GW_HTTP_TIMEOUT}, 503},
        {{.end = GW_HTTP_CONNECT}, 503},
        {{.end = GW_HTTP_TLS}, 503},
        {{.end = GW_HTTP_RESET}, 503},
        {{.end = GW_HTTP_PROTOCOL}, 503},
    };
    struct service service;
    struct rig *rig = with_service(&service);
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        service.reply = rows[i].reply;
        int64_t begun_us = sim_now_us(rig->sim);
        struct call *call = call_as(rig, i % RIG_SHARDS, "acme", "key", "/v1/config");
        call_wait(rig, call);
        assert_in_range(sim_now_us(rig->sim) - begun_us, 0, 5500 * 1000);
        assert_int_equal(call->exchange.status, rows[i].status);
        if (rows[i].status == 503)
            assert_string_equal(reply_header(call, "retry-after"), "1");
        call_free(call);
        assert_int_equal(service.asked, i + 1); /* none of these is remembered */
    }
    service.reply = (struct sim_reply){.end = GW_HTTP_ANSWERED, .status = 200};
    sim_name(rig->sim, "auth.example", NULL, 5);
    assert_int_equal(status_on(rig, 0, "acme", "key"), 503);
    sim_name(rig->sim, "auth.example", "10.0.0.7", 6000);
    assert_int_equal(status_on(rig, 0, "acme", "key"), 503);
    sim_name(rig->sim, "auth.example", "10.0.0.7", 4900); /* what is left of the five seconds */
    service.reply.delay_ms = 300;
    assert_int_equal(status_on(rig, 0, "acme", "key"), 503);
    service.reply.delay_ms = 10;
    assert_int_equal(status_on(rig, 0, "acme", "key"), 200);
    rig_destroy(rig);
}

static void service_is_not_asked(void **state)
{
    struct service service;
    struct rig *rig = with_service(&service);
    char long_name[1100];
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'mine'}", NULL);
    assert_int_equal(status_on(rig, 0, "mine", "wrong"), 401); /* known here */
    assert_int_equal(status_on(rig, 0, RIG_NAME, "wrong"), 401);
    assert_int_equal(status_on(rig, 0, "", "key"), 401);
    assert_int_equal(status_on(rig, 0, "acme", ""), 401);
    assert_int_equal(status_on(rig, 0, "ac\tme", "key"), 401);
    assert_int_equal(status_on(rig, 0, "acme", "key\r\nx: y"), 401);
    assert_int_equal(status_on(rig, 0, "acme\x7f", "key"), 401);
    assert_int_equal(status_on(rig, 0, "\xff\xfe", "key"), 401); /* no app's name */
    memset(long_name, 'a', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(status_on(rig, 0, long_name, "key"), 401);
    long_name[300] = '\0';
    assert_int_equal(status_on(rig, 0, long_name, "key"), 401);
    assert_int_equal(service.asked, 0);
    rig_destroy(rig);
}

static void service_is_asked_once(void **state)
{
    struct service service;
    struct rig *rig = with_service(&service);
    struct call *calls[20];
    (void)state;
    for (size_t i = 0; i < gw_count(calls); i++)
        calls[i] = call_as(rig, i % RIG_SHARDS, "acme", "key", "/v1/config");
    for (size_t i = 0; i < gw_count(calls); i++) {
        call_wait(rig, calls[i]);
        expect_status(calls[i], 200);
        call_free(calls[i]);
    }
    assert_int_equal(service.asked, 1);
    rig_run(rig, 15 * MINUTE - 2000);
    assert_int_equal(status_on(rig, 0, "acme", "key"), 200);
    assert_int_equal(status_on(rig, 1, "acme", "key"), 200);
    assert_int_equal(service.asked, 1);
    service.reply.status = 401;
    assert_int_equal(status_on(rig, 1, "acme", "other"), 401);
    assert_int_equal(service.asked, 2);
    rig_run(rig, 3000); /* the use has not made it last longer */
    assert_int_equal(status_on(rig, 0, "acme", "key"), 401);
    assert_int_equal(service.asked, 3);
    rig_destroy(rig);
}

/* Pairs that read the same when put together in a simple way are not the same. */
static void pairs_are_not_mixed_up(void **state)
{
    static const char *const pairs[][2] = {{"ab", "c"},  {"a", "bc"},  {"a:b", "c"},
                                           {"a", "b:c"}, {"abc", "x"}, {"A", "bc"}};
    struct service service;
    struct rig *rig = with_service(&service);
    (void)state;
    for (size_t i = 0; i < gw_count(pairs); i++) {
        assert_int_equal(status_on(rig, 0, pairs[i][0], pairs[i][1]), 200);
        assert_int_equal(service.asked, i + 1);
    }
    rig_destroy(rig);
}

static void service_has_a_ceiling(void **state)
{
    struct service service;
    struct rig *rig = with_service(&service);
    struct call *calls[64];
    char appkey[gw_count(calls)][16];
    (void)state;
    service.reply.delay_ms = -1;
    for (size_t i = 0; i < gw_count(calls); i++) {
        snprintf(appkey[i], sizeof(appkey[i]), "key-%zu", i);
        calls[i] = call_as(rig, i % RIG_SHARDS, "acme", appkey[i], "/v1/config");
    }
    rig_run(rig, 1000);
    assert_int_equal(service.asked, gw_count(calls));
    struct call *more = call_as(rig, 1, "acme", "one more", "/v1/config");
    rig_run(rig, 100);
    assert_true(more->done);
    assert_string_equal(reply_header(more, "retry-after"), "1");
    expect_failed(more, 503, "too many credentials");
    struct call *same = call_as(rig, 1, "acme", "key-7", "/v1/config"); /* needs no question */
    rig_run(rig, 100);
    assert_false(same->done);
    for (size_t i = 0; i < gw_count(calls); i++) {
        call_wait(rig, calls[i]);
        expect_failed(calls[i], 503, "does not answer");
    }
    call_wait(rig, same);
    expect_failed(same, 503, "does not answer");
    assert_int_equal(service.asked, gw_count(calls));
    service.reply.delay_ms = 5;
    assert_int_equal(status_on(rig, 0, "acme", "one more"), 200); /* there is room again */
    rig_destroy(rig);
}

/* What is kept has a ceiling (16 here), and the longest unused goes first. */
static void service_forgets(void **state)
{
    struct service service;
    struct rig *rig = with_service(&service);
    char appkey[32];
    (void)state;
    for (int i = 0; i < 16; i++) {
        snprintf(appkey, sizeof(appkey), "key-%d", i);
        assert_int_equal(status_on(rig, 0, "acme", appkey), 200);
    }
    assert_int_equal(status_on(rig, 0, "acme", "key-0"), 200);
    assert_int_equal(service.asked, 16);
    assert_int_equal(status_on(rig, 0, "acme", "key-16"), 200);
    assert_int_equal(status_on(rig, 0, "acme", "key-0"), 200);
    assert_int_equal(service.asked, 17);
    assert_int_equal(status_on(rig, 0, "acme", "key-1"), 200);
    assert_int_equal(service.asked, 18);
    rig_destroy(rig);
}

/* ── What is shown ─────────────────────────────────────────────────────────────────────────── */

static struct call *with_headers(struct rig *rig, const char *const *headers)
{
    struct call *call = call_prepare(rig, GW_GET, "/v1/config", NULL);
    for (; headers[0]; headers += 2)
        call_header(call, headers[0], headers[1]);
    call_go(rig, 0, call);
    call_wait(rig, call);
    return call;
}

static void headers(void **state)
{
    static const struct {
        const char *const headers[9];
        int status;
    } rows[] = {
        {{"appid", "boss", "appkey", "0123456789abcdef"}, 200},
        {{"APPID", "boss", "AppKey", "0123456789abcdef"}, 200},
        {{"authorization", "Basic Ym9zczp4", "appid", "boss", "appkey", "0123456789abcdef"}, 200},
        {{"authorization", "Bearer", "appid", "boss", "appkey", "0123456789abcdef"}, 200},
        /* a token that is shown decides */
        {{"authorization", "Bearer x", "appid", "boss", "appkey", "0123456789abcdef"}, 401},
        {{"authorization", "bearer x", "appid", "boss", "appkey", "0123456789abcdef"}, 401},
        {{"authorization", "Bearer ", "appid", "boss", "appkey", "0123456789abcdef"}, 401},
        /* twice: a proxy may have looked at the other */
        {{"appid", "boss", "appid", "boss", "appkey", "0123456789abcdef"}, 401},
        {{"appid", "boss", "appkey", "0123456789abcdef", "appkey", "x"}, 401},
        {{"appid", "boss", "appkey", "0123456789abcdef", "AppKey", "0123456789abcdef"}, 401},
        {{"authorization", "Basic a", "authorization", "Basic a", "appid", "boss", "appkey",
          "0123456789abcdef"},
         401},
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call = with_headers(rig, rows[i].headers);
        if (call->exchange.status != rows[i].status)
            fail_msg("row %zu: %d", i, call->exchange.status);
        call_free(call);
    }
    rig_destroy(rig);
}

/* ── Tokens ────────────────────────────────────────────────────────────────────────────────── */

static struct gw_rsa_key *public_of(EVP_PKEY *pair)
{
    const char *why;
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, pair), 1);
    long len = BIO_get_mem_data(bio, &text);
    struct gw_rsa_key *key = gw_rsa_key_parse((struct gw_slice){text, (size_t)len}, &why);
    BIO_free(bio);
    return key;
}

static const char *bearer(struct gw_arena *arena, EVP_PKEY *pair, const char *claims)
{
    static const char header[] = "{\"alg\":\"RS256\"}";
    struct gw_buf token = {0};
    uint8_t signature[512];
    size_t len = sizeof(signature);
    gw_base64url_encode(&token, header, sizeof(header) - 1);
    gw_buf_addc(&token, '.');
    gw_base64url_encode(&token, claims, strlen(claims));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, signature, &len, (const unsigned char *)token.ptr, token.len), 1);
    EVP_MD_CTX_free(ctx);
    gw_buf_addc(&token, '.');
    gw_base64url_encode(&token, signature, len);
    const char *text = gw_arena_printf(arena, "Bearer %s", gw_buf_text(&token));
    gw_buf_deinit(&token);
    return text;
}

static void tokens(void **state)
{
    EVP_PKEY *pair = EVP_RSA_gen(2048);
    struct gw_rsa_key *key = public_of(pair);
    struct gw_arena arena = {0};
    struct rig *rig = rig_create(&(struct rig_options){.jwt_key = key});
    struct rig *other = rig_create(NULL);
    (void)state;
    make_config(rig, "{'appId':'acme','eventType':'T','webhookUrl':'https://hook.example/'}");
    make_config(rig, "{'appId':'x','eventType':'T','webhookUrl':'https://hook.example/'}");
    const char *good = bearer(&arena, pair, "{\"appId\":\"acme\"}");
    const char *late = bearer(&arena, pair, "{\"appId\":\"acme\",\"exp\":1000}");
    struct call *call = with_headers(rig, (const char *[]){"authorization", good, NULL});
    expect_status(call, 200);
    assert_int_equal(count_at(call, "/result/items"), 1);
    expect_at(call, "/result/items/0/appId", "acme");
    call_free(call);
    call = with_headers(rig, (const char *[]){"authorization", late, NULL});
    expect_at(call, "", "{\"statusCode\":401,\"status\":\"failed\",\"error\":\"Token Expired\"}");
    call_free(call);
    call = with_headers(other, (const char *[]){"authorization", good, NULL});
    expect_failed(call, 401, "Missing/Invalid credentials"); /* no key, no tokens */
    rig_destroy(other);
    rig_destroy(rig);
    gw_rsa_key_free(key);
    EVP_PKEY_free(pair);
    gw_arena_deinit(&arena);
}

/* ── Keys ──────────────────────────────────────────────────────────────────────────────────── */

static void keys_of_one_appid(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made viewer, producer;
    (void)state;
    assert_int_equal(status_on(rig, 0, "acme", "x"), 401); /* that there is none is remembered */
    assert_int_equal(status_on(rig, 1, "acme", "x"), 401);
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &viewer);
    make_key(rig, "{'roles':['producer'],'scope':'acme'}", &producer);
    for (size_t shard = 0; shard < RIG_SHARDS; shard++) {
        assert_int_equal(status_on(rig, shard, "acme", viewer.appkey), 200);
        assert_int_equal(status_on(rig, shard, "acme", producer.appkey), 403);
        assert_int_equal(status_on(rig, shard, "acme", "x"), 401);
        assert_int_equal(status_on(rig, shard, "acm", viewer.appkey), 401);
        assert_int_equal(status_on(rig, shard, "other", viewer.appkey), 401);
    }
    revoke_key(rig, viewer.id);
    for (size_t shard = 0; shard < RIG_SHARDS; shard++) {
        assert_int_equal(status_on(rig, shard, "acme", viewer.appkey), 401);
        assert_int_equal(status_on(rig, shard, "acme", producer.appkey), 403);
    }
    rig_destroy(rig);
}

/* A read that began before the change, and ends after it, lets nobody in. */
static void change_during_a_read(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.commit_delay_ms = 50});
    struct made made;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    for (int64_t ahead_ms = 0; ahead_ms < 120; ahead_ms += 3) {
        struct made key;
        make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &key);
        const char *target = gw_arena_printf(&rig->arena, "/v1/keys/%s", key.id);
        struct call *revoke = call_start(rig, 0, GW_DELETE, target, NULL);
        rig_run(rig, ahead_ms);
        /* It is told at once that its role is not enough, if its key is. */
        struct call *call = call_as(rig, 1, "acme", key.appkey, "/v1/keys");
        call_wait(rig, revoke);
        expect_status(revoke, 200);
        bool before = call->done && call->exchange.status == 403;
        call_wait(rig, call);
        assert_true(before || call->exchange.status == 401);
        assert_int_equal(status_on(rig, 1, "acme", key.appkey), 401);
        assert_int_equal(status_on(rig, 1, "acme", made.appkey), 200);
        call_free(call);
        call_free(revoke);
    }
    rig_destroy(rig);
}

static void on_put(struct gw_op *op)
{
    assert_int_equal(op->err, GW_OK);
}

/* Nobody makes such keys; were one there, an empty scope would not mean any, nor no role all. */
static void damaged_keys(void **state)
{
    struct rig *rig = rig_create(NULL);
    static const struct {
        const char *appid;
        struct gw_slice scope;
        unsigned roles;
        int status;
    } rows[] = {
        {"fine", {"fine", 4}, GW_ROLE_VIEWER, 200},
        {"any", {NULL, 0}, GW_ROLE_VIEWER, 200},
        {"empty", {"", 0}, GW_ROLE_ALL, 401},
        {"powerless", {"powerless", 9}, 0, 401},
    };
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_key_put put = {
            .op = {.env = rig->envs[0], .done = on_put},
            .key = {.appid = gw_slice_from(rows[i].appid),
                    .scope = rows[i].scope,
                    .roles = rows[i].roles},
            .audit = {.actor = GW_SLICE("test"), .action = "key_created"},
        };
        snprintf(put.key.id, sizeof(put.key.id), "key_%zu", i);
        gw_sha256(GW_SLICE("appkey"), put.key.hash);
        gw_admin_key_put(rig->flow.admin, &put);
        rig_run(rig, 100);
        assert_int_equal(status_on(rig, 0, rows[i].appid, "appkey"), rows[i].status);
    }
    rig_destroy(rig);
}

static void many_wait_for_one_read(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    struct call *calls[50];
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    for (size_t i = 0; i < gw_count(calls); i++)
        calls[i] = call_as(rig, 0, "acme", i % 2 ? made.appkey : "wrong", "/v1/config");
    for (size_t i = 0; i < gw_count(calls); i++) {
        call_wait(rig, calls[i]);
        expect_status(calls[i], i % 2 ? 200 : 401);
        call_free(calls[i]);
    }
    rig_destroy(rig);
}

/* The cache has room for 16 appids here. */
static void the_cache_forgets(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    char appid[32];
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    for (int i = 0; i < 200; i++) {
        snprintf(appid, sizeof(appid), "nobody-%d", i);
        assert_int_equal(status_on(rig, 0, appid, "x"), 401);
        if (i % 20 == 0)
            assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200);
    }
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200);
    rig_destroy(rig);
}

static void the_store_is_down(void **state)
{
    struct service service;
    struct rig *rig = with_service(&service);
    struct made made;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200);
    rig->admin_fault = GW_FAULT_FAIL;
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200); /* known */
    struct call *call = call_as(rig, 1, "acme", made.appkey, "/v1/config");
    call_wait(rig, call);
    assert_non_null(reply_header(call, "retry-after"));
    expect_failed(call, 503, "keys cannot be checked now");
    assert_int_equal(status_on(rig, 1, "acme", "wrong"), 503);
    assert_int_equal(status_on(rig, 1, "nobody", "x"), 503); /* and the service is not asked */
    assert_int_equal(service.asked, 0);
    rig->admin_fault = GW_FAULT_NONE;
    assert_int_equal(status_on(rig, 1, "acme", made.appkey), 200);
    assert_int_equal(status_on(rig, 1, "acme", "wrong"), 401);
    rig_destroy(rig);
}

/* Where others may change keys too, what was read is read again after that time. */
static void keys_that_age(void **state)
{
    struct rig *rig = rig_create(&(struct rig_options){.keys_keep_ms = 5000});
    struct made made;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200);
    rig->admin_fault = GW_FAULT_FAIL;
    rig_run(rig, 4000);
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200);
    rig_run(rig, 1100);
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 503);
    rig->admin_fault = GW_FAULT_NONE;
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200);
    rig_destroy(rig);
}

static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}

/* A known key costs no memory but the request's. */
static void a_known_key_allocates_nothing(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    struct call *calls[8];
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    assert_int_equal(status_on(rig, 0, "acme", made.appkey), 200);
    for (size_t i = 0; i < gw_count(calls); i++) {
        calls[i] = call_prepare(rig, GW_GET, "/v1/keys", NULL); /* the role is missing */
        call_header(calls[i], "appid", "acme");
        call_header(calls[i], "appkey", made.appkey);
        gw_arena_alloc(&calls[i]->arena, 16);
    }
    call_go(rig, 0, calls[0]); /* makes the API's scratch buffer */
    size_t before = heap_bytes();
    for (size_t i = 1; i < gw_count(calls); i++) {
        call_go(rig, 0, calls[i]);
        assert_true(calls[i]->done); /* at once */
        expect_status(calls[i], 403);
    }
    assert_int_equal(heap_bytes(), before);
    for (size_t i = 0; i < gw_count(calls); i++)
        call_free(calls[i]);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_says_yes),
        cmocka_unit_test(service_says_something_else),
        cmocka_unit_test(service_is_not_asked),
        cmocka_unit_test(service_is_asked_once),
        cmocka_unit_test(pairs_are_not_mixed_up),
        cmocka_unit_test(service_has_a_ceiling),
        cmocka_unit_test(service_forgets),
        cmocka_unit_test(headers),
        cmocka_unit_test(tokens),
        cmocka_unit_test(keys_of_one_appid),
        cmocka_unit_test(change_during_a_read),
        cmocka_unit_test(damaged_keys),
        cmocka_unit_test(many_wait_for_one_read),
        cmocka_unit_test(the_cache_forgets),
        cmocka_unit_test(the_store_is_down),
        cmocka_unit_test(keys_that_age),
        cmocka_unit_test(a_known_key_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
