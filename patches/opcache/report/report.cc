// Start and end of the process: the clock, and the statistics that MKLDNN_OPCACHE_STATS asks for.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/registry.h"
#include "cache/thread_cache.h"
#include "library.h"
#include "memory/meter.h"
#include "report/message.h"
#include "report/stats.h"
#include "settings/options.h"
#include "settings/settings.h"

namespace opcache {

namespace {

const int kMostLinks = 40;  // as many as Linux follows

pid_t g_process;

// Writes to `path` as it is opened with `flags`, with the permissions `mode`; 0 or an errno.
int write_to(const char *path, int flags, mode_t mode, const char *text, size_t length) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC | flags, mode);
  if (fd < 0) return errno;
  int error = write_all(fd, text, length);
  // Devices and pipes cannot be synchronised, and need not be.
  if (error == 0 && fsync(fd) != 0 && errno != EINVAL && errno != EROFS) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  return error;
}

// Replaces the file in one step: a reader, or a kill, sees the old text or the new one.
int replace_file(const char *path, mode_t mode, const char *text, size_t length) {
  // The name in part: it may be as long as the file system takes. But not left out: processes in
  // several containers may share the folder, and the process id.
  const char *const slash = strrchr(path, '/');
  const int folder = slash != nullptr ? static_cast<int>(slash + 1 - path) : 0;
  char temporary[PATH_MAX + 256];
  snprintf(temporary, sizeof(temporary), "%.*s.%.200s.%ld.tmp", folder, path, path + folder,
           static_cast<long>(getpid()));
  // Created here, so never a planted link. A process of the same id may have been
  // killed while it wrote.
  const int flags = O_CREAT | O_EXCL;
  int error = write_to(temporary, flags, mode, text, length);
  if (error == EEXIST && unlink(temporary) == 0) {
    error = write_to(temporary, flags, mode, text, length);
  }
  if (error == EEXIST) return error;
  if (error == 0 && rename(temporary, path) != 0) error = errno;
  if (error != 0) unlink(temporary);
  return error;
}

// Puts where the link `path` leads to in its place; 0 or an errno.
int follow(char (&path)[PATH_MAX]) {
  char target[PATH_MAX];
  const ssize_t n = readlink(path, target, sizeof(target));
  if (n < 0) return errno;
  const char *const slash = strrchr(path, '/');
  const size_t folder =
      n > 0 && target[0] != '/' && slash != nullptr ? static_cast<size_t>(slash + 1 - path) : 0;
  if (folder + static_cast<size_t>(n) >= sizeof(path)) return ENAMETOOLONG;
  memcpy(path + folder, target, static_cast<size_t>(n));
  path[folder + static_cast<size_t>(n)] = '\0';
  return 0;
}

// Writes the text to a file, beside which it is made ready first, or to a character device. A
// link's own place stays a link. Returns nullptr, or what stands in the way.
const char *write_file(const char *name, const char *text, size_t length) {
  char path[PATH_MAX];
  snprintf(path, sizeof(path), "%s", name);
  struct stat status;
  for (int links = 0; lstat(path, &status) == 0 && S_ISLNK(status.st_mode); ++links) {
    // An open file of the process, such as /dev/stdout: others write to it too. Not blocking, as
    // nobody may be reading.
    if (strncmp(path, "/proc/", 6) == 0) {
      const int error = write_to(path, O_APPEND | O_NONBLOCK, 0, text, length);
      return error != 0 ? strerror(error) : nullptr;
    }
    const int error = links < kMostLinks ? follow(path) : ELOOP;
    if (error != 0) return strerror(error);
  }
  int error = 0;
  if (stat(path, &status) != 0) {
    error = replace_file(path, 0644, text, length);
  } else if (S_ISREG(status.st_mode)) {
    error = replace_file(path, status.st_mode & 0777, text, length);
  } else if (S_ISCHR(status.st_mode)) {
    error = write_to(path, O_NOCTTY | O_NONBLOCK, 0, text, length);
  } else if (S_ISDIR(status.st_mode)) {
    error = EISDIR;
  } else {
    // To open a FIFO waits for a reader, at the end of the training and maybe for ever.
    return S_ISFIFO(status.st_mode) ? "it is a FIFO" : "it is not a file";
  }
  return error != 0 ? strerror(error) : nullptr;
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

// Two copies of this library may be in a process, by two paths. Calls go to the first; the other
// must not write its empty report over that one's.
bool is_idle_copy() {
  if (library_in_use()) return false;
  Dl_info first = {}, own = {};
  const void *const found = dlsym(RTLD_DEFAULT, "mkldnn_opcache_stats_json");
  return found != nullptr && dladdr(found, &first) != 0 && dladdr(&g_process, &own) != 0 &&
         first.dli_fbase != own.dli_fbase;
}

__attribute__((constructor)) void start() {
  g_process = getpid();
  start_clock();
  ThreadCache::usable();
  start_settings();  // a bad word is reported even when MKL-DNN is never called
}

__attribute__((destructor)) void finish() {
  const char *pattern = options().stats_path;
  if (pattern[0] == '\0' || is_idle_copy()) return;
  char path[1100];
  if (expand(pattern, path, sizeof(path))) {
    // A job's shells and tools leave no files.
    if (!library_is_loaded()) return;
  } else if (getpid() != g_process) {
    return;  // a forked child that shares its parent's file leaves it to the parent
  }
  // Other threads may go on, and the report grow, until all operators are in it.
  const size_t room = stats_json(nullptr, 0) + kOpCount * 512;
  char *text = static_cast<char *>(malloc(room));
  if (text == nullptr) {
    message("cannot write the statistics to %s: memory is short", path);
    return;
  }
  const size_t length = stats_json(text, room);
  if (length < room) {
    if (strcmp(pattern, "stderr") == 0) {
      write_all(STDERR_FILENO, text, length);
    } else {
      const char *const fault = write_file(path, text, length);
      if (fault != nullptr) message("cannot write the statistics to %s: %s", path, fault);
    }
  }
  free(text);
}

// Live and idle together were counted at another moment than the idle ones.
uint64_t live(const std::atomic<ptrdiff_t> &all, uint64_t idle) {
  const uint64_t n = value_of(all);
  return n > idle ? n - idle : 0;
}

}  // namespace

size_t stats_json(char *buffer, size_t size) {
  // A program that asks before it loads MXNet must not settle which MKL-DNN there is.
  const Library *const mkldnn = library_so_far();
  char scope[sizeof(Options::scope_text)];
  scope_text(scope, sizeof(scope));
  Identity identity = {};
  identity.recognised = mkldnn != nullptr && mkldnn->release != nullptr;
  identity.mkldnn = identity.recognised ? mkldnn->release : "unknown";
  identity.build_id = mkldnn != nullptr ? mkldnn->build_id : "";
  // The report at exit tells of the time before.
  const bool in_scope = g_settings.in_force.load(std::memory_order_relaxed) != kNoOps;
  identity.active = identity.recognised && in_scope && ThreadCache::usable();
  identity.scope = scope;
  identity.capacity = capacity();
  identity.memory = memory_bound();
  identity.estimate = estimate_bound();
  identity.metered = metered();
  identity.shadow_rate = options().shadow_rate;
  Counters counters;
  Population population = {};
  Registry::get().sum(&counters, &population);
  population.live_primitives = live(g_totals.primitives, population.idle_primitives);
  population.descriptors = value_of(g_totals.descriptors);
  population.live_bytes = live(g_totals.primitive_bytes, population.idle_bytes);
  return write_json(buffer, size, identity, counters, population);
}

}  // namespace opcache
