/* timefmt.c: the proleptic Gregorian calendar, and two ways to write it. Pure: libc's own functions
 * look at the locale, the time zone and tables of leap seconds. */
#include "base/timefmt.h"

#define DAY_MS   INT64_C(86400000)
#define TIME_MIN INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define TIME_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct civil {
    int year, month, day; /* from 1 */
    int hour, minute, second, ms;
    int weekday; /* 0 = Sunday; out only */
};

static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static int month_days(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Both directions count in years that begin in March, so that the leap day is the last one, and in
 * eras of 400 years (146 097 days), the calendar's period. 719 468 days lie between 0000-03-01 and
 * 1970-01-01. https://howardhinnant.github.io/date_algorithms.html */
static int64_t days_from_civil(const struct civil *c)
{
    int64_t year = c->year - (c->month <= 2 ? 1 : 0);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t day_of_year = (153 * (c->month + (c->month > 2 ? -3 : 9)) + 2) / 5 + c->day - 1;
    int64_t day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, struct civil *c)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;

    c->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    c->month = (int)(month < 10 ? month + 3 : month - 9);
    c->year = (int)(of_era + era * 400 + (c->month <= 2 ? 1 : 0));
    c->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

static struct civil civil_from_ms(int64_t ms)
{
    struct civil c;

    ms = ms < TIME_MIN ? TIME_MIN : ms > TIME_MAX ? TIME_MAX : ms;
    int64_t days = (ms >= 0 ? ms : ms - (DAY_MS - 1)) / DAY_MS;
    int rest = (int)(ms - days * DAY_MS);
    civil_from_days(days, &c);
    c.ms = rest % 1000;
    c.second = rest / 1000 % 60;
    c.minute = rest / 60000 % 60;
    c.hour = rest / 3600000;
    return c;
}

/* Checks the ranges; the offset is what local time is ahead of UTC. */
static bool civil_to_ms(const struct civil *c, int offset_minutes, int64_t *ms)
{
    if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > month_days(c->year, c->month))
        return false;
    if (c->hour > 23 || c->minute > 59 || c->second > 60)
        return false;
    int64_t minute = days_from_civil(c) * 1440 + c->hour * 60 + c->minute - offset_minutes;
    if (c->second == 60 && (minute + 1) % 1440 != 0)
        return false; /* leap seconds end a day of UTC */
    int64_t at = (minute * 60 + c->second) * 1000 + (c->second == 60 ? 0 : c->ms);
    if (at < TIME_MIN || at > TIME_MAX)
        return false;
    *ms = at;
    return true;
}

/* --- writing --- */

static char *put_digits(char *at, int value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + width;
}

static char *put_text(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

static char *put_clock(char *at, const struct civil *c)
{
    at = put_digits(at, c->hour, 2);
    *at++ = ':';
    at = put_digits(at, c->minute, 2);
    *at++ = ':';
    return put_digits(at, c->second, 2);
}

static struct gw_slice finish(const char *text, char *end)
{
    *end = '\0';
    return (struct gw_slice){text, (size_t)(end - text)};
}

struct gw_slice gw_time_text(int64_t ms, char text[GW_TIME_TEXT_MAX])
{
    struct civil c = civil_from_ms(ms);
    char *at = put_digits(text, c.year, 4);

    *at++ = '-';
    at = put_digits(at, c.month, 2);
    *at++ = '-';
    at = put_digits(at, c.day, 2);
    *at++ = 'T';
    at = put_clock(at, &c);
    *at++ = '.';
    at = put_digits(at, c.ms, 3);
    *at++ = 'Z';
    return finish(text, at);
}

struct gw_slice gw_time_http(int64_t ms, char text[GW_TIME_TEXT_MAX])
{
    struct civil c = civil_from_ms(ms);
    char *at = put_text(text, weekdays[c.weekday]);

    at = put_text(at, ", ");
    at = put_digits(at, c.day, 2);
    *at++ = ' ';
    at = put_text(at, months[c.month - 1]);
    *at++ = ' ';
    at = put_digits(at, c.year, 4);
    *at++ = ' ';
    at = put_clock(at, &c);
    return finish(text, put_text(at, " GMT"));
}

/* --- reading: each step takes its part off the front, or is false --- */

static bool take_char(struct gw_slice *s, const char *any_of)
{
    if (s->len == 0 || s->ptr[0] == '\0' || strchr(any_of, s->ptr[0]) == NULL)
        return false;
    *s = gw_slice_skip(*s, 1);
    return true;
}

static bool take_digits(struct gw_slice *s, size_t width, int *value)
{
    uint64_t number;

    if (s->len < width || !gw_slice_u64((struct gw_slice){s->ptr, width}, &number))
        return false;
    *value = (int)number;
    *s = gw_slice_skip(*s, width);
    return true;
}

/* One of `count` names of three letters; *index says which. */
static bool take_name(struct gw_slice *s, const char names[][4], int count, int *index)
{
    for (int i = 0; i < count; i++) {
        if (gw_slice_starts(*s, gw_slice_from(names[i]))) {
            *s = gw_slice_skip(*s, 3);
            *index = i;
            return true;
        }
    }
    return false;
}

static bool take_clock(struct gw_slice *s, struct civil *c)
{
    return take_digits(s, 2, &c->hour) && take_char(s, ":") && take_digits(s, 2, &c->minute) &&
           take_char(s, ":") && take_digits(s, 2, &c->second);
}

static bool take_fraction(struct gw_slice *s, int *ms)
{
    int scale = 100, digit;

    *ms = 0;
    if (!take_char(s, "."))
        return true;
    if (!take_digits(s, 1, &digit))
        return false;
    do {
        *ms += digit * scale;
        scale /= 10;
    } while (take_digits(s, 1, &digit));
    return true;
}

static bool take_offset(struct gw_slice *s, int *minutes)
{
    int hour, minute;

    *minutes = 0;
    if (take_char(s, "Zz"))
        return true;
    bool is_behind = s->len > 0 && s->ptr[0] == '-';
    if (!take_char(s, "+-") || !take_digits(s, 2, &hour) || !take_char(s, ":") ||
        !take_digits(s, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *minutes = (hour * 60 + minute) * (is_behind ? -1 : 1);
    return true;
}

bool gw_time_parse(struct gw_slice text, int64_t *ms)
{
    struct civil c = {0};
    int offset_minutes;

    if (!take_digits(&text, 4, &c.year) || !take_char(&text, "-") ||
        !take_digits(&text, 2, &c.month) || !take_char(&text, "-") ||
        !take_digits(&text, 2, &c.day) || !take_char(&text, "Tt") || !take_clock(&text, &c) ||
        !take_fraction(&text, &c.ms) || !take_offset(&text, &offset_minutes) || text.len > 0)
        return false;
    return civil_to_ms(&c, offset_minutes, ms);
}

bool gw_time_parse_http(struct gw_slice text, int64_t *ms)
{
    struct civil c = {0};
    int month;

    /* A weekday that contradicts the date is let pass: the date alone says when. */
    if (!take_name(&text, weekdays, 7, &c.weekday) || !take_char(&text, ",") ||
        !take_char(&text, " ") || !take_digits(&text, 2, &c.day) || !take_char(&text, " ") ||
        !take_name(&text, months, 12, &month) || !take_char(&text, " ") ||
        !take_digits(&text, 4, &c.year) || !take_char(&text, " ") || !take_clock(&text, &c) ||
        !gw_slice_is(text, " GMT"))
        return false;
    c.month = month + 1;
    return civil_to_ms(&c, 0, ms);
}
