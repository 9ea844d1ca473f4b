/* cloud.c: owns the loop and the clients of a command that speaks to AWS itself. */
#include "cli/cloud.h"

#include "cli/command.h"
#include "cli/term.h"
#include "sys/loop.h"

#define SCHEME           "s3://"
#define PREFIX_BYTES_MAX 900 /* of the 1 024 of a key: what goes behind it needs room */

int gw_cloud_open(struct gw_cloud *cloud)
{
    struct gw_error error;

    *cloud = (struct gw_cloud){0};
    gw_sys_init();
    if (gw_loop_create(NULL, &cloud->env, &error) != GW_OK)
        return gw_term_fail(GW_EXIT_FAILED, "%s", error.text);
    if (gw_aws_create(cloud->env, &cloud->aws, &error) != GW_OK)
        return gw_term_fail(error.code == GW_ERR_INVALID ? GW_EXIT_USAGE : GW_EXIT_FAILED, "%s",
                            error.text);
    return -1;
}

void gw_cloud_close(struct gw_cloud *cloud)
{
    gw_aws_destroy(cloud->aws);
    if (cloud->env)
        gw_loop_destroy(cloud->env);
    *cloud = (struct gw_cloud){0};
}

bool gw_cloud_place_parse(struct gw_cloud_place *place, const char *text)
{
    struct gw_slice rest = gw_slice_from(text);

    *place = (struct gw_cloud_place){0};
    if (!gw_slice_starts(rest, GW_SLICE(SCHEME)))
        return false;
    rest = gw_slice_skip(rest, sizeof(SCHEME) - 1);
    if (!gw_slice_split(&rest, '/', &place->bucket) || place->bucket.len == 0)
        return false;
    place->prefix = rest.ptr ? rest : GW_SLICE("");
    return place->prefix.len <= PREFIX_BYTES_MAX;
}
