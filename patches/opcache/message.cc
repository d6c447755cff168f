#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace opcache {

void message(const char *format, ...) {
  char line[8192] = "opcache: ";  // a key with all its layouts fits
  const size_t prefix = strlen(line);
  va_list args;
  va_start(args, format);
  vsnprintf(line + prefix, sizeof(line) - prefix - 1, format, args);
  va_end(args);
  const size_t length = strlen(line);
  line[length] = '\n';
  // write, not stdio: one call is one line even when several threads speak, and it works at exit.
  if (write(STDERR_FILENO, line, length + 1) < 0) return;
}

}  // namespace opcache
