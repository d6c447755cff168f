// The report (stats.h has the format).
#ifndef OPCACHE_REPORT_REPORT_H_
#define OPCACHE_REPORT_REPORT_H_

#include <stddef.h>

namespace opcache {

// The statistics as JSON, like snprintf.
size_t stats_json(char *buffer, size_t size);

}  // namespace opcache

#endif  // OPCACHE_REPORT_REPORT_H_
