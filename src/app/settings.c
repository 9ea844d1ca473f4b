/* settings.c: owns the table of settings, and the way from a text to a value. A new setting is a row
 * here and a field in the struct; settings_page.c makes the pages.
 *
 * Invariant: a struct that was parsed holds, for each row, a value that the row allows. A setting
 * that is a secret is never repeated in an error. */
#include "app/settings.h"

#include "app/master_key.h"
#include "app/public_cert.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/crypto.h"
#include "flow/quota.h"
#include "store/delivery_log_firehose.h"
#include "store/postgres.h"

#include <ctype.h>
#include <stdio.h>

enum type {
    TYPE_TEXT, /* const char *; "" = NULL */
    TYPE_DIR,
    TYPE_FILE,
    TYPE_BOOL,
    TYPE_SIZE,  /* size_t */
    TYPE_INT64, /* int64_t */
    TYPE_LISTEN,
    TYPE_NETS,
    TYPE_PROXIES, /* the same without "*" */
    TYPE_PORTS,
    TYPE_LEVEL,
    TYPE_ADMIN_KEY,
    TYPE_MASTER_KEY,
    TYPE_PUBLIC_CERT,
    TYPE_URL,
    TYPE_LOG_URL,
    TYPE_STORE,
    TYPE_QUEUE_URL,
};

#define FIREHOSE "firehose://"

#define KIB ((int64_t)1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define DAY ((int64_t)86400)

struct row {
    const char *flag; /* GWH_… is made of it */
    const char *bare; /* another variable's name; NULL = none */
    enum type type;
    size_t offset;
    const char *preset; /* NULL = zero, which means that it is found out */
    int64_t min, max;   /* of numbers */
    const char *help;
};

#define AT(field) offsetof(struct gw_settings, field)

static const struct row rows[] = {
    {"data", NULL, TYPE_DIR, AT(data), "./gwh-data", 0, 0, "the directory of the store and keys"},
    {"listen", NULL, TYPE_LISTEN, AT(listen), "127.0.0.1:8080", 0, 0,
     "address and port; port 0 = any free one"},
    {"shards", NULL, TYPE_SIZE, AT(shards), NULL, 1, 64,
     "loop threads; one for each core if unset"},
    {"max-body-bytes", NULL, TYPE_SIZE, AT(max_body_bytes), "1048576", 1024, 16 * MIB,
     "the largest event"},
    {"allow-http", NULL, TYPE_BOOL, AT(guard.allow_http), "false", 0, 0,
     "webhook URLs may be http, on port 80"},
    {"allow-nets", NULL, TYPE_NETS, AT(guard.nets), "", 0, 0,
     "networks that webhooks may go to though they are not public"},
    {"allow-ports", NULL, TYPE_PORTS, AT(guard), "", 0, 0,
     "ports of webhook URLs beside 443; * = any"},
    {"allowed-ips", "ALLOWED_IPS", TYPE_NETS, AT(allowed_ips), "127.0.0.0/8,::1", 0, 0,
     "who may call the API; * = anybody"},
    {"trusted-proxies", NULL, TYPE_PROXIES, AT(trusted_proxies), "", 0, 0,
     "whose X-Forwarded-For counts"},
    {"public-cert", "PUBLIC_CERT", TYPE_PUBLIC_CERT, AT(public_cert), "", 0, 0,
     "the RSA key that callers' tokens are signed with: PEM text, or @FILE"},
    {"auth-url", NULL, TYPE_URL, AT(auth_url), "", 0, 0,
     "a service that is asked about keys that are not stored here"},
    {"ca-file", NULL, TYPE_FILE, AT(ca_file), "", 0, 0,
     "more certificate authorities (PEM) for webhooks"},
    {"name-servers", NULL, TYPE_TEXT, AT(name_servers), "", 0, 0,
     "addresses[:port] of name servers, instead of the system's"},
    {"intake-rate", NULL, TYPE_SIZE, AT(intake_rate), "0", 0, GW_QUOTA_RATE_MAX,
     "events of one app a second, more are answered 429; 0 = no limit"},
    {"dedupe-window", NULL, TYPE_INT64, AT(dedupe_window_s), "86400", 0, 7 * DAY,
     "seconds in which an eventId is a repeat"},
    {"retention", NULL, TYPE_INT64, AT(retention_days), "30", 2, 3650,
     "days that events are kept; a day more than the dedupe window, at least"},
    {"audit-retention", NULL, TYPE_INT64, AT(audit_retention_days), "400", 30, 36500,
     "days that lines of the audit log are kept"},
    {"secret-overlap", NULL, TYPE_INT64, AT(secret_overlap_s), "86400", 0, 30 * DAY,
     "seconds that an old secret signs beside a new one"},
    {"grace", NULL, TYPE_INT64, AT(grace_s), "20", 0, 3600,
     "seconds that attempts under way may take at the end"},
    {"max-connections", NULL, TYPE_SIZE, AT(max_connections), "10000", 1, 1000000,
     "incoming connections at a time"},
    {"max-header-bytes", NULL, TYPE_SIZE, AT(max_header_bytes), "16384", 1024, MIB,
     "the largest header block of a request"},
    {"idle-timeout", NULL, TYPE_INT64, AT(idle_timeout_s), "75", 1, 3600,
     "seconds that a connection is kept between requests"},
    {"request-timeout", NULL, TYPE_INT64, AT(request_timeout_s), "30", 1, 3600,
     "seconds that a request may take to arrive"},
    {"in-flight", NULL, TYPE_SIZE, AT(in_flight), "1024", 1, 65536,
     "attempts at a time, each shard"},
    {"memory-deliveries", NULL, TYPE_SIZE, AT(memory_deliveries), "8192", 64, 1000000,
     "deliveries held in memory, each shard; the store has the rest"},
    {"memory-body-bytes", NULL, TYPE_SIZE, AT(memory_body_bytes), "67108864", 0, 16 * GIB,
     "bytes of their bodies, each shard"},
    {"memory-request-bytes", NULL, TYPE_SIZE, AT(memory_request_bytes), "134217728", 16 * MIB,
     16 * GIB, "bytes of requests that are coming in or being worked on, each shard"},
    {"memory-apps", NULL, TYPE_SIZE, AT(memory_apps), "16384", 16, 1000000,
     "apps whose configs and keys are held in memory, each shard"},
    {"queue-max", NULL, TYPE_SIZE, AT(queue_max), "8192", 64, 1000000,
     "events waiting for a commit; more are told to come again"},
    {"commit-max", NULL, TYPE_SIZE, AT(commit_max), "2048", 1, 65536, "operations in one commit"},
    {"store-cache-bytes", NULL, TYPE_SIZE, AT(store_cache_bytes), "16777216", MIB, 64 * GIB,
     "the store's page cache"},
    {"disk-reserve-bytes", NULL, TYPE_INT64, AT(disk_reserve_bytes), "268435456", 0, 1024 * GIB,
     "free space below which no events are taken"},
    {"store", NULL, TYPE_STORE, AT(is_on_aws), "embedded", 0, 0,
     "where everything is kept: in --data, or in DynamoDB and S3"},
    {"tables", NULL, TYPE_TEXT, AT(tables), "generic-webhook", 0, 0,
     "what the names of the DynamoDB tables begin with"},
    {"queue-url", NULL, TYPE_QUEUE_URL, AT(queue_url), "", 0, 0,
     "the SQS queue that says which events came"},
    {"wake-queue-url", NULL, TYPE_QUEUE_URL, AT(wake_queue_url), "", 0, 0,
     "a queue of its own for what is to be tried again; the same one if unset"},
    {"events-bucket", NULL, TYPE_TEXT, AT(events_bucket), "", 0, 0,
     "the S3 bucket that events posted to serve --store aws are put in"},
    {"buckets", NULL, TYPE_TEXT, AT(buckets), "", 0, 0,
     "S3 buckets that events are read from, comma-separated: NAME, or NAME=APP+APP"},
    {"workers", NULL, TYPE_SIZE, AT(workers), "1", 1, 10000,
     "how many workers there are; a target's maxInFlight is divided by it"},
    {"messages", NULL, TYPE_SIZE, AT(messages), "256", 1, 10000,
     "messages of the queue that a worker has in hand at a time"},
    {"log-url", NULL, TYPE_LOG_URL, AT(log_url), "", 0, 0,
     "a database (postgres://…) or a stream (firehose://NAME) that gets a row for each event and "
     "attempt; gwh init makes the tables"},
    {"log-memory-bytes", NULL, TYPE_SIZE, AT(log_memory_bytes), "67108864", MIB, 16 * GIB,
     "such rows in memory"},
    {"log-spool-bytes", NULL, TYPE_INT64, AT(log_spool_bytes), "1073741824", 0, 1024 * GIB,
     "such rows on disk, in DIR/log-spool, while the database is away; more are dropped"},
    {"log-level", NULL, TYPE_LEVEL, AT(log_level), "info", 0, 0,
     "how little a thing may matter and be logged"},
    {"admin-key", NULL, TYPE_ADMIN_KEY, AT(admin_key), "", 0, 0,
     "appid:appkey of the administrator, instead of DIR/admin.key"},
    {"master-key-file", NULL, TYPE_FILE, AT(master_key_file), "", 0, 0,
     "holds the key that seals secrets and payloads, instead of DIR/master.key"},
    {"master-key", NULL, TYPE_MASTER_KEY, AT(master_key), "", 0, 0,
     "that key itself, 32 bytes, instead of any file"},
};

/* Of the client commands and the tests. */
static const char *const other_variables[] = {"GWH_URL", "GWH_KEY"};

static void variable_name(const struct row *row, char name[GW_SETTING_VARIABLE_MAX])
{
    int len = snprintf(name, GW_SETTING_VARIABLE_MAX, "GWH_%s", row->flag);
    gw_check(len > 0 && len < GW_SETTING_VARIABLE_MAX);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static bool is_secret(const struct row *row)
{
    return row->type == TYPE_ADMIN_KEY || row->type == TYPE_MASTER_KEY;
}

static bool is_env_only(const struct row *row)
{
    return is_secret(row); /* arguments are seen by everybody on the machine */
}

/* ── From text to value ────────────────────────────────────────────────────────────────────── */

/* Where a value came from, for the error. */
struct source {
    const struct row *row;
    const char *name; /* "--grace", "GWH_GRACE" */
    const char *text;
    struct gw_error *error;
};

static enum gw_err refuse(const struct source *source, const char *allowed)
{
    if (is_secret(source->row))
        return gw_error_set(source->error, GW_ERR_INVALID, "%s: must be %s", source->name, allowed);
    return gw_error_set(source->error, GW_ERR_INVALID, "%s: must be %s, was \"%.100s\"",
                        source->name, allowed, source->text);
}

static enum gw_err parse_number(const struct source *source, int64_t *out)
{
    const struct row *row = source->row;
    char allowed[96];
    uint64_t number;
    if (gw_slice_u64(gw_slice_from(source->text), &number) && number >= (uint64_t)row->min &&
        number <= (uint64_t)row->max) {
        *out = (int64_t)number;
        return GW_OK;
    }
    snprintf(allowed, sizeof(allowed), "an integer from %lld to %lld", (long long)row->min,
             (long long)row->max);
    return refuse(source, allowed);
}

static enum gw_err parse_bool(const struct source *source, bool *out)
{
    struct gw_slice text = gw_slice_from(source->text);
    *out = gw_slice_is(text, "true") || gw_slice_is(text, "1");
    if (*out || gw_slice_is(text, "false") || gw_slice_is(text, "0"))
        return GW_OK;
    return refuse(source, "true, false, 1 or 0");
}

/* "127.0.0.1:8080", "[::1]:8080" */
static enum gw_err parse_listen(const struct source *source, struct gw_settings *settings)
{
    static const char allowed[] = "an address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    const char *colon = strrchr(source->text, ':');
    struct gw_addr addr;
    uint64_t port;
    if (!colon || !gw_slice_u64(gw_slice_from(colon + 1), &port) || port > UINT16_MAX)
        return refuse(source, allowed);
    struct gw_slice host = {source->text, (size_t)(colon - source->text)};
    bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (bracketed)
        host = (struct gw_slice){host.ptr + 1, host.len - 2};
    if (!gw_addr_parse(host, &addr) || bracketed != (addr.family == 6))
        return refuse(source, allowed);
    gw_addr_text(&addr, settings->listen_host);
    settings->listen_port = (uint16_t)port;
    settings->listen = source->text;
    return GW_OK;
}

static enum gw_err parse_nets(const struct source *source, struct gw_net_list *list)
{
    struct gw_slice bad;
    char allowed[160];
    if (gw_net_list_parse(gw_slice_from(source->text), list, &bad))
        return GW_OK;
    snprintf(allowed, sizeof(allowed),
             "addresses and networks such as 10.0.0.0/8, comma-separated, or * (%.*s is none)",
             bad.len > 48 ? 48 : (int)bad.len, bad.ptr);
    return refuse(source, allowed);
}

/* Were everybody a proxy, every caller could name the address he calls from. */
static enum gw_err parse_proxies(const struct source *source, struct gw_net_list *list)
{
    enum gw_err err = parse_nets(source, list);
    if (err == GW_OK && list->any)
        return refuse(source, "addresses and networks of proxies, comma-separated, and not *");
    return err;
}

static enum gw_err parse_ports(const struct source *source, struct gw_guard *guard)
{
    struct gw_slice bad;
    if (!*source->text || gw_guard_ports_parse(guard, gw_slice_from(source->text), &bad))
        return GW_OK;
    return refuse(source, "ports from 1 to 65535, comma-separated, at most 64 of them, or *");
}

/* A file is read at the start. What is no key may be a private one, and is not repeated. */
static enum gw_err parse_public_cert(const struct source *source, const char **out)
{
    const char *text = source->text, *why;
    *out = *text ? text : NULL;
    if (!*text || (*text == '@' && text[1]))
        return GW_OK;
    struct gw_rsa_key *key = gw_public_cert_parse(gw_slice_from(text), &why);
    gw_rsa_key_free(key);
    if (key)
        return GW_OK;
    return gw_error_set(source->error, GW_ERR_INVALID,
                        "%s: must be an RSA public key or certificate in PEM, or @FILE, was %s",
                        source->name, why);
}

static enum gw_err parse_url(const struct source *source, const char **out)
{
    struct gw_arena arena = {0};
    struct gw_url url;
    struct gw_error error;
    *out = *source->text ? source->text : NULL;
    enum gw_err err =
        *out ? gw_url_parse(&url, gw_slice_from(source->text), &arena, &error) : GW_OK;
    gw_arena_deinit(&arena);
    if (err == GW_OK)
        return GW_OK;
    return gw_error_set(source->error, err, "%s: %s", source->name, error.text);
}

/* It holds a password, and is not repeated. */
static enum gw_err parse_log_url(const struct source *source, const char **out)
{
    struct gw_error error;
    *out = *source->text ? source->text : NULL;
    if (!*out)
        return GW_OK;
    if (strncmp(source->text, FIREHOSE, strlen(FIREHOSE)) == 0) {
        if (gw_delivery_log_stream_check(gw_slice_from(source->text + strlen(FIREHOSE))))
            return GW_OK;
        return gw_error_set(source->error, GW_ERR_INVALID,
                            "%s: must be firehose:// and the name of a stream, which has at most "
                            "64 characters of A-Za-z0-9_.-",
                            source->name);
    }
    enum gw_err err = gw_postgres_check(source->text, &error);
    if (err == GW_OK)
        return GW_OK;
    return gw_error_set(source->error, err, "%s: %s", source->name, error.text);
}

bool gw_admin_key_check(const char *text)
{
    const char *colon = strrchr(text, ':');
    for (const char *c = text; *c; c++)
        if (!isgraph((unsigned char)*c))
            return false;
    return colon && colon > text && colon[1] != '\0' && strlen(text) <= 512;
}

static enum gw_err parse_store(const struct source *source, bool *is_on_aws)
{
    *is_on_aws = strcmp(source->text, "aws") == 0;
    if (*is_on_aws || strcmp(source->text, "embedded") == 0)
        return GW_OK;
    return refuse(source, "embedded or aws");
}

/* It is a name: requests go to AWS's own host, or where AWS_ENDPOINT_URL_SQS says. */
static enum gw_err parse_queue_url(const struct source *source, const char **out)
{
    *out = *source->text ? source->text : NULL;
    struct gw_slice text = gw_slice_from(source->text);
    if (!*out || gw_slice_starts(text, GW_SLICE("https://")) ||
        gw_slice_starts(text, GW_SLICE("http://")))
        return GW_OK;
    return refuse(source, "the URL of an SQS queue");
}

static enum gw_err parse_value(struct gw_settings *settings, const struct source *source)
{
    void *field = (char *)settings + source->row->offset;
    uint8_t key[GW_MASTER_KEY_BYTES];
    int64_t number;
    enum gw_err err;
    switch (source->row->type) {
    case TYPE_TEXT:
    case TYPE_DIR:
    case TYPE_FILE: *(const char **)field = *source->text ? source->text : NULL; return GW_OK;
    case TYPE_BOOL: return parse_bool(source, field);
    case TYPE_SIZE:
        if ((err = parse_number(source, &number)) == GW_OK)
            *(size_t *)field = (size_t)number;
        return err;
    case TYPE_INT64: return parse_number(source, field);
    case TYPE_LISTEN: return parse_listen(source, settings);
    case TYPE_NETS: return parse_nets(source, field);
    case TYPE_PROXIES: return parse_proxies(source, field);
    case TYPE_PORTS: return parse_ports(source, field);
    case TYPE_LEVEL:
        if (gw_log_level_parse(gw_slice_from(source->text), field))
            return GW_OK;
        return refuse(source, "error, warn, info or debug");
    case TYPE_ADMIN_KEY:
        if (*source->text && !gw_admin_key_check(source->text))
            return refuse(source, "appid:appkey, printable and without spaces");
        *(const char **)field = *source->text ? source->text : NULL;
        return GW_OK;
    case TYPE_MASTER_KEY:
        if (*source->text && !gw_master_key_parse(source->text, key))
            return refuse(source, "32 bytes as base64 text");
        gw_wipe(key, sizeof(key));
        *(const char **)field = *source->text ? source->text : NULL;
        return GW_OK;
    case TYPE_PUBLIC_CERT: return parse_public_cert(source, field);
    case TYPE_URL: return parse_url(source, field);
    case TYPE_LOG_URL: return parse_log_url(source, field);
    case TYPE_STORE: return parse_store(source, field);
    case TYPE_QUEUE_URL: return parse_queue_url(source, field);
    }
    gw_never("an unknown type");
}

/* ── Arguments and environment ─────────────────────────────────────────────────────────────── */

static const struct row *find_row(struct gw_slice flag)
{
    for (size_t i = 0; i < gw_count(rows); i++)
        if (gw_slice_is(flag, rows[i].flag))
            return &rows[i];
    return NULL;
}

/* The flag at argv[*at] and its value; *at moves behind them. */
static enum gw_err read_flag(int argc, char *const *argv, int *at, const char **texts,
                             struct gw_error *error)
{
    const char *arg = argv[(*at)++];
    char env_name[GW_SETTING_VARIABLE_MAX];
    if (strncmp(arg, "--", 2) != 0)
        return gw_error_set(error, GW_ERR_INVALID, "unknown argument \"%.60s\"; see --help", arg);
    struct gw_slice value = gw_slice_from(arg + 2), name;
    gw_slice_split(&value, '=', &name);
    const struct row *row = find_row(name);
    if (!row)
        return gw_error_set(error, GW_ERR_INVALID, "unknown setting --%.*s; see --help",
                            name.len > 60 ? 60 : (int)name.len, name.ptr);
    variable_name(row, env_name);
    if (is_env_only(row))
        return gw_error_set(error, GW_ERR_INVALID,
                            "--%s: is no flag, for arguments are no secret; set %s", row->flag,
                            env_name);
    const char *text = value.ptr; /* to the end of the argument */
    const char *next = *at < argc ? argv[*at] : NULL;
    if (!text && row->type == TYPE_BOOL && (!next || !strncmp(next, "--", 2)))
        text = "true";
    if (!text && !next)
        return gw_error_set(error, GW_ERR_INVALID, "--%s: needs a value", row->flag);
    if (!text) {
        text = next;
        (*at)++;
    }
    texts[row - rows] = text;
    return GW_OK;
}

/* The value of a variable; NULL when it is not set, or to nothing. */
static const char *variable(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; env && *env; env++)
        if (!strncmp(*env, name, len) && (*env)[len] == '=' && (*env)[len + 1])
            return *env + len + 1;
    return NULL;
}

static enum gw_err set_row(struct gw_settings *settings, const struct row *row,
                           const char *flag_text, char *const *env, struct gw_error *error)
{
    char flag_name[GW_SETTING_VARIABLE_MAX + 2], env_name[GW_SETTING_VARIABLE_MAX];
    struct source source = {row, flag_name, flag_text, error};
    variable_name(row, env_name);
    snprintf(flag_name, sizeof(flag_name), "--%s", row->flag);
    if (!source.text) {
        source.name = env_name;
        source.text = variable(env, env_name);
    }
    if (!source.text && row->bare) {
        source.name = row->bare;
        source.text = variable(env, row->bare);
    }
    if (!source.text)
        source.text = row->preset;
    return source.text ? parse_value(settings, &source) : GW_OK;
}

static bool wants_help(int argc, char *const *argv)
{
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

/* A repeat must find what it repeats. */
static enum gw_err check_retention(const struct gw_settings *settings, struct gw_error *error)
{
    int64_t days = settings->retention_days;
    if (days * DAY >= settings->dedupe_window_s + DAY)
        return GW_OK;
    return gw_error_set(error, GW_ERR_INVALID,
                        "--retention: is %lld days, and must be a day more than --dedupe-window, "
                        "which is %lld seconds",
                        (long long)days, (long long)settings->dedupe_window_s);
}

enum gw_err gw_settings_parse(struct gw_settings *settings, int argc, char *const *argv,
                              char *const *env, struct gw_error *error)
{
    const char *texts[gw_count(rows)] = {0};
    enum gw_err err = GW_OK;
    *settings = (struct gw_settings){.help = wants_help(argc, argv)};
    if (settings->help)
        return GW_OK;
    for (int at = 0; err == GW_OK && at < argc;)
        err = read_flag(argc, argv, &at, texts, error);
    for (size_t i = 0; err == GW_OK && i < gw_count(rows); i++)
        err = set_row(settings, &rows[i], texts[i], env, error);
    if (err == GW_OK)
        err = check_retention(settings, error);
    if (err != GW_OK)
        gw_settings_deinit(settings);
    return err;
}

void gw_settings_deinit(struct gw_settings *settings)
{
    gw_net_list_deinit(&settings->guard.nets);
    gw_net_list_deinit(&settings->allowed_ips);
    gw_net_list_deinit(&settings->trusted_proxies);
}

const char *gw_settings_log_stream(const struct gw_settings *settings)
{
    const char *url = settings->log_url;
    return url && strncmp(url, FIREHOSE, strlen(FIREHOSE)) == 0 ? url + strlen(FIREHOSE) : NULL;
}

/* ── For people ────────────────────────────────────────────────────────────────────────────── */

static const char *type_text(const struct row *row)
{
    switch (row->type) {
    case TYPE_TEXT: return "TEXT";
    case TYPE_DIR: return "DIR";
    case TYPE_FILE: return "FILE";
    case TYPE_BOOL: return "true|false";
    case TYPE_SIZE:
    case TYPE_INT64: return "NUMBER";
    case TYPE_LISTEN: return "ADDRESS:PORT";
    case TYPE_NETS:
    case TYPE_PROXIES: return "NETWORKS";
    case TYPE_PORTS: return "PORTS";
    case TYPE_LEVEL: return "error|warn|info|debug";
    case TYPE_ADMIN_KEY: return "APPID:APPKEY";
    case TYPE_MASTER_KEY: return "BASE64";
    case TYPE_PUBLIC_CERT: return "PEM|@FILE";
    case TYPE_URL:
    case TYPE_QUEUE_URL:
    case TYPE_LOG_URL: return "URL";
    case TYPE_STORE: return "embedded|aws";
    }
    gw_never("an unknown type");
}

bool gw_setting_at(size_t index, struct gw_setting *setting)
{
    if (index >= gw_count(rows))
        return false;
    const struct row *row = &rows[index];
    *setting = (struct gw_setting){
        .name = row->flag,
        .is_env_only = is_env_only(row),
        .bare = row->bare,
        .value = type_text(row),
        .preset = row->preset && *row->preset ? row->preset : NULL,
        .min = row->min,
        .max = row->max,
        .help = row->help,
    };
    variable_name(row, setting->variable);
    return true;
}

static bool is_known_variable(struct gw_slice name)
{
    char own[GW_SETTING_VARIABLE_MAX];
    for (size_t i = 0; i < gw_count(rows); i++) {
        variable_name(&rows[i], own);
        if (gw_slice_is(name, own))
            return true;
    }
    for (size_t i = 0; i < gw_count(other_variables); i++)
        if (gw_slice_is(name, other_variables[i]))
            return true;
    return false;
}

const char *gw_settings_unknown_env(char *const *env, size_t *at)
{
    for (; env && env[*at]; (*at)++) {
        struct gw_slice rest = gw_slice_from(env[*at]), name;
        if (!gw_slice_starts(rest, GW_SLICE("GWH_")))
            continue;
        gw_slice_split(&rest, '=', &name);
        if (!is_known_variable(name))
            return env[(*at)++];
    }
    return NULL;
}
