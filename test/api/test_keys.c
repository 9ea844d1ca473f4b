/* test_keys.c: /v1/keys: what may be asked for, what is shown, and when it is in force. */
#include "rig.h"

#include "base/buf.h"

/* By that key, on that shard: is it let in? 403 is a yes to the key and a no to its role. */
static int status_on(struct rig *rig, size_t shard, const struct made *made)
{
    struct call *call = call_prepare(rig, GW_GET, "/v1/config", NULL);
    call_header(call, "appid", made->appid);
    call_header(call, "appkey", made->appkey);
    call_go(rig, shard, call);
    call_wait(rig, call);
    int status = call->exchange.status;
    call_free(call);
    return status;
}

static bool holds(const struct call *call, const char *text)
{
    struct gw_slice reply = call->exchange.reply;
    return memmem(reply.ptr, reply.len, text, strlen(text)) != NULL;
}

/* ── Making ────────────────────────────────────────────────────────────────────────────────── */

static void good_ones(void **state)
{
    static const struct {
        const char *body, *appid, *roles, *scope, *name;
    } rows[] = {
        {"{'roles':['client'],'scope':'acme'}", "acme", "[\"client\"]", "acme", "null"},
        {"{'roles':['viewer','admin','viewer'],'scope':'acme','name':null}", "acme",
         "[\"admin\",\"viewer\"]", "acme", "null"},
        {"{'name':'Ann\\u00e9','roles':['admin','producer','client','viewer'],'scope':'a b'}",
         "a b", "[\"admin\",\"producer\",\"client\",\"viewer\"]", "a b", "Ann\xc3\xa9"},
        {"{'name':'audit-portal','roles':['producer'],'scope':'*'}", "audit-portal",
         "[\"producer\"]", "*", "audit-portal"},
        {"{'name':'*','roles':['producer'],'scope':'*'}", "*", "[\"producer\"]", "*", "*"},
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct call *call = call_make(rig, GW_POST, "/v1/keys", rows[i].body);
        expect_status(call, 201);
        expect_at(call, "/result/appid", rows[i].appid);
        expect_at(call, "/result/roles", rows[i].roles);
        expect_at(call, "/result/scope", rows[i].scope);
        expect_at(call, "/result/name", rows[i].name);
        assert_int_equal(strncmp(at(call, "/result/createdAt"), "2026-01-01T00:00:", 17), 0);
        assert_int_equal(strlen(at(call, "/result/id")), 20);
        assert_int_equal(strlen(at(call, "/result/appkey")), 43);
        call_free(call);
    }
    rig_destroy(rig);
}

static void bad_ones(void **state)
{
    static const struct {
        const char *body, *word;
    } rows[] = {
        {"", "the body must be a JSON object"},
        {"[]", "the body must be a JSON object"},
        {"{", "the body is not JSON"},
        {"{}", "roles: must be an array of admin, producer, client, viewer, was missing"},
        {"{'roles':[],'scope':'a'}", "roles: must be an array of admin, producer, client, viewer, "
                                     "was empty"},
        {"{'roles':'admin','scope':'a'}", "roles: must be"},
        {"{'roles':null,'scope':'a'}", "roles: must be"},
        {"{'roles':['boss'],'scope':'a'}", "held \"boss\""},
        {"{'roles':['Admin'],'scope':'a'}", "held \"Admin\""},
        {"{'roles':['admin',''],'scope':'a'}", "held \"\""},
        {"{'roles':['admin',7],'scope':'a'}", "roles: must be"},
        {"{'roles':['admin\\u0000'],'scope':'a'}", "held \"admin\\u0000\""},
        {"{'roles':['admin']}", "scope: must be"},
        {"{'roles':['admin'],'scope':null}", "scope: must be a string"},
        {"{'roles':['admin'],'scope':''}", "scope: must be"}, /* never "any" */
        {"{'roles':['admin'],'scope':7}", "scope: must be a string"},
        {"{'roles':['admin'],'scope':['a']}", "scope: must be a string"},
        {"{'roles':['admin'],'scope':'a\\nb'}", "scope: must be"},
        {"{'roles':['admin'],'scope':'a\\u0000'}", "scope: must be"},
        {"{'roles':['admin'],'scope':' a'}", "scope: must not begin or end with a space"},
        {"{'roles':['admin'],'scope':'a '}", "scope: must not begin or end with a space"},
        {"{'roles':['admin'],'scope':'*'}", "name: is required where the scope is *"},
        {"{'roles':['admin'],'scope':'*','name':null}", "name: is required"},
        {"{'roles':['admin'],'scope':'*','name':''}", "name: must be"},
        {"{'roles':['admin'],'scope':'*','name':7}", "name: must be a string"},
        {"{'roles':['admin'],'scope':'a','name':'x\\r\\ny: z'}", "name: must be"},
        {"{'roles':['admin'],'scope':'a','name':' x'}", "name: must not begin or end"},
        {"{'roles':['admin'],'scope':'a','nmae':'x'}", "unknown field \"nmae\"; there are: name, "
                                                       "roles, scope"},
        {"{'roles':['admin'],'scope':'a','appkey':'x'}", "unknown field \"appkey\""},
        {"{'roles':['admin'],'scope':'a','scope':'b'}", "has the key \"scope\" twice"},
        {"{'roles':['admin'],'scope':'a','sc\\u006fpe':'b'}", "twice"},
    };
    struct rig *rig = rig_create(NULL);
    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect_failed(call_make(rig, GW_POST, "/v1/keys", rows[i].body), 400, rows[i].word);
    const char *wide = gw_arena_printf(
        &rig->arena,
        "{'roles':['admin'],'scope':'*','name':'%0200d\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9'}",
        0); /* 229 characters, 258 bytes */
    expect_failed(call_make(rig, GW_POST, "/v1/keys", wide), 400,
                  "name: must have at most 256 bytes, has 258");
    struct call *call = call_make(rig, GW_GET, "/v1/keys", NULL);
    assert_int_equal(count_at(call, "/result/items"), 0);
    call_free(call);
    rig_destroy(rig);
}

/* Only administrators; and those of one app no other's. */
static void whose(void **state)
{
    static const char *const roles[] = {"producer", "client", "viewer"};
    struct rig *rig = rig_create(NULL);
    struct made boss, made, theirs, any;
    (void)state;
    make_key(rig, "{'roles':['admin'],'scope':'*','name':'mine'}", &any);
    make_key(rig, "{'roles':['admin'],'scope':'mine'}", &boss);
    make_key(rig, "{'roles':['viewer'],'scope':'theirs'}", &theirs);
    for (size_t i = 0; i < gw_count(roles); i++) {
        make_key(rig, gw_arena_printf(&rig->arena, "{'roles':['%s'],'scope':'mine'}", roles[i]),
                 &made);
        expect_failed(
            call_by(rig, &made, GW_POST, "/v1/keys", "{'roles':['viewer'],'scope':'mine'}"), 403,
            "needs the role admin");
        expect_failed(call_by(rig, &made, GW_GET, "/v1/keys", NULL), 403, "needs the role admin");
        expect_failed(call_by(rig, &made, GW_DELETE, "/v1/keys/key_0000000000000000", NULL), 403,
                      "needs the role admin");
    }
    expect_failed(call_by(rig, &boss, GW_POST, "/v1/keys", "{'roles':['viewer'],'scope':'theirs'}"),
                  403, "another app");
    expect_failed(
        call_by(rig, &boss, GW_POST, "/v1/keys", "{'roles':['admin'],'scope':'*','name':'mine'}"),
        403, "another app");
    for (size_t i = 0; i < 2; i++) {
        const char *target = gw_arena_printf(&rig->arena, "/v1/keys/%s", i ? theirs.id : any.id);
        expect_failed(call_by(rig, &boss, GW_DELETE, target, NULL), 404, "no such key");
    }
    struct call *call = call_by(rig, &boss, GW_GET, "/v1/keys", NULL);
    assert_int_equal(count_at(call, "/result/items"), 4);
    assert_false(holds(call, theirs.id));
    assert_false(holds(call, any.id));
    call_free(call);
    call = call_by(rig, &boss, GW_POST, "/v1/keys", "{'roles':['admin'],'scope':'mine'}");
    expect_status(call, 201);
    call_free(call);
    call =
        call_by(rig, &boss, GW_DELETE, gw_arena_printf(&rig->arena, "/v1/keys/%s", made.id), NULL);
    expect_status(call, 200);
    call_free(call);
    call =
        call_by(rig, &any, GW_DELETE, gw_arena_printf(&rig->arena, "/v1/keys/%s", theirs.id), NULL);
    expect_status(call, 200);
    call_free(call);
    rig_destroy(rig);
}

static void so_many_share_an_appid(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    (void)state;
    for (int i = 0; i < GW_KEYS_PER_APPID; i++)
        make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    expect_failed(call_make(rig, GW_POST, "/v1/keys", "{'roles':['viewer'],'scope':'acme'}"), 409,
                  "16 keys share this one");
    assert_int_equal(status_on(rig, 1, &made), 200);
    revoke_key(rig, made.id);
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    rig_destroy(rig);
}

/* ── Showing ───────────────────────────────────────────────────────────────────────────────── */

static void pages(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made[5];
    struct gw_buf seen = {0};
    const char *target = "/v1/keys?limit=2";
    int count = 0;
    (void)state;
    for (size_t i = 0; i < gw_count(made); i++)
        make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made[i]);
    for (;; count++) {
        struct call *call = call_make(rig, GW_GET, target, NULL);
        expect_status(call, 200);
        for (size_t i = 0; i < count_at(call, "/result/items"); i++)
            gw_buf_addf(&seen, "%s ",
                        at(call, gw_arena_printf(&rig->arena, "/result/items/%zu/id", i)));
        for (size_t i = 0; i < gw_count(made); i++)
            assert_false(holds(call, made[i].appkey));
        target =
            gw_arena_printf(&rig->arena, "/v1/keys?limit=2&cursor=%s", at(call, "/result/next"));
        bool is_last = strcmp(at(call, "/result/next"), "null") == 0;
        call_free(call);
        if (is_last)
            break;
    }
    assert_int_equal(count, 2);
    assert_int_equal(seen.len, 5 * 21);
    for (size_t i = 0; i < gw_count(made); i++)
        assert_non_null(memmem(seen.ptr, seen.len, made[i].id, 20));
    gw_buf_deinit(&seen);
    expect_failed(call_make(rig, GW_GET, "/v1/keys?limit=0", NULL), 400, "limit");
    expect_failed(call_make(rig, GW_GET, "/v1/keys?scope=acme", NULL), 400, "unknown");
    expect_failed(call_make(rig, GW_GET, "/v1/keys?cursor=0123456789012345678901234", NULL), 400,
                  "cursor: must be the next");
    rig_destroy(rig);
}

/* ── Revoking ──────────────────────────────────────────────────────────────────────────────── */

static void revoking(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme','name':'ci'}", &made);
    const char *target = gw_arena_printf(&rig->arena, "/v1/keys/%s", made.id);
    expect_failed(call_make(rig, GW_DELETE, "/v1/keys/key_0000000000000000", NULL), 404, "no such");
    expect_failed(call_make(rig, GW_DELETE, "/v1/keys/acme", NULL), 404, "no such");
    expect_failed(call_make(rig, GW_DELETE, "/v1/keys/key_00000000000000000000000000", NULL), 404,
                  "no such");
    expect_failed(
        call_make(rig, GW_DELETE, gw_arena_printf(&rig->arena, "%s?force=true", target), NULL), 400,
        "there are none");
    assert_int_equal(status_on(rig, 0, &made), 200);
    struct call *call = call_make(rig, GW_DELETE, target, NULL);
    expect_status(call, 200);
    expect_at(call, "/result/id", made.id);
    expect_at(call, "/result/name", "ci");
    expect_at(call, "/result/revoked", "true");
    expect_at(call, "/result/appkey", "(none)");
    call_free(call);
    expect_failed(call_make(rig, GW_DELETE, target, NULL), 404, "no such key");
    assert_int_equal(status_on(rig, 0, &made), 401);
    rig_destroy(rig);
}

/* The store did it and its answer was lost: nobody may be let in by what was known before. */
static void a_lost_answer(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made, other;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    make_key(rig, "{'roles':['viewer'],'scope':'other'}", &other);
    for (size_t shard = 0; shard < RIG_SHARDS; shard++)
        assert_int_equal(status_on(rig, shard, &made), 200);
    rig->admin_fault = GW_FAULT_LOSE;
    struct call *call =
        call_make(rig, GW_DELETE, gw_arena_printf(&rig->arena, "/v1/keys/%s", made.id), NULL);
    rig->admin_fault = GW_FAULT_NONE;
    expect_failed(call, 503, "the store cannot answer now");
    for (size_t shard = 0; shard < RIG_SHARDS; shard++) {
        assert_int_equal(status_on(rig, shard, &made), 401);
        assert_int_equal(status_on(rig, shard, &other), 200);
    }
    rig_destroy(rig);
}

static void the_store_is_down(void **state)
{
    struct rig *rig = rig_create(NULL);
    struct made made;
    (void)state;
    make_key(rig, "{'roles':['viewer'],'scope':'acme'}", &made);
    rig->admin_fault = GW_FAULT_FAIL;
    expect_failed(call_make(rig, GW_POST, "/v1/keys", "{'roles':['viewer'],'scope':'acme'}"), 503,
                  "the store cannot answer now");
    expect_failed(call_make(rig, GW_GET, "/v1/keys", NULL), 503, "the store cannot answer now");
    expect_failed(
        call_make(rig, GW_DELETE, gw_arena_printf(&rig->arena, "/v1/keys/%s", made.id), NULL), 503,
        "the store cannot answer now");
    rig->admin_fault = GW_FAULT_NONE;
    struct call *call = call_make(rig, GW_GET, "/v1/keys", NULL);
    assert_int_equal(count_at(call, "/result/items"), 1);
    call_free(call);
    assert_int_equal(status_on(rig, 0, &made), 200);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),     cmocka_unit_test(bad_ones),
        cmocka_unit_test(whose),         cmocka_unit_test(so_many_share_an_appid),
        cmocka_unit_test(pages),         cmocka_unit_test(revoking),
        cmocka_unit_test(a_lost_answer), cmocka_unit_test(the_store_is_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
