/* check.c: the end of a process that found a bug in itself. Owns nothing. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void gw_check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "gwh: check failed: %s (%s:%d)\n", condition, file, line);
    abort();
}
