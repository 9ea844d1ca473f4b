/* config_body.h: the JSON of a config request out of what was given on the command line. Pure. */
#pragma once

#include "cli/config_pair.h"

#define GW_GIVEN_NOT (-1) /* of a flag or number: was not given */

struct gw_config_given {
    struct gw_config_pair pair;
    const char *url, *product, *secret;
    const char *retry;      /* "5,300,1800" or "none" */
    const char *filter;     /* JSON or "none" */
    const char *rate_limit; /* "50" or "none" */
    const char *schemes;    /* "standard,ed25519" */
    const char *body_header, *body_encoding;
    struct gw_option_list workflows;     /* "ID=URL" */
    struct gw_option_list headers;       /* "name: value" */
    struct gw_option_list metadata_keys; /* the one "none": no keys */
    struct gw_option_list blocklist;     /* paths; the one "none": no paths */
    int64_t timeout_ms, max_in_flight;
    int delete_app_id, inactive, active;
};

void gw_config_given_init(struct gw_config_given *given);
void gw_config_given_deinit(struct gw_config_given *given);

/* The options that fill it. */
#define GW_CONFIG_OPTIONS(given)                                                                   \
    GW_CONFIG_PAIR_OPTIONS((given).pair),                                                          \
        {.name = "url", .value = "URL", .help = "where events go", .text = &(given).url},          \
        {.name = "workflow",                                                                       \
         .value = "ID=URL",                                                                        \
         .help = "events of this workflow go here instead; again for more",                        \
         .list = &(given).workflows},                                                              \
        {.name = "header",                                                                         \
         .value = "'NAME: VALUE'",                                                                 \
         .help = "sent with each delivery; again for more",                                        \
         .list = &(given).headers},                                                                \
        {.name = "filter",                                                                         \
         .value = "JSON|@FILE",                                                                    \
         .help = "deliver only events that match this pattern, or none",                           \
         .text = &(given).filter},                                                                 \
        {.name = "block",                                                                          \
         .value = "PATH",                                                                          \
         .help = "take this out of the body before it is signed: a.b or /a/b; again for more",     \
         .list = &(given).blocklist},                                                              \
        {.name = "metadata-key",                                                                   \
         .value = "NAME",                                                                          \
         .help = "S3 metadata that counts, such as workflowId; again for more",                    \
         .list = &(given).metadata_keys},                                                          \
        {.name = "schemes",                                                                        \
         .value = "S,S",                                                                           \
         .help = "signatures: standard, ed25519, body (standard)",                                 \
         .text = &(given).schemes},                                                                \
        {.name = "body-header",                                                                    \
         .value = "NAME",                                                                          \
         .help = "where the body scheme's signature goes (x-webhook-signature)",                   \
         .text = &(given).body_header},                                                            \
        {.name = "body-encoding",                                                                  \
         .value = "hex|base64",                                                                    \
         .help = "how it is written (hex)",                                                        \
         .text = &(given).body_encoding},                                                          \
        {.name = "product",                                                                        \
         .value = "NAME",                                                                          \
         .help = "the producer's name, for reports",                                               \
         .text = &(given).product},                                                                \
        {.name = "retry",                                                                          \
         .value = "S,S,…",                                                                         \
         .help = "seconds between attempts, or none (5,300,1800,7200,18000,36000,36000)",          \
         .text = &(given).retry},                                                                  \
        {.name = "timeout-ms",                                                                     \
         .value = "MS",                                                                            \
         .help = "of one attempt (15000)",                                                         \
         .number = &(given).timeout_ms,                                                            \
         .max = INT32_MAX},                                                                        \
        {.name = "rate-limit",                                                                     \
         .value = "N",                                                                             \
         .help = "deliveries a second to one URL, or none (none)",                                 \
         .text = &(given).rate_limit},                                                             \
        {.name = "max-in-flight",                                                                  \
         .value = "N",                                                                             \
         .help = "attempts at a time (16)",                                                        \
         .number = &(given).max_in_flight,                                                         \
         .max = INT32_MAX},                                                                        \
        {.name = "secret",                                                                         \
         .value = "SECRET|@FILE",                                                                  \
         .help = "an existing one, instead of a new one; @FILE keeps it out of sight",             \
         .text = &(given).secret},                                                                 \
        {.name = "delete-app-id",                                                                  \
         .help = "drop the top-level appId from the body",                                         \
         .flag = &(given).delete_app_id},                                                          \
    {                                                                                              \
        .name = "inactive", .help = "keep events, send nothing", .flag = &(given).inactive         \
    }

/* Only what was given. GW_ERR_INVALID: the text begins with the option. What can be judged only by
 * the server (URLs, ranges) is left to it. */
enum gw_err gw_config_body_make(const struct gw_config_given *given, struct gw_buf *out,
                                struct gw_error *error);

/* The answer of `gwh config get --json`, edited, can be sent back: appends its result; of any other
 * text, the text itself. */
void gw_config_body_unwrap(struct gw_slice text, struct gw_buf *out);
