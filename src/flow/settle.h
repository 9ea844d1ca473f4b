/* settle.h: stores what came of a delivery, once, and tells the schedule. */
#pragma once

#include "flow/attempt.h"

/* flight->post has ended: steps the delivery and stores it with the record. */
void gw_settle_attempt(struct gw_flight *flight);

/* Ends a delivery without an attempt: its lane leads nowhere, its payload is gone. */
void gw_settle_end(struct gw_flight *flight, enum gw_end_reason reason);
