/* settings.h: the one table of settings: flag, environment variable, type, default, range, help.
 *
 * Precedence: flag, then GWH_…, then the bare variable, then the default; a variable that is set to
 * nothing is not set. Every text is checked by the same parser, the default's too. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "core/url.h"

struct gw_settings {
    bool help; /* --help was there; nothing else counts */

    const char *data;
    const char *listen;
    char listen_host[GW_ADDR_TEXT_MAX]; /* of it */
    uint16_t listen_port;
    size_t shards; /* 0 = one for each core */
    size_t max_body_bytes;
    struct gw_guard guard; /* --allow-http, --allow-nets, --allow-ports */
    struct gw_net_list allowed_ips, trusted_proxies;
    const char *public_cert;            /* PEM text, or @FILE; NULL = none */
    const char *auth_url;               /* NULL = none */
    const char *ca_file, *name_servers; /* NULL = none */
    int64_t dedupe_window_s, secret_overlap_s, grace_s, retention_days, audit_retention_days;
    size_t max_connections, max_header_bytes;
    int64_t idle_timeout_s, request_timeout_s;
    size_t in_flight;
    size_t memory_deliveries, memory_body_bytes, memory_request_bytes, memory_apps;
    size_t intake_rate; /* events of one app a second; 0 = no limit */
    size_t queue_max, commit_max, store_cache_bytes;
    int64_t disk_reserve_bytes;
    bool is_on_aws;
    const char *tables;
    const char *queue_url, *wake_queue_url; /* NULL = none */
    const char *events_bucket, *buckets;    /* NULL = none */
    size_t workers, messages;
    const char *log_url; /* of the delivery log, checked; NULL = none is kept */
    size_t log_memory_bytes;
    int64_t log_spool_bytes;
    enum gw_log_level log_level;
    const char *admin_key;                    /* NULL = DIR/admin.key */
    const char *master_key_file, *master_key; /* both NULL = DIR/master.key */
};

/* `argv` begins with the first flag; texts point into argv and env. On failure the error says which
 * setting, what it was and what is allowed; nothing needs to be freed then. */
enum gw_err gw_settings_parse(struct gw_settings *settings, int argc, char *const *argv,
                              char *const *env, struct gw_error *error);
void gw_settings_deinit(struct gw_settings *settings);

/* Of --log-url firehose://NAME; NULL = it is none. */
const char *gw_settings_log_stream(const struct gw_settings *settings);

/* ── The table, for pages that are made of it ──────────────────────────────────────────────── */

#define GW_SETTING_VARIABLE_MAX 64

struct gw_setting {
    const char *name;                       /* "max-body-bytes" */
    bool is_env_only;                       /* no flag: arguments are seen by everybody */
    char variable[GW_SETTING_VARIABLE_MAX]; /* "GWH_MAX_BODY_BYTES" */
    const char *bare;                       /* another variable's name; NULL = none */
    const char *value;                      /* what a value is called: "NUMBER" */
    const char *preset;                     /* NULL = none */
    int64_t min, max;                       /* of numbers; both 0: it is none */
    const char *help;                       /* one line */
};

/* The setting of that number; false behind the last. */
bool gw_setting_at(size_t index, struct gw_setting *setting);

/* What `gwh serve --help` shows, and docs/settings.md. */
void gw_settings_help(struct gw_buf *out);
void gw_settings_page(struct gw_buf *out);

/* A variable GWH_… that no setting has, nor the client commands: probably misspelt. NULL at the
 * end; start with *at = 0. */
const char *gw_settings_unknown_env(char *const *env, size_t *at);

/* "appid:appkey", both of printable characters without spaces. */
bool gw_admin_key_check(const char *text);
