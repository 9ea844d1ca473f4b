/* commands.c: owns the table of all commands, and what pages about them ask of it. */
#include "app/lambda.h"
#include "app/serve.h"
#include "app/settings.h"
#include "app/worker.h"
#include "base/alloc.h"
#include "cli/options.h"

static const struct gw_command serve_command = {
    .name = "serve",
    .summary = "everything in one process: API, intake, delivery",
    .usage = "serve [settings]",
    .example = "gwh serve --data ./gwh-data --listen 127.0.0.1:8080",
    .has_settings = true,
    .main = gw_serve_main,
};

static const struct gw_command worker_command = {
    .name = "worker",
    .summary = "delivers what a queue of SQS tells of",
    .usage = "worker [settings]",
    .example = "gwh worker --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/events \\\n"
               "    --buckets my-events --master-key-file /run/secrets/master.key",
    .notes = "Reads events from S3 and keeps everything in DynamoDB. Any number of workers may "
             "run; with\n"
             "--workers they divide a target's maxInFlight among them. SIGTERM: what has not begun "
             "goes\n"
             "back to the queue.",
    .has_settings = true,
    .main = gw_worker_main,
};

static const struct gw_command lambda_command = {
    .name = "lambda",
    .summary = "deliver, and answer as the API, as a function of AWS Lambda",
    .usage = "lambda [settings]",
    .example = "gwh lambda",
    .has_settings = true,
    .notes =
        "A custom runtime: Lambda starts it. `make lambda` makes the zip, deploy/aws/ deploys it.",
    .main = gw_lambda_main,
};

const struct gw_command *const gw_commands[] = {
    &serve_command,
    &worker_command,
    &lambda_command,
    &gw_config_create_command,
    &gw_config_list_command,
    &gw_config_get_command,
    &gw_config_update_command,
    &gw_config_rotate_command,
    &gw_config_test_command,
    &gw_config_history_command,
    &gw_config_import_command,
    &gw_config_delete_command,
    &gw_keys_create_command,
    &gw_keys_list_command,
    &gw_keys_revoke_command,
    &gw_send_command,
    &gw_deliveries_command,
    &gw_why_command,
    &gw_retry_command,
    &gw_targets_command,
    &gw_stats_command,
    &gw_ledger_command,
    &gw_listen_command,
    &gw_verify_command,
    &gw_simulate_command,
    &gw_backup_command,
    &gw_init_command,
    &gw_reconcile_command,
    &gw_completion_command,
    &gw_reference_command,
};
const size_t gw_command_count = gw_count(gw_commands);

struct gw_slice gw_command_word(const struct gw_command *command, size_t which)
{
    struct gw_slice rest = gw_slice_from(command->name), word = {0};

    for (size_t i = 0; i <= which; i++)
        if (!gw_slice_split(&rest, ' ', &word))
            return (struct gw_slice){0};
    return word;
}

/* Letters and the like; what is to be put in place of a word is written in capitals. */
bool gw_command_is_choice(struct gw_slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '|')
            return false;
    }
    return value.len > 0 && memchr(value.ptr, '|', value.len);
}

/* An option's value follows a word like "--app" or "[--app"; "[--full]" has none. */
static bool has_value(struct gw_slice word)
{
    if (gw_slice_ends(word, GW_SLICE("]")))
        return false;
    return gw_slice_starts(word, GW_SLICE("-")) || gw_slice_starts(word, GW_SLICE("[-"));
}

struct gw_slice gw_command_argument(const struct gw_command *command)
{
    struct gw_slice rest = gw_slice_skip(gw_slice_from(command->usage), strlen(command->name));
    struct gw_slice word, before = {0};

    for (; gw_slice_split(&rest, ' ', &word); before = word)
        if (word.len > 0 && word.ptr[0] != '-' && word.ptr[0] != '[' && !has_value(before))
            return word;
    return (struct gw_slice){0};
}

/* ── Options ───────────────────────────────────────────────────────────────────────────────── */

struct visit {
    gw_command_see *see;
    void *ctx;
};

static void tell_options(void *ctx, const struct gw_options *options)
{
    const struct visit *visit = ctx;

    for (size_t i = 0; i < options->count; i++) {
        const struct gw_option *row = &options->rows[i];
        visit->see(visit->ctx, &(struct gw_command_option){row->name, row->value, row->help});
    }
}

static void tell_settings(const struct visit *visit)
{
    struct gw_setting setting;

    for (size_t i = 0; gw_setting_at(i, &setting); i++)
        if (!setting.is_env_only)
            visit->see(visit->ctx,
                       &(struct gw_command_option){setting.name, setting.value, setting.help});
}

void gw_command_options(const struct gw_command *command, gw_command_see *see, void *ctx)
{
    struct visit visit = {see, ctx};

    if (command->has_settings)
        tell_settings(&visit);
    else
        gw_options_of(command, tell_options, &visit);
    see(ctx, &(struct gw_command_option){"help", NULL, "what it does, with an example"});
}
