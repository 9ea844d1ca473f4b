/* dynamodb_configs.c: the configs port. */
#include "store/dynamodb_impl.h"

void dynamodb_configs_start(struct dynamodb_run *run)
{
    dynamodb_done(run, GW_ERR_UNAVAILABLE);
}
