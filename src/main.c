/* main.c: `gwh`: finds the command in the table and runs it. Owns the help pages that are about more
 * than one.
 *
 * Exit codes: 0 done; 1 failed, or the answer is no; 2 bad usage or setting; 3 cannot start. */
#include "base/alloc.h"
#include "cli/command.h"
#include "cli/term.h"
#include "cli/text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* ── Pages ─────────────────────────────────────────────────────────────────────────────────── */

static void add_commands(struct gw_buf *out, const char *first_word)
{
    size_t len = strlen(first_word);

    for (size_t i = 0; i < gw_command_count; i++) {
        const char *name = gw_commands[i]->name;
        if (len == 0 || (strncmp(name, first_word, len) == 0 && name[len] == ' '))
            gw_buf_addf(out, "  %-16s %s\n", name, gw_commands[i]->summary);
    }
}

static int print(struct gw_buf *page)
{
    gw_term_flush(page);
    gw_buf_deinit(page);
    return GW_EXIT_DONE;
}

static int overview(void)
{
    struct gw_buf page = {0};

    gw_buf_adds(&page,
                GW_SLICE("gwh sends webhooks: events come in, each client gets its own, signed and "
                         "retried.\n\nUsage: gwh COMMAND [options]\n\nCommands\n"));
    add_commands(&page, "");
    gw_buf_adds(&page, GW_SLICE("\n  gwh COMMAND --help shows one with an example; gwh --version "
                                "says which gwh this is.\n\n"
                                "What asks a server finds it through GWH_URL and GWH_KEY, else at "
                                "http://127.0.0.1:8080\nwith the key in ./gwh-data/admin.key.\n"
                                "Exit codes: 0 done, 1 failed or the answer is no, 2 bad usage or "
                                "setting, 3 cannot start.\n"));
    return print(&page);
}

static int group(const char *word)
{
    struct gw_buf page = {0};

    gw_buf_addf(&page, "Usage: gwh %s COMMAND [options]\n\nCommands\n", word);
    add_commands(&page, word);
    return print(&page);
}

/* ── Finding ───────────────────────────────────────────────────────────────────────────────── */

/* The command that the words name; *words: how many of them do. */
static const struct gw_command *find(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < gw_command_count; i++) {
        struct gw_slice rest = gw_slice_from(gw_commands[i]->name), word;
        int at = 0;
        while (at < argc && rest.ptr && gw_slice_split(&rest, ' ', &word) &&
               gw_slice_is(word, argv[at]))
            at++;
        struct gw_slice name = gw_slice_from(gw_commands[i]->name);
        int wanted = memchr(name.ptr, ' ', name.len) ? 2 : 1;
        if (at == wanted) {
            *words = wanted;
            return gw_commands[i];
        }
    }
    return NULL;
}

static bool is_group(const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < gw_command_count; i++)
        if (strncmp(gw_commands[i]->name, word, len) == 0 && gw_commands[i]->name[len] == ' ')
            return true;
    return false;
}

static int unknown(int argc, char **argv)
{
    struct gw_text_nearest one = {.word = gw_slice_from(argv[0])}, two;
    struct gw_buf both = {0};

    gw_buf_addf(&both, "%s %s", argv[0], argc > 1 ? argv[1] : "");
    two = (struct gw_text_nearest){.word = gw_buf_slice(&both)};
    for (size_t i = 0; i < gw_command_count; i++) {
        gw_text_consider(&one, gw_commands[i]->name);
        gw_text_consider(&two, gw_commands[i]->name);
    }
    const char *best = two.best ? two.best : one.best;
    const char *shown = argc > 1 && is_group(argv[0]) ? both.ptr : argv[0];
    int code =
        gw_term_fail(GW_EXIT_USAGE, "there is no command \"%.*s\"%s%s%s; gwh help lists them",
                     shown == both.ptr ? (int)both.len : (int)strlen(argv[0]), shown,
                     best ? " (did you mean " : "", best ? best : "", best ? "?)" : "");
    gw_buf_deinit(&both);
    return code;
}

static bool is_word(const char *arg, const char *one, const char *other)
{
    return strcmp(arg, one) == 0 || strcmp(arg, other) == 0;
}

static int dispatch(int argc, char **argv)
{
    static char help_flag[] = "--help";
    int words = 0;

    if (argc == 0)
        return overview() + GW_EXIT_USAGE; /* nothing was asked for */
    if (is_word(argv[0], "--version", "version")) {
        struct gw_buf line = {0};
        gw_buf_adds(&line, GW_SLICE("gwh " GW_VERSION "\n"));
        return print(&line);
    }
    bool wants_help = is_word(argv[0], "--help", "-h") || strcmp(argv[0], "help") == 0;
    if (wants_help && argc == 1)
        return overview();
    if (wants_help) {
        argc--;
        argv++;
    }
    const struct gw_command *command = find(argc, argv, &words);
    if (command && wants_help) {
        char *help_argv[] = {argv[words - 1], help_flag, NULL};
        return command->main(2, help_argv);
    }
    if (command)
        return command->main(argc - words + 1, argv + words - 1);
    if (is_group(argv[0]) && (argc == 1 || is_word(argv[1], "--help", "-h")))
        return group(argv[0]) + (wants_help || argc > 1 ? 0 : GW_EXIT_USAGE);
    return unknown(argc, argv);
}

/* A descriptor 0, 1 or 2 that is closed would become the next file or socket opened. */
static void hold_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd)
            _exit(GW_EXIT_START);
}

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    hold_standard_files();
    sigaction(SIGPIPE, &ignore, NULL); /* a reader that went away is an error code, not an end */
    return gw_term_finish(dispatch(argc > 0 ? argc - 1 : 0, argv + 1));
}
