/* completion.c: `gwh completion`: a script that teaches a shell the commands, their options and what
 * is chosen from, made of the tables that the program itself goes by. Pure but for the printing. */
#include "base/alloc.h"
#include "cli/options.h"
#include "cli/term.h"

enum shell { BASH, ZSH, FISH };

/* A script being made. */
struct script {
    enum shell shell;
    struct gw_buf *out;
    const struct gw_command *command;
    struct gw_buf choices; /* bash, zsh: lines of a case, for options that choose */
    struct gw_buf plain;   /* the other options with a value: "--app | --url" */
    struct gw_buf options; /* all of them, as the shell lists them */
};

/* Between single quotes. */
static void add_quoted(struct gw_buf *out, enum shell shell, struct gw_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            gw_buf_adds(out, shell == FISH ? GW_SLICE("\\'") : GW_SLICE("'\\''"));
        else if (text.ptr[i] == '\\' && shell == FISH)
            gw_buf_adds(out, GW_SLICE("\\\\"));
        else
            gw_buf_addc(out, text.ptr[i]);
    }
}

/* "a|b" as "a b" */
static void add_choices(struct gw_buf *out, struct gw_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        gw_buf_addc(out, value.ptr[i] == '|' ? ' ' : value.ptr[i]);
}

/* One of a list of words; zsh tells what each is, bash has no room for that. */
static void add_word(struct gw_buf *out, enum shell shell, struct gw_slice word, const char *what)
{
    if (shell == BASH) {
        gw_buf_addf(out, "%s%.*s", out->len ? " " : "", GW_SLICE_ARG(word));
        return;
    }
    gw_buf_addf(out, "%s'%.*s:", out->len ? " " : "", GW_SLICE_ARG(word));
    add_quoted(out, shell, gw_slice_from(what));
    gw_buf_addc(out, '\'');
}

/* found='a b', found=('a:what a is' 'b:…') */
static void add_list(const struct script *script, const char *name, const struct gw_buf *words)
{
    bool is_zsh = script->shell == ZSH;

    gw_buf_addf(script->out, "%s=%c", name, is_zsh ? '(' : '\'');
    gw_buf_adds(script->out, gw_buf_slice(words));
    gw_buf_addf(script->out, "%c", is_zsh ? ')' : '\'');
}

/* ── The first words ───────────────────────────────────────────────────────────────────────── */

/* Is this the first command that begins with its word? */
static bool is_new_word(size_t at)
{
    struct gw_slice word = gw_command_word(gw_commands[at], 0);

    return at == 0 || !gw_slice_eq(word, gw_command_word(gw_commands[at - 1], 0));
}

static bool is_in_group(const struct gw_command *command)
{
    return gw_command_word(command, 1).ptr != NULL;
}

static void add_first_words(struct gw_buf *words, enum shell shell)
{
    for (size_t i = 0; i < gw_command_count; i++)
        if (is_new_word(i))
            add_word(words, shell, gw_command_word(gw_commands[i], 0),
                     is_in_group(gw_commands[i]) ? "several commands" : gw_commands[i]->summary);
    add_word(words, shell, GW_SLICE("help"), "what a command does");
}

static void add_second_words(struct gw_buf *words, enum shell shell, struct gw_slice group)
{
    for (size_t i = 0; i < gw_command_count; i++)
        if (gw_slice_eq(gw_command_word(gw_commands[i], 0), group))
            add_word(words, shell, gw_command_word(gw_commands[i], 1), gw_commands[i]->summary);
}

/* "config | keys" */
static void add_groups(struct gw_buf *out)
{
    bool is_first = true;

    for (size_t i = 0; i < gw_command_count; i++) {
        if (!is_in_group(gw_commands[i]) || !is_new_word(i))
            continue;
        gw_buf_addf(out, "%s%.*s", is_first ? "" : " | ",
                    GW_SLICE_ARG(gw_command_word(gw_commands[i], 0)));
        is_first = false;
    }
}

/* ── bash and zsh: one function with a case for each command ───────────────────────────────── */

static void see_option(void *ctx, const struct gw_command_option *option)
{
    struct script *script = ctx;
    struct gw_slice value = gw_slice_from(option->value);
    struct gw_buf dashed = {0};

    gw_buf_addf(&dashed, "--%s", option->name);
    add_word(&script->options, script->shell, gw_buf_slice(&dashed), option->help);
    if (gw_command_is_choice(value)) {
        gw_buf_addf(&script->choices, "        --%s) found=%c", option->name,
                    script->shell == ZSH ? '(' : '\'');
        add_choices(&script->choices, value);
        gw_buf_addf(&script->choices, "%c ;;\n", script->shell == ZSH ? ')' : '\'');
    } else if (option->value) {
        gw_buf_addf(&script->plain, "%s--%s", script->plain.len ? " | " : "", option->name);
    }
    gw_buf_deinit(&dashed);
}

static bool takes_file(struct gw_slice argument)
{
    return gw_slice_starts(argument, GW_SLICE("FILE")) ||
           gw_slice_starts(argument, GW_SLICE("DIR"));
}

static void add_command(struct script *script, const struct gw_command *command)
{
    struct gw_slice argument = gw_command_argument(command);
    struct gw_buf *out = script->out;

    gw_buf_clear(&script->choices);
    gw_buf_clear(&script->plain);
    gw_buf_clear(&script->options);
    gw_command_options(command, see_option, script);
    gw_buf_addf(out, "    '%s')\n        ", command->name);
    add_list(script, "options", &script->options);
    gw_buf_adds(out, GW_SLICE("\n        case $last in\n"));
    gw_buf_adds(out, gw_buf_slice(&script->choices));
    if (script->plain.len)
        gw_buf_addf(out, "        %.*s) ;;\n", GW_SLICE_ARG(gw_buf_slice(&script->plain)));
    if (gw_command_is_choice(argument)) {
        gw_buf_addf(out, "        *) found=%c", script->shell == ZSH ? '(' : '\'');
        add_choices(out, argument);
        gw_buf_addf(out, "%c ;;\n", script->shell == ZSH ? ')' : '\'');
    } else if (!takes_file(argument)) {
        gw_buf_addf(out, "        *) found=%s ;;\n",
                    script->shell == ZSH ? "(\"${options[@]}\")" : "$options");
    }
    gw_buf_adds(out, GW_SLICE("        esac\n        ;;\n"));
}

static void add_group(struct script *script, struct gw_slice group)
{
    gw_buf_clear(&script->options);
    add_second_words(&script->options, script->shell, group);
    gw_buf_addf(script->out, "    %.*s) ", GW_SLICE_ARG(group));
    add_list(script, "found", &script->options);
    gw_buf_adds(script->out, GW_SLICE(" ;;\n"));
}

static void add_cases(struct script *script)
{
    gw_buf_adds(script->out, GW_SLICE("    case $command in\n    '' | help) "));
    gw_buf_clear(&script->options);
    add_first_words(&script->options, script->shell);
    add_list(script, "found", &script->options);
    gw_buf_adds(script->out, GW_SLICE(" ;;\n"));
    for (size_t i = 0; i < gw_command_count; i++) {
        if (is_in_group(gw_commands[i]) && is_new_word(i))
            add_group(script, gw_command_word(gw_commands[i], 0));
        add_command(script, gw_commands[i]);
    }
    gw_buf_adds(script->out, GW_SLICE("    esac\n"));
}

/* What begins with a dash is no value of what stands before it. */
static void make_bash(struct script *script)
{
    struct gw_buf *out = script->out;

    gw_buf_adds(out, GW_SLICE("# bash: source <(gwh completion bash), or keep it in\n"
                              "# ~/.local/share/bash-completion/completions/gwh\n"
                              "_gwh() {\n"
                              "    local word=${COMP_WORDS[COMP_CWORD]} found='' options=''\n"
                              "    local last=${COMP_WORDS[COMP_CWORD - 1]} command=''\n"
                              "    [ \"$COMP_CWORD\" -lt 2 ] || command=${COMP_WORDS[1]}\n"
                              "    case $word in -*) last='' ;; esac\n"
                              "    case $command in\n    "));
    add_groups(out);
    gw_buf_adds(out, GW_SLICE(") [ \"$COMP_CWORD\" -lt 3 ] || command+=\" ${COMP_WORDS[2]}\" ;;\n"
                              "    esac\n"));
    add_cases(script);
    gw_buf_adds(
        out, GW_SLICE("    case $word in -*) found=$options ;; esac\n"
                      "    # shellcheck disable=SC2207 # single words, and bash 3 has no mapfile\n"
                      "    COMPREPLY=($(compgen -W \"$found\" -- \"$word\"))\n"
                      "}\n"
                      "complete -o default -F _gwh gwh\n"));
}

static void make_zsh(struct script *script)
{
    struct gw_buf *out = script->out;

    gw_buf_adds(out,
                GW_SLICE("#compdef gwh\n"
                         "# zsh: source <(gwh completion zsh), or keep it as _gwh in a\n"
                         "# directory of $fpath\n"
                         "_gwh() {\n"
                         "    local word=${words[CURRENT]} last=${words[CURRENT - 1]} command=\n"
                         "    local -a found options\n"
                         "    (( CURRENT < 3 )) || command=${words[2]}\n"
                         "    [[ $word != -* ]] || last=\n"
                         "    case $command in\n    "));
    add_groups(out);
    gw_buf_adds(out, GW_SLICE(") (( CURRENT < 4 )) || command+=\" ${words[3]}\" ;;\n"
                              "    esac\n"));
    add_cases(script);
    gw_buf_adds(out, GW_SLICE("    if [[ $word == -* ]]; then\n"
                              "        _describe -o option options\n"
                              "    elif (( ${#found} )); then\n"
                              "        _describe word found\n"
                              "    else\n"
                              "        _files\n"
                              "    fi\n"
                              "}\n"
                              "if [[ ${funcstack[1]} == _gwh ]]; then\n"
                              "    _gwh \"$@\"\n"
                              "else\n"
                              "    compdef _gwh gwh\n"
                              "fi\n"));
}

/* ── fish: a line for each thing that may stand there ──────────────────────────────────────── */

/* complete -c gwh -n '…' */
static void begin_line(const struct script *script)
{
    const struct gw_command *command = script->command;

    gw_buf_addf(script->out, "complete -c gwh -n '__fish_seen_subcommand_from %.*s",
                GW_SLICE_ARG(gw_command_word(command, 0)));
    if (is_in_group(command))
        gw_buf_addf(script->out, "; and __fish_seen_subcommand_from %.*s",
                    GW_SLICE_ARG(gw_command_word(command, 1)));
    gw_buf_addc(script->out, '\'');
}

static void end_line(const struct script *script, const char *what)
{
    gw_buf_adds(script->out, GW_SLICE(" -d '"));
    add_quoted(script->out, FISH, gw_slice_from(what));
    gw_buf_adds(script->out, GW_SLICE("'\n"));
}

static void see_fish_option(void *ctx, const struct gw_command_option *option)
{
    struct script *script = ctx;
    struct gw_slice value = gw_slice_from(option->value);

    begin_line(script);
    gw_buf_addf(script->out, " -l %s", option->name);
    if (gw_command_is_choice(value)) {
        gw_buf_adds(script->out, GW_SLICE(" -x -a '"));
        add_choices(script->out, value);
        gw_buf_addc(script->out, '\'');
    } else if (option->value) {
        gw_buf_adds(script->out, GW_SLICE(" -r"));
    }
    end_line(script, option->help);
}

static void add_fish_command(struct script *script)
{
    struct gw_slice argument = gw_command_argument(script->command);

    if (gw_command_is_choice(argument)) {
        begin_line(script);
        gw_buf_adds(script->out, GW_SLICE(" -f -a '"));
        add_choices(script->out, argument);
        gw_buf_adds(script->out, GW_SLICE("'\n"));
    }
    gw_command_options(script->command, see_fish_option, script);
}

static void add_fish_group(struct script *script, struct gw_slice group)
{
    struct gw_buf all = {0};

    for (size_t i = 0; i < gw_command_count; i++)
        if (gw_slice_eq(gw_command_word(gw_commands[i], 0), group))
            gw_buf_addf(&all, " %.*s", GW_SLICE_ARG(gw_command_word(gw_commands[i], 1)));
    for (size_t i = 0; i < gw_command_count; i++) {
        if (!gw_slice_eq(gw_command_word(gw_commands[i], 0), group))
            continue;
        gw_buf_addf(script->out,
                    "complete -c gwh -n '__fish_seen_subcommand_from %.*s; and not "
                    "__fish_seen_subcommand_from%.*s' -f -a %.*s",
                    GW_SLICE_ARG(group), GW_SLICE_ARG(gw_buf_slice(&all)),
                    GW_SLICE_ARG(gw_command_word(gw_commands[i], 1)));
        end_line(script, gw_commands[i]->summary);
    }
    gw_buf_deinit(&all);
}

static void make_fish(struct script *script)
{
    gw_buf_adds(script->out, GW_SLICE("# fish: gwh completion fish | source, or keep it in\n"
                                      "# ~/.config/fish/completions/gwh.fish\n"));
    for (size_t i = 0; i < gw_command_count; i++) {
        struct gw_slice word = gw_command_word(gw_commands[i], 0);
        script->command = gw_commands[i];
        if (is_new_word(i)) {
            gw_buf_addf(script->out, "complete -c gwh -n __fish_use_subcommand -f -a %.*s",
                        GW_SLICE_ARG(word));
            end_line(script,
                     is_in_group(script->command) ? "several commands" : script->command->summary);
            if (is_in_group(script->command))
                add_fish_group(script, word);
        }
        add_fish_command(script);
    }
}

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int print_script(enum shell shell)
{
    static void (*const make[])(struct script *) = {make_bash, make_zsh, make_fish};
    struct gw_buf out = {0};
    struct script script = {.shell = shell, .out = &out};

    make[shell](&script);
    gw_term_flush(&out);
    gw_buf_deinit(&script.choices);
    gw_buf_deinit(&script.plain);
    gw_buf_deinit(&script.options);
    gw_buf_deinit(&out);
    return GW_EXIT_DONE;
}

static int run(int argc, char **argv)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    struct gw_options options = {.command = &gw_completion_command, .words_min = 1, .words_max = 1};

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    for (size_t i = 0; i < gw_count(shells); i++)
        if (strcmp(options.words[0], shells[i]) == 0)
            return print_script((enum shell)i);
    return gw_term_fail(GW_EXIT_USAGE, "completion: must be bash, zsh or fish, was \"%s\"",
                        options.words[0]);
}

const struct gw_command gw_completion_command = {
    .name = "completion",
    .summary = "a script that completes commands and options in your shell",
    .usage = "completion bash|zsh|fish",
    .example = "source <(gwh completion bash)\n"
               "gwh completion zsh >_gwh",
    .main = run,
};
