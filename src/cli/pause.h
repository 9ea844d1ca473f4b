/* pause.h: a command that waits for a while. */
#pragma once

#include "sys/env.h"

/* Runs the loop, which nobody else may be running, for so long. */
void gw_pause(struct gw_env *env, int64_t ms);
