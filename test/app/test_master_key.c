/* test_master_key.c: the key is made once, whole, for its owner alone, and never beside a store that
 * was made with another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/master_key.h"
#include "base/alloc.h"
#include "sim_env.h"

#define TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static char dir[] = "/tmp/gwh-test-XXXXXX";
static char data[64], path[96], other[64], store[96];
static struct sim *sim;
static struct gw_env *env;
static struct gw_master_key_place place;
static uint8_t key[GW_MASTER_KEY_BYTES];
static bool made;
static struct gw_error error;

static int group_set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(data, sizeof(data), "%s/data", dir);
    snprintf(path, sizeof(path), "%s/master.key", data);
    snprintf(store, sizeof(store), "%s/main.db", data);
    snprintf(other, sizeof(other), "%s/other", dir);
    sim = sim_create(&(struct sim_options){.seed = 1});
    env = sim_env_create(sim);
    return 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    sim_destroy(sim);
    return rmdir(dir);
}

static int set_up(void **state)
{
    (void)state;
    place = (struct gw_master_key_place){.data = data};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    unlink(store);
    unlink(other);
    rmdir(data);
    return access(data, F_OK) == 0;
}

static void put(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static enum gw_err load(void)
{
    memset(key, 0, sizeof(key));
    error.text[0] = '\0';
    return gw_master_key_load(&place, env, key, &made, &error);
}

static void expect_counting(void)
{
    for (size_t i = 0; i < sizeof(key); i++)
        assert_int_equal(key[i], i);
}

static void made_once(void **state)
{
    uint8_t first[sizeof(key)];
    char text[64] = "";
    struct stat st;
    (void)state;
    assert_int_equal(load(), GW_OK);
    assert_true(made);
    memcpy(first, key, sizeof(key));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(stat(data, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_int_equal(strlen(text), 45);
    assert_int_equal(text[44], '\n');

    assert_int_equal(load(), GW_OK);
    assert_false(made);
    assert_memory_equal(key, first, sizeof(key));
}

static void never_beside_a_store(void **state)
{
    static const char *const names[] = {"main.db", "00000001.seg"};
    char file[96];
    (void)state;
    assert_int_equal(mkdir(data, 0700), 0);
    for (size_t i = 0; i < gw_count(names); i++) {
        snprintf(file, sizeof(file), "%s/%s", data, names[i]);
        put(file, "x");
        assert_int_equal(load(), GW_ERR_KEY);
        assert_non_null(strstr(error.text, "master.key"));
        assert_int_equal(access(path, F_OK), -1);
        unlink(file);
    }
    put(store, ""); /* a first start that was cut short */
    assert_int_equal(load(), GW_OK);
    assert_true(made);
}

static void from_elsewhere(void **state)
{
    (void)state;
    place.file = other;
    assert_int_equal(load(), GW_ERR_KEY); /* never made there */
    assert_non_null(strstr(error.text, other));
    assert_int_equal(access(other, F_OK), -1);
    put(other, TEXT "\n");
    assert_int_equal(load(), GW_OK);
    expect_counting();
    place.file = "/nowhere";
    place.text = TEXT;
    assert_int_equal(load(), GW_OK);
    expect_counting();
    assert_false(made);
    assert_int_equal(access(data, F_OK), -1);
}

static void no_key(void **state)
{
    static const char *const wrong[] = {
        "",       "\n",           "s3cret",
        TEXT "x", TEXT TEXT TEXT, "s3cretAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="};
    (void)state;
    place.file = other;
    for (size_t i = 0; i < gw_count(wrong); i++) {
        put(other, wrong[i]);
        assert_int_equal(load(), GW_ERR_KEY);
        assert_non_null(strstr(error.text, other));
        assert_null(strstr(error.text, "s3cret"));
    }
    place.text = "s3cret";
    assert_int_equal(load(), GW_ERR_KEY);
    assert_null(strstr(error.text, "s3cret"));
}

static void not_to_be_written(void **state)
{
    (void)state;
    place.data = "/proc/nowhere";
    assert_int_equal(load(), GW_ERR_IO);
    assert_non_null(strstr(error.text, "/proc/nowhere"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

static void nowhere_to_make_it(void **state)
{
    (void)state;
    place.data = NULL;
    assert_int_equal(load(), GW_ERR_KEY);
    assert_non_null(strstr(error.text, "GWH_MASTER_KEY"));
    assert_non_null(strstr(error.text, "--master-key-file"));
    assert_false(made);
    put(other, TEXT);
    place.file = other;
    assert_int_equal(load(), GW_OK);
    expect_counting();
    place.file = NULL;
    place.text = TEXT;
    assert_int_equal(load(), GW_OK);
    expect_counting();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(made_once), TEST(never_beside_a_store), TEST(from_elsewhere),
        TEST(no_key),    TEST(not_to_be_written),    TEST(nowhere_to_make_it),
    };

    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
