/* model.h: what model*.c share: two worlds, and what they call the same thing. */
#pragma once

#include "given.h"

#include <stdio.h>

#define EVENTS_MAX     4000
#define DELIVERIES_MAX 12000
#define DEDUPE_MS      60000
#define APPS           3
#define LANES_OF_APP   3
#define EVENT_IDS      60

struct delivery_pair {
    struct gw_delivery of[2]; /* as last seen */
    size_t event;
};

/* Side 0 is memory. */
struct model {
    struct world *worlds[2];
    uint64_t dice;
    int64_t now_ms, first_ms, last_ms; /* the earliest and the latest that it was */
    struct gw_id events[EVENTS_MAX][2];
    int event_app[EVENTS_MAX];
    size_t event_count;
    struct delivery_pair deliveries[DELIVERIES_MAX];
    size_t delivery_count;
};

extern const char *const model_apps[APPS];
extern const char *const model_types[3];
extern const char *const model_bodies[3];

uint64_t model_draw(struct model *m, uint64_t below);
bool model_one_in(struct model *m, uint64_t n);
int64_t model_time(struct model *m); /* some time between */

/* Numbers of what both have made. */
size_t model_event(const struct model *m, int side, const struct gw_id *id);
size_t model_delivery(const struct model *m, int side, const struct gw_id *id);

void model_alike(const struct gw_delivery *a, const struct gw_delivery *b);
/* The same delivery, in the same state. */
void model_same(const struct model *m, const struct gw_delivery *a, const struct gw_delivery *b);
/* Looks it up again on both sides. */
void model_refresh(struct model *m, size_t delivery);

typedef void model_step(struct model *m);
model_step model_accept, model_add, model_settle, model_retry;                 /* model_write.c */
model_step model_refill, model_open_lanes, model_find, model_load, model_list; /* model_look.c */
model_step model_tally, model_stats;                                           /* _tally.c */
model_step model_health, model_config_put, model_config_remove, model_config_look; /* _config.c */
model_step model_key_put, model_key_remove, model_key_look;                        /* _admin.c */
model_step model_audit_add, model_audit_list;
