/* test_config_event.c: the fields that speak of events: additionalMetadataKeys, payloadBlocklist and
 * filter. */
#include "config_support.h"

#define WITH(field)   "{" BASE "," field "}"
#define CHANGE(field) "{" KEY "," field "}"

static void refuses(void **state)
{
    static const struct {
        const char *json, *error;
    } rows[] = {
        {WITH("'additionalMetadataKeys':'workflowId'"),
         "additionalMetadataKeys: must be an array of strings, was a string"},
        {WITH("'additionalMetadataKeys':{}"),
         "additionalMetadataKeys: must be an array of strings, was an object"},
        {WITH("'additionalMetadataKeys':['a',5]"),
         "additionalMetadataKeys[1]: must be a string, was 5"},
        {WITH("'additionalMetadataKeys':[null]"),
         "additionalMetadataKeys[0]: must be a string, was null"},
        {WITH("'additionalMetadataKeys':['']"),
         "additionalMetadataKeys[0]: must be a string of 1 to 256 printable characters, was empty"},
        {WITH("'payloadBlocklist':'a'"),
         "payloadBlocklist: must be an array of paths, was a string"},
        {WITH("'payloadBlocklist':['a',{}]"),
         "payloadBlocklist[1]: must be a path in a string, was an object"},
        {WITH("'filter':[]"), "filter: must be an object, was an array"},
        {WITH("'filter':'status'"), "filter: must be an object, was a string"},
        {WITH("'filter':{'status':'approved'}"), NULL}, /* what a filter may say: test_pattern.c */
        {WITH("'filter':{'n':[{'numeric':['>',{}]}]}"), NULL},
        {WITH("'filter':{'status':null}"), NULL}, /* nothing is there that null could remove */
        {WITH("'filter':{'a':{'status':null}}"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        if (try_create(rows[i].json, &error))
            fail_msg("%s: was accepted", rows[i].json);
        assert_int_equal(error.code, GW_ERR_INVALID);
        if (rows[i].error)
            assert_string_equal(error.text, rows[i].error);
        else
            assert_true(strncmp(error.text, "filter.", 7) == 0);
    }
}

/* `count` items, or a filter so long, in a create. */
static struct gw_config *with_many(const char *start, const char *item, size_t count,
                                   const char *end, struct gw_error *error)
{
    struct gw_buf json = {0};

    gw_buf_addf(&json, "{" BASE ",%s", start);
    for (size_t i = 0; i < count; i++)
        gw_buf_addf(&json, "%s", item);
    gw_buf_addf(&json, "%s}", end);
    struct gw_config *config = try_create(gw_buf_text(&json), error);
    gw_buf_deinit(&json);
    return config;
}

static void limits(void **state)
{
    struct gw_error error = {0};
    struct gw_config *config;

    (void)state;
    config = with_many("'additionalMetadataKeys':['k'", ",'k'", 31, "]", &error);
    assert_int_equal(config->metadata_key_count, 32);
    gw_config_unref(config);
    assert_null(with_many("'additionalMetadataKeys':['k'", ",'k'", 32, "]", &error));
    assert_string_equal(error.text, "additionalMetadataKeys: must have at most 32 items, has 33");

    config = with_many("'payloadBlocklist':['a.b'", ",'a.b'", 63, "]", &error);
    assert_int_equal(config->blocklist_count, 64);
    gw_config_unref(config);
    assert_null(with_many("'payloadBlocklist':['a.b'", ",'a.b'", 64, "]", &error));
    assert_string_equal(error.text, "payloadBlocklist: must have at most 64 items, has 65");

    size_t frame = strlen("{'k':['']}");
    config = with_many("'filter':{ 'k' : ['", "v", GW_PATTERN_BYTES_MAX - frame, "'] }", &error);
    assert_int_equal(config->filter_json.len,
                     GW_PATTERN_BYTES_MAX); /* white space does not count */
    gw_config_unref(config);
    assert_null(
        with_many("'filter':{'k':['", "v", GW_PATTERN_BYTES_MAX - frame + 1, "']}", &error));
    assert_string_equal(error.text, "filter: must have at most 4096 bytes of JSON, has 4097");
}

/* As it was given, in each digit. */
static void filter_is_shown(void **state)
{
    static const char shown[] =
        "'filter':{'a':['x',null,true,1.50,123456789012345678901234567890],'b':{'c':[{'numeric':["
        "'>',1e-2,'<=',0.30000000000000000004]}]}},";
    struct gw_config *config =
        create(WITH("'filter' : { 'a':['x', null,true, 1.50,123456789012345678901234567890],'b':{"
                    "'c':[{'numeric':['>',1e-2,'<=',0.30000000000000000004]}]}}"));

    (void)state;
    assert_shows(config, shown);
    patch(&config, CHANGE("'product':'p'"));
    assert_shows(config, shown);
    struct gw_buf body = {0};
    quote(&body, "{'a':123456789012345678901234567890,'b':{'c':0.30000000000000000004}}");
    assert_true(gw_pattern_match(config->filter, gw_buf_slice(&body)));
    quote(&body, "{'a':123456789012345678901234567891,'b':{'c':0.1}}");
    assert_false(gw_pattern_match(config->filter, gw_buf_slice(&body)));
    quote(&body, "{'a':123456789012345678901234567890,'b':{'c':0.30000000000000000005}}");
    assert_false(gw_pattern_match(config->filter, gw_buf_slice(&body)));
    gw_buf_deinit(&body);
    gw_config_unref(config);
}

/* RFC 7396, into a filter that is there: rules are its members. */
static void merges(void **state)
{
    static const struct {
        const char *patch, *after; /* after NULL: refused */
    } rows[] = {
        {CHANGE("'filter':{'c':['z']}"), "{'a':['x'],'b':{'d':['y']},'c':['z']}"},
        {CHANGE("'filter':{'a':['z']}"), "{'a':['z'],'b':{'d':['y']}}"}, /* arrays take the place */
        {CHANGE("'filter':{'a':[null]}"), "{'a':[null],'b':{'d':['y']}}"}, /* the value null */
        {CHANGE("'filter':{'a':null}"), "{'b':{'d':['y']}}"},              /* one rule fewer */
        {CHANGE("'filter':{'b':{'d':null,'e':['z']}}"), "{'a':['x'],'b':{'e':['z']}}"},
        {CHANGE("'filter':{'nothing':null}"), "{'a':['x'],'b':{'d':['y']}}"}, /* repeatable */
        {CHANGE("'filter':null"), "null"},
        {CHANGE("'filter':{'a':'z'}"), NULL},
        {CHANGE("'filter':[]"), NULL},
    };
    struct gw_config *config = create(WITH("'filter':{'a':['x'],'b':{'d':['y']}}"));
    struct gw_buf wanted = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_error error = {0};
        bool made;
        struct gw_config *next = try_patch(config, rows[i].patch, NOW, &made, &error);
        assert_int_equal(next == NULL, rows[i].after == NULL);
        if (next == NULL)
            continue;
        gw_buf_clear(&wanted);
        gw_buf_addf(&wanted, "'filter':%s,'retry'", rows[i].after);
        assert_shows(next, gw_buf_text(&wanted));
        assert_int_equal(next->filter == NULL, strcmp(rows[i].after, "null") == 0);
        gw_config_unref(next);
    }
    gw_buf_deinit(&wanted);
    gw_config_unref(config);
}

/* Where no filter is, a PATCH is like a create. */
static void first_filter_of_a_patch(void **state)
{
    struct gw_config *config = create("{" BASE "}");
    struct gw_error error = {0};
    bool made;

    (void)state;
    assert_null(try_patch(config, CHANGE("'filter':{'status':null}"), NOW, &made, &error));
    assert_true(strncmp(error.text, "filter.status: ", 15) == 0);
    patch(&config, CHANGE("'filter':null"));
    patch(&config, CHANGE("'filter':{}"));
    assert_shows(config, "'filter':{},");
    assert_non_null(config->filter);
    gw_config_unref(config);
}

/* What a path may say, and what it takes: test_edit.c. */
static void blocklist(void **state)
{
    struct gw_config *config = create(WITH("'payloadBlocklist':['a.b','/c.d/e']"));
    struct gw_error error = {0};
    bool made;

    (void)state;
    assert_shows(config, "'payloadBlocklist':['a.b','/c.d/e'],");
    assert_int_equal(config->blocklist[0].step_count, 2);
    assert_text(config->blocklist[1].steps[0], "c.d");
    assert_null(try_patch(config, CHANGE("'payloadBlocklist':['a','b..c']"), NOW, &made, &error));
    assert_true(strncmp(error.text, "payloadBlocklist[1]: ", 21) == 0);
    patch(&config, CHANGE("'payloadBlocklist':['x']"));
    assert_shows(config, "'payloadBlocklist':['x'],");
    patch(&config, CHANGE("'payloadBlocklist':null"));
    assert_shows(config, "'payloadBlocklist':[],");
    assert_int_equal(config->blocklist_count, 0);
    gw_config_unref(config);
}

static void metadata_keys_merge(void **state)
{
    struct gw_config *config = create(WITH("'additionalMetadataKeys':['workflowId','x']"));

    (void)state;
    patch(&config, CHANGE("'additionalMetadataKeys':['y']"));
    assert_shows(config, "'additionalMetadataKeys':['y'],");
    patch(&config, CHANGE("'additionalMetadataKeys':null"));
    assert_shows(config, "'additionalMetadataKeys':[],");
    gw_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits),
        cmocka_unit_test(filter_is_shown),
        cmocka_unit_test(merges),
        cmocka_unit_test(first_filter_of_a_patch),
        cmocka_unit_test(blocklist),
        cmocka_unit_test(metadata_keys_merge),
    };

    return cmocka_run_group_tests_name("config_event", tests, NULL, NULL);
}
