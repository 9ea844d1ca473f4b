/* check.h: a bug ends the process, in release builds too. An expected failure is an enum gw_err. */
#pragma once

_Noreturn void gw_check_failed(const char *condition, const char *file, int line);

#define gw_check(condition)                                                                        \
    ((condition) ? (void)0 : gw_check_failed(#condition, __FILE__, __LINE__))

/* Behind a switch that has a case for every value. */
#define gw_never(what) gw_check_failed("never: " what, __FILE__, __LINE__)
