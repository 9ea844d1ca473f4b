/* test_admin_key.c: the key file is made once, whole, and for its owner alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/admin_key.h"
#include "app/settings.h"
#include "base/alloc.h"
#include "sim_env.h"

static char dir[] = "/tmp/gwh-test-XXXXXX";
static char path[64], temp[80];
static struct sim *sim;
static struct gw_env *env;
static char key[GW_ADMIN_KEY_MAX + 1];
static bool made;
static struct gw_error error;

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/admin.key", dir);
    snprintf(temp, sizeof(temp), "%s.new", path);
    sim = sim_create(&(struct sim_options){.seed = 1});
    env = sim_env_create(sim);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sim_destroy(sim);
    unlink(path);
    unlink(temp);
    return rmdir(dir);
}

static void put(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static enum gw_err load(void)
{
    error.text[0] = '\0';
    return gw_admin_key_load(path, env, key, &made, &error);
}

static void made_once(void **state)
{
    char first[GW_ADMIN_KEY_MAX + 1];
    struct stat st;
    (void)state;
    FILE *left = fopen(temp, "w"); /* a start that was cut off */
    assert_non_null(left);
    assert_int_equal(fclose(left), 0);
    assert_int_equal(load(), GW_OK);
    assert_true(made);
    assert_int_equal(strncmp(key, "admin:", 6), 0);
    assert_int_equal(strlen(key), 6 + 43);
    assert_true(gw_admin_key_check(key));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(access(temp, F_OK), -1);
    memcpy(first, key, sizeof(first));
    assert_int_equal(load(), GW_OK);
    assert_false(made);
    assert_string_equal(key, first);
}

static void one_that_is_there(void **state)
{
    static const char *const right[] = {"me:k", "me:k\n", "me:k\r\n"};
    static const char *const wrong[] = {"", "\n", "me", ":k", "me:", "me:k k", "me:k\nmore"};
    (void)state;
    for (size_t i = 0; i < gw_count(right); i++) {
        put(right[i]);
        assert_int_equal(load(), GW_OK);
        assert_false(made);
        assert_string_equal(key, "me:k");
    }
    for (size_t i = 0; i < gw_count(wrong); i++) {
        put(wrong[i]);
        assert_int_equal(load(), GW_ERR_KEY);
        assert_non_null(strstr(error.text, path));
    }
}

static void nowhere(void **state)
{
    (void)state;
    assert_int_equal(gw_admin_key_load("/nonexistent/admin.key", env, key, &made, &error),
                     GW_ERR_IO);
    assert_non_null(strstr(error.text, "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_once),
        cmocka_unit_test(one_that_is_there),
        cmocka_unit_test(nowhere),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
