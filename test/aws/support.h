/* support.h: for the tests of src/aws: an environment of the test's own. */
#pragma once

#include "../base/test.h"
#include "base/alloc.h"

#include <stdio.h>

extern char **environ;

/* Nothing of the developer's own settings: no AWS_*, and a home without files. */
static inline void no_settings(void)
{
    for (size_t i = 0; environ[i];) {
        char name[128];
        size_t len = strcspn(environ[i], "=");
        if (strncmp(environ[i], "AWS_", 4) != 0 || len >= sizeof(name)) {
            i++;
            continue;
        }
        snprintf(name, sizeof(name), "%.*s", (int)len, environ[i]);
        unsetenv(name);
    }
    setenv("HOME", "/nonexistent", 1);
}

/* "A=1 B=2": each is set. */
static inline void set_all(const char *settings)
{
    struct gw_slice rest = gw_slice_from(settings), part, value;
    char name[128], text[1024];

    while (settings && gw_slice_split(&rest, ' ', &part)) {
        struct gw_slice key;
        value = part;
        gw_slice_split(&value, '=', &key);
        snprintf(name, sizeof(name), "%.*s", GW_SLICE_ARG(key));
        snprintf(text, sizeof(text), "%.*s", GW_SLICE_ARG(value));
        setenv(name, text, 1);
    }
}

/* A file of this content; unlink() and free it. */
static inline char *file_of(const char *content)
{
    char *path = gw_strdup("/tmp/gwh-test-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
    return path;
}

static inline void file_drop(char *path)
{
    unlink(path);
    gw_free(path);
}
