/* sqlite_tally.c: counting, which is not there yet. */
#include "store/sqlite_internal.h"

void sqlite_tally_start(struct gw_ledger *ledger, struct gw_tally_op *op)
{
    (void)ledger;
    sqlite_complete(&op->op, GW_ERR_UNAVAILABLE);
}
