/* home.h: what the homes serve, worker and lambda have in common: how they begin and end, and what of
 * their flow follows from the settings. */
#pragma once

#include "app/settings.h"
#include "flow/shard.h"
#include "road/road.h"
#include "store/dynamodb.h"

/* Exit codes of a home. */
#define GW_HOME_FAILED       1
#define GW_HOME_USAGE        2
#define GW_HOME_CANNOT_START 3

/* How old may be what others change, too, on AWS. A change is in force everywhere within 5 s. */
#define GW_HOME_SHARED_KEEP_MS 4000

void gw_home_help(void);            /* prints all settings */
void gw_home_warn_of_unknown(void); /* logs variables GWH_… that no setting has */

/* Of every home; `is_on_aws`: many processes share the store. */
struct gw_flow_options gw_home_flow_options(const struct gw_settings *settings, bool is_on_aws);

/* Of the homes that deliver on AWS, with the one shard that *shard will be. */
struct gw_flow gw_home_road_flow(const struct gw_settings *settings, struct gw_dynamodb *store,
                                 struct gw_delivery_log *log, struct gw_shard **shard);
enum gw_err gw_home_road_init(const struct gw_settings *settings, struct gw_road *road,
                              struct gw_shard *shard, struct gw_aws *aws, struct gw_error *error);
