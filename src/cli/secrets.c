/* secrets.c: reading secrets from the command line; white space around them is nobody's wish. */
#include "cli/secrets.h"

#include "base/crypto.h"
#include "cli/term.h"

int gw_secrets_read(struct gw_secrets *secrets, const char *command,
                    const struct gw_option_list *list)
{
    struct gw_error error;

    *secrets = (struct gw_secrets){0};
    if (list->count > GW_DIAGNOSE_SECRETS_MAX)
        return gw_term_fail(GW_EXIT_USAGE, "%s: --secret: given more than %d times", command,
                            GW_DIAGNOSE_SECRETS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        struct gw_slice text = gw_slice_from(list->items[i]);
        while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]))
            text.len--;
        if (gw_secret_parse(&secrets->all[i], gw_slice_trim(text), &error) != GW_OK)
            return gw_term_fail(GW_EXIT_USAGE, "%s: --%s", command, error.text);
        secrets->count++;
    }
    return -1;
}

void gw_secrets_wipe(struct gw_secrets *secrets)
{
    gw_wipe(secrets, sizeof(*secrets));
}
