/* Addresses and networks: strict text, no second spelling that means another address. */
#include "test.h"

#include "base/addr.h"
#include "base/alloc.h"

static void reads_and_writes(void **state)
{
    static const struct {
        const char *in;
        int family;
        const char *out;
    } rows[] = {
        {"0.0.0.0", 4, "0.0.0.0"},
        {"127.0.0.1", 4, "127.0.0.1"},
        {"255.255.255.255", 4, "255.255.255.255"},
        {"::", 6, "::"},
        {"::1", 6, "::1"},
        {"1::", 6, "1::"},
        {"2001:DB8::00A1", 6, "2001:db8::a1"},
        {"2001:db8:0:0:1:0:0:1", 6, "2001:db8::1:0:0:1"},
        {"1:2:3:4:5:6:7:8", 6, "1:2:3:4:5:6:7:8"},
        {"::ffff:10.0.0.1", 6, "::ffff:10.0.0.1"},
        {"::FFFF:a00:1", 6, "::ffff:10.0.0.1"},
        {"64:ff9b::192.0.2.33", 6, "64:ff9b::c000:221"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 6,
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_addr addr, back;
        char text[GW_ADDR_TEXT_MAX];
        expect(gw_addr_parse(gw_slice_from(rows[i].in), &addr), "%s", rows[i].in);
        assert_int_equal(addr.family, rows[i].family);
        expect_slice(gw_addr_text(&addr, text), rows[i].out);
        assert_true(gw_addr_parse(gw_slice_from(text), &back));
        assert_true(gw_addr_eq(&addr, &back));
    }
}

static void refuses(void **state)
{
    static const struct gw_slice rows[] = {
        {0},
        GW_SLICE(""),
        GW_SLICE("0177.0.0.1"),
        GW_SLICE("127.1"),
        GW_SLICE("127.0.1"),
        GW_SLICE("2130706433"),
        GW_SLICE("0x7f.0.0.1"),
        GW_SLICE("0x7f000001"),
        GW_SLICE("127.0.0.01"),
        GW_SLICE("127.0.0.00"),
        GW_SLICE("127.0.0.256"),
        GW_SLICE("127.0.0.1."),
        GW_SLICE(".127.0.0.1"),
        GW_SLICE("127..0.1"),
        GW_SLICE("127.0.0.0.1"),
        GW_SLICE("127.0.0.-1"),
        GW_SLICE("127.0.0.+1"),
        GW_SLICE(" 127.0.0.1"),
        GW_SLICE("127.0.0.1 "),
        GW_SLICE("127.0.0.1\0"),
        GW_SLICE("127.0.0.1\0.example"),
        GW_SLICE("127.0.0.1:80"),
        GW_SLICE("localhost"),
        GW_SLICE("[::1]"),
        GW_SLICE("::1%lo"),
        GW_SLICE("fe80::1%1"),
        GW_SLICE(":"),
        GW_SLICE(":::"),
        GW_SLICE("::1::"),
        GW_SLICE(":1"),
        GW_SLICE("1:"),
        GW_SLICE("1:2:3:4:5:6:7"),
        GW_SLICE("1:2:3:4:5:6:7:8:9"),
        GW_SLICE("1:2:3:4:5:6:7:8::"),
        GW_SLICE("::12345"),
        GW_SLICE("::g"),
        GW_SLICE("::ffff:127.1"),
        GW_SLICE("::ffff:0177.0.0.1"),
        GW_SLICE("::127.0.0.1:1"),
        GW_SLICE("1:2:3:4:5:6:7:127.0.0.1"),
        GW_SLICE("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"),
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect(!gw_addr_parse(rows[i], &(struct gw_addr){0}), "%.*s", GW_SLICE_ARG(rows[i]));
}

static struct gw_addr addr_of(const char *text)
{
    struct gw_addr addr;

    expect(gw_addr_parse(gw_slice_from(text), &addr), "%s", text);
    return addr;
}

static void compares_and_unmaps(void **state)
{
    struct gw_addr plain = addr_of("10.0.0.1"), mapped = addr_of("::ffff:10.0.0.1");
    struct gw_addr none = {0}, stray = plain;
    char text[GW_ADDR_TEXT_MAX];

    (void)state;
    stray.bytes[9] = 1; /* behind the four that count */
    assert_true(gw_addr_eq(&plain, &stray));
    assert_false(gw_addr_eq(&plain, &mapped));
    assert_false(gw_addr_eq(&plain, &none));
    assert_true(gw_addr_eq(&none, &none));
    expect_slice(gw_addr_text(&none, text), "");

    static const char *const others[] = {"::10.0.0.1", "::fffe:10.0.0.1", "1::ffff:10.0.0.1",
                                         "64:ff9b::10.0.0.1", "10.0.0.1"};
    struct gw_addr unmapped = gw_addr_unmap(&mapped);
    assert_true(gw_addr_eq(&unmapped, &plain));
    for (size_t i = 0; i < gw_count(others); i++) {
        struct gw_addr other = addr_of(others[i]), same = gw_addr_unmap(&other);
        expect(gw_addr_eq(&other, &same), "%s", others[i]);
    }
    unmapped = gw_addr_unmap(&none);
    assert_int_equal(unmapped.family, 0);
}

static void knows_networks(void **state)
{
    static const struct {
        const char *net, *addr;
        bool is_in;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"172.16.0.0/12", "172.31.255.255", true},
        {"172.16.0.0/12", "172.32.0.0", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.255", true},
        {"192.0.2.6/31", "192.0.2.7", true},
        {"192.0.2.6/31", "192.0.2.8", false},
        {"192.0.2.7/32", "192.0.2.7", true},
        {"192.0.2.7/32", "192.0.2.6", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.8", false},
        {"0.0.0.0/0", "255.0.0.1", true},
        {"0.0.0.0/0", "::1", false}, /* another family */
        {"::/0", "10.0.0.1", false},
        {"::/0", "ffff::", true},
        {"fc00::/7", "fdff::1", true},
        {"fc00::/7", "fe00::1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
        {"::ffff:0:0/96", "::ffff:10.0.0.1", true},
        {"::ffff:0:0/96", "10.0.0.1", false}, /* a network alone unmaps nothing */
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_net net;
        struct gw_addr addr = addr_of(rows[i].addr);
        expect(gw_net_parse(gw_slice_from(rows[i].net), &net), "%s", rows[i].net);
        expect(gw_net_contains(&net, &addr) == rows[i].is_in, "%s %s", rows[i].net, rows[i].addr);
    }
    assert_false(gw_net_contains(&(struct gw_net){0}, &(struct gw_addr){0}));
}

static void refuses_networks(void **state)
{
    static const struct gw_slice rows[] = {
        {0},
        GW_SLICE(""),
        GW_SLICE("/"),
        GW_SLICE("/8"),
        GW_SLICE("10.0.0.0/"),
        GW_SLICE("10.0.0.0/33"),
        GW_SLICE("10.0.0.0/08"),
        GW_SLICE("10.0.0.0/00"),
        GW_SLICE("10.0.0.0/-1"),
        GW_SLICE("10.0.0.0/8 "),
        GW_SLICE("10.0.0.0 /8"),
        GW_SLICE("10.0.0.0/8/8"),
        GW_SLICE("10.0.0.0/255.0.0.0"),
        GW_SLICE("10.0.0.0/264"), /* 8, were it a byte */
        GW_SLICE("10/8"),
        GW_SLICE("10.0.0.1/8"),
        GW_SLICE("10.128.0.0/8"),
        GW_SLICE("192.0.2.1/31"),
        GW_SLICE("1.0.0.0/0"),
        GW_SLICE("fe00::/7/"),
        GW_SLICE("fd00::/7"),
        GW_SLICE("::1/127"),
        GW_SLICE("::/129"),
        GW_SLICE("*"),
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect(!gw_net_parse(rows[i], &(struct gw_net){0}), "%.*s", GW_SLICE_ARG(rows[i]));
}

static void knows_lists(void **state)
{
    static const struct {
        const char *list, *addr;
        bool is_in;
    } rows[] = {
        {"*", "192.0.2.1", true},
        {" * ", "::1", true},
        {"", "127.0.0.1", false},
        {" \t ", "127.0.0.1", false},
        {"127.0.0.1,::1", "127.0.0.1", true},
        {"127.0.0.1,::1", "::1", true},
        {"127.0.0.1,::1", "127.0.0.2", false},
        {" 10.0.0.0/8 ,\t192.0.2.0/24 ", "192.0.2.77", true},
        {" 10.0.0.0/8 ,\t192.0.2.0/24 ", "::ffff:10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "11.1.2.3", false},
        {"::ffff:192.0.2.1", "192.0.2.1", true},
        {"::/0", "::ffff:10.1.2.3", false},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_net_list list;
        struct gw_slice bad;
        struct gw_addr addr = addr_of(rows[i].addr);
        expect(gw_net_list_parse(gw_slice_from(rows[i].list), &list, &bad), "%s", rows[i].list);
        expect(gw_net_list_contains(&list, &addr) == rows[i].is_in, "%s in %s", rows[i].addr,
               rows[i].list);
        gw_net_list_deinit(&list);
        gw_net_list_deinit(&list);
    }
}

static void says_which_part_of_a_list_is_bad(void **state)
{
    static const struct {
        const char *list, *bad;
    } rows[] = {
        {"10.0.0.0/8, 10.0.0.1/8 ,::1", "10.0.0.1/8"},
        {"127.1", "127.1"},
        {"127.0.0.1,", ""},
        {",127.0.0.1", ""},
        {"127.0.0.1,,::1", ""},
        {"127.0.0.1 ::1", "127.0.0.1 ::1"},
        {"10.0.0.0/8,*", "*"},
        {"*,*", "*"},
        {"example.org", "example.org"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_net_list list;
        struct gw_slice bad = {0};
        expect(!gw_net_list_parse(gw_slice_from(rows[i].list), &list, &bad), "%s", rows[i].list);
        expect_slice(bad, rows[i].bad);
        assert_true(list.nets == NULL && list.count == 0 && !list.any);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(compares_and_unmaps),
        cmocka_unit_test(knows_networks),
        cmocka_unit_test(refuses_networks),
        cmocka_unit_test(knows_lists),
        cmocka_unit_test(says_which_part_of_a_list_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
