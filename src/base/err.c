/* err.c: what each failure is called, and which class it is in. Owns the table; pure. */
#include "base/err.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    enum gw_err_class class;
} errs[] = {
    [GW_OK] = {"ok", GW_CLASS_OK},
    [GW_ERR_BUSY] = {"busy", GW_CLASS_AGAIN},
    [GW_ERR_FULL] = {"full", GW_CLASS_AGAIN},
    [GW_ERR_TIMEOUT] = {"timeout", GW_CLASS_AGAIN},
    [GW_ERR_UNAVAILABLE] = {"unavailable", GW_CLASS_AGAIN},
    [GW_ERR_STOPPED] = {"stopped", GW_CLASS_AGAIN},
    [GW_ERR_INVALID] = {"invalid", GW_CLASS_REJECT},
    [GW_ERR_TOO_LARGE] = {"too_large", GW_CLASS_REJECT},
    [GW_ERR_NOT_FOUND] = {"not_found", GW_CLASS_REJECT},
    [GW_ERR_EXISTS] = {"exists", GW_CLASS_REJECT},
    [GW_ERR_CONFLICT] = {"conflict", GW_CLASS_REJECT},
    [GW_ERR_STALE] = {"stale", GW_CLASS_REJECT},
    [GW_ERR_GONE] = {"gone", GW_CLASS_REJECT},
    [GW_ERR_CHANGED] = {"changed", GW_CLASS_REJECT},
    [GW_ERR_IO] = {"io", GW_CLASS_FATAL},
    [GW_ERR_CORRUPT] = {"corrupt", GW_CLASS_FATAL},
    [GW_ERR_SCHEMA] = {"schema", GW_CLASS_FATAL},
    [GW_ERR_LOCKED] = {"locked", GW_CLASS_FATAL},
    [GW_ERR_KEY] = {"key", GW_CLASS_FATAL},
};

enum gw_err_class gw_err_class(enum gw_err err)
{
    gw_check((size_t)err < gw_count(errs));
    return errs[err].class;
}

const char *gw_err_name(enum gw_err err)
{
    gw_check((size_t)err < gw_count(errs));
    return errs[err].name;
}

const char *gw_err_class_name(enum gw_err_class class)
{
    switch (class) {
    case GW_CLASS_OK: return "ok";
    case GW_CLASS_AGAIN: return "again";
    case GW_CLASS_REJECT: return "reject";
    case GW_CLASS_FATAL: return "fatal";
    }
    gw_never("an unknown error class");
}

/* The text quotes what strangers sent, and goes into JSON, log lines and terminals: so no control
 * characters, and no bytes that are not UTF-8. A character that was cut in two goes. */
static void clean(char *text, bool is_cut)
{
    for (struct gw_slice rest = gw_slice_from(text); rest.len > 0;) {
        char *at = text + (rest.ptr - text);
        size_t step = gw_slice_utf8_step(rest);
        if (step == 0 && is_cut && rest.len < 4) {
            *at = '\0';
            return;
        }
        if (step == 0 || (step == 1 && ((unsigned char)*at < 0x20 || *at == 0x7F)))
            *at = '?';
        rest = gw_slice_skip(rest, step ? step : 1);
    }
}

enum gw_err gw_error_set(struct gw_error *error, enum gw_err code, const char *format, ...)
{
    char text[sizeof(error->text)];
    va_list args;

    if (error == NULL)
        return code;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gw_check(len >= 0);
    clean(text, (size_t)len >= sizeof(text));
    memcpy(error->text, text, strlen(text) + 1);
    error->code = code;
    return code;
}
