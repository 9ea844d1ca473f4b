/* test_endpoint.c: where services are, given the environment; what is refused; where buckets are. */
#include "aws/endpoint.h"

#include "support.h"

static void hosts(void **state)
{
    static const struct {
        enum gw_aws_service service;
        const char *region, *settings, *url; /* NULL: an error that has this text: */
        const char *error;
    } rows[] = {
        {GW_AWS_S3, "eu-west-1", NULL, "https://s3.eu-west-1.amazonaws.com", NULL},
        {GW_AWS_SQS, "cn-north-1", NULL, "https://sqs.cn-north-1.amazonaws.com.cn", NULL},
        {GW_AWS_DYNAMODB, "us-gov-west-1", NULL, "https://dynamodb.us-gov-west-1.amazonaws.com",
         NULL},
        {GW_AWS_STS, "eusc-de-east-1", NULL, "https://sts.eusc-de-east-1.amazonaws.eu", NULL},
        {GW_AWS_SQS, "us-isob-east-1", NULL, "https://sqs.us-isob-east-1.sc2s.sgov.gov", NULL},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:4566", "http://127.0.0.1:4566",
         NULL},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://a AWS_ENDPOINT_URL_SQS=https://b:8443/",
         "https://b:8443", NULL},
        {GW_AWS_S3, "eu-west-1", "AWS_ENDPOINT_URL_SQS=https://b:8443",
         "https://s3.eu-west-1.amazonaws.com", NULL},
        {GW_AWS_FIREHOSE, "eu-west-1", "AWS_ENDPOINT_URL= AWS_ENDPOINT_URL_FIREHOSE=",
         "https://firehose.eu-west-1.amazonaws.com", NULL},
        {GW_AWS_DYNAMODB, "eu-west-1", "AWS_ENDPOINT_URL=http://[::1]:80", "http://[::1]", NULL},
        {GW_AWS_DYNAMODB, "eu-west-1", "AWS_ENDPOINT_URL=https://[fd00::2]:4566",
         "https://[fd00::2]:4566", NULL},
        {GW_AWS_SQS, "eu-west-1",
         "AWS_ENDPOINT_URL=http://a AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
         "https://sqs.eu-west-1.amazonaws.com", NULL},
        {GW_AWS_SQS, "eu-west-1", "AWS_USE_FIPS_ENDPOINT=true", NULL,
         "AWS_USE_FIPS_ENDPOINT: must"},
        {GW_AWS_SQS, "eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT=True", NULL,
         "AWS_USE_DUALSTACK_ENDPOINT: must"},
        {GW_AWS_SQS, "eu-west-1",
         "AWS_USE_FIPS_ENDPOINT=true AWS_ENDPOINT_URL_SQS=https://sqs-fips.x", "https://sqs-fips.x",
         NULL},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=ftp://a", NULL, "AWS_ENDPOINT_URL: must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://", NULL, "AWS_ENDPOINT_URL: must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://a:", NULL, "AWS_ENDPOINT_URL: must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://a:0", NULL, "AWS_ENDPOINT_URL: must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://a:65536", NULL, "must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://u:p@a", NULL, "must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://[::1", NULL, "must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://[::1]x", NULL, "must be"},
        {GW_AWS_SQS, "eu-west-1", "AWS_ENDPOINT_URL=http://[1.2.3.4]", NULL, "must be"},
        {GW_AWS_S3, "eu-west-1", "AWS_ENDPOINT_URL_S3=http://a/b", NULL,
         "AWS_ENDPOINT_URL_S3: must have no path"},
        {GW_AWS_S3, "eu-west-1", "AWS_ENDPOINT_URL_S3=http://a?b", NULL, "must have no path"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_arena arena = {0};
        struct gw_aws_endpoint endpoint;
        struct gw_error error = {0};
        no_settings();
        set_all(rows[i].settings);
        enum gw_err err =
            gw_aws_endpoint_init(&endpoint, rows[i].service, rows[i].region, &arena, &error);
        if (rows[i].url) {
            expect(err == GW_OK, "row %zu: %s", i, error.text);
            expect_slice(gw_slice_from(gw_arena_printf(&arena, "http%s://%s",
                                                       endpoint.origin.https ? "s" : "",
                                                       endpoint.origin.authority)),
                         rows[i].url);
        } else {
            expect(err == GW_ERR_INVALID && strstr(error.text, rows[i].error), "row %zu: %s", i,
                   error.text);
        }
        gw_arena_deinit(&arena);
    }
}

static void regions(void **state)
{
    static const struct {
        const char *settings, *fallback, *region; /* NULL: an error */
    } rows[] = {
        {"AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=x", "y", "eu-west-1"},
        {"AWS_REGION= AWS_DEFAULT_REGION=us-east-1", "y", "us-east-1"},
        {NULL, "eu-north-1", "eu-north-1"},
        {NULL, NULL, NULL},
        {"AWS_REGION=evil.example/", NULL, NULL},
        {"AWS_REGION=EU-WEST-1", NULL, NULL},
        {"AWS_REGION=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        const char *region = NULL;
        struct gw_error error = {0};
        no_settings();
        set_all(rows[i].settings);
        enum gw_err err = gw_aws_region(&region, rows[i].fallback, &error);
        expect((err == GW_OK) == (rows[i].region != NULL), "row %zu: %s", i, error.text);
        if (rows[i].region)
            assert_string_equal(region, rows[i].region);
        else
            expect(strstr(error.text, "AWS_REGION: must"), "%s", error.text);
    }
}

static void buckets(void **state)
{
    static const struct {
        const char *settings, *bucket, *key, *authority, *path; /* NULL: an error */
    } rows[] = {
        {NULL, "events", "a/../b", "events.s3.eu-west-1.amazonaws.com", "/a/../b"},
        {NULL, "events", "", "events.s3.eu-west-1.amazonaws.com", "/"},
        {NULL, "events", "//x", "events.s3.eu-west-1.amazonaws.com", "///x"},
        {NULL, "my.events", "k", "s3.eu-west-1.amazonaws.com", "/my.events/k"},
        {NULL, "Old_Events", "k", "s3.eu-west-1.amazonaws.com", "/Old_Events/k"},
        {NULL, "-events", "k", "s3.eu-west-1.amazonaws.com", "/-events/k"},
        {"AWS_ENDPOINT_URL=http://127.0.0.1:4566", "events", "a/../b", "127.0.0.1:4566",
         "/events/a/../b"},
        {"AWS_ENDPOINT_URL=http://127.0.0.1:4566", "events", "", "127.0.0.1:4566", "/events/"},
        {NULL, "ab", "k", NULL, NULL},
        {NULL, "", "k", NULL, NULL},
        {NULL, "../events", "k", NULL, NULL},
        {NULL, "...", "k", NULL, NULL},
        {NULL, "evil.example/", "k", NULL, NULL},
        {NULL, "arn:aws:s3:eu-west-1:1:accesspoint/x", "k", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_arena arena = {0};
        struct gw_aws_endpoint endpoint;
        struct gw_aws_origin origin;
        struct gw_slice path;
        struct gw_error error;
        no_settings();
        set_all(rows[i].settings);
        assert_int_equal(gw_aws_endpoint_init(&endpoint, GW_AWS_S3, "eu-west-1", &arena, &error),
                         GW_OK);
        enum gw_err err =
            gw_aws_bucket_place(&endpoint, gw_slice_from(rows[i].bucket),
                                gw_slice_from(rows[i].key), &arena, &origin, &path, &error);
        expect((err == GW_OK) == (rows[i].path != NULL), "\"%s\"", rows[i].bucket);
        if (rows[i].path) {
            assert_string_equal(origin.authority, rows[i].authority);
            expect_slice(path, rows[i].path);
        }
        gw_arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),
        cmocka_unit_test(regions),
        cmocka_unit_test(buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
