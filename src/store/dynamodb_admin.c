/* dynamodb_admin.c: the admin port. */
#include "store/dynamodb_impl.h"

void dynamodb_admin_start(struct dynamodb_run *run)
{
    dynamodb_done(run, GW_ERR_UNAVAILABLE);
}
