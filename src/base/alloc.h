/* alloc.h: memory. Running out of it ends the process: the ledger is durable, a supervisor
 * restarts, and no half-handled path exists that nobody ever tested. */
#pragma once

#include <stddef.h>

#define gw_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define gw_count(array)                    (sizeof(array) / sizeof((array)[0]))

void *gw_alloc(size_t size);  /* uninitialised */
void *gw_zalloc(size_t size); /* zeroed */
void *gw_realloc(void *ptr, size_t size);
void gw_free(void *ptr); /* NULL is fine */
char *gw_strdup(const char *text);
