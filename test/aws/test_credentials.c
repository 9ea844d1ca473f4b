/* test_credentials.c: which source of keys is taken, what is said to it, and when: in the simulated
 * world, with fakes of the services. */
#include "aws/credentials.h"

#include "base/timefmt.h"
#include "sim_env.h"
#include "support.h"

#define INSTANCE  "169.254.169.254"
#define CONTAINER "169.254.170.2"
#define STS       "sts.eu-west-1.amazonaws.com"
#define ROLES     "/latest/meta-data/iam/security-credentials/"
#define MINUTE_MS ((int64_t)60 * 1000)

struct world {
    struct sim *sim;
    struct gw_env *env;
    struct gw_aws_credentials *credentials;
    struct gw_error error;
    struct gw_arena arena;

    /* the fakes' */
    int asked;               /* for keys */
    struct sim_reply refuse; /* status 0 = give keys: */
    int64_t life_ms;
    const char *body;   /* instead of keys; NULL = keys */
    struct gw_buf seen; /* "METHOD target body\n" */
    char reply[2048], authorization[256];
};

static struct world *world;

static int setup(void **state)
{
    (void)state;
    no_settings();
    world = gw_zalloc(sizeof(*world));
    world->sim = sim_create(&(struct sim_options){.seed = 5});
    world->env = sim_env_create(world->sim);
    world->life_ms = 6 * 60 * MINUTE_MS;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_aws_credentials_destroy(world->credentials);
    sim_destroy(world->sim);
    gw_buf_deinit(&world->seen);
    gw_arena_deinit(&world->arena);
    gw_free(world);
    return 0;
}

static enum gw_err make(void)
{
    struct gw_aws_profile profile;
    struct gw_aws_endpoint endpoint;
    enum gw_err err = gw_aws_profile_read(&profile, &world->error);

    if (err == GW_OK)
        err =
            gw_aws_endpoint_init(&endpoint, GW_AWS_STS, "eu-west-1", &world->arena, &world->error);
    if (err == GW_OK)
        err = gw_aws_credentials_create(world->env, &profile, &endpoint, &world->credentials,
                                        &world->error);
    gw_aws_profile_deinit(&profile);
    return err;
}

/* ── Fakes ─────────────────────────────────────────────────────────────────────────────────── */

static const char *expiration(void)
{
    static char text[GW_TIME_TEXT_MAX];
    struct gw_slice time = gw_time_text(sim_wall_ms(world->sim) + world->life_ms, text);

    text[time.len] = '\0';
    return text;
}

static void see(const struct gw_http_call *call)
{
    const char *target = strchr(strstr(call->url, "://") + 3, '/');
    struct gw_slice token = sim_call_header(call, "authorization");

    gw_buf_addf(&world->seen, "%s %s %.*s\n", call->method, target, GW_SLICE_ARG(call->body));
    snprintf(world->authorization, sizeof(world->authorization), "%.*s", GW_SLICE_ARG(token));
}

static struct sim_reply answer(const char *body)
{
    snprintf(world->reply, sizeof(world->reply), "%s", body);
    return (struct sim_reply){GW_HTTP_ANSWERED, 200, 5, NULL, world->reply};
}

static struct sim_reply give_json(void)
{
    char text[1024];

    world->asked++;
    if (world->refuse.status != 0 || world->refuse.end != GW_HTTP_ANSWERED)
        return world->refuse;
    snprintf(text, sizeof(text),
             "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA%d\",\"SecretAccessKey\":\"s3cret%d\","
             "\"Token\":\"t0ken%d\",\"Expiration\":\"%s\"}",
             world->asked, world->asked, world->asked, expiration());
    return answer(world->body ? world->body : text);
}

static struct sim_reply instance(void *ctx, const struct gw_http_call *call)
{
    (void)ctx;
    see(call);
    if (strcmp(call->method, "PUT") == 0) {
        assert_true(
            gw_slice_is(sim_call_header(call, "x-aws-ec2-metadata-token-ttl-seconds"), "21600"));
        return answer("session-1");
    }
    if (!gw_slice_is(sim_call_header(call, "x-aws-ec2-metadata-token"), "session-1"))
        return (struct sim_reply){GW_HTTP_ANSWERED, 401, 1, NULL, ""};
    if (strstr(call->url, ROLES "my-role"))
        return give_json();
    return answer("my-role");
}

static struct sim_reply container(void *ctx, const struct gw_http_call *call)
{
    (void)ctx;
    see(call);
    return give_json();
}

static struct sim_reply sts(void *ctx, const struct gw_http_call *call)
{
    char text[1024];

    (void)ctx;
    see(call);
    world->asked++;
    if (world->refuse.status != 0)
        return world->refuse;
    snprintf(text, sizeof(text),
             "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/"
             "\"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId>"
             "<SecretAccessKey>s3cret%d</SecretAccessKey><SessionToken>t0ken%d</SessionToken>"
             "<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
             "</AssumeRoleWithWebIdentityResponse>",
             world->asked, world->asked, world->asked, expiration());
    return answer(world->body ? world->body : text);
}

/* ── Waiting ───────────────────────────────────────────────────────────────────────────────── */

struct waiter {
    struct gw_aws_wait wait;
    bool is_done;
};

static void on_waited(struct gw_aws_wait *wait)
{
    struct waiter *waiter = gw_container_of(wait, struct waiter, wait);

    assert_false(waiter->is_done);
    waiter->is_done = true;
}

static bool is_done(void *ctx)
{
    return ((struct waiter *)ctx)->is_done;
}

/* Keys, or NULL and world->error. */
static const struct gw_aws_keys *wait_for_keys(void)
{
    struct waiter waiter = {.wait.done = on_waited};
    const struct gw_aws_keys *keys = gw_aws_credentials_keys(world->credentials);

    if (keys)
        return keys;
    gw_aws_credentials_wait(world->credentials, &waiter.wait);
    assert_false(waiter.is_done);
    assert_true(sim_run(world->sim, is_done, &waiter, 120 * 1000));
    world->error = waiter.wait.error;
    keys = gw_aws_credentials_keys(world->credentials);
    assert_true((world->error.code == GW_OK) == (keys != NULL));
    return keys;
}

static void expect_keys(const char *id, const char *secret, const char *token)
{
    const struct gw_aws_keys *keys = wait_for_keys();

    expect(keys != NULL, "%s", world->error.text);
    expect_slice(keys->id, id);
    expect_slice(keys->secret, secret);
    expect_slice(keys->token, token);
}

static void expect_failure(enum gw_err code, const char *part)
{
    expect(wait_for_keys() == NULL, "keys came");
    expect(world->error.code == code, "%s: %s", gw_err_name(world->error.code), world->error.text);
    expect(strstr(world->error.text, part), "\"%s\" is not in: %s", part, world->error.text);
    expect(!strstr(world->error.text, "s3cret") && !strstr(world->error.text, "t0ken"), "%s",
           world->error.text);
}

static void pass(int64_t ms)
{
    assert_true(sim_run(world->sim, NULL, NULL, ms));
}

/* ── Which source ──────────────────────────────────────────────────────────────────────────── */

static void the_first_that_is_set_up(void **state)
{
    static const struct {
        const char *settings, *source; /* NULL: an error that has this text: */
        const char *error;
    } rows[] = {
        {"AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_WEB_IDENTITY_TOKEN_FILE=/x "
         "AWS_ROLE_ARN=r",
         "environment", NULL},
        {"AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= AWS_WEB_IDENTITY_TOKEN_FILE=/x AWS_ROLE_ARN=r "
         "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c",
         "web identity", NULL},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c", "container", NULL},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.9:1/c", "container", NULL},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials", "container",
         NULL},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::23]/v1", "container", NULL},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[::1]:8/v1", "container", NULL},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://localhost/v1", "container", NULL},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=https://anywhere.example/v1", "container", NULL},
        {NULL, "instance", NULL},
        {"AWS_EC2_METADATA_DISABLED=false", "instance", NULL},
        {"AWS_ACCESS_KEY_ID=a", NULL, "must have both"},
        {"AWS_SECRET_ACCESS_KEY=a AWS_ROLE_ARN=r", NULL, "must have both"},
        {"AWS_ACCESS_KEY_ID=a\n AWS_SECRET_ACCESS_KEY=b", NULL, "printable ASCII"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE=/x", NULL, "AWS_ROLE_ARN: must be set"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://anywhere.example/v1", NULL,
         "must be https, or http to this machine"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.169.254/v1", NULL, "must be https"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::24]/v1", NULL, "must be https"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI=nonsense", NULL, "must be http:// or https://"},
        {"AWS_EC2_METADATA_DISABLED=true", NULL, "AWS_ACCESS_KEY_ID: must be set"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        no_settings();
        set_all(rows[i].settings);
        enum gw_err err = make();
        if (rows[i].source) {
            expect(err == GW_OK, "row %zu: %s", i, world->error.text);
            assert_string_equal(gw_aws_credentials_source(world->credentials), rows[i].source);
        } else {
            expect(err != GW_OK && strstr(world->error.text, rows[i].error), "row %zu: %s", i,
                   world->error.text);
        }
        gw_aws_credentials_destroy(world->credentials);
        world->credentials = NULL;
    }
}

static void static_keys(void **state)
{
    char *file = file_of("[default]\naws_access_key_id=AKIA\naws_secret_access_key=s\n");

    (void)state;
    set_all("AWS_ACCESS_KEY_ID=ASIA AWS_SECRET_ACCESS_KEY=s3cret AWS_SESSION_TOKEN=t0ken");
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA", "s3cret", "t0ken");
    gw_aws_credentials_expired(world->credentials); /* there are no others */
    pass(1000 * 60 * MINUTE_MS);
    expect_keys("ASIA", "s3cret", "t0ken");
    gw_aws_credentials_destroy(world->credentials);

    setenv("AWS_SESSION_TOKEN", "", 1);
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA", "s3cret", "");
    gw_aws_credentials_destroy(world->credentials);

    no_settings();
    setenv("AWS_SHARED_CREDENTIALS_FILE", file, 1);
    assert_int_equal(make(), GW_OK);
    assert_string_equal(gw_aws_credentials_source(world->credentials), "profile");
    expect_keys("AKIA", "s", "");
    file_drop(file);
}

static void a_profile_that_points_elsewhere(void **state)
{
    char *file = file_of("[default]\nsource_profile = other\nrole_arn = arn:x\n");

    (void)state;
    world->credentials = NULL;
    setenv("AWS_CONFIG_FILE", file, 1);
    assert_int_equal(make(), GW_ERR_KEY);
    assert_non_null(strstr(world->error.text, "role_arn, which is not supported"));
    file_drop(file);
}

/* ── What is asked ─────────────────────────────────────────────────────────────────────────── */

static void an_instance(void **state)
{
    (void)state;
    sim_receiver(world->sim, INSTANCE, instance, NULL);
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA1", "s3cret1", "t0ken1");
    expect_slice(gw_buf_slice(&world->seen), "PUT /latest/api/token \n"
                                             "GET " ROLES " \n"
                                             "GET " ROLES "my-role \n");
}

static void a_container(void **state)
{
    char *file = file_of("first-token\n");

    (void)state;
    sim_receiver(world->sim, CONTAINER, container, NULL);
    sim_receiver(world->sim, "127.0.0.1", container, NULL);
    set_all("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/1?x=y "
            "AWS_CONTAINER_AUTHORIZATION_TOKEN=not-for-relative-ones");
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA1", "s3cret1", "t0ken1");
    expect_slice(gw_buf_slice(&world->seen), "GET /v2/credentials/1?x=y \n");
    assert_string_equal(world->authorization, "");
    gw_aws_credentials_destroy(world->credentials);

    no_settings();
    set_all("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:81/v1 "
            "AWS_CONTAINER_AUTHORIZATION_TOKEN=plain-token");
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA2", "s3cret2", "t0ken2");
    assert_string_equal(world->authorization, "plain-token");
    gw_aws_credentials_destroy(world->credentials);

    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file, 1);
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA3", "s3cret3", "t0ken3");
    assert_string_equal(world->authorization, "first-token");
    FILE *again = fopen(file, "w"); /* it is read anew each time */
    fputs("second-token", again);
    fclose(again);
    pass(world->life_ms);
    expect_keys("ASIA4", "s3cret4", "t0ken4");
    assert_string_equal(world->authorization, "second-token");
    file_drop(file);
}

static void a_web_identity(void **state)
{
    char *file = file_of("eyJ.token+/=\n");

    (void)state;
    sim_name(world->sim, STS, "192.0.2.7", 1);
    sim_receiver(world->sim, STS, sts, NULL);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file, 1);
    set_all("AWS_ROLE_ARN=arn:aws:iam::1:role/x AWS_ROLE_SESSION_NAME=a@b");
    world->life_ms = 60 * MINUTE_MS;
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA1", "s3cret1", "t0ken1");
    expect_slice(gw_buf_slice(&world->seen),
                 "POST / Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn="
                 "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&RoleSessionName=a%40b&WebIdentityToken="
                 "eyJ.token%2B%2F%3D\n");
    pass(61 * MINUTE_MS);
    world->refuse = (struct sim_reply){
        GW_HTTP_ANSWERED, 403, 1, NULL,
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>t0ken</Message></Error>"
        "</ErrorResponse>"};
    expect_failure(GW_ERR_KEY, "status 403, AccessDenied");
    unlink(file);
    expect_failure(GW_ERR_UNAVAILABLE, "cannot be read");
    gw_free(file);
}

/* ── When ──────────────────────────────────────────────────────────────────────────────────── */

static void one_question_for_all_who_wait(void **state)
{
    struct waiter waiters[20] = {0}, late = {.wait.done = on_waited};

    (void)state;
    sim_receiver(world->sim, INSTANCE, instance, NULL);
    assert_int_equal(make(), GW_OK);
    for (size_t i = 0; i < gw_count(waiters); i++) {
        assert_null(gw_aws_credentials_keys(world->credentials));
        waiters[i].wait.done = on_waited;
        gw_aws_credentials_wait(world->credentials, &waiters[i].wait);
    }
    gw_aws_credentials_cancel(&waiters[7].wait);
    while (world->seen.len == 0) /* the question is on its way now */
        assert_true(sim_step(world->sim));
    assert_null(gw_aws_credentials_keys(world->credentials));
    gw_aws_credentials_wait(world->credentials, &late.wait);
    pass(60 * 1000);
    assert_true(late.is_done);
    for (size_t i = 0; i < gw_count(waiters); i++)
        assert_int_equal(waiters[i].is_done, i != 7);
    assert_int_equal(world->asked, 1);
}

static void refreshed_ahead(void **state)
{
    (void)state;
    sim_receiver(world->sim, INSTANCE, instance, NULL);
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA1", "s3cret1", "t0ken1");
    pass(world->life_ms - 16 * MINUTE_MS);
    expect_keys("ASIA1", "s3cret1", "t0ken1");
    pass(MINUTE_MS);
    assert_int_equal(world->asked, 1);
    pass(MINUTE_MS); /* less than a quarter of an hour is left */
    expect_keys("ASIA1", "s3cret1", "t0ken1");
    pass(1000);
    assert_int_equal(world->asked, 2);
    expect_keys("ASIA2", "s3cret2", "t0ken2");
    /* Of keys that live shortly, a quarter of their life. */
    world->life_ms = 20 * MINUTE_MS;
    gw_aws_credentials_expired(world->credentials);
    expect_keys("ASIA3", "s3cret3", "t0ken3");
    pass(14 * MINUTE_MS);
    expect_keys("ASIA3", "s3cret3", "t0ken3");
    pass(2 * MINUTE_MS);
    expect_keys("ASIA3", "s3cret3", "t0ken3");
    pass(1000);
    expect_keys("ASIA4", "s3cret4", "t0ken4");
    assert_int_equal(world->asked, 4);
}

static void a_refresh_that_fails(void **state)
{
    (void)state;
    sim_receiver(world->sim, INSTANCE, instance, NULL);
    assert_int_equal(make(), GW_OK);
    expect_keys("ASIA1", "s3cret1", "t0ken1");
    world->refuse = (struct sim_reply){GW_HTTP_ANSWERED, 500, 1, NULL, "s3cret"};
    pass(world->life_ms - 10 * MINUTE_MS);
    for (int i = 0; i < 9 * 60; i++) { /* somebody asks each second: the old ones are good */
        expect_keys("ASIA1", "s3cret1", "t0ken1");
        pass(1000);
    }
    assert_true(world->asked >= 10 && world->asked <= 16); /* gaps of 1, 2, 4 … 60 s */
    pass(MINUTE_MS);
    expect_failure(GW_ERR_UNAVAILABLE, "credentials (instance): was answered with status 500");
    world->refuse.status = 0;
    world->asked = 100;
    int64_t before_us = sim_now_us(world->sim);
    expect_keys("ASIA101", "s3cret101", "t0ken101");
    assert_in_range(sim_now_us(world->sim) - before_us, 0, 6000000); /* not after another minute */
}

static void answers_that_are_no_keys(void **state)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{\"AccessKeyId\":\"ASIA\"}",
        "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":7}",
        "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s3cret\"}",
        "{\"AccessKeyId\":\"AS IA\",\"SecretAccessKey\":\"s3cret\"}",
        "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"t0ken\\r\\nx: y\"}",
        "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s3cret\",\"Expiration\":\"soon\"}",
        "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s3cret\"",
    };

    (void)state;
    sim_receiver(world->sim, CONTAINER, container, NULL);
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", 1);
    assert_int_equal(make(), GW_OK);
    for (size_t i = 0; i < gw_count(bodies); i++) {
        world->body = bodies[i];
        expect_failure(GW_ERR_KEY, "the answer has no keys, or malformed ones");
    }
    world->body = "{\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s3cret\"}"; /* for ever */
    expect_keys("ASIA", "s3cret", "");
    gw_aws_credentials_expired(world->credentials); /* AWS knows better */
    world->body = NULL;
    world->asked = 6;
    expect_keys("ASIA7", "s3cret7", "t0ken7");
}

static void nobody_there(void **state)
{
    (void)state;
    assert_int_equal(make(), GW_OK);
    expect_failure(GW_ERR_UNAVAILABLE, "credentials (instance): could not connect");
    sim_receiver(world->sim, INSTANCE, instance, NULL);
    world->refuse = (struct sim_reply){.end = GW_HTTP_ANSWERED, .status = 1, .delay_ms = -1};
    expect_failure(GW_ERR_UNAVAILABLE, "timed out");
}

/* Destroyed while a timer, or an exchange, is under way: nothing comes back. */
static void destroyed_meanwhile(void **state)
{
    (void)state;
    sim_receiver(world->sim, INSTANCE, instance, NULL);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(make(), GW_OK);
        assert_null(gw_aws_credentials_keys(world->credentials));
        for (int k = 0; k < i; k++)
            sim_step(world->sim);
        gw_aws_credentials_destroy(world->credentials);
        world->credentials = NULL;
    }
    pass(60 * 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_that_is_set_up),
        TEST(static_keys),
        TEST(a_profile_that_points_elsewhere),
        TEST(an_instance),
        TEST(a_container),
        TEST(a_web_identity),
        TEST(one_question_for_all_who_wait),
        TEST(refreshed_ahead),
        TEST(a_refresh_that_fails),
        TEST(answers_that_are_no_keys),
        TEST(nobody_there),
        TEST(destroyed_meanwhile),
    };

    sim_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
