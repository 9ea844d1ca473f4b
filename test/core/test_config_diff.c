/* test_config_diff.c: what the history of a config says of a change. */
#include "config_support.h"

#include "core/access.h"

#define SHORT "'filter':{'a':['x']}"

/* NULL stands for no config. */
static void expect_diff(const struct gw_config *before, const struct gw_config *after,
                        const char *wanted)
{
    struct gw_buf got = {0}, text = {0};

    gw_config_diff(before, after, &got);
    quote(&text, wanted);
    assert_slice(gw_buf_slice(&got), gw_buf_slice(&text));
    gw_buf_deinit(&got);
    gw_buf_deinit(&text);
}

static void changes(void **state)
{
    static const struct {
        const char *patch, *wanted;
    } rows[] = {
        {"{" KEY "}", "[]"},
        {"{" KEY ",'isActive':true,'product':'p','headers':{'x-a':'1'}}", "[]"}, /* as it was */
        {"{" KEY ",'headers':{'X-A':'1'}}", "[{'field':'headers','from':{'x-a':'1','x-key':'…cdef'}"
                                            ",'to':{'X-A':'1','x-key':'…cdef'}}]"},
        {"{" KEY ",'isActive':false}", "[{'field':'isActive','from':true,'to':false}]"},
        {"{" KEY ",'product':null,'webhookUrl':'https://b/'}",
         "[{'field':'webhookUrl','from':'https://a.example/hook','to':'https://b/'},"
         "{'field':'product','from':'p','to':null}]"},
        {"{" KEY ",'headers':{'x-a':'2'}}", "[{'field':'headers','from':{'x-a':'1','x-key':'…cdef'}"
                                            ",'to':{'x-a':'2','x-key':'…cdef'}}]"},
        /* what is masked looks alike and has changed */
        {"{" KEY ",'headers':{'x-key':'another one: 89abcdef'}}",
         "[{'field':'headers','from':{'x-a':'1','x-key':'…cdef'},'to':{'x-a':'1','x-key':'…cdef'}}"
         "]"},
        {"{" KEY ",'headers':{'x-key':'…cdef'}}", "[]"},
        {"{" KEY ",'retry':{'timeoutMs':2000}}",
         "[{'field':'retry','from':{'schedule':[5,300,1800,7200,18000,36000,36000],'timeoutMs':"
         "15000},'to':{'schedule':[5,300,1800,7200,18000,36000,36000],'timeoutMs':2000}}]"},
        {"{" KEY ",'rateLimit':9,'filter':null}", "[{'field':'filter','from':{'a':['x']},'to':null}"
                                                  ",{'field':'rateLimit','from':null,'to':9}]"},
        {"{" KEY ",'webhookUrl':'https://a.example/hook?token=s3cret'}", /* nor is a query shown */
         "[{'field':'webhookUrl','from':'https://a.example/hook','to':'https://a.example/hook'}]"},
        {"{" KEY ",'workflows':{'w':['https://w.example/x?token=s3cret']}}",
         "[{'field':'workflows','from':{},'to':{'w':['https://w.example/x']}}]"},
        /* secrets: by field alone */
        {"{" KEY ",'secret':'abcdef0123456789'}", "[{'field':'secret'}]"},
        {"{" KEY ",'updateSecret':'now'}", "[{'field':'secret'}]"},
        {"{" KEY ",'secret':'0123456789abcdef'}", "[]"},
    };
    struct gw_config *config =
        create("{" BASE ",'product':'p','headers':{'x-a':'1','x-key':'0123456789abcdef'}," SHORT
               ",'secret':'0123456789abcdef'}");

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_config *next = gw_config_ref(config);
        patch(&next, rows[i].patch);
        expect_diff(config, next, rows[i].wanted);
        gw_config_unref(next);
    }
    gw_config_unref(config);
}

static void made_and_deleted(void **state)
{
    struct gw_config *config = create("{" BASE ",'secret':'0123456789abcdef'}");
    struct gw_buf out = {0};

    (void)state;
    gw_config_diff(NULL, config, &out);
    assert_true(gw_slice_starts(gw_buf_slice(&out),
                                GW_SLICE("[{\"field\":\"appId\",\"from\":null,\"to\":\"a\"},")));
    assert_non_null(memmem(out.ptr, out.len, "{\"field\":\"secret\"}]", 19));
    assert_null(memmem(out.ptr, out.len, "product", 7)); /* null before and after */
    assert_null(memmem(out.ptr, out.len, "version", 7));
    assert_null(memmem(out.ptr, out.len, "0123456789abcdef", 16));
    gw_buf_clear(&out);
    gw_config_diff(config, NULL, &out);
    assert_non_null(memmem(out.ptr, out.len, "\"from\":true,\"to\":null", 21));
    gw_config_unref(config);
    gw_buf_deinit(&out);
}

static void key_pairs(void **state)
{
    struct gw_config *plain = create("{" BASE ",'secret':'0123456789abcdef'}");
    struct gw_config *config = gw_config_ref(plain), *before;
    struct gw_buf wanted = {0}, keys[2] = {{0}, {0}};

    (void)state;
    patch_at(&config, "{" KEY ",'signing':{'schemes':['ed25519']}}", NOW + 1);
    gw_key_pair_public(&config->pairs[0], &keys[0]);
    gw_buf_addf(&wanted,
                "[{'field':'signing','from':{'schemes':['standard'],'bodyHeader':"
                "'x-webhook-signature','bodyEncoding':'hex'},'to':{'schemes':['ed25519'],"
                "'bodyHeader':'x-webhook-signature','bodyEncoding':'hex'}},{'field':'publicKey',"
                "'from':null,'to':'%s'}]",
                gw_buf_text(&keys[0]));
    expect_diff(plain, config, gw_buf_text(&wanted));
    before = gw_config_ref(config);
    patch_at(&config, "{" KEY ",'updateSecret':true}", NOW + 2);
    gw_key_pair_public(&config->pairs[0], &keys[1]);
    gw_buf_clear(&wanted);
    gw_buf_addf(&wanted, "[{'field':'publicKey','from':'%s','to':'%s'},{'field':'secret'}]",
                gw_buf_text(&keys[0]), gw_buf_text(&keys[1]));
    expect_diff(before, config, gw_buf_text(&wanted));
    gw_config_unref(before);
    /* an overlap that ends by itself is no change, one that is ended is */
    before = gw_config_ref(config);
    patch_at(&config, "{" KEY "}", NOW + 2 + OVERLAP);
    expect_diff(before, config, "[]");
    gw_config_unref(config);
    config = gw_config_ref(before);
    gw_buf_clear(&wanted);
    gw_buf_addf(&wanted, "{" KEY ",'updateSecret':'now','secret':'%s'}", before->secrets[0].text);
    patch_at(&config, gw_buf_text(&wanted), NOW + 3);
    expect_diff(before, config, "[{'field':'secret'}]");
    gw_config_unref(before);
    gw_config_unref(config);
    gw_config_unref(plain);
    gw_buf_deinit(&wanted);
    gw_buf_deinit(&keys[0]);
    gw_buf_deinit(&keys[1]);
}

/* A value of many bytes is told by its size. */
static void large_values(void **state)
{
    struct gw_config *config = create("{" BASE "}");
    struct gw_buf json = {0};

    (void)state;
    for (int len = 1000; len <= 1001; len++) {
        struct gw_config *next = gw_config_ref(config);
        /* {"w":["https://b.example/…"]}: 28 bytes around it */
        gw_buf_clear(&json);
        gw_buf_addf(&json, "{" KEY ",'workflows':{'w':['https://b.example/%0*d']}}", len - 4, 0);
        patch(&next, gw_buf_text(&json));
        gw_buf_clear(&json);
        if (len == 1000)
            gw_buf_addf(&json,
                        "[{'field':'workflows','from':{},'to':{'w':['https://b.example/%0*d']}}]",
                        len - 4, 0);
        else
            gw_buf_addf(&json, "[{'field':'workflows','from':{},'toBytes':1025}]");
        expect_diff(config, next, gw_buf_text(&json));
        gw_config_unref(next);
    }
    gw_config_unref(config);
    gw_buf_deinit(&json);
}

/* Each value as long as one may be that is told in full: the audit log has room for all of them. */
static void largest(void **state)
{
    struct gw_config *configs[2];
    struct gw_buf json = {0}, out = {0};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        gw_buf_clear(&json);
        gw_buf_addf(&json,
                    "{" KEY ",'isActive':%s,'deleteAppId':%s,'maxInFlight':%d,'rateLimit':%d",
                    i ? "true" : "false", i ? "true" : "false", i ? 999 : 1000, i ? 99998 : 99999);
        gw_buf_addf(&json, ",'webhookUrl':'https://a/%01012zu'", i);
        gw_buf_addf(&json, ",'product':'%zu", i);
        for (size_t k = 0; k < 255; k++)
            gw_buf_addf(&json, "\U0001F4B0");
        gw_buf_addf(&json, "','headers':{'x':'%01016zu'}", i);
        gw_buf_addf(&json, ",'workflows':{'w':['https://a/%01004zu']}", i);
        gw_buf_addf(&json, ",'additionalMetadataKeys':[");
        for (size_t k = 0; k < 4; k++)
            gw_buf_addf(&json, "%s'%0*zu'", k ? "," : "", k ? 253 : 252, i);
        gw_buf_addf(&json, "],'payloadBlocklist':[");
        for (size_t k = 0; k < 4; k++)
            gw_buf_addf(&json, "%s'%0*zu'", k ? "," : "", k ? 253 : 252, i);
        gw_buf_addf(&json, "],'filter':{'f':['%01014zu']}", i);
        gw_buf_addf(&json, ",'retry':{'timeoutMs':2999%zu,'schedule':[", i);
        for (size_t k = 0; k < 24; k++)
            gw_buf_addf(&json, "%s4319%zu", k ? "," : "", i);
        gw_buf_addf(&json,
                    "]},'signing':{'schemes':['standard','ed25519','body'],'bodyHeader':"
                    "'x%063zu','bodyEncoding':'base64'},'secret':'0123456789abcde%zu'}",
                    i, i);
        configs[i] = create(gw_buf_text(&json));
    }
    configs[0]->pairs[0].public_key[0] ^= 1;
    gw_config_diff(configs[0], configs[1], &out);
    assert_null(memmem(out.ptr, out.len, "Bytes\"", 6));
    assert_in_range(out.len, 14 * GW_CONFIG_SHOWN_MAX, GW_AUDIT_DETAIL_MAX);
    for (size_t i = 0; i < 2; i++)
        gw_config_unref(configs[i]);
    gw_buf_deinit(&json);
    gw_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes),   cmocka_unit_test(made_and_deleted),
        cmocka_unit_test(key_pairs), cmocka_unit_test(large_values),
        cmocka_unit_test(largest),
    };

    return cmocka_run_group_tests_name("config_diff", tests, NULL, NULL);
}
