/* Log lines, read back from a pipe in stderr's place by a JSON parser that is not ours. */
#include "test.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/timefmt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <yyjson.h>

static int read_end, real_stderr;

/* From here to uncapture() what is written to stderr waits in a pipe; no assertion may stand
 * between the two, for its text would go there too. */
static void capture(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_DIRECT), 0); /* O_DIRECT: one read, one write */
    read_end = ends[0];
    real_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

static void uncapture(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
}

/* What one write wrote. */
static struct gw_slice next_write(char text[PIPE_BUF + 1])
{
    ssize_t len = read(read_end, text, PIPE_BUF);

    text[len > 0 ? len : 0] = '\0';
    return (struct gw_slice){text, len > 0 ? (size_t)len : 0};
}

static yyjson_doc *parse_line(struct gw_slice line)
{
    expect(gw_slice_ends(line, GW_SLICE("}\n")), "%.*s", GW_SLICE_ARG(line));
    for (size_t i = 0; i + 1 < line.len; i++)
        expect((unsigned char)line.ptr[i] >= 0x20 && line.ptr[i] != 0x7F, "byte %zu", i);
    yyjson_doc *doc = yyjson_read(line.ptr, line.len, 0);
    expect(doc, "no JSON: %.*s", GW_SLICE_ARG(line));
    return doc;
}

static struct gw_slice member(yyjson_doc *doc, const char *name)
{
    yyjson_val *value = yyjson_obj_get(yyjson_doc_get_root(doc), name);

    return (struct gw_slice){yyjson_get_str(value), yyjson_get_len(value)};
}

static void writes_the_fields(void **state)
{
    char text[PIPE_BUF + 1];

    (void)state;
    capture();
    gw_log(GW_LOG_INFO, "listening", GW_S("address", "127.0.0.1"), GW_I("port", 8080),
           GW_I("least", INT64_MIN), GW_B("tls", 1 > 2), GW_B("first", true),
           GW_SL("part", ((struct gw_slice){"abcdef", 3})), GW_S("absent", NULL),
           GW_S("empty", ""));
    gw_log(GW_LOG_ERROR, "alone");
    uncapture();

    struct gw_slice line = next_write(text);
    expect_slice(gw_slice_skip(line, strlen("{'at':'2026-11-24T07:46:00.000Z'")),
                 ",\"level\":\"info\",\"event\":\"listening\",\"address\":\"127.0.0.1\","
                 "\"port\":8080,\"least\":-9223372036854775808,\"tls\":false,\"first\":true,"
                 "\"part\":\"abc\",\"absent\":null,\"empty\":\"\"}\n");
    yyjson_doc *doc = parse_line(line);
    int64_t at;
    expect(gw_time_parse(member(doc, "at"), &at), "%.*s", GW_SLICE_ARG(member(doc, "at")));
    int64_t age_ms = (int64_t)time(NULL) * 1000 - at;
    expect(age_ms > -2000 && age_ms < 60000, "%lld", (long long)age_ms);
    yyjson_doc_free(doc);

    line = next_write(text);
    expect_slice(gw_slice_skip(line, strlen("{'at':'2026-11-24T07:46:00.000Z'")),
                 ",\"level\":\"error\",\"event\":\"alone\"}\n");
    assert_int_equal(next_write(text).len, 0);
    close(read_end);
}

static void escapes(void **state)
{
    static const struct {
        struct gw_slice in;
        const char *out;
    } rows[] = {
        {GW_SLICE("say \"hi\" \\ /"), "say \\\"hi\\\" \\\\ /"},
        {GW_SLICE("a\b\f\n\r\tz"), "a\\b\\f\\n\\r\\tz"},
        {GW_SLICE("\0\x01\x1B\x1F\x7F"), "\\u0000\\u0001\\u001b\\u001f\\u007f"},
        {GW_SLICE("\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0"), "\\u0080\\u009b\\u009f\xC2\xA0"},
        {GW_SLICE("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80"),
         "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {GW_SLICE("\xFF"), "\xEF\xBF\xBD"},
        {GW_SLICE("a\xC3(\xA9z"), "a\xEF\xBF\xBD(\xEF\xBF\xBDz"},
        {GW_SLICE("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {GW_SLICE("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {GW_SLICE("cut \xF0\x9F\x98"), "cut \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    char text[PIPE_BUF + 1], wanted[200];

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        capture();
        gw_log(GW_LOG_WARN, "e", GW_SL("text", rows[i].in));
        uncapture();
        struct gw_slice line = next_write(text);
        snprintf(wanted, sizeof(wanted), ",\"text\":\"%s\"}\n", rows[i].out);
        expect(gw_slice_ends(line, gw_slice_from(wanted)), "row %zu: %s", i, text);
        yyjson_doc_free(parse_line(line));
        close(read_end);
    }
}

/* Whatever the bytes, and however many: one line of JSON, and the text is in it or cut. */
static void is_json_whatever_comes(void **state)
{
    static char noise[PIPE_BUF + 200];
    char text[PIPE_BUF + 1];
    uint64_t random = 17;

    (void)state;
    for (int round = 0; round < 600; round++) {
        bool plain = round % 2 == 0;
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char)(plain ? ' ' + draw(&random) % 0x5F : draw(&random));
        struct gw_slice in = {noise, (size_t)(draw(&random) % sizeof(noise))};
        capture();
        gw_log(GW_LOG_INFO, "noise", GW_SL("text", in), GW_I("behind", round));
        uncapture();

        struct gw_slice line = next_write(text);
        yyjson_doc *doc = parse_line(line);
        bool is_cut = yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(doc), "cut"));
        struct gw_slice out = member(doc, "text");
        expect(is_cut == (member(doc, "behind").ptr == NULL &&
                          !yyjson_obj_get(yyjson_doc_get_root(doc), "behind")),
               "round %d", round);
        if (plain) {
            expect(out.len == in.len || (is_cut && out.len < in.len), "round %d", round);
            assert_memory_equal(out.ptr, in.ptr, out.len);
        }
        if (is_cut) /* the room was used */
            expect(line.len > PIPE_BUF - 40 || out.len == in.len, "%zu", line.len);
        assert_int_equal(next_write(text).len, 0);
        yyjson_doc_free(doc);
        close(read_end);
    }
}

static void leaves_out_what_does_not_fit(void **state)
{
    static char big[PIPE_BUF];
    struct gw_log_field fields[600];
    char text[PIPE_BUF + 1];

    (void)state;
    for (size_t i = 0; i < gw_count(fields); i++)
        fields[i] = GW_I("n", i);
    capture();
    gw_log_write(GW_LOG_INFO, "many", fields, gw_count(fields));
    memset(big, 'b', sizeof(big) - 1);
    gw_log_write(GW_LOG_INFO, big, fields, 1);
    fields[0].name = big;
    gw_log_write(GW_LOG_INFO, "name", fields, 2);
    uncapture();
    for (int i = 0; i < 3; i++) {
        struct gw_slice line = next_write(text);
        expect(gw_slice_ends(line, GW_SLICE(",\"cut\":true}\n")), "line %d: %s", i, text);
        yyjson_doc_free(parse_line(line));
    }
    close(read_end);
}

static void keeps_to_the_level(void **state)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char text[PIPE_BUF + 1];

    (void)state;
    for (size_t max = 0; max < gw_count(names); max++) {
        enum gw_log_level level;
        assert_true(gw_log_level_parse(gw_slice_from(names[max]), &level));
        assert_int_equal(level, max);
        assert_string_equal(gw_log_level_name(level), names[max]);
        gw_log_level_set(level);
        capture();
        for (size_t each = 0; each < gw_count(names); each++)
            gw_log((enum gw_log_level)each, "e");
        uncapture();
        for (size_t each = 0; each <= max; each++) {
            yyjson_doc *doc = parse_line(next_write(text));
            expect_slice(member(doc, "level"), names[each]);
            yyjson_doc_free(doc);
        }
        assert_int_equal(next_write(text).len, 0);
        close(read_end);
    }
    gw_log_level_set(GW_LOG_INFO);

    static const char *const bad[] = {"", "INFO", "warning", "info ", "inf"};
    for (size_t i = 0; i < gw_count(bad); i++)
        expect(!gw_log_level_parse(gw_slice_from(bad[i]), &(enum gw_log_level){0}), "%s", bad[i]);
}

static void survives_a_stderr_that_takes_nothing(void **state)
{
    (void)state;
    real_stderr = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = 1234;
    gw_log(GW_LOG_INFO, "lost");
    int after = errno;
    uncapture();
    assert_int_equal(after, 1234);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 300; i++)
        gw_log(GW_LOG_INFO, "thread", GW_SL("text", *(struct gw_slice *)arg));
    return NULL;
}

/* Into a file opened for appending, as a service manager does it. */
static void lines_of_threads_do_not_mix(void **state)
{
    struct gw_slice texts[] = {GW_SLICE("a"), GW_SLICE("bb"), GW_SLICE("ccc"), {0}};
    static char big[3000];
    pthread_t threads[gw_count(texts)];
    char path[] = "/tmp/gwh-log-XXXXXX", line[PIPE_BUF + 1];
    int file = mkstemp(path), count = 0;

    (void)state;
    assert_true(file >= 0);
    memset(big, 'd', sizeof(big));
    texts[3] = (struct gw_slice){big, sizeof(big)};
    real_stderr = dup(STDERR_FILENO);
    fcntl(file, F_SETFL, O_APPEND);
    dup2(file, STDERR_FILENO);
    for (size_t i = 0; i < gw_count(threads); i++)
        pthread_create(&threads[i], NULL, write_lines, &texts[i]);
    for (size_t i = 0; i < gw_count(threads); i++)
        pthread_join(threads[i], NULL);
    uncapture();

    FILE *lines = fopen(path, "r");
    unlink(path);
    close(file);
    assert_non_null(lines);
    while (fgets(line, sizeof(line), lines)) {
        yyjson_doc *doc = parse_line(gw_slice_from(line));
        expect_slice(member(doc, "event"), "thread");
        yyjson_doc_free(doc);
        count++;
    }
    fclose(lines);
    assert_int_equal(count, 300 * gw_count(threads));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_fields),
        cmocka_unit_test(escapes),
        cmocka_unit_test(is_json_whatever_comes),
        cmocka_unit_test(leaves_out_what_does_not_fit),
        cmocka_unit_test(keeps_to_the_level),
        cmocka_unit_test(survives_a_stderr_that_takes_nothing),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
