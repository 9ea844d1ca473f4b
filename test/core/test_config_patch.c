/* test_config_patch.c: the config after a PATCH: RFC 7396, masks sent back, lanes, secrets. */
#include "config_support.h"

/* ── RFC 7396, appendix A ──────────────────────────────────────────────────────────────────── */

static void rfc_examples(void **state)
{
    static const struct {
        const char *original, *patch, *result;
    } rows[] = {
        {"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
        {"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
        {"{'a':'b'}", "{'a':null}", "{}"},
        {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
        {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
        {"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
        {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
        {"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
        {"['a','b']", "['c','d']", "['c','d']"},
        {"{'a':'b'}", "['c']", "['c']"},
        {"{'a':'foo'}", "null", "null"},
        {"{'a':'foo'}", "'bar'", "'bar'"},
        {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
        {"[1,2]", "{'a':'b','c':null}", "{'a':'b'}"},
        {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
        /* section 3 */
        {"{'title':'Goodbye!','author':{'givenName':'John','familyName':'Doe'},'tags':['example',"
         "'sample'],'content':'This will be unchanged'}",
         "{'title':'Hello!','phoneNumber':'+01-123-456-7890','author':{'familyName':null},'tags':["
         "'example']}",
         "{'title':'Hello!','author':{'givenName':'John'},'tags':['example'],'content':'This will "
         "be unchanged','phoneNumber':'+01-123-456-7890'}"},
    };
    struct gw_arena arena = {0};
    struct gw_buf text = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        yyjson_alc alc = gw_strict_alc(&arena);
        yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
        yyjson_mut_val *values[3];
        const char *const texts[] = {rows[i].original, rows[i].patch, rows[i].result};
        for (size_t k = 0; k < 3; k++) {
            quote(&text, texts[k]);
            yyjson_doc *read = yyjson_read_opts(text.ptr, text.len, 0, &alc, NULL);
            assert_non_null(read);
            values[k] = yyjson_val_mut_copy(doc, yyjson_doc_get_root(read));
        }
        if (!yyjson_mut_equals(gw_config_merge(doc, values[0], values[1]), values[2]))
            fail_msg("%s with %s is not %s", texts[0], texts[1], texts[2]);
    }
    gw_arena_deinit(&arena);
    gw_buf_deinit(&text);
}

/* ── Fields ────────────────────────────────────────────────────────────────────────────────── */

#define FULL                                                                                       \
    "{" BASE ",'isActive':false,'product':'p','headers':{'x-a':'1','x-b':'2'},'workflows':{"       \
    "'w':['https://b.example/1','https://b.example/2'],'v':['https://b.example/1']},"              \
    "'deleteAppId':true,'retry':{'schedule':[1,2],'timeoutMs':5000},'maxInFlight':4,"              \
    "'secret':'0123456789abcdef'}"

/* Each changes what it names, and nothing else. */
static void merges(void **state)
{
    static const struct {
        const char *patch, *before, *after;
    } rows[] = {
        {"{" KEY "}", "", ""},
        {"{" KEY ",'webhookUrl':'https://c.example/'}", "'https://a.example/hook'",
         "'https://c.example/'"},
        {"{" KEY ",'isActive':true}", "'isActive':false", "'isActive':true"},
        {"{" KEY ",'isActive':null}", "'isActive':false", "'isActive':true"},
        {"{" KEY ",'product':'q'}", "'product':'p'", "'product':'q'"},
        {"{" KEY ",'product':null}", "'product':'p'", "'product':null"},
        {"{" KEY ",'headers':{}}", "", ""},
        {"{" KEY ",'headers':{'x-a':'3'}}", "'x-a':'1'", "'x-a':'3'"},
        {"{" KEY ",'headers':{'X-A':'3'}}", "'x-a':'1'", "'X-A':'3'"},
        {"{" KEY ",'headers':{'x-a':null}}", "'x-a':'1',", ""},
        {"{" KEY ",'headers':{'X-A':null}}", "'x-a':'1',", ""},
        {"{" KEY ",'headers':{'X-C':null}}", "", ""},
        {"{" KEY ",'headers':{'x-c':'3'}}", "'x-b':'2'", "'x-b':'2','x-c':'3'"},
        {"{" KEY ",'headers':null}", "{'x-a':'1','x-b':'2'}", "{}"},
        {"{" KEY ",'workflows':{'v':null}}", ",'v':['https://b.example/1']", ""},
        {"{" KEY ",'worfklows':{'v':null}}", ",'v':['https://b.example/1']", ""},
        {"{" KEY ",'workflows':{'v':['https://b.example/3']}}", "'v':['https://b.example/1']",
         "'v':['https://b.example/3']"},
        {"{" KEY ",'workflows':{'u':['https://b.example/3']}}", "'v':['https://b.example/1']",
         "'v':['https://b.example/1'],'u':['https://b.example/3']"},
        {"{" KEY ",'workflows':null}",
         "{'w':['https://b.example/1','https://b.example/2'],'v':['https://b.example/1']}", "{}"},
        {"{" KEY ",'deleteAppId':null}", "'deleteAppId':true", "'deleteAppId':false"},
        {"{" KEY ",'retry':{'timeoutMs':7000}}", "5000", "7000"},
        {"{" KEY ",'retry':{'timeoutMs':null}}", "5000", "15000"},
        {"{" KEY ",'retry':{'schedule':[]}}", "[1,2]", "[]"},
        {"{" KEY ",'retry':{'schedule':null}}", "[1,2]", "[5,300,1800,7200,18000,36000,36000]"},
        {"{" KEY ",'retry':null}", "[1,2],'timeoutMs':5000",
         "[5,300,1800,7200,18000,36000,36000],'timeoutMs':15000"},
        {"{" KEY ",'maxInFlight':null}", "'maxInFlight':4", "'maxInFlight':16"},
        {"{" KEY ",'maxInFlight':5}", "'maxInFlight':4", "'maxInFlight':5"},
        /* what GET shows and nobody sets */
        {"{" KEY ",'version':99,'createdAt':5,'updatedAt':null,'publicKey':[{}],'secret':'…cdef'}",
         "", ""},
        {"{" KEY ",'secret':'whsec_…cdef','updateSecret':false}", "", ""},
        {"{" KEY ",'updateSecret':null}", "", ""},
    };
    struct gw_config *config = create(FULL);
    struct gw_buf text = {0}, part = {0}, wanted = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_config *copy = gw_config_ref(config);
        assert_false(patch_at(&copy, rows[i].patch, NOW + 5));
        assert_int_equal(copy->version, 2);
        assert_int_equal(copy->created_ms, NOW);
        assert_int_equal(copy->updated_ms, NOW + 5);

        gw_buf_clear(&text);
        gw_config_render(config, true, &text);
        quote(&part, rows[i].before);
        const char *at = memmem(text.ptr, text.len, part.ptr ? part.ptr : "", part.len);
        assert_non_null(at);
        gw_buf_clear(&wanted);
        gw_buf_add(&wanted, text.ptr, (size_t)(at - text.ptr));
        gw_buf_addf(&wanted, "%s", rows[i].after);
        gw_buf_add(&wanted, at + part.len, text.len - (size_t)(at - text.ptr) - part.len);
        /* the version and the time move always */
        char *version = memmem(wanted.ptr, wanted.len, "\"version\":1", 11);
        char *time = memmem(wanted.ptr, wanted.len, "\"updatedAt\":\"2027-01-15T08:00:00.000Z", 37);
        assert_non_null(version);
        assert_non_null(time);
        version[10] = '2';
        time[35] = '5';
        assert_rendered(copy, true, gw_buf_text(&wanted));
        gw_config_unref(copy);
    }
    assert_int_equal(config->version, 1);
    gw_config_unref(config);
    gw_buf_deinit(&text);
    gw_buf_deinit(&part);
    gw_buf_deinit(&wanted);
}

static void refuses(void **state)
{
    static const struct {
        const char *patch, *error;
    } rows[] = {
        {"{}", NULL}, /* the caller has looked the config up by its key already */
        {"{'appId':'b'}", "appId, eventType: cannot be changed; create another config"},
        {"{'appId':'a','eventType':'U'}",
         "appId, eventType: cannot be changed; create another config"},
        {"{" KEY ",'webhookUrl':null}", "webhookUrl: must not be null"},
        {"{'appId':null}", "appId: must not be null"},
        {"{'eventType':null}", "eventType: must not be null"},
        {"{" KEY ",'weebhookUrl':'x'}",
         "unknown field \"weebhookUrl\"; did you mean \"webhookUrl\"?"},
        {"{" KEY ",'webhookUrl':'https://127.0.0.1/'}",
         "webhookUrl: must lead to a public address (or one in --allow-nets), 127.0.0.1 is a "
         "loopback address"},
        {"{" KEY ",'isActive':[true]}", "isActive: must be true or false, was an array"},
        {"{" KEY ",'headers':{'x-a':'1','X-A':'2'}}",
         "headers: \"x-a\" is there twice; case makes no difference"},
        {"{" KEY ",'headers':'x'}", "headers: must be an object of strings, was a string"},
        {"{" KEY ",'headers':{'x-key':'…'}}",
         "headers: \"x-key\" is masked, as an answer shows it; send the whole value"},
        {"{" KEY ",'workflows':{'w':[]}}",
         "workflows.w: must have 1 to 20 URLs, has 0 (null removes a workflow)"},
        {"{" KEY ",'workflows':{'v':null},'worfklows':{}}",
         "\"workflows\" and \"worfklows\" are both there: send one"},
        {"{" KEY ",'retry':{'jitter':1}}",
         "retry: unknown member \"jitter\"; there are: schedule, timeoutMs"},
        {"{" KEY ",'secret':null}", "secret: cannot be removed; updateSecret makes a new one"},
        {"{" KEY ",'secret':{}}", "secret: must be a string"},
        {"{" KEY ",'updateSecret':'later'}", "updateSecret: must be true, false or \"now\""},
        {"{" KEY "," KEY "}", "the body has the key \"appId\" twice"},
        {"[]", "the body must be a JSON object, was array"},
    };
    struct gw_config *config = create(FULL);

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        bool made = true;
        struct gw_config *next = try_patch(config, rows[i].patch, NOW + 1, &made, &error);

        assert_string_equal(error.text, rows[i].error ? rows[i].error : "");
        assert_int_equal(next == NULL, rows[i].error != NULL);
        assert_false(made);
        gw_config_unref(next);
    }
    gw_config_unref(config);
}

/* An operator who allows less than before locks nobody out of the configs that are there. */
static void allowed_before(void **state)
{
    static const struct {
        const char *patch, *error;
    } rows[] = {
        {"{" KEY ",'isActive':false}", ""},
        {"{" KEY ",'updateSecret':true}", ""},
        {"{" KEY ",'webhookUrl':'http://127.0.0.1:9000/a'}", ""},
        {"{" KEY ",'workflows':{'v':['http://127.0.0.1:9000/b']}}", ""},
        {"{" KEY ",'webhookUrl':'https://b.example/','workflows':null}", ""},
        {"{" KEY ",'webhookUrl':'https://127.0.0.1/a'}",
         "webhookUrl: must lead to a public address (or one in --allow-nets), 127.0.0.1 is a "
         "loopback address"},
        {"{" KEY ",'workflows':{'v':['https://a.example:9000/']}}",
         "workflows.v[0]: port 9000 is not allowed; the operator adds ports with --allow-ports, "
         "allowed: 443"},
    };
    const struct gw_guard lenient = {.allow_http = true, .nets.any = true, .allow_any_port = true};
    struct gw_buf json = {0};
    struct gw_config *config;

    (void)state;
    quote(&json, "{" KEY ",'webhookUrl':'http://127.0.0.1:9000/a',"
                 "'workflows':{'w':['http://127.0.0.1:9000/b']}}");
    struct gw_config_change change = change_of(gw_buf_slice(&json), NOW);
    change.guard = &lenient;
    assert_int_equal(gw_config_create(&config, &change, NULL), GW_OK);
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        bool made;
        struct gw_config *next = try_patch(config, rows[i].patch, NOW + 1, &made, &error);

        assert_string_equal(error.text, rows[i].error);
        gw_config_unref(next);
    }
    gw_config_unref(config);
    gw_buf_deinit(&json);
}

/* ── An answer can be edited and sent back ─────────────────────────────────────────────────── */

static void answer_sent_back(void **state)
{
    struct gw_config *config =
        create("{" BASE ",'headers':{'Authorization':'Bearer 0123456789abcdef','x-api-key':'short',"
               "'x-plain':'a … b','X-Secret':'0123456789abcdef'},'workflows':{'w':["
               "'https://b.example/1']}}");
    struct gw_buf answer = {0};

    (void)state;
    for (int show_secret = 0; show_secret <= 1; show_secret++) {
        struct gw_config *copy = gw_config_ref(config);
        gw_buf_clear(&answer);
        gw_config_render(config, show_secret != 0, &answer);
        assert_false(patch(&copy, gw_buf_text(&answer)));
        assert_text(copy->headers[0].value, "Bearer 0123456789abcdef");
        assert_text(copy->headers[1].value, "short");
        assert_text(copy->headers[2].value, "a … b");
        assert_text(copy->headers[3].value, "0123456789abcdef");
        assert_int_equal(copy->secret_count, 1);
        assert_slice(secret_text(copy, 0), secret_text(config, 0));
        gw_config_unref(copy);
    }
    gw_buf_deinit(&answer);
    gw_config_unref(config);
}

static void masks(void **state)
{
    struct gw_config *config = create("{" BASE ",'headers':{'authorization':'Bearer "
                                      "0123456789abcdef','x-key':'0123456789ABCDEF'}}");
    struct gw_error error;
    bool made;

    (void)state;
    /* case of the name makes no difference */
    patch(&config, "{" KEY ",'headers':{'AUTHORIZATION':'…cdef'}}");
    assert_text(config->headers[0].name, "AUTHORIZATION");
    assert_text(config->headers[0].value, "Bearer 0123456789abcdef");
    assert_string_equal(config->headers[0].line, "AUTHORIZATION: Bearer 0123456789abcdef");
    /* the mask of another header, or of an older value, is none */
    assert_null(try_patch(config, "{" KEY ",'headers':{'x-key':'…cdef'}}", NOW, &made, &error));
    assert_string_equal(
        error.text, "headers: \"x-key\" is masked, as an answer shows it; send the whole value");
    assert_null(try_patch(config, "{" KEY ",'headers':{'x-key':'…'}}", NOW, &made, &error));
    assert_null(try_patch(config, "{" KEY ",'headers':{'x-new-key':'…cdef'}}", NOW, &made, &error));
    /* a new value is taken */
    patch(&config, "{" KEY ",'headers':{'authorization':'Bearer other','x-key':null}}");
    assert_int_equal(config->header_count, 1);
    assert_text(config->headers[0].value, "Bearer other");
    gw_config_unref(config);
}

/* ── Lanes ─────────────────────────────────────────────────────────────────────────────────── */

static void expect_lanes(const struct gw_config *config, const char *wanted)
{
    struct gw_buf got = {0};

    for (size_t i = 0; i < config->route_count; i++)
        gw_buf_addf(&got, "%s%s=%llu", i ? " " : "", config->routes[i].url.text.ptr + 10,
                    (unsigned long long)config->routes[i].lane);
    assert_text(gw_buf_slice(&got), wanted);
    gw_buf_deinit(&got);
}

static void lanes(void **state)
{
    struct gw_config *config =
        create("{" KEY ",'webhookUrl':'https://h/a','workflows':{'w':['https://h/b','https://h/c'],"
               "'v':['https://h/c','https://h/d']}}");

    (void)state;
    expect_lanes(config, "a=0 b=0 c=0 d=0");
    for (size_t i = 0; i < config->route_count; i++)
        config->routes[i].lane = 10 + i; /* as the store does */
    patch(&config, "{" KEY ",'isActive':false}");
    expect_lanes(config, "a=10 b=11 c=12 d=13");
    /* a new default is led to by the same lane, also when a workflow has that URL */
    patch(&config, "{" KEY ",'webhookUrl':'https://h/c'}");
    expect_lanes(config, "c=10 b=11 c=12 d=13");
    patch(&config, "{" KEY ",'webhookUrl':'https://h/z'}");
    /* order does not matter, the text of the URL does */
    patch(&config, "{" KEY ",'workflows':{'w':['https://h/e','https://h/b']}}");
    expect_lanes(config, "z=10 e=0 b=11 c=12 d=13");
    /* a URL stays as long as one workflow lists it */
    patch(&config, "{" KEY ",'workflows':{'v':['https://h/d']}}");
    expect_lanes(config, "z=10 e=0 b=11 d=13");
    patch(&config, "{" KEY ",'workflows':{'w':null,'u':['https://h/b','https://h/b/']}}");
    expect_lanes(config, "z=10 d=13 b=11 b/=0");
    /* once gone, its number is gone */
    patch(&config, "{" KEY ",'workflows':null}");
    expect_lanes(config, "z=10");
    patch(&config, "{" KEY ",'workflows':{'w':['https://h/b']}}");
    expect_lanes(config, "z=10 b=0");
    assert_int_equal(config->version, 9);
    gw_config_unref(config);
}

/* When a config came back from being inactive, and not when it was merely told so again. */
static void active_since(void **state)
{
    struct gw_config *config = create("{" BASE "}");

    (void)state;
    assert_true(config->active_ms == NOW);
    patch_at(&config, "{" KEY ",'isActive':true}", NOW + 10);
    assert_true(config->active_ms == NOW);
    patch_at(&config, "{" KEY ",'isActive':false}", NOW + 20);
    patch_at(&config, "{" KEY ",'product':'p'}", NOW + 30);
    assert_true(config->active_ms == NOW);
    patch_at(&config, "{" KEY ",'isActive':null}", NOW + 40);
    assert_true(config->active_ms == NOW + 40);
    patch_at(&config, "{" KEY ",'product':'q'}", NOW + 50);
    assert_true(config->active_ms == NOW + 40);
    gw_config_unref(config);
}

/* ── Secrets ───────────────────────────────────────────────────────────────────────────────── */

#define OWN(letter) letter "123456789abcdef"

static void rotation(void **state)
{
    struct gw_config *config = create("{" BASE ",'secret':'" OWN("a") "'}");

    (void)state;
    /* brought: the old one signs for a day */
    assert_true(patch_at(&config, "{" KEY ",'secret':'" OWN("b") "'}", NOW + 10));
    assert_int_equal(config->secret_count, 2);
    assert_text(secret_text(config, 0), OWN("b"));
    assert_text(secret_text(config, 1), OWN("a"));
    assert_true(config->secrets[0].until_ms == GW_NEVER);
    assert_int_equal(config->secrets[1].until_ms, NOW + 10 + OVERLAP);
    assert_shows(config, "'secret':'…cdef'");
    /* another change leaves both alone */
    assert_false(patch_at(&config, "{" KEY ",'isActive':true}", NOW + 20));
    assert_int_equal(config->secret_count, 2);
    assert_int_equal(config->secrets[1].until_ms, NOW + 10 + OVERLAP);
    /* a third within the overlap: the oldest goes */
    assert_true(
        patch_at(&config, "{" KEY ",'secret':'" OWN("c") "','updateSecret':true}", NOW + 30));
    assert_text(secret_text(config, 0), OWN("c"));
    assert_text(secret_text(config, 1), OWN("b"));
    assert_int_equal(config->secrets[1].until_ms, NOW + 30 + OVERLAP);
    /* made here */
    assert_true(patch_at(&config, "{" KEY ",'updateSecret':true}", NOW + 40));
    assert_true(gw_slice_starts(secret_text(config, 0), GW_SLICE("whsec_")));
    assert_text(secret_text(config, 1), OWN("c"));
    /* the same again is no rotation */
    assert_true(patch_at(&config, "{" KEY ",'secret':'" OWN("d") "'}", NOW + 50));
    assert_false(patch_at(&config, "{" KEY ",'secret':'" OWN("d") "'}", NOW + 60));
    assert_int_equal(config->secrets[1].until_ms, NOW + 50 + OVERLAP);
    /* back to the old one */
    assert_true(patch_at(&config, "{" KEY ",'secret':'" OWN("e") "'}", NOW + 70));
    assert_true(patch_at(&config, "{" KEY ",'secret':'" OWN("d") "'}", NOW + 80));
    assert_text(secret_text(config, 0), OWN("d"));
    assert_text(secret_text(config, 1), OWN("e"));
    /* at once */
    assert_true(
        patch_at(&config, "{" KEY ",'secret':'" OWN("f") "','updateSecret':'now'}", NOW + 90));
    assert_int_equal(config->secret_count, 1);
    assert_true(patch_at(&config, "{" KEY ",'updateSecret':'now'}", NOW + 100));
    assert_int_equal(config->secret_count, 1);
    assert_true(gw_slice_starts(secret_text(config, 0), GW_SLICE("whsec_")));
    gw_config_unref(config);
}

static void rotation_ends(void **state)
{
    struct gw_config *config = create("{" BASE ",'secret':'" OWN("a") "'}");

    (void)state;
    patch_at(&config, "{" KEY ",'secret':'" OWN("b") "'}", NOW);
    patch_at(&config, "{" KEY "}", NOW + OVERLAP - 1);
    assert_int_equal(config->secret_count, 2);
    patch_at(&config, "{" KEY "}", NOW + OVERLAP);
    assert_int_equal(config->secret_count, 1);
    assert_text(secret_text(config, 0), OWN("b"));
    /* "now" with the current one ends an overlap */
    patch_at(&config, "{" KEY ",'secret':'" OWN("c") "'}", NOW);
    assert_false(patch_at(&config, "{" KEY ",'secret':'" OWN("c") "','updateSecret':'now'}", NOW));
    assert_int_equal(config->secret_count, 1);
    assert_text(secret_text(config, 0), OWN("c"));
    gw_config_unref(config);
}

static void no_overlap(void **state)
{
    struct gw_config *config = create("{" BASE ",'secret':'" OWN("a") "'}"), *next;
    struct gw_buf json = {0};
    bool made;

    (void)state;
    quote(&json, "{" KEY ",'updateSecret':true}");
    struct gw_config_change change = change_of(gw_buf_slice(&json), NOW);
    change.overlap_ms = 0;
    assert_int_equal(gw_config_patch(&next, config, &change, &made, NULL), GW_OK);
    assert_true(made);
    assert_int_equal(next->secret_count, 1);
    gw_config_unref(next);
    gw_config_unref(config);
    gw_buf_deinit(&json);
}

/* ── Growing by patches ────────────────────────────────────────────────────────────────────── */

/* What GET shows must fit in a request; many small patches cannot get around that. */
static void size(void **state)
{
    struct gw_config *config = create("{" BASE "}"), *next = config;
    struct gw_error error = {0};
    struct gw_buf json = {0};
    bool made;

    (void)state;
    for (unsigned i = 0; next && i < 50; i++) {
        gw_buf_clear(&json);
        gw_buf_addf(&json, "{" KEY ",'workflows':{'w%u':[", i);
        for (unsigned k = 0; k < 20; k++)
            gw_buf_addf(&json, "%s'https://a.example/%u/%u/%01000d'", k ? "," : "", i, k, 0);
        gw_buf_addf(&json, "]}}");
        next = try_patch(config, gw_buf_text(&json), NOW, &made, &error);
        if (next) {
            gw_config_unref(config);
            config = next;
        }
    }
    assert_null(next);
    assert_int_equal(error.code, GW_ERR_TOO_LARGE);
    assert_string_equal(error.text,
                        "the config must have at most 262144 bytes of JSON, would have 267346");
    gw_buf_clear(&json);
    gw_config_render(config, true, &json);
    assert_in_range(json.len, GW_CONFIG_BODY_BYTES_MAX - 30000, GW_CONFIG_BODY_BYTES_MAX);
    patch(&config, gw_buf_text(&json));
    gw_config_unref(config);
    gw_buf_deinit(&json);
}

static void fuzz(void **state)
{
    static const char *const seeds[] = {
        "{" KEY ",'headers':{'X-A':null,'authorization':'…cdef'},'workflows':{'w':null,'u':["
        "'https://b.example/1']},'retry':{'timeoutMs':null}}",
        "{" KEY ",'headers':{'Authorization':'…cdef','x-a':'2'},'updateSecret':true,'version':7,"
        "'secret':'…cdef'}",
        "{" KEY ",'worfklows':{'v':null,'w':['https://b.example/2']},'secret':'whsec_…cdef'}",
    };
    struct gw_config *config =
        create("{" BASE ",'headers':{'x-a':'1','authorization':'Bearer 0123456789abcdef'},"
               "'workflows':{'w':['https://b.example/1','https://b.example/2']}}");
    struct rng rng = {3};
    struct gw_buf text = {0};
    size_t good = 0;

    (void)state;
    for (size_t i = 0; i < 15000; i++) {
        struct gw_error error = {0};
        struct gw_config *next;
        bool made;
        quote(&text, seeds[i % gw_count(seeds)]);
        mutate(&text, &rng);
        struct gw_slice copy = exact_copy(gw_buf_slice(&text));
        struct gw_config_change change = change_of(copy, NOW + 1);
        enum gw_err err = gw_config_patch(&next, config, &change, &made, &error);
        exact_free(copy);
        assert_true(err == GW_OK || err == GW_ERR_INVALID);
        assert_int_equal(err != GW_OK, error.text[0] != '\0');
        good += err == GW_OK;
        gw_config_unref(next);
    }
    assert_in_range(good, 100, 14900);
    gw_buf_deinit(&text);
    gw_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_examples),   cmocka_unit_test(merges),
        cmocka_unit_test(refuses),        cmocka_unit_test(answer_sent_back),
        cmocka_unit_test(masks),          cmocka_unit_test(active_since),
        cmocka_unit_test(lanes),          cmocka_unit_test(rotation),
        cmocka_unit_test(rotation_ends),  cmocka_unit_test(no_overlap),
        cmocka_unit_test(size),           cmocka_unit_test(fuzz),
        cmocka_unit_test(allowed_before),
    };

    return cmocka_run_group_tests_name("config_patch", tests, NULL, NULL);
}
