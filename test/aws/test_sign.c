/* test_sign.c: the signer against what AWS publishes: the examples of the S3 manual ("Authenticating
 * Requests: Using the Authorization Header") and the cases of its SigV4 test suite. */
#include "aws/sign.h"

#include "../base/test.h"
#include "base/alloc.h"

#define MAY_24_2013    INT64_C(1369353600000)
#define AUGUST_30_2015 INT64_C(1440938160000) /* 12:36:00 */

static const char session_token[] =
    "AQoDYXdzEPT//////////"
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIe"
    "oIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/"
    "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq"
    "5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"
    "scqKmlzm8FDrypNC"
    "9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

struct row {
    const char *what, *method, *path;
    struct gw_aws_field params[2], fields[2];
    const char *body, *token, *signature;
};

#define F(name, value)                                                                             \
    {                                                                                              \
        {"" name, sizeof(name) - 1},                                                               \
        {                                                                                          \
            "" value, sizeof(value) - 1                                                            \
        }                                                                                          \
    }

static const struct row s3_rows[] = {
    {"object", "GET", "/test.txt", .fields = {F("range", "bytes=0-9")},
     .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"put", "PUT", "/test$file.text",
     .fields = {F("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                F("date", "Fri, 24 May 2013 00:00:00 GMT")},
     .body = "Welcome to Amazon S3.",
     .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"lifecycle", "GET", "/", .params = {F("lifecycle", "")},
     .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"list", "GET", "/", .params = {F("prefix", "J"), F("max-keys", "2")},
     .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static const struct row suite_rows[] = {
    {"get-vanilla", "GET", "/",
     .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"post-vanilla", "POST", "/",
     .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"get-vanilla-query-order-key-case", "GET", "/",
     .params = {F("Param2", "value2"), F("Param1", "value1")},
     .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-header-value-trim", "GET", "/",
     .fields = {F("my-header2", "\"a   b   c\""), F("my-header1", " value1")},
     .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-x-www-form-urlencoded", "POST", "/",
     .fields = {F("content-type", "application/x-www-form-urlencoded")}, .body = "Param1=value1",
     .signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-sts-header-before", "POST", "/", .token = session_token,
     .signature = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
};

static size_t given(const struct gw_aws_field fields[2])
{
    return fields[0].name.ptr == NULL ? 0 : fields[1].name.ptr == NULL ? 1 : 2;
}

/* The value of a line; NULL: there is none of that name. */
static const char *line_of(const char *const *lines, const char *name)
{
    size_t len = strlen(name);

    for (; *lines; lines++)
        if (strncmp(*lines, name, len) == 0 && (*lines)[len] == ':')
            return *lines + len + 2;
    return NULL;
}

static void check_row(struct gw_aws_signer *signer, struct gw_aws_keys keys, const char *host,
                      int64_t now_ms, const struct row *row)
{
    struct gw_arena arena = {0};
    struct gw_aws_request request = {
        .method = row->method,
        .host = gw_slice_from(host),
        .path = gw_aws_path(&arena, gw_slice_from(row->path)),
        .query = gw_aws_query(&arena, row->params, given(row->params)),
        .fields = row->fields,
        .field_count = given(row->fields),
        .body = gw_slice_from(row->body),
    };

    keys.token = gw_slice_from(row->token);
    const char *const *lines = gw_aws_sign(signer, &keys, &request, now_ms, &arena);
    const char *value = line_of(lines, "authorization");
    expect(value && gw_slice_ends(gw_slice_from(value), gw_slice_from(row->signature)),
           "%s: %s, not %s", row->what, value, row->signature);
    expect((line_of(lines, "x-amz-security-token") != NULL) == (row->token != NULL), "%s",
           row->what);
    assert_string_equal(line_of(lines, "host"), host);
    gw_arena_deinit(&arena);
}

static void published_examples(void **state)
{
    struct gw_aws_signer s3 = {.region = "us-east-1", .service = "s3"};
    struct gw_aws_signer other = {.region = "us-east-1", .service = "service"};
    struct gw_aws_keys s3_keys = {GW_SLICE("AKIAIOSFODNN7EXAMPLE"),
                                  GW_SLICE("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                                  {0}};
    struct gw_aws_keys keys = {
        GW_SLICE("AKIDEXAMPLE"), GW_SLICE("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {0}};

    (void)state;
    for (size_t i = 0; i < gw_count(s3_rows); i++)
        check_row(&s3, s3_keys, "examplebucket.s3.amazonaws.com", MAY_24_2013, &s3_rows[i]);
    for (size_t i = 0; i < gw_count(suite_rows); i++)
        check_row(&other, keys, "example.amazonaws.com", AUGUST_30_2015, &suite_rows[i]);
    gw_aws_signer_deinit(&s3);
    gw_aws_signer_deinit(&other);
}

static const char *sign_once(struct gw_aws_signer *signer, const char *secret, int64_t now_ms,
                             struct gw_arena *arena)
{
    struct gw_aws_keys keys = {GW_SLICE("id"), gw_slice_from(secret), GW_SLICE("")};
    struct gw_aws_request request = {.method = "GET",
                                     .host = GW_SLICE("host"),
                                     .path = GW_SLICE("/"),
                                     .query = GW_SLICE(""),
                                     .body = GW_SLICE("")};

    return line_of(gw_aws_sign(signer, &keys, &request, now_ms, arena), "authorization");
}

/* A kept key is used for its own day and secret only. */
static void a_kept_key(void **state)
{
    struct gw_aws_signer kept = {.region = "eu-west-1", .service = "sqs"};
    struct gw_arena arena = {0};
    uint64_t seed = 7;

    (void)state;
    for (int i = 0; i < 200; i++) {
        struct gw_aws_signer fresh = {.region = "eu-west-1", .service = "sqs"};
        const char *secret = draw(&seed) % 2 ? "one-secret" : "two-secret";
        int64_t now_ms = AUGUST_30_2015 + (int64_t)(draw(&seed) % 3) * 86400000;
        assert_string_equal(sign_once(&kept, secret, now_ms, &arena),
                            sign_once(&fresh, secret, now_ms, &arena));
        gw_aws_signer_deinit(&fresh);
    }
    gw_aws_signer_deinit(&kept);
    gw_arena_deinit(&arena);
}

static void targets(void **state)
{
    static const struct {
        const char *raw, *sent;
    } rows[] = {
        {"/", "/"},
        {"//", "//"},
        {"/a/../b/./c", "/a/../b/./c"},
        {"/a+b c%2F", "/a%2Bb%20c%252F"},
        {"/\xc3\xbc~-_.", "/%C3%BC~-_."},
        {"/a//b/", "/a//b/"},
        {"/?#&=:@!$'()*,;[]", "/%3F%23%26%3D%3A%40%21%24%27%28%29%2A%2C%3B%5B%5D"},
    };
    static const struct gw_aws_field params[] = {
        {GW_SLICE("b"), GW_SLICE("2")},   {GW_SLICE("a-"), GW_SLICE("x y+z")},
        {GW_SLICE("b"), GW_SLICE("10")},  {GW_SLICE("a"), GW_SLICE("")},
        {GW_SLICE("B"), GW_SLICE("/%2")},
    };
    struct gw_arena arena = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect_slice(gw_aws_path(&arena, gw_slice_from(rows[i].raw)), rows[i].sent);
    expect_slice(gw_aws_query(&arena, params, gw_count(params)),
                 "B=%2F%252&a=&a-=x%20y%2Bz&b=10&b=2");
    expect_slice(gw_aws_query(&arena, NULL, 0), "");
    gw_arena_deinit(&arena);
}

/* The secret is in nothing that is sent, and gone when the signer is. */
static void the_secret_stays(void **state)
{
    struct gw_aws_signer signer = {.region = "eu-west-1", .service = "sqs"}, zero = {0};
    struct gw_arena arena = {0};

    (void)state;
    assert_null(strstr(sign_once(&signer, "very-secret", AUGUST_30_2015, &arena), "very-secret"));
    assert_memory_equal(signer.secret, "very-secret", 11);
    gw_aws_signer_deinit(&signer);
    assert_memory_equal(signer.secret, zero.secret, sizeof(zero.secret));
    assert_memory_equal(signer.key, zero.key, sizeof(zero.key));
    gw_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples),
        cmocka_unit_test(a_kept_key),
        cmocka_unit_test(targets),
        cmocka_unit_test(the_secret_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
