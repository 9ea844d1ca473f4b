/* dynamodb.h: the store on AWS: tables of DynamoDB, payloads in S3. Any number of processes share it.
 *
 *   PREFIX-config   appId, eventType: the configs
 *   PREFIX-ledger   pk = message id; sk = "E" (the event) or "D#nnnn" (its deliveries)
 *                   indexes: by_app (appId#hour#0-7), by_key (transaction and event id), open (lane#0-7)
 *   PREFIX-admin    pk, sk: keys, audit, history, health of targets, lanes' numbers, paces
 *
 * It has no threads and no locks: each operation runs on its op's env, with the clients of that env,
 * as a chain of calls to AWS. Ids: a message's is HMAC-SHA256, under a key made of the master key, of
 * (appId, eventId), else of (bucket, key, version or ETag); 16 bytes. A delivery's is the same and a
 * number of two bytes. */
#pragma once

#include "aws/client.h"
#include "store/store.h"

struct gw_dynamodb;

struct gw_dynamodb_options {
    const char *tables; /* the prefix */
    uint8_t master_key[32];
    int64_t retention_ms;   /* of events, which is the dedupe window too */
    int64_t audit_keep_ms;  /* 0 = for ever */
    const char *queue_url;  /* wakes of retries and jobs; NULL: they are refused */
    const char *put_bucket; /* not NULL: an event that is in no bucket is put there, for a worker to
                               route */
};

/* The options' texts must outlive it; the key is copied. Asks nobody yet. */
struct gw_dynamodb *gw_dynamodb_create(const struct gw_dynamodb_options *options);

/* For each env whose operations it will get, before its loop runs: what they speak to AWS with. */
void gw_dynamodb_join(struct gw_dynamodb *store, struct gw_env *env, struct gw_aws *aws);

/* When no operation is under way. */
void gw_dynamodb_destroy(struct gw_dynamodb *store);

struct gw_ledger *gw_dynamodb_ledger(struct gw_dynamodb *store);
struct gw_configs *gw_dynamodb_configs(struct gw_dynamodb *store);
struct gw_admin *gw_dynamodb_admin(struct gw_dynamodb *store);
struct gw_pace *gw_dynamodb_pace(struct gw_dynamodb *store);

/* The id that accept gives an event, or has given it; `place` may be NULL where there is an event id,
 * and alone counts where there is none. */
struct gw_id gw_dynamodb_message_id(const struct gw_dynamodb *store, struct gw_slice app_id,
                                    struct gw_slice event_id, const struct gw_place *place);

/* ── Tables ────────────────────────────────────────────────────────────────────────────────── */

/* Makes those that are missing, with their indexes and time to live, on demand, and waits until they
 * are there. Repeatable. `done` on the env's loop, which must be running. */
struct gw_dynamodb_init {
    /* in */
    struct gw_aws *aws;
    const char *tables;
    void (*told)(struct gw_dynamodb_init *init, const char *table, bool is_made); /* may be NULL */
    void (*done)(struct gw_dynamodb_init *init);
    /* out */
    struct gw_error error;
    unsigned made;
    /* its own */
    void *run;
};
void gw_dynamodb_init_start(struct gw_dynamodb_init *init);
