/* test_config_signing.c: the field `signing`, and the key pairs and secrets that follow from it. */
#include "config_support.h"

#define SIGNING(members) "{" BASE ",'signing':{" members "}}"
#define CHANGE(members)  "{" KEY ",'signing':{" members "}}"
#define OWN(letter)      letter "123456789abcdef"
#define NO_TOKEN         "is no header name (letters, digits and !#$%&'*+-.^_`|~)"

/* ── The field ─────────────────────────────────────────────────────────────────────────────── */

static void takes(void **state)
{
    static const struct {
        const char *json, *shown;
    } rows[] = {
        {SIGNING(""), "'schemes':['standard'],'bodyHeader':'x-webhook-signature','bodyEncoding':"
                      "'hex'"},
        {SIGNING("'schemes':['body']"),
         "'schemes':['body'],'bodyHeader':'x-webhook-signature','bodyEncoding':'hex'"},
        {SIGNING("'schemes':['body','ed25519','standard']"),
         "'schemes':['standard','ed25519','body'],'bodyHeader'"},
        {SIGNING("'bodyHeader':'X-Hub-Signature-256','bodyEncoding':'base64'"),
         "'schemes':['standard'],'bodyHeader':'X-Hub-Signature-256','bodyEncoding':'base64'"},
        {SIGNING("'bodyHeader':'X-WEBHOOK-SIGNATURE'"), "'bodyHeader':'X-WEBHOOK-SIGNATURE'"},
        {SIGNING("'bodyHeader':'Authorization'"), "'bodyHeader':'Authorization'"},
        {SIGNING("'bodyHeader':'x234567890123456789012345678901234567890123456789012345678901234'"),
         "'bodyHeader':'x234"},
        {"{" BASE ",'signing':{'bodyHeader':'x-sig'},'headers':{'x-si':'1','x-sig2':'2',"
         "'x-sig-nex':'3','x-sig-next2':'4','next':'5'}}",
         "'bodyHeader':'x-sig'"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_config *config = create(rows[i].json);
        assert_shows(config, rows[i].shown);
        gw_config_unref(config);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *json, *error;
    } rows[] = {
        {"{" BASE ",'signing':[]}",
         "signing: must be an object with schemes, bodyHeader and bodyEncoding, was an array"},
        {"{" BASE ",'signing':'s3cret'}",
         "signing: must be an object with schemes, bodyHeader and bodyEncoding, was a string"},
        {SIGNING("'scheme':['body']"),
         "signing: unknown member \"scheme\"; there are: schemes, bodyHeader, bodyEncoding"},
        {SIGNING("'schemes\\u0000':['body']"), "signing: unknown member \"schemes\\u0000\"; there "
                                               "are: schemes, bodyHeader, bodyEncoding"},
        {SIGNING("'schemes':'body'"),
         "signing.schemes: must be an array of standard, ed25519, body, was a string"},
        {SIGNING("'schemes':[]"),
         "signing.schemes: must have at least one item, has 0 (null is the default)"},
        {SIGNING("'schemes':['standard','v1']"),
         "signing.schemes[1]: must be standard, ed25519 or body, was \"v1\""},
        {SIGNING("'schemes':[null]"),
         "signing.schemes[0]: must be standard, ed25519 or body, was null"},
        {SIGNING("'schemes':['Standard']"),
         "signing.schemes[0]: must be standard, ed25519 or body, was \"Standard\""},
        {SIGNING("'schemes':['body','standard','body']"),
         "signing.schemes[2]: \"body\" is there twice"},
        {SIGNING("'bodyHeader':5"), "signing.bodyHeader: must be a header name in a string, was 5"},
        {SIGNING("'bodyHeader':''"), "signing.bodyHeader: \"\" " NO_TOKEN},
        {SIGNING("'bodyHeader':'x sig'"), "signing.bodyHeader: \"x sig\" " NO_TOKEN},
        {SIGNING("'bodyHeader':'x:'"), "signing.bodyHeader: \"x:\" " NO_TOKEN},
        {SIGNING("'bodyHeader':'x\\r\\ny'"), "signing.bodyHeader: \"x\\u000d\\u000ay\" " NO_TOKEN},
        {SIGNING("'bodyHeader':'x\\u0000y'"), "signing.bodyHeader: \"x\\u0000y\" " NO_TOKEN},
        {SIGNING(
             "'bodyHeader':'x2345678901234567890123456789012345678901234567890123456789012345'"),
         "signing.bodyHeader: must have at most 64 bytes, has 65"},
        {SIGNING("'bodyHeader':'Host'"),
         "signing.bodyHeader: \"Host\" cannot be set: it follows from the URL"},
        {SIGNING("'bodyHeader':'webhook-signature'"),
         "signing.bodyHeader: \"webhook-signature\" cannot be set: this service sets it"},
        {SIGNING("'bodyHeader':'x-webhook-signature-next'"),
         "signing.bodyHeader: \"x-webhook-signature-next\" cannot be set: this service sets it"},
        {SIGNING("'bodyHeader':'content-digest'"),
         "signing.bodyHeader: \"content-digest\" cannot be set: it follows from the body"},
        /* that with -next would be refused */
        {SIGNING("'bodyHeader':'content'"),
         "signing.bodyHeader: \"content\" cannot be set: it follows from the body"},
        {SIGNING("'bodyHeader':'Proxy'"),
         "signing.bodyHeader: \"Proxy\" cannot be set: it concerns one connection"},
        {SIGNING("'bodyEncoding':'HEX'"),
         "signing.bodyEncoding: must be hex or base64, was \"HEX\""},
        {SIGNING("'bodyEncoding':16"), "signing.bodyEncoding: must be hex or base64, was 16"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        if (try_create(rows[i].json, &error))
            fail_msg("%s: was accepted", rows[i].json);
        assert_int_equal(error.code, GW_ERR_INVALID);
        assert_string_equal(error.text, rows[i].error);
    }
}

#define COLLIDES(name)                                                                             \
    "headers: \"" name "\" cannot be set: signing.bodyHeader, and while a secret is rotated that " \
    "with -next, are the signature's"

/* Neither way round: not by a new header, not by a new name for the signature's. */
static void headers_and_signature(void **state)
{
    static const struct {
        const char *before, *patch, *error; /* patch NULL: already the create is refused */
    } rows[] = {
        {"{" BASE ",'headers':{'x-sig':'1'},'signing':{'bodyHeader':'X-Sig'}}", NULL,
         COLLIDES("x-sig")},
        {"{" BASE ",'headers':{'a':'1','X-SIG-NEXT':'1'},'signing':{'bodyHeader':'x-sig'}}", NULL,
         COLLIDES("X-SIG-NEXT")},
        {"{" BASE ",'headers':{'x-sig':'1'}}", CHANGE("'bodyHeader':'X-Sig'"), COLLIDES("x-sig")},
        {"{" BASE ",'headers':{'x-sig-next':'1'}}", CHANGE("'bodyHeader':'X-Sig'"),
         COLLIDES("x-sig-next")},
        {SIGNING("'bodyHeader':'x-sig'"), "{" KEY ",'headers':{'X-Sig':'1'}}", COLLIDES("X-Sig")},
        {SIGNING("'bodyHeader':'x-sig'"), "{" KEY ",'headers':{'X-Sig-Next':'1'}}",
         COLLIDES("X-Sig-Next")},
        /* one takes the other's place in one change */
        {"{" BASE ",'headers':{'x-sig':'1'}}",
         "{" KEY ",'headers':{'X-Sig':null},'signing':{'bodyHeader':'x-sig'}}", NULL},
        {SIGNING("'bodyHeader':'x-sig'"),
         "{" KEY ",'headers':{'x-sig':'1'},'signing':{'bodyHeader':null}}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        bool made;
        struct gw_config *config = try_create(rows[i].before, &error);
        assert_int_equal(config == NULL, rows[i].patch == NULL);
        struct gw_config *next =
            config ? try_patch(config, rows[i].patch, NOW, &made, &error) : NULL;
        assert_string_equal(error.text, rows[i].error ? rows[i].error : "");
        assert_int_equal(next == NULL, rows[i].error != NULL);
        gw_config_unref(next);
        gw_config_unref(config);
    }
}

static void merges(void **state)
{
    struct gw_config *config = create(
        SIGNING("'schemes':['standard','body'],'bodyHeader':'x-old','bodyEncoding':'base64'"));

    (void)state;
    patch(&config, CHANGE("'schemes':['body']"));
    assert_shows(config, "'schemes':['body'],'bodyHeader':'x-old','bodyEncoding':'base64'");
    patch(&config, CHANGE("'bodyEncoding':null"));
    assert_shows(config, "'schemes':['body'],'bodyHeader':'x-old','bodyEncoding':'hex'");
    patch(&config, CHANGE("'bodyHeader':null,'bodyEncoding':'base64'"));
    assert_shows(config,
                 "'schemes':['body'],'bodyHeader':'x-webhook-signature','bodyEncoding':'base64'");
    patch(&config, "{" KEY ",'signing':{}}");
    assert_shows(config, "'schemes':['body']");
    patch(&config, "{" KEY ",'signing':null}");
    assert_shows(config, "'schemes':['standard'],'bodyHeader':'x-webhook-signature',"
                         "'bodyEncoding':'hex'");
    gw_config_unref(config);
}

/* ── Key pairs ─────────────────────────────────────────────────────────────────────────────── */

static void expect_pairs(const struct gw_config *config, size_t count, int64_t old_until_ms)
{
    uint8_t public_key[GW_ED25519_BYTES];

    assert_int_equal(config->pair_count, count);
    for (size_t i = 0; i < count; i++) {
        gw_ed25519_public(config->pairs[i].seed, public_key);
        assert_memory_equal(config->pairs[i].public_key, public_key, sizeof(public_key));
        assert_memory_not_equal(config->pairs[i].seed, config->secrets[0].key, GW_ED25519_BYTES);
    }
    if (count > 0)
        assert_true(config->pairs[0].until_ms == GW_NEVER);
    if (count > 1) {
        assert_int_equal(config->pairs[1].until_ms, old_until_ms);
        assert_memory_not_equal(config->pairs[0].seed, config->pairs[1].seed, GW_ED25519_BYTES);
    }
}

/* Shown with ed25519 and never without, whoever asks. */
static void expect_public_key(const struct gw_config *config, bool is_shown)
{
    struct gw_buf text = {0}, key = {0};

    gw_buf_addf(&key, "\"publicKey\":");
    if (is_shown) {
        gw_buf_addc(&key, '"');
        gw_key_pair_public(&config->pairs[0], &key);
    }
    for (int show_secret = 0; show_secret <= 1; show_secret++) {
        gw_buf_clear(&text);
        gw_config_render(config, show_secret != 0, &text);
        assert_int_equal(memmem(text.ptr, text.len, key.ptr, key.len) != NULL, is_shown);
    }
    gw_buf_deinit(&text);
    gw_buf_deinit(&key);
}

static void pairs(void **state)
{
    struct gw_config *config = create("{" BASE "}");
    struct gw_key_pair first, second;

    (void)state;
    expect_pairs(config, 0, 0);
    expect_public_key(config, false);
    /* made when first asked for; the secret stays, and is not shown for it */
    assert_false(patch_at(&config, CHANGE("'schemes':['standard','ed25519']"), NOW + 1));
    expect_pairs(config, 1, 0);
    expect_public_key(config, true);
    first = config->pairs[0];
    /* kept by other changes, and while nobody asks for it */
    assert_false(patch_at(&config, CHANGE("'schemes':['standard']"), NOW + 2));
    expect_public_key(config, false);
    assert_false(patch_at(&config, CHANGE("'schemes':['ed25519']"), NOW + 3));
    expect_public_key(config, true);
    expect_pairs(config, 1, 0);
    assert_memory_equal(&config->pairs[0], &first, sizeof(first));
    /* rotated with the secret, with its overlap */
    assert_true(patch_at(&config, "{" KEY ",'updateSecret':true}", NOW + 4));
    expect_pairs(config, 2, NOW + 4 + OVERLAP);
    assert_int_equal(config->secrets[1].until_ms, config->pairs[1].until_ms);
    assert_memory_equal(config->pairs[1].seed, first.seed, sizeof(first.seed));
    second = config->pairs[0];
    /* also when the secret is brought, and while ed25519 is not asked for */
    assert_true(patch_at(
        &config, "{" KEY ",'secret':'" OWN("a") "','signing':{'schemes':['body']}}", NOW + 5));
    expect_pairs(config, 2, NOW + 5 + OVERLAP);
    assert_memory_equal(config->pairs[1].seed, second.seed, sizeof(second.seed));
    /* at once */
    assert_true(patch_at(&config, "{" KEY ",'updateSecret':'now'}", NOW + 6));
    expect_pairs(config, 1, 0);
    gw_config_unref(config);
}

static void overlap_ends(void **state)
{
    struct gw_config *config = create(SIGNING("'schemes':['ed25519']"));

    (void)state;
    expect_pairs(config, 1, 0);
    patch_at(&config, "{" KEY ",'updateSecret':true}", NOW + 1);
    patch_at(&config, "{" KEY "}", NOW + OVERLAP);
    expect_pairs(config, 2, NOW + 1 + OVERLAP);
    patch_at(&config, "{" KEY "}", NOW + 1 + OVERLAP);
    expect_pairs(config, 1, 0);
    assert_int_equal(config->secret_count, 1);
    gw_config_unref(config);
}

/* Made and rotated by one request: there is nothing older yet. */
static void first_pair_with_a_rotation(void **state)
{
    struct gw_config *config = create("{" BASE "}");

    (void)state;
    assert_true(patch_at(&config, "{" KEY ",'updateSecret':true,'signing':{'schemes':['ed25519']}}",
                         NOW + 1));
    expect_pairs(config, 1, 0);
    assert_int_equal(config->secret_count, 2);
    gw_config_unref(config);
}

/* ── secret and updateSecret together ──────────────────────────────────────────────────────── */

static void secret_and_update_secret(void **state)
{
    static const struct {
        const char *patch;
        bool made;
        size_t secrets; /* 0: refused */
    } rows[] = {
        {"{" KEY ",'secret':'" OWN("b") "'}", true, 2},
        {"{" KEY ",'secret':'" OWN("b") "','updateSecret':null}", true, 2},
        {"{" KEY ",'secret':'" OWN("b") "','updateSecret':true}", true, 2},
        {"{" KEY ",'secret':'" OWN("b") "','updateSecret':'now'}", true, 1},
        {"{" KEY ",'secret':'" OWN("b") "','updateSecret':false}", false, 0},
        {"{" KEY ",'secret':'" OWN("a") "','updateSecret':true}", false, 1}, /* it is that one */
        {"{" KEY ",'secret':'" OWN("a") "','updateSecret':false}", false, 1},
        {"{" KEY ",'secret':'…cdef','updateSecret':false}", false, 1},
        {"{" KEY ",'secret':'…cdef','updateSecret':true}", true, 2},
        {"{" KEY ",'updateSecret':false}", false, 1},
    };
    struct gw_config *config = create("{" BASE ",'secret':'" OWN("a") "','updateSecret':false}");

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        bool made = true;
        struct gw_config *next = try_patch(config, rows[i].patch, NOW, &made, &error);
        assert_int_equal(made, rows[i].made);
        if (rows[i].secrets)
            assert_int_equal(next->secret_count, rows[i].secrets);
        else
            assert_string_equal(error.text,
                                "updateSecret: must be true, \"now\" or left out beside another "
                                "secret, for that one takes the current one's place; was false");
        gw_config_unref(next);
    }
    gw_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(headers_and_signature),
        cmocka_unit_test(merges),
        cmocka_unit_test(pairs),
        cmocka_unit_test(overlap_ends),
        cmocka_unit_test(first_pair_with_a_rotation),
        cmocka_unit_test(secret_and_update_secret),
    };

    return cmocka_run_group_tests_name("config_signing", tests, NULL, NULL);
}
