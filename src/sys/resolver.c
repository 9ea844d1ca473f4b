/* resolver.c: names: to come. */
#include "sys/loop_impl.h"

void gw_resolver_init(void)
{
}

enum gw_err gw_resolver_create(struct gw_loop *loop, const struct gw_loop_options *options,
                               struct gw_resolver **resolver, struct gw_error *error)
{
    (void)loop;
    (void)options;
    (void)error;
    *resolver = NULL;
    return GW_OK;
}

void gw_resolver_destroy(struct gw_resolver *resolver)
{
    (void)resolver;
}

void gw_resolver_resolve(struct gw_env *env, struct gw_resolve *req)
{
    (void)env;
    (void)req;
}

void gw_resolver_cancel(struct gw_env *env, struct gw_resolve *req)
{
    (void)env;
    (void)req;
}

void gw_resolver_flush(struct gw_resolver *resolver)
{
    (void)resolver;
}
