#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

namespace microbench {

void fail(const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  fprintf(stderr, "microbench: error: %s\n", text);
  // Not exit(): other threads may be running.
  _Exit(1);
}

}  // namespace microbench
