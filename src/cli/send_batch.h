/* send_batch.h: `gwh send --batch`: a file with one event on each line. */
#pragma once

#include "cli/client.h"

/* Returns the exit code: 1 when a line was refused, or not all could be sent. */
int gw_send_batch(const struct gw_client_options *options, const char *path);
