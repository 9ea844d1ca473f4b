/* decimal.c: exact comparison of numbers in their text. Pure; linear in the length of the texts. */
#include "core/decimal.h"

#define EXPONENT_MAX INT64_C(1000000000000000)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t exponent_of(const char *at, const char *end)
{
    bool is_negative = at < end && *at == '-';
    int64_t value = 0;

    for (at += at < end && !is_digit(*at); at < end && value < EXPONENT_MAX; at++)
        value = value * 10 + (*at - '0');
    if (value > EXPONENT_MAX)
        value = EXPONENT_MAX;
    return is_negative ? -value : value;
}

struct gw_decimal gw_decimal_of(struct gw_slice text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    const char *first = NULL, *last = NULL; /* digits that are not 0 */
    bool in_fraction = false;
    int64_t point = 0; /* where it stands, counted from the first digit */
    struct gw_decimal decimal = {.is_negative = at < end && *at == '-'};

    for (at += decimal.is_negative; at < end && (is_digit(*at) || *at == '.'); at++) {
        if (*at == '.') {
            in_fraction = true;
            continue;
        }
        if (*at != '0') {
            last = at;
            first = first ? first : at;
        }
        if (first && !in_fraction)
            point++;
        else if (!first && in_fraction)
            point--;
    }
    if (first == NULL)
        return (struct gw_decimal){.is_negative = false};
    decimal.digits = (struct gw_slice){first, (size_t)(last - first) + 1};
    decimal.exponent = point + (at < end ? exponent_of(at + 1, end) : 0);
    return decimal;
}

/* The next digit; 0 behind the last one. */
static char next_digit(struct gw_slice *digits)
{
    if (digits->len > 0 && digits->ptr[0] == '.')
        *digits = gw_slice_skip(*digits, 1);
    if (digits->len == 0)
        return '0';
    char digit = digits->ptr[0];
    *digits = gw_slice_skip(*digits, 1);
    return digit;
}

static int compare_digits(struct gw_slice a, struct gw_slice b)
{
    while (a.len > 0 || b.len > 0) {
        char left = next_digit(&a), right = next_digit(&b);
        if (left != right)
            return left < right ? -1 : 1;
    }
    return 0;
}

static int sign_of(const struct gw_decimal *decimal)
{
    return decimal->digits.len == 0 ? 0 : decimal->is_negative ? -1 : 1;
}

int gw_decimal_compare(const struct gw_decimal *a, const struct gw_decimal *b)
{
    int sign = sign_of(a);

    if (sign != sign_of(b))
        return sign < sign_of(b) ? -1 : 1;
    if (sign == 0)
        return 0;
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -sign : sign;
    return sign * compare_digits(a->digits, b->digits);
}
