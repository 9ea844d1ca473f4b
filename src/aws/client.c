/* client.c: puts together what a thread needs for AWS, out of the environment. Owns all of it. */
#include "aws/client.h"

static enum gw_err find_region(struct gw_aws *aws, const struct gw_aws_profile *profile,
                               struct gw_error *error)
{
    const char *region = profile->region.ptr ? gw_arena_text(&aws->arena, profile->region) : NULL;
    enum gw_err err = gw_aws_region(&region, region, error);

    if (err == GW_OK) /* the environment's memory may change */
        aws->region = gw_arena_text(&aws->arena, gw_slice_from(region));
    return err;
}

enum gw_err gw_aws_create(struct gw_env *env, struct gw_aws **out, struct gw_error *error)
{
    struct gw_aws *aws = gw_zalloc(sizeof(*aws));
    struct gw_aws_profile profile;
    enum gw_err err = gw_aws_profile_read(&profile, error);

    if (err == GW_OK)
        err = find_region(aws, &profile, error);
    for (int i = 0; err == GW_OK && i < GW_AWS_SERVICES; i++) {
        struct gw_aws_client *client = &aws->clients[i];
        enum gw_aws_service service = (enum gw_aws_service)i;
        client->env = env;
        client->signer.region = aws->region;
        client->signer.service = gw_aws_service_name(service);
        err = gw_aws_endpoint_init(&client->endpoint, service, aws->region, &aws->arena, error);
    }
    if (err == GW_OK)
        err = gw_aws_credentials_create(env, &profile, &aws->clients[GW_AWS_STS].endpoint,
                                        &aws->credentials, error);
    gw_aws_profile_deinit(&profile);
    for (int i = 0; i < GW_AWS_SERVICES; i++)
        aws->clients[i].credentials = aws->credentials;
    if (err != GW_OK) {
        gw_aws_destroy(aws);
        return err;
    }
    *out = aws;
    return GW_OK;
}

void gw_aws_destroy(struct gw_aws *aws)
{
    if (aws == NULL)
        return;
    gw_aws_credentials_destroy(aws->credentials);
    for (int i = 0; i < GW_AWS_SERVICES; i++)
        gw_aws_signer_deinit(&aws->clients[i].signer);
    gw_arena_deinit(&aws->arena);
    gw_free(aws);
}
