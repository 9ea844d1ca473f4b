/* err.h: expected failures. What a client's server answers is no error: it is an outcome. */
#pragma once

enum gw_err {
    GW_OK = 0,
    /* again: the same call may succeed later */
    GW_ERR_BUSY,        /* a queue or a ceiling is full */
    GW_ERR_FULL,        /* no space on the disk, or below its reserve */
    GW_ERR_TIMEOUT,     /* the deadline passed; the operation may have happened */
    GW_ERR_UNAVAILABLE, /* the other side cannot be reached */
    GW_ERR_STOPPED,     /* draining, or stopped after a failure */
    /* reject: this call never succeeds */
    GW_ERR_INVALID, /* bad input; the text says what and what is allowed */
    GW_ERR_TOO_LARGE,
    GW_ERR_NOT_FOUND,
    GW_ERR_EXISTS,
    GW_ERR_CONFLICT, /* the version given is not the current one, or the state forbids it */
    GW_ERR_STALE,    /* the write id shown is not the current one */
    GW_ERR_GONE,     /* a payload that was there is there no more */
    GW_ERR_CHANGED,  /* a payload is not the one that was accepted */
    /* fatal: somebody must look */
    GW_ERR_IO,
    GW_ERR_CORRUPT,
    GW_ERR_SCHEMA, /* written by a newer version */
    GW_ERR_LOCKED, /* another process holds it */
    GW_ERR_KEY,    /* a key is missing or wrong */
};

enum gw_err_class { GW_CLASS_OK, GW_CLASS_AGAIN, GW_CLASS_REJECT, GW_CLASS_FATAL };

enum gw_err_class gw_err_class(enum gw_err err);
const char *gw_err_name(enum gw_err err); /* "not_found" */
const char *gw_err_class_name(enum gw_err_class class);

/* A failure with its text: one line that names the field, the value and what is allowed.
 * Never a secret and never a part of a payload. */
struct gw_error {
    enum gw_err code;
    char text[320];
};

/* Fills *error (unless it is NULL), cutting the text to fit, and returns code. The text becomes one
 * line of well-formed UTF-8 whatever the arguments hold; error->text may be one of them. */
enum gw_err gw_error_set(struct gw_error *error, enum gw_err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
