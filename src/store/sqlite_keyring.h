/* sqlite_keyring.h: what is sealed, and with which key. See sqlite_keyring.c. */
#pragma once

#include "store/sqlite_conn.h"
#include "store/sqlite_key.h"

struct gw_sqlite;

/* What is derived of the master key. */
struct sqlite_master {
    uint8_t meta[32], docs[32], apps[32];
};

void sqlite_master_init(struct sqlite_master *master, const uint8_t key[32]);
/* Inside a transaction. GW_ERR_KEY: the master key is another one. */
enum gw_err sqlite_master_open(const struct sqlite_master *master, struct sqlite_conn *conn,
                               bool is_new, struct sqlite_keys *keys, struct gw_error *error);

/* The place of a document in the main file. */
struct sqlite_doc {
    char kind; /* 'C' config, 'H' health, 'K' API key, 'A' line of the audit log */
    struct gw_slice app_id, name;
    uint64_t version;
};

void sqlite_doc_seal(const struct sqlite_master *master, const struct sqlite_doc *doc,
                     struct gw_slice plain, struct gw_buf *out);
bool sqlite_doc_open(const struct sqlite_master *master, const struct sqlite_doc *doc,
                     struct gw_slice sealed, struct gw_buf *out);

struct sqlite_key_slot {
    uint64_t id; /* number << 32 | segment; 0 = free */
    uint8_t key[32];
};

struct sqlite_app_slot {
    char *text; /* NULL = free */
    size_t len;
    uint32_t number;
};

/* One thread's. */
struct sqlite_keyring {
    struct gw_sqlite *sqlite;
    struct sqlite_conn *main;
    unsigned epoch;
    size_t size; /* of both, a power of two; a slot that is taken is overwritten */
    struct sqlite_key_slot *keys;
    struct sqlite_app_slot *apps;
    struct gw_buf room; /* the owner's, for what was opened last */
};

void sqlite_keyring_init(struct sqlite_keyring *ring, struct gw_sqlite *sqlite,
                         struct sqlite_conn *main, size_t size);
void sqlite_keyring_deinit(struct sqlite_keyring *ring);  /* also of one that never began */
void sqlite_keyring_forget(struct sqlite_keyring *ring);  /* what was read was not committed */
void sqlite_keyring_refresh(struct sqlite_keyring *ring); /* before each operation or group */
/* The number of the app's key; GW_ERR_NOT_FOUND: it has none yet. */
enum gw_err sqlite_keyring_find(struct sqlite_keyring *ring, struct gw_slice app_id,
                                uint32_t *number);
/* Gives it one, in a transaction of the main file; a failure is in its conn.rc. */
void sqlite_keyring_add(struct sqlite_keyring *ring, struct gw_slice app_id);
/* Destroys all of the app's, likewise. key_epoch is to grow after the commit. */
void sqlite_keyring_erase(struct sqlite_conn *main, struct gw_slice app_id);

enum sqlite_field_kind { SQLITE_FIELD_BODY = 'B', SQLITE_FIELD_LOG = 'L' }; /* stored, in a way */

struct sqlite_field {
    enum sqlite_field_kind kind;
    uint32_t segment;
    uint64_t row; /* BODY: seq; LOG: the delivery's */
    uint32_t key; /* the number of the app's */
};

/* Both into `out`, which is emptied. GW_ERR_GONE: the key was erased. */
enum gw_err sqlite_field_seal(struct sqlite_keyring *ring, struct sqlite_field field,
                              struct gw_slice plain, struct gw_buf *out);
enum gw_err sqlite_field_open(struct sqlite_keyring *ring, struct sqlite_field field,
                              struct gw_slice sealed, struct gw_buf *out);
