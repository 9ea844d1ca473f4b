/* data_dir.c: see data_dir.h. An embedded store makes its own, and sees that it lasts. */
#include "app/data_dir.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum gw_err gw_data_dir_make(const char *path, struct gw_error *error)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return GW_OK;
    return gw_error_set(error, GW_ERR_IO, "cannot make the directory %s: %s", path,
                        strerror(errno));
}
