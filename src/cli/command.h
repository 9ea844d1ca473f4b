/* command.h: what a command is: a row of the table in commands.c, kept beside its code. */
#pragma once

#include "base/slice.h"

/* Exit codes. */
enum {
    GW_EXIT_DONE = 0,
    GW_EXIT_FAILED = 1, /* or the answer is no */
    GW_EXIT_USAGE = 2,  /* bad usage or setting */
    GW_EXIT_START = 3,  /* cannot start */
};

struct gw_command {
    const char *name;                   /* one word or two: "send", "config create" */
    const char *summary;                /* one line */
    const char *usage;                  /* behind "gwh " */
    const char *example;                /* whole lines, as they are typed */
    const char *notes;                  /* what else to know, whole lines; may be NULL */
    bool is_client;                     /* of the API: reads GWH_URL and GWH_KEY */
    bool has_settings;                  /* its options are the settings' table */
    int (*main)(int argc, char **argv); /* argv[0] is the name's last word. Without settings, it
                                           does nothing before gw_options_take() */
};

/* All of them, those of a group together. */
extern const struct gw_command *const gw_commands[];
extern const size_t gw_command_count;

/* "config" of "config create", and "create"; of a single word, the second is absent. */
struct gw_slice gw_command_word(const struct gw_command *command, size_t which);

/* What stands in a usage or for a value: "hex|base64"? Those to choose from, and nothing else. */
bool gw_command_is_choice(struct gw_slice value);
/* The first word that the command takes, as its usage calls it: "FILE|-"; ptr NULL: it takes none. */
struct gw_slice gw_command_argument(const struct gw_command *command);

/* Calls `see` for each option of a command, its settings among them. */
struct gw_command_option {
    const char *name, *value, *help; /* value NULL: a flag */
};
typedef void gw_command_see(void *ctx, const struct gw_command_option *option);
void gw_command_options(const struct gw_command *command, gw_command_see *see, void *ctx);

extern const struct gw_command gw_send_command;
extern const struct gw_command gw_config_list_command;
extern const struct gw_command gw_config_get_command;
extern const struct gw_command gw_config_create_command;
extern const struct gw_command gw_config_update_command;
extern const struct gw_command gw_config_delete_command;
extern const struct gw_command gw_config_rotate_command;
extern const struct gw_command gw_config_test_command;
extern const struct gw_command gw_config_history_command;
extern const struct gw_command gw_config_import_command;
extern const struct gw_command gw_keys_create_command;
extern const struct gw_command gw_keys_list_command;
extern const struct gw_command gw_keys_revoke_command;
extern const struct gw_command gw_deliveries_command;
extern const struct gw_command gw_retry_command;
extern const struct gw_command gw_why_command;
extern const struct gw_command gw_targets_command;
extern const struct gw_command gw_stats_command;
extern const struct gw_command gw_ledger_command;
extern const struct gw_command gw_listen_command;
extern const struct gw_command gw_verify_command;
extern const struct gw_command gw_simulate_command;
extern const struct gw_command gw_backup_command;
extern const struct gw_command gw_init_command;
extern const struct gw_command gw_reconcile_command;
extern const struct gw_command gw_completion_command;
extern const struct gw_command gw_reference_command;
