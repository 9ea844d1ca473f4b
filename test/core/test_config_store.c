/* test_config_store.c: what the store keeps comes back whole; what is damaged is refused. */
#include "config_support.h"

#define FULL                                                                                       \
    "{" BASE ",'isActive':false,'product':'p','headers':{'x-a':'1','Authorization':'Bearer "       \
    "0123456789abcdef'},'workflows':{'w':['https://b.example/1?t=1','https://b.example/2'],'v':["  \
    "'https://b.example/2','https://a.example/hook']},'deleteAppId':true,'retry':{'schedule':[1,"  \
    "2],'timeoutMs':5000},'maxInFlight':4,'rateLimit':7,'payloadBlocklist':['a.b','/c.d/"          \
    "e'],'filter':{'a':[1.10,'x']},'"                                                              \
    "additionalMetadataKeys':['workflowId',"                                                       \
    "'Tenant'],'signing':{'schemes':['ed25519','body'],'bodyHeader':'X-Old','bodyEncoding':"       \
    "'base64'},'secret':'0123456789abcdef'}"

static void encode(const struct gw_config *config, struct gw_buf *out)
{
    gw_buf_clear(out);
    gw_config_encode(config, out);
}

static struct gw_config *decode(struct gw_slice json)
{
    struct gw_config *config;
    struct gw_error error;
    struct gw_slice copy = exact_copy(json);
    enum gw_err err = gw_config_decode(&config, copy, &error);

    exact_free(copy);
    if (err != GW_OK)
        fail_msg("%.*s: %s", GW_SLICE_ARG(json), error.text);
    return config;
}

static void assert_same(const struct gw_config *a, const struct gw_config *b)
{
    assert_slice(a->app_id, b->app_id);
    assert_slice(a->event_type, b->event_type);
    assert_slice(a->product, b->product);
    assert_int_equal(a->product.ptr == NULL, b->product.ptr == NULL);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->is_active, b->is_active);
    assert_int_equal(a->delete_app_id, b->delete_app_id);
    assert_int_equal(a->max_in_flight, b->max_in_flight);
    assert_int_equal(a->created_ms, b->created_ms);
    assert_int_equal(a->updated_ms, b->updated_ms);
    assert_true(a->active_ms == b->active_ms);
    assert_int_equal(a->retry_is_default, b->retry_is_default);
    assert_int_equal(a->retry.count, b->retry.count);
    assert_int_equal(a->retry.timeout_ms, b->retry.timeout_ms);
    for (size_t i = 0; i < a->retry.count; i++)
        assert_int_equal(a->retry.schedule_s[i], b->retry.schedule_s[i]);
    assert_int_equal(a->header_count, b->header_count);
    for (size_t i = 0; i < a->header_count; i++)
        assert_string_equal(a->headers[i].line, b->headers[i].line);
    assert_int_equal(a->route_count, b->route_count);
    for (size_t i = 0; i < a->route_count; i++) {
        assert_slice(a->routes[i].url.text, b->routes[i].url.text);
        assert_slice(a->routes[i].url.host, b->routes[i].url.host);
        assert_int_equal(a->routes[i].lane, b->routes[i].lane);
    }
    assert_int_equal(a->workflow_count, b->workflow_count);
    for (size_t i = 0; i < a->workflow_count; i++) {
        const struct gw_workflow *x = &a->workflows[i], *y = &b->workflows[i];
        assert_slice(x->id, y->id);
        assert_int_equal(x->route_count, y->route_count);
        assert_memory_equal(x->routes, y->routes, x->route_count * sizeof(*x->routes));
    }
    assert_int_equal(a->rate_limit, b->rate_limit);
    assert_int_equal(a->metadata_key_count, b->metadata_key_count);
    for (size_t i = 0; i < a->metadata_key_count; i++)
        assert_slice(a->metadata_keys[i], b->metadata_keys[i]);
    assert_slice(a->filter_json, b->filter_json);
    assert_int_equal(a->blocklist_count, b->blocklist_count);
    for (size_t i = 0; i < a->blocklist_count; i++) {
        assert_slice(a->blocklist[i].text, b->blocklist[i].text);
        assert_int_equal(a->blocklist[i].step_count, b->blocklist[i].step_count);
    }
    assert_int_equal(a->filter == NULL, b->filter == NULL);
    assert_int_equal(a->signing.schemes, b->signing.schemes);
    assert_slice(a->signing.body_header, b->signing.body_header);
    assert_int_equal(a->signing.body_base64, b->signing.body_base64);
    assert_int_equal(a->pair_count, b->pair_count);
    for (size_t i = 0; i < a->pair_count; i++)
        assert_memory_equal(&a->pairs[i], &b->pairs[i], sizeof(a->pairs[i]));
    assert_int_equal(a->secret_count, b->secret_count);
    for (size_t i = 0; i < a->secret_count; i++) {
        assert_slice(secret_text(a, i), secret_text(b, i));
        assert_int_equal(a->secrets[i].key_len, b->secrets[i].key_len);
        assert_memory_equal(a->secrets[i].key, b->secrets[i].key, a->secrets[i].key_len);
        assert_true(a->secrets[i].until_ms == b->secrets[i].until_ms);
    }
}

static void round_trip(void **state)
{
    static const char *const configs[] = {
        "{" BASE "}", FULL,
        "{'webhookUrl':'https://[2001:4860::1]/','appId':'\\u00e9 \\\" \\\\ \\/','eventType':'T'}"};
    struct gw_buf text = {0}, again = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(configs); i++) {
        struct gw_config *config = create(configs[i]);
        for (int round = 0; round < 3; round++) {
            encode(config, &text);
            struct gw_config *back = decode(gw_buf_slice(&text));
            assert_same(config, back);
            encode(back, &again);
            assert_slice(gw_buf_slice(&again), gw_buf_slice(&text));
            gw_config_unref(back);
            /* then with lanes, then with two secrets and two pairs */
            for (size_t r = 0; r < config->route_count; r++)
                config->routes[r].lane = UINT64_MAX - r;
            if (round == 1) {
                config->active_ms = NOW + 6;
                config->secrets[1] = config->secrets[0];
                config->secrets[1].until_ms = NOW + 7;
                config->secret_count = 2;
                gw_secret_make(&config->secrets[0], (const uint8_t[32]){1});
                gw_key_pair_make(&config->pairs[0], (const uint8_t[32]){2});
                gw_key_pair_make(&config->pairs[1], (const uint8_t[32]){3});
                config->pairs[1].until_ms = NOW + 8;
                config->pair_count = 2;
            }
        }
        gw_config_unref(config);
    }
    gw_buf_deinit(&text);
    gw_buf_deinit(&again);
}

/* The format is a promise to stores that exist. */
static void format(void **state)
{
    struct gw_config *config = create(
        "{" BASE ",'headers':{'x-key':'0123456789abcdef'},'workflows':{'w':['https://b.example/']},"
        "'additionalMetadataKeys':['workflowId'],'rateLimit':9,'payloadBlocklist':['a.b','/"
        "c.d'],'filter':{'n':[{'numeric':['>',"
        "100000000000000000000.10]}]},'signing':{'schemes':['body',"
        "'ed25519'],'bodyHeader':'X-Old','bodyEncoding':'base64'},'secret':'0123456789abcdef'}");
    struct gw_buf text = {0}, wanted = {0};

    (void)state;
    patch_at(&config, "{" KEY ",'secret':'abcdef0123456789'}", NOW + 1);
    config->routes[0].lane = 3;
    config->routes[1].lane = 4;
    encode(config, &text);
    quote(&wanted,
          "{'v':1,'config':{" BASE ",'isActive':true,'product':null,'headers':{'x-key':"
          "'0123456789abcdef'},'workflows':{'w':['https://b.example/']},'additionalMetadataKeys':["
          "'workflowId'],'deleteAppId':false,'payloadBlocklist':['a.b','/"
          "c.d'],'filter':{'n':[{'numeric':['>',100000000000000000000."
          "10]}]},'retry':{},'rateLimit':9,'maxInFlight':16,'signing':{"
          "'schemes':['ed25519','body'],'bodyHeader':'X-Old','bodyEncoding':'base64'}},'version':2,"
          "'createdMs':1800000000000,'updatedMs':1800000000001,'lanes':[3,4],'secrets':[{'text':"
          "'abcdef0123456789'},{'text':'0123456789abcdef','untilMs':1800086400001}],'pairs':[{"
          "'seed':'gYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYE='},{'seed':'"
          "gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIA=','untilMs':1800086400001}]}");
    assert_slice(gw_buf_slice(&text), gw_buf_slice(&wanted));
    gw_config_unref(config);
    gw_buf_deinit(&text);
    gw_buf_deinit(&wanted);
}

/* As it was written before there was more than one way to sign. */
static void older_form(void **state)
{
    struct gw_buf text = {0};

    (void)state;
    quote(&text, "{'v':1,'config':{" BASE ",'isActive':true,'product':null,'headers':{'x-key':"
                 "'0123456789abcdef'},'workflows':{'w':['https://b.example/']},'deleteAppId':false,"
                 "'retry':{},'maxInFlight':16},'version':2,'createdMs':1800000000000,'updatedMs':"
                 "1800000000001,'lanes':[3,4],'secrets':[{'text':'abcdef0123456789'},{'text':"
                 "'0123456789abcdef','untilMs':1800086400001}]}");
    struct gw_config *config = decode(gw_buf_slice(&text));
    assert_int_equal(config->version, 2);
    assert_int_equal(config->routes[1].lane, 4);
    assert_int_equal(config->secret_count, 2);
    assert_int_equal(config->signing.schemes, GW_SCHEME_STANDARD);
    assert_text(config->signing.body_header, "x-webhook-signature");
    assert_false(config->signing.body_base64);
    assert_int_equal(config->pair_count, 0);
    assert_int_equal(config->rate_limit, 0);
    assert_int_equal(config->metadata_key_count, 0);
    assert_int_equal(config->blocklist_count, 0);
    assert_null(config->filter);
    assert_null(config->filter_json.ptr);
    struct gw_config *fresh = create("{" BASE "}");
    gw_buf_clear(&text);
    gw_config_render(fresh, false, &text); /* what it leaves out shows as in a new one */
    const char *from = memmem(text.ptr, text.len, "\"signing\"", 9);
    const char *to = memmem(text.ptr, text.len, ",\"version\"", 10);
    assert_shows(config,
                 gw_arena_text(&config->arena, (struct gw_slice){from, (size_t)(to - from)}));
    gw_config_unref(fresh);
    gw_config_unref(config);
    gw_buf_deinit(&text);
}

#define STORED(document, lanes, secrets)                                                           \
    "{'v':1,'config':" document ",'version':1,'createdMs':0,'updatedMs':-1,'lanes':" lanes         \
    ",'secrets':" secrets "}"
#define SEED "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define PAIR "{'seed':'" SEED "'}"
#define PAIRS(pairs)                                                                               \
    STORED("{" BASE ",'signing':{'schemes':['ed25519']}}", "[1]", SECRETS ",'pairs':" pairs)
#define SECRETS "[{'text':'0123456789abcdef'}]"

/* Rules grow stricter; what was stored before them stays usable. */
static void policy_of_yesterday(void **state)
{
    struct gw_buf text = {0};

    (void)state;
    quote(&text, STORED("{" KEY ",'webhookUrl':'http://127.0.0.1:99/','headers':{'host':'x',"
                        "'x-key':'…'},'workflows':{'w':['http://10.0.0.1/']}}",
                        "[0,0]", SECRETS));
    struct gw_config *config = decode(gw_buf_slice(&text));
    assert_int_equal(config->routes[0].url.port, 99);
    assert_string_equal(config->headers[0].line, "host: x");
    assert_int_equal(config->updated_ms, -1);
    assert_int_equal(config->max_in_flight, GW_CONFIG_IN_FLIGHT_DEFAULT);
    gw_config_unref(config);
    gw_buf_deinit(&text);
}

static void damaged(void **state)
{
    static const struct {
        const char *json;
        enum gw_err code;
        const char *error;
    } rows[] = {
        {"", GW_ERR_CORRUPT, "a stored config is damaged: must be a JSON object, was empty"},
        {"[]", GW_ERR_CORRUPT, "a stored config is damaged: must be a JSON object, was array"},
        {"{", GW_ERR_CORRUPT,
         "a stored config is damaged: is not JSON: unexpected end of data at byte 2"},
        {"{}", GW_ERR_CORRUPT, "a stored config is damaged: v"},
        {"{'v':0}", GW_ERR_CORRUPT, "a stored config is damaged: v"},
        {"{'v':'1'}", GW_ERR_CORRUPT, "a stored config is damaged: v"},
        {"{'v':2}", GW_ERR_SCHEMA, "a stored config has format 2, this version knows 1"},
        {"{'v':1,'v':1}", GW_ERR_CORRUPT, "a stored config is damaged: has the key \"v\" twice"},
        {"{'v':1}", GW_ERR_CORRUPT, "a stored config is damaged: config"},
        {"{'v':1,'config':[]}", GW_ERR_CORRUPT, "a stored config is damaged: config"},
        {"{'v':1,'config':{}}", GW_ERR_CORRUPT, "a stored config is damaged: appId: is required"},
        {"{'v':1,'config':{'future':{}}}", GW_ERR_SCHEMA,
         "a stored config has a field this version does not know"},
        {"{'v':1,'config':{'secret':'0123456789abcdef'}}", GW_ERR_SCHEMA,
         "a stored config has a field this version does not know"},
        {"{'v':1,'config':{" KEY ",'webhookUrl':'x'}}", GW_ERR_CORRUPT,
         "a stored config is damaged: webhookUrl: must be an https URL such as "
         "https://example.com/hook, was \"x\""},
        {"{'v':1,'config':{" BASE ",'headers':{'a b':'1'}}}", GW_ERR_CORRUPT,
         "a stored config is damaged: headers: \"a b\" is no header name (letters, digits and "
         "!#$%&'*+-.^_`|~)"},
        {"{'v':1,'config':{" BASE "}}", GW_ERR_CORRUPT, "a stored config is damaged: version"},
        {"{'v':1,'config':{" BASE "},'version':0}", GW_ERR_CORRUPT,
         "a stored config is damaged: version"},
        {"{'v':1,'config':{" BASE "},'version':1,'createdMs':1}", GW_ERR_CORRUPT,
         "a stored config is damaged: createdMs, updatedMs"},
        {"{'v':1,'config':{" BASE "},'version':1,'createdMs':1,'updatedMs':9223372036854775808}",
         GW_ERR_CORRUPT, "a stored config is damaged: createdMs, updatedMs"},
        {STORED("{" BASE "}", "[]", SECRETS), GW_ERR_CORRUPT, "a stored config is damaged: lanes"},
        {STORED("{" BASE "}", "{}", SECRETS), GW_ERR_CORRUPT, "a stored config is damaged: lanes"},
        {STORED("{" BASE "}", "[1,2]", SECRETS), GW_ERR_CORRUPT,
         "a stored config is damaged: lanes"},
        {STORED("{" BASE "}", "[-1]", SECRETS), GW_ERR_CORRUPT,
         "a stored config is damaged: lanes"},
        {STORED("{" BASE "}", "['1']", SECRETS), GW_ERR_CORRUPT,
         "a stored config is damaged: lanes"},
        {STORED("{" BASE ",'workflows':{'w':['https://b/']}}", "[7,7]", SECRETS), GW_ERR_CORRUPT,
         "a stored config is damaged: lanes"},
        {STORED("{" BASE "}", "[1]", "[]"), GW_ERR_CORRUPT, "a stored config is damaged: secrets"},
        {STORED("{" BASE "}", "[1]", "null"), GW_ERR_CORRUPT,
         "a stored config is damaged: secrets"},
        {STORED("{" BASE "}", "[1]", "[1]"), GW_ERR_CORRUPT, "a stored config is damaged: secrets"},
        {STORED("{" BASE "}", "[1]", "[{'text':'short'}]"), GW_ERR_CORRUPT,
         "a stored config is damaged: secrets"},
        {STORED("{" BASE "}", "[1]", "[{'text':'0123456789abcdef','untilMs':'x'}]"), GW_ERR_CORRUPT,
         "a stored config is damaged: secrets"},
        {STORED("{" BASE "}", "[1]",
                "[{'text':'0123456789abcdef'},{'text':'0123456789abcdef'},{'text':"
                "'0123456789abcdef'}]"),
         GW_ERR_CORRUPT, "a stored config is damaged: secrets"},
        {STORED("{" BASE ",'signing':{'schemes':['ed25519']}}", "[1]", SECRETS), GW_ERR_CORRUPT,
         "a stored config is damaged: pairs"},
        {PAIRS("[]"), GW_ERR_CORRUPT, "a stored config is damaged: pairs"},
        {PAIRS("{}"), GW_ERR_CORRUPT, "a stored config is damaged: pairs"},
        {PAIRS("[" PAIR "," PAIR "," PAIR "]"), GW_ERR_CORRUPT,
         "a stored config is damaged: pairs"},
        {PAIRS("[1]"), GW_ERR_CORRUPT, "a stored config is damaged: pairs"},
        {PAIRS("[{'seed':'AAAA'}]"), GW_ERR_CORRUPT, "a stored config is damaged: pairs"},
        {PAIRS("[" PAIR ",{'seed':'" SEED "','untilMs':'x'}]"), GW_ERR_CORRUPT,
         "a stored config is damaged: pairs"},
        {STORED("{" BASE ",'signing':{'schemes':['future']}}", "[1]", SECRETS), GW_ERR_CORRUPT,
         "a stored config is damaged: signing.schemes[0]: must be standard, ed25519 or body, was "
         "\"future\""},
    };
    struct gw_buf text = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        struct gw_config *config;
        quote(&text, rows[i].json);
        assert_int_equal(gw_config_decode(&config, gw_buf_slice(&text), &error), rows[i].code);
        assert_null(config);
        assert_int_equal(error.code, rows[i].code);
        assert_string_equal(error.text, rows[i].error);
        assert_int_equal(gw_config_decode(&config, gw_buf_slice(&text), NULL), rows[i].code);
    }
    gw_buf_deinit(&text);
}

/* What comes back from a damaged text, if anything does, can be used like any other. */
static void fuzz(void **state)
{
    struct gw_config *config = create(FULL);
    struct gw_buf seed = {0}, text = {0};
    struct rng rng = {4};
    size_t good = 0;

    (void)state;
    patch(&config, "{" KEY ",'updateSecret':true}");
    for (size_t r = 0; r < config->route_count; r++)
        config->routes[r].lane = 1 + r;
    encode(config, &seed);
    for (size_t i = 0; i < 20000; i++) {
        struct gw_error error = {0};
        struct gw_config *back;
        gw_buf_clear(&text);
        gw_buf_adds(&text, gw_buf_slice(&seed));
        mutate(&text, &rng);
        struct gw_slice copy = exact_copy(gw_buf_slice(&text));
        enum gw_err err = gw_config_decode(&back, copy, &error);
        exact_free(copy);
        assert_true(err == GW_OK || err == GW_ERR_CORRUPT || err == GW_ERR_SCHEMA);
        if (back == NULL)
            continue;
        good++;
        gw_buf_clear(&text);
        gw_config_render(back, true, &text);
        encode(back, &text);
        struct gw_config *again = decode(gw_buf_slice(&text));
        assert_same(back, again);
        gw_config_unref(again);
        gw_config_unref(back);
    }
    assert_in_range(good, 100, 19900);
    gw_config_unref(config);
    gw_buf_deinit(&seed);
    gw_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(format),
        cmocka_unit_test(older_form), cmocka_unit_test(policy_of_yesterday),
        cmocka_unit_test(damaged),    cmocka_unit_test(fuzz),
    };

    return cmocka_run_group_tests_name("config_store", tests, NULL, NULL);
}
