// The one way this library speaks: a line on stderr with its prefix. Silent unless something needs
// a person's attention, and where the program was started without a stderr.
#ifndef OPCACHE_REPORT_MESSAGE_H_
#define OPCACHE_REPORT_MESSAGE_H_

#include <stddef.h>

namespace opcache {

void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Writes to a descriptor and returns 0 or an errno; raises no signal, whatever the descriptor is.
int write_all(int fd, const char *text, size_t length);

}  // namespace opcache

#endif  // OPCACHE_REPORT_MESSAGE_H_
