/* rig_dynamodb.h: what tests of the DynamoDB backend do to AWS beside it: its payloads and its queue. */
#pragma once

#include "core/wake.h"
#include "world.h"

/* Accepts it through a store that puts events into that bucket; where it went is found by its body, and
 * answered in `place`. */
void rig_put_event(struct world *world, const char *bucket, struct gw_accept *op,
                   struct gw_place *place);
void rig_put_to(struct world *world, struct gw_place place, struct gw_slice body);
void rig_put(struct world *world, struct gw_slice key, struct gw_slice body);
void rig_delete(struct world *world, struct gw_slice key);
void rig_drain(struct world *world); /* until the queue shows nothing */
/* Takes the next wake that is due; false: none. */
bool rig_wake(struct world *world, struct gw_wake *wake, unsigned wait_s);
