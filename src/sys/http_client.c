/* http_client.c: requests going out: to come. */
#include "sys/loop_impl.h"

void gw_http_client_init(void)
{
}

enum gw_err gw_http_client_create(struct gw_loop *loop, const struct gw_loop_options *options,
                                  struct gw_http_client **client, struct gw_error *error)
{
    (void)loop;
    (void)options;
    (void)error;
    *client = NULL;
    return GW_OK;
}

void gw_http_client_destroy(struct gw_http_client *client)
{
    (void)client;
}

void gw_http_client_call(struct gw_env *env, struct gw_http_call *call)
{
    (void)env;
    (void)call;
}

void gw_http_client_cancel(struct gw_env *env, struct gw_http_call *call)
{
    (void)env;
    (void)call;
}

void gw_http_client_flush(struct gw_http_client *client)
{
    (void)client;
}
