/* store_aws.h: the store on AWS as the settings describe it, for every home that lives there.
 *
 * Nobody is asked anything here: a wrong region, table or key of AWS's shows with the first call. */
#pragma once

#include "app/settings.h"
#include "store/dynamodb.h"

/* The master key is that of --master-key-file or GWH_MASTER_KEY, and never made: other processes have
 * the same. `takes_events`: they are put in --events-bucket. The settings must outlive the store, which
 * gw_dynamodb_destroy() closes. GW_ERR_KEY, GW_ERR_IO: as gw_master_key_load() says. */
enum gw_err gw_store_aws_open(const struct gw_settings *settings, bool takes_events,
                              struct gw_env *env, struct gw_dynamodb **store,
                              struct gw_error *error);

/* Gives an env what it speaks to AWS with, before its loop runs. The clients are the caller's: they
 * go (gw_aws_destroy()) after the store, and before their env. */
enum gw_err gw_store_aws_join(struct gw_dynamodb *store, struct gw_env *env, struct gw_aws **aws,
                              struct gw_error *error);
