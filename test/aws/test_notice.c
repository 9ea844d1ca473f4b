/* test_notice.c: the forms of S3's notices, and what only looks like one. */
#include "aws/notice.h"

#include "support.h"

#define S3(event, object)                                                                          \
    "{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\",\"eventName\":\"" event                  \
    "\",\"s3\":{\"bucket\":{\"name\":\"my-bucket\"},\"object\":" object "}}"
#define OBJECT                                                                                     \
    "{\"key\":\"a%2Bb/c+d%252F/%C3%BC.json\",\"size\":7,\"eTag\":\"e1\",\"versionId\":\"v1\"}"
#define BRIDGE(type, object)                                                                       \
    "{\"version\":\"0\",\"detail-type\":\"" type                                                   \
    "\",\"source\":\"aws.s3\",\"detail\":{\"bucket\":{\"name\":\"my-bucket\"},\"object\":" object  \
    "}}"
#define SNS(text) "{\"Type\":\"Notification\",\"TopicArn\":\"t\",\"Message\":" text "}"
#define ONE       "my-bucket a+b/c d%2F/\xc3\xbc.json v1 e1 7;"

static void forms(void **state)
{
    static const struct {
        const char *message;
        enum gw_aws_notice_kind kind;
        const char *seen;
    } rows[] = {
        {"{\"Records\":[" S3("ObjectCreated:Put", OBJECT) "]}", GW_AWS_NOTICE_OBJECTS, ONE},
        {"{\"Records\":[" S3("ObjectCreated:Copy", OBJECT) "," S3(
             "ObjectRemoved:Delete", "{}") "," S3("ObjectCreated:CompleteMultipartUpload",
                                                  "{\"key\":\"x\"}") "]}",
         GW_AWS_NOTICE_OBJECTS, ONE "my-bucket x   0;"},
        {"{\"Records\":[" S3("ObjectRemoved:Delete", OBJECT) "]}", GW_AWS_NOTICE_OBJECTS, ""},
        {BRIDGE("Object Created", "{\"key\":\"a+b%2F \xc3\xbc\",\"size\":7,\"etag\":\"e1\","
                                  "\"version-id\":\"v1\"}"),
         GW_AWS_NOTICE_OBJECTS, "my-bucket a+b%2F \xc3\xbc v1 e1 7;"},
        {"{\"Records\":[" S3("ObjectCreated:Put",
                             "{\"key\":\"x\",\"size\":1,\"eTag\":\"\",\"versionId\":\"\"}") "]}",
         GW_AWS_NOTICE_OBJECTS, "my-bucket x   1;"},
        {BRIDGE("Object Deleted", "{}"), GW_AWS_NOTICE_OBJECTS, ""},
        {"{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\",\"Bucket\":\"my-bucket\"}",
         GW_AWS_NOTICE_TEST, ""},
        {SNS("\"{\\\"Records\\\":[{\\\"eventSource\\\":\\\"aws:s3\\\",\\\"eventName\\\":"
             "\\\"ObjectCreated:Put\\\",\\\"s3\\\":{\\\"bucket\\\":{\\\"name\\\":\\\"b\\\"},"
             "\\\"object\\\":{\\\"key\\\":\\\"a%2Bb\\\"}}}]}\""),
         GW_AWS_NOTICE_OBJECTS, "b a+b   0;"},
        {SNS("\"{\\\"Event\\\":\\\"s3:TestEvent\\\"}\""), GW_AWS_NOTICE_TEST, ""},
        {SNS("\"{\\\"Type\\\":\\\"Notification\\\",\\\"Message\\\":\\\"{}\\\"}\""),
         GW_AWS_NOTICE_NONE, ""},
        {SNS("\"hello\""), GW_AWS_NOTICE_NONE, ""},
        {SNS("7"), GW_AWS_NOTICE_NONE, ""},
        {"", GW_AWS_NOTICE_NONE, ""},
        {"hello", GW_AWS_NOTICE_NONE, ""},
        {"[]", GW_AWS_NOTICE_NONE, ""},
        {"{}", GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":[]}", GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":{}}", GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":[7]}", GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":[{\"eventSource\":\"aws:dynamodb\"}]}", GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":[" S3("ObjectCreated:Put", OBJECT) "," S3("ObjectCreated:Put",
                                                                 "{\"key\":\"%zz\"}") "]}",
         GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":[" S3("ObjectCreated:Put", "{\"key\":\"\"}") "]}", GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":[" S3("ObjectCreated:Put", "{\"size\":1}") "]}", GW_AWS_NOTICE_NONE, ""},
        {"{\"Records\":[{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Put\"}]}",
         GW_AWS_NOTICE_NONE, ""},
        {BRIDGE("Object Created", "{}"), GW_AWS_NOTICE_NONE, ""},
        {"{\"source\":\"aws.ec2\",\"detail-type\":\"Object Created\"}", GW_AWS_NOTICE_NONE, ""},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_arena arena = {0};
        struct gw_aws_notices notices;
        struct gw_buf seen = {0};
        gw_aws_notice_read(&notices, gw_slice_from(rows[i].message), &arena);
        for (size_t k = 0; k < notices.count; k++) {
            const struct gw_aws_notice *n = &notices.items[k];
            expect(!n->version_id.ptr == !n->version_id.len, "%s", rows[i].message);
            expect(!n->etag.ptr == !n->etag.len, "%s", rows[i].message);
            gw_buf_addf(&seen, "%.*s %.*s %.*s %.*s %llu;", GW_SLICE_ARG(n->bucket),
                        GW_SLICE_ARG(n->key), GW_SLICE_ARG(n->version_id), GW_SLICE_ARG(n->etag),
                        (unsigned long long)n->size);
        }
        expect(notices.kind == rows[i].kind, "%s: %d", rows[i].message, notices.kind);
        expect_slice(gw_buf_slice(&seen), rows[i].seen);
        gw_buf_deinit(&seen);
        gw_arena_deinit(&arena);
    }
}

static void a_key_that_is_too_long(void **state)
{
    struct gw_arena arena = {0};

    (void)state;
    for (int len = 1023; len <= 1025; len++) {
        const char *message = gw_arena_printf(
            &arena, "{\"Records\":[" S3("ObjectCreated:Put", "{\"key\":\"%0*d\"}") "]}", len, 0);
        struct gw_aws_notices notices;
        gw_aws_notice_read(&notices, gw_slice_from(message), &arena);
        assert_int_equal(notices.count, len <= 1024);
    }
    gw_arena_deinit(&arena);
}

static void what_is_written_is_read(void **state)
{
    static const struct gw_aws_notice rows[] = {
        {GW_SLICE("my-bucket"), GW_SLICE("a+b/c d%2F/\xc3\xbc\"\x01\xff.json"), GW_SLICE("v1"),
         GW_SLICE("e1"), 7},
        {GW_SLICE("b"), GW_SLICE("/"), {NULL, 0}, {NULL, 0}, 0},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_arena arena = {0};
        struct gw_aws_notices notices;
        struct gw_slice text = gw_aws_notice_write(&rows[i], "somebody", &arena);
        gw_aws_notice_read(&notices, text, &arena);
        assert_int_equal(notices.kind, GW_AWS_NOTICE_OBJECTS);
        assert_int_equal(notices.count, 1);
        expect_slice(notices.items[0].bucket, gw_arena_text(&arena, rows[i].bucket));
        expect_slice(notices.items[0].key, gw_arena_text(&arena, rows[i].key));
        assert_true(gw_slice_eq(notices.items[0].version_id, rows[i].version_id));
        assert_true(gw_slice_eq(notices.items[0].etag, rows[i].etag));
        assert_int_equal(notices.items[0].size, rows[i].size);
        assert_non_null(memmem(text.ptr, text.len, "\"somebody\"", 10));
        gw_arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_key_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
