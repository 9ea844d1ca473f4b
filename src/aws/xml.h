/* xml.h: as much of XML as the answers of S3 and STS are made of: elements and text. */
#pragma once

#include "base/arena.h"

/* The next element of this name, at whatever depth, from *rest on: what is between its tags goes to
 * *inner, and *rest moves behind it. False: there is none. An element must not hold one of its own
 * name. */
bool gw_aws_xml_next(struct gw_slice *rest, const char *name, struct gw_slice *inner);

/* The text of the first element of this name, its escapes resolved; ptr NULL: there is none, or it
 * is malformed. */
struct gw_slice gw_aws_xml_text(struct gw_slice within, const char *name, struct gw_arena *arena);
