/* settings_page.c: the table of settings as pages: what `gwh serve --help` prints, and
 * docs/settings.md. Pure. */
#include "app/settings.h"

/* ── Help ──────────────────────────────────────────────────────────────────────────────────── */

static void help_row(struct gw_buf *out, const struct gw_setting *setting)
{
    if (setting->is_env_only)
        gw_buf_addf(out, "  %s=%s\n", setting->variable, setting->value);
    else
        gw_buf_addf(out, "  --%s %s   %s%s%s\n", setting->name, setting->value, setting->variable,
                    setting->bare ? ", " : "", setting->bare ? setting->bare : "");
    gw_buf_addf(out, "        %s", setting->help);
    if (setting->max)
        gw_buf_addf(out, "; %lld to %lld", (long long)setting->min, (long long)setting->max);
    if (setting->preset)
        gw_buf_addf(out, " (default %s)", setting->preset);
    gw_buf_addc(out, '\n');
}

void gw_settings_help(struct gw_buf *out)
{
    struct gw_setting setting;
    gw_buf_adds(out, GW_SLICE("Usage: gwh serve [--SETTING VALUE]…\n\n"
                              "Serves the API, takes events, delivers webhooks. Each setting is a "
                              "flag or an environment\nvariable; the flag wins.\n\n"));
    for (size_t i = 0; gw_setting_at(i, &setting); i++)
        help_row(out, &setting);
    gw_buf_adds(out,
                GW_SLICE("\nExit codes: 0 done, 1 failed, 2 bad setting, 3 cannot start.\n"
                         "\nExample\n  gwh serve --data ./gwh-data --listen 127.0.0.1:8080\n"));
}

/* ── Markdown ──────────────────────────────────────────────────────────────────────────────── */

static void add_cell(struct gw_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '*' || *text == '<')
            gw_buf_addc(out, '\\');
        gw_buf_addc(out, *text);
    }
}

static void page_row(struct gw_buf *out, const struct gw_setting *setting)
{
    gw_buf_adds(out, GW_SLICE("| "));
    if (!setting->is_env_only)
        gw_buf_addf(out, "`--%s`", setting->name);
    gw_buf_addf(out, " | `%s`", setting->variable);
    if (setting->bare)
        gw_buf_addf(out, ", `%s`", setting->bare);
    gw_buf_adds(out, GW_SLICE(" | "));
    if (setting->max)
        gw_buf_addf(out, "%lld to %lld", (long long)setting->min, (long long)setting->max);
    else
        add_cell(out, setting->value);
    gw_buf_adds(out, GW_SLICE(" | "));
    if (setting->preset)
        gw_buf_addf(out, "`%s`", setting->preset);
    gw_buf_adds(out, GW_SLICE(" | "));
    add_cell(out, setting->help);
    gw_buf_adds(out, GW_SLICE(" |\n"));
}

void gw_settings_page(struct gw_buf *out)
{
    struct gw_setting setting;
    gw_buf_adds(
        out,
        GW_SLICE(
            "# Settings of `gwh serve`\n\n"
            "<!-- `make docs` writes this page from the table in src/app/settings.c. -->\n\n"
            "A setting is a flag or an environment variable; the flag wins. A variable that is "
            "set to nothing is not set. A setting without a flag is a secret: arguments are "
            "seen by everybody on the machine. A boolean flag alone is `true`; `1` and `0` "
            "are understood too. A bad value ends the start with exit code 2, and one line "
            "says which setting, what it was and what is allowed.\n\n"
            "| Flag | Variable | Value | Default | What it is |\n|---|---|---|---|---|\n"));
    for (size_t i = 0; gw_setting_at(i, &setting); i++)
        page_row(out, &setting);
}
