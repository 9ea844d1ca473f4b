/* delivery_log_writer.c: owns the way of rows into the database.
 *
 *   add (any thread) ─▶ memory ─ a full batch, or a second has passed ─▶ INSERT ─▶ written
 *     │ full                │ down, or too slow: half of the memory is used   ▲
 *     ▼                     ▼                                                │ a batch a turn
 *   dropped ◀── full ───── spool (disk) ─────────────────────────────────────┘
 *
 * Rows have no order: those in memory go first, those on disk when there is time. After a failure
 * nothing is tried for a while, 1 s doubling to 30 s, and rows go to disk at once. What the spool does
 * not take (its ceiling, the disk's) is dropped and counted: what is already there is never thrown away
 * for something newer. A batch whose answer was lost is inserted again.
 *
 * A row that the database will never take would hold up all others: a batch with one is halved until it
 * stands alone, and is dropped.
 *
 * Threads: add and state on any; open, close and the timer on env's; all else on the worker's, which
 * may wait for the database and the disk. Failure: nothing here fails a delivery. A crash loses the rows
 * in memory, of about a second; the ledger has what they told of. */
#include "store/delivery_log_writer.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "store/delivery_log_spool.h"
#include "store/delivery_log_sql.h"
#include "store/postgres.h"

#define TICK_MS        1000
#define BACKOFF_US     ((int64_t)1000000)
#define BACKOFF_US_MAX ((int64_t)30 * 1000000)
#define SPOOL_PIECE    ((size_t)1024 * 1024) /* of one write */

struct queued {
    struct gw_msg msg; /* the worker's queue, then the list of its table */
    int64_t at_ms;
    size_t len;
    char row[];
};

struct pending {
    struct gw_list rows; /* struct queued, oldest first */
    size_t count;
};

/* Rows of one table on their way into a statement. */
struct batch {
    struct gw_slice rows[GW_DELIVERY_LOG_ROWS_MAX];
    size_t count;
};

struct gw_delivery_log_writer {
    struct gw_delivery_log base;
    struct gw_env *env;
    struct gw_worker *worker;
    struct gw_timer timer;
    struct gw_msg tick, last; /* to the worker: write what there is; and it is the end */
    atomic_bool is_tick_posted, is_stopping;
    size_t memory_bytes_max;
    atomic_size_t memory_bytes;
    _Atomic uint64_t written, spooled, dropped;
    _Atomic int64_t spool_bytes, oldest_ms;
    /* the worker's */
    struct gw_postgres *postgres;
    struct gw_delivery_log_spool *spool;
    struct pending pending[GW_DELIVERY_LOG_TABLES];
    struct batch batches[GW_DELIVERY_LOG_TABLES]; /* of the spool */
    int64_t spool_oldest_ms;                      /* not later than its first row; 0 = none */
    bool is_down;
    bool was_dropping; /* said so since the last time that nothing was dropped */
    int64_t backoff_us, again_us;
};

static struct gw_delivery_log_writer *writer_of(struct gw_delivery_log *log)
{
    return gw_container_of(log, struct gw_delivery_log_writer, base);
}

/* ── On any thread ─────────────────────────────────────────────────────────────────────────── */

static void drop(struct gw_delivery_log_writer *w, size_t rows)
{
    atomic_fetch_add_explicit(&w->dropped, rows, memory_order_relaxed);
}

static void add(struct gw_delivery_log *log, int64_t now_ms, struct gw_slice row)
{
    struct gw_delivery_log_writer *w = writer_of(log);
    size_t bytes = sizeof(struct queued) + row.len;
    size_t before = atomic_fetch_add_explicit(&w->memory_bytes, bytes, memory_order_relaxed);
    if (before + bytes > w->memory_bytes_max) {
        atomic_fetch_sub_explicit(&w->memory_bytes, bytes, memory_order_relaxed);
        drop(w, 1);
        return;
    }
    struct queued *queued = gw_alloc(bytes);
    queued->at_ms = now_ms;
    queued->len = row.len;
    memcpy(queued->row, row.ptr, row.len);
    gw_worker_post(w->worker, &queued->msg);
}

static struct gw_delivery_log_state state(struct gw_delivery_log *log)
{
    struct gw_delivery_log_writer *w = writer_of(log);
    return (struct gw_delivery_log_state){
        .written = atomic_load(&w->written),
        .spooled = atomic_load(&w->spooled),
        .dropped = atomic_load(&w->dropped),
        .spool_bytes = atomic_load(&w->spool_bytes),
        .oldest_ms = atomic_load(&w->oldest_ms),
    };
}

static void post_tick(struct gw_delivery_log_writer *w)
{
    if (!atomic_exchange(&w->is_tick_posted, true))
        gw_worker_post(w->worker, &w->tick);
}

static void on_timer(struct gw_timer *timer)
{
    struct gw_delivery_log_writer *w = gw_container_of(timer, struct gw_delivery_log_writer, timer);
    post_tick(w);
    gw_env_timer_set(w->env, timer, TICK_MS);
}

/* ── Up and down ───────────────────────────────────────────────────────────────────────────── */

static void go_down(struct gw_delivery_log_writer *w, const struct gw_error *error)
{
    if (!w->is_down)
        gw_log(GW_LOG_WARN, "delivery_log_down", GW_S("why", error->text));
    w->is_down = true;
    w->again_us = gw_env_mono_us(w->env) + w->backoff_us;
    w->backoff_us = w->backoff_us * 2 < BACKOFF_US_MAX ? w->backoff_us * 2 : BACKOFF_US_MAX;
}

/* A batch went in: a connection alone would not prove that the next one will. */
static void go_up(struct gw_delivery_log_writer *w)
{
    if (w->is_down)
        gw_log(GW_LOG_INFO, "delivery_log_up",
               GW_I("spoolBytes", gw_delivery_log_spool_bytes(w->spool)));
    w->is_down = false;
    w->backoff_us = BACKOFF_US;
}

/* True: there is a connection, and no reason to spare it. */
static bool may_try(struct gw_delivery_log_writer *w)
{
    struct gw_error error;
    if (w->is_down && gw_env_mono_us(w->env) < w->again_us)
        return false;
    if (gw_postgres_is_connected(w->postgres))
        return true;
    if (gw_postgres_connect(w->postgres, &error) == GW_OK)
        return true;
    go_down(w, &error);
    return false;
}

/* ── INSERT ────────────────────────────────────────────────────────────────────────────────── */

static enum gw_err insert_once(struct gw_delivery_log_writer *w, enum gw_delivery_log_table_id id,
                               const struct gw_slice *rows, size_t count, struct gw_error *error)
{
    const struct gw_delivery_log_table *table = &gw_delivery_log_tables[id];
    size_t columns = table->column_count;
    struct gw_arena arena = {0};
    struct gw_buf sql = {0};
    const char **values = gw_arena_alloc(&arena, count * columns * sizeof(*values));
    uint32_t *types = gw_arena_alloc(&arena, count * columns * sizeof(*types));
    for (size_t i = 0; i < count; i++) {
        struct gw_delivery_log_value row[GW_DELIVERY_LOG_COLUMNS_MAX];
        enum gw_delivery_log_table_id own;
        gw_check(gw_delivery_log_decode(rows[i], &own, row) && own == id);
        for (size_t j = 0; j < columns; j++) {
            enum gw_delivery_log_type type = table->columns[j].type;
            types[i * columns + j] = gw_delivery_log_sql_oid(type);
            values[i * columns + j] = gw_delivery_log_sql_value(&row[j], type, &arena);
        }
    }
    gw_delivery_log_sql_insert(&sql, id, count);
    struct gw_postgres_parameters parameters = {values, types, count * columns};
    enum gw_err err = gw_postgres_run(w->postgres, gw_buf_text(&sql), &parameters, NULL, error);
    gw_buf_deinit(&sql);
    gw_arena_deinit(&arena);
    return err;
}

/* All of them are written (or can never be) when it answers true; else the database is down. */
static bool insert(struct gw_delivery_log_writer *w, enum gw_delivery_log_table_id table,
                   const struct gw_slice *rows, size_t count)
{
    struct gw_error error;
    if (count == 0)
        return true;
    if (!may_try(w))
        return false;
    enum gw_err err = insert_once(w, table, rows, count, &error);
    if (err == GW_OK) {
        atomic_fetch_add(&w->written, count);
        go_up(w);
        return true;
    }
    if (err != GW_ERR_INVALID) {
        go_down(w, &error);
        return false;
    }
    if (count == 1) {
        gw_log(GW_LOG_WARN, "delivery_log_row_refused", GW_S("why", error.text));
        drop(w, 1);
        return true;
    }
    return insert(w, table, rows, count / 2) &&
           insert(w, table, rows + count / 2, count - count / 2);
}

/* ── Rows in memory ────────────────────────────────────────────────────────────────────────── */

static void take(struct gw_delivery_log_writer *w, struct queued *queued)
{
    struct pending *pending = &w->pending[(size_t)queued->row[0]];
    gw_list_push(&pending->rows, &queued->msg.link);
    pending->count++;
}

static struct queued *first_of(const struct pending *pending)
{
    return gw_list_empty(&pending->rows)
               ? NULL
               : gw_container_of(pending->rows.next, struct queued, msg.link);
}

static void free_first(struct gw_delivery_log_writer *w, struct pending *pending)
{
    struct queued *queued = first_of(pending);
    gw_list_remove(&queued->msg.link);
    pending->count--;
    atomic_fetch_sub_explicit(&w->memory_bytes, sizeof(*queued) + queued->len,
                              memory_order_relaxed);
    gw_free(queued);
}

/* False: the database is down, and the rest is still there. */
static bool write_table(struct gw_delivery_log_writer *w, enum gw_delivery_log_table_id table,
                        bool flushes)
{
    struct pending *pending = &w->pending[table];
    struct gw_slice rows[GW_DELIVERY_LOG_ROWS_MAX];
    while (pending->count >= (flushes ? 1 : GW_DELIVERY_LOG_ROWS_MAX)) {
        size_t count = 0;
        gw_list_each (link, &pending->rows) {
            struct queued *queued = gw_container_of(link, struct queued, msg.link);
            rows[count++] = (struct gw_slice){queued->row, queued->len};
            if (count == GW_DELIVERY_LOG_ROWS_MAX)
                break;
        }
        if (!insert(w, table, rows, count))
            return false;
        for (size_t i = 0; i < count; i++)
            free_first(w, pending);
        if (atomic_load(&w->memory_bytes) > w->memory_bytes_max / 2)
            return true; /* more comes in than goes out */
    }
    return true;
}

/* ── The spool ─────────────────────────────────────────────────────────────────────────────── */

static void spool_piece(struct gw_delivery_log_writer *w, struct gw_buf *records, size_t rows)
{
    enum gw_err err = gw_delivery_log_spool_write(w->spool, gw_buf_slice(records));
    if (err == GW_OK) {
        atomic_fetch_add(&w->spooled, rows);
    } else {
        drop(w, rows);
        if (!w->was_dropping)
            gw_log(GW_LOG_ERROR, "delivery_log_dropping", GW_S("why", gw_err_name(err)));
    }
    w->was_dropping = err != GW_OK;
    gw_buf_clear(records);
}

static void spool_table(struct gw_delivery_log_writer *w, struct pending *pending)
{
    struct gw_buf records = {0};
    size_t rows = 0;
    for (struct queued *queued; (queued = first_of(pending));) {
        if (w->spool_oldest_ms == 0)
            w->spool_oldest_ms = queued->at_ms;
        gw_delivery_log_spool_add(&records, queued->at_ms,
                                  (struct gw_slice){queued->row, queued->len});
        rows++;
        free_first(w, pending);
        if (records.len >= SPOOL_PIECE) {
            spool_piece(w, &records, rows);
            rows = 0;
        }
    }
    if (rows > 0)
        spool_piece(w, &records, rows);
    gw_buf_deinit(&records);
}

/* Up to a batch of rows, each in that of its table. */
static size_t read_spool(struct gw_delivery_log_writer *w, int64_t *at_ms)
{
    struct gw_delivery_log_value values[GW_DELIVERY_LOG_COLUMNS_MAX];
    enum gw_delivery_log_table_id table;
    struct gw_slice row;
    size_t count = 0, spoilt = 0;
    for (size_t i = 0; i < GW_DELIVERY_LOG_TABLES; i++)
        w->batches[i].count = 0;
    while (count < GW_DELIVERY_LOG_ROWS_MAX &&
           gw_delivery_log_spool_next(w->spool, at_ms, &row, &spoilt)) {
        count++;
        if (gw_delivery_log_decode(row, &table, values))
            w->batches[table].rows[w->batches[table].count++] = row;
        else
            drop(w, 1); /* of another version */
    }
    if (spoilt > 0)
        gw_log(GW_LOG_WARN, "delivery_log_spool_damaged", GW_I("files", spoilt));
    return count;
}

/* One batch of what is on disk. True: there may be more, and the database takes it. */
static bool unspool(struct gw_delivery_log_writer *w)
{
    int64_t at_ms;
    if (gw_delivery_log_spool_bytes(w->spool) == 0 || !may_try(w))
        return false;
    if (read_spool(w, &at_ms) == 0)
        return false;
    for (size_t i = 0; i < GW_DELIVERY_LOG_TABLES; i++) {
        if (!insert(w, (enum gw_delivery_log_table_id)i, w->batches[i].rows, w->batches[i].count)) {
            gw_delivery_log_spool_again(w->spool);
            return false;
        }
    }
    gw_delivery_log_spool_taken(w->spool);
    w->spool_oldest_ms = at_ms;
    return true;
}

/* ── A turn ────────────────────────────────────────────────────────────────────────────────── */

static void tell(struct gw_delivery_log_writer *w)
{
    int64_t bytes = gw_delivery_log_spool_bytes(w->spool);
    if (bytes == 0)
        w->spool_oldest_ms = 0;
    int64_t oldest_ms = w->spool_oldest_ms;
    for (size_t i = 0; i < GW_DELIVERY_LOG_TABLES; i++) {
        const struct queued *first = first_of(&w->pending[i]);
        if (first && (oldest_ms == 0 || first->at_ms < oldest_ms))
            oldest_ms = first->at_ms;
    }
    atomic_store(&w->spool_bytes, bytes);
    atomic_store(&w->oldest_ms, oldest_ms);
}

static void turn(struct gw_delivery_log_writer *w, bool flushes, bool is_last)
{
    bool is_up = true;
    for (size_t i = 0; is_up && i < GW_DELIVERY_LOG_TABLES; i++)
        is_up = write_table(w, (enum gw_delivery_log_table_id)i, flushes);
    bool is_full = atomic_load(&w->memory_bytes) > w->memory_bytes_max / 2;
    for (size_t i = 0; (!is_up || is_full || is_last) && i < GW_DELIVERY_LOG_TABLES; i++)
        spool_table(w, &w->pending[i]);
    tell(w); /* before what may take long */
    if (is_up && !is_last && unspool(w))
        post_tick(w);
    tell(w);
}

static void on_batch(void *ctx, struct gw_list *msgs)
{
    struct gw_delivery_log_writer *w = ctx;
    bool flushes = false, is_last = false;
    gw_list_each_safe (link, msgs) {
        struct gw_msg *msg = gw_container_of(link, struct gw_msg, link);
        gw_list_remove(link);
        if (msg == &w->tick) {
            atomic_store(&w->is_tick_posted, false);
            flushes = true;
        } else if (msg == &w->last) {
            flushes = is_last = true;
        } else {
            take(w, gw_container_of(msg, struct queued, msg));
        }
    }
    turn(w, flushes, is_last);
}

/* ── Life ──────────────────────────────────────────────────────────────────────────────────── */

/* What an earlier process left has an age too. */
static void look_at_spool(struct gw_delivery_log_writer *w)
{
    struct gw_slice row;
    size_t spoilt = 0;
    if (gw_delivery_log_spool_next(w->spool, &w->spool_oldest_ms, &row, &spoilt))
        gw_delivery_log_spool_again(w->spool);
    tell(w);
    int64_t bytes = gw_delivery_log_spool_bytes(w->spool);
    if (bytes > 0)
        gw_log(GW_LOG_INFO, "delivery_log_spool_found", GW_I("bytes", bytes));
}

enum gw_err gw_delivery_log_writer_open(const struct gw_delivery_log_writer_options *options,
                                        struct gw_env *env, struct gw_delivery_log_writer **writer,
                                        struct gw_error *error)
{
    struct gw_delivery_log_spool_options spool = {
        .dir = options->dir,
        .bytes_max = options->spool_bytes_max,
        .disk_free_min_bytes = options->disk_free_min_bytes,
    };
    struct gw_delivery_log_writer *w = gw_zalloc(sizeof(*w));
    enum gw_err err = gw_delivery_log_spool_open(&spool, &w->spool, error);
    if (err != GW_OK) {
        gw_free(w);
        return err;
    }
    w->base = (struct gw_delivery_log){.add = add, .state = state};
    w->env = env;
    w->memory_bytes_max = options->memory_bytes_max;
    w->backoff_us = BACKOFF_US;
    for (size_t i = 0; i < GW_DELIVERY_LOG_TABLES; i++)
        gw_list_init(&w->pending[i].rows);
    look_at_spool(w);
    w->postgres = gw_postgres_create(env, options->url, &w->is_stopping);
    w->worker = gw_worker_start(env, "delivery-log", on_batch, w);
    w->timer.fire = on_timer;
    gw_env_timer_set(env, &w->timer, TICK_MS);
    *writer = w;
    return GW_OK;
}

void gw_delivery_log_writer_close(struct gw_delivery_log_writer *w)
{
    struct gw_delivery_log_state end;
    gw_env_timer_stop(w->env, &w->timer);
    atomic_store(&w->is_stopping, true);
    gw_worker_post(w->worker, &w->last);
    gw_worker_stop(w->worker);
    end = state(&w->base);
    gw_log(GW_LOG_INFO, "delivery_log_closed", GW_I("written", end.written),
           GW_I("spoolBytes", end.spool_bytes), GW_I("dropped", end.dropped));
    gw_postgres_destroy(w->postgres);
    gw_delivery_log_spool_close(w->spool);
    gw_free(w);
}

struct gw_delivery_log *gw_delivery_log_writer_log(struct gw_delivery_log_writer *w)
{
    return &w->base;
}
