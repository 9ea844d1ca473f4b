/* input.c: reading what a command is given. The buffer is the caller's, in every case. */
#include "cli/input.h"

#include "cli/command.h"
#include "cli/term.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define VALUE_BYTES_MAX ((size_t)1024 * 1024)

static int read_all(FILE *file, const char *shown, size_t max, struct gw_buf *out)
{
    char part[16384];
    size_t len;

    while ((len = fread(part, 1, sizeof(part), file)) > 0) {
        if (len > max - out->len)
            return gw_term_fail(GW_EXIT_USAGE, "%s: larger than %zu bytes", shown, max);
        gw_buf_add(out, part, len);
    }
    if (ferror(file))
        return gw_term_fail(GW_EXIT_FAILED, "cannot read %s: %s", shown, strerror(errno));
    return -1;
}

int gw_input_open(const char *path, FILE **file)
{
    *file = stdin;
    if (strcmp(path, "-") == 0) {
        if (isatty(STDIN_FILENO) == 1)
            fputs("reading standard input; Ctrl-D ends it\n", stderr);
        return -1;
    }
    *file = fopen(path, "re");
    if (*file == NULL)
        return gw_term_fail(GW_EXIT_FAILED, "cannot read %s: %s", path, strerror(errno));
    return -1;
}

void gw_input_close(FILE *file)
{
    if (file && file != stdin)
        fclose(file);
}

const char *gw_input_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

int gw_input_read(const char *path, size_t max, struct gw_buf *out)
{
    FILE *file;

    int code = gw_input_open(path, &file);
    if (code < 0)
        code = read_all(file, gw_input_name(path), max, out);
    gw_input_close(file);
    return code;
}

int gw_input_value(const char **value, struct gw_buf *text)
{
    if (*value == NULL || **value != '@')
        return -1;
    int code = gw_input_read(*value + 1, VALUE_BYTES_MAX, text);
    while (text->len > 0 && strchr("\r\n", text->ptr[text->len - 1]))
        text->len--;
    *value = gw_buf_text(text);
    return code;
}
