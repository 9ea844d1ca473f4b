/* admin_doc.h: what is sealed of an API key and of a line of the audit log, as text. The same in every
 * backend. */
#pragma once

#include "core/access.h"

/* Without its time and its app: they are where it is kept. */
void gw_admin_doc_write_line(const struct gw_audit *line, struct gw_buf *out);

/* False: it is none. The line's slices are those of `text`, its action is in the arena; its time and
 * app stay as they are. */
bool gw_admin_doc_read_line(struct gw_slice text, struct gw_arena *arena, struct gw_audit *line);

/* Likewise, without its id and appid. */
void gw_admin_doc_write_key(const struct gw_key *key, struct gw_buf *out);
bool gw_admin_doc_read_key(struct gw_slice text, struct gw_key *key);
