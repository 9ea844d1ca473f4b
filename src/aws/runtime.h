/* runtime.h: what AWS Lambda offers to a runtime of one's own: the next invocation, and a place for
 * what came of it. One at a time:
 *
 *   next ─▶ an invocation ─▶ answer, or refuse ─▶ next …
 *
 * Between an answer and the next invocation the process may stand still for any time. */
#pragma once

#include "aws/endpoint.h"
#include "aws/http.h"

#define GW_AWS_INVOCATION_BYTES_MAX ((size_t)6 * 1024 * 1024) /* of an event, and of an answer */

struct gw_aws_runtime {
    struct gw_env *env;
    void (*done)(struct gw_aws_runtime *runtime); /* of each of the calls below */

    /* out; GW_OK, or the runtime's end: Lambda starts another */
    struct gw_error error;

    /* of the invocation, until the next */
    struct gw_slice id, event;
    struct gw_slice function_arn, trace; /* absent = not said */
    int64_t deadline_ms;                 /* wall time */

    /* its own */
    struct gw_aws_origin origin;
    struct gw_aws_http http;
    struct gw_arena fixed, arena; /* for ever; of the invocation */
    bool is_next, is_busy;
};

/* Where AWS_LAMBDA_RUNTIME_API says. */
enum gw_err gw_aws_runtime_init(struct gw_aws_runtime *runtime, struct gw_env *env,
                                void (*done)(struct gw_aws_runtime *runtime),
                                struct gw_error *error);
void gw_aws_runtime_deinit(struct gw_aws_runtime *runtime); /* ends what is under way */

void gw_aws_runtime_next(struct gw_aws_runtime *runtime); /* waits for one, for ever */
void gw_aws_runtime_answer(struct gw_aws_runtime *runtime, struct gw_slice json);
/* `type` is a word of ours, "Function.Overload"; before the first invocation it tells that there
 * will be none. Neither has a secret or a payload: Lambda logs them. */
void gw_aws_runtime_refuse(struct gw_aws_runtime *runtime, const char *type, const char *message);
