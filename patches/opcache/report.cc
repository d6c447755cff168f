// Start and end of the process: the clock, and the statistics that MKLDNN_OPCACHE_STATS asks for.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "message.h"
#include "options.h"
#include "stats.h"

namespace opcache {

namespace {

pid_t g_process;

bool write_all(int fd, const char *text, size_t length) {
  while (length > 0) {
    const ssize_t n = write(fd, text, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text += n;
    length -= static_cast<size_t>(n);
  }
  return true;
}

// Replaces the file in one step: a reader, or a kill, sees the old text or the new one.
void write_file(const char *path, const char *text, size_t length) {
  char temporary[1200];
  snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, static_cast<long>(getpid()));
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool ok = fd >= 0 && write_all(fd, text, length) && fsync(fd) == 0;
  int error = errno;
  if (fd >= 0 && close(fd) != 0 && ok) {
    ok = false;
    error = errno;
  }
  if (ok && rename(temporary, path) != 0) {
    ok = false;
    error = errno;
  }
  if (!ok) {
    if (fd >= 0) unlink(temporary);
    message("cannot write the statistics to %s: %s", path, strerror(error));
  }
}

// %p becomes the process id, so that every process of a job can leave its own file.
bool expand(const char *pattern, char *path, size_t size) {
  const char *at = strstr(pattern, "%p");
  if (at == nullptr) {
    snprintf(path, size, "%s", pattern);
    return false;
  }
  snprintf(path, size, "%.*s%ld%s", static_cast<int>(at - pattern), pattern,
           static_cast<long>(getpid()), at + 2);
  return true;
}

__attribute__((constructor)) void start() {
  g_process = getpid();
  start_clock();
  options();  // a bad word is reported even when MKL-DNN is never called
}

__attribute__((destructor)) void finish() {
  const char *pattern = options().stats_path;
  if (pattern[0] == '\0') return;
  char path[1100];
  // A forked child that shares its parent's file leaves it to the parent.
  if (!expand(pattern, path, sizeof(path)) && getpid() != g_process) return;
  const size_t length = stats_json(nullptr, 0);
  char *text = static_cast<char *>(malloc(length + 256));
  if (text == nullptr) return;
  // The counters may have moved on since; the report must not be cut short.
  size_t written = stats_json(text, length + 256);
  if (written > length + 255) written = length + 255;
  if (strcmp(pattern, "stderr") == 0) {
    write_all(STDERR_FILENO, text, written);
  } else {
    write_file(path, text, written);
  }
  free(text);
}

}  // namespace

}  // namespace opcache
