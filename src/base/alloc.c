/* alloc.c: malloc and its kin, for callers that never see NULL. Owns nothing. */
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_die(void *ptr, size_t size)
{
    if (ptr == NULL) {
        fprintf(stderr, "gwh: out of memory: no %zu bytes\n", size);
        abort();
    }
    return ptr;
}

/* Of zero bytes malloc may return NULL and realloc may free. */
static size_t at_least_one(size_t size)
{
    return size > 0 ? size : 1;
}

void *gw_alloc(size_t size)
{
    return or_die(malloc(at_least_one(size)), size);
}

void *gw_zalloc(size_t size)
{
    return or_die(calloc(1, at_least_one(size)), size);
}

void *gw_realloc(void *ptr, size_t size)
{
    return or_die(realloc(ptr, at_least_one(size)), size);
}

void gw_free(void *ptr)
{
    free(ptr);
}

char *gw_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(gw_alloc(size), text, size);
}
