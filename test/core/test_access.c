/* test_access.c: names of roles, actions, and which lines of the audit log may be kept. */
#include "core/access.h"

#include "support.h"

static void roles_have_names(void **state)
{
    (void)state;
    static const struct {
        unsigned role;
        const char *name;
    } known[] = {
        {GW_ROLE_ADMIN, "admin"},
        {GW_ROLE_PRODUCER, "producer"},
        {GW_ROLE_CLIENT, "client"},
        {GW_ROLE_VIEWER, "viewer"},
    };
    static const char *const unknown[] = {"", "Admin", "admin ", "admi", "admin,client", "all"};
    struct gw_buf out = {0};
    unsigned all = 0;

    for (size_t i = 0; i < gw_count(known); i++) {
        assert_int_equal(gw_role_parse(gw_slice_from(known[i].name)), known[i].role);
        gw_buf_clear(&out);
        gw_role_names(known[i].role, ", ", &out);
        assert_slice(gw_buf_slice(&out), gw_slice_from(known[i].name));
        all |= known[i].role;
    }
    assert_int_equal(all, GW_ROLE_ALL);
    for (size_t i = 0; i < gw_count(unknown); i++)
        assert_int_equal(gw_role_parse(gw_slice_from(unknown[i])), 0);
    gw_buf_deinit(&out);
}

static void several_roles(void **state)
{
    (void)state;
    struct gw_buf out = {0};

    gw_role_names(0, ",", &out);
    assert_int_equal(out.len, 0);
    gw_role_names(GW_ROLE_VIEWER | GW_ROLE_ADMIN, " or ", &out);
    assert_slice(gw_buf_slice(&out), GW_SLICE("admin or viewer"));
    gw_buf_addc(&out, ':'); /* it appends */
    gw_role_names(GW_ROLE_ALL, ",", &out);
    assert_slice(gw_buf_slice(&out), GW_SLICE("admin or viewer:admin,producer,client,viewer"));
    gw_buf_deinit(&out);
}

static void actions_are_known(void **state)
{
    (void)state;
    static const char *const configs[] = {"config_created", "config_updated", "config_rotated",
                                          "config_deleted"};
    size_t of_configs = 0;

    for (size_t i = 0; i < gw_audit_action_count; i++) {
        const char *name = gw_audit_actions[i];
        assert_ptr_equal(gw_audit_action(gw_slice_from(name)), name);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(gw_audit_actions[j], name);
        of_configs += gw_audit_is_config(&(struct gw_audit){.action = name});
    }
    assert_int_equal(of_configs, gw_count(configs));
    for (size_t i = 0; i < gw_count(configs); i++)
        assert_true(gw_audit_is_config(
            &(struct gw_audit){.action = gw_audit_action(gw_slice_from(configs[i]))}));
    assert_null(gw_audit_action(GW_SLICE("")));
    assert_null(gw_audit_action(GW_SLICE("config_")));
    assert_null(gw_audit_action(GW_SLICE("config_create")));
    assert_null(gw_audit_action((struct gw_slice){0}));
}

static void lines_have_limits(void **state)
{
    (void)state;
    static char text[GW_AUDIT_DETAIL_MAX + 1];
    struct gw_slice most = {text, GW_AUDIT_TEXT_MAX}, more = {text, GW_AUDIT_TEXT_MAX + 1};
    const struct gw_audit full = {
        .at_ms = GW_AUDIT_AT_END - 1,
        .actor = most,
        .address = most,
        .action = "erased",
        .app_id = most,
        .subject = most,
        .detail = {text, GW_AUDIT_DETAIL_MAX},
    };
    struct gw_audit bad[] = {full, full, full, full, full};

    assert_int_equal(gw_audit_check(&(struct gw_audit){.action = "erased"}), GW_OK);
    assert_int_equal(gw_audit_check(&full), GW_OK);
    bad[0].actor = bad[1].address = bad[2].app_id = bad[3].subject = more;
    bad[4].detail.len++;
    for (size_t i = 0; i < gw_count(bad); i++)
        assert_int_equal(gw_audit_check(&bad[i]), GW_ERR_TOO_LARGE);
    assert_int_equal(gw_audit_check(&(struct gw_audit){.at_ms = -1, .action = "erased"}),
                     GW_ERR_INVALID);
    assert_int_equal(
        gw_audit_check(&(struct gw_audit){.at_ms = GW_AUDIT_AT_END, .action = "erased"}),
        GW_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_have_names),
        cmocka_unit_test(several_roles),
        cmocka_unit_test(actions_are_known),
        cmocka_unit_test(lines_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
