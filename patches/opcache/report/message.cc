#include "report/message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

namespace opcache {

namespace {

// Descriptor 2 belongs to the first file that a program opens which was started without a stderr:
// our words must not end up in it.
bool g_has_stderr = true;

// Before the other constructors, which may have something to say.
__attribute__((constructor(101))) void look_for_stderr() {
  g_has_stderr = fcntl(STDERR_FILENO, F_GETFD) >= 0;
}

// How many bytes at `at`, which ends with a NUL, are a character of UTF-8 that shows; 0: none.
size_t visible(const unsigned char *at) {
  if (at[0] < 0x80) return at[0] >= 0x20 && at[0] != 0x7f ? 1 : 0;
  const size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
  uint32_t code = at[0] & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | (at[i] & 0x3fu);
  }
  // Terminals obey U+0080 to U+009F.
  const uint32_t smallest[] = {0, 0, 0xa0, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return at[0] < 0xc0 || code < smallest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

}  // namespace

void message(const char *format, ...) {
  if (!g_has_stderr) return;
  char line[8192] = "opcache: ";  // a key with all its layouts fits
  const size_t prefix = strlen(line);
  va_list args;
  va_start(args, format);
  vsnprintf(line + prefix, sizeof(line) - prefix - 1, format, args);
  va_end(args);
  size_t length = prefix;
  // Values of variables and names of files may hold anything: one message stays one line.
  while (line[length] != '\0') {
    const size_t n = visible(reinterpret_cast<const unsigned char *>(line) + length);
    if (n == 0) line[length] = '?';
    length += n > 0 ? n : 1;
  }
  line[length] = '\n';
  // Not stdio: one call is one line even when several threads speak, and it works at exit.
  write_all(STDERR_FILENO, line, length + 1);
}

int write_all(int fd, const char *text, size_t length) {
  if (fd == STDERR_FILENO && !g_has_stderr) return EBADF;
  // A reader that is gone, or a limit on files' sizes, must cost our words only, never the program.
  sigset_t ours, before, pending;
  sigemptyset(&ours);
  sigaddset(&ours, SIGPIPE);
  sigaddset(&ours, SIGXFSZ);
  sigpending(&pending);
  int error = pthread_sigmask(SIG_BLOCK, &ours, &before);
  if (error != 0) return error;
  while (length > 0 && error == 0) {
    const ssize_t n = write(fd, text, length);
    if (n > 0) {
      text += n;
      length -= static_cast<size_t>(n);
    } else if (n == 0) {
      error = EIO;
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == EPIPE || error == EFBIG) {
    const int sent = error == EPIPE ? SIGPIPE : SIGXFSZ;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, sent);
    const struct timespec at_once = {0, 0};
    if (sigismember(&pending, sent) == 0) sigtimedwait(&one, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

}  // namespace opcache
