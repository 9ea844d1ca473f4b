/* test_config.c: a config out of a create request: each field, its limits and its error texts; and
 * what an answer shows. */
#include "config_support.h"

#include "core/event.h"

#define SIGNING                                                                                    \
    "'signing':{'schemes':['standard'],'bodyHeader':'x-webhook-signature','bodyEncoding':'hex'}"
#define DEFAULTS                                                                                   \
    "'isActive':true,'product':null,'headers':{},'workflows':{},'additionalMetadataKeys':[],"      \
    "'deleteAppId':false,'payloadBlocklist':[],'filter':null,"                                     \
    "'retry':{'schedule':[5,300,1800,7200,18000,36000,36000],'timeoutMs':15000},"                  \
    "'rateLimit':null,'maxInFlight':16," SIGNING ",'version':1,"                                   \
    "'createdAt':'2027-01-15T08:00:00.000Z','updatedAt':'2027-01-15T08:00:00.000Z'"

static void defaults(void **state)
{
    struct gw_config *config = create("{" BASE "}");

    (void)state;
    assert_int_equal(config->version, 1);
    assert_int_equal(config->created_ms, NOW);
    assert_int_equal(config->updated_ms, NOW);
    assert_true(config->retry_is_default);
    assert_int_equal(config->route_count, 1);
    assert_int_equal(config->routes[0].lane, 0);
    assert_null(config->product.ptr);
    assert_int_equal(config->secret_count, 1);
    assert_int_equal(config->secrets[0].key_len, 32);
    assert_true(config->secrets[0].until_ms == GW_NEVER);
    struct gw_buf wanted = {0};
    struct gw_slice secret = secret_text(config, 0);
    gw_buf_addf(&wanted, "{" BASE "," DEFAULTS ",'secret':'whsec_…%.4s'}",
                secret.ptr + secret.len - 4);
    assert_rendered(config, false, gw_buf_text(&wanted));
    gw_buf_clear(&wanted);
    gw_buf_addf(&wanted, "{" BASE "," DEFAULTS ",'secret':'%.*s'}", GW_SLICE_ARG(secret));
    assert_rendered(config, true, gw_buf_text(&wanted));
    gw_buf_deinit(&wanted);
    gw_config_unref(config);
}

static void null_is_default(void **state)
{
    struct gw_config *config =
        create("{" BASE ",'isActive':null,'product':null,'headers':null,'workflows':null,"
               "'additionalMetadataKeys':null,'deleteAppId':null,'payloadBlocklist':null,'filter':"
               "null,'retry':null,'"
               "rateLimit':null,"
               "'maxInFlight':null,'signing':null,'secret':null,'updateSecret':null}");
    struct gw_config *inner =
        create("{" BASE ",'headers':{'x-a':null,'x-b':'1'},'workflows':{'w':"
               "null},'retry':{'schedule':null,'timeoutMs':1000},'signing':{'schemes':null,"
               "'bodyEncoding':'base64'}}");

    (void)state;
    assert_shows(config, DEFAULTS);
    assert_shows(inner, "'headers':{'x-b':'1'},'workflows':{}");
    assert_shows(inner, "36000,36000],'timeoutMs':1000}");
    assert_shows(inner, "'schemes':['standard'],'bodyHeader':'x-webhook-signature','bodyEncoding':"
                        "'base64'}");
    assert_false(inner->retry_is_default);
    gw_config_unref(config);
    gw_config_unref(inner);
}

static void everything(void **state)
{
    struct gw_config *config =
        create("{'secret':'0123456789abcdef','maxInFlight':1000,'retry':{'timeoutMs':30000,"
               "'schedule':[]},'deleteAppId':true,'workflows':{'w1':['https://b.example/1',"
               "'https://b.example/2','https://b.example/1'],'w 2':['https://b.example/2']},"
               "'headers':{'X-Plain':'some value','Authorization':'Bearer 0123456789abcdef'},"
               "'product':'Audit \\u0050ortal','isActive':false,'rateLimit':100000,"
               "'payloadBlocklist':['a.b','/c.d/"
               "e'],'additionalMetadataKeys':['WorkflowId','x'],'signing':{'bodyEncoding':'base64',"
               "'bodyHeader':'X-Old','schemes':['body','standard']}," BASE "}");
    struct gw_retry retry = {.timeout_ms = 30000};

    (void)state;
    assert_rendered(
        config, false,
        "{" BASE ",'isActive':false,'product':'Audit Portal','headers':{'X-Plain':'some "
        "value','Authorization':'…cdef'},'workflows':{'w1':['https://b.example/1',"
        "'https://b.example/2'],'w 2':['https://b.example/2']},'additionalMetadataKeys':["
        "'WorkflowId','x'],'deleteAppId':true,'payloadBlocklist':['a.b','/c.d/"
        "e'],'filter':null,'retry':{'schedule':[],'timeoutMs':"
        "30000},'rateLimit':100000,'maxInFlight':1000,'signing':{'schemes':['standard',"
        "'body'],'bodyHeader':'X-Old','bodyEncoding':'base64'},'version':1,"
        "'createdAt':'2027-01-15T08:00:00.000Z','updatedAt':'2027-01-15T08:00:00.000Z',"
        "'secret':'…cdef'}");
    assert_int_equal(config->retry.count, retry.count);
    assert_int_equal(config->route_count, 3);
    assert_text(config->routes[1].url.text, "https://b.example/1");
    assert_int_equal(config->workflow_count, 2);
    assert_int_equal(config->workflows[0].route_count, 2);
    assert_int_equal(config->workflows[1].routes[0], 2);
    assert_string_equal(config->headers[0].line, "X-Plain: some value");
    assert_text(secret_text(config, 0), "0123456789abcdef");
    gw_config_unref(config);
}

/* ── What is refused, and the words ────────────────────────────────────────────────────────── */

#define WITH(field) "{" BASE "," field "}"
#define URL(url)    "{" KEY ",'webhookUrl':" url "}"
#define NUL10       "\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000"
#define NUL40       NUL10 NUL10 NUL10 NUL10
#define FIELDS                                                                                     \
    "there are: appId, eventType, webhookUrl, isActive, product, headers, workflows, "             \
    "additionalMetadataKeys, deleteAppId, payloadBlocklist, filter, retry, rateLimit, "            \
    "maxInFlight, signing, secret, updateSecret"
#define SECRET_RULE                                                                                \
    "secret: must be whsec_ and the base64 of 16 to 64 bytes, or 16 to 128 printable ASCII "       \
    "characters, "

static const struct {
    const char *json, *error;
} refused[] = {
    /* the body */
    {"", "the body must be a JSON object, was empty"},
    {"[]", "the body must be a JSON object, was array"},
    {"null", "the body must be a JSON object, was null"},
    {"-5.0e1", "the body must be a JSON object, was a number"},
    {"{", "the body is not JSON: unexpected end of data at byte 2"},
    {"{" BASE ",}", "the body is not JSON: trailing comma is not allowed at byte 67"},
    {"{" BASE "} x", "the body is not JSON: unexpected content after document at byte 69"},
    {"{" KEY ",'product':'\xff'}",
     "the body is not JSON: invalid UTF-8 encoding in string at byte 41"},
    {"{" KEY ",'product':'\\ud800'}",
     "the body is not JSON: no low surrogate in string at byte 47"},
    {"\xef\xbb\xbf{" BASE "}",
     "the body is not JSON: byte order mark (BOM) is not supported at byte 1"},
    /* keys twice, wherever they are */
    {WITH("'isActive':true,'isActive':true"), "the body has the key \"isActive\" twice"},
    {WITH("'isActive':true,'isActiv\\u0065':true"), "the body has the key \"isActive\" twice"},
    {WITH("'headers':{'a':'1','a':'1'}"), "the body has the key \"a\" twice"},
    {WITH("'workflows':{'w':['https://b/'],'w':['https://b/']}"),
     "the body has the key \"w\" twice"},
    {WITH("'retry':{'timeoutMs':1000,'timeoutMs':1000}"),
     "the body has the key \"timeoutMs\" twice"},
    {WITH("'nobody':[{'x':1,'x':2}]"), "the body has the key \"x\" twice"},
    {WITH("'worfklows':{},'workflows':{}"),
     "\"workflows\" and \"worfklows\" are both there: send one"},
    {WITH("'workflows':null,'worfklows':null"),
     "\"workflows\" and \"worfklows\" are both there: send one"},
    /* fields that are not there, or not for clients */
    {WITH("'webhookURL':'x'"), "unknown field \"webhookURL\"; did you mean \"webhookUrl\"?"},
    {WITH("'webhokUrl':'x'"), "unknown field \"webhokUrl\"; did you mean \"webhookUrl\"?"},
    {WITH("'active':true"), "unknown field \"active\"; did you mean \"isActive\"?"},
    {WITH("'header':{}"), "unknown field \"header\"; did you mean \"headers\"?"},
    {WITH("'rtery':{}"), "unknown field \"rtery\"; did you mean \"retry\"?"},
    {WITH("'':1"), "unknown field \"\"; " FIELDS},
    {WITH("'a\\u001b\\u007f\\u0000b':1"), "unknown field \"a\\u001b\\u007f\\u0000b\"; " FIELDS},
    {WITH("'a\\u0000':1,'a\\u0000':1"), "the body has the key \"a\\u0000\" twice"},
    {WITH("'appId\\u0000':1"), "unknown field \"appId\\u0000\"; did you mean \"appId\"?"},
    {WITH("'version':1"), "version: is set by the service and cannot be given, leave it out"},
    {WITH("'createdAt':'x'"), "createdAt: is set by the service and cannot be given, leave it out"},
    {WITH("'updatedAt':'x'"), "updatedAt: is set by the service and cannot be given, leave it out"},
    {WITH("'publicKey':'x'"), "publicKey: is set by the service and cannot be given, leave it out"},
    /* the key */
    {"{}", "appId: is required"},
    {"{'appId':'a'}", "eventType: is required"},
    {"{'appId':null}", "appId: must not be null"},
    {"{'appId':'a','eventType':null}", "eventType: must not be null"},
    {"{'appId':1,'eventType':'T'}", "appId: must be a string, was 1"},
    {"{'appId':'','eventType':'T'}",
     "appId: must be a string of 1 to 256 printable characters, was empty"},
    {"{'appId':'a','eventType':'a\\nb'}",
     "eventType: must be a string of 1 to 256 printable characters, held a control character as "
     "byte 2"},
    /* webhookUrl */
    {"{" KEY "}", "webhookUrl: is required"},
    {URL("null"), "webhookUrl: must not be null"},
    {URL("7"), "webhookUrl: must be a URL in a string, was 7"},
    {URL("['https://a/']"), "webhookUrl: must be a URL in a string, was an array"},
    {URL("''"), "webhookUrl: must not be empty"},
    {URL("'example.com'"),
     "webhookUrl: must be an https URL such as https://example.com/hook, was \"example.com\""},
    {URL("'http://a.example/x?token=1'"),
     "webhookUrl: must be an https URL (http only where the operator sets --allow-http), was "
     "\"http://a.example/x\""},
    {URL("'https://u:p@a.example/'"),
     "webhookUrl: must not hold a user name or password before the host"},
    {URL("'https://a.example:8443/'"),
     "webhookUrl: port 8443 is not allowed; the operator adds ports with --allow-ports, allowed: "
     "443"},
    {URL("'https://10.0.0.1/'"),
     "webhookUrl: must lead to a public address (or one in --allow-nets), 10.0.0.1 is a private "
     "address"},
    {URL("'https://a.example/\\u0000'"),
     "webhookUrl: must not hold control characters; byte 19 does"},
    /* scalars */
    {WITH("'isActive':'yes'"), "isActive: must be true or false, was \"yes\""},
    {WITH("'isActive':1"), "isActive: must be true or false, was 1"},
    {WITH("'deleteAppId':{}"), "deleteAppId: must be true or false, was an object"},
    {WITH("'product':''"), "product: must be a string of 1 to 256 printable characters, was empty"},
    {WITH("'product':false"), "product: must be a string, was false"},
    {WITH("'maxInFlight':0"), "maxInFlight: must be an integer from 1 to 1000, was 0"},
    {WITH("'maxInFlight':1001"), "maxInFlight: must be an integer from 1 to 1000, was 1001"},
    {WITH("'maxInFlight':-1"), "maxInFlight: must be an integer from 1 to 1000, was -1"},
    {WITH("'maxInFlight':1.5"), "maxInFlight: must be an integer from 1 to 1000, was 1.5"},
    {WITH("'maxInFlight':18446744073709551615"),
     "maxInFlight: must be an integer from 1 to 1000, was 18446744073709551615"},
    {WITH("'maxInFlight':1e300"), "maxInFlight: must be an integer from 1 to 1000, was 1e300"},
    {WITH("'maxInFlight':'a very long text that nobody wants to read in full'"),
     "maxInFlight: must be an integer from 1 to 1000, was \"a very long text that nobody wants to "
     "re\""},
    {WITH("'rateLimit':0"), "rateLimit: must be an integer from 1 to 100000, was 0"},
    {WITH("'rateLimit':100001"), "rateLimit: must be an integer from 1 to 100000, was 100001"},
    {WITH("'rateLimit':0.5"), "rateLimit: must be an integer from 1 to 100000, was 0.5"},
    {WITH("'rateLimit':'" NUL40 "\\u0000'"),
     "rateLimit: must be an integer from 1 to 100000, was \"" NUL40 "\""},
    {WITH("'rateLimit':'5'"), "rateLimit: must be an integer from 1 to 100000, was \"5\""},
    /* retry */
    {WITH("'retry':[]"), "retry: must be an object with schedule and timeoutMs, was an array"},
    {WITH("'retry':{'timeout':1}"),
     "retry: unknown member \"timeout\"; there are: schedule, timeoutMs"},
    {WITH("'retry':{'\\u0000timeoutMs':1}"),
     "retry: unknown member \"\\u0000timeoutMs\"; there are: schedule, timeoutMs"},
    {WITH("'retry':{'schedule':5}"), "retry.schedule: must be an array of seconds, was 5"},
    {WITH("'retry':{'schedule':[1,43201]}"),
     "retry.schedule[1]: must be an integer from 0 to 43200, was 43201"},
    {WITH("'retry':{'schedule':[null]}"),
     "retry.schedule[0]: must be an integer from 0 to 43200, was null"},
    {WITH("'retry':{'schedule':[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}"),
     "retry.schedule: must have at most 24 items, has 25"},
    {WITH("'retry':{'timeoutMs':999}"),
     "retry.timeoutMs: must be an integer from 1000 to 30000, was 999"},
    {WITH("'retry':{'timeoutMs':30001}"),
     "retry.timeoutMs: must be an integer from 1000 to 30000, was 30001"},
    /* workflows */
    {WITH("'workflows':[]"), "workflows: must be an object of arrays of URLs, was an array"},
    {WITH("'worfklows':1"), "workflows: must be an object of arrays of URLs, was 1"},
    {WITH("'workflows':{'w':'https://b/?s3cret'}"),
     "workflows.w: must be an array of URLs, was a string"},
    {WITH("'workflows':'https://b/?s3cret'"),
     "workflows: must be an object of arrays of URLs, was a string"},
    {WITH("'workflows':{'w':[]}"),
     "workflows.w: must have 1 to 20 URLs, has 0 (null removes a workflow)"},
    {WITH("'workflows':{'w':[1]}"), "workflows.w[0]: must be a URL in a string, was 1"},
    {WITH("'workflows':{'w':['https://b/',null]}"),
     "workflows.w[1]: must be a URL in a string, was null"},
    {WITH("'workflows':{'w':['https://b/','http://c/']}"),
     "workflows.w[1]: must be an https URL (http only where the operator sets --allow-http), was "
     "\"http://c/\""},
    {WITH("'workflows':{'':['https://b/']}"),
     "a key of workflows: must be a string of 1 to 256 printable characters, was empty"},
    {WITH("'workflows':{'w':{'x':null}}"), "workflows.w: must be an array of URLs, was an object"},
    /* headers: never a value */
    {WITH("'headers':[]"), "headers: must be an object of strings, was an array"},
    {WITH("'headers':'s3cret'"), "headers: must be an object of strings, was a string"},
    {WITH("'headers':{'x-a':1}"), "headers: \"x-a\" must be a string"},
    {WITH("'headers':{'x-a':{'s3cret':'s3cret'}}"), "headers: \"x-a\" must be a string"},
    {WITH("'headers':{'x-a':''}"), "headers: \"x-a\" must not be empty (null removes a header)"},
    {WITH("'headers':{'x-a':' s3cret'}"),
     "headers: \"x-a\" must not begin or end with white space"},
    {WITH("'headers':{'x-a':'s3cret\\t'}"),
     "headers: \"x-a\" must not begin or end with white space"},
    {WITH("'headers':{'x-a':'a\\r\\nb: s3cret'}"),
     "headers: \"x-a\" must not hold control characters"},
    {WITH("'headers':{'x-a':'a\\u0000b'}"), "headers: \"x-a\" must not hold control characters"},
    {WITH("'headers':{'x-a':'a\\u007fb'}"), "headers: \"x-a\" must not hold control characters"},
    {WITH("'headers':{'':'s3cret'}"),
     "headers: \"\" is no header name (letters, digits and !#$%&'*+-.^_`|~)"},
    {WITH("'headers':{'x a':'s3cret'}"),
     "headers: \"x a\" is no header name (letters, digits and !#$%&'*+-.^_`|~)"},
    {WITH("'headers':{'x:a':'s3cret'}"),
     "headers: \"x:a\" is no header name (letters, digits and !#$%&'*+-.^_`|~)"},
    {WITH("'headers':{'\xc3\xa9':'s3cret'}"),
     "headers: \"\xc3\xa9\" is no header name (letters, digits and !#$%&'*+-.^_`|~)"},
    {WITH("'headers':{'x\\u0000':'s3cret'}"),
     "headers: \"x\\u0000\" is no header name (letters, digits and !#$%&'*+-.^_`|~)"},
    {WITH("'headers':{'x-a':'1','X-A':'2'}"),
     "headers: \"X-A\" is there twice; case makes no difference"},
    {WITH("'headers':{'authorization':'…'}"),
     "headers: \"authorization\" is masked, as an answer shows it; send the whole value"},
    {WITH("'headers':{'X-Api-Key':'…cdef'}"),
     "headers: \"X-Api-Key\" is masked, as an answer shows it; send the whole value"},
    /* secrets: never what was sent */
    {WITH("'secret':5"), "secret: must be a string"},
    {WITH("'secret':'s3cret'"), SECRET_RULE "was 6 bytes long"},
    {WITH("'secret':'whsec_AAAA'"), SECRET_RULE "was 10 bytes long"},
    {WITH("'secret':'whsec_AAAAAAAAAAAAAAAA'"), SECRET_RULE "was whsec_ and 12 bytes"},
    {WITH("'secret':'…cdef'"),
     "secret: is masked, as an answer shows it; send the whole secret, or leave it out and one is "
     "made"},
    {WITH("'secret':'whsec_…cdef'"),
     "secret: is masked, as an answer shows it; send the whole secret, or leave it out and one is "
     "made"},
    {WITH("'updateSecret':'s3cret'"), "updateSecret: must be true, false or \"now\""},
    {WITH("'updateSecret':1"), "updateSecret: must be true, false or \"now\""},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < gw_count(refused); i++) {
        struct gw_error error = {0};
        struct gw_config *config = try_create(refused[i].json, &error);

        if (config)
            fail_msg("%s: was accepted", refused[i].json);
        assert_int_equal(error.code, GW_ERR_INVALID);
        if (strcmp(error.text, refused[i].error) != 0)
            fail_msg("%s:\n  got    %s\n  wanted %s", refused[i].json, error.text,
                     refused[i].error);
        assert_null(strstr(error.text, "s3cret"));
        assert_null(try_create(refused[i].json, NULL));
    }
}

static void refused_headers(void **state)
{
    static const char *const names[] = {
        "connection",
        "Keep-Alive",
        "proxy-authorization",
        "Proxy-X",
        "TE",
        "trailer",
        "upgrade",
        "transfer-encoding",
        "host",
        "Content-Type",
        "content-md5",
        "expect",
        "user-agent",
        "cookie",
        "forwarded",
        "webhook-id",
        "Webhook-X",
        "X-Webhook-Signature",
        "x-amz-date",
        "X-AMZ-x",
        "content-",
        "proxy-",
        "webhook-",
        "x-amz-",
        "x-webhook-signature-next",
    };
    static const char *const allowed[] = {
        "x-connection", "content",         "tea",     "proxy",  "hosts", "x-webhook-signature-old",
        "accept",       "x-forwarded-for", "webhook", "x-amzn", "date"};
    struct gw_buf json = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(names); i++) {
        struct gw_error error = {0};
        gw_buf_clear(&json);
        gw_buf_addf(&json, WITH("'headers':{'%s':'s3cret'}"), names[i]);
        if (try_create(gw_buf_text(&json), &error))
            fail_msg("%s was accepted", names[i]);
        assert_non_null(strstr(error.text, "\" cannot be set: "));
        assert_non_null(strstr(error.text, names[i]));
        assert_null(strstr(error.text, "s3cret"));
    }
    for (size_t i = 0; i < gw_count(allowed); i++) {
        gw_buf_clear(&json);
        gw_buf_addf(&json, WITH("'headers':{'%s':'1'}"), allowed[i]);
        gw_config_unref(create(gw_buf_text(&json)));
    }
    gw_buf_deinit(&json);
}

/* ── Limits that take many ─────────────────────────────────────────────────────────────────── */

/* `count` members, printed by `format` with their number. */
__attribute__((format(printf, 3, 0))) static struct gw_config *
with_many(const char *field, size_t count, const char *format, struct gw_error *error)
{
    struct gw_buf json = {0};

    gw_buf_addf(&json, "{" BASE ",'%s':{", field);
    for (size_t i = 0; i < count; i++) {
        char member[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(member, sizeof(member), format, i);
#pragma GCC diagnostic pop
        gw_buf_addf(&json, "%s%s", i ? "," : "", member);
    }
    gw_buf_addf(&json, "}}");
    struct gw_config *config = try_create(gw_buf_text(&json), error);
    gw_buf_deinit(&json);
    return config;
}

static void many_members(void **state)
{
    struct gw_error error = {0};
    struct gw_config *config = with_many("headers", 32, "'x-%zu':'v'", &error);

    (void)state;
    assert_non_null(config);
    assert_int_equal(config->header_count, 32);
    gw_config_unref(config);
    assert_null(with_many("headers", 33, "'x-%zu':'v'", &error));
    assert_string_equal(error.text, "headers: must have at most 32 members, has 33");
    config = with_many("workflows", 100, "'%zu':['https://a.example/hook']", &error);
    assert_non_null(config);
    assert_int_equal(config->workflow_count, 100);
    assert_int_equal(config->route_count, 2); /* one for all; the default's stays its own */
    gw_config_unref(config);
    assert_null(with_many("workflows", 101, "'%zu':['https://b/']", &error));
    assert_string_equal(error.text, "workflows: must have at most 100 members, has 101");
}

static struct gw_config *with_fill(const char *before, size_t count, const char *after,
                                   struct gw_error *error)
{
    struct gw_buf json = {0};

    gw_buf_adds(&json, gw_slice_from(before));
    for (size_t i = 0; i < count; i++)
        gw_buf_addc(&json, 'v');
    gw_buf_adds(&json, gw_slice_from(after));
    struct gw_config *config = try_create(gw_buf_text(&json), error);
    gw_buf_deinit(&json);
    return config;
}

static void long_values(void **state)
{
    struct gw_error error = {0};

    (void)state;
    gw_config_unref(with_fill("{" BASE ",'headers':{'x':'", 8191, "'}}", &error));
    assert_string_equal(error.text, "");
    assert_null(with_fill("{" BASE ",'headers':{'x':'", 8192, "'}}", &error));
    assert_string_equal(error.text,
                        "headers: names and values must have at most 8192 bytes in all, have 8193");
    gw_config_unref(with_fill("{" BASE ",'product':'", 256, "'}", &error));
    assert_null(with_fill("{" BASE ",'product':'", 257, "'}", &error));
    assert_string_equal(error.text,
                        "product: must be a string of 1 to 256 printable characters, was 257 long");
    assert_null(with_fill("{" BASE ",'headers':{'content-", 5000, "':'x'}}", &error));
    assert_string_equal(error.text, "headers: \"content-vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\" cannot "
                                    "be set: it follows from the body");
    assert_null(with_fill("{" BASE ",'", 5000, "':'x'}", &error));
    assert_string_equal(error.text,
                        "unknown field \"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\"; " FIELDS);
    assert_null(with_fill("{" BASE ",'maxInFlight':'", 39, "\xc3\xa9'}", &error));
    assert_string_equal(error.text, "maxInFlight: must be an integer from 1 to 1000, was "
                                    "\"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\"");
}

static void size_and_depth(void **state)
{
    const char *start = "{" BASE ",'maxInFlight':1";
    size_t room = GW_CONFIG_BODY_BYTES_MAX - strlen(start) - 1;
    struct gw_error error = {0};
    struct gw_buf json = {0};

    (void)state;
    quote(&json, start);
    for (size_t i = 0; i < room; i++)
        gw_buf_addc(&json, ' ');
    gw_buf_addc(&json, '}');
    assert_int_equal(json.len, GW_CONFIG_BODY_BYTES_MAX);
    gw_config_unref(create(gw_buf_text(&json)));
    gw_buf_addc(&json, ' ');
    assert_null(try_create(gw_buf_text(&json), &error));
    assert_int_equal(error.code, GW_ERR_TOO_LARGE);
    assert_string_equal(error.text, "the body must have at most 262144 bytes, has 262145");

    for (size_t depth = 63; depth <= 64; depth++) { /* inside the object, which is the first */
        quote(&json, "{" BASE ",'product':");
        for (size_t i = 0; i < depth; i++)
            gw_buf_addc(&json, '[');
        for (size_t i = 0; i < depth; i++)
            gw_buf_addc(&json, ']');
        gw_buf_addc(&json, '}');
        assert_null(try_create(gw_buf_text(&json), &error));
        assert_string_equal(error.text,
                            depth == 63 ? "product: must be a string, was an array"
                                        : "the body must not nest arrays and objects deeper than "
                                          "64");
    }
    quote(&json, "{'a':");
    for (size_t i = 0; i < 200000; i++)
        gw_buf_addc(&json, '[');
    assert_null(try_create(gw_buf_text(&json), &error));
    for (size_t count = 1000; count <= 1001; count++) {
        assert_null(with_many("headers", count, "'x-%zu':'v'", &error));
        assert_string_equal(error.text, count == 1000
                                            ? "headers: must have at most 32 members, has 1000"
                                            : "the body must have at most 1000 members in an "
                                              "object, has one with 1001");
    }
    gw_buf_deinit(&json);
}

/* ── Odds and ends ─────────────────────────────────────────────────────────────────────────── */

static void misspelt_workflows(void **state)
{
    struct gw_config *config = create(WITH("'worfklows':{'w':['https://b.example/']}"));

    (void)state;
    assert_shows(config, "'workflows':{'w':['https://b.example/']}");
    gw_config_unref(config);
}

static void masked_headers(void **state)
{
    static const struct {
        const char *name, *value, *shown;
    } rows[] = {
        {"authorization", "Basic 0123456789", "…6789"},
        {"AUTHORIZATION", "short", "…"},
        {"X-Api-Key", "0123456789abcde", "…"},
        {"X-Api-Key", "0123456789abcdef", "…cdef"},
        {"x-access-token", "0123456789abcdef", "…cdef"},
        {"client-secret", "0123456789abcdef", "…cdef"},
        {"token", "0123456789abcdef", "…cdef"},
        {"x-api-key", "0123456789abcd\xc3\xa9", "…"},
        {"x-token-id", "0123456789abcdef", "0123456789abcdef"},
        {"x-tenant", "a … b", "a … b"},
    };
    struct gw_buf text = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        gw_buf_clear(&text);
        gw_buf_addf(&text, WITH("'headers':{'%s':'%s'}"), rows[i].name, rows[i].value);
        struct gw_config *config = create(gw_buf_text(&text));
        assert_text(config->headers[0].value, rows[i].value);
        gw_buf_clear(&text);
        gw_buf_addf(&text, "'headers':{'%s':'%s'}", rows[i].name, rows[i].shown);
        assert_shows(config, gw_buf_text(&text));
        gw_config_unref(config);
    }
    gw_buf_deinit(&text);
}

static void secrets(void **state)
{
    struct gw_config *made = create(WITH("'updateSecret':false"));
    struct gw_config *brought =
        create(WITH("'secret':'whsec_AAAAAAAAAAAAAAAAAAAAAA==','updateSecret':'now'"));

    (void)state;
    assert_true(gw_slice_starts(secret_text(made, 0), GW_SLICE("whsec_")));
    assert_int_equal(made->secret_count, 1);
    assert_text(secret_text(brought, 0), "whsec_AAAAAAAAAAAAAAAAAAAAAA==");
    assert_int_equal(brought->secrets[0].key_len, 16);
    assert_int_equal(brought->secret_count, 1);
    gw_config_unref(made);
    gw_config_unref(brought);
}

static void scope(void **state)
{
    struct gw_config_change change;
    struct gw_error error = {0};
    struct gw_config *config;
    struct gw_buf json = {0};

    (void)state;
    quote(&json, "{" BASE "}");
    change = change_of(gw_buf_slice(&json), NOW);
    change.app_id = GW_SLICE("b");
    assert_int_equal(gw_config_create(&config, &change, &error), GW_ERR_INVALID);
    assert_null(config);
    assert_string_equal(error.text, "appId: must be \"b\", the caller's own");
    change.app_id = GW_SLICE("a");
    assert_int_equal(gw_config_create(&config, &change, &error), GW_OK);
    gw_config_unref(config);
    gw_buf_deinit(&json);
}

static void operator_allows(void **state)
{
    struct gw_guard guard = {.allow_http = true, .nets = {.any = true}, .allow_any_port = true};
    struct gw_buf json = {0};
    struct gw_config *config;

    (void)state;
    quote(&json, URL("'http://127.0.0.1:9000/'"));
    struct gw_config_change change = change_of(gw_buf_slice(&json), NOW);
    change.guard = &guard;
    assert_int_equal(gw_config_create(&config, &change, NULL), GW_OK);
    assert_int_equal(config->routes[0].url.port, 9000);
    gw_config_unref(config);
    gw_buf_deinit(&json);
}

static void key_parse(void **state)
{
    static const struct {
        const char *json, *app_id, *event_type, *error;
    } rows[] = {
        {"{'eventType':'*','appId':'a','other':[1]}", "a", "*", ""},
        {"{'appId':'\\u0061'}", NULL, NULL,
         "eventType: must be a string of 1 to 256 printable characters, was missing"},
        {"{'appId':['a'],'eventType':'T'}", NULL, NULL, "appId: must be a string"},
        {"{'appId':null,'eventType':'T'}", NULL, NULL, "appId: must be a string"},
        {"{'appId':'a','appId':'b','eventType':'T'}", NULL, NULL,
         "the body has the key \"appId\" twice"},
        {"[]", NULL, NULL, "the body must be a JSON object, was array"},
    };
    struct gw_buf json = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_slice app_id, event_type;
        struct gw_arena arena = {0};
        struct gw_error error = {0};
        quote(&json, rows[i].json);
        struct gw_slice copy = exact_copy(gw_buf_slice(&json));
        enum gw_err err = gw_config_key_parse(copy, &arena, &app_id, &event_type, &error);
        exact_free(copy);
        assert_string_equal(error.text, rows[i].error);
        if (err == GW_OK) {
            assert_text(app_id, rows[i].app_id);
            assert_text(event_type, rows[i].event_type);
        }
        assert_int_equal(err == GW_OK, rows[i].app_id != NULL);
        gw_arena_deinit(&arena);
    }
    gw_buf_deinit(&json);
}

static void fuzz(void **state)
{
    static const char *const seeds[] = {
        "{" BASE ",'headers':{'x-a':'1','authorization':'Bearer 0123456789abcdef'},'workflows':"
        "{'w':['https://b.example/1','https://b.example/2'],'v':['https://b.example/1']},"
        "'retry':{'schedule':[1,2,3],'timeoutMs':5000},'maxInFlight':4,'isActive':false}",
        "{" BASE ",'secret':'whsec_AAAAAAAAAAAAAAAAAAAAAA==','updateSecret':'now','product':'p',"
        "'deleteAppId':true,'worfklows':null}",
        "{" BASE "}",
    };
    struct rng rng = {2};
    struct gw_buf text = {0}, out = {0};
    size_t good = 0;

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        struct gw_error error = {0};
        struct gw_config *config;
        quote(&text, seeds[i % gw_count(seeds)]);
        mutate(&text, &rng);
        struct gw_slice copy = exact_copy(gw_buf_slice(&text));
        struct gw_config_change change = change_of(copy, NOW);
        enum gw_err err = gw_config_create(&config, &change, &error);
        exact_free(copy);
        assert_true(err == GW_OK || err == GW_ERR_INVALID);
        assert_int_equal(err != GW_OK, error.text[0] != '\0');
        if (config == NULL)
            continue;
        good++;
        gw_buf_clear(&out);
        gw_config_render(config, true, &out);
        gw_config_unref(config);
    }
    assert_in_range(good, 100, 19000);
    gw_buf_deinit(&text);
    gw_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(null_is_default),
        cmocka_unit_test(everything),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refused_headers),
        cmocka_unit_test(many_members),
        cmocka_unit_test(long_values),
        cmocka_unit_test(size_and_depth),
        cmocka_unit_test(misspelt_workflows),
        cmocka_unit_test(masked_headers),
        cmocka_unit_test(secrets),
        cmocka_unit_test(scope),
        cmocka_unit_test(operator_allows),
        cmocka_unit_test(key_parse),
        cmocka_unit_test(fuzz),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
