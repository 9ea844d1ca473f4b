/* worker.h: `gwh worker`: delivers what a queue of SQS tells of. */
#pragma once

/* argv[0] is "worker", the settings follow. Returns the exit code. */
int gw_worker_main(int argc, char **argv);
