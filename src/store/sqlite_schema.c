/* sqlite_schema.c: the tables and every statement, of both kinds of file. Nothing else holds SQL but
 * sqlite_conn.c, which opens, and sqlite_index.c, whose files can be thrown away. Numbers and columns are for ever: a change is a new schema version.
 *
 * No RETURNING and no IN (SELECT …): they build transient tables, and the heap then grows and
 * shrinks with every statement. */
#include "store/sqlite_internal.h"

/* ── Segments ──────────────────────────────────────────────────────────────────────────────── */

#define TALLY_2                                                                                    \
    "(id INTEGER PRIMARY KEY, hour INTEGER NOT NULL, app INTEGER NOT NULL, type INTEGER NOT NULL," \
    "  url INTEGER NOT NULL DEFAULT 0, received INTEGER NOT NULL DEFAULT 0,"                       \
    "  routed INTEGER NOT NULL DEFAULT 0, no_config INTEGER NOT NULL DEFAULT 0,"                   \
    "  inactive INTEGER NOT NULL DEFAULT 0, filtered INTEGER NOT NULL DEFAULT 0,"                  \
    "  duplicate INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL DEFAULT 0,"                  \
    "  replayed INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,"                 \
    "  dead INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,"                     \
    "  failed INTEGER NOT NULL DEFAULT 0, UNIQUE(hour, app, type, url)) STRICT;"

/* `span`: one row, of the accepts; `day` is that of the first. `name`: kind 0 = appId, 1 = eventType.
 * `event`: what is looked at stands before the body, so that a walk never reads bodies that overflow
 * their page; its keys are indexed elsewhere (sqlite_index.h). `open` and `done`: id = seq << 16 | n; a
 * row is in exactly one of them. `open` stays small, whatever is kept: only it has an index that is
 * touched by every delivery. `extra`: what a job has added, so that it may ask twice. `tally`: see
 * enum gw_tally_count, whose order its columns have; `url` is the hash of one (it may hold tokens), 0
 * of none. `open` and `done` name the tally of their event and of the URL that was tried last.
 * `hist`: of a tally's deliveries, how many took so long. `body` and `log` are sealed with the app's
 * key of that number; NULL, and empty, when there is nothing. */
static const char segment_schema[] =
    "CREATE TABLE span(id INTEGER PRIMARY KEY CHECK(id = 1), day INTEGER NOT NULL,"
    "  first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;"
    "CREATE TABLE name(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL,"
    "  UNIQUE(kind, text)) STRICT;"
    "CREATE TABLE event(seq INTEGER PRIMARY KEY, accepted INTEGER NOT NULL, app INTEGER NOT NULL,"
    "  type INTEGER NOT NULL, skip INTEGER NOT NULL, config_version INTEGER NOT NULL,"
    "  key_hash INTEGER, tx_hash INTEGER, body_hash INTEGER NOT NULL, event_id TEXT,"
    "  transaction_id TEXT, workflow_id TEXT, event_time TEXT, app_key INTEGER NOT NULL,"
    "  body BLOB) STRICT;"
    "CREATE TABLE open(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, due INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL, step INTEGER NOT NULL, resume INTEGER NOT NULL,"
    "  created INTEGER NOT NULL, tally INTEGER NOT NULL, app_key INTEGER NOT NULL,"
    "  log BLOB NOT NULL) STRICT;"
    "CREATE INDEX open_due ON open(lane, due);"
    "CREATE TABLE done(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, state INTEGER NOT NULL,"
    "  reason INTEGER NOT NULL, attempts INTEGER NOT NULL, step INTEGER NOT NULL,"
    "  created INTEGER NOT NULL, ended INTEGER NOT NULL, tally INTEGER NOT NULL,"
    "  app_key INTEGER NOT NULL,"
    "  log BLOB NOT NULL) STRICT;"
    "CREATE INDEX done_other ON done(state) WHERE state <> 1;"
    "CREATE TABLE extra(seq INTEGER NOT NULL, key BLOB NOT NULL, lane INTEGER NOT NULL,"
    "  id INTEGER NOT NULL, PRIMARY KEY(seq, key, lane)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tally" TALLY_2
    "CREATE TABLE hist(tally INTEGER NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL,"
    "  PRIMARY KEY(tally, bucket)) STRICT, WITHOUT ROWID;";

/* Of version 1: a tally knew no URL, and no failed attempts; these the rows still tell. */
#define TALLY_COLUMNS_1                                                                            \
    "id, hour, app, type, received, routed, no_config, inactive, filtered, duplicate, created,"    \
    " replayed, delivered, dead, cancelled"
static const char *const segment_steps[] = {
    "CREATE TABLE tally_2" TALLY_2 "INSERT INTO tally_2(" TALLY_COLUMNS_1
    ") SELECT " TALLY_COLUMNS_1 " FROM tally;"
    "DROP TABLE tally;"
    "ALTER TABLE tally_2 RENAME TO tally;"
    "UPDATE tally SET failed = rows.n FROM"
    "  (SELECT tally, sum(n) AS n FROM (SELECT tally, attempts AS n FROM open"
    "     UNION ALL SELECT tally, attempts - (state = 1) FROM done) GROUP BY tally) AS rows"
    "  WHERE rows.tally = tally.id;",
};

#define OPEN_COLUMNS "id, lane, due, attempts, step, resume, created"
#define DONE_COLUMNS "id, lane, state, reason, attempts, step, created, ended"

static const char *const segment_sql[] = {
    [SEG_BEGIN] = "BEGIN IMMEDIATE",
    [SEG_COMMIT] = "COMMIT",
    [SEG_ROLLBACK] = "ROLLBACK",
    [SEG_READ] = "BEGIN",
    [SEG_LAST_SEQ] = "SELECT max(seq) FROM event",
    [SEG_SPAN_GET] = "SELECT day, first, last FROM span WHERE id = 1",
    [SEG_SPAN_SET] = "INSERT INTO span VALUES(1, ?1, ?2, ?3)"
                     " ON CONFLICT(id) DO UPDATE SET first = excluded.first, last = excluded.last",
    [SEG_NAME_ID] = "SELECT id FROM name WHERE kind = ?1 AND text = ?2",
    [SEG_NAME_ADD] = "INSERT INTO name(kind, text) VALUES(?1, ?2)",
    [SEG_NAME] = "SELECT text FROM name WHERE id = ?1",
    [SEG_EVENT_ADD] = "INSERT INTO event VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,"
                      "?15)",
    /* An event that may make another a duplicate. */
    [SEG_EVENT_OLD] = "SELECT accepted, app, body_hash, event_id, skip FROM event WHERE seq = ?1",
    [SEG_EVENT] = "SELECT e.accepted, e.skip, e.config_version, a.text, t.text, e.event_id,"
                  " e.transaction_id, e.workflow_id, e.event_time FROM event e"
                  " JOIN name a ON a.id = e.app JOIN name t ON t.id = e.type WHERE e.seq = ?1",
    [SEG_EVENT_APP] = "SELECT a.text, e.accepted, e.app, e.type, e.app_key FROM event e"
                      " JOIN name a ON a.id = e.app WHERE e.seq = ?1",
    [SEG_EVENT_BODY] = "SELECT app_key, body FROM event WHERE seq = ?1",
    [SEG_EVENTS_DOWN] = "SELECT seq, accepted, app, type FROM event WHERE seq <= ?1"
                        " ORDER BY seq DESC",
    [SEG_EVENT_TX] = "SELECT app, transaction_id FROM event WHERE seq = ?1",
    [SEG_EVENT_ERASE] = "UPDATE event SET app_key = 0, body = NULL WHERE seq = ?1",
    [SEG_OPEN_ERASE] = "UPDATE open SET app_key = 0, log = x'' WHERE id BETWEEN ?1 AND ?2",
    [SEG_DONE_ERASE] = "UPDATE done SET app_key = 0, log = x'' WHERE id BETWEEN ?1 AND ?2",
    [SEG_KEYS_UP] = "SELECT seq, skip, key_hash, tx_hash FROM event WHERE seq > ?1 AND seq <= ?2"
                    " ORDER BY seq",
    [SEG_OPEN_ADD] = "INSERT INTO open VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
    [SEG_OPEN_GET] = "SELECT " OPEN_COLUMNS ", tally, app_key, log FROM open WHERE id = ?1",
    [SEG_OPEN_NEXT] = "SELECT " OPEN_COLUMNS " FROM open WHERE id > ?1 ORDER BY id LIMIT 1",
    [SEG_OPEN_SET] = "UPDATE open SET due = ?2, attempts = ?3, step = ?4, resume = ?5,"
                     " tally = ?6, log = ?7 WHERE id = ?1",
    [SEG_OPEN_DELETE] = "DELETE FROM open WHERE id = ?1",
    [SEG_OPEN_OF] = "SELECT " OPEN_COLUMNS ", app_key, log FROM open WHERE id BETWEEN ?1 AND ?2"
                    " ORDER BY id",
    [SEG_OPEN_DOWN] = "SELECT id FROM open WHERE id <= ?1 ORDER BY id DESC",
    [SEG_OPEN_COUNT] = "SELECT count(*) FROM open",
    [SEG_OPEN_LAST_OF] = "SELECT max(id) FROM open WHERE id BETWEEN ?1 AND ?2",
    [SEG_LANE_AFTER] = "SELECT min(lane) FROM open WHERE lane > ?1",
    [SEG_LANE_ANY] = "SELECT id FROM open WHERE lane = ?1 LIMIT 1",
    /* Two halves of (due, id) > (?2, ?3): as one condition it would walk all that share ?2. */
    [SEG_LANE_SAME_DUE] = "SELECT " OPEN_COLUMNS " FROM open WHERE lane = ?1 AND due = ?2"
                          " AND id > ?3 ORDER BY id LIMIT ?4",
    [SEG_LANE_LATER] = "SELECT " OPEN_COLUMNS " FROM open WHERE lane = ?1 AND due > ?2"
                       " ORDER BY due, id LIMIT ?3",
    [SEG_DONE_ADD] = "INSERT INTO done VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    [SEG_DONE_GET] = "SELECT " DONE_COLUMNS ", tally, app_key, log FROM done WHERE id = ?1",
    [SEG_DONE_DELETE] = "DELETE FROM done WHERE id = ?1",
    [SEG_DONE_OF] = "SELECT " DONE_COLUMNS ", app_key, log FROM done WHERE id BETWEEN ?1 AND ?2"
                    " ORDER BY id",
    /* `state <> 1` stands there so that the partial index is seen to apply. */
    [SEG_DONE_DOWN] = "SELECT id FROM done WHERE state = ?1 AND state <> 1 AND id <= ?2"
                      " ORDER BY id DESC",
    [SEG_DONE_LAST_OF] = "SELECT max(id) FROM done WHERE id BETWEEN ?1 AND ?2",
    [SEG_EXTRA_GET] = "SELECT id FROM extra WHERE seq = ?1 AND key = ?2 AND lane = ?3",
    [SEG_EXTRA_FIRST] = "SELECT min(id) FROM extra WHERE seq = ?1",
    [SEG_EXTRA_ADD] = "INSERT INTO extra VALUES(?1, ?2, ?3, ?4)",
    [SEG_EXTRA_UP] = "SELECT seq FROM extra ORDER BY seq",
    [SEG_TALLY_ID] = "SELECT id FROM tally WHERE hour = ?1 AND app = ?2 AND type = ?3"
                     " AND url = 0",
    [SEG_TALLY_ADD] = "INSERT INTO tally(hour, app, type) VALUES(?1, ?2, ?3)",
    [SEG_TALLY_AT] = "SELECT b.id FROM tally a JOIN tally b ON b.hour = a.hour AND b.app = a.app"
                     " AND b.type = a.type AND b.url = ?2 WHERE a.id = ?1",
    [SEG_TALLY_ADD_AT] = "INSERT INTO tally(hour, app, type, url) SELECT hour, app, type, ?2"
                         " FROM tally WHERE id = ?1",
    [SEG_TALLY_COUNT] = "UPDATE tally SET received = received + ?2, routed = routed + ?3,"
                        " no_config = no_config + ?4, inactive = inactive + ?5,"
                        " filtered = filtered + ?6, duplicate = duplicate + ?7,"
                        " created = created + ?8, replayed = replayed + ?9,"
                        " delivered = delivered + ?10, dead = dead + ?11,"
                        " cancelled = cancelled + ?12, failed = failed + ?13 WHERE id = ?1",
    [SEG_TALLIES] = "SELECT id, app, type, received, routed, no_config, inactive, filtered,"
                    " duplicate, created, replayed, delivered, dead, cancelled, failed FROM tally"
                    " WHERE hour >= ?1 AND hour < ?2",
    [SEG_STATS] = "SELECT t.id, t.hour, a.text, b.text, t.received,"
                  " t.no_config + t.inactive + t.filtered, t.delivered, t.failed, t.dead"
                  " FROM tally t JOIN name a ON a.id = t.app JOIN name b ON b.id = t.type"
                  " WHERE t.hour >= ?1 AND t.hour < ?2 AND (?3 = 0 OR t.app = ?3)"
                  " AND (?4 = 0 OR t.type = ?4) AND (?5 = 0 OR t.url = ?5)",
    [SEG_HIST_ADD] = "INSERT INTO hist VALUES(?1, ?2, ?3)"
                     " ON CONFLICT(tally, bucket) DO UPDATE SET n = n + excluded.n",
    [SEG_HIST_OF] = "SELECT bucket, n FROM hist WHERE tally = ?1",
    [SEG_OPEN_TALLIES] = "SELECT tally, lane FROM open",
    [SEG_EVENTS_UP] = "SELECT seq, accepted, app, type, skip FROM event ORDER BY seq",
    [SEG_OPEN_UP] = "SELECT id, 0, attempts FROM open ORDER BY id",
    [SEG_DONE_UP] = "SELECT id, state, attempts FROM done ORDER BY id",
};

const struct sqlite_kind sqlite_segment_kind = {
    .what = "segment",
    .application_id = 0x67776873, /* "gwhs" */
    .version = 2,
    .schema = segment_schema,
    .steps = segment_steps,
    .sql = segment_sql,
    .sql_count = SEG_SQL_COUNT,
};

/* ── The main file ─────────────────────────────────────────────────────────────────────────── */

/* Since version 2. `audit`: see sqlite_admin.c; `subject` is a hash. */
#define ADMIN_TABLES                                                                               \
    "CREATE TABLE api_key(id TEXT PRIMARY KEY, appid TEXT NOT NULL, doc BLOB NOT NULL)"            \
    "  STRICT, WITHOUT ROWID;"                                                                     \
    "CREATE INDEX api_key_of ON api_key(appid);"                                                   \
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, app_id TEXT, subject INTEGER,"                     \
    "  is_config INTEGER NOT NULL, doc BLOB NOT NULL) STRICT;"                                     \
    "CREATE INDEX audit_of_app ON audit(app_id);"                                                  \
    "CREATE INDEX audit_of_subject ON audit(subject);"

static const char *const main_steps[] = {ADMIN_TABLES};

/* `segment`: those there are, each with the sequence at which it began. `lane` keeps numbers whose
 * config is gone: they are never given again. So does `app_key` (sealed NULL: erased). `health`: a
 * URL may hold tokens, so its hash stands for it. */
static const char main_schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE segment(number INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL) STRICT;"
    "CREATE TABLE config(app_id TEXT NOT NULL, event_type TEXT NOT NULL,"
    "  version INTEGER NOT NULL, doc BLOB NOT NULL, PRIMARY KEY(app_id, event_type)) STRICT;"
    "CREATE TABLE app(app_id TEXT PRIMARY KEY, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE lane(number INTEGER PRIMARY KEY, app_id TEXT NOT NULL,"
    "  event_type TEXT NOT NULL) STRICT;"
    "CREATE TABLE health(app_id TEXT NOT NULL, key BLOB NOT NULL, doc BLOB NOT NULL,"
    "  PRIMARY KEY(app_id, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE app_key(number INTEGER PRIMARY KEY, app_id TEXT NOT NULL, sealed BLOB) STRICT;"
    "CREATE INDEX app_key_of ON app_key(app_id);"
    "CREATE TABLE erasure(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, app_id TEXT NOT NULL,"
    "  transaction_id TEXT) STRICT;" ADMIN_TABLES;

#define CONFIG_COLUMNS "app_id, event_type, version, doc FROM config"
#define KEYS           "SELECT id, appid, doc FROM api_key"
#define AUDIT          "SELECT id, app_id, doc FROM audit WHERE id >= ?1 AND id < ?2 AND is_config >= ?3"

static const char *const main_sql[] = {
    [MAIN_BEGIN] = "BEGIN IMMEDIATE",
    [MAIN_COMMIT] = "COMMIT",
    [MAIN_ROLLBACK] = "ROLLBACK",
    [MAIN_READ] = "BEGIN",
    [MAIN_META_GET] = "SELECT value FROM meta WHERE name = ?1",
    [MAIN_META_SET] = "INSERT INTO meta VALUES(?1, ?2)"
                      " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
    [MAIN_SEGMENTS] = "SELECT number, first_seq FROM segment ORDER BY number",
    [MAIN_SEGMENT_ADD] = "INSERT INTO segment VALUES(?1, ?2)",
    [MAIN_SEGMENT_DELETE] = "DELETE FROM segment WHERE number = ?1",
    [MAIN_CONFIG_KEYS] = "SELECT app_id, event_type FROM config",
    [MAIN_CONFIG_VERSION] = "SELECT version FROM config WHERE app_id = ?1 AND event_type = ?2",
    [MAIN_CONFIG_SET] = "INSERT INTO config VALUES(?1, ?2, ?3, ?4)"
                        " ON CONFLICT(app_id, event_type) DO UPDATE"
                        " SET version = excluded.version, doc = excluded.doc",
    [MAIN_CONFIG_DELETE] = "DELETE FROM config WHERE app_id = ?1 AND event_type = ?2",
    [MAIN_CONFIGS_OF] = "SELECT " CONFIG_COLUMNS " WHERE app_id = ?1 ORDER BY event_type",
    [MAIN_CONFIGS_AFTER] = "SELECT " CONFIG_COLUMNS " WHERE (app_id, event_type) > (?1, ?2)"
                           " ORDER BY app_id, event_type LIMIT ?3",
    [MAIN_CONFIGS_OF_AFTER] = "SELECT " CONFIG_COLUMNS " WHERE app_id = ?1 AND event_type > ?2"
                              " ORDER BY event_type LIMIT ?3",
    [MAIN_APP_GET] = "SELECT revision FROM app WHERE app_id = ?1",
    [MAIN_APP_SET] = "INSERT INTO app VALUES(?1, ?2)"
                     " ON CONFLICT(app_id) DO UPDATE SET revision = excluded.revision",
    [MAIN_LANE_ADD] = "INSERT INTO lane VALUES(?1, ?2, ?3)",
    [MAIN_HEALTH_SET] = "INSERT INTO health VALUES(?1, ?2, ?3)"
                        " ON CONFLICT(app_id, key) DO UPDATE SET doc = excluded.doc",
    [MAIN_HEALTH_DELETE] = "DELETE FROM health WHERE app_id = ?1 AND key = ?2",
    [MAIN_HEALTH_ALL] = "SELECT app_id, key, doc FROM health",
    [MAIN_HEALTH_OF] = "SELECT app_id, key, doc FROM health WHERE app_id = ?1",
    [MAIN_APP_KEY_OF] = "SELECT number FROM app_key WHERE app_id = ?1 AND sealed IS NOT NULL"
                        " ORDER BY number DESC LIMIT 1",
    [MAIN_APP_KEY_GET] = "SELECT app_id, sealed FROM app_key WHERE number = ?1",
    [MAIN_APP_KEY_ADD] = "INSERT INTO app_key(app_id, sealed) VALUES(?1, ?2)",
    [MAIN_ERASURE_ADD] = "INSERT INTO erasure(at, app_id, transaction_id) VALUES(?1, ?2, ?3)",
    [MAIN_APP_KEY_ERASE] = "UPDATE app_key SET sealed = NULL WHERE app_id = ?1",
    [MAIN_KEY_GET] = KEYS " WHERE id = ?1",
    [MAIN_KEY_ADD] = "INSERT INTO api_key VALUES(?1, ?2, ?3)",
    [MAIN_KEY_DELETE] = "DELETE FROM api_key WHERE id = ?1",
    [MAIN_KEYS_OF] = KEYS " WHERE appid = ?1 ORDER BY id",
    [MAIN_KEYS_AFTER] = KEYS " WHERE id > ?1 ORDER BY id",
    [MAIN_AUDIT_LAST] = "SELECT max(id) FROM audit WHERE id >= ?1 AND id < ?2",
    [MAIN_AUDIT_ADD] = "INSERT INTO audit VALUES(?1, ?2, ?3, ?4, ?5)",
    [MAIN_AUDIT_DROP] = "DELETE FROM audit WHERE id = (SELECT min(id) FROM audit WHERE id < ?1)",
    [MAIN_AUDIT_DOWN] = AUDIT " ORDER BY id DESC",
    [MAIN_AUDIT_DOWN_APP] = AUDIT " AND app_id = ?4 ORDER BY id DESC",
    [MAIN_AUDIT_DOWN_SUBJECT] = AUDIT " AND subject = ?4 ORDER BY id DESC",
};

const struct sqlite_kind sqlite_main_kind = {
    .what = "main file",
    .application_id = 0x6777686d, /* "gwhm" */
    .version = 2,
    .schema = main_schema,
    .steps = main_steps,
    .sql = main_sql,
    .sql_count = MAIN_SQL_COUNT,
};

_Static_assert(gw_count(segment_sql) == SEG_SQL_COUNT, "a statement is missing");
_Static_assert(gw_count(main_sql) == MAIN_SQL_COUNT, "a statement is missing");
