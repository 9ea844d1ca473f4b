/* fold.h: text without regard to case: the letters of the Latin, Greek, Cyrillic and Armenian
 * scripts whose upper and lower case are one character each. Pure, the same in every locale. Of
 * those, both cases have the same length in UTF-8, so that a comparison never has to realign. */
#pragma once

#include "base/slice.h"

bool gw_fold_eq(struct gw_slice a, struct gw_slice b);
bool gw_fold_starts(struct gw_slice s, struct gw_slice prefix);
bool gw_fold_ends(struct gw_slice s, struct gw_slice suffix);
