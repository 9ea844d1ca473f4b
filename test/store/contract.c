/* contract.c: runs the contract of store.h against one backend.
 *
 *   contract memory|sqlite-sim|sqlite-roll|sqlite-roll-loop|sqlite|dynamodb
 *   contract model BACKEND SEEDS STEPS   random calls; memory and BACKEND must answer alike */
#include "world.h"

#include "sys/loop.h"

#include <stdio.h>
#include <stdlib.h>

static const struct backend *const backends[] = {
    &backend_memory,           &backend_sqlite_sim, &backend_sqlite_roll,
    &backend_sqlite_roll_loop, &backend_sqlite,     &backend_dynamodb,
};

static const struct backend *backend_of(const char *name)
{
    for (size_t i = 0; i < gw_count(backends); i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    fprintf(stderr, "contract: no backend is called %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static int (*const suites[])(void) = {
        suite_accept,  suite_settle, suite_open,  suite_order, suite_look,  suite_tally,
        suite_configs, suite_admin,  suite_fault, suite_last,  suite_erase, suite_stats,
    };
    int failed = 0;

    sim_init();
    gw_sys_init();
    if (argc == 5 && strcmp(argv[1], "model") == 0) {
        for (uint64_t seed = 1; seed <= strtoull(argv[3], NULL, 10); seed++)
            failed += model_run(backend_of(argv[2]), seed, (int)strtol(argv[4], NULL, 10));
        return failed ? 1 : 0;
    }
    if (argc != 2) {
        fprintf(stderr, "usage: contract BACKEND | contract model BACKEND SEEDS STEPS\n");
        return 2;
    }
    backend = backend_of(argv[1]);
    for (size_t i = 0; i < gw_count(suites); i++)
        failed += suites[i]();
    return failed ? 1 : 0;
}
