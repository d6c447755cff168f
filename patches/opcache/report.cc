// Start and end of the process: the clock, and the statistics that MKLDNN_OPCACHE_STATS asks for.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "message.h"
#include "options.h"
#include "real.h"
#include "settings.h"
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

// Writes to `path` as it is opened with `flags`; 0 or an errno.
int write_to(const char *path, int flags, const char *text, size_t length) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
  if (fd < 0) return errno;
  int error = write_all(fd, text, length) ? 0 : errno;
  // Devices and pipes cannot be synchronised, and need not be.
  if (error == 0 && fsync(fd) != 0 && errno != EINVAL && errno != EROFS) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  return error;
}

// Replaces the file in one step: a reader, or a kill, sees the old text or the new one. A device, a
// pipe or a link is written to, never replaced.
int write_file(const char *path, const char *text, size_t length) {
  struct stat status;
  if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
    return write_to(path, S_ISLNK(status.st_mode) ? O_CREAT | O_TRUNC : 0, text, length);
  }
  char temporary[1200];
  snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, static_cast<long>(getpid()));
  int error = write_to(temporary, O_CREAT | O_TRUNC, text, length);
  if (error == 0 && rename(temporary, path) != 0) error = errno;
  if (error != 0) unlink(temporary);
  return error;
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
  make_shared_state();
  start_settings();  // a bad word is reported even when MKL-DNN is never called
}

__attribute__((destructor)) void finish() {
  const char *pattern = options().stats_path;
  if (pattern[0] == '\0') return;
  char path[1100];
  if (expand(pattern, path, sizeof(path))) {
    // A job's shells and tools leave no files.
    if (!real_is_loaded()) return;
  } else if (getpid() != g_process) {
    return;  // a forked child that shares its parent's file leaves it to the parent
  }
  // Other threads may go on, and the report grow, until all operators are in it.
  const size_t room = stats_json(nullptr, 0) + kOpCount * 512;
  char *text = static_cast<char *>(malloc(room));
  if (text == nullptr) return;
  const size_t length = stats_json(text, room);
  if (length < room) {
    if (strcmp(pattern, "stderr") == 0) {
      write_all(STDERR_FILENO, text, length);
    } else {
      const int error = write_file(path, text, length);
      if (error != 0) message("cannot write the statistics to %s: %s", path, strerror(error));
    }
  }
  free(text);
}

}  // namespace

}  // namespace opcache
