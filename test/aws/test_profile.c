/* test_profile.c: the shared files, as the tools of AWS write them and as people do. */
#include "aws/profile.h"

#include "support.h"

static const char credentials[] = "# mine\n"
                                  "[default]\n"
                                  "aws_access_key_id = AKIADEFAULT\n"
                                  "aws_secret_access_key=default/secret+x==\r\n"
                                  "\n"
                                  "[ other ]\n"
                                  "aws_access_key_id=AKIAOTHER ; old\n"
                                  "AWS_SECRET_ACCESS_KEY = other#secret\n"
                                  "aws_session_token = tok en\n"
                                  "s3 =\n"
                                  "  region = nested-1\n";

static const char config[] = "[default]\n"
                             "region = eu-west-1\n"
                             "aws_access_key_id = AKIASECOND\n"
                             "[profile other]\n"
                             "region=us-east-1 # near\n"
                             "[other]\n"
                             "region = wrong-1\n"
                             "[profile\troled]\n"
                             "role_arn = arn:aws:iam::1:role/x\n"
                             "[sso-session other]\n"
                             "sso_start_url = https://x\n";

static void expect_text(struct gw_slice got, const char *wanted, const char *what)
{
    expect(wanted ? gw_slice_is(got, wanted) : got.ptr == NULL, "%s: \"%.*s\"", what,
           GW_SLICE_ARG(got));
}

static void profiles(void **state)
{
    static const struct {
        const char *name, *id, *secret, *token, *region, *elsewhere;
    } rows[] = {
        {NULL, "AKIADEFAULT", "default/secret+x==", NULL, "eu-west-1", NULL},
        {"", "AKIADEFAULT", "default/secret+x==", NULL, "eu-west-1", NULL},
        {"other", "AKIAOTHER", "other#secret", "tok en", "us-east-1", NULL},
        {"roled", NULL, NULL, NULL, NULL, "role_arn"},
    };
    char *first = file_of(credentials), *second = file_of(config);

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_aws_profile profile;
        struct gw_error error;
        no_settings();
        setenv("AWS_SHARED_CREDENTIALS_FILE", first, 1);
        setenv("AWS_CONFIG_FILE", second, 1);
        if (rows[i].name)
            setenv("AWS_PROFILE", rows[i].name, 1);
        expect(gw_aws_profile_read(&profile, &error) == GW_OK, "%s", error.text);
        assert_true(profile.is_found);
        expect_text(profile.id, rows[i].id, "id");
        expect_text(profile.secret, rows[i].secret, "secret");
        expect_text(profile.token, rows[i].token, "token");
        expect_text(profile.region, rows[i].region, "region");
        expect_text(gw_slice_from(profile.elsewhere), rows[i].elsewhere, "elsewhere");
        gw_aws_profile_deinit(&profile);
        assert_null(profile.id.ptr);
    }
    file_drop(first);
    file_drop(second);
}

static void without(void **state)
{
    struct gw_aws_profile profile;
    struct gw_error error;
    char *file = file_of("[default\nno section\n=\n[]\n[default]\naws_access_key_id\n");

    (void)state;
    no_settings();
    assert_int_equal(gw_aws_profile_read(&profile, &error), GW_OK); /* no files */
    assert_false(profile.is_found);
    unsetenv("HOME");
    assert_int_equal(gw_aws_profile_read(&profile, &error), GW_OK);
    setenv("AWS_PROFILE", "missing", 1);
    assert_int_equal(gw_aws_profile_read(&profile, &error), GW_ERR_INVALID);
    assert_non_null(strstr(error.text, "AWS_PROFILE: must name a profile"));
    no_settings();
    setenv("AWS_CONFIG_FILE", file, 1);
    assert_int_equal(gw_aws_profile_read(&profile, &error), GW_OK);
    assert_true(profile.is_found);
    assert_null(profile.id.ptr);
    gw_aws_profile_deinit(&profile);
    setenv("AWS_CONFIG_FILE", "/", 1);
    assert_int_equal(gw_aws_profile_read(&profile, &error), GW_ERR_IO);
    file_drop(file);
}

static void a_file_that_is_too_large(void **state)
{
    struct gw_aws_profile profile;
    struct gw_error error;
    char *text = gw_alloc(300001);

    (void)state;
    text[300000] = '\0';
    memset(text, '#', 300000);
    char *file = file_of(text);
    no_settings();
    setenv("AWS_CONFIG_FILE", file, 1);
    assert_int_equal(gw_aws_profile_read(&profile, &error), GW_ERR_TOO_LARGE);
    file_drop(file);
    gw_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles),
        cmocka_unit_test(without),
        cmocka_unit_test(a_file_that_is_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
