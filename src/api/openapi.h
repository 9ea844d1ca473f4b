/* openapi.h: docs/openapi.json, which the binary carries. */
#pragma once

#include "base/slice.h"

extern const struct gw_slice gw_openapi_json;
