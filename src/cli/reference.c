/* reference.c: `gwh reference`: the pages of the manual that are made of this program's own tables:
 * what it says here and what it does cannot drift apart. `make docs` keeps them in docs/. */
#include "api/metrics.h"
#include "app/settings.h"
#include "base/alloc.h"
#include "cli/options.h"
#include "cli/term.h"
#include "store/delivery_log_sql.h"

/* ── roff ──────────────────────────────────────────────────────────────────────────────────── */

/* The code point of a well-formed character. */
static unsigned code_point(const char *text, size_t len)
{
    static const unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned code = (unsigned char)text[0] & masks[len];

    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3Fu);
    return code;
}

/* The characters that roff would take for something else. */
static const char *escaped(char c)
{
    switch (c) {
    case '\\': return "\\e";
    case '-': return "\\-";
    case '\'': return "\\(aq";
    case '"': return "\\(dq";
    case '`': return "\\(ga";
    case '^': return "\\(ha";
    case '~': return "\\(ti";
    default: return NULL;
    }
}

static void add_roff(struct gw_buf *out, const char *text)
{
    struct gw_slice rest = gw_slice_from(text);

    while (rest.len > 0) {
        size_t step = gw_slice_utf8_step(rest);
        const char *escape = escaped(rest.ptr[0]);
        bool begins_line = out->len == 0 || out->ptr[out->len - 1] == '\n';
        if (step > 1)
            gw_buf_addf(out, "\\[u%04X]", code_point(rest.ptr, step));
        else if (escape)
            gw_buf_adds(out, gw_slice_from(escape));
        else if (rest.ptr[0] == '.' && begins_line)
            gw_buf_adds(out, GW_SLICE("\\&."));
        else
            gw_buf_addc(out, rest.ptr[0]);
        rest = gw_slice_skip(rest, step ? step : 1);
    }
}

static void see_option(void *ctx, const struct gw_command_option *option)
{
    struct gw_buf *out = ctx;

    gw_buf_adds(out, GW_SLICE(".TP\n\\fB\\-\\-"));
    add_roff(out, option->name);
    gw_buf_adds(out, GW_SLICE("\\fR"));
    if (option->value) {
        gw_buf_adds(out, GW_SLICE(" \\fI"));
        add_roff(out, option->value);
        gw_buf_adds(out, GW_SLICE("\\fR"));
    }
    gw_buf_addc(out, '\n');
    add_roff(out, option->help);
    gw_buf_addc(out, '\n');
}

static void add_command(struct gw_buf *out, const struct gw_command *command)
{
    gw_buf_adds(out, GW_SLICE(".SS \""));
    add_roff(out, command->name);
    gw_buf_adds(out, GW_SLICE("\"\n\\fBgwh\\fR "));
    add_roff(out, command->usage);
    gw_buf_adds(out, GW_SLICE("\n.PP\n"));
    add_roff(out, command->summary);
    gw_buf_addc(out, '\n');
    if (command->has_settings)
        gw_buf_adds(out, GW_SLICE(".PP\nIts settings stand below.\n"));
    else
        gw_command_options(command, see_option, out);
    if (command->notes) {
        gw_buf_adds(out, GW_SLICE(".PP\n"));
        add_roff(out, command->notes);
        gw_buf_addc(out, '\n');
    }
    gw_buf_adds(out, GW_SLICE(".PP\n.EX\n"));
    add_roff(out, command->example);
    gw_buf_adds(out, GW_SLICE("\n.EE\n"));
}

static void add_setting(struct gw_buf *out, const struct gw_setting *setting)
{
    gw_buf_adds(out, GW_SLICE(".TP\n"));
    if (!setting->is_env_only) {
        gw_buf_adds(out, GW_SLICE("\\fB\\-\\-"));
        add_roff(out, setting->name);
        gw_buf_adds(out, GW_SLICE("\\fR \\fI"));
        add_roff(out, setting->value);
        gw_buf_adds(out, GW_SLICE("\\fR, "));
    }
    gw_buf_addf(out, "\\fB%s\\fR", setting->variable);
    if (setting->bare)
        gw_buf_addf(out, ", \\fB%s\\fR", setting->bare);
    gw_buf_addc(out, '\n');
    add_roff(out, setting->help);
    if (setting->max)
        gw_buf_addf(out, "; %lld to %lld", (long long)setting->min, (long long)setting->max);
    if (setting->preset) {
        gw_buf_adds(out, GW_SLICE(" (default "));
        add_roff(out, setting->preset);
        gw_buf_addc(out, ')');
    }
    gw_buf_addc(out, '\n');
}

/* ── Pages ─────────────────────────────────────────────────────────────────────────────────── */

static void make_man(struct gw_buf *out)
{
    struct gw_setting setting;

    gw_buf_adds(out,
                GW_SLICE(".\\\" `make docs` writes this page from the tables in src/.\n"
                         ".TH GWH 1 \"\" \"gwh " GW_VERSION "\" \"Generic Webhook\"\n.nh\n.ad l\n"
                         ".SH NAME\ngwh \\- sends webhooks\n"
                         ".SH SYNOPSIS\n\\fBgwh\\fR \\fICOMMAND\\fR [options]\n"
                         ".SH DESCRIPTION\n"
                         "Events come in over HTTP; each client gets its own, signed and "
                         "retried, and every attempt is kept.\n"
                         "\\fBgwh serve\\fR is the server; the other commands talk to it, or "
                         "help a client's engineers.\n"
                         "An option may be written \\fB\\-\\-name\\fR \\fIvalue\\fR or "
                         "\\fB\\-\\-name=\\fR\\fIvalue\\fR.\n"
                         ".SH COMMANDS\n"));
    for (size_t i = 0; i < gw_command_count; i++)
        add_command(out, gw_commands[i]);
    gw_buf_adds(out,
                GW_SLICE(".SH SETTINGS\nOf \\fBgwh serve\\fR: each is a flag or an environment "
                         "variable; the flag wins.\n"));
    for (size_t i = 0; gw_setting_at(i, &setting); i++)
        add_setting(out, &setting);
    gw_buf_adds(
        out,
        GW_SLICE(
            ".SH ENVIRONMENT\nOf the commands that talk to a server:\n"
            ".TP\n\\fBGWH_URL\\fR\nthe server (default http://127.0.0.1:8080)\n"
            ".TP\n\\fBGWH_KEY\\fR\nappid:appkey; unset: the admin key in DIR/admin.key\n"
            ".TP\n\\fBGWH_DATA\\fR\nDIR (default ./gwh\\-data)\n"
            ".TP\n\\fBNO_COLOR\\fR\nset to anything: no colours\n"
            ".SH FILES\n"
            ".TP\n\\fIDIR\\fR/admin.key\nthe first key, made at the first start\n"
            ".TP\n\\fIDIR\\fR/master.key\nseals secrets and payloads; without it nothing can be "
            "read\n"
            ".TP\n\\fIDIR\\fR/main.db, \\fIDIR\\fR/\\fINUMBER\\fR.seg\nthe store\n"
            ".SH EXIT STATUS\n"
            ".TP\n0\ndone\n"
            ".TP\n1\nfailed, or the answer is no\n"
            ".TP\n2\nbad usage or setting\n"
            ".TP\n3\ncannot start\n"));
}

static void make_postgresql(struct gw_buf *out)
{
    gw_delivery_log_sql_page(out, GW_DELIVERY_LOG_POSTGRESQL);
}

static void make_redshift(struct gw_buf *out)
{
    gw_delivery_log_sql_page(out, GW_DELIVERY_LOG_REDSHIFT);
}

static const struct page {
    const char *name;
    void (*make)(struct gw_buf *out);
} pages[] = {
    {"man", make_man},
    {"settings", gw_settings_page},
    {"metrics", gw_metrics_page},
    {"sql-postgresql", make_postgresql},
    {"sql-redshift", make_redshift},
};

/* ── The command ───────────────────────────────────────────────────────────────────────────── */

static int print_page(const struct page *page)
{
    struct gw_buf out = {0};

    page->make(&out);
    gw_term_flush(&out);
    gw_buf_deinit(&out);
    return GW_EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct gw_options options = {.command = &gw_reference_command, .words_min = 1, .words_max = 1};

    int code = gw_options_take(&options, argc, argv);
    if (code >= 0)
        return code;
    for (size_t i = 0; i < gw_count(pages); i++)
        if (strcmp(options.words[0], pages[i].name) == 0)
            return print_page(&pages[i]);
    return gw_term_fail(GW_EXIT_USAGE,
                        "reference: must be man, settings, metrics, "
                        "sql-postgresql or sql-redshift, was \"%s\"",
                        options.words[0]);
}

const struct gw_command gw_reference_command = {
    .name = "reference",
    .summary = "the pages of the manual that come from this program's own tables",
    .usage = "reference man|settings|metrics|sql-postgresql|sql-redshift",
    .example = "gwh reference man >gwh.1\n"
               "gwh reference settings >settings.md",
    .main = run,
};
