/* serve.h: `gwh serve`: everything in one process. */
#pragma once

/* argv[0] is "serve", the settings follow. Returns the exit code. */
int gw_serve_main(int argc, char **argv);
