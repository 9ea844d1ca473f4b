/* sqlite_keys.c: the parts of the key indexes, each alone: the tail and the file against a plain
 * list, through random steps; filters; merges that fail, are repeated, or end with the process; files
 * that are damaged, short, or somebody else's. */
#include "sqlite_rig.h"

#include "base/log.h"
#include "store/sqlite_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWNER     4711
#define PART_KEYS 40
#define HASHES    30 /* few, so that keys repeat */

static uint64_t dice = 7;

static uint64_t draw(uint64_t below)
{
    uint64_t z = dice += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

/* ── The plain list ────────────────────────────────────────────────────────────────────────── */

struct list {
    struct sqlite_entry *entries;
    size_t count;
};

static int64_t hash_of(uint64_t i)
{
    uint64_t text = (i / 2 + 1) * 0x9E3779B97F4A7C15u; /* two apps each; of either sign */

    return (int64_t)(text >> 32 << 32 | (i % 2 ? 0 : UINT32_MAX - i));
}

static struct sqlite_entry draw_entry(uint64_t seq)
{
    return sqlite_entry((enum sqlite_entry_kind)draw(3), hash_of(draw(HASHES)), seq);
}

static void list_add(struct list *list, struct sqlite_entry entry)
{
    list->entries = gw_realloc(list->entries, (list->count + 1) * sizeof(*list->entries));
    list->entries[list->count++] = entry;
}

static void list_drop_first(struct list *list, size_t count)
{
    memmove(list->entries, list->entries + count, (list->count - count) * sizeof(*list->entries));
    list->count -= count;
}

/* The places of a key, newest first. */
static size_t list_seqs(const struct list *list, enum sqlite_entry_kind kind, int64_t hash,
                        uint64_t *seqs)
{
    size_t n = 0;

    for (size_t i = list->count; i-- > 0;)
        if (list->entries[i].hash == (uint64_t)hash && sqlite_entry_kind(&list->entries[i]) == kind)
            seqs[n++] = sqlite_entry_seq(&list->entries[i]);
    return n;
}

/* ── The tail ──────────────────────────────────────────────────────────────────────────────── */

static void compare_tail(const struct sqlite_tail *tail, const struct list *list)
{
    uint64_t *wanted = gw_alloc((list->count + 1) * sizeof(*wanted)), seq;

    assert_int_equal(sqlite_tail_count(tail), list->count);
    for (uint64_t h = 0; h < HASHES + 1; h++) {
        for (int kind = SQLITE_ENTRY_ROUTED; kind <= SQLITE_ENTRY_TX; kind++) {
            size_t count = list_seqs(list, (enum sqlite_entry_kind)kind, hash_of(h), wanted);
            struct sqlite_tail_walk walk = {
                .tail = tail, .kind = (enum sqlite_entry_kind)kind, .hash = hash_of(h)};
            for (size_t i = 0; i < count; i++) {
                assert_true(sqlite_tail_next(&walk, &seq));
                assert_int_equal(seq, wanted[i]);
            }
            assert_false(sqlite_tail_next(&walk, &seq));
        }
    }
    gw_free(wanted);
}

static void compare_copies(const struct sqlite_tail *tail, const struct list *list)
{
    int64_t hash = hash_of(draw(HASHES));

    for (int any_app = 0; any_app < 2; any_app++) {
        for (int is_event_id = 0; is_event_id < 2; is_event_id++) {
            struct gw_buf copy = {0};
            uint64_t wanted = 0, got = 0, seq;
            sqlite_tail_copy(tail, is_event_id, hash, any_app, &copy);
            for (size_t at = 0; at < copy.len; at += sizeof(seq)) {
                memcpy(&seq, copy.ptr + at, sizeof(seq));
                got += seq * seq;
            }
            for (size_t i = 0; i < list->count; i++) {
                const struct sqlite_entry *entry = &list->entries[i];
                uint64_t differs = entry->hash ^ (uint64_t)hash;
                seq = sqlite_entry_seq(entry);
                if ((any_app ? differs >> 32 : differs) == 0 &&
                    (sqlite_entry_kind(entry) != SQLITE_ENTRY_TX) == is_event_id)
                    wanted += seq * seq;
            }
            assert_int_equal(got, wanted);
            gw_buf_deinit(&copy);
        }
    }
}

static void test_tail(void **state)
{
    struct sqlite_tail tail = {0};
    struct list list = {0};
    uint64_t seq = 0;
    size_t mark = 0;

    (void)state;
    for (int step = 0; step < 20000; step++) {
        uint64_t what = draw(1000);
        if (what < 980) {
            list_add(&list, draw_entry(++seq));
            sqlite_tail_add(&tail, list.entries[list.count - 1]);
        } else if (what < 985) { /* a group begins */
            mark = tail.young.count;
        } else if (what < 990) { /* and fails */
            if (mark <= tail.young.count) {
                list.count -= tail.young.count - mark;
                sqlite_tail_cut(&tail, mark);
            }
        } else if (what < 993 && tail.merging.count == 0) {
            sqlite_tail_turn(&tail);
            mark = 0;
        } else if (what < 996) {
            list_drop_first(&list, tail.merging.count);
            sqlite_tail_let_go(&tail);
        }
        if (step % 97 == 0) {
            compare_tail(&tail, &list);
            compare_copies(&tail, &list);
        }
    }
    sqlite_tail_deinit(&tail);
    gw_free(list.entries);
}

/* ── Filters ───────────────────────────────────────────────────────────────────────────────── */

static void test_filter(void **state)
{
    const size_t keys = 100000;
    struct sqlite_filter *filter = sqlite_filter_create(keys);
    size_t passed = 0;

    (void)state;
    assert_in_range(sqlite_filter_bytes(filter), keys * 2, keys * 3);
    for (size_t i = 0; i < keys; i++)
        sqlite_filter_add(filter, draw(UINT64_MAX));
    dice = 7;
    for (size_t i = 0; i < keys; i++) /* never one too few */
        sqlite_filter_add(filter, draw(UINT64_MAX));
    dice = 7;
    for (size_t i = 0; i < keys; i++)
        assert_true(sqlite_filter_has(filter, draw(UINT64_MAX)));
    gw_free(filter);
    filter = sqlite_filter_create(keys);
    for (size_t i = 0; i < keys; i++)
        sqlite_filter_add(filter, draw(UINT64_MAX));
    for (size_t i = 0; i < 10 * keys; i++)
        passed += sqlite_filter_has(filter, draw(UINT64_MAX));
    print_message("a full filter lets %zu of %zu through\n", passed, 10 * keys);
    assert_in_range(passed, 1, 10 * keys / 2000);
    gw_free(filter);
}

/* ── The file ──────────────────────────────────────────────────────────────────────────────── */

struct keys {
    char dir[256], path[300];
    struct sqlite_index_file file;
    struct list list; /* what is in it */
    uint64_t seq;
};

static int keys_setup(void **state)
{
    struct keys *k = gw_zalloc(sizeof(*k));
    const char *base = getenv("TMPDIR");

    snprintf(k->dir, sizeof(k->dir), "%s/gwh-keys-XXXXXX", base ? base : "/tmp");
    gw_check(mkdtemp(k->dir) != NULL);
    snprintf(k->path, sizeof(k->path), "%s/00000001.idx", k->dir);
    *state = k;
    return 0;
}

static int keys_teardown(void **state)
{
    struct keys *k = *state;

    rig_vfs_fail(RIG_FAULT_NONE, NULL, 0);
    sqlite_index_file_close(&k->file);
    sqlite_index_file_remove(k->path);
    gw_check(rmdir(k->dir) == 0);
    gw_free(k->list.entries);
    gw_free(k);
    return 0;
}

static enum gw_err keys_try_open(struct keys *k, uint64_t last_seq)
{
    struct gw_error error;

    return sqlite_index_file_open(&k->file, k->path, OWNER, last_seq, PART_KEYS, &error);
}

static void keys_reopen(struct keys *k)
{
    sqlite_index_file_close(&k->file);
    assert_ok(keys_try_open(k, k->seq));
}

/* Entries of so many new events; they are not in the list yet. */
static struct list draw_list(struct keys *k, size_t count)
{
    struct list some = {0};

    for (size_t i = 0; i < count; i++) {
        k->seq += 1 + draw(2);
        list_add(&some, draw_entry(k->seq));
        if (draw(2))
            list_add(&some, sqlite_entry(SQLITE_ENTRY_TX, hash_of(HASHES), k->seq));
    }
    return some;
}

static enum gw_err keys_merge(struct keys *k, const struct list *some)
{
    return sqlite_index_merge(&k->file, some->entries, some->count, k->seq, NULL);
}

static void keys_take(struct keys *k, struct list *some)
{
    for (size_t i = 0; i < some->count; i++)
        list_add(&k->list, some->entries[i]);
    gw_free(some->entries);
}

static size_t ask(struct sqlite_conn *conn, enum sqlite_entry_kind kind, int64_t hash,
                  uint64_t *seqs, size_t max)
{
    struct sqlite_index_state said;
    size_t n = 0;

    if (!sqlite_index_state(conn, &said))
        return 0;
    for (uint32_t part = said.part + 1; part-- > 0;) {
        sqlite3_stmt *st = sqlite_index_ask(conn, part, kind, hash, SQLITE_SEQ_MAX, max);
        while (sqlite_row(conn, st)) {
            if (n < max)
                seqs[n++] = (uint64_t)sqlite3_column_int64(st, 0);
        }
    }
    return n;
}

/* False: the file was found to be damaged. */
static bool keys_compare(struct keys *k, const struct list *list)
{
    struct sqlite_conn *conn = &k->file.conn;
    uint64_t *wanted = gw_alloc((list->count + 1) * sizeof(*wanted));
    uint64_t *got = gw_alloc((list->count + 1) * sizeof(*got));
    bool is_well = true;

    conn->rc = SQLITE_OK;
    for (uint64_t h = 0; h <= HASHES && is_well; h++) {
        for (int kind = SQLITE_ENTRY_ROUTED; kind <= SQLITE_ENTRY_TX && is_well; kind++) {
            size_t count = list_seqs(list, (enum sqlite_entry_kind)kind, hash_of(h), wanted);
            size_t found =
                ask(conn, (enum sqlite_entry_kind)kind, hash_of(h), got, list->count + 1);
            is_well = conn->rc == SQLITE_OK;
            if (!is_well)
                break;
            assert_int_equal(found, count);
            assert_memory_equal(got, wanted, count * sizeof(*got));
        }
    }
    gw_free(wanted);
    gw_free(got);
    return is_well;
}

static void test_file(void **state)
{
    struct keys *k = *state;

    assert_ok(keys_try_open(k, 0));
    for (int step = 0; step < 150; step++) {
        struct list some = draw_list(k, draw(12));
        assert_ok(keys_merge(k, &some));
        if (draw(4) == 0)
            assert_ok(keys_merge(k, &some)); /* it was not known whether it was done */
        keys_take(k, &some);
        if (k->list.count > 0)
            assert_int_equal(k->file.state.merged_upto, k->seq);
        if (draw(8) == 0)
            keys_reopen(k);
        assert_true(keys_compare(k, &k->list));
    }
    print_message("%d entries in %d parts\n", (int)k->list.count, (int)k->file.state.part + 1);
    assert_in_range(k->file.state.part, 5, SQLITE_PARTS_MAX - 1);
}

/* More than its parts hold: the last one takes the rest. */
static void test_last_part(void **state)
{
    struct keys *k = *state;

    assert_ok(keys_try_open(k, 0));
    k->file.part_keys = 1;
    for (int step = 0; step < 2 * SQLITE_PARTS_MAX; step++) {
        struct list some = draw_list(k, 3);
        assert_ok(keys_merge(k, &some));
        keys_take(k, &some);
    }
    assert_int_equal(k->file.state.part, SQLITE_PARTS_MAX - 1);
    keys_reopen(k);
    assert_true(keys_compare(k, &k->list));
}

/* All hashes of a text, whatever the app. */
static void test_hashes(void **state)
{
    struct keys *k = *state;

    assert_ok(keys_try_open(k, 0));
    struct list some = draw_list(k, 30);
    assert_ok(keys_merge(k, &some));
    keys_take(k, &some);
    for (uint64_t h = 0; h < HASHES; h += 2) {
        size_t wanted = 0, found = 0;
        int64_t first = hash_of(h) & ~(int64_t)UINT32_MAX, last = first | UINT32_MAX, at = first;
        while (sqlite_index_hash(&k->file.conn, 0, false, last, &at)) {
            assert_true(at == hash_of(h) || at == hash_of(h + 1));
            found++;
            if (at++ == last)
                break;
        }
        for (uint64_t app = 0; app < 2; app++) {
            uint64_t *seqs = gw_alloc(k->list.count * sizeof(*seqs));
            wanted += list_seqs(&k->list, SQLITE_ENTRY_TX, hash_of(h + app), seqs) > 0;
            gw_free(seqs);
        }
        assert_int_equal(found, wanted);
    }
}

static void test_filter_of_part(void **state)
{
    struct keys *k = *state;
    struct list some;

    assert_ok(keys_try_open(k, 0));
    for (int step = 0; step < 20; step++) {
        some = draw_list(k, 10);
        assert_ok(keys_merge(k, &some));
        keys_take(k, &some);
    }
    for (uint32_t part = 0; part <= k->file.state.part; part++) {
        struct sqlite_filter *filter = sqlite_filter_create(PART_KEYS);
        uint64_t seqs[1];
        assert_true(sqlite_index_filter(&k->file.conn, part, filter));
        for (uint64_t h = 0; h <= HASHES; h++) {
            sqlite3_stmt *st = sqlite_index_ask(&k->file.conn, part, SQLITE_ENTRY_ROUTED,
                                                hash_of(h), SQLITE_SEQ_MAX, 1);
            while (sqlite_row(&k->file.conn, st))
                assert_true(sqlite_filter_has(filter, (uint64_t)hash_of(h)));
        }
        (void)seqs;
        gw_free(filter);
    }
}

/* ── Failures ──────────────────────────────────────────────────────────────────────────────── */

/* A write to the log fails: nothing of the merge is there, and it can be done again. */
static void test_merge_fails(void **state)
{
    static const enum rig_fault faults[] = {RIG_FAULT_WRITE, RIG_FAULT_FULL};
    struct keys *k = *state;
    int failed = 0;

    assert_ok(keys_try_open(k, 0));
    for (int after = 0; after < 24; after++) {
        struct list some = draw_list(k, 10);
        uint64_t upto = k->file.state.merged_upto;
        rig_vfs_fail(faults[after % 2], after % 3 ? ".idx-wal" : ".idx", after / 4);
        enum gw_err err = keys_merge(k, &some);
        rig_vfs_fail(RIG_FAULT_NONE, NULL, 0);
        if (err != GW_OK) {
            failed++;
            assert_int_not_equal(err, GW_ERR_CORRUPT);
            if (k->file.state.merged_upto == upto)
                assert_true(keys_compare(k, &k->list));
            assert_ok(keys_merge(k, &some));
        }
        keys_take(k, &some);
        assert_true(keys_compare(k, &k->list));
    }
    assert_in_range(failed, 5, 24);
}

/* Nobody knows what the file holds after it. */
static void test_sync_fails(void **state)
{
    struct keys *k = *state;

    assert_ok(keys_try_open(k, 0));
    struct list some = draw_list(k, 10);
    rig_vfs_fail(RIG_FAULT_SYNC, ".idx", 0);
    assert_int_equal(keys_merge(k, &some), GW_ERR_CORRUPT);
    rig_vfs_fail(RIG_FAULT_NONE, NULL, 0);
    keys_take(k, &some);
}

/* The process ends in the middle: each merge is there or is not. */
static void test_crash(void **state)
{
    struct keys *k = *state;

    assert_ok(keys_try_open(k, 0));
    for (int round = 0; round < 20; round++) {
        sqlite_index_file_close(&k->file);
        struct list some = draw_list(k, 10);
        pid_t child = fork();
        if (child == 0) {
            if (keys_try_open(k, k->seq) != GW_OK)
                _exit(2);
            rig_vfs_fail(RIG_FAULT_WRITE, round % 2 ? ".idx-wal" : ".idx", round / 2);
            (void)keys_merge(k, &some);
            _exit(0); /* nothing is closed */
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_ok(keys_try_open(k, k->seq));
        if (k->file.state.merged_upto != k->seq) {
            assert_true(keys_compare(k, &k->list));
            assert_ok(keys_merge(k, &some));
        }
        keys_take(k, &some);
        assert_true(keys_compare(k, &k->list));
    }
}

/* ── Damage ────────────────────────────────────────────────────────────────────────────────── */

static void test_not_ours(void **state)
{
    struct keys *k = *state;
    struct gw_error error;

    assert_ok(keys_try_open(k, 0));
    struct list some = draw_list(k, 10);
    assert_ok(keys_merge(k, &some));
    keys_take(k, &some);
    sqlite_index_file_close(&k->file);
    assert_int_equal(keys_try_open(k, k->seq - 1), GW_ERR_CORRUPT); /* knows too much */
    assert_int_equal(
        sqlite_index_file_open(&k->file, k->path, OWNER + 1, k->seq, PART_KEYS, &error),
        GW_ERR_CORRUPT);
    assert_ok(keys_try_open(k, k->seq));
}

static void put(const char *path, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    gw_check(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

static char *get(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    struct stat st;

    gw_check(f && fstat(fileno(f), &st) == 0);
    char *bytes = gw_alloc((size_t)st.st_size + 1);
    *len = fread(bytes, 1, (size_t)st.st_size, f);
    fclose(f);
    return bytes;
}

/* Either it is all there, or the damage is seen: never a wrong answer. */
static void try_damaged(struct keys *k, size_t *seen)
{
    enum gw_err err = keys_try_open(k, k->seq);

    if (err == GW_OK && keys_compare(k, &k->list)) {
        sqlite_index_file_close(&k->file);
        return;
    }
    if (err == GW_OK)
        err = sqlite_index_err(&k->file.conn, k->file.conn.rc);
    assert_int_equal(err, GW_ERR_CORRUPT);
    sqlite_index_file_close(&k->file);
    (*seen)++;
}

static void test_damage(void **state)
{
    struct keys *k = *state;
    size_t len, seen = 0, tried = 0;

    assert_ok(keys_try_open(k, 0));
    for (int step = 0; step < 8; step++) {
        struct list some = draw_list(k, 10);
        assert_ok(keys_merge(k, &some));
        keys_take(k, &some);
    }
    sqlite3_wal_checkpoint_v2(k->file.conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite_index_file_close(&k->file);
    char *bytes = get(k->path, &len), *copy = gw_alloc(len);
    for (size_t at = 0; at < len; at += 1 + draw(40), tried++) {
        memcpy(copy, bytes, len);
        copy[at] = (char)(copy[at] ^ (1 << draw(8)));
        sqlite_index_file_remove(k->path);
        put(k->path, copy, len);
        try_damaged(k, &seen);
    }
    print_message("%d flipped bytes of %d seen\n", (int)seen, (int)tried);
    for (size_t cut = 0; cut < len; cut += 1 + draw(400)) {
        sqlite_index_file_remove(k->path);
        put(k->path, bytes, cut);
        size_t noticed = 0;
        if (cut > 0) {
            try_damaged(k, &noticed);
            assert_int_equal(noticed, 1);
        }
    }
    sqlite_index_file_remove(k->path);
    put(k->path, bytes, len);
    assert_ok(keys_try_open(k, k->seq));
    assert_true(keys_compare(k, &k->list));
    gw_free(bytes);
    gw_free(copy);
}

int main(void)
{
#define WITH_FILE(fn) cmocka_unit_test_setup_teardown(fn, keys_setup, keys_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tail), cmocka_unit_test(test_filter), WITH_FILE(test_file),
        WITH_FILE(test_last_part),   WITH_FILE(test_hashes),        WITH_FILE(test_filter_of_part),
        WITH_FILE(test_merge_fails), WITH_FILE(test_sync_fails),    WITH_FILE(test_crash),
        WITH_FILE(test_not_ours),    WITH_FILE(test_damage),
    };

    gw_log_level_set(GW_LOG_ERROR);
    rig_vfs_install();
    sqlite_sum_init();
    return cmocka_run_group_tests_name("sqlite keys", tests, NULL, NULL);
}
