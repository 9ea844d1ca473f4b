/* Times as text: known moments, every day of 800 years, and what is no time. */
#include "test.h"

#include "base/alloc.h"
#include "base/timefmt.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)

static void writes(void **state)
{
    static const struct {
        int64_t ms;
        const char *text, *http;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
        {1, "1970-01-01T00:00:00.001Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 GMT"},
        {-DAY_MS, "1969-12-31T00:00:00.000Z", "Wed, 31 Dec 1969 00:00:00 GMT"},
        {-DAY_MS - 1, "1969-12-30T23:59:59.999Z", "Tue, 30 Dec 1969 23:59:59 GMT"},
        {784111777000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951782400000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868799999, "2000-02-29T23:59:59.999Z", "Tue, 29 Feb 2000 23:59:59 GMT"},
        {4107542400000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT"},
        {4107542399999, "2100-02-28T23:59:59.999Z", "Sun, 28 Feb 2100 23:59:59 GMT"},
        {1795506360000, "2026-11-24T07:46:00.000Z", "Tue, 24 Nov 2026 07:46:00 GMT"},
        {-62167219200000, "0000-01-01T00:00:00.000Z", "Sat, 01 Jan 0000 00:00:00 GMT"},
        {253402300799999, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    char text[GW_TIME_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        int64_t back;
        expect_slice(gw_time_text(rows[i].ms, text), rows[i].text);
        assert_string_equal(text, rows[i].text);
        expect(gw_time_parse(gw_slice_from(rows[i].text), &back), "%s", rows[i].text);
        assert_true(back == rows[i].ms);
        expect_slice(gw_time_http(rows[i].ms, text), rows[i].http);
        assert_string_equal(text, rows[i].http);
        expect(gw_time_parse_http(gw_slice_from(rows[i].http), &back), "%s", rows[i].http);
        assert_true(back == rows[i].ms - ((rows[i].ms % 1000) + 1000) % 1000);
    }
}

static void writes_the_nearest_it_can(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
        {-62167219200001, "0000-01-01T00:00:00.000Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {GW_NEVER, "9999-12-31T23:59:59.999Z"},
    };
    char text[GW_TIME_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect_slice(gw_time_text(rows[i].ms, text), rows[i].text);
    expect_slice(gw_time_http(GW_NEVER, text), "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* Counts the days of 1600 to 2399, two whole periods of the calendar, one by one. */
static void counts_days(void **state)
{
    static const char weekdays[] = "SunMonTueWedThuFriSat";
    int64_t ms = INT64_C(-11676096000000); /* 1600-01-01, a Saturday */
    size_t weekday = 6;
    char text[GW_TIME_TEXT_MAX], wanted[64];

    (void)state;
    for (int year = 1600; year < 2400; year++) {
        int leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        const int days[] = {31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        for (int month = 0; month < 12; month++) {
            for (int day = 1; day <= days[month];
                 day++, ms += DAY_MS, weekday = (weekday + 1) % 7) {
                int64_t back;
                gw_time_text(ms, text);
                snprintf(wanted, sizeof(wanted), "%04d-%02d-%02d", year, month + 1, day);
                expect(memcmp(text, wanted, 10) == 0, "%s is not %s", text, wanted);
                assert_true(gw_time_parse(gw_slice_from(text), &back) && back == ms);
                gw_time_http(ms, text);
                assert_memory_equal(text, weekdays + 3 * weekday, 3);
            }
            snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT00:00:00Z", year, month + 1,
                     days[month] + 1);
            expect(!gw_time_parse(gw_slice_from(wanted), &(int64_t){0}), "%s", wanted);
        }
    }
}

static void reads(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"2026-11-24T07:46:00Z", "2026-11-24T07:46:00.000Z"},
        {"2026-11-24t07:46:00z", "2026-11-24T07:46:00.000Z"},
        {"2026-11-24T07:46:00.5Z", "2026-11-24T07:46:00.500Z"},
        {"2026-11-24T07:46:00.05Z", "2026-11-24T07:46:00.050Z"},
        {"2026-11-24T07:46:00.123999999999999999Z", "2026-11-24T07:46:00.123Z"},
        {"2026-11-24T07:46:00+00:00", "2026-11-24T07:46:00.000Z"},
        {"2026-11-24T07:46:00-00:00", "2026-11-24T07:46:00.000Z"},
        {"2026-11-24T07:46:00+05:30", "2026-11-24T02:16:00.000Z"},
        {"2026-11-24T07:46:00-08:00", "2026-11-24T15:46:00.000Z"},
        {"2026-11-24T07:46:00.250+23:59", "2026-11-23T07:47:00.250Z"},
        {"2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000Z"},
        {"2024-03-01T00:30:00+01:00", "2024-02-29T23:30:00.000Z"},
        {"1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"}, /* cut, also before 1970 */
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
        {"2016-12-31T23:59:60.75Z", "2017-01-01T00:00:00.000Z"},
        {"2016-12-31T15:59:60-08:00", "2017-01-01T00:00:00.000Z"},
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        char text[GW_TIME_TEXT_MAX];
        int64_t ms;
        expect(gw_time_parse(gw_slice_from(rows[i].in), &ms), "%s", rows[i].in);
        expect_slice(gw_time_text(ms, text), rows[i].out);
    }
}

static void refuses(void **state)
{
    static const struct gw_slice rows[] = {
        {0},
        GW_SLICE(""),
        GW_SLICE("2026-11-24"),
        GW_SLICE("2026-11-24T07:46Z"),
        GW_SLICE("2026-11-24T07:46:00"), /* no offset */
        GW_SLICE("2026-11-24 07:46:00Z"),
        GW_SLICE("2026-11-24T07:46:00 Z"),
        GW_SLICE(" 2026-11-24T07:46:00Z"),
        GW_SLICE("2026-11-24T07:46:00Z "),
        GW_SLICE("2026-11-24T07:46:00Z\0"),
        GW_SLICE("2026-11-24T07:46:00\0"),
        GW_SLICE("2026-11-24T07:46:00.Z"),
        GW_SLICE("2026-11-24T07:46:00,5Z"),
        GW_SLICE("2026-11-24T7:46:00Z"),
        GW_SLICE("26-11-24T07:46:00Z"),
        GW_SLICE("02026-11-24T07:46:00Z"),
        GW_SLICE("-026-11-24T07:46:00Z"),
        GW_SLICE("2026/11/24T07:46:00Z"),
        GW_SLICE("20261124T074600Z"),
        GW_SLICE("2026-00-24T07:46:00Z"),
        GW_SLICE("2026-13-24T07:46:00Z"),
        GW_SLICE("2026-11-00T07:46:00Z"),
        GW_SLICE("2026-11-31T07:46:00Z"),
        GW_SLICE("2026-02-29T07:46:00Z"),
        GW_SLICE("1900-02-29T07:46:00Z"),
        GW_SLICE("2100-02-29T07:46:00Z"),
        GW_SLICE("2026-11-24T24:00:00Z"),
        GW_SLICE("2026-11-24T07:60:00Z"),
        GW_SLICE("2026-11-24T07:46:61Z"),
        GW_SLICE("2026-11-24T07:46:60Z"), /* a leap second amid the day */
        GW_SLICE("2016-12-31T23:59:60+01:00"),
        GW_SLICE("2026-11-24T07:46:00+0530"),
        GW_SLICE("2026-11-24T07:46:00+05"),
        GW_SLICE("2026-11-24T07:46:00+24:00"),
        GW_SLICE("2026-11-24T07:46:00+05:60"),
        GW_SLICE("2026-11-24T07:46:00+05:30Z"),
        GW_SLICE("0000-01-01T00:00:00+00:01"), /* before the first that can be written */
        GW_SLICE("9999-12-31T23:59:00-00:01"),
        GW_SLICE("9999-12-31T23:59:60Z"),
    };

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect(!gw_time_parse(rows[i], &(int64_t){0}), "%.*s", GW_SLICE_ARG(rows[i]));
}

static void refuses_http(void **state)
{
    static const char *const rows[] = {
        "",
        "120",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Xyz 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
    };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++)
        expect(!gw_time_parse_http(gw_slice_from(rows[i]), &ms), "%s", rows[i]);
    assert_false(gw_time_parse_http((struct gw_slice){0}, &ms));
    /* The date says when, whatever day it says that is. */
    assert_true(gw_time_parse_http(GW_SLICE("Mon, 06 Nov 1994 08:49:37 GMT"), &ms));
    assert_true(ms == 784111777000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes),  cmocka_unit_test(writes_the_nearest_it_can),
        cmocka_unit_test(reads),   cmocka_unit_test(counts_days),
        cmocka_unit_test(refuses), cmocka_unit_test(refuses_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
