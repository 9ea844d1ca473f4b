/* decimal.h: numbers as JSON writes them, compared by what they are worth and exactly: 300, 300.0
 * and 3e2 are equal, and nothing is rounded to what a double can hold. Pure. */
#pragma once

#include "base/slice.h"

/* (-1)^is_negative * 0.DIGITS * 10^exponent. Points into the text. */
struct gw_decimal {
    struct gw_slice digits; /* from the first to the last that is not 0, perhaps with a '.' among
                               them; empty = zero */
    int64_t exponent;       /* cut to ±10^15 */
    bool is_negative;
};

/* `text` must be a number as JSON defines it. */
struct gw_decimal gw_decimal_of(struct gw_slice text);

/* Less than, equal to or greater than 0, as a is less than, equal to or greater than b. */
int gw_decimal_compare(const struct gw_decimal *a, const struct gw_decimal *b);
