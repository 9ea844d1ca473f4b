/* settle.h: stores what came of a delivery, once, and tells the schedule. */
#pragma once

#include "flow/attempt.h"

/* flight->record is complete: steps the delivery and stores both. */
void gw_settle_attempt(struct gw_flight *flight, enum gw_outcome outcome, int status);

/* Ends a delivery without an attempt: its lane leads nowhere, its payload is gone. */
void gw_settle_end(struct gw_flight *flight, enum gw_end_reason reason);
